//! What the server does by itself for repositories that lie still: it reads everything within the days that are named, and
//! frees what a prune retired.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::task::RetentionPolicy;
use larder_model::{BackupKind, Operation, OperationKind, OperationStatus, ServerWideBackupConfiguration};
use larder_service::{Health, OperationFilter, Service, UpkeepView, Verdict};
use larder_testbed::Random;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;
use support::{Host, all_ended, assert_completed, backup, damage_packs, failure, put};

/// A task that runs by itself once a year.
fn yearly(host: &Host) -> ServerWideBackupConfiguration {
    let mut task = host.nightly();
    task.periodic.full_backup_frequency = Some("0 2 1 1 *".to_owned());
    task.periodic.incremental_backup_frequency = None;
    task
}

async fn start(host: &Host) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, yearly(host)).await.unwrap();
    service
}

/// Lets a day pass, and returns what of this kind the server did then.
async fn a_day_later(host: &Host, service: &Service, kind: OperationKind) -> Vec<Operation> {
    let of_kind = OperationFilter { kind: Some(kind), ..OperationFilter::default() };
    let before = service.operations(&of_kind).len();
    host.clock.advance(SignedDuration::from_hours(24));
    service.tick().await.unwrap();
    all_ended(service).await;
    let mut all = service.operations(&of_kind);
    all.truncate(all.len() - before);
    all
}

fn upkeep(service: &Service) -> UpkeepView {
    service.upkeep("web").unwrap().remove(0)
}

/// Says how many packs an operation read.
fn packs_read(operation: &Operation) -> usize {
    let told = operation.messages.iter().find(|told| told.contains("were read")).expect("it says so");
    let words: Vec<&str> = told.split("; ").nth(1).unwrap().split(' ').collect();
    words[0].parse().unwrap()
}

