//! RavenDB's Node client, as published, drives Larder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod clients;
mod support;

use clients::{Shop, installed};

fn drive(script: &str, steps: usize) {
    let modules = installed("node_modules/ravendb");
    let node = larder_testbed::installed("node", "nodejs");
    let ended = Shop::open().run(&node, script, &[("CLIENT_MODULES", &modules)]);
    assert!(ended.said.ends_with(&format!("{steps} steps\n")), "{}", ended.said);
}

#[test]
fn every_example_of_the_article_on_server_wide_backup_works() {
    drive("article.mjs", 18);
}

#[test]
fn a_database_is_made_gets_its_task_is_backed_up_restored_and_deleted() {
    drive("life.mjs", 12);
}
