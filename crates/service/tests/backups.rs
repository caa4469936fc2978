//! Backups: what is made when, and what is never called good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, BackupQuality, EngineKind, OperationStatus};
use larder_service::{BackupChoice, Health, OperationFilter, RestorePlace, RestoreRequest, Service};
use std::path::Path;
use std::time::{Duration, Instant};
use support::{
    Host, all_ended, assert_completed, backup, ended, failure, put, settle, sqlite, task, with_second,
};

async fn with_tree(host: &Host) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_backup_is_full_and_the_next_goes_on_from_it() {
    let host = Host::new();
    let service = with_tree(&host).await;
    let first = backup(&service, "web", BackupKind::Incremental).await;
    assert_completed(&first);
    assert_eq!(first.backup_kind, Some(BackupKind::Full));
    assert!(first.destinations[0].bytes_stored > 0);
    host.pass(&service, 1).await;
    std::fs::write(host.source_path("web").join("three"), "new").unwrap();
    let second = backup(&service, "web", BackupKind::Incremental).await;
    assert_completed(&second);
    assert_eq!(second.backup_kind, Some(BackupKind::Incremental));
    assert!(second.progress.bytes_read < 10_000, "unchanged files are not read again: {second:#?}");
    let points = service.backups("web", None).await.unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!((points[0].kind, points[0].operation), (Some(BackupKind::Incremental), Some(second.id)));
    assert_eq!((points[1].kind, points[1].quality), (Some(BackupKind::Full), BackupQuality::Good));
    assert_eq!(points[0].id, second.destinations[0].backup.clone().unwrap());
    let view = service.database("web").unwrap();
    assert_eq!(view.health, Health::Good, "{}", view.reason);
    assert_eq!(view.last_good_backup.unwrap().operation, second.id);
    let status = &view.tasks[0].status;
    assert!(status.last_full_backup.is_some() && status.last_incremental_backup.is_some());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_that_finds_nothing_changed_makes_no_backup() {
    let host = Host::new();
    let service = host.start().await;
    let shelf = host.shelf("shops");
    let path = host.source_path("shops").join("berlin.db");
    sqlite(&path, 100);
    settle(&path);
    service.add_source(shelf).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    assert_completed(&backup(&service, "berlin.db", BackupKind::Full).await);
    host.pass(&service, 1).await;
    let nothing = backup(&service, "berlin.db", BackupKind::Incremental).await;
    assert_completed(&nothing);
    assert!(nothing.unchanged, "{nothing:#?}");
    assert_eq!(service.backups("berlin.db", None).await.unwrap().len(), 1);
    let last = service.database("berlin.db").unwrap().last_good_backup.unwrap();
    assert_eq!(last.time.to_string(), "2026-05-13T10:06:00Z", "proved to hold still at that moment");
    host.pass(&service, 1).await;
    sqlite(&path, 1);
    let changed = backup(&service, "berlin.db", BackupKind::Incremental).await;
    assert_completed(&changed);
    assert!(!changed.unchanged);
    assert_eq!(service.backups("berlin.db", None).await.unwrap().len(), 2);
    host.pass(&service, 1).await;
    std::fs::remove_dir_all(host.backups().join("berlin.db")).unwrap();
    let again = backup(&service, "berlin.db", BackupKind::Incremental).await;
    assert_completed(&again);
    assert!(!again.unchanged, "the destination no longer held a backup");
    assert_eq!(again.backup_kind, Some(BackupKind::Full));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_keeps_the_backup_but_never_green() {
    let host = Host::new();
    let service = host.start().await;
    // Nobody may read these files of the kernel, root included: they are there to be written to.
    let kernel = support::source("kernel", EngineKind::Files, Path::new("/sys/bus/cpu"));
    service.add_source(kernel).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    let database = service.databases()[0].database.name.to_string();
    let operation = backup(&service, &database, BackupKind::Full).await;
    let error = failure(&operation);
    assert!(error.contains("incomplete") && error.contains("could not be read"), "{error}");
    assert!(operation.destinations[0].backup.is_some(), "what could be read is kept");
    let points = service.backups(&database, None).await.unwrap();
    assert_eq!(points[0].quality, BackupQuality::Incomplete);
    let view = service.database(&database).unwrap();
    assert_eq!(view.health, Health::Failed);
    assert_eq!(view.last_good_backup, None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_with_somebody_elses_files_is_left_alone() {
    let host = Host::new();
    let service = with_tree(&host).await;
    let foreign = host.backups().join("web/photos/summer.jpg");
    std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    std::fs::write(&foreign, "a picture").unwrap();
    let operation = backup(&service, "web", BackupKind::Full).await;
    let error = failure(&operation);
    assert!(error.contains("photos/summer.jpg") && error.contains("web"), "{error}");
    assert_eq!(std::fs::read(&foreign).unwrap(), b"a picture");
    assert_eq!(std::fs::read_dir(host.backups().join("web")).unwrap().count(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_vanished_is_an_error_and_is_not_made_anew() {
    let host = Host::new();
    let service = with_tree(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    std::fs::rename(host.backups(), host.directory.join("unmounted")).unwrap();
    let operation = backup(&service, "web", BackupKind::Incremental).await;
    let error = failure(&operation);
    assert!(error.contains(host.backups().to_str().unwrap()), "{error}");
    assert!(!host.backups().exists());
    std::fs::rename(host.directory.join("unmounted"), host.backups()).unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Incremental).await);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_does_not_open_the_repository() {
    let host = Host::new();
    let service = with_tree(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    service.stop().await;
    drop(service);
    let service = host.start_with_key("another key").await;
    let operation = backup(&service, "web", BackupKind::Incremental).await;
    let error = failure(&operation);
    assert!(error.contains("key") && !error.contains("another key"), "{error}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_vanished_fails_and_the_good_backup_stays() {
    let host = Host::new();
    let service = with_tree(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    std::fs::rename(host.source_path("web"), host.source_path("gone")).unwrap();
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&operation).contains("web"));
    assert_eq!(service.backups("web", None).await.unwrap().len(), 1);
    let view = service.database("web").unwrap();
    assert_eq!(view.health, Health::Failed);
    assert!(view.last_good_backup.is_some());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_backup_ends_within_a_second_and_leaves_nothing_to_clean() {
    let host = Host::new();
    let service = with_tree(&host).await;
    // Holes are read fast, yet so many of them take minutes.
    let huge = std::fs::File::create(host.source_path("web").join("huge")).unwrap();
    huge.set_len(500 << 30).unwrap();
    let mut changes = service.subscribe();
    let id = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    let reading = async {
        loop {
            let operation = changes.recv().await.unwrap();
            if operation.id == id && operation.progress.bytes_read > 1 << 20 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("progress is told");
    let begun = Instant::now();
    service.abort(id).await.unwrap();
    let operation = ended(&service, id).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(operation.status, OperationStatus::Canceled);
    assert!(service.backups("web", None).await.unwrap_or_default().is_empty());
    assert_eq!(std::fs::read_dir(&host.settings.staging_directory).unwrap().count(), 0);
    assert!(service.abort(id).await.is_err(), "it has ended already");
    std::fs::remove_file(host.source_path("web").join("huge")).unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_databases_back_up_at_once_but_one_never_twice() {
    let host = Host::new();
    let service = with_tree(&host).await;
    service.add_source(host.tree("mail")).await.unwrap();
    for name in ["web", "mail"] {
        let huge = std::fs::File::create(host.source_path(name).join("huge")).unwrap();
        huge.set_len(500 << 30).unwrap();
    }
    let first = service.backup_all(None, BackupKind::Full, None).await.unwrap();
    assert_eq!(first.len(), 2);
    let second = service.backup_all(None, BackupKind::Full, None).await.unwrap();
    let both_run = async {
        loop {
            let running =
                OperationFilter { status: Some(OperationStatus::InProgress), ..OperationFilter::default() };
            if service.operations(&running).len() == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), both_run).await.expect("both run at once");
    for id in second {
        assert_eq!(service.operation(id).unwrap().status, OperationStatus::Queued);
        service.abort(id).await.unwrap();
        assert_eq!(ended(&service, id).await.status, OperationStatus::Canceled);
    }
    service.stop().await;
    for id in first {
        let operation = service.operation(id).unwrap();
        assert_eq!(operation.status, OperationStatus::Canceled);
        assert!(operation.error.unwrap().contains("server was stopped"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_survive_a_restart_and_numbers_never_come_twice() {
    let mut host = Host::new();
    host.settings.history_limit = 3;
    let service = with_tree(&host).await;
    for _ in 0..5 {
        assert_completed(&backup(&service, "web", BackupKind::Incremental).await);
        host.pass(&service, 1).await;
    }
    let before = all_ended(&service).await;
    assert_eq!(before.iter().map(|operation| operation.id).collect::<Vec<_>>(), [3, 4, 5]);
    service.stop().await;
    drop(service);
    let service = host.start().await;
    assert_eq!(all_ended(&service).await, before);
    assert_eq!(backup(&service, "web", BackupKind::Incremental).await.id, 6);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tasks_write_to_two_destinations() {
    let host = Host::new();
    let service = with_tree(&host).await;
    put(&service, task("Weekly", &host.directory.join("weekly"))).await.unwrap();
    let ids = service.backup_all(None, BackupKind::Full, None).await.unwrap();
    for id in ids {
        assert_completed(&ended(&service, id).await);
    }
    let points = service.backups("web", None).await.unwrap();
    assert_eq!(points.len(), 2);
    assert_ne!(points[0].destination, points[1].destination);
    let only = service.backups("web", host.backups().to_str()).await.unwrap();
    assert_eq!(only.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_was_away_gets_what_it_missed_from_the_other_one() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let (second, away) = (host.directory.join("second"), host.directory.join("unmounted"));
    put(&service, with_second(host.nightly(), "Second", &second)).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    std::fs::rename(&second, &away).unwrap();
    let passing = host.source_path("web").join("passing");
    for content in ["once", "twice"] {
        host.pass(&service, 1).await;
        std::fs::write(&passing, content).unwrap();
        let missed = backup(&service, "web", BackupKind::Incremental).await;
        assert!(failure(&missed).contains("not at every destination"), "{missed:#?}");
    }
    std::fs::rename(&away, &second).unwrap();
    std::fs::remove_file(&passing).unwrap();
    host.pass(&service, 1).await;
    let back = backup(&service, "web", BackupKind::Incremental).await;
    assert_completed(&back);
    assert!(back.messages.iter().any(|told| told.contains("Second: 2 backups that it lacked")), "{back:#?}");
    assert!(back.progress.bytes_read < 1000, "the source is not read again: {back:#?}");
    let times = |points: Vec<larder_model::RestorePoint>| points.iter().map(|p| p.time).collect::<Vec<_>>();
    let here = times(service.backups("web", host.backups().to_str()).await.unwrap());
    assert_eq!(here.len(), 4);
    assert_eq!(times(service.backups("web", second.to_str()).await.unwrap()), here);
    for (time, content) in [(here[2], "once"), (here[1], "twice")] {
        let target = host.directory.join(content);
        let request = RestoreRequest {
            database: "web".to_owned(),
            backup: BackupChoice::AtOrBefore(time),
            destination: second.to_str().map(str::to_owned),
            target: RestorePlace::Path(target.clone()),
            overwrite: false,
            until: None,
        };
        assert_completed(&ended(&service, service.restore(request).await.unwrap()).await);
        assert_eq!(std::fs::read_to_string(target.join("passing")).unwrap(), content);
    }
    host.pass(&service, 1).await;
    let next = backup(&service, "web", BackupKind::Incremental).await;
    assert!(!next.messages.iter().any(|told| told.contains("lacked")), "nothing is lacking: {next:#?}");
    service.stop().await;
}
