//! From JSON to a configuration, with an error that names the key and the value.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A value that cannot be what its key asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} cannot be {value}: {cause}")]
pub struct WrongValue {
    /// The key, with those of the blocks around it: `RetentionPolicy.MinimumBackupAgeToKeep`.
    pub key: String,
    /// The value, as JSON, shortened.
    pub value: String,
    /// What is wrong with it.
    pub cause: String,
}

/// How much of a wrong value is shown.
const SHOWN_CHARS: usize = 60;

/// Reads a configuration whose every key may be absent. Unknown keys are ignored; `null` is as good as absent, and in a
/// list it is an empty text.
///
/// # Errors
/// The first value that makes no sense, by its key.
pub fn read<T: DeserializeOwned>(object: &Map<String, Value>) -> Result<T, WrongValue> {
    let value = without_nulls(&Value::Object(object.clone()));
    serde_json::from_value(value.clone()).map_err(|error| {
        let mut path = Vec::new();
        let (wrong, cause) = culprit::<T>(&value, &mut path).unwrap_or((value, error.to_string()));
        let cause = if is_secret(&path) { "it must be a text".to_owned() } else { cause };
        WrongValue { key: path.join("."), value: shown(&wrong, &path), cause }
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| if item.is_null() { Value::String(String::new()) } else { without_nulls(item) })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Finds the innermost value that alone is enough to fail: every key may be absent, so each can be tried by itself.
fn culprit<T: DeserializeOwned>(value: &Value, path: &mut Vec<String>) -> Option<(Value, String)> {
    let Value::Object(object) = at(value, path)? else { return None };
    for (key, inner) in object {
        path.push(key.clone());
        if let Err(error) = serde_json::from_value::<T>(nested(path, inner.clone())) {
            return culprit::<T>(value, path).or_else(|| Some((inner.clone(), error.to_string())));
        }
        path.pop();
    }
    None
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn nested(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |value, key| Value::Object(Map::from_iter([(key.clone(), value)])))
}

fn is_secret(path: &[String]) -> bool {
    const WORDS: [&str; 6] = ["Key", "Secret", "Token", "Password", "Credentials", "Certificate"];
    path.last().is_some_and(|key| WORDS.iter().any(|word| key.contains(word)))
}

/// Shows a value, unless it may be a secret.
fn shown(value: &Value, path: &[String]) -> String {
    if is_secret(path) || value.is_object() || value.is_array() {
        return "what was given".to_owned();
    }
    let text = match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A step into a value: to what a key holds, or to an item of a list.
enum Step {
    Key(String),
    Item,
}

/// Finds a key that a configuration does not have, for callers that would rather be told than have it ignored.
#[must_use]
pub fn unknown_key<T: DeserializeOwned + Serialize>(given: &Map<String, Value>) -> Option<String> {
    let mut path = Vec::new();
    let found = first_unknown::<T>(&Value::Object(given.clone()), &mut path);
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Item => None,
    });
    found.then(|| keys.collect::<Vec<_>>().join("."))
}

/// A key is known if what is read with it alone, written again, has it.
fn first_unknown<T: DeserializeOwned + Serialize>(value: &Value, path: &mut Vec<Step>) -> bool {
    let inner: Vec<(Step, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(key, inner)| (Step::Key(key.clone()), inner)).collect(),
        Value::Array(items) => items.iter().map(|item| (Step::Item, item)).collect(),
        _ => return false,
    };
    for (step, inner) in inner {
        path.push(step);
        if !is_known::<T>(path, inner) || first_unknown::<T>(inner, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn is_known<T: DeserializeOwned + Serialize>(path: &[Step], value: &Value) -> bool {
    let alone = path.iter().rev().fold(value.clone(), |value, step| match step {
        Step::Key(key) => Value::Object(Map::from_iter([(key.clone(), value)])),
        Step::Item => Value::Array(vec![value]),
    });
    match serde_json::from_value::<T>(without_nulls(&alone)).map(serde_json::to_value) {
        // What is left out when it says nothing is known all the same.
        Ok(Ok(written)) => is_at(&written, path) || says_nothing(value),
        // It is wrong in another way, which reading the whole tells.
        _ => true,
    }
}

fn is_at(written: &Value, path: &[Step]) -> bool {
    let found = path.iter().try_fold(written, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item => value.get(0),
    });
    found.is_some()
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        // The one value of Larder's own that is left out because it is the default.
        Value::String(text) => text == "Once",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{CatchUp, ServerWideBackupConfiguration as Task};
    use crate::timespan::TimeSpan;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    fn wrong(value: Value) -> WrongValue {
        read::<Task>(&object(value)).unwrap_err()
    }

    #[test]
    fn null_is_as_good_as_absent_and_unknown_keys_are_ignored() {
        let task: Task = read(&object(json!({
            "Name": "Nightly", "Disabled": null, "TaskId": null, "BackupType": null, "FutureKey": { "A": 1 },
            "LocalSettings": { "FolderPath": "/b", "Disabled": null, "GetBackupConfigurationScript": null },
            "ExcludedDatabases": [null, "a"], "NamePrefix": "whatever",
        })))
        .unwrap();
        assert_eq!((task.periodic.task_id, task.periodic.disabled), (0, false));
        assert_eq!(task.excluded_databases, ["", "a"]);
        assert_eq!(task.periodic.catch_up, CatchUp::Once);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key() {
        let weird = wrong(json!({ "Name": "x", "BackupType": "Weird" }));
        assert_eq!((weird.key.as_str(), weird.value.as_str()), ("BackupType", "'Weird'"));
        let span =
            wrong(json!({ "RetentionPolicy": { "Disabled": false, "MinimumBackupAgeToKeep": "bogus" } }));
        assert_eq!(span.key, "RetentionPolicy.MinimumBackupAgeToKeep");
        assert!(span.to_string().contains("'bogus'"), "{span}");
        let not_a_block = wrong(json!({ "LocalSettings": "/backups" }));
        assert_eq!(not_a_block.key, "LocalSettings");
        let secret = wrong(json!({ "FtpSettings": { "Password": 12345 } }));
        assert!(!secret.to_string().contains("12345"), "{secret}");
    }

    #[test]
    fn every_key_of_ravendb_is_written_and_our_own_only_where_set() {
        let written = object(serde_json::to_value(Task::default()).unwrap());
        let mut keys: Vec<&str> = written.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected = "AzureSettings BackupEncryptionSettings BackupType BackupUploadMode CreatedAt Disabled \
             ExcludedDatabases FtpSettings FullBackupFrequency GlacierSettings GoogleCloudSettings \
             IncrementalBackupFrequency LocalSettings MaxReadOpsPerSecond MentorNode Name NamePrefix \
             PinToMentorNode RetentionPolicy S3Settings SnapshotSettings TaskId";
        assert_eq!(keys.join(" "), expected);
        assert_eq!(written["NamePrefix"], "Server Wide Backup");
        assert_eq!(written["ExcludedDatabases"], json!([]));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let given = json!({
            "Name": "Nightly", "TaskId": 7, "TimeZone": "Europe/Berlin", "CatchUp": "Skip",
            "CreatedAt": "2026-11-21T02:24:23.4830360Z",
            "Schedules": [{ "When": "every 4h..6h" }, { "When": "Daily", "Backup": "Full", "Periodicity": "Daily" }],
            "RetentionPolicy": { "KeepDaily": 7, "PerPeriodicity": { "Daily": 7, "Weekly": "28.00:00:00" } },
            "Destinations": [{ "Name": "b", "S3Settings": { "BucketName": "x", "StorageClass": "Standard" } }],
            "Selector": { "Engines": ["sqlite"], "Patterns": ["shop-*"] }, "BackupWindow": { "From": "22:00", "To": "06:00" },
        });
        let task: Task = read(&object(given.clone())).unwrap();
        let policy = task.periodic.retention_policy.as_ref().unwrap();
        assert_eq!(policy.per_periodicity.len(), 2);
        assert_eq!(
            policy.per_periodicity.values().nth(1),
            Some(&crate::task::Keep::Age(TimeSpan::from_days(28)))
        );
        let written = object(serde_json::to_value(&task).unwrap());
        assert_eq!(written["CreatedAt"], given["CreatedAt"]);
        assert_eq!(read::<Task>(&written).unwrap(), task);
    }

    #[test]
    fn an_unknown_key_is_found_however_deep_and_known_ones_are_not() {
        let known = json!({
            "Name": "x", "CatchUp": "Once", "Exclude": [], "Selector": null, "NamePrefix": "y",
            "LocalSettings": { "FolderPath": "/b", "GetBackupConfigurationScript": { "Exec": "/x" } },
            "Schedules": [{ "When": "Daily", "Periodicity": "Daily" }],
            "RetentionPolicy": { "PerPeriodicity": { "Daily": 7 } },
            "Destinations": [{ "Name": "b", "LocalSettings": { "FolderPath": "/c" } }],
        });
        assert_eq!(unknown_key::<Task>(&object(known)), None);
        for (given, key) in [
            (json!({ "FullBackupFrequncy": "0 2 * * *" }), "FullBackupFrequncy"),
            (json!({ "LocalSettings": { "Folder": "/b" } }), "LocalSettings.Folder"),
            (json!({ "Schedules": [{ "When": "Daily" }, { "Wen": "Daily" }] }), "Schedules.Wen"),
            (json!({ "name": "x" }), "name"),
        ] {
            assert_eq!(unknown_key::<Task>(&object(given)).as_deref(), Some(key));
        }
    }
}
