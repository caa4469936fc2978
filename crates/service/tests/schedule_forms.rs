//! Periodicities, backup windows, changes and levelling in the running service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::BackupKind::{self, Full, Incremental};
use larder_model::task::{BackupWindow, Periodicity, ScheduleEntry};
use larder_model::{EngineKind, OperationStatus, ServerWideBackupConfiguration};
use larder_service::{OperationFilter, Service, Verdict};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use support::{Host, all_ended, assert_completed, source, sqlite};

fn entry(when: &str, backup: BackupKind) -> ScheduleEntry {
    ScheduleEntry { when: when.to_owned(), backup, ..ScheduleEntry::default() }
}

/// A task with these schedules alone.
fn only(host: &Host, schedules: Vec<ScheduleEntry>) -> ServerWideBackupConfiguration {
    let mut task = host.nightly();
    task.periodic.full_backup_frequency = None;
    task.periodic.incremental_backup_frequency = None;
    task.periodic.schedules = schedules;
    task
}

async fn tags(service: &Service, database: &str) -> Vec<BTreeSet<Periodicity>> {
    let points = service.backups(database, None).await.unwrap();
    points.into_iter().rev().map(|point| point.periodicities.into_iter().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_serves_every_periodicity_that_is_due_and_its_backup_says_so() {
    use Periodicity::{Daily, Hourly, Manual, Shutdown};
    let host = Host::new();
    host.clock.set("2026-05-13T22:30:00Z".parse().unwrap());
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let schedules =
        vec![entry("Hourly", Incremental), entry("Daily", Incremental), entry("Shutdown", Incremental)];
    support::put(&service, only(&host, schedules)).await.unwrap();
    assert_eq!(host.pass(&service, 30).await, 1, "23:00");
    all_ended(&service).await;
    assert_eq!(host.pass(&service, 60).await, 1, "midnight: once for both");
    all_ended(&service).await;
    host.pass(&service, 1).await;
    let ids = service.backup_all(None, Incremental, Some(Shutdown)).await.unwrap();
    assert_eq!(ids.len(), 1);
    assert!(service.backup_all(None, Incremental, Some(Periodicity::Weekly)).await.unwrap().is_empty());
    all_ended(&service).await;
    host.pass(&service, 1).await;
    support::backup(&service, "web", Full).await;
    for operation in all_ended(&service).await {
        assert_completed(&operation);
    }
    let expected = [vec![Hourly], vec![Hourly, Daily], vec![Shutdown], vec![Manual]];
    assert_eq!(tags(&service, "web").await, expected.map(BTreeSet::from_iter));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_while_the_backup_window_is_closed() {
    let mut host = Host::new();
    host.settings.max_concurrent_backups = 1;
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    service.add_source(host.tree("mail")).await.unwrap();
    let mut task = host.nightly();
    task.periodic.backup_window = Some(BackupWindow { from: "12:00".to_owned(), to: "13:00".to_owned() });
    support::put(&service, task).await.unwrap();
    assert_eq!(host.pass(&service, 30).await, 0, "10:20 passes by");
    let next = service.database("web").unwrap().next_run.unwrap();
    assert_eq!(next.time.to_string(), "2026-05-13T12:00:00Z");
    // One of both takes until after the window closes, so the other's turn does not come any more.
    for name in ["web", "mail"] {
        let huge = std::fs::File::create(host.source_path(name).join("huge")).unwrap();
        huge.set_len(500 << 30).unwrap();
    }
    host.clock.set("2026-05-13T12:10:00Z".parse().unwrap());
    service.tick().await.unwrap();
    service.tick().await.unwrap();
    host.clock.set("2026-05-13T13:05:00Z".parse().unwrap());
    let running = OperationFilter { status: Some(OperationStatus::InProgress), ..OperationFilter::default() };
    let begun = Instant::now();
    while service.operations(&running).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "one begins");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = service.operations(&running)[0].clone();
    let waiting = service.queue();
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].reason.contains("closed"), "{}", waiting[0].reason);
    service.abort(first.id).await.unwrap();
    support::ended(&service, first.id).await;
    service.tick().await.unwrap();
    assert!(service.operations(&running).is_empty(), "the other one keeps waiting");
    let asked = service.backup_now(first.database.as_str(), None, Full).await.unwrap();
    let begun = Instant::now();
    while service.operation(asked).unwrap().status == OperationStatus::Queued {
        assert!(begun.elapsed() < Duration::from_secs(60), "what a person asks for begins at once");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    service.stop().await;
}

async fn next_minute(service: &Service, database: &str) -> Option<String> {
    let next = service.database(database).unwrap().next_run;
    next.map(|next| next.time.strftime("%H:%M").to_string())
}

/// Waits until a database's next run is as expected; events come when the file system tells.
async fn becomes(service: &Service, database: &str, expected: Option<&str>) {
    let begun = Instant::now();
    loop {
        let found = next_minute(service, database).await;
        if found.as_deref() == expected {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{found:?} is not {expected:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_a_tree_leads_to_a_backup_after_a_quiet_time() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let changes = entry("after changes, quiet 2m, at most every 30m", Incremental);
    support::put(&service, only(&host, vec![changes])).await.unwrap();
    // What changed while nobody watched is not known.
    becomes(&service, "web", Some("10:07")).await;
    assert_eq!(host.pass(&service, 2).await, 1);
    assert_completed(&all_ended(&service).await[0]);
    becomes(&service, "web", None).await;
    assert_eq!(host.pass(&service, 60).await, 0, "nothing changed, so nothing runs");
    let standing = service.decisions("web", None, 1).await.unwrap();
    assert!(standing[0].reason.contains("nothing changed"), "{standing:?}");
    std::fs::write(host.source_path("web").join("access.log"), "a line").unwrap();
    std::fs::write(host.source_path("web").join("below/three"), "new").unwrap();
    becomes(&service, "web", Some("11:09")).await;
    assert_eq!(host.pass(&service, 2).await, 1);
    let all = all_ended(&service).await;
    assert_completed(&all[1]);
    std::fs::write(host.source_path("web").join("below/four"), "new").unwrap();
    becomes(&service, "web", Some("11:39")).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_changes_cannot_be_watched_the_time_is_what_makes_it_due() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let changes = entry("after changes, quiet 2m, at most every 30m", Incremental);
    support::put(&service, only(&host, vec![changes])).await.unwrap();
    becomes(&service, "web", Some("10:07")).await;
    assert_eq!(host.pass(&service, 2).await, 1);
    all_ended(&service).await;
    becomes(&service, "web", None).await;
    std::fs::rename(host.source_path("web"), host.source_path("gone")).unwrap();
    becomes(&service, "web", Some("10:37")).await;
    let standing = service.decisions("web", None, 1).await.unwrap();
    assert!(standing[0].reason.contains("changes are not watched"), "{standing:?}");
    assert_eq!(host.pass(&service, 30).await, 1);
    assert_eq!(all_ended(&service).await[1].status, OperationStatus::Faulted, "the tree is gone");
    std::fs::rename(host.source_path("gone"), host.source_path("web")).unwrap();
    becomes(&service, "web", Some("11:07")).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_databases_on_one_task_do_not_start_in_one_minute() {
    let host = Host::new();
    let service = host.start().await;
    let shelf = host.source_path("shelf");
    std::fs::create_dir(&shelf).unwrap();
    sqlite(&shelf.join("db0.db"), 3);
    for number in 1..500 {
        std::fs::copy(shelf.join("db0.db"), shelf.join(format!("db{number}.db"))).unwrap();
    }
    service.add_source(source("shelf", EngineKind::Sqlite, &shelf)).await.unwrap();
    support::put(&service, host.nightly()).await.unwrap();
    let by_minute = |service: &Service| {
        let mut starts: HashMap<String, u32> = HashMap::new();
        for view in service.databases() {
            let next = view.next_run.unwrap();
            assert_eq!(next.time.strftime("%H:%M").to_string(), "10:20", "clients see the regular moment");
            *starts.entry(next.begins.strftime("%H:%M").to_string()).or_default() += 1;
        }
        starts
    };
    // A quarter of the 20 minutes until the next moment is used.
    let starts = by_minute(&service);
    assert!(starts.len() == 5 && starts.values().all(|count| *count < 150), "{starts:?}");
    assert_eq!(starts, by_minute(&service), "chance has no part in it");
    support::put(&service, only(&host, vec![entry("every 4h..6h", Incremental)])).await.unwrap();
    let mut starts: HashMap<String, u32> = HashMap::new();
    for view in service.databases() {
        *starts.entry(view.next_run.unwrap().begins.strftime("%H:%M").to_string()).or_default() += 1;
    }
    assert!(starts.values().all(|count| *count <= 3), "500 over 6 hours: {starts:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_log_tells_why_a_task_ran_or_did_not() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let mut task = host.nightly();
    support::put(&service, task.clone()).await.unwrap();
    let latest = async |service: &Service| service.decisions("web", None, 1).await.unwrap().remove(0);
    let waits = latest(&service).await;
    assert_eq!(waits.decision, Verdict::Waits);
    assert!(waits.reason.contains("2026-05-13 10:20:00 UTC"), "{}", waits.reason);
    host.pass(&service, 15).await;
    all_ended(&service).await;
    std::fs::rename(host.source_path("web"), host.source_path("gone")).unwrap();
    host.pass(&service, 20).await;
    all_ended(&service).await;
    service.stop().await;
    drop(service);
    std::fs::rename(host.source_path("gone"), host.source_path("web")).unwrap();
    host.clock.set("2026-05-15T09:01:00Z".parse().unwrap());
    let service = host.start().await;
    host.pass(&service, 0).await;
    all_ended(&service).await;
    let log = service.decisions("web", None, 50).await.unwrap();
    let mut said: Vec<(Verdict, String)> =
        log.into_iter().skip(1).map(|one| (one.decision, one.reason)).collect();
    said.reverse();
    let verdicts: Vec<Verdict> = said.iter().map(|(verdict, _)| *verdict).collect();
    let expected = [
        Verdict::Started,
        Verdict::Completed,
        Verdict::Started,
        Verdict::Failed,
        Verdict::Started,
        Verdict::Completed,
    ];
    assert_eq!(verdicts, expected, "{said:#?}");
    assert!(
        said[0].1.contains("*/20 * * * * (incremental) made it due at 2026-05-13 10:20:00 UTC"),
        "{said:#?}"
    );
    assert!(said[3].1.contains("web"), "why it failed: {said:#?}");
    assert!(said[4].1.contains("nobody was there then"), "{said:#?}");
    task.periodic.disabled = true;
    support::put(&service, task).await.unwrap();
    assert!(latest(&service).await.reason.contains("disabled"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_a_crash_cut_off_is_faulted_and_its_run_is_made_up_for() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    support::put(&service, host.nightly()).await.unwrap();
    let huge = std::fs::File::create(host.source_path("web").join("huge")).unwrap();
    huge.set_len(500 << 30).unwrap();
    assert_eq!(host.pass(&service, 15).await, 1);
    let begun = Instant::now();
    // The second is the first that is stored; the first of all says how it stands.
    while service.decisions("web", None, 2).await.unwrap().len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it begins");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What lies in the state now is what a crash leaves.
    std::fs::copy(host.directory.join("data/state.redb"), host.directory.join("crashed")).unwrap();
    service.stop().await;
    drop(service);
    std::fs::rename(host.directory.join("crashed"), host.directory.join("data/state.redb")).unwrap();
    std::fs::remove_file(host.source_path("web").join("huge")).unwrap();
    let service = host.start().await;
    let cut_off = service.operation(1).unwrap();
    assert_eq!(cut_off.status, OperationStatus::Faulted);
    assert!(cut_off.error.unwrap().contains("the server stopped while it ran"));
    host.pass(&service, 3).await;
    let all = all_ended(&service).await;
    assert_eq!(all.len(), 2);
    assert_completed(&all[1]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_only_written_says_whom_it_covers_and_where_in_the_day_it_falls() {
    let host = Host::new();
    let service = host.start().await;
    for name in ["web", "mail", "test"] {
        service.add_source(host.tree(name)).await.unwrap();
    }
    let mut stored = host.nightly();
    stored.periodic.full_backup_frequency = Some("20 6,18 * * *".to_owned());
    stored.periodic.incremental_backup_frequency = None;
    support::put(&service, stored.clone()).await.unwrap();
    let mut draft = host.nightly();
    draft.periodic.name = "Other".to_owned();
    draft.periodic.full_backup_frequency = Some("45 23 * * *".to_owned());
    draft.periodic.incremental_backup_frequency = Some("45 */12 * * *".to_owned());
    draft.excluded_databases = vec!["te*".to_owned()];
    let (covered, left_out) = service.coverage(&draft);
    let names = |all: &[larder_model::DatabaseName]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((names(&covered), names(&left_out)), (vec!["mail".into(), "web".into()], vec!["test".into()]));
    let zone = jiff::tz::TimeZone::get("Asia/Tokyo").unwrap();
    let day = service.day(&draft, &zone);
    // In UTC, the server's zone, 00:45, 12:45 and 23:45: nine hours later there.
    assert_eq!(day.own_minutes, [8 * 60 + 45, 9 * 60 + 45, 21 * 60 + 45]);
    // 6:20 and 18:20 for each of three.
    let busy: Vec<(usize, usize)> =
        day.others.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    assert_eq!(busy, [(3 * 4 + 1, 3), (15 * 4 + 1, 3)]);
    assert!(service.day(&stored, &zone).others.iter().all(|count| *count == 0), "it is not among the others");
    service.stop().await;
}
