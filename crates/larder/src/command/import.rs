//! `larder import`: what another program was told, as a task of Larder's.

use crate::cli::ImportCommand;
use crate::client::Client;
use crate::command::task;
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// The shortest time between two runs that a schedule takes, in seconds.
const SHORTEST_SECONDS: u64 = 60;

/// The document `Raven/Backup/Periodic/Setup` of RavenDB 2 and 3.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Setup {
    disabled: Option<bool>,
    glacier_vault_name: Option<String>,
    s3_bucket_name: Option<String>,
    aws_region_endpoint: Option<String>,
    s3_remote_folder_name: Option<String>,
    azure_storage_container: Option<String>,
    azure_remote_folder_name: Option<String>,
    local_folder_name: Option<String>,
    interval_milliseconds: Option<i64>,
    /// What the first versions called it, in minutes.
    interval: Option<i64>,
    full_backup_interval_milliseconds: Option<i64>,
}

/// A task made of a setup, and what should be known about it.
#[derive(Debug)]
struct Imported {
    task: Map<String, Value>,
    remarks: Vec<String>,
}

pub(crate) fn run(command: ImportCommand, screen: &Screen) -> Result<Exit, Failure> {
    let ImportCommand::RavenSetup { file, settings, name, database, print, connection } = command;
    let setup: Setup = serde_json::from_value(read(&file)?).map_err(|error| {
        let file = file.display();
        Failure::new(format!("'{file}' is no setup document of periodic backups: {error}; see docs/cli.md"))
    })?;
    let settings = settings.as_deref().map(read).transpose()?.unwrap_or_default();
    let Imported { task, remarks } = import(&setup, &settings, &name)?;
    for remark in &remarks {
        screen.remark(remark);
    }
    if print {
        // What is printed shows no secret; who stores it that way is asked for them.
        let shown = masked(&Value::Object(task));
        let text = serde_json::to_string_pretty(&shown).map_err(|error| Failure::new(error.to_string()))?;
        return screen.result(&shown, &text);
    }
    let client = Client::new(&connection)?;
    match database {
        Some(database) => task::put_own(&client, &database, task, screen),
        None => task::put(&client, &task, screen),
    }
}

fn read(file: &Path) -> Result<Value, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("could not read '{shown}': {error}; check its name")))?;
    let text = text.trim_start_matches('\u{feff}');
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Failure::new(format!("'{shown}' is no JSON object; save the whole document"))),
        Err(error) => Err(Failure::new(format!("'{shown}' is no JSON: {error}"))),
    }
}

/// Makes the task. Of the places in a cloud one counts, by RavenDB's precedence: the vault, the bucket, the container.
fn import(setup: &Setup, settings: &Value, name: &str) -> Result<Imported, Failure> {
    let mut remarks = Vec::new();
    let mut task = Map::from_iter([("Name".to_owned(), json!(name))]);
    task.insert("Disabled".to_owned(), json!(setup.disabled.unwrap_or(false)));
    let schedules = schedules(setup, &mut remarks);
    if schedules.is_empty() {
        return Err(Failure::new(
            "the document says no interval, so its backups were switched off; set IntervalMilliseconds or FullBackupIntervalMilliseconds in it",
        ));
    }
    task.insert("Schedules".to_owned(), json!(schedules));
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let key = |name: &str| key(settings, name);
    let (vault, bucket) = (said(&setup.glacier_vault_name), said(&setup.s3_bucket_name));
    let container = said(&setup.azure_storage_container);
    let amazon = json!({
        "AwsAccessKey": key("Raven/AWSAccessKey"), "AwsSecretKey": key("Raven/AWSSecretKey"),
        "AwsRegionName": said(&setup.aws_region_endpoint), "RemoteFolderName": said(&setup.s3_remote_folder_name),
    });
    let passed_over =
        |won: &str, lost: &str| format!("{won} and {lost} are both given; as in RavenDB only {won} counts");
    if vault.is_some() && bucket.is_some() {
        remarks.push(passed_over("GlacierVaultName", "S3BucketName"));
    }
    if (vault.is_some() || bucket.is_some()) && container.is_some() {
        let won = if vault.is_some() { "GlacierVaultName" } else { "S3BucketName" };
        remarks.push(passed_over(won, "AzureStorageContainer"));
    }
    let mut keys = ("the access keys of Amazon", key("Raven/AWSSecretKey"));
    if let Some(vault) = vault {
        task.insert("GlacierSettings".to_owned(), with(amazon, "VaultName", &vault));
    } else if let Some(bucket) = bucket {
        task.insert("S3Settings".to_owned(), with(amazon, "BucketName", &bucket));
    } else if let Some(container) = container {
        keys = ("the account and key of Azure", key("Raven/AzureStorageKey"));
        let azure = json!({
            "AccountName": key("Raven/AzureStorageAccount"), "AccountKey": key("Raven/AzureStorageKey"),
            "RemoteFolderName": said(&setup.azure_remote_folder_name),
        });
        task.insert("AzureSettings".to_owned(), with(azure, "StorageContainer", &container));
    } else if setup.local_folder_name.is_none() {
        return Err(Failure::new(
            "the document names neither a vault, a bucket, a container nor a folder; there is nowhere to write to",
        ));
    } else {
        keys.1 = Some(String::new());
    }
    if keys.1.is_none() {
        remarks.push(format!(
            "{} are not in the document; give the database's settings with --settings, or add them to the task",
            keys.0
        ));
    }
    if let Some(folder) = said(&setup.local_folder_name) {
        task.insert("LocalSettings".to_owned(), json!({ "FolderPath": folder }));
    }
    Ok(Imported { task, remarks })
}

