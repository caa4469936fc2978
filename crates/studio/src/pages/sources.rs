//! The sources: what is backed up, what else there is on this host, and a form for more.

use crate::Studio;
use crate::answer::{Page, page};
use crate::form::source::SourceForm;
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
    form: SourceForm,
    /// Where one goes once a source is added; its own page where nothing is said.
    after: &'static str,
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
    page(&Sources {
        frame: studio.frame(Here::Sources, "Sources"),
        rows: rows.collect(),
        form: SourceForm::new(&studio.service, None),
        after: "",
    })
}

/// A source on this host that nobody has added.
struct Proposed {
    name: String,
    engine: &'static str,
    address: String,
    reason: String,
    json: String,
}

#[derive(Template)]
#[template(path = "found.html")]
struct Found {
    rows: Vec<Proposed>,
    trouble: Option<String>,
}

/// What is found on this host, as a part of a page: the search may take a moment.
pub(super) async fn found(State(studio): State<Studio>) -> Page {
    let (found, trouble) = match studio.service.find_sources().await {
        Ok(found) => (found, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let rows = found.into_iter().map(|one| Proposed {
        name: one.source.name.to_string(),
        engine: one.source.engine.as_str(),
        address: one.source.address.clone(),
        reason: one.reason,
        json: serde_json::to_string(&one.source).unwrap_or_default(),
    });
    page(&Found { rows: rows.collect(), trouble })
}
