//! Server-wide tasks reach every database, those of tomorrow included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, EngineKind};
use larder_service::{Health, ServiceError};
use support::{Host, known, put, source, sqlite, task};

fn names(service: &larder_service::Service, database: &str) -> Vec<String> {
    service.derived_tasks(database).unwrap().into_iter().map(|task| task.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_created_while_running_gets_its_task_within_the_discovery_interval() {
    let host = Host::new();
    let service = host.start().await;
    put(&service, host.nightly()).await.unwrap();
    let shelf = host.shelf("shops");
    assert!(service.add_source(shelf).await.unwrap().is_empty());
    sqlite(&host.source_path("shops").join("berlin.db"), 3);
    let begun = std::time::Instant::now();
    let name = known(&service, "berlin.db").await;
    assert!(begun.elapsed() < host.settings.discovery_interval + std::time::Duration::from_secs(1));
    assert_eq!(names(&service, name.as_str()), ["Server Wide Backup, Nightly"]);
    let derived = service.derived_tasks("berlin.db").unwrap().remove(0);
    let folder = derived.backup.local_settings.unwrap().folder_path.unwrap();
    assert_eq!(folder, host.backups().join("berlin.db").to_str().unwrap());
    assert_eq!(service.database("berlin.db").unwrap().health, Health::Waiting);
    let next = service.next_runs(None, 5).unwrap();
    assert_eq!(next[0].time.to_string(), "2026-05-13T10:20:00Z");
    assert_eq!(next[0].kind, BackupKind::Full, "the first backup is full whatever the schedule says");
    assert_eq!(next[1].time.to_string(), "2026-05-13T10:40:00Z");
    assert_eq!(next[1].kind, BackupKind::Incremental);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusions_selectors_and_deletion_carry_over_at_once() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    service.add_source(host.tree("mail")).await.unwrap();
    let stored = put(&service, host.nightly()).await.unwrap();
    assert!(stored.periodic.task_id > 0);
    assert_eq!(names(&service, "web").len(), 1);
    let mut changed = stored.clone();
    changed.excluded_databases = vec!["WEB".to_owned()];
    let changed = put(&service, changed).await.unwrap();
    assert!(changed.periodic.task_id > stored.periodic.task_id);
    assert!(names(&service, "web").is_empty());
    assert_eq!(service.database("web").unwrap().health, Health::Unprotected);
    assert_eq!(names(&service, "mail").len(), 1);
    let stale = put(&service, stored).await.unwrap_err();
    assert!(matches!(stale, ServiceError::Conflict { .. }), "{stale}");
    service.delete_task("nightly").await.unwrap();
    assert!(names(&service, "mail").is_empty());
    assert!(service.next_runs(None, 5).unwrap().is_empty());
    assert!(matches!(service.task("Nightly"), Err(ServiceError::NotFound { .. })));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_databases_are_shown_page_by_page() {
    let host = Host::new();
    let service = host.start().await;
    for name in ["a", "b", "c"] {
        service.add_source(host.tree(name)).await.unwrap();
    }
    put(&service, host.nightly()).await.unwrap();
    let (page, all) = service.databases_page(1, 1);
    assert_eq!((page[0].database.name.as_str(), page.len(), all), ("b", 1, 3));
    assert_eq!(page[0].tasks.len(), 1);
    let names: Vec<_> = service.database_names(1, 9).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["b", "c"]);
    let overview = service.overview();
    assert_eq!(overview.databases, [(Health::Waiting, 3)]);
    assert_eq!(overview.next_run.unwrap().database.as_str(), "a");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_task_has_no_next_run_and_wakes_without_running_at_once() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    service.set_task_disabled("Nightly", true).await.unwrap();
    assert!(service.next_runs(None, 1).unwrap().is_empty());
    assert_eq!(host.pass(&service, 600).await, 0);
    service.set_task_disabled("Nightly", false).await.unwrap();
    assert_eq!(host.pass(&service, 0).await, 0);
    assert_eq!(service.next_runs(None, 1).unwrap()[0].time.to_string(), "2026-05-13T20:20:00Z");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_again_after_a_restart() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    let before = (service.databases(), service.tasks(), service.sources());
    service.stop().await;
    drop(service);
    let service = host.start().await;
    assert_eq!((service.databases(), service.tasks(), service.sources()), before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_makes_no_sense_is_refused() {
    let host = Host::new();
    let service = host.start().await;
    let nowhere = source("web", EngineKind::Files, &host.source_path("nowhere"));
    let error = service.add_source(nowhere).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    let relative = source("web", EngineKind::Files, std::path::Path::new("relative"));
    assert!(matches!(
        service.add_source(relative).await,
        Err(ServiceError::Invalid { field: "Address", .. })
    ));
    service.add_source(host.tree("web")).await.unwrap();
    let twice = service.add_source(host.tree("web")).await.unwrap_err();
    assert!(matches!(twice, ServiceError::Conflict { .. }), "{twice}");
    assert_eq!(service.sources().len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_shown_as_missing_until_it_is_forgotten() {
    let host = Host::new();
    let service = host.start().await;
    let path = host.source_path("shops").join("berlin.db");
    let shelf = host.shelf("shops");
    sqlite(&path, 3);
    service.add_source(shelf).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    assert!(matches!(service.forget_database("berlin.db").await, Err(ServiceError::Conflict { .. })));
    std::fs::remove_file(&path).unwrap();
    service.discover().await.unwrap();
    assert_eq!(service.database("berlin.db").unwrap().health, Health::Missing);
    assert!(service.next_runs(None, 1).unwrap().is_empty());
    let refused = service.backup_now("berlin.db", None, BackupKind::Full).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Conflict { .. }), "{refused}");
    service.forget_database("berlin.db").await.unwrap();
    assert!(matches!(service.database("berlin.db"), Err(ServiceError::NotFound { .. })));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_searched_makes_nothing_missing() {
    let host = Host::new();
    let service = host.start().await;
    let shelf = host.shelf("shops");
    sqlite(&host.source_path("shops").join("berlin.db"), 3);
    service.add_source(shelf).await.unwrap();
    std::fs::rename(host.source_path("shops"), host.source_path("elsewhere")).unwrap();
    service.discover().await.unwrap();
    let overview = service.overview();
    assert_eq!(overview.source_errors.len(), 1);
    assert!(overview.source_errors[0].1.contains("shops"), "{:?}", overview.source_errors);
    assert_eq!(service.database("berlin.db").unwrap().database.missing_since, None);
    std::fs::rename(host.source_path("elsewhere"), host.source_path("shops")).unwrap();
    service.discover().await.unwrap();
    assert!(service.overview().source_errors.is_empty());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_shows_its_next_runs_before_it_is_saved() {
    let host = Host::new();
    let service = host.start().await;
    let mut draft = host.nightly();
    draft.periodic.time_zone = Some("Europe/Berlin".to_owned());
    let runs = service.preview(&draft, 43).unwrap();
    assert_eq!(runs[0], (BackupKind::Incremental, "2026-05-13T10:20:00Z".parse().unwrap()));
    assert_eq!(runs[41], (BackupKind::Full, "2026-05-14T00:00:00Z".parse().unwrap()), "02:00 in Berlin");
    draft.periodic.full_backup_frequency = Some("99 * * * *".to_owned());
    assert!(matches!(
        service.preview(&draft, 5),
        Err(ServiceError::Invalid { field: "FullBackupFrequency", .. })
    ));
    assert!(service.tasks().is_empty());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_two_tasks_asks_which_one_is_meant() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let none = service.backup_now("web", None, BackupKind::Full).await.unwrap_err();
    assert!(matches!(none, ServiceError::NotFound { .. }), "{none}");
    put(&service, host.nightly()).await.unwrap();
    put(&service, task("Weekly", &host.directory.join("weekly"))).await.unwrap();
    let which = service.backup_now("web", None, BackupKind::Full).await.unwrap_err();
    assert!(which.to_string().contains("Nightly") && which.to_string().contains("Weekly"), "{which}");
    assert_eq!(service.destinations("web").unwrap().len(), 2);
    let access = service.restic_access("web", None).unwrap_err();
    assert!(matches!(access, ServiceError::Invalid { .. }), "{access}");
    let weekly = host.directory.join("weekly");
    let access = service.restic_access("web", weekly.to_str()).unwrap();
    assert_eq!(access.repository, weekly.join("web").to_str().unwrap());
    assert_eq!(access.password.expose(), support::KEY);
    service.stop().await;
}
