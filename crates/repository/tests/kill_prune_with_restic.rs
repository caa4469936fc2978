//! Twenty times kill -9 in a prune: the next run starts unaided, and every finished backup comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

#[test]
fn twenty_killed_prunes_cost_no_backup_and_leave_no_lock() {
    support::kills::kill_prunes(20);
}

#[test]
#[ignore = "the process that the drill starts and kills"]
fn prunes_until_it_is_killed() {
    support::kills::prune_as_told();
}
