//! Looking into backups: listed, searched, compared, downloaded; and what retention will do to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::ToSpan;
use larder_model::task::RetentionPolicy;
use larder_model::{BackupKind, BackupPath, Clock};
use larder_service::{BackupChoice, ChangeKind, Download, Section, Service, ServiceError, StoredKind};
use std::fs;
use support::{Host, assert_completed, backup, put, settle, sqlite, with_second};

const ALL: Section = Section { start: 0, count: 1000 };

fn path(text: &str) -> BackupPath {
    text.parse().unwrap()
}

async fn with_tree(host: &Host) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    service
}

async fn all_of(mut download: Download) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = download.next().await {
        bytes.extend(piece?);
    }
    Ok(bytes)
}

async fn names(service: &Service, directory: &str, section: Section) -> Vec<String> {
    let found =
        service.stored_directory("web", None, BackupChoice::Latest, path(directory), section).await.unwrap();
    found.entries.into_iter().map(|entry| entry.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_come_first_and_page_by_page() {
    let host = Host::new();
    let service = with_tree(&host).await;
    for number in 0..5 {
        fs::write(host.source_path("web").join(format!("a{number}")), "x").unwrap();
    }
    fs::create_dir(host.source_path("web").join("zoo")).unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    assert_eq!(names(&service, "", ALL).await, ["below", "zoo", "a0", "a1", "a2", "a3", "a4", "one"]);
    assert_eq!(names(&service, "/", Section { start: 1, count: 2 }).await, ["zoo", "a0"]);
    let below =
        service.stored_directory("web", None, BackupChoice::Latest, path("below"), ALL).await.unwrap();
    assert_eq!((below.total, below.file_bytes), (1, 100_000));
    let two = &below.entries[0];
    assert_eq!(
        (two.path.to_string().as_str(), two.kind, two.size_bytes),
        ("below/two", StoredKind::File, 100_000)
    );

    for (wrong, told) in [("below/nothing", "below/nothing"), ("one", "is no directory")] {
        let refused = service.stored_directory("web", None, BackupChoice::Latest, path(wrong), ALL).await;
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
    }
    let none = service.stored_directory("nothing", None, BackupChoice::Latest, path(""), ALL).await;
    assert!(matches!(none, Err(ServiceError::NotFound { .. })));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_wherever_they_lie() {
    let host = Host::new();
    let service = with_tree(&host).await;
    fs::write(host.source_path("web").join("below/Two more.TXT"), "x").unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let find = async |words: &str, section| {
        let found = service
            .search_backup("web", None, BackupChoice::Latest, words.to_owned(), section)
            .await
            .unwrap();
        let paths: Vec<String> = found.entries.iter().map(|entry| entry.path.to_string()).collect();
        (paths, found.more)
    };
    assert_eq!(
        find("two", ALL).await,
        (vec!["below/Two more.TXT".to_owned(), "below/two".to_owned()], false)
    );
    assert_eq!(find("txt TWO", ALL).await.0, ["below/Two more.TXT"]);
    assert_eq!(
        find("below/tw", Section { start: 0, count: 1 }).await,
        (vec!["below/Two more.TXT".to_owned()], true)
    );
    assert_eq!(find("nobody", ALL).await, (vec![], false));
    let empty = service.search_backup("web", None, BackupChoice::Latest, " ".to_owned(), ALL).await;
    assert!(matches!(empty, Err(ServiceError::Invalid { .. })));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_come_out_byte_for_byte() {
    let host = Host::new();
    let service = with_tree(&host).await;
    let large: Vec<u8> = larder_testbed::Random::new(7).bytes(9_000_000);
    fs::write(host.source_path("web").join("large"), &large).unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let file = service.download_file("web", None, BackupChoice::Latest, path("large")).await.unwrap();
    assert_eq!((file.name.as_str(), file.bytes), ("large", Some(9_000_000)));
    assert!(all_of(file).await.unwrap() == large);

    let archive = service.download_archive("web", None, BackupChoice::Latest, path("")).await.unwrap();
    assert_eq!((archive.name.as_str(), archive.bytes), ("web-2026-05-13-1005.tar", None));
    let archive = all_of(archive).await.unwrap();
    assert!(archive.len() > large.len() && archive.len() % 512 == 0 && archive.ends_with(&[0; 1024]));
    let below = service.download_archive("web", None, BackupChoice::Latest, path("below")).await.unwrap();
    assert_eq!(below.name, "below.tar");
    let below = all_of(below).await.unwrap();
    assert!(
        below.windows(4).any(|bytes| bytes == b"two\0") && !below.windows(5).any(|bytes| bytes == b"large")
    );

    let directory =
        service.download_file("web", None, BackupChoice::Latest, path("below")).await.unwrap_err();
    assert!(directory.to_string().contains("archive"), "{directory}");
    let nothing = service.download_file("web", None, BackupChoice::Latest, path("nothing")).await;
    assert!(matches!(nothing, Err(ServiceError::NotFound { .. })));
    // One that nobody takes to its end holds up nothing.
    for _ in 0..6 {
        let dropped = service.download_file("web", None, BackupChoice::Latest, path("large")).await.unwrap();
        drop(dropped);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_has_lost_ends_the_download_unless_another_has_it() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let second = host.directory.join("second");
    put(&service, with_second(host.nightly(), "Other", &second)).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    support::damage_packs(&host.backups().join("web"));
    let file = service.download_file("web", None, BackupChoice::Latest, path("below/two")).await.unwrap();
    assert!(all_of(file).await.unwrap() == vec![7; 100_000]);
    support::damage_packs(&second.join("web"));
    let broken = match service.download_file("web", None, BackupChoice::Latest, path("below/two")).await {
        Ok(download) => all_of(download).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(!broken.is_empty());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_of_a_tree_are_compared() {
    let host = Host::new();
    let service = with_tree(&host).await;
    let tree = host.source_path("web");
    let first = backup(&service, "web", BackupKind::Full).await;
    host.pass(&service, 1).await;
    fs::write(tree.join("three"), "new").unwrap();
    fs::write(tree.join("one"), "another first file of web\n").unwrap();
    fs::remove_file(tree.join("below/two")).unwrap();
    let last = backup(&service, "web", BackupKind::Incremental).await;
    let id = |operation: &larder_model::Operation| {
        BackupChoice::Id(operation.destinations[0].backup.clone().unwrap().0)
    };
    let compare = async |before, after, only: &[ChangeKind], section| {
        service.compare_backups("web", None, (before, after), only.to_vec(), section).await.unwrap()
    };
    let found = compare(id(&first), id(&last), &[], ALL).await;
    let told: Vec<(String, ChangeKind)> = found
        .entries
        .iter()
        .map(|one| (one.after.as_ref().or(one.before.as_ref()).unwrap().path.to_string(), one.change))
        .collect();
    let expected = [
        ("below/two".to_owned(), ChangeKind::Removed),
        ("one".to_owned(), ChangeKind::Changed),
        ("three".to_owned(), ChangeKind::Added),
    ];
    assert_eq!(told, expected);
    let removed = found.counts.iter().find(|count| count.kind == ChangeKind::Removed).unwrap();
    assert_eq!((removed.entries, removed.bytes_before, removed.bytes_after), (1, 100_000, 0));
    assert!(!found.is_same_content());

    let added = compare(id(&first), id(&last), &[ChangeKind::Added], ALL).await;
    assert_eq!((added.total, added.entries.len()), (1, 1));
    let second = compare(id(&first), id(&last), &[], Section { start: 1, count: 1 }).await;
    assert_eq!((second.total, second.entries[0].change), (3, ChangeKind::Changed));
    let same = compare(id(&last), BackupChoice::Latest, &[], ALL).await;
    assert!(same.is_same_content() && same.total == 0, "{same:#?}");
    let backwards = compare(id(&last), id(&first), &[ChangeKind::Added], ALL).await;
    assert_eq!(backwards.entries[0].after.as_ref().unwrap().path.to_string(), "below/two");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_of_a_database_show_their_tables_side_by_side() {
    let host = Host::new();
    let service = host.start().await;
    let shelf = host.shelf("shops");
    let file = host.source_path("shops").join("berlin.db");
    sqlite(&file, 100);
    settle(&file);
    service.add_source(shelf).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    let first = backup(&service, "berlin.db", BackupKind::Full).await;
    assert_completed(&first);
    host.pass(&service, 1).await;
    sqlite(&file, 1);
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch("CREATE TABLE other (id INTEGER)").unwrap();
    drop(connection);
    assert_completed(&backup(&service, "berlin.db", BackupKind::Incremental).await);
    let before = BackupChoice::Id(first.destinations[0].backup.clone().unwrap().0);
    let both = (before, BackupChoice::Latest);
    let found = service.compare_backups("berlin.db", None, both, Vec::new(), ALL).await.unwrap();
    let tables: Vec<_> = found.measures.iter().filter(|one| one.is_table).collect();
    assert_eq!(tables.len(), 2, "{:#?}", found.measures);
    assert_eq!(
        (tables[0].subject.as_str(), tables[0].count_before, tables[0].count_after),
        ("item", Some(100), Some(101))
    );
    assert_eq!((tables[1].subject.as_str(), tables[1].change), ("other", Some(ChangeKind::Added)));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outlook_says_what_goes_when_and_what_the_next_runs_make() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let mut task = host.nightly();
    task.periodic.incremental_backup_frequency = None;
    task.periodic.minimum_backups_to_keep = Some(1);
    task.periodic.retention_policy =
        Some(RetentionPolicy { keep_daily: Some(3), ..RetentionPolicy::default() });
    put(&service, task.clone()).await.unwrap();
    // Two backups on one day: only the later one is the newest of it.
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    host.clock.advance(jiff::SignedDuration::from_mins(5));
    fs::write(host.source_path("web").join("more"), "more").unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let now = host.clock.now();
    let outlook = async |days: i64, tried: Option<&larder_model::PeriodicBackupConfiguration>| {
        let until = now.checked_add((days * 24).hours()).unwrap();
        service.retention_outlook("web", None, tried, None, until).await.unwrap().remove(0)
    };
    let today = outlook(0, None).await;
    assert_eq!((today.backups.len(), today.going.len()), (1, 0), "{today:#?}");
    assert_eq!(today.backups[0].rules, ["one of the minimum of good backups", "the newest of its day"]);

    let week = outlook(7, None).await;
    assert_eq!(week.at.to_string(), "2026-05-20T02:00:00Z");
    assert!(week.backups.iter().all(|one| one.id.is_none()) && week.backups.len() == 3, "{week:#?}");
    let own: Vec<_> = week.going.iter().filter(|one| one.id.is_some()).collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].goes.unwrap().to_string(), "2026-05-16T02:00:00Z");
    assert_eq!(own[0].rules, ["the newest of its day"], "{:#?}", own[0]);

    let generous = larder_model::PeriodicBackupConfiguration {
        retention_policy: Some(RetentionPolicy { keep_daily: Some(30), ..RetentionPolicy::default() }),
        ..task.periodic.clone()
    };
    let kept = outlook(7, Some(&generous)).await;
    assert!(kept.going.is_empty() && kept.backups.len() == 8, "{kept:#?}");
    let for_ever = larder_model::PeriodicBackupConfiguration { retention_policy: None, ..task.periodic };
    let all = outlook(7, Some(&for_ever)).await;
    assert!(!all.has_policy && all.going.is_empty());
    service.stop().await;
}
