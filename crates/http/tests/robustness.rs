//! A thousand random requests, made from the OpenAPI document: none is answered as if the server were at fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_however_odd_is_the_servers_fault() {
    let tally = support::fuzz::ask_at_random(1_000, 1).await;
    assert!(tally.done > 100 && tally.declined > 100, "the requests are not mixed: {tally:?}");
}
