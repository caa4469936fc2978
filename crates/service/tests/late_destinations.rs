//! Destinations that do not answer when a run begins: the others do not wait for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, Operation};
use larder_service::Service;
use serde_json::json;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::{Host, backup, failure};

/// Starts a service with a task that writes to a folder and to a bucket at this port.
async fn with_bucket_at(host: &Host, port: u16) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let task = json!({
        "Name": "N", "FullBackupFrequency": "0 2 * * *",
        "LocalSettings": { "FolderPath": host.backups() },
        "S3Settings": {
            "BucketName": "b", "AwsAccessKey": "a", "AwsSecretKey": "s", "AwsRegionName": "eu-central-1",
            "CustomServerUrl": format!("http://127.0.0.1:{port}"),
        },
    });
    service.put_server_wide(task.as_object().unwrap()).await.unwrap();
    service
}

async fn timed(service: &Service) -> (Duration, Operation) {
    let begun = Instant::now();
    let operation = backup(service, "web", BackupKind::Full).await;
    (begun.elapsed(), operation)
}

fn assert_only_the_bucket_failed(operation: &Operation, why: &str) {
    assert!(failure(operation).contains("Amazon S3"), "{operation:#?}");
    let folder = operation.destinations.iter().find(|one| one.destination == "Local").unwrap();
    assert!(folder.backup.is_some() && folder.error.is_none(), "{folder:?}");
    let bucket = operation.destinations.iter().find(|one| one.destination == "Amazon S3").unwrap();
    let told = bucket.error.as_deref().unwrap();
    assert!(told.contains(why) && told.contains("brought from another one after a later run"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_refuses_is_not_waited_for() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = Host::new();
    let service = with_bucket_at(&host, port).await;
    let (took, operation) = timed(&service).await;
    assert_only_the_bucket_failed(&operation, "it does not answer (");
    // Half a second at most passes before the second attempt; the rest is the backup.
    assert!(took < Duration::from_secs(4), "{took:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_nothing_is_waited_for_shortly() {
    // The kernel takes connections for it, and nobody ever reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::new();
    let service = with_bucket_at(&host, silent.local_addr().unwrap().port()).await;
    let (took, operation) = timed(&service).await;
    assert_only_the_bucket_failed(&operation, "it gave no answer within");
    assert!(took < Duration::from_secs(9), "{took:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_does_not_wait_for_the_only_destination() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let task = json!({
        "Name": "N", "FullBackupFrequency": "0 2 * * *",
        "S3Settings": {
            "BucketName": "b", "AwsAccessKey": "a", "AwsSecretKey": "s", "AwsRegionName": "eu-central-1",
            "CustomServerUrl": format!("http://127.0.0.1:{port}"),
        },
    });
    service.put_server_wide(task.as_object().unwrap()).await.unwrap();
    let id = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    // Somebody knocks: the run has begun to wait.
    let accepted = tokio::task::spawn_blocking(move || silent.accept().map(|(stream, _)| (stream, silent)));
    let _held = accepted.await.unwrap().unwrap();
    let begun = Instant::now();
    service.abort(id).await.unwrap();
    let operation = support::ended(&service, id).await;
    assert_eq!(operation.status, larder_model::OperationStatus::Canceled, "{operation:#?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    service.stop().await;
}
