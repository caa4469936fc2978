//! Fifty flipped bits over all kinds of object; `drill_bit_flips.rs` flips a thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

#[test]
fn fifty_flipped_bits_are_found_and_give_no_wrong_byte() {
    let tally = support::flips::flip_bits(50, 1);
    assert_eq!(tally.by_folder.values().sum::<u32>(), 50, "{tally:?}");
    assert!(tally.whole > 10 && tally.failed > 0, "{tally:?}");
}
