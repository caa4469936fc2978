//! The backups of one database, read from its repositories: a page of its own, since reading may take a moment.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::state::{self, Mark};
use askama::Template;
use axum::extract::{Path, Query, State};
use larder_model::RestorePoint;
use larder_model::human::size;
use serde::Deserialize;

/// How many backups of a destination are listed.
const LISTED: usize = 200;

#[derive(Deserialize)]
pub(super) struct Asked {
    destination: Option<String>,
}

/// A backup as lists show it.
pub(super) struct Point {
    pub(super) id: String,
    pub(super) short: String,
    pub(super) when: Moment,
    pub(super) kind: String,
    pub(super) mark: Mark,
    pub(super) size: String,
    pub(super) files: u64,
    pub(super) destination: String,
    pub(super) kept_as: String,
    pub(super) operation: Option<u64>,
}

impl Point {
    pub(super) fn of(point: &RestorePoint, face: &Face) -> Self {
        let kept: Vec<String> = point.periodicities.iter().map(|one| format!("{one:?}")).collect();
        Self {
            id: point.id.to_string(),
            short: point.id.short().to_owned(),
            when: face.moment(point.time),
            kind: point.kind.map_or_else(|| "not Larder's".to_owned(), |kind| kind.to_string()),
            mark: state::of_quality(point.quality),
            size: size(point.size_bytes),
            files: point.files,
            destination: point.destination.clone(),
            kept_as: kept.join(", "),
            operation: point.operation,
        }
    }
}

#[derive(Template)]
#[template(path = "points.html")]
struct Points {
    frame: Frame,
    name: String,
    destination: Option<String>,
    points: Vec<Point>,
    hidden: usize,
}

pub(super) async fn show(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    let face = studio.face();
    let database = studio.service.database_name(&name).map_err(|error| studio.trouble(error))?;
    let points = studio.service.backups(&name, asked.destination.as_deref()).await;
    let points = points.map_err(|error| studio.trouble(error))?;
    page(&Points {
        frame: studio.frame(Here::Databases, format!("Backups of {database}")),
        name: database.to_string(),
        destination: asked.destination,
        hidden: points.len().saturating_sub(LISTED),
        points: points.iter().take(LISTED).map(|point| Point::of(point, &face)).collect(),
    })
}
