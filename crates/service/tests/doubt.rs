//! Backups that are not trusted though nothing failed, and reading no faster than allowed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, BackupQuality, OperationStatus};
use larder_service::{FailureCause, Health};
use serde_json::json;
use std::time::{Duration, Instant};
use support::{Host, assert_completed, backup, ended, failure, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_is_suddenly_empty_is_suspicious_until_somebody_takes_it_as_it_is() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let kept = service.database("web").unwrap().last_good_backup.unwrap();
    // As if the disk that should lie here were not mounted.
    std::fs::rename(host.source_path("web"), host.source_path("unmounted")).unwrap();
    std::fs::create_dir(host.source_path("web")).unwrap();
    host.pass(&service, 15).await;
    let empty = support::all_ended(&service).await.pop().unwrap();
    assert!(failure(&empty).contains("suspicious") && failure(&empty).contains("empty"), "{:?}", empty.error);
    let view = service.database("web").unwrap();
    assert_eq!(view.health, Health::Failed);
    assert_eq!(view.last_good_backup.unwrap().id, kept.id);
    assert_eq!(view.tasks[0].status.error.as_ref().unwrap().cause, FailureCause::Suspicious);
    let points = service.backups("web", None).await.unwrap();
    assert_eq!(points[0].quality, BackupQuality::Suspicious, "it is kept");
    let still = backup(&service, "web", BackupKind::Incremental).await;
    assert!(failure(&still).contains("suspicious"));
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    assert_eq!(service.database("web").unwrap().health, Health::Good);
    host.pass(&service, 20).await;
    assert_completed(&support::all_ended(&service).await.pop().unwrap());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_reads_no_faster_than_it_may_and_an_abort_does_not_wait() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let once = json!({ "LocalSettings": { "FolderPath": host.backups() }, "MaxReadOpsPerSecond": 1 });
    let once = larder_model::task::read(once.as_object().unwrap()).unwrap();
    let id = service.backup_once("web", once).await.unwrap();
    let mut changes = service.subscribe();
    while service.operation(id).unwrap().status == OperationStatus::Queued {
        changes.recv().await.unwrap();
    }
    let asked = Instant::now();
    service.abort(id).await.unwrap();
    assert_eq!(ended(&service, id).await.status, OperationStatus::Canceled);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    service.stop().await;
}
