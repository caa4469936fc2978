//! The sources: what is backed up.

use crate::Studio;
use crate::answer::{Page, page};
use crate::frame::{Frame, Here};
use askama::Template;
use axum::extract::State;

struct Row {
    name: String,
    engine: &'static str,
    address: String,
    exclude: String,
    databases: usize,
    missing: usize,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct Sources {
    frame: Frame,
    rows: Vec<Row>,
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let views = studio.service.databases();
    let errors = studio.service.overview().source_errors;
    let rows = studio.service.sources().into_iter().map(|source| {
        let its = || views.iter().filter(|view| view.database.source == source.name);
        let missing = its().filter(|view| view.database.missing_since.is_some()).count();
        Row {
            engine: source.engine.as_str(),
            address: source.address.clone(),
            exclude: source.exclude.join(" "),
            databases: its().count() - missing,
            missing,
            error: errors.iter().find(|(name, _)| *name == source.name).map(|(_, error)| error.clone()),
            name: source.name.to_string(),
        }
    });
    page(&Sources { frame: studio.frame(Here::Sources, "Sources"), rows: rows.collect() })
}
