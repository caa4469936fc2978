//! Locks of what backups need, extended by the runs of a task.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::{BackupKind, Operation};
use larder_testbed::Moto;
use serde_json::json;
use support::{Host, assert_completed, backup, failure};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_extends_locks_that_would_end_before_the_next_but_one_though_its_source_is_gone() {
    let moto = Moto::start();
    moto.boto("AKMOTO", "SKMOTO").make_bucket_with_lock("locked");
    let host = Host::new();
    let task = json!({
        "Name": "N", "FullBackupFrequency": "0 2 1 1 *",
        "S3Settings": {
            "BucketName": "locked", "CustomServerUrl": moto.url(), "ObjectLockDays": 10,
            "AwsAccessKey": "AKMOTO", "AwsSecretKey": "SKMOTO",
        },
    });
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    service.put_server_wide(task.as_object().unwrap()).await.unwrap();
    let extended = |operation: &Operation| {
        operation.messages.iter().any(|message| message.contains("locks extended, until"))
    };
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert_completed(&operation);
    assert!(!extended(&operation), "what was just written needs nothing: {:?}", operation.messages);
    host.clock.advance(SignedDuration::from_hours(8 * 24));
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert_completed(&operation);
    assert!(extended(&operation), "{:?}", operation.messages);
    // The source fails; what was backed up before is needed the more.
    host.clock.advance(SignedDuration::from_hours(8 * 24));
    std::fs::remove_dir_all(host.source_path("web")).unwrap();
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(!failure(&operation).is_empty());
    assert!(extended(&operation), "{:?}", operation.messages);
    service.stop().await;
}
