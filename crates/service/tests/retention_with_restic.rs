//! The policy removes what it names and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::task::RetentionPolicy;
use larder_model::{BackupKind, TimeSpan};
use larder_service::Service;
use larder_testbed::Restic;
use support::{Host, assert_completed, backup, failure, put, task};

fn keep(days: i64) -> Option<RetentionPolicy> {
    let age = Some(TimeSpan::from_days(days));
    Some(RetentionPolicy { minimum_backup_age_to_keep: age, ..RetentionPolicy::default() })
}

async fn with_tree(host: &Host, days: i64, minimum: u32) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let mut nightly = host.nightly();
    nightly.periodic.incremental_backup_frequency = None;
    nightly.periodic.full_backup_frequency = Some("0 0 1 1 *".to_owned());
    nightly.periodic.retention_policy = keep(days);
    nightly.periodic.minimum_backups_to_keep = Some(minimum);
    put(&service, nightly).await.unwrap();
    service
}

async fn days_kept(service: &Service) -> Vec<String> {
    let points = service.backups("web", None).await.unwrap();
    points.iter().map(|point| point.time.strftime("%d").to_string()).collect()
}

/// Makes a backup a day, each of new content.
async fn daily(host: &Host, service: &Service, days: u32) {
    for _ in 0..days {
        std::fs::write(host.source_path("web").join("today"), host.clock_text()).unwrap();
        assert_completed(&backup(service, "web", BackupKind::Incremental).await);
        host.pass(service, 24 * 60).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_backups_go_and_stock_restic_finds_the_rest_whole() {
    let host = Host::new();
    let service = with_tree(&host, 2, 1).await;
    daily(&host, &service, 6).await;
    // What is exactly as old as the age is no longer younger.
    assert_eq!(days_kept(&service).await, ["18", "17"]);
    let restic = Restic::new(host.backups().join("web"), support::KEY);
    restic.check_read_data();
    assert_eq!(restic.snapshots().len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_minimum_stays_however_old() {
    let host = Host::new();
    let service = with_tree(&host, 1, 3).await;
    daily(&host, &service, 2).await;
    host.pass(&service, 60 * 24 * 3).await;
    daily(&host, &service, 1).await;
    assert_eq!(days_kept(&service).await, ["18", "14", "13"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_backups_fail() {
    let host = Host::new();
    let service = with_tree(&host, 1, 1).await;
    daily(&host, &service, 1).await;
    host.pass(&service, 60 * 24 * 30).await;
    std::fs::rename(host.source_path("web"), host.source_path("gone")).unwrap();
    failure(&backup(&service, "web", BackupKind::Full).await);
    assert_eq!(days_kept(&service).await, ["13"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_of_others_and_of_other_tasks_are_never_touched() {
    let mut host = Host::new();
    let service = with_tree(&host, 1, 1).await;
    daily(&host, &service, 1).await;
    service.stop().await;
    drop(service);
    // The same destination, used by another installation, by another task, and by hand.
    host.settings.identifier = "elsewhere".to_owned();
    let service = host.start().await;
    daily(&host, &service, 1).await;
    let mut weekly = task("Weekly", &host.backups());
    weekly.periodic.full_backup_frequency = Some("0 0 1 1 *".to_owned());
    weekly.periodic.incremental_backup_frequency = None;
    put(&service, weekly).await.unwrap();
    let id = service.backup_now("web", Some("Weekly"), BackupKind::Full).await.unwrap();
    assert_completed(&support::ended(&service, id).await);
    service.delete_task("Weekly").await.unwrap();
    let restic = Restic::new(host.backups().join("web"), support::KEY);
    restic.backup(&host.source_path("web"));
    host.pass(&service, 60 * 24 * 30).await;
    daily(&host, &service, 1).await;
    let points = service.backups("web", None).await.unwrap();
    // Gone is only what this installation's task made before: the one of the second day.
    assert_eq!(points.iter().filter(|point| point.operation.is_some()).count(), 3, "{points:#?}");
    assert_eq!(restic.snapshots().len(), 4);
    assert_eq!(points.iter().filter(|point| point.kind.is_none()).count(), 1, "the one made by hand");
    service.stop().await;
}
