//! What a probe says of a destination.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use larder_storage::{Local, Probe, ProbeAct, ProbeOutcome, ProbeReport, Storage, StorageErrorKind};
use larder_testbed::{Call, Fault, FaultyStorage, MemoryStorage, TempDir};
use std::sync::Arc;
use std::time::Duration;

const REFUSED: Fault = Fault::Fail(StorageErrorKind::Denied);

fn place() -> Arc<FaultyStorage> {
    FaultyStorage::new(Arc::new(MemoryStorage::new()))
}

fn outcome(report: &ProbeReport, act: ProbeAct) -> &ProbeOutcome {
    &report.steps.iter().find(|step| step.act == act).expect("every act is reported").outcome
}

async fn leftovers(place: &FaultyStorage) -> usize {
    place.heal();
    place.list("").await.unwrap().len()
}

#[tokio::test]
async fn a_good_destination_works_and_nothing_stays_there() {
    let directory = TempDir::new();
    let local = Local::open(directory.path()).unwrap();
    let report = Probe::new(1).run(&local).await;
    assert!(report.works(), "{report}");
    assert_eq!(report.steps.iter().map(|step| step.act).collect::<Vec<_>>(), ProbeAct::ALL);
    assert!(local.list("").await.unwrap().is_empty());
    assert!(!report.left_behind);
    assert!(
        report.to_string().ends_with("works: an object was written, listed, read and deleted"),
        "{report}"
    );
}

#[tokio::test]
async fn each_right_that_is_missing_is_named_alone() {
    let rights = [
        (Call::Put, ProbeAct::Write, "the right to write objects is missing"),
        (Call::List, ProbeAct::List, "the right to list objects is missing"),
        (Call::Stat, ProbeAct::LookUp, "the right to look objects up is missing"),
        (Call::Get, ProbeAct::Read, "the right to read objects is missing"),
        (Call::GetRange, ProbeAct::ReadRange, "the right to read parts of objects is missing"),
        (Call::Delete, ProbeAct::Delete, "the right to delete objects is missing"),
    ];
    for (call, act, words) in rights {
        let place = place();
        place.always(call, "", REFUSED);
        let report = Probe::new(2).run(&*place).await;
        assert_eq!(report.missing().collect::<Vec<_>>(), [act], "{report}");
        assert_eq!(report.to_string().matches("is missing").count(), 1, "{report}");
        assert!(report.to_string().contains(words), "{report}");
        assert_eq!(report.left_behind, act == ProbeAct::Delete, "{report}");
        assert_eq!(report.to_string().contains(&report.object), report.left_behind, "{report}");
        assert_eq!(leftovers(&place).await, usize::from(report.left_behind));
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_from_a_single_missing_right() {
    let place = place();
    place.down_from(1, REFUSED);
    let report = Probe::new(3).run(&*place).await;
    let refused: Vec<_> = report.missing().collect();
    assert_eq!(refused, [ProbeAct::Write, ProbeAct::List, ProbeAct::Delete]);
    assert!(report.to_string().contains("check the credentials first"), "{report}");
    assert!(!report.left_behind);
}

#[tokio::test]
async fn an_object_that_is_lost_or_changed_is_no_right_that_is_missing() {
    let lies = [
        (Call::Put, Fault::Lose, ProbeAct::List),
        (Call::Put, Fault::FlipBit(4000), ProbeAct::ReadRange),
        (Call::Get, Fault::Cut(5), ProbeAct::Read),
        (Call::List, Fault::Lose, ProbeAct::List),
        (Call::Delete, Fault::Lose, ProbeAct::Delete),
    ];
    for (call, fault, act) in lies {
        let place = place();
        place.always(call, "", fault);
        let report = Probe::new(4).run(&*place).await;
        assert!(matches!(outcome(&report, act), ProbeOutcome::Failed(_)), "{fault:?}: {report}");
        assert_eq!(report.missing().count(), 0, "{report}");
    }
}

#[tokio::test]
async fn a_write_that_fails_still_shows_whether_listing_works_and_is_cleared_away() {
    let place = place();
    place.always(Call::Put, "", Fault::FailAfter(StorageErrorKind::Other));
    let report = Probe::new(5).run(&*place).await;
    assert!(matches!(outcome(&report, ProbeAct::List), ProbeOutcome::Works), "{report}");
    assert!(matches!(outcome(&report, ProbeAct::Read), ProbeOutcome::NotTried), "{report}");
    assert!(matches!(outcome(&report, ProbeAct::Delete), ProbeOutcome::NotTried), "{report}");
    assert_eq!(leftovers(&place).await, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_is_waited_for_once() {
    let place = place();
    place.down_from(1, Fault::Hang);
    let begun = tokio::time::Instant::now();
    let report = Probe::new(6).with_patience(Duration::from_secs(20)).run(&*place).await;
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert!(report.to_string().contains("it gave no answer within 20 s"), "{report}");
    assert!(report.left_behind, "the write may have been done");
    assert_eq!(report.missing().count(), 0);
}

#[tokio::test]
async fn two_probes_use_two_names() {
    let place = place();
    let names = [7, 8, 7].map(Probe::new);
    let mut objects = Vec::new();
    for probe in names {
        objects.push(probe.run(&*place).await.object);
    }
    assert_eq!(objects[0], objects[2]);
    assert_ne!(objects[0], objects[1]);
}
