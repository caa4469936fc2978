//! Every place that backups lie in, with the databases that write there; and places that are tried.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::frame::{Frame, Here};
use crate::state::Mark;
use askama::Template;
use axum::extract::State;
use jiff::Timestamp;
use larder_model::task::{BackupConfiguration, DestinationSettings, read};
use larder_service::{DestinationStatus, DestinationTest, ServiceError};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

struct Row {
    address: String,
    name: String,
    databases: usize,
    /// The server-wide tasks that write there; their editors try it.
    tasks: BTreeSet<String>,
    last: Option<Moment>,
    error: Option<String>,
    mark: Mark,
}

#[derive(Default)]
struct Gathered {
    name: String,
    databases: usize,
    tasks: BTreeSet<String>,
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
            its.databases += 1;
            for task in &view.tasks {
                let here =
                    |status: &&DestinationStatus| status.address.as_deref() == Some(&destination.address);
                for status in task.status.destinations.iter().filter(here) {
                    its.tasks.extend(task.server_wide.clone());
                    its.last = its.last.max(status.last_full_backup).max(status.last_incremental_backup);
                    its.error = its.error.take().or_else(|| status.exception.clone());
                }
            }
        }
    }
    let rows = all.into_iter().map(|(address, its)| Row {
        address,
        name: its.name,
        databases: its.databases,
        tasks: its.tasks,
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

#[derive(Template)]
#[template(path = "outcome.html")]
struct Outcome {
    tests: Vec<DestinationTest>,
    trouble: Option<String>,
}

/// Tries the destinations of a block that a form holds, and says in words what works and what does not.
pub(super) async fn test(State(studio): State<Studio>, body: String) -> Page {
    let mut outcome = Outcome { tests: Vec::new(), trouble: None };
    match tried(&studio, &body).await {
        Ok(tests) if tests.is_empty() => {
            outcome.trouble = Some("It does not say yet where it is; fill in the fields above.".to_owned());
        }
        Ok(tests) => outcome.tests = tests,
        Err(error) => outcome.trouble = Some(error),
    }
    page(&outcome)
}

async fn tried(studio: &Studio, body: &str) -> Result<Vec<DestinationTest>, String> {
    let given: Map<String, Value> = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let given: BackupConfiguration = read(&given).map_err(|error| ServiceError::from(error).to_string())?;
    let mut tests = Vec::new();
    for (_, block) in given.live() {
        let its = studio.service.test_settings(DestinationSettings::from(block)).await;
        tests.append(&mut its.map_err(|error| error.to_string())?);
    }
    Ok(tests)
}
