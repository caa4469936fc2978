//! Every database, with a box to find some of them.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::frame::{Frame, Here};
use crate::state::{self, Mark, urgency};
use askama::Template;
use axum::extract::{Query, State};
use larder_service::DatabaseView;
use serde::Deserialize;

/// How many databases one page shows.
const ON_A_PAGE: usize = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    filter: String,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    start: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    State,
    Name,
    Engine,
    Source,
    Last,
    Next,
}

impl Sort {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Name, "name", "Database"),
        (Self::State, "state", "State"),
        (Self::Last, "last", "Last good backup"),
        (Self::Next, "next", "Next run"),
        (Self::Engine, "engine", "Engine"),
        (Self::Source, "source", "Source"),
    ];
}

struct Column {
    name: &'static str,
    title: &'static str,
    sorted: bool,
}

struct Row {
    name: String,
    engine: &'static str,
    source: String,
    locator: String,
    mark: Mark,
    reason: Option<String>,
    strip: String,
    last_good: Option<Moment>,
    next: Option<(Moment, String)>,
}

#[derive(Template)]
#[template(path = "databases.html")]
struct Databases {
    frame: Frame,
    filter: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    found: usize,
    all: usize,
    start: usize,
    following: Option<usize>,
    previous: Option<usize>,
    sort: &'static str,
}

pub(super) async fn show(State(studio): State<Studio>, Query(asked): Query<Asked>) -> Page {
    let face = studio.face();
    let mut views = studio.service.databases();
    let all = views.len();
    views.retain(|view| fits(view, &asked.filter));
    sort(&mut views, asked.sort);
    let found = views.len();
    let row = |view: &DatabaseView| Row {
        name: view.database.name.to_string(),
        engine: view.database.engine.as_str(),
        source: view.database.source.to_string(),
        locator: view.database.locator.clone(),
        mark: state::of_health(view.health),
        reason: (urgency(view.health) < 4).then(|| view.reason.clone()),
        strip: studio.strip(view, &face),
        last_good: view.last_good_backup.as_ref().map(|backup| face.moment(backup.time)),
        next: view.next_run.as_ref().map(|run| (face.moment(run.begins), run.kind.to_string())),
    };
    let named = Sort::ALL.iter().find(|(sort, ..)| *sort == asked.sort);
    page(&Databases {
        frame: studio.frame(Here::Databases, "Databases"),
        rows: views.iter().skip(asked.start).take(ON_A_PAGE).map(row).collect(),
        columns: Sort::ALL
            .iter()
            .map(|(sort, name, title)| Column { name, title, sorted: *sort == asked.sort })
            .collect(),
        sort: named.map_or("state", |(_, name, _)| name),
        found,
        all,
        start: asked.start,
        following: (asked.start + ON_A_PAGE < found).then_some(asked.start + ON_A_PAGE),
        previous: (asked.start > 0).then(|| asked.start.saturating_sub(ON_A_PAGE)),
        filter: asked.filter,
    })
}

fn sort(views: &mut [DatabaseView], by: Sort) {
    match by {
        Sort::State => views.sort_by_key(|view| urgency(view.health)),
        Sort::Name => {}
        Sort::Engine => views.sort_by_key(|view| view.database.engine.as_str()),
        Sort::Source => views.sort_by(|a, b| a.database.source.cmp(&b.database.source)),
        Sort::Last => views.sort_by_key(|view| view.last_good_backup.as_ref().map(|last| last.time)),
        Sort::Next => {
            views.sort_by_key(|view| view.next_run.as_ref().map_or(jiff::Timestamp::MAX, |run| run.begins))
        }
    }
}

/// Says whether a database fits every word of a filter: `engine:sqlite`, `state:late`, `source:shop`, or a part of its
/// name or place.
fn fits(view: &DatabaseView, filter: &str) -> bool {
    filter.to_lowercase().split_whitespace().all(|word| match word.split_once(':') {
        Some(("engine", engine)) => view.database.engine.as_str().starts_with(engine),
        Some(("state", wanted)) => state::of_health(view.health).word.starts_with(wanted),
        Some(("source", source)) => view.database.source.as_str().to_lowercase().contains(source),
        _ => {
            view.database.name.as_str().to_lowercase().contains(word)
                || view.database.locator.to_lowercase().contains(word)
        }
    })
}
