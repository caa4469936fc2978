//! The backups of one database on a line of time and in a list, read from its repositories: a page of its own, since
//! reading may take a moment.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::plot::timeline::{self, Form, Window};
use crate::state::{self, Mark};
use askama::Template;
use axum::extract::{Path, Query, State};
use larder_model::human::size;
use larder_model::{BackupKind, RestorePoint};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How many backups one page lists.
const ON_A_PAGE: usize = 100;
/// How many backups the line of time shows.
const DRAWN: usize = 400;
/// How many of them lead somewhere.
const LINKED: usize = 60;

#[derive(Deserialize)]
pub(super) struct Asked {
    destination: Option<String>,
    #[serde(default)]
    start: usize,
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

/// Draws backups on a line of time, a row a destination; `address` says where one leads.
pub(super) fn draw(
    points: &[RestorePoint],
    face: &Face,
    address: impl Fn(&RestorePoint) -> Option<String>,
) -> Option<String> {
    let drawn = points.get(..points.len().min(DRAWN)).unwrap_or_default();
    let mut rows: BTreeMap<&str, timeline::Row> = BTreeMap::new();
    for (number, point) in drawn.iter().enumerate() {
        let row = rows.entry(&point.destination).or_default();
        row.name.clone_from(&point.destination);
        let mark = state::of_quality(point.quality);
        let kind = point.kind.map_or(String::new(), |kind| format!(" {kind}"));
        let when = face.short(point.time);
        row.marks.push(timeline::Mark {
            at: point.time,
            form: if point.kind == Some(BackupKind::Incremental) { Form::Low } else { Form::Tall },
            hue: mark.shape,
            title: format!("{when}{kind}, {}, {}", size(point.size_bytes), mark.word),
            // Hundreds of stops would be in the way of those who go by the keyboard; the list has them all.
            address: address(point).filter(|_| number < LINKED),
        });
        row.shades.extend(point.recoverable_from.zip(point.recoverable_until));
    }
    rows.values_mut().for_each(|row| row.shades = joined(std::mem::take(&mut row.shades)));
    let moments = drawn.iter().flat_map(|point| [Some(point.time), point.recoverable_from]).flatten();
    let window = Window::around(moments.chain([face.now]))?;
    let rows: Vec<timeline::Row> = rows.into_values().collect();
    let newest = drawn.first()?;
    let shaded = rows.iter().any(|row| !row.shades.is_empty());
    let about = format!(
        "{} backups on a line of time, the newest of {}{}",
        drawn.len(),
        face.short(newest.time),
        if shaded { "; shaded where every second can be restored" } else { "" }
    );
    Some(timeline::draw(&rows, window, face, &about))
}

/// Joins what overlaps: backups of one chain know the same log.
fn joined(mut shades: Vec<(jiff::Timestamp, jiff::Timestamp)>) -> Vec<(jiff::Timestamp, jiff::Timestamp)> {
    shades.sort_unstable();
    let mut all: Vec<(jiff::Timestamp, jiff::Timestamp)> = Vec::new();
    for (from, until) in shades {
        match all.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => all.push((from, until)),
        }
    }
    all
}

#[derive(Template)]
#[template(path = "points.html")]
struct Points {
    frame: Frame,
    name: String,
    destination: Option<String>,
    timeline: Option<String>,
    shaded: bool,
    points: Vec<Point>,
    all: usize,
    start: usize,
    previous: Option<usize>,
    following: Option<usize>,
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
    let inside =
        |point: &RestorePoint| Some(format!("/studio/databases/{database}/browse?backup={}", point.id));
    let shown = points.iter().skip(asked.start).take(ON_A_PAGE);
    page(&Points {
        frame: studio.frame(Here::Databases, format!("Backups of {database}")),
        name: database.to_string(),
        timeline: draw(&points, &face, inside),
        shaded: points.iter().any(|point| point.recoverable_from.is_some()),
        points: shown.map(|point| Point::of(point, &face)).collect(),
        all: points.len(),
        start: asked.start,
        previous: (asked.start > 0).then(|| asked.start.saturating_sub(ON_A_PAGE)),
        following: Some(asked.start + ON_A_PAGE).filter(|next| *next < points.len()),
        destination: asked.destination,
    })
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn what_overlaps_is_one_shade_and_a_gap_stays_one() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let shades = vec![(at(50), at(60)), (at(10), at(20)), (at(15), at(30)), (at(10), at(12))];
        assert_eq!(joined(shades), [(at(10), at(30)), (at(50), at(60))]);
    }
}
