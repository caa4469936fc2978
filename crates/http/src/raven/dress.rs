//! Configurations as RavenDB's clients can read them.

use super::client::Client;
use super::failure::{Failure, class};
use serde::Serialize;
use serde_json::{Map, Value};

/// What Python's client looks for in the settings of Google Cloud, taking them for a status.
const PYTHONS_GOOGLE_KEYS: [&str; 5] = [
    "LastFullBackup",
    "LastIncrementalBackup",
    "FullBackupDurationInMs",
    "IncrementalBackupDurationInMs",
    "Exception",
];

/// The least age that a retention policy may say.
const ONE_DAY: &str = "1.00:00:00";

/// Writes a configuration, with every key that a client insists on.
pub(crate) fn configuration(configuration: &impl Serialize, client: Client) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(configuration).map_err(|error| {
        Failure::server(class::DATA, format!("the configuration could not be written: {error}"))
    })?;
    if let Some(object) = value.as_object_mut() {
        if let Some(Value::Object(google)) = object.get_mut("GoogleCloudSettings") {
            for key in PYTHONS_GOOGLE_KEYS {
                google.entry(key).or_insert(Value::Null);
            }
        }
        dress_retention(object, client);
    }
    Ok(value)
}

/// Python's client cannot read a policy without an age. One that says nothing is shown as none at all; one that has
/// only Larder's rules is shown to Python with the least age there is, which removes nothing more.
fn dress_retention(object: &mut Map<String, Value>, client: Client) {
    let Some(Value::Object(policy)) = object.get_mut("RetentionPolicy") else { return };
    if policy.get("MinimumBackupAgeToKeep").is_some_and(|age| !age.is_null()) {
        return;
    }
    let says_nothing = policy.keys().all(|key| key == "Disabled" || key == "MinimumBackupAgeToKeep");
    if says_nothing {
        object.insert("RetentionPolicy".to_owned(), Value::Null);
    } else if client == Client::Python {
        policy.insert("MinimumBackupAgeToKeep".to_owned(), ONE_DAY.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn python_finds_what_it_looks_for() {
        let given = json!({
            "GoogleCloudSettings": { "BucketName": "b" },
            "RetentionPolicy": { "Disabled": false, "MinimumBackupAgeToKeep": null, "KeepDaily": 7 },
        });
        let dressed = configuration(&given, Client::Python).unwrap();
        assert!(dressed["GoogleCloudSettings"].as_object().unwrap().contains_key("Exception"));
        assert_eq!(dressed["RetentionPolicy"]["MinimumBackupAgeToKeep"], ONE_DAY);
        let dressed = configuration(&given, Client::Other).unwrap();
        assert_eq!(dressed["RetentionPolicy"]["MinimumBackupAgeToKeep"], Value::Null);
        let nothing = json!({ "RetentionPolicy": { "Disabled": true, "MinimumBackupAgeToKeep": null } });
        assert_eq!(configuration(&nothing, Client::Other).unwrap()["RetentionPolicy"], Value::Null);
    }
}
