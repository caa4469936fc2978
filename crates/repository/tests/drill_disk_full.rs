//! A destination's disk that is full at every percent of the space needed, in a backup and in a prune.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use support::full::{back_up_onto_full_disks, prune_on_full_disks, with_a_disk_of_its_own};

#[test]
fn a_backup_onto_a_full_disk_names_it_and_goes_on_once_there_is_space() {
    with_a_disk_of_its_own("on_its_own_disk_it_backs_up", 1);
}

#[test]
fn a_prune_on_a_full_disk_costs_nothing_and_goes_on_once_there_is_space() {
    with_a_disk_of_its_own("on_its_own_disk_it_prunes", 1);
}

#[test]
#[ignore = "runs where it may mount disks, started by the test above"]
fn on_its_own_disk_it_backs_up() {
    back_up_onto_full_disks();
}

#[test]
#[ignore = "runs where it may mount disks, started by the test above"]
fn on_its_own_disk_it_prunes() {
    prune_on_full_disks();
}
