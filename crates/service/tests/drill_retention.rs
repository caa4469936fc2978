//! The retention oracle at full length.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod oracle;

#[test]
fn over_a_hundred_thousand_random_policies_and_histories_it_equals_the_model() {
    oracle::compare(100_000, 2);
}