fn with(mut block: Value, key: &str, value: &str) -> Value {
    block[key] = json!(value);
    block
}

/// RavenDB counts from the last run, as a window does.
fn schedules(setup: &Setup, remarks: &mut Vec<String>) -> Vec<Value> {
    let seconds = |milliseconds: i64| u64::try_from(milliseconds / 1000).ok().filter(|_| milliseconds > 0);
    let incremental = setup
        .interval_milliseconds
        .and_then(seconds)
        .or_else(|| setup.interval.and_then(|minutes| seconds(minutes.saturating_mul(60_000))));
    let full = setup.full_backup_interval_milliseconds.and_then(seconds);
    let mut schedules = Vec::new();
    for (seconds, backup) in [(full, "Full"), (incremental, "Incremental")] {
        let Some(seconds) = seconds else { continue };
        if seconds < SHORTEST_SECONDS {
            remarks.push(format!(
                "runs are at least a minute apart, so {seconds} s become {SHORTEST_SECONDS} s"
            ));
        }
        let every = seconds.max(SHORTEST_SECONDS);
        schedules.push(json!({ "When": format!("every {every}s"), "Backup": backup }));
    }
    schedules
}

/// Finds a setting where RavenDB keeps it: at the top, or among the plain or the secured settings of the database.
fn key(settings: &Value, name: &str) -> Option<String> {
    let found = [settings, &settings["Settings"], &settings["SecuredSettings"]];
    found.into_iter().find_map(|place| place.get(name)?.as_str().map(str::to_owned))
}

fn masked(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| match key.as_str() {
                    "AwsSecretKey" | "AccountKey" => (key.clone(), json!(larder_model::task::SECRET_MASK)),
                    _ => (key.clone(), masked(value)),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::{ServerWideBackupConfiguration, read as read_task};

    fn imported(setup: Value, settings: Value) -> Imported {
        import(&serde_json::from_value(setup).unwrap(), &settings, "Old").unwrap()
    }

    #[test]
    fn a_vault_wins_over_a_bucket_and_a_bucket_over_a_container() {
        let settings = json!({
            "Settings": { "Raven/AWSAccessKey": "a" }, "SecuredSettings": { "Raven/AWSSecretKey": "s" },
        });
        let setup = json!({
            "GlacierVaultName": "vault", "S3BucketName": "bucket", "AzureStorageContainer": "container",
            "AwsRegionEndpoint": "eu-west-1", "IntervalMilliseconds": 21_600_000,
            "FullBackupIntervalMilliseconds": 86_400_000, "LocalFolderName": "/srv/old",
        });
        let Imported { task, remarks } = imported(setup.clone(), settings);
        assert_eq!(task["GlacierSettings"]["VaultName"], "vault");
        assert_eq!(task["GlacierSettings"]["AwsSecretKey"], "s");
        assert!(!task.contains_key("S3Settings") && !task.contains_key("AzureSettings"));
        assert!(remarks.iter().any(|remark| remark.contains("only GlacierVaultName counts")), "{remarks:?}");
        let read: ServerWideBackupConfiguration = read_task(&task).unwrap();
        assert_eq!(read.periodic.backup.live().len(), 2);
        let whens: Vec<_> = read.periodic.schedules.iter().map(|entry| entry.when.as_str()).collect();
        assert_eq!(whens, ["every 86400s", "every 21600s"]);
        let mut without_vault = setup;
        without_vault["GlacierVaultName"] = Value::Null;
        let Imported { task, remarks } = imported(without_vault, Value::Null);
        assert_eq!(task["S3Settings"]["BucketName"], "bucket");
        assert!(remarks.iter().any(|remark| remark.contains("access keys")), "{remarks:?}");
        assert!(!masked(&Value::Object(task)).to_string().contains("\"s\""));
    }

    #[test]
    fn the_interval_of_the_first_versions_is_in_minutes_and_none_at_all_is_an_error() {
        let Imported { task, .. } = imported(json!({ "Interval": 5, "LocalFolderName": "/b" }), Value::Null);
        assert_eq!(task["Schedules"][0]["When"], "every 300s");
        let none: Setup = serde_json::from_value(json!({ "S3BucketName": "b" })).unwrap();
        assert!(import(&none, &Value::Null, "Old").unwrap_err().message.contains("interval"));
        let nowhere: Setup = serde_json::from_value(json!({ "Interval": 5 })).unwrap();
        assert!(import(&nowhere, &Value::Null, "Old").unwrap_err().message.contains("nowhere"));
    }
}
