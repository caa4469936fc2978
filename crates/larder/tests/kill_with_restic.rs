//! Fifty times kill -9 at a random moment: the next run starts unaided, and nothing that was finished is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

#[test]
fn a_killed_run_never_stops_the_next_and_never_costs_a_finished_backup() {
    support::kills::kill_at_random_moments(50);
}
