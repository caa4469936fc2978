//! Getting data back: four steps on one page.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::pages::points::{self, Point};
use askama::Template;
use axum::extract::{Query, State};
use jiff::Timestamp;
use jiff::civil::DateTime;
use larder_model::{EngineKind, RestorePoint};
use larder_service::DatabaseView;
use serde::Deserialize;

/// How many backups one can choose from here; older ones are on the database's own page.
const LISTED: usize = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    database: String,
    #[serde(default)]
    backup: String,
    /// A moment between backups: with a zone, or by the clock of the page.
    #[serde(default)]
    at: String,
    /// `server` or `path`.
    #[serde(default)]
    to: String,
}

/// The moments that one may choose among, as the field for it wants them.
struct Choosable {
    from: Moment,
    until: Moment,
    least: String,
    most: String,
    value: String,
}

/// The moment that was chosen.
struct Until {
    at: Timestamp,
    moment: Moment,
    /// As the interface takes it.
    exact: String,
}

#[derive(Template)]
#[template(path = "restore.html")]
struct Restore {
    frame: Frame,
    databases: Vec<(String, bool)>,
    database: Option<String>,
    timeline: Option<String>,
    points: Vec<Point>,
    hidden: usize,
    chosen: Option<Point>,
    choosable: Option<Choosable>,
    until: Option<Until>,
    /// Whether the backup can go into a server at all.
    into_server: bool,
    /// Whether it is to.
    to_server: bool,
    /// What leads to this page with the backup and the moment that were chosen.
    again: String,
    servers: Vec<(String, bool)>,
    new_name: String,
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
    let by_id = points.iter().find(|one| !asked.backup.is_empty() && one.id.0.starts_with(&asked.backup));
    let (mut chosen, mut until) = (by_id, None);
    match moment(&asked.at, &face) {
        Ok(None) => {}
        Ok(Some(at)) => match covering(&points, at) {
            Some(point) => {
                chosen = Some(point);
                until = Some(Until { at, moment: face.moment(at), exact: at.to_string() });
            }
            None => {
                chosen = None;
                trouble = Some(not_covered(&points, at, &face));
            }
        },
        Err(message) => trouble = Some(message),
    }
    let abilities = view.map(|view| studio.service.abilities(view.database.engine)).unwrap_or_default();
    // A log is replayed into a server, where the engine can.
    let to_server =
        abilities.restores_into_server && (asked.to == "server" || (until.is_some() && asked.to != "path"));
    let again = match (&until, chosen) {
        (Some(until), _) => format!("/studio/restore?database={}&at={}", asked.database, until.exact),
        (None, Some(point)) => format!("/studio/restore?database={}&backup={}", asked.database, point.id),
        (None, None) => String::new(),
    };
    let servers = studio.service.sources().into_iter();
    let servers = servers.filter(|source| view.is_some_and(|view| view.database.engine == source.engine));
    let own = |name: &str| view.is_some_and(|view| view.database.source.as_str() == name);
    page(&Restore {
        frame: studio.frame(Here::Elsewhere, "Restore"),
        databases: views
            .iter()
            .filter(|view| !view.destinations.is_empty())
            .map(|view| (view.database.name.to_string(), view.database.name.as_str() == asked.database))
            .collect(),
        database: view.map(|view| view.database.name.to_string()),
        timeline: points::draw(&points, &face, |point| {
            Some(format!("/studio/restore?database={}&backup={}#target", point.database, point.id))
        }),
        choosable: choosable(&points, until.as_ref().map(|until| until.at), &face),
        hidden: points.len().saturating_sub(LISTED),
        target: view.zip(chosen).map(|(view, point)| target(view, point, &face)).unwrap_or_default(),
        new_name: view.zip(chosen).map(|(view, point)| new_name(view, point, &face)).unwrap_or_default(),
        chosen: chosen.map(|point| Point::of(point, &face)),
        points: points.iter().take(LISTED).map(|point| Point::of(point, &face)).collect(),
        until,
        into_server: abilities.restores_into_server,
        to_server,
        again,
        servers: servers.map(|source| (source.name.to_string(), own(source.name.as_str()))).collect(),
        is_file: view.is_some_and(|view| view.database.engine == EngineKind::Sqlite),
        trouble,
    })
}

/// Reads a moment; by the clock of the page, where it names no zone.
fn moment(text: &str, face: &Face) -> Result<Option<Timestamp>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Some(moment));
    }
    let wall = text.parse::<DateTime>().ok().and_then(|wall| wall.to_zoned(face.zone.clone()).ok());
    wall.map(|wall| Some(wall.timestamp())).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!(
            "“{shown}” is no moment; write it as 2026-03-01 14:00:00, or with a zone as 2026-03-01T13:00:00Z"
        )
    })
}

/// Returns the backup that knows a moment and as little as may be after it, so that the least is replayed.
fn covering(points: &[RestorePoint], at: Timestamp) -> Option<&RestorePoint> {
    let range = |point: &RestorePoint| point.recoverable_from.zip(point.recoverable_until);
    let knows = |point: &&RestorePoint| {
        point.quality.is_good() && range(point).is_some_and(|(from, until)| from <= at && at <= until)
    };
    points.iter().filter(knows).min_by_key(|point| {
        let (from, until) = range(point).unwrap_or_default();
        (std::cmp::Reverse(from), until)
    })
}

