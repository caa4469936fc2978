//! A destination that hangs must hang nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{BackupWriter, RepositoryError, Seal};
use larder_testbed::{Call, Fault, wait_until};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;
use support::made::{add_all, memory};

#[test]
fn a_hanging_destination_is_left_out_after_a_while() {
    let bench = Bench::new();
    let (good, _) = memory();
    let (bad, _) = memory();
    let first = bench.create(good);
    let second = first.create_twin(bad.clone(), &Bench::credentials()).unwrap();
    for folder in ["data/", "snapshots/"] {
        bad.heal();
        bad.always(Call::Put, folder, Fault::Hang);
        let mut options = bench.options();
        options.stall_seconds = 1;
        options.memory_budget_bytes = 32 << 20;
        let mut writer = bench.writer(&[first.clone(), second.clone()], options);
        add_all(&mut writer, 2).unwrap();
        let summary = writer.finish(Seal::default()).unwrap();
        assert!(summary.targets[0].snapshot.is_ok());
        let outcome = summary.targets[1].snapshot.as_ref();
        assert!(matches!(outcome, Err(RepositoryError::Stalled { .. })), "{outcome:?}");
    }
}

#[test]
fn a_destination_that_hangs_at_any_call_never_holds_up_the_others_for_long() {
    let bench = Bench::new();
    let (good, _) = memory();
    let (bad, _) = memory();
    let first = bench.create(good);
    let second = first.create_twin(bad.clone(), &Bench::credentials()).unwrap();
    // The hanging one stands first, so that it is also the one whose backup before serves as parent.
    let targets = [second, first];
    let run = |seed| {
        let mut options = bench.options();
        (options.stall_seconds, options.opening_seconds) = (1, 1);
        options.memory_budget_bytes = 32 << 20;
        let mut writer = bench.writer(&targets, options);
        add_all(&mut writer, seed).unwrap();
        writer.finish(Seal::default()).unwrap()
    };
    run(1);
    for call in [Call::List, Call::Get, Call::GetRange, Call::Put] {
        bad.heal();
        bad.always(call, "", Fault::Hang);
        let began = Instant::now();
        // Other files than in the run before, so that something is to be written.
        let summary = run(10 + call as u64);
        assert!(began.elapsed() < Duration::from_secs(20), "{call:?}: {:?}", began.elapsed());
        assert!(summary.targets[1].snapshot.is_ok(), "{call:?}");
        // A backup before that cannot be read is no reason to leave a destination out.
        let stalled = matches!(summary.targets[0].snapshot, Err(RepositoryError::Stalled { .. }));
        assert_eq!(stalled, call != Call::GetRange, "{call:?}: {:?}", summary.targets[0].snapshot);
    }
}

#[test]
fn the_only_destination_is_given_up_when_it_stays_silent() {
    let bench = Bench::new();
    for (call, folder) in [(Call::List, ""), (Call::Put, "data/"), (Call::Put, "snapshots/")] {
        let (storage, _) = memory();
        let repository = bench.create(storage.clone());
        storage.always(call, folder, Fault::Hang);
        let mut options = bench.options();
        options.silence_seconds = 1;
        options.memory_budget_bytes = 32 << 20;
        let targets = std::slice::from_ref(&repository);
        let counters = Arc::new(Counters::default());
        let outcome =
            BackupWriter::start(targets, options, Cancel::new(), counters).and_then(|mut writer| {
                add_all(&mut writer, 2)?;
                writer.finish(Seal::default())
            });
        assert!(matches!(outcome, Err(RepositoryError::Stalled { .. })), "{call:?} {folder}: {outcome:?}");
        storage.heal();
        assert_eq!(repository.snapshots().unwrap(), []);
    }
}

#[test]
fn an_abort_while_a_destination_hangs_at_the_start_is_prompt() {
    let bench = Bench::new();
    let (storage, _) = memory();
    let repository = bench.create(storage.clone());
    storage.always(Call::List, "", Fault::Hang);
    let cancel = Cancel::new();
    let (targets, counters) = (std::slice::from_ref(&repository), Arc::new(Counters::default()));
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            let asked = || (storage.count(Call::List) > 0).then_some(());
            wait_until("asking the destination", Duration::from_secs(10), asked);
            cancel.cancel();
        });
        BackupWriter::start(targets, bench.options(), cancel.clone(), counters)
    });
    assert!(outcome.unwrap_err().is_canceled());
}
