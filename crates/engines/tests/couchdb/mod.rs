//! Servers that speak CouchDB's protocol, and what is in them.
#![allow(dead_code, reason = "each test binary uses another part")]

use crate::conformance::{Bench, Load};
use crate::servers::source;
use larder_engines::Host;
use larder_model::{EngineKind, Source};
use larder_testbed::{PouchdbServer, Random};
use serde_json::{Value, json};
use std::cell::{OnceCell, RefCell};

/// Where a server is.
pub(crate) trait Place {
    fn url(&self) -> String;
}

impl Place for PouchdbServer {
    fn url(&self) -> String {
        self.address()
    }
}

impl Place for Source {
    fn url(&self) -> String {
        self.address.clone()
    }
}

/// The documents of a database, as a source has them.
pub(crate) fn bench(server: &impl Place, database: &str) -> crate::servers::Bench {
    crate::servers::Bench::new(source(EngineKind::Couchdb, &server.url()), database)
}

pub(crate) fn ask(server: &impl Place, method: &str, path: &str, body: &Value) -> Value {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", server.url()))
        .header("Content-Type", "application/json")
        .body(if body.is_null() { String::new() } else { body.to_string() })
        .unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.run(request).unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

pub(crate) fn store(server: &impl Place, database: &str, documents: &Value) {
    let told = ask(server, "POST", &format!("/{database}/_bulk_docs"), &json!({ "docs": documents }));
    assert!(told.as_array().unwrap().iter().all(|row| row.get("error").is_none()), "{told}");
}

pub(crate) fn make(server: &impl Place, database: &str) {
    assert_eq!(ask(server, "PUT", &format!("/{database}"), &Value::Null), json!({"ok": true}));
}

/// Something of everything: conflicts, a deletion, attachments, a design document, odd names and numbers.
pub(crate) fn fill_into(server: &impl Place, database: &str) {
    store(
        server,
        database,
        &json!([
            {"_id": "a", "price": 1.5, "large": 9_007_199_254_740_993_u64, "text": "ü \" \\ \u{1f600}"},
            {"_id": "with/slash and ü", "n": [1, {"x": null}]},
            {"_id": "_design/views", "views": {"all": {"map": "function (doc) { emit(doc._id); }"}}},
            {"_id": "old", "n": 1},
            {"_id": "files", "_attachments": {
                "a b/ü.txt": {"content_type": "text/plain", "data": "aGVsbG8="},
                "empty": {"content_type": "application/octet-stream", "data": ""},
            }},
        ]),
    );
    // A conflict, as replication leaves it.
    let conflict = json!({"new_edits": false, "docs": [
        {"_id": "a", "_rev": "1-abc", "_revisions": {"start": 1, "ids": ["abc"]}, "price": 2},
    ]});
    ask(server, "POST", &format!("/{database}/_bulk_docs"), &conflict);
    let old = ask(server, "GET", &format!("/{database}/old"), &Value::Null);
    store(server, database, &json!([{"_id": "old", "_rev": old["_rev"], "_deleted": true}]));
}

/// Returns all that a database tells of its documents, in an order of its own.
pub(crate) fn contents(server: &impl Place, database: &str) -> Vec<String> {
    let feed = ask(server, "GET", &format!("/{database}/_changes?style=all_docs"), &Value::Null);
    let mut all = Vec::new();
    for row in feed["results"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let mut leaves: Vec<_> =
            row["changes"].as_array().unwrap().iter().map(|leaf| leaf["rev"].as_str().unwrap()).collect();
        leaves.sort_unstable();
        for leaf in leaves {
            let wanted = json!({"docs": [{"id": id, "rev": leaf}]});
            let path = format!("/{database}/_bulk_get?revs=true&attachments=true");
            let told = ask(server, "POST", &path, &wanted);
            let mut document: Value = told["results"][0]["docs"][0]["ok"].clone();
            // This server takes what comes with the content of an attachment for new; CouchDB keeps it.
            for attachment in
                document["_attachments"].as_object_mut().into_iter().flat_map(|all| all.values_mut())
            {
                attachment.as_object_mut().unwrap().remove("revpos");
            }
            all.push(document.to_string());
        }
    }
    all.sort_unstable();
    all
}

/// Makes the database `shop`, and fills it.
pub(crate) fn fill(server: &impl Place) {
    make(server, "shop");
    fill_into(server, "shop");
}

/// Two servers, the second started when it is asked for.
pub(crate) struct Servers {
    first: RefCell<PouchdbServer>,
    second: OnceCell<PouchdbServer>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        Self { first: RefCell::new(PouchdbServer::start()), second: OnceCell::new() }
    }
}

impl Bench for Servers {
    fn kind(&self) -> EngineKind {
        EngineKind::Couchdb
    }

    fn host(&self) -> Host {
        Host::default()
    }

    fn source(&self) -> Source {
        source(EngineKind::Couchdb, &self.first.borrow().address())
    }

    fn second(&self) -> Source {
        source(EngineKind::Couchdb, &self.second.get_or_init(PouchdbServer::start).address())
    }

    fn make(&self, name: &str) {
        make(&self.source(), name);
    }

    fn fill(&self, name: &str) {
        fill_into(&self.source(), name);
    }

    fn fill_large(&self, name: &str) {
        use base64::Engine as _;
        let mut random = Random::new(7);
        for number in 0..40 {
            let data = base64::engine::general_purpose::STANDARD.encode(random.bytes(1_000_000));
            let attachment = json!({"content_type": "application/octet-stream", "data": data});
            store(
                &self.source(),
                name,
                &json!([{"_id": number.to_string(), "_attachments": {"a": attachment}}]),
            );
        }
    }

    fn change(&self, name: &str) {
        let a = ask(&self.source(), "GET", &format!("/{name}/a"), &Value::Null);
        store(
            &self.source(),
            name,
            &json!([{"_id": "a", "_rev": a["_rev"], "changed": true}, {"_id": "changed"}]),
        );
    }

    fn drop(&self, name: &str) {
        ask(&self.source(), "DELETE", &format!("/{name}"), &Value::Null);
    }

    /// The server knows no such thing: all that is asked of this is that one name goes and another comes.
    fn rename(&self, from: &str, to: &str) {
        self.make(to);
        self.drop(from);
    }

    fn content(&self, source: &Source, name: &str) -> String {
        contents(source, name).join("\n")
    }

    fn load(&self, _: &str) -> Box<dyn Load + '_> {
        unreachable!("there is no moment that all documents are of")
    }

    fn broken_by_load(&self, _: &Source, _: &str) -> Option<String> {
        None
    }

    fn poor_source(&self) -> Source {
        self.source()
    }

    fn grant(&self, _: &str) {}

    fn stop(&self) {
        self.first.borrow_mut().kill();
    }

    fn tool(&self) -> Option<&'static str> {
        None
    }
}
