//! A thousand power cuts that lose, tear and reorder what was not synced: every finished backup comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

#[test]
fn after_a_thousand_power_cuts_the_next_run_starts_unaided_and_no_backup_is_lost() {
    support::cuts::cut_the_power(1000);
}

#[test]
#[ignore = "the process that the drill records"]
fn backs_up_and_prunes_to_be_recorded() {
    support::cuts::work_to_be_recorded();
}
