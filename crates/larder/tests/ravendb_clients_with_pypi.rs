//! RavenDB's Python client, as published, drives Larder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod clients;
mod support;

use clients::{Shop, installed};

#[test]
fn the_article_works_and_reading_and_writing_back_wipes_nothing() {
    let python = installed("venv/bin/python").join("venv/bin/python");
    let ended = Shop::open().run(&python, "article.py", &[]);
    assert!(ended.said.ends_with("12 steps\n"), "{}", ended.said);
}
