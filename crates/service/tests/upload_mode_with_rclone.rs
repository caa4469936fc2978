//! The upload mode of a task, seen from outside: whether anything waits on this machine's disk for a slow destination.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, Operation};
use larder_testbed::{Line, Random, RcloneS3, SlowProxy};
use serde_json::json;
use support::{Host, assert_completed, backup};

/// More than waits in memory.
const BYTES: usize = 112 << 20;

/// Backs up to a server that takes so long for each pack that memory is used up meanwhile.
async fn slow_backup(mode: &str, staging_limit: Option<u64>) -> (Host, Operation) {
    let server = RcloneS3::start("backups");
    let line = Line { bytes_per_second: Some(5 << 20), ..Line::default() };
    let proxy = SlowProxy::start(server.url().trim_start_matches("http://").parse().unwrap(), line);
    let (access, secret) = server.key();
    let task = json!({
        "Name": "N", "FullBackupFrequency": "0 2 * * *", "BackupUploadMode": mode,
        "S3Settings": {
            "BucketName": "backups", "CustomServerUrl": format!("http://{}", proxy.address()), "ForcePathStyle": true,
            "AwsAccessKey": access, "AwsSecretKey": secret,
        },
    });
    let mut host = Host::new();
    host.settings.staging_limit = staging_limit.unwrap_or(host.settings.staging_limit);
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    std::fs::write(host.source_path("web").join("large"), Random::new(3).bytes(BYTES)).unwrap();
    service.put_server_wide(task.as_object().unwrap()).await.unwrap();
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert_completed(&operation);
    service.stop().await;
    (host, operation)
}

fn waited_on_disk(operation: &Operation) -> bool {
    operation.messages.iter().any(|message| message.contains("waited on this machine's disk"))
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_what_a_destination_is_too_slow_for_waits_on_disk() {
    let (host, operation) = slow_backup("Default", None).await;
    assert!(waited_on_disk(&operation), "{:?}", operation.messages);
    assert_eq!(
        std::fs::read_dir(&host.settings.staging_directory).unwrap().count(),
        0,
        "nothing stays there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_directly_nothing_waits_on_disk() {
    let (_, operation) = slow_backup("DirectUpload", None).await;
    assert!(!waited_on_disk(&operation), "{:?}", operation.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_on_disk_where_the_administrator_allows_none() {
    let (_, operation) = slow_backup("Default", Some(0)).await;
    assert!(!waited_on_disk(&operation), "{:?}", operation.messages);
}
