//! A thousand flipped bits over all kinds of object.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

#[test]
fn a_thousand_flipped_bits_are_found_and_give_no_wrong_byte() {
    let tally = support::flips::flip_bits(1000, 2);
    assert_eq!(tally.by_folder.values().sum::<u32>(), 1000, "{tally:?}");
    assert!(tally.whole > 200 && tally.failed > 50, "{tally:?}");
}