fn packs(repository: &Path) -> usize {
    let folders = std::fs::read_dir(repository.join("data")).unwrap();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pack_is_read_within_the_days_that_are_named_and_a_restart_goes_on() {
    let mut host = Host::new();
    host.settings.check_days = NonZeroU32::new(3);
    let mut service = start(&host).await;
    for number in 0..6 {
        let path = host.source_path("web").join(format!("more {number}"));
        std::fs::write(path, Random::new(number).bytes(50_000)).unwrap();
        assert_completed(&backup(&service, "web", BackupKind::Incremental).await);
    }
    let there = packs(&host.backups().join("web"));
    assert!(there >= 12, "{there}");
    let mut read = Vec::new();
    for day in 1..=3_u32 {
        assert_eq!(upkeep(&service).round.unwrap().next_part, day);
        let made = a_day_later(&host, &service, OperationKind::Check).await;
        assert_eq!(made.len(), 1, "{made:#?}");
        assert_completed(&made[0]);
        assert!(made[0].messages[0].contains(&format!("(part {day}/3)")), "{made:#?}");
        read.push(packs_read(&made[0]));
        service.stop().await;
        drop(service);
        service = host.start().await;
    }
    assert_eq!(read.iter().sum::<usize>(), there, "{read:?}");
    let round = upkeep(&service).round.unwrap();
    assert!(round.round_ended.is_some() && round.next_part == 1, "{round:?}");
    let decisions = service.decisions("web", None, 9).await.unwrap();
    let told = |part: &str| decisions.iter().any(|one| one.reason.contains(part));
    assert!(told("part 1/3") && told("part 3/3"), "{decisions:#?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_where_no_days_are_named() {
    let host = Host::new();
    let service = start(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    for _ in 0..3 {
        assert_eq!(a_day_later(&host, &service, OperationKind::Check).await.len(), 0);
    }
    assert_eq!(upkeep(&service).round, None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_told_in_the_decision_log_and_remembered_until_the_part_is_right() {
    let mut host = Host::new();
    host.settings.check_days = NonZeroU32::new(1);
    let service = start(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let (repository, intact) = (host.backups().join("web"), host.directory.join("intact"));
    let copy = |from: &Path, to: &Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    };
    copy(&repository, &intact);
    damage_packs(&repository);
    let made = a_day_later(&host, &service, OperationKind::Check).await;
    assert!(failure(&made[0]).contains("data/"), "{made:#?}");
    assert!(made[0].messages.iter().any(|told| told.contains("lost of backup")), "{made:#?}");
    let damage = upkeep(&service).damage.expect("it is remembered");
    assert!(damage.contains("data/"), "{damage}");
    let shown = service.database("web").unwrap();
    assert!(shown.health == Health::Failed && shown.reason.contains("repair"), "{shown:#?}");
    let decisions = service.decisions("web", None, 9).await.unwrap();
    let told = |one: &larder_service::Decision| {
        one.decision == Verdict::Failed && one.reason.contains("upkeep at Local")
    };
    assert!(decisions.iter().any(told), "{decisions:#?}");
    std::fs::remove_dir_all(&repository).unwrap();
    copy(&intact, &repository);
    assert_completed(&a_day_later(&host, &service, OperationKind::Check).await[0]);
    assert_eq!(upkeep(&service).damage, None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_cannot_be_made_is_no_damage_and_comes_again_soon() {
    let mut host = Host::new();
    host.settings.check_days = NonZeroU32::new(5);
    let service = start(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let elsewhere = host.directory.join("elsewhere");
    std::fs::rename(host.backups(), &elsewhere).unwrap();
    let made = a_day_later(&host, &service, OperationKind::Check).await;
    failure(&made[0]);
    let view = upkeep(&service);
    assert_eq!((view.round.unwrap().next_part, view.damage), (1, None));
    std::fs::rename(&elsewhere, host.backups()).unwrap();
    host.pass(&service, 61).await;
    let all = all_ended(&service).await;
    assert_completed(all.last().unwrap());
    assert_eq!(upkeep(&service).round.unwrap().next_part, 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_retires_stays_for_the_grace_period_and_then_goes_by_itself() {
    let mut host = Host::new();
    host.settings.prune_grace = Duration::from_secs(47 * 3600);
    let service = start(&host).await;
    let mut task = yearly(&host);
    task.periodic.minimum_backups_to_keep = Some(1);
    task.periodic.retention_policy =
        Some(RetentionPolicy { keep_last: Some(1), ..RetentionPolicy::default() });
    put(&service, task).await.unwrap();
    let repository = host.backups().join("web");
    let changing = host.source_path("web").join("changing");
    let mut last = None;
    for number in 0..2 {
        std::fs::write(&changing, Random::new(number).bytes(200_000)).unwrap();
        last = Some(backup(&service, "web", BackupKind::Full).await);
        host.pass(&service, 1).await;
    }
    let last = last.unwrap();
    assert_completed(&last);
    assert!(last.messages.iter().any(|told| told.contains("grace period")), "{last:#?}");
    let waiting = packs(&repository);
    let due = upkeep(&service).prune_due.expect("another prune is to come");
    assert_eq!(a_day_later(&host, &service, OperationKind::Prune).await.len(), 0, "{due}");
    assert_eq!(packs(&repository), waiting);
    service.stop().await;
    drop(service);
    let service = host.start().await;
    let made = a_day_later(&host, &service, OperationKind::Prune).await;
    assert_eq!(made.len(), 1);
    assert_completed(&made[0]);
    assert!(packs(&repository) < waiting, "{made:#?}");
    assert_eq!(upkeep(&service).prune_due, None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_puts_the_part_off_and_loses_nothing() {
    let mut host = Host::new();
    host.settings.check_days = NonZeroU32::new(4);
    host.settings.max_concurrent_backups = 1;
    let service = start(&host).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    // A backup that does not end keeps the database busy, so that the check waits.
    std::fs::File::create(host.source_path("web").join("huge")).unwrap().set_len(500 << 30).unwrap();
    let busy = service.backup_now("web", None, BackupKind::Full).await.unwrap();
    host.clock.advance(SignedDuration::from_hours(24));
    service.tick().await.unwrap();
    let checks = OperationFilter { kind: Some(OperationKind::Check), ..OperationFilter::default() };
    let waiting = service.operations(&checks).remove(0);
    assert_eq!(waiting.status, OperationStatus::Queued);
    service.abort(waiting.id).await.unwrap();
    let round = upkeep(&service).round.unwrap();
    assert_eq!(round.next_part, 1);
    assert!(round.due.to_string() > host.clock_text(), "{round:?}");
    service.abort(busy).await.unwrap();
    service.stop().await;
}
