//! Thousands of backups at a destination where every answer takes long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::Cancel;
use larder_repository::{Id, ObjectKind, RepositoryError};
use larder_testbed::BusyStorage;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::Bench;

const MANY: u32 = 200;

#[test]
fn snapshots_are_read_many_at_a_time_and_a_broken_one_hides_no_other() {
    let bench = Bench::new();
    let storage = Arc::new(BusyStorage::new(64, Duration::from_millis(2)));
    let repository = bench.create(storage.clone());
    for number in 0..MANY {
        let time = jiff::Timestamp::from_second(1_700_000_000 + i64::from(number)).unwrap().to_string();
        let snapshot = json!({ "time": time, "tree": Id::of(b"tree"), "paths": ["/source"] });
        repository.write_object(ObjectKind::Snapshot, &snapshot).unwrap();
    }
    repository.write_object(ObjectKind::Snapshot, &json!({ "time": "never" })).unwrap();
    assert_eq!(storage.most_inside(), 1, "until here one call followed the other");

    let (listed, broken) = repository.readable_snapshots(&Cancel::new()).unwrap();
    assert!(listed.is_sorted_by_key(|snapshot| snapshot.time) && listed.len() == MANY as usize);
    assert!(matches!(broken.as_slice(), [RepositoryError::Damaged { .. }]), "{broken:?}");
    assert!(storage.most_inside() > 16, "{} reads at once", storage.most_inside());

    // A part of them is read in the order that is asked for.
    let ids: Vec<Id> =
        listed.iter().rev().step_by(3).map(|snapshot| snapshot.id.0.parse().unwrap()).collect();
    let mut seen = Vec::new();
    let broken = repository.read_readable(&ids, &Cancel::new(), &mut |id, _| seen.push(*id)).unwrap();
    assert!(broken.is_empty() && seen == ids);
    let aborted = Cancel::new();
    aborted.cancel();
    let refused = repository.read_readable(&ids, &aborted, &mut |_, _| {});
    assert!(matches!(refused, Err(RepositoryError::Canceled(_))), "{refused:?}");
}
