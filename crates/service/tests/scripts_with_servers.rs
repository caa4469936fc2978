//! Scripts that say the keys of destinations at each run, against real servers that check them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::BackupKind;
use larder_testbed::{Moto, ProFtpd, ProFtpdMode};
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{Host, assert_completed, backup, failure};

fn script(directory: &Path, name: &str, text: &str) -> Value {
    let program = directory.join(name);
    std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    json!({ "Exec": program, "Arguments": "'quoted' \"two words\"", "TimeoutInMs": 5000 })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_scripts_say_of_a_bucket_and_an_ftp_server_is_put_over_their_blocks_at_each_run() {
    let (moto, access, secret) = Moto::start_strict();
    moto.boto(&access, &secret).make_bucket("backups");
    let ftp = ProFtpd::start(ProFtpdMode::Plain);
    let mut host = Host::new();
    let scripts = host.directory.join("scripts");
    std::fs::create_dir(&scripts).unwrap();
    host.settings.script_directories = vec![scripts.clone()];
    let keys = json!({ "AwsAccessKey": access, "AwsSecretKey": secret, "RemoteFolderName": "said" });
    let login = json!({ "UserName": ProFtpd::USER, "Password": ProFtpd::PASSWORD });
    let of_bucket = script(&scripts, "bucket", &format!("echo '{keys}'"));
    let of_ftp = script(&scripts, "ftp", &format!("echo '{login}'"));
    let task = object(json!({
        "Name": "N", "FullBackupFrequency": "0 2 * * *",
        "S3Settings": {
            "BucketName": "backups", "CustomServerUrl": moto.url(), "AwsAccessKey": "out of date",
            "AwsSecretKey": "out of date", "RemoteFolderName": "block", "GetBackupConfigurationScript": of_bucket,
        },
        "FtpSettings": {
            "Url": format!("ftp://127.0.0.1:{}/backups", ftp.port()), "GetBackupConfigurationScript": of_ftp,
        },
    }));
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    service.put_server_wide(&task).await.unwrap();
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert_completed(&operation);
    let written = moto
        .boto(&access, &secret)
        .run("print(*[o['Key'] for o in s3.list_objects_v2(Bucket='backups')['Contents']])");
    assert!(written.contains("said/web/config") && !written.contains("block/"), "{written}");
    assert!(ftp.home("backups/web/config").exists());
    // Nobody is shown what they said.
    let told = format!("{operation:?}");
    assert!(!told.contains(&secret) && !told.contains(ProFtpd::PASSWORD), "{told}");
    // Asked again at the next run: other keys are refused, and say so.
    let wrong = json!({ "AwsAccessKey": access, "AwsSecretKey": "not the key", "RemoteFolderName": "said" });
    let _ = script(&scripts, "bucket", &format!("echo '{wrong}'"));
    let operation = backup(&service, "web", BackupKind::Full).await;
    let told = failure(&operation);
    assert!(told.contains("Amazon S3") && !told.contains("not the key"), "{told}");
    let ftp_outcome = operation.destinations.iter().find(|one| one.destination == "FTP").unwrap();
    assert!(ftp_outcome.error.is_none() && ftp_outcome.backup.is_some(), "{ftp_outcome:?}");
    service.stop().await;
}
