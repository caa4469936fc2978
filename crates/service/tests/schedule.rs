//! What runs when, on a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::BackupKind::{Full, Incremental};
use larder_model::task::CatchUp;
use larder_model::{BackupKind, Operation, OperationStatus};
use larder_service::{Decision, Health, Service, Verdict};
use support::{Host, all_ended, assert_completed, backup, put};

async fn with_tree(host: &Host, catch_up: CatchUp) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let mut nightly = host.nightly();
    nightly.periodic.catch_up = catch_up;
    put(&service, nightly).await.unwrap();
    service
}

fn history(operations: &[Operation]) -> Vec<(String, BackupKind)> {
    operations
        .iter()
        .map(|operation| {
            assert_completed(operation);
            (operation.started.unwrap().strftime("%d %H:%M").to_string(), operation.backup_kind.unwrap())
        })
        .collect()
}

fn moments(expected: &[(&str, BackupKind)]) -> Vec<(String, BackupKind)> {
    expected.iter().map(|(time, kind)| ((*time).to_owned(), *kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_come_at_their_moments_and_a_full_serves_both() {
    let host = Host::new();
    let service = with_tree(&host, CatchUp::Once).await;
    host.clock.set("2026-05-14T01:35:00Z".parse().unwrap());
    service.tick().await.unwrap();
    all_ended(&service).await;
    for minutes in [4, 1, 1, 18, 1, 1, 18, 1] {
        host.pass(&service, minutes).await;
        all_ended(&service).await;
    }
    let expected =
        [("14 01:35", Full), ("14 01:40", Incremental), ("14 02:00", Full), ("14 02:20", Incremental)];
    assert_eq!(history(&all_ended(&service).await), moments(&expected));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_missed_while_down_is_caught_up_once() {
    let host = Host::new();
    let service = with_tree(&host, CatchUp::Once).await;
    assert_completed(&backup(&service, "web", Full).await);
    service.stop().await;
    drop(service);
    host.clock.set("2026-05-16T09:00:00Z".parse().unwrap());
    let service = host.start().await;
    service.tick().await.unwrap();
    let caught_up = all_ended(&service).await;
    assert_eq!(history(&caught_up), moments(&[("13 10:05", Full), ("16 09:00", Full)]));
    assert_eq!(host.pass(&service, 19).await, 0);
    assert_eq!(host.pass(&service, 1).await, 1, "09:20 comes as always");
    all_ended(&service).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_missed_while_down_can_be_skipped() {
    let host = Host::new();
    let service = with_tree(&host, CatchUp::Skip).await;
    assert_completed(&backup(&service, "web", Full).await);
    service.stop().await;
    drop(service);
    host.clock.set("2026-05-16T09:01:00Z".parse().unwrap());
    let service = host.start().await;
    assert_eq!(host.pass(&service, 0).await, 0);
    assert_eq!(service.database("web").unwrap().next_run.unwrap().time.to_string(), "2026-05-16T09:20:00Z");
    let skipped = |decisions: Vec<Decision>| -> Vec<String> {
        let skipped = decisions.into_iter().filter(|decision| decision.decision == Verdict::Skipped);
        skipped.map(|decision| decision.reason).collect()
    };
    let told = skipped(service.decisions("web", None, 10).await.unwrap());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("skips what was missed") && told[0].contains("2026-05-13"), "{told:?}");
    service.stop().await;
    drop(service);
    let service = host.start().await;
    host.pass(&service, 0).await;
    assert_eq!(skipped(service.decisions("web", None, 10).await.unwrap()), told, "told once");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_servers_stop_cut_off_is_owed() {
    let host = Host::new();
    let service = with_tree(&host, CatchUp::Once).await;
    let huge = std::fs::File::create(host.source_path("web").join("huge")).unwrap();
    huge.set_len(500 << 30).unwrap();
    assert_eq!(host.pass(&service, 15).await, 1);
    service.stop().await;
    assert_eq!(service.operation(1).unwrap().status, OperationStatus::Canceled);
    drop(service);
    std::fs::remove_file(host.source_path("web").join("huge")).unwrap();
    host.clock.advance(jiff::SignedDuration::from_mins(3));
    let service = host.start().await;
    service.tick().await.unwrap();
    let all = all_ended(&service).await;
    assert_eq!(history(&all[1..]), moments(&[("13 10:23", Full)]));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_waits_for_the_next_moment() {
    let host = Host::new();
    let service = with_tree(&host, CatchUp::Once).await;
    std::fs::rename(host.source_path("web"), host.source_path("gone")).unwrap();
    assert_eq!(host.pass(&service, 15).await, 1);
    assert_eq!(all_ended(&service).await[0].status, OperationStatus::Faulted);
    assert_eq!(host.pass(&service, 1).await, 0);
    std::fs::rename(host.source_path("gone"), host.source_path("web")).unwrap();
    assert_eq!(host.pass(&service, 19).await, 1);
    let all = all_ended(&service).await;
    assert_completed(&all[1]);
    let view = service.database("web").unwrap();
    assert_eq!(view.health, Health::Good);
    assert_eq!(view.tasks[0].status.error, None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_waits_too_long_is_late() {
    let mut host = Host::new();
    host.settings.max_concurrent_backups = 1;
    let service = with_tree(&host, CatchUp::Once).await;
    service.add_source(host.tree("mail")).await.unwrap();
    let huge = std::fs::File::create(host.source_path("mail").join("huge")).unwrap();
    huge.set_len(500 << 30).unwrap();
    service.backup_now("mail", None, Full).await.unwrap();
    host.pass(&service, 15).await;
    host.pass(&service, 15).await;
    let view = service.database("web").unwrap();
    assert_eq!(view.health, Health::Late, "{}", view.reason);
    service.stop().await;
}
