//! Exchanges captured from a RavenDB server are answered by Larder in the same way, but for what is listed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod golden;
mod support;

use golden::differences::Listed;
use golden::replay::replay;
use larder_testbed::{Server, TempDir};
use support::larder;

fn serve(directory: &TempDir) -> Server {
    let mut command = larder();
    command.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(directory.join("data"));
    Server::start_command(command)
}

#[test]
fn every_captured_exchange_is_answered_alike_but_for_the_listed_differences() {
    let mut found = replay("fixture-7.2.7.json", serve);
    found.extend(replay("fixture-5.4.207.json", serve));
    let complaints = Listed::read().judge(&found);
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn the_listed_differences_are_documented() {
    const BEGIN: &str = "<!-- differences -->\n";
    const END: &str = "<!-- end of differences -->\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ravendb-compatibility.md");
    let written = std::fs::read_to_string(file).unwrap();
    let (before, rest) = written.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", Listed::read().as_markdown());
    if std::env::var_os("LARDER_UPDATE_DOCS").is_some() {
        std::fs::write(file, &expected).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert!(
        written == expected,
        "the document is not what differences.toml says; run: \
         LARDER_UPDATE_DOCS=1 cargo test -p larder --test ravendb_golden documented"
    );
}
