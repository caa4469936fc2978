//! The engine `couchdb` against npm's pouchdb-server.
//!
//! Of the promises of every engine those are left out that this server cannot show: it asks nobody for a password, takes only
//! some names, and a CouchDB has no moment that all documents are of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod conformance;
mod couchdb;
mod memory;
mod servers;

use couchdb::{Servers, ask, bench, contents, fill, make, store};
use larder_engines::RestoreTarget;
use larder_model::EngineKind;
use larder_testbed::{PouchdbServer, TempDir};
use serde_json::{Value, json};
use servers::{Meanwhile, evidence, source};

conformance::conformance!(Servers::start;
    databases_are_found_as_they_come_and_go,
    a_full_backup_comes_back_in_the_same_server_under_a_new_name,
    a_full_backup_comes_back_in_another_server,
    an_incremental_holds_what_changed,
    what_did_not_change_is_known_to_be_unchanged,
    an_empty_database_comes_back_empty,
    one_large_table_comes_back,
    a_database_that_is_there_is_never_overwritten_unless_told_so,
    a_restore_that_breaks_leaves_nothing_behind,
    a_comparison_sees_what_differs,
    a_backup_is_proved_in_a_private_server,
    an_aborted_backup_ends_soon_and_is_none,
    a_server_that_is_not_there_is_an_error,
    a_server_that_stops_midway_is_an_error,
    a_database_that_is_not_there_is_an_error,
    an_unknown_option_is_refused_with_the_known_ones
);

#[test]
fn a_full_backup_comes_back_under_a_new_name_and_on_another_server_as_it_was() {
    let (server, other) = (PouchdbServer::start(), PouchdbServer::start());
    fill(&server);
    let bench = bench(&server, "shop");
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    assert!(found.iter().any(|database| database.locator == "shop" && database.suggested_name == "shop"));
    assert!(bench.engine().missing_rights(&bench.source).unwrap().is_empty());
    let backup = bench.full().unwrap();
    assert_eq!(evidence(&backup.0, "Documents in segment 000000"), "5");
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
    for (place, name) in [(&server, "shop-2"), (&other, "shop")] {
        let target = source(EngineKind::Couchdb, &place.address());
        let target = RestoreTarget::Server { source: &target, name };
        bench.restore(&backup, target, false).unwrap();
        assert_eq!(contents(place, name), contents(&server, "shop"));
        let comparison = bench.compare(&backup, target);
        assert_eq!(comparison.differences, [""; 0]);
        assert!(comparison.compared.contains("8 revisions and attachments"), "{}", comparison.compared);
        let refused = bench.restore(&backup, target, false).unwrap_err().to_string();
        assert!(refused.contains("not empty"), "{refused}");
    }
    store(&other, "shop", &json!([{"_id": "b", "new": true}]));
    let target = source(EngineKind::Couchdb, &other.address());
    let target = RestoreTarget::Server { source: &target, name: "shop" };
    bench.restore(&backup, target, true).unwrap();
    assert_eq!(contents(&other, "shop"), contents(&server, "shop"));
    make(&other, "empty");
    let told = bench.compare(
        &backup,
        RestoreTarget::Server { source: &source(EngineKind::Couchdb, &other.address()), name: "empty" },
    );
    assert_eq!(told.differences.len(), 5, "{told:?}");
}

#[test]
fn an_incremental_reads_only_what_changed_and_restores_alone() {
    let (server, other) = (PouchdbServer::start(), PouchdbServer::start());
    fill(&server);
    let bench = bench(&server, "shop");
    let mut backup = bench.full().unwrap();
    for round in 1..=3 {
        assert!(bench.is_unchanged(&backup.0));
        let a = ask(&server, "GET", "/shop/a", &Value::Null);
        let files = ask(&server, "GET", "/shop/files", &Value::Null);
        store(
            &server,
            "shop",
            &json!([
                {"_id": "a", "_rev": a["_rev"], "round": round},
                {"_id": format!("new-{round}")},
                {"_id": "files", "_rev": files["_rev"], "_attachments": {
                    "new": {"content_type": "text/plain", "data": "bmV3"},
                    "a b/ü.txt": files["_attachments"]["a b/ü.txt"],
                }},
            ]),
        );
        assert!(!bench.is_unchanged(&backup.0));
        backup = bench.incremental(backup).unwrap();
        assert_eq!(evidence(&backup.0, &format!("Documents in segment {round:06}")), "3");
        assert_eq!(evidence(&backup.0, "Documents in segment 000000"), "5");
    }
    let again = bench.incremental(backup).unwrap();
    assert!(
        !again.1.names().iter().any(|name| name.starts_with("000004")),
        "nothing changed: no new segment"
    );
    assert_eq!(bench.prove(&again).unwrap().differences, [""; 0]);
    let target = source(EngineKind::Couchdb, &other.address());
    let target = RestoreTarget::Server { source: &target, name: "shop" };
    bench.restore(&again, target, false).unwrap();
    assert_eq!(contents(&other, "shop"), contents(&server, "shop"));
    assert_eq!(bench.compare(&again, target).differences, [""; 0]);
}