/// Says why a moment cannot be had, and which ones near it can.
fn not_covered(points: &[RestorePoint], at: Timestamp, face: &Face) -> String {
    let ranges = points.iter().filter_map(|point| point.recoverable_from.zip(point.recoverable_until));
    let before = ranges.clone().map(|(_, until)| until).filter(|until| *until < at).max();
    let after = ranges.map(|(from, _)| from).filter(|from| *from > at).min();
    let words =
        |moment: Option<Timestamp>| moment.map(|moment| larder_model::human::local(moment, &face.zone));
    let asked = larder_model::human::local(at, &face.zone);
    match (words(before), words(after)) {
        (Some(before), Some(after)) => format!(
            "No backup knows the changes up to {asked}. Nearest are {before} before it and {after} after it."
        ),
        (Some(before), None) => {
            format!("No backup knows the changes up to {asked}. The last moment that can be had is {before}.")
        }
        (None, Some(after)) => {
            format!("No backup knows the changes up to {asked}. The first moment that can be had is {after}.")
        }
        (None, None) => {
            "The backups of this database know only their own moments; choose one of them.".to_owned()
        }
    }
}

/// Says which moments may be chosen, where there are any between backups.
fn choosable(points: &[RestorePoint], chosen: Option<Timestamp>, face: &Face) -> Option<Choosable> {
    let ranges = || points.iter().filter_map(|point| point.recoverable_from.zip(point.recoverable_until));
    let (from, until) = (ranges().map(|(from, _)| from).min()?, ranges().map(|(_, until)| until).max()?);
    let field = |at: Timestamp| at.to_zoned(face.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    Some(Choosable {
        from: face.moment(from),
        until: face.moment(until),
        least: field(from),
        most: field(until),
        value: field(chosen.unwrap_or(until)),
    })
}

fn stamp(point: &RestorePoint, face: &Face, form: &str) -> String {
    point.time.to_zoned(face.zone.clone()).strftime(form).to_string()
}

fn target(view: &DatabaseView, point: &RestorePoint, face: &Face) -> String {
    let ending = if view.database.engine == EngineKind::Sqlite { ".db" } else { "" };
    format!("/var/tmp/restored/{}-{}{ending}", view.database.name, stamp(point, face, "%Y-%m-%d-%H%M"))
}

/// Proposes a name for the new database, in letters that every server takes without quotes.
fn new_name(view: &DatabaseView, point: &RestorePoint, face: &Face) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = view.database.name.as_str().chars().map(plain).collect();
    format!("{name}_{}", stamp(point, face, "%Y%m%d_%H%M"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use larder_model::{BackupId, BackupKind, BackupQuality};

    fn face() -> Face {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Face { now: "2026-03-02T12:00:00Z".parse().unwrap(), zone }
    }

    fn point(id: &str, from: &str, until: &str) -> RestorePoint {
        RestorePoint {
            id: BackupId(id.to_owned()),
            database: "shop".parse().unwrap(),
            engine: Some(EngineKind::Mariadb),
            destination: "Local".to_owned(),
            time: until.parse().unwrap(),
            kind: Some(BackupKind::Incremental),
            quality: BackupQuality::Good,
            size_bytes: 0,
            files: 0,
            operation: None,
            periodicities: Vec::new(),
            recoverable_from: Some(from.parse().unwrap()),
            recoverable_until: Some(until.parse().unwrap()),
        }
    }

    #[test]
    fn a_moment_is_meant_by_the_clock_of_the_page_unless_it_names_a_zone() {
        let at = |text: &str| moment(text, &face()).unwrap().unwrap().to_string();
        assert_eq!(at("2026-03-01T14:00:00"), "2026-03-01T13:00:00Z");
        assert_eq!(at("2026-03-01 14:00"), "2026-03-01T13:00:00Z");
        assert_eq!(at("2026-03-01T14:00:00Z"), "2026-03-01T14:00:00Z");
        assert_eq!(moment(" ", &face()), Ok(None));
        assert!(moment("yesterday", &face()).unwrap_err().contains("yesterday"));
    }

    #[test]
    fn the_backup_that_replays_least_is_taken() {
        let points = [
            point("late", "2026-03-01T02:00:00Z", "2026-03-01T12:00:00Z"),
            point("early", "2026-03-01T02:00:00Z", "2026-03-01T08:00:00Z"),
            point("older", "2026-02-28T02:00:00Z", "2026-03-01T03:00:00Z"),
        ];
        let of = |at: &str| covering(&points, at.parse().unwrap()).map(|point| point.id.0.as_str());
        assert_eq!(of("2026-03-01T07:00:00Z"), Some("early"));
        assert_eq!(of("2026-03-01T09:00:00Z"), Some("late"));
        assert_eq!(of("2026-02-28T12:00:00Z"), Some("older"));
        assert_eq!(of("2026-03-01T13:00:00Z"), None);
        let told = not_covered(&points, "2026-03-01T13:00:00Z".parse().unwrap(), &face());
        assert!(told.contains("The last moment that can be had is 2026-03-01 13:00:00 CET"), "{told}");
    }
}
