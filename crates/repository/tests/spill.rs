//! Packs that wait on disk for a slow destination.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{BackupOptions, BackupSummary, CheckOptions, RepositoryError, Seal, SpillOptions};
use larder_testbed::{Call, Fault, FaultyStorage, Random};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;
use support::made::{file_entry, memory};

/// Several times what the memory below holds.
const SOURCE_BYTES: u64 = 128 << 20;

fn options(bench: &Bench, spill: Option<SpillOptions>) -> BackupOptions {
    BackupOptions { memory_budget_bytes: 80 << 20, threads: 1, stall_seconds: 7, spill, ..bench.options() }
}

fn spill(bench: &Bench) -> SpillOptions {
    std::fs::create_dir_all(bench.path("staging")).unwrap();
    SpillOptions { directory: bench.path("staging"), most_bytes: 1 << 30, keep_free_bytes: 1 << 20 }
}

fn source() -> impl Read {
    let mut random = Random::new(7);
    let block = random.bytes(1 << 20);
    let blocks = (0..SOURCE_BYTES >> 20).map(move |number| {
        let mut block = block.clone();
        // No two alike, so that each is stored.
        block.iter_mut().step_by(16).for_each(|byte| *byte ^= (number as u8).wrapping_mul(37) | 1);
        block.rotate_left(usize::try_from(number).unwrap() * 31);
        std::io::Cursor::new(block)
    });
    blocks.fold(Box::new(std::io::empty()) as Box<dyn Read>, |all, block| Box::new(all.chain(block)))
}

/// Backs up to a destination that is as fast as memory, and to one that takes so long for each object.
fn back_up(
    bench: &Bench,
    delay: Duration,
    spill: Option<SpillOptions>,
) -> (Duration, BackupSummary, Arc<FaultyStorage>) {
    let (fast, _) = memory();
    let (slow, _) = memory();
    let first = bench.create(fast);
    let second = first.create_twin(slow.clone(), &Bench::credentials()).unwrap();
    slow.always(Call::Put, "data/", Fault::Stall(delay));
    let mut writer = bench.writer(&[first, second.clone()], options(bench, spill));
    let begun = Instant::now();
    writer.stream(file_entry("dump", SOURCE_BYTES), &mut source(), None).unwrap();
    let read = begun.elapsed();
    let summary = writer.finish(Seal::default()).unwrap();
    slow.heal();
    if summary.targets[1].snapshot.is_ok() {
        let options = CheckOptions { read_data: true, part: None, threads: 1 };
        let report = second.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
    (read, summary, slow)
}

#[test]
fn a_slow_destination_is_waited_for_on_disk_while_the_source_is_read_on() {
    let bench = Bench::new();
    // Eight packs, three in memory at once: the seventh would be read after 12 s.
    let delay = Duration::from_secs(6);
    let (read, summary, _) = back_up(&bench, delay, Some(spill(&bench)));
    assert!(summary.targets.iter().all(|target| target.snapshot.is_ok()), "{:?}", summary.targets);
    assert!(summary.bytes_spilled > 30 << 20, "{} bytes", summary.bytes_spilled);
    assert!(read < Duration::from_secs(11), "reading took {read:?}");
    // A file that packs wait in has no name.
    assert_eq!(std::fs::read_dir(bench.path("staging")).unwrap().count(), 0);
}

#[test]
fn without_the_disk_nothing_is_written_there_and_a_destination_that_does_not_move_is_left_out() {
    let bench = Bench::new();
    let (_, summary, _) = back_up(&bench, Duration::from_secs(30), None);
    assert_eq!(summary.bytes_spilled, 0);
    assert!(summary.targets[0].snapshot.is_ok());
    let outcome = &summary.targets[1].snapshot;
    assert!(matches!(outcome, Err(RepositoryError::Stalled { .. })), "{outcome:?}");
}

#[test]
fn no_more_waits_on_disk_than_may_and_a_disk_without_room_takes_nothing() {
    let bench = Bench::new();
    let tight = SpillOptions { most_bytes: 40 << 20, ..spill(&bench) };
    let (_, summary, _) = back_up(&bench, Duration::from_millis(300), Some(tight));
    assert!(summary.targets.iter().all(|target| target.snapshot.is_ok()), "{:?}", summary.targets);
    let full = SpillOptions { keep_free_bytes: u64::MAX, ..spill(&bench) };
    let (_, summary, _) = back_up(&bench, Duration::from_millis(300), Some(full));
    assert_eq!(summary.bytes_spilled, 0);
    assert!(summary.targets.iter().all(|target| target.snapshot.is_ok()), "{:?}", summary.targets);
    let missing = SpillOptions { directory: bench.path("nowhere"), ..spill(&bench) };
    let (_, summary, _) = back_up(&bench, Duration::from_millis(300), Some(missing));
    assert_eq!(summary.bytes_spilled, 0);
    assert!(summary.targets.iter().all(|target| target.snapshot.is_ok()), "{:?}", summary.targets);
}
