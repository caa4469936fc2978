//! Putting a backup off: it stops, frees everything, survives a restart, and goes on without sending anything twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::{SignedDuration, Timestamp};
use larder_model::{BackupKind, OperationId, OperationStatus, TimeSpan};
use larder_service::{OperationFilter, Service, TaskStatus, Verdict};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Host, all_ended, assert_completed, backup, ended};

const HOUR: TimeSpan = TimeSpan::from_seconds(3600);

async fn with_tree(host: &Host) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    support::put(&service, host.nightly()).await.unwrap();
    service
}

fn fill(path: &Path, bytes: u64) {
    let random = std::fs::File::open("/dev/urandom").unwrap();
    std::io::copy(&mut random.take(bytes), &mut std::fs::File::create(path).unwrap()).unwrap();
}

fn make_endless(host: &Host, name: &str) {
    // Holes are read fast, yet so many of them take minutes.
    let huge = std::fs::File::create(host.source_path(name).join("huge")).unwrap();
    huge.set_len(500 << 30).unwrap();
}

fn status(service: &Service, database: &str) -> TaskStatus {
    service.database(database).unwrap().tasks[0].status.clone()
}

/// Waits until so many bytes lie at the destination.
async fn stored(service: &Service, id: OperationId, bytes: u64) {
    let mut changes = service.subscribe();
    let waiting = async {
        loop {
            let operation = changes.recv().await.unwrap();
            assert!(!operation.status.is_final(), "it ended before it could be put off: {operation:#?}");
            if operation.id == id && operation.progress.bytes_stored >= bytes {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("progress is told");
}

async fn running(service: &Service, id: OperationId) {
    let begun = Instant::now();
    while service.operation(id).unwrap().status != OperationStatus::InProgress {
        assert!(begun.elapsed() < Duration::from_secs(60), "it begins");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_put_off_goes_on_at_its_time_and_sends_nothing_twice() {
    const BYTES: u64 = 320 << 20;
    let host = Host::new();
    let service = with_tree(&host).await;
    fill(&host.source_path("web").join("large"), BYTES);
    let id = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    stored(&service, id, 64 << 20).await;
    let begun = Instant::now();
    service.delay_operation(id, HOUR).await.unwrap();
    let stopped = ended(&service, id).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(stopped.status, OperationStatus::Canceled);
    assert!(stopped.error.unwrap().contains("put off"));
    assert_eq!(std::fs::read_dir(&host.settings.staging_directory).unwrap().count(), 0);
    let until: Timestamp = "2026-05-13T11:05:00Z".parse().unwrap();
    let next = service.database("web").unwrap().next_run.unwrap();
    assert_eq!((next.time, next.kind), (until, BackupKind::Full));
    assert_eq!(next.original.unwrap().to_string(), "2026-05-13T10:20:00Z", "the regular moment");
    assert_eq!(host.pass(&service, 30).await, 0, "10:20 is put off as well");
    service.stop().await;
    drop(service);

    let service = host.start().await;
    assert_eq!(status(&service, "web").delay_until, Some(until), "a restart forgets nothing");
    assert_eq!(host.pass(&service, 29).await, 0);
    assert_eq!(host.pass(&service, 1).await, 1);
    let resumed = all_ended(&service).await.pop().unwrap();
    assert_completed(&resumed);
    assert_eq!(resumed.backup_kind, Some(BackupKind::Full));
    let sent = resumed.destinations[0].bytes_stored;
    assert!(sent < BYTES - (32 << 20), "{sent} bytes were sent again");
    assert_eq!(status(&service, "web").delay_until, None);
    assert_eq!(host.pass(&service, 15).await, 1, "then everything comes as always");
    all_ended(&service).await;
    let said: Vec<Verdict> =
        service.decisions("web", None, 50).await.unwrap().into_iter().rev().map(|one| one.decision).collect();
    assert!(
        said.starts_with(&[Verdict::Started, Verdict::Delayed, Verdict::Started, Verdict::Completed]),
        "{said:?}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_waits_can_be_put_off_and_a_crash_in_between_loses_nothing() {
    let mut host = Host::new();
    host.settings.max_concurrent_backups = 1;
    let service = with_tree(&host).await;
    service.add_source(host.tree("mail")).await.unwrap();
    make_endless(&host, "mail");
    let first = service.backup_now("mail", None, BackupKind::Full).await.unwrap();
    running(&service, first).await;
    assert_eq!(host.pass(&service, 15).await, 2, "10:20 is due for both");
    let waiting = service.queue();
    let web = waiting.iter().find(|entry| entry.database.as_str() == "web").unwrap();
    assert!(web.reason.contains("one at a time"), "{}", web.reason);
    let mail = waiting.iter().find(|entry| entry.database.as_str() == "mail").unwrap();
    assert!(mail.reason.contains(&format!("operation {first} of the same database")), "{}", mail.reason);
    service.delay_operation(web.operation, HOUR).await.unwrap();
    assert_eq!(ended(&service, web.operation).await.status, OperationStatus::Canceled);
    let next = service.database("web").unwrap().next_run.unwrap();
    assert_eq!(next.time.to_string(), "2026-05-13T11:20:00Z");
    assert_eq!(next.original.unwrap().to_string(), "2026-05-13T10:20:00Z");
    // Once more, and the first moment stays the original one.
    host.clock.advance(SignedDuration::from_hours(1));
    service.tick().await.unwrap();
    let newest = service.operations(&OperationFilter::default())[0].clone();
    assert_eq!(newest.database.as_str(), "web");
    service.delay_operation(newest.id, HOUR).await.unwrap();
    ended(&service, newest.id).await;
    assert_eq!(status(&service, "web").original_backup_time.unwrap().to_string(), "2026-05-13T10:20:00Z");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_somebody_asks_for_ends_the_delay() {
    let host = Host::new();
    let service = with_tree(&host).await;
    make_endless(&host, "web");
    let id = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    running(&service, id).await;
    service.delay_operation(id, TimeSpan::from_days(2)).await.unwrap();
    ended(&service, id).await;
    std::fs::remove_file(host.source_path("web").join("huge")).unwrap();
    assert!(status(&service, "web").delay_until.is_some());
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    assert_eq!(status(&service, "web").delay_until, None);
    let next = service.database("web").unwrap().next_run.unwrap();
    assert_eq!((next.time.to_string().as_str(), next.original), ("2026-05-13T10:20:00Z", None));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_off_is_refused_with_the_reason() {
    let host = Host::new();
    let service = with_tree(&host).await;
    let done = backup(&service, "web", BackupKind::Full).await;
    let refused = service.delay_operation(done.id, HOUR).await.unwrap_err().to_string();
    assert!(refused.contains(&done.id.to_string()), "{refused}");
    assert!(service.delay_operation(999, HOUR).await.unwrap_err().to_string().contains("999"));
    make_endless(&host, "web");
    let id = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    let negative = service.delay_operation(id, TimeSpan::from_seconds(-5)).await.unwrap_err().to_string();
    assert!(negative.contains("-00:00:05"), "{negative}");
    service.abort(id).await.unwrap();
    assert_eq!(ended(&service, id).await.status, OperationStatus::Canceled);
    assert_eq!(status(&service, "web").delay_until, None, "an abort puts nothing off");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_tells_pace_and_each_destination() {
    let host = Host::new();
    let service = with_tree(&host).await;
    make_endless(&host, "web");
    let mut changes = service.subscribe();
    let id = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    let told = async {
        loop {
            let operation = changes.recv().await.unwrap();
            if operation.id == id && operation.progress.bytes_per_second > 0 {
                return operation.progress;
            }
        }
    };
    let progress = tokio::time::timeout(Duration::from_secs(60), told).await.expect("progress is told");
    assert_eq!(progress.destinations.len(), 1, "{progress:?}");
    assert!(progress.bytes_done > 0);
    service.stop().await;
}
