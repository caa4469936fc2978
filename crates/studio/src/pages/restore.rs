//! Getting data back: four steps on one page.

use crate::Studio;
use crate::answer::{Page, page};
use crate::frame::{Frame, Here};
use crate::pages::points::Point;
use askama::Template;
use axum::extract::{Query, State};
use larder_model::EngineKind;
use serde::Deserialize;

/// How many backups one can choose from here; older ones are on the database's own page.
const LISTED: usize = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    database: String,
    #[serde(default)]
    backup: String,
}

#[derive(Template)]
#[template(path = "restore.html")]
struct Restore {
    frame: Frame,
    databases: Vec<(String, bool)>,
    database: Option<String>,
    points: Vec<Point>,
    hidden: usize,
    chosen: Option<Point>,
    target: String,
    is_file: bool,
    trouble: Option<String>,
}

pub(super) async fn show(State(studio): State<Studio>, Query(asked): Query<Asked>) -> Page {
    let face = studio.face();
    let views = studio.service.databases();
    let view = views.iter().find(|view| view.database.name.as_str() == asked.database);
    let (mut points, mut trouble) = (Vec::new(), None);
    if let Some(view) = view {
        match studio.service.backups(view.database.name.as_str(), None).await {
            Ok(found) => points = found,
            Err(error) => trouble = Some(error.to_string()),
        }
    }
    let chosen =
        points.iter().find(|point| !asked.backup.is_empty() && point.id.0.starts_with(&asked.backup));
    let is_file = view.is_some_and(|view| view.database.engine == EngineKind::Sqlite);
    let target = match (view, chosen) {
        (Some(view), Some(point)) => {
            let day = point.time.to_zoned(face.zone.clone()).strftime("%Y-%m-%d-%H%M").to_string();
            let ending = if is_file { ".db" } else { "" };
            format!("/var/tmp/restored/{}-{day}{ending}", view.database.name)
        }
        _ => String::new(),
    };
    page(&Restore {
        frame: studio.frame(Here::Elsewhere, "Restore"),
        databases: views
            .iter()
            .filter(|view| !view.destinations.is_empty())
            .map(|view| (view.database.name.to_string(), view.database.name.as_str() == asked.database))
            .collect(),
        database: view.map(|view| view.database.name.to_string()),
        hidden: points.len().saturating_sub(LISTED),
        chosen: chosen.map(|point| Point::of(point, &face)),
        points: points.iter().take(LISTED).map(|point| Point::of(point, &face)).collect(),
        target,
        is_file,
        trouble,
    })
}
