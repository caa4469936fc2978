//! Every place that backups lie in, with the databases that write there.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::frame::{Frame, Here};
use crate::state::Mark;
use askama::Template;
use axum::extract::State;
use jiff::Timestamp;
use std::collections::BTreeMap;

struct Row {
    address: String,
    name: String,
    databases: Vec<String>,
    last: Option<Moment>,
    error: Option<String>,
    mark: Mark,
}

#[derive(Default)]
struct Gathered {
    name: String,
    databases: Vec<String>,
    last: Option<Timestamp>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "destinations.html")]
struct Destinations {
    frame: Frame,
    rows: Vec<Row>,
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let face = studio.face();
    let mut all: BTreeMap<String, Gathered> = BTreeMap::new();
    for view in studio.service.databases() {
        let name = view.database.name.as_str();
        for destination in &view.destinations {
            let root = destination.address.strip_suffix(name).unwrap_or(&destination.address);
            let root = root.trim_end_matches('/');
            let its = all.entry(if root.is_empty() { "/".to_owned() } else { root.to_owned() }).or_default();
            its.name.clone_from(&destination.name);
            its.databases.push(name.to_owned());
            for status in view.tasks.iter().flat_map(|task| &task.status.destinations) {
                if status.address.as_deref() != Some(&destination.address) {
                    continue;
                }
                its.last = its.last.max(status.last_full_backup).max(status.last_incremental_backup);
                its.error = its.error.take().or_else(|| status.exception.clone());
            }
        }
    }
    let rows = all.into_iter().map(|(address, its)| Row {
        address,
        name: its.name,
        databases: its.databases,
        last: its.last.map(|last| face.moment(last)),
        mark: match (&its.error, its.last) {
            (Some(_), _) => Mark { shape: "failed", word: "failed" },
            (None, Some(_)) => Mark { shape: "good", word: "good" },
            (None, None) => Mark { shape: "waiting", word: "nothing yet" },
        },
        error: its.error,
    });
    page(&Destinations { frame: studio.frame(Here::Destinations, "Destinations"), rows: rows.collect() })
}
