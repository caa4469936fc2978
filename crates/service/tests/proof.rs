//! Getting data back, and proving that it can be got back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, BackupQuality, OperationStatus};
use larder_service::{BackupChoice, CheckDepth, Health, RestorePlace, RestoreRequest, Service};
use larder_testbed::compare_trees;
use std::path::{Path, PathBuf};
use support::{Host, assert_completed, backup, damage_packs, ended, failure, put, sqlite, with_second};

async fn with_both(host: &Host) -> Service {
    let service = host.start().await;
    let shelf = host.shelf("shops");
    sqlite(&host.source_path("shops").join("berlin.db"), 500);
    service.add_source(host.tree("web")).await.unwrap();
    service.add_source(shelf).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    service
}

fn request(database: &str, target: &Path) -> RestoreRequest {
    RestoreRequest {
        database: database.to_owned(),
        backup: BackupChoice::Latest,
        destination: None,
        target: RestorePlace::Path(target.to_owned()),
        overwrite: false,
        until: None,
    }
}

async fn restored(service: &Service, request: RestoreRequest) -> larder_model::Operation {
    let id = service.restore(request).await.unwrap();
    ended(service, id).await
}

fn rows(path: &Path) -> u32 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_and_a_database_come_back_as_they_were() {
    let host = Host::new();
    let service = with_both(&host).await;
    for database in ["web", "berlin.db"] {
        assert_completed(&backup(&service, database, BackupKind::Full).await);
    }
    let (tree, file) = (host.directory.join("tree"), host.directory.join("again.db"));
    let operation = restored(&service, request("web", &tree)).await;
    assert_completed(&operation);
    assert!(operation.destinations[0].backup.is_some());
    assert_eq!(compare_trees(&host.source_path("web"), &tree), [""; 0]);
    assert_completed(&restored(&service, request("berlin.db", &file)).await);
    assert_eq!(rows(&file), 500);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_overwritten_only_when_told() {
    let host = Host::new();
    let service = with_both(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let target = host.directory.join("tree");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("one"), "mine").unwrap();
    let refused = restored(&service, request("web", &target)).await;
    assert!(failure(&refused).contains("overwritten"), "{refused:#?}");
    assert_eq!(std::fs::read(target.join("one")).unwrap(), b"mine");
    let told = RestoreRequest { overwrite: true, ..request("web", &target) };
    assert_completed(&restored(&service, told).await);
    assert_eq!(std::fs::read(target.join("one")).unwrap(), b"the first file of web\n");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_moment_can_be_had() {
    let host = Host::new();
    let service = with_both(&host).await;
    let one = host.source_path("web").join("one");
    for content in ["first", "second", "third"] {
        std::fs::write(&one, content).unwrap();
        assert_completed(&backup(&service, "web", BackupKind::Incremental).await);
        host.pass(&service, 10).await;
    }
    let points = service.backups("web", None).await.unwrap();
    let target = |name: &str| -> PathBuf { host.directory.join(name) };
    for (name, choice, content) in [
        ("at", BackupChoice::AtOrBefore("2026-05-13T10:20:00Z".parse().unwrap()), "second"),
        ("id", BackupChoice::Id(points.last().unwrap().id.short().to_owned()), "first"),
        ("latest", BackupChoice::Latest, "third"),
    ] {
        let wanted = RestoreRequest { backup: choice, ..request("web", &target(name)) };
        assert_completed(&restored(&service, wanted).await);
        assert_eq!(std::fs::read_to_string(target(name).join("one")).unwrap(), content);
    }
    let before = BackupChoice::AtOrBefore("2026-05-13T09:00:00Z".parse().unwrap());
    let none = restored(&service, RestoreRequest { backup: before, ..request("web", &target("none")) }).await;
    assert!(failure(&none).contains("no backup"), "{none:#?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_backup_is_called_so_and_its_scratch_is_gone() {
    let host = Host::new();
    let service = with_both(&host).await;
    for database in ["web", "berlin.db"] {
        assert_completed(&backup(&service, database, BackupKind::Full).await);
        let id = service.verify(database, BackupChoice::Latest).await.unwrap();
        let operation = ended(&service, id).await;
        assert_completed(&operation);
        assert!(operation.messages[0].starts_with("compared: "), "{operation:#?}");
        let point = service.backups(database, None).await.unwrap().remove(0);
        assert_eq!(point.quality, BackupQuality::Verified);
        let evidence = service.verification(&point.id).await.unwrap().unwrap();
        assert!(evidence.differences.is_empty());
        assert_eq!(service.database(database).unwrap().health, Health::Verified);
    }
    assert_eq!(std::fs::read_dir(&host.settings.staging_directory).unwrap().count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_not_verified() {
    let host = Host::new();
    let service = with_both(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    damage_packs(&host.backups().join("web"));
    let id = service.verify("web", BackupChoice::Latest).await.unwrap();
    let operation = ended(&service, id).await;
    assert!(failure(&operation).contains("web"));
    let id = service.check("web", None, CheckDepth { read_data: true, part: None }).await.unwrap();
    let operation = ended(&service, id).await;
    assert!(failure(&operation).contains("data/"), "{operation:#?}");
    assert_ne!(service.backups("web", None).await.unwrap()[0].quality, BackupQuality::Verified);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_repository_passes_its_check() {
    let host = Host::new();
    let service = with_both(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    for read_data in [false, true] {
        let id = service.check("web", Some("local"), CheckDepth { read_data, part: None }).await.unwrap();
        assert_completed(&ended(&service, id).await);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_never_waits_for_backups() {
    let mut host = Host::new();
    host.settings.max_concurrent_backups = 1;
    let service = with_both(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    std::fs::File::create(host.source_path("web").join("huge")).unwrap().set_len(500 << 30).unwrap();
    let busy = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    assert_completed(&restored(&service, request("web", &host.directory.join("tree"))).await);
    assert_eq!(service.operation(busy).unwrap().status, OperationStatus::InProgress);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_destination_has_damaged_is_restored_from_another_with_a_warning() {
    let host = Host::new();
    let service = host.start().await;
    let shelf = host.shelf("shops");
    sqlite(&host.source_path("shops").join("berlin.db"), 500);
    service.add_source(host.tree("web")).await.unwrap();
    service.add_source(shelf).await.unwrap();
    let second = host.directory.join("second");
    put(&service, with_second(host.nightly(), "Second", &second)).await.unwrap();
    for database in ["web", "berlin.db"] {
        assert_completed(&backup(&service, database, BackupKind::Full).await);
        damage_packs(&host.backups().join(database));
    }
    let (tree, file) = (host.directory.join("tree"), host.directory.join("again.db"));
    for (database, target) in [("web", &tree), ("berlin.db", &file)] {
        let operation = restored(&service, request(database, target)).await;
        assert_completed(&operation);
        let warned = operation.messages.iter().any(|told| told.contains("could not be used"));
        assert!(warned, "{operation:#?}");
    }
    assert_eq!(compare_trees(&host.source_path("web"), &tree), [""; 0]);
    assert_eq!(rows(&file), 500);
    let id = service.verify("web", BackupChoice::Latest).await.unwrap();
    failure(&ended(&service, id).await);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_backup_hides_no_other() {
    let host = Host::new();
    let service = with_both(&host).await;
    for content in ["first", "second"] {
        std::fs::write(host.source_path("web").join("one"), content).unwrap();
        assert_completed(&backup(&service, "web", BackupKind::Full).await);
        host.pass(&service, 1).await;
    }
    let points = service.backups("web", None).await.unwrap();
    let broken = host.backups().join("web/snapshots").join(&points[0].id.0);
    std::fs::remove_file(&broken).unwrap();
    std::fs::write(&broken, "nothing of use").unwrap();
    assert_eq!(service.backups("web", None).await.unwrap(), points[1..]);
    let target = host.directory.join("tree");
    let operation = restored(&service, request("web", &target)).await;
    assert_completed(&operation);
    assert!(operation.messages.iter().any(|told| told.contains("passed over")), "{operation:#?}");
    assert_eq!(std::fs::read_to_string(target.join("one")).unwrap(), "first");
    service.stop().await;
}
