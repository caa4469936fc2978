//! One source: its settings, the rights that it lacks, and its databases, those that are gone included.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::form::source::SourceForm;
use crate::frame::{Frame, Here};
use crate::state::{self, Mark};
use askama::Template;
use axum::extract::{Path, State};
use larder_model::Source;
use larder_service::{MissingRight, ServiceError};

/// How many databases are listed; the others are on the page of all.
const LISTED: usize = 100;

struct Row {
    name: String,
    locator: String,
    mark: Mark,
    reason: String,
    gone: Option<Moment>,
}

#[derive(Template)]
#[template(path = "source.html")]
struct SourcePage {
    frame: Frame,
    name: String,
    engine: &'static str,
    form: SourceForm,
    after: &'static str,
    error: Option<String>,
    rows: Vec<Row>,
    there: usize,
    gone: usize,
    hidden: usize,
}

fn find(studio: &Studio, name: &str) -> Result<Source, ServiceError> {
    let found = studio.service.sources().into_iter().find(|source| source.name.as_str() == name);
    found.ok_or_else(|| ServiceError::NotFound {
        what: "source",
        name: name.to_owned(),
        remedy: "look at the list of sources".to_owned(),
    })
}

pub(super) async fn show(State(studio): State<Studio>, Path(name): Path<String>) -> Page {
    let face = studio.face();
    let source = find(&studio, &name).map_err(|error| studio.trouble(error))?;
    let mut views = studio.service.databases();
    views.retain(|view| view.database.source == source.name);
    // What is gone comes first: somebody should know.
    views.sort_by_key(|view| view.database.missing_since.is_none());
    let gone = views.iter().filter(|view| view.database.missing_since.is_some()).count();
    let errors = studio.service.overview().source_errors;
    page(&SourcePage {
        frame: studio.frame(Here::Sources, format!("Source {}", source.name)),
        engine: source.engine.as_str(),
        form: SourceForm::new(&studio.service, Some(&source)),
        after: "",
        error: errors.into_iter().find(|(name, _)| *name == source.name).map(|(_, error)| error),
        there: views.len() - gone,
        gone,
        hidden: views.len().saturating_sub(LISTED),
        rows: views
            .iter()
            .take(LISTED)
            .map(|view| Row {
                name: view.database.name.to_string(),
                locator: view.database.locator.clone(),
                mark: state::of_health(view.health),
                reason: view.reason.clone(),
                gone: view.database.missing_since.map(|since| face.moment(since)),
            })
            .collect(),
        name: source.name.to_string(),
    })
}

#[derive(Template)]
#[template(path = "rights.html")]
struct Rights {
    rows: Vec<MissingRight>,
    trouble: Option<String>,
}

/// The rights that a source lacks, as a part of its page: the server has to be asked.
pub(super) async fn rights(State(studio): State<Studio>, Path(name): Path<String>) -> Page {
    let (rows, trouble) = match studio.service.missing_rights(&name).await {
        Ok(rows) => (rows, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    page(&Rights { rows, trouble })
}