#[test]
fn a_database_that_was_made_anew_is_read_in_full() {
    let server = PouchdbServer::start();
    fill(&server);
    let bench = bench(&server, "shop");
    let before = bench.full().unwrap();
    ask(&server, "DELETE", "/shop", &Value::Null);
    let told = bench.fails();
    assert!(told.contains("the database shop") && told.contains("does not exist"), "{told}");
    make(&server, "shop");
    store(&server, "shop", &json!([{"_id": "only"}]));
    assert!(!bench.is_unchanged(&before.0));
    let after = bench.incremental(before).unwrap();
    assert_eq!(evidence(&after.0, "Documents in segment 000000"), "1");
    assert!(after.0.messages.iter().any(|message| message.contains("made anew")), "{:?}", after.0.messages);
}

#[test]
fn an_empty_database_and_odd_names_are_backed_up() {
    let (server, other) = (PouchdbServer::start(), PouchdbServer::start());
    for name in ["empty", "a%2Bb-c_$1(x)", "_users"] {
        if name != "_users" {
            make(&server, name);
        }
        let locator = name.replace("%2B", "+");
        let bench = bench(&server, &locator);
        assert!(
            bench.engine().discover(&bench.source, &[]).unwrap().iter().any(|found| found.locator == locator)
        );
        let backup = bench.full().unwrap();
        assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
        let target = source(EngineKind::Couchdb, &other.address());
        let target = RestoreTarget::Server { source: &target, name: &format!("new-{}", locator.len()) };
        bench.restore(&backup, target, false).unwrap();
    }
}

#[test]
fn many_documents_are_read_in_parts_while_they_are_written() {
    let (server, other) = (PouchdbServer::start(), PouchdbServer::start());
    make(&server, "many");
    for part in 0..6 {
        let documents: Vec<Value> = (0..200)
            .map(|number| json!({"_id": format!("d{part}-{number}"), "text": "x".repeat(500)}))
            .collect();
        store(&server, "many", &json!(documents));
    }
    let bench = bench(&server, "many");
    let write = || {
        let documents: Vec<Value> = (0..50).map(|number| json!({"_id": format!("late-{number}")})).collect();
        store(&server, "many", &json!(documents));
    };
    let mut sink = Meanwhile::new(1_000, write);
    let report = bench.take_into(&mut sink, None).unwrap();
    let backup = bench.incremental((report, sink.inner)).unwrap();
    let target = source(EngineKind::Couchdb, &other.address());
    let target = RestoreTarget::Server { source: &target, name: "many" };
    bench.restore(&backup, target, false).unwrap();
    assert_eq!(contents(&other, "many"), contents(&server, "many"));
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
}

#[test]
fn a_server_that_dies_midway_and_an_abort_leave_no_backup() {
    let mut server = PouchdbServer::start();
    make(&server, "many");
    for part in 0..6 {
        let documents: Vec<Value> =
            (0..200).map(|number| json!({"_id": format!("d{part}-{number}")})).collect();
        store(&server, "many", &json!(documents));
    }
    let aborted = bench(&server, "many");
    let mut sink = Meanwhile::new(1_000, || aborted.cancel.cancel());
    assert_eq!(aborted.take_into(&mut sink, None).unwrap_err().to_string(), "the operation was aborted");
    let bench = bench(&server, "many");
    let mut sink = Meanwhile::new(1_000, || server.kill());
    let told = bench.take_into(&mut sink, None).unwrap_err().to_string();
    assert!(told.contains("asking http://127.0.0.1"), "{told}");
    assert!(!sink.inner.names().iter().any(|name| name == "couchdb.json"));
    assert!(bench.fails().contains("see whether the server runs"));
}

#[test]
fn a_damaged_backup_is_not_restored_and_what_was_begun_is_taken_back() {
    let (server, other) = (PouchdbServer::start(), PouchdbServer::start());
    fill(&server);
    let bench = bench(&server, "shop");
    let whole = bench.full().unwrap();
    for (name, place) in [("000000/000000-000000.bin", 0), ("000000/000000.jsonl", 3)] {
        let mut damaged = whole.clone();
        let entry = damaged.1.entries.iter_mut().find(|(listed, _)| listed.path == name.as_bytes()).unwrap();
        entry.1[place] ^= 1;
        assert!(bench.prove(&damaged).is_err());
        let target = source(EngineKind::Couchdb, &other.address());
        bench.restore(&damaged, RestoreTarget::Server { source: &target, name: "shop" }, false).unwrap_err();
        let names = ask(&other, "GET", "/_all_dbs", &Value::Null);
        assert!(!names.to_string().contains("shop"), "{names}");
    }
    let directory = TempDir::new();
    bench.restore(&whole, RestoreTarget::Path(directory.path()), false).unwrap();
    assert_eq!(bench.compare(&whole, RestoreTarget::Path(directory.path())).differences, [""; 0]);
}
