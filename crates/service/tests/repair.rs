//! Repairs that somebody asks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, BackupQuality, Operation};
use larder_service::{CheckDepth, DamagedBackups, RepairRequest, Service};
use larder_testbed::Random;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Host, assert_completed, backup, damage_packs, ended, failure, put, with_second};

fn request() -> RepairRequest {
    RepairRequest { database: "web".to_owned(), read_data: true, ..RepairRequest::default() }
}

async fn repaired(service: &Service, request: RepairRequest) -> Operation {
    let id = service.repair(request).await.unwrap();
    ended(service, id).await
}

async fn checked(service: &Service, destination: Option<&str>) -> Operation {
    let id = service.check("web", destination, CheckDepth { read_data: true, part: None }).await.unwrap();
    ended(service, id).await
}

/// Two destinations with one backup each.
async fn start(host: &Host) -> (Service, PathBuf, PathBuf) {
    let service = host.start().await;
    let source = host.tree("web");
    std::fs::write(host.source_path("web").join("below/two"), Random::new(7).bytes(100_000)).unwrap();
    service.add_source(source).await.unwrap();
    let second = host.directory.join("second");
    put(&service, with_second(host.nightly(), "Second", &second)).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    (service, host.backups().join("web"), second.join("web"))
}

/// Returns every object of a repository but its locks.
fn objects(repository: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending: Vec<PathBuf> =
        ["data", "index", "snapshots", "keys"].iter().map(|folder| repository.join(folder)).collect();
    while let Some(path) = pending.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_at_one_destination_comes_from_another_and_a_dry_run_only_says_so() {
    let host = Host::new();
    let (service, first, second) = start(&host).await;
    let whole = objects(&first);
    damage_packs(&first);
    std::fs::remove_dir_all(first.join("index")).unwrap();
    std::fs::create_dir(first.join("index")).unwrap();
    let (damaged, other) = (objects(&first), objects(&second));
    let said = repaired(&service, RepairRequest { dry_run: true, ..request() }).await;
    assert_completed(&said);
    assert!(said.messages.iter().any(|told| told.contains("would be fetched again from")), "{said:#?}");
    assert_eq!(objects(&first), damaged, "a dry run changes nothing");
    assert_eq!(std::fs::read_dir(&host.settings.staging_directory).unwrap().count(), 0);
    let done = repaired(&service, request()).await;
    assert_completed(&done);
    assert!(done.messages.iter().any(|told| told.contains("it was fetched again from")), "{done:#?}");
    let packs = |objects: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
        objects.keys().filter(|path| path.starts_with(first.join("data"))).cloned().collect()
    };
    assert_eq!(packs(&objects(&first)), packs(&whole));
    assert_eq!(objects(&second), other, "the other destination stays as it was");
    assert_completed(&checked(&service, None).await);
    let again = repaired(&service, request()).await;
    assert!(again.messages.iter().all(|told| told.contains("nothing is damaged")), "{again:#?}");
    let decisions = service.decisions("web", None, 20).await.unwrap();
    assert!(decisions.iter().any(|one| one.reason.contains("the repository was repaired")), "{decisions:#?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_does_not_even_open_is_opened_again_by_a_repair() {
    let host = Host::new();
    let (service, first, second) = start(&host).await;
    std::fs::remove_file(first.join("config")).unwrap();
    std::fs::remove_dir_all(first.join("keys")).unwrap();
    let other = objects(&second);
    assert!(failure(&checked(&service, Some("Local")).await).contains("repair the repository"));
    let said = repaired(&service, RepairRequest { dry_run: true, ..request() }).await;
    assert_completed(&said);
    assert!(said.messages.iter().any(|told| told.contains("config: it is missing; it would be made anew")));
    assert!(!first.join("config").exists(), "a dry run changes nothing");
    let done = repaired(&service, request()).await;
    assert_completed(&done);
    assert!(done.messages.iter().any(|told| told.contains("config: it is missing; it was made anew")));
    assert_eq!(objects(&second), other, "the other destination stays as it was");
    assert_completed(&checked(&service, None).await);
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    assert_eq!(service.backups("web", Some("Local")).await.unwrap().len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_everywhere_is_named_file_by_file_and_dropped_only_on_an_explicit_word() {
    let host = Host::new();
    let (service, first, second) = start(&host).await;
    let old = service.backups("web", Some("Local")).await.unwrap().remove(0).id;
    for repository in [&first, &second] {
        damage_packs_of_content(repository);
    }
    let said = repaired(&service, request()).await;
    let error = failure(&said);
    assert!(error.contains("lost for good") && error.contains("full backup"), "{error}");
    let lost = |path: &str| {
        said.messages.iter().any(|told| told.contains(&format!("lost of backup {}: {path}", old.short())))
    };
    assert!(lost("/one") || lost("/below/two"), "{said:#?}");
    assert_eq!(service.backups("web", Some("Local")).await.unwrap().len(), 1, "it is still there");
    let list = host.settings.data_directory.join(format!("reports/repair-{}.txt", said.id));
    let list = std::fs::read_to_string(list).unwrap();
    assert!(list.lines().any(|line| line.starts_with("Local\t") && line.contains(&old.0)), "{list}");
    assert!(list.lines().any(|line| line.starts_with("Second\t")), "{list}");

    let replace = RepairRequest {
        damaged_backups: DamagedBackups::Replace,
        destination: Some("Local".to_owned()),
        ..request()
    };
    std::fs::rename(&second, host.directory.join("away")).unwrap();
    let refused = repaired(&service, replace.clone()).await;
    assert!(failure(&refused).contains("nothing was dropped"), "{refused:#?}");
    assert_eq!(service.backups("web", Some("Local")).await.unwrap()[0].id, old);
    std::fs::rename(host.directory.join("away"), &second).unwrap();

    let done = repaired(&service, replace).await;
    assert_completed(&done);
    let left = service.backups("web", Some("Local")).await.unwrap();
    assert!(left.len() == 1 && left[0].id != old, "{left:#?}");
    assert_eq!(left[0].quality, BackupQuality::Incomplete);
    assert_completed(&checked(&service, Some("Local")).await);
    assert!(service.verification(&old).await.unwrap().is_none());
    service.stop().await;
}

/// Damages the packs that hold bytes of files, and leaves those of directories.
fn damage_packs_of_content(repository: &Path) {
    let before = objects(repository);
    damage_packs(repository);
    let biggest = before
        .iter()
        .filter(|(path, _)| path.starts_with(repository.join("data")))
        .max_by_key(|(_, bytes)| bytes.len())
        .map(|(path, _)| path.clone());
    for (path, bytes) in before {
        if Some(&path) != biggest.as_ref() && path.starts_with(repository.join("data")) {
            std::fs::write(&path, bytes).unwrap();
        }
    }
}
