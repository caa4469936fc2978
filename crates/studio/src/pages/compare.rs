//! Two backups of a database, side by side: what came, what went, what changed.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Face;
use crate::frame::{Frame, Here};
use crate::pages::points::Point;
use crate::state::{self, Mark};
use askama::Template;
use axum::extract::{Path, Query, State};
use larder_model::RestorePoint;
use larder_model::human::{grouped, size};
use larder_service::{
    BackupChoice, BackupDifference, ChangeCount, ChangeKind, ChangedEntry, ComparedMeasure, Section,
    ServiceError, StoredEntry, StoredKind,
};
use serde::Deserialize;

/// How many entries one page shows.
const ON_A_PAGE: usize = 200;
/// How many backups one can choose from.
const CHOICES: usize = 500;
/// How many counted things that are the same are shown.
const SAME: usize = 200;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    before: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    start: usize,
}

/// A backup in a list to choose from.
struct Choice {
    id: String,
    words: String,
    before: bool,
    after: bool,
}

/// How much differs in one way, and the word that shows only that.
struct Count {
    mark: Mark,
    kind: &'static str,
    words: String,
    chosen: bool,
}

struct Row {
    mark: Mark,
    path: String,
    before: Option<Side>,
    after: Option<Side>,
    remark: String,
}

/// What one of the backups has.
struct Side {
    words: String,
    /// Where it can be downloaded, or looked into.
    address: Option<String>,
}

struct Counted {
    subject: String,
    before: String,
    after: String,
    mark: Mark,
}

struct Outcome {
    before: Point,
    after: Point,
    headline: String,
    is_same: bool,
    counts: Vec<Count>,
    tables: Vec<Counted>,
    same: Vec<Counted>,
    same_hidden: usize,
    counted_at: Vec<String>,
    rows: Vec<Row>,
    start: usize,
    total: usize,
    previous: Option<usize>,
    following: Option<usize>,
}

#[derive(Template)]
#[template(path = "compare.html")]
struct Compare {
    frame: Frame,
    name: String,
    choices: Vec<Choice>,
    kind: String,
    result: Option<Outcome>,
    trouble: Option<String>,
}

pub(super) async fn show(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    let face = studio.face();
    let database = studio.service.database_name(&name).map_err(|error| studio.trouble(error))?;
    let points = studio.service.backups(&name, None).await.map_err(|error| studio.trouble(error))?;
    let points = once_each(points);
    let by_id = |id: &str| points.iter().find(|point| !id.is_empty() && point.id.0.starts_with(id));
    let after = by_id(&asked.after).or(points.first());
    let before = by_id(&asked.before).or_else(|| {
        // The one made right before the other.
        points.iter().find(|point| after.is_some_and(|after| point.time < after.time))
    });
    let (mut result, mut trouble) = (None, None);
    if let (Some(before), Some(after)) = (before, after) {
        match differences(&studio, &name, before, after, &asked).await {
            Ok(found) => result = Some(Outcome::of(&found, &asked.kind, &face)),
            Err(error) => trouble = Some(error.to_string()),
        }
    }
    let chosen = |one: Option<&RestorePoint>, point: &RestorePoint| one.is_some_and(|one| one.id == point.id);
    page(&Compare {
        frame: studio.frame(Here::Databases, format!("Backups of {database} compared")),
        name: database.to_string(),
        choices: points
            .iter()
            .take(CHOICES)
            .map(|point| Choice {
                id: point.id.to_string(),
                words: words(point, &face),
                before: chosen(before, point),
                after: chosen(after, point),
            })
            .collect(),
        kind: asked.kind,
        result,
        trouble,
    })
}

/// Leaves one of each backup, however many destinations hold it.
pub(super) fn once_each(mut points: Vec<RestorePoint>) -> Vec<RestorePoint> {
    points.dedup_by(|later, first| later.time == first.time && later.operation == first.operation);
    points
}

/// Says which backup it is: `Sat 21 Nov 14:00, full, 1.2 MiB`.
pub(super) fn words(point: &RestorePoint, face: &Face) -> String {
    let kind = point.kind.map_or_else(|| "not Larder's".to_owned(), |kind| kind.to_string());
    format!("{}, {kind}, {}", face.short(point.time), size(point.size_bytes))
}

async fn differences(
    studio: &Studio,
    name: &str,
    before: &RestorePoint,
    after: &RestorePoint,
    asked: &Asked,
) -> Result<BackupDifference, ServiceError> {
    let only = ChangeKind::ALL.into_iter().filter(|kind| kind.to_string() == asked.kind).collect();
    let both = (BackupChoice::Id(before.id.0.clone()), BackupChoice::Id(after.id.0.clone()));
    let section = Section { start: asked.start, count: ON_A_PAGE };
    studio.service.compare_backups(name, None, both, only, section).await
}

impl Outcome {
    fn of(found: &BackupDifference, kind: &str, face: &Face) -> Self {
        let (same, differ): (Vec<_>, Vec<_>) = found.measures.iter().partition(|one| one.change.is_none());
        let shown_until = found.start + found.entries.len();
        let counted_at = [&found.before, &found.after].into_iter().filter_map(|point| {
            let from = point.recoverable_from?;
            let words = face.short(point.time);
            Some(format!("in the dump of {} that the backup of {words} goes on from", face.short(from)))
        });
        Self {
            before: Point::of(&found.before, face),
            after: Point::of(&found.after, face),
            headline: headline(found),
            is_same: found.is_same_content(),
            counts: found
                .counts
                .iter()
                .map(|count| (count.entries, Count::of(count, kind)))
                .filter(|(entries, count)| *entries > 0 || count.chosen)
                .map(|(_, count)| count)
                .collect(),
            tables: differ.into_iter().map(Counted::of).collect(),
            same_hidden: same.len().saturating_sub(SAME),
            same: same.into_iter().take(SAME).map(Counted::of).collect(),
            counted_at: counted_at.collect(),
            rows: found.entries.iter().map(|entry| Row::of(entry, found, face)).collect(),
            start: found.start,
            total: found.total,
            previous: (found.start > 0).then(|| found.start.saturating_sub(ON_A_PAGE)),
            following: (shown_until < found.total).then_some(shown_until),
        }
    }
}

/// Says in one sentence what differs.
fn headline(found: &BackupDifference) -> String {
    let of = |kind| found.counts.iter().find(|count| count.kind == kind).map_or(0, |count| count.entries);
    let all: u64 = found.counts.iter().map(|count| count.entries).sum();
    let tables = found.measures.iter().filter(|one| one.is_table && one.change.is_some()).count();
    let tables = match tables {
        0 => String::new(),
        1 => " 1 table is not the same.".to_owned(),
        many => format!(" {many} tables are not the same."),
    };
    if all == 0 && tables.is_empty() {
        return "Both hold the same.".to_owned();
    }
    if all == of(ChangeKind::Metadata) && tables.is_empty() {
        return "All content is the same; only modes, owners or times differ.".to_owned();
    }
    let parts =
        [(ChangeKind::Added, "added"), (ChangeKind::Removed, "removed"), (ChangeKind::Changed, "changed")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(kind, _)| of(*kind) > 0)
        .map(|(kind, word)| format!("{} {word}", of(kind)))
        .collect();
    match parts.is_empty() {
        true => tables.trim_start().to_owned(),
        false => format!("{}.{tables}", parts.join(", ")),
    }
}

const fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "removed",
        ChangeKind::Changed => "changed",
        ChangeKind::Metadata => "metadata",
    }
}

impl Count {
    fn of(count: &ChangeCount, kind: &str) -> Self {
        let words = match count.kind {
            ChangeKind::Added => format!("{} · {}", count.entries, size(count.bytes_after)),
            ChangeKind::Removed => format!("{} · {}", count.entries, size(count.bytes_before)),
            ChangeKind::Changed => {
                format!("{} · {} → {}", count.entries, size(count.bytes_before), size(count.bytes_after))
            }
            ChangeKind::Metadata => count.entries.to_string(),
        };
        Self {
            mark: state::of_change(count.kind),
            kind: word(count.kind),
            words,
            chosen: kind == word(count.kind),
        }
    }
}

impl Counted {
    fn of(measure: &ComparedMeasure) -> Self {
        let number = |count: Option<u64>| count.map(grouped).unwrap_or_default();
        let mark = match (measure.change, measure.count_before, measure.count_after) {
            (None, ..) => Mark { shape: "good", word: "same" },
            (Some(ChangeKind::Changed), before, after) if before == after => {
                Mark { word: "other content", ..state::of_change(ChangeKind::Changed) }
            }
            (Some(kind), ..) => state::of_change(kind),
        };
        Self {
            subject: measure.subject.clone(),
            before: number(measure.count_before),
            after: number(measure.count_after),
            mark,
        }
    }
}

impl Row {
    fn of(entry: &ChangedEntry, found: &BackupDifference, face: &Face) -> Self {
        let any = entry.after.as_ref().or(entry.before.as_ref());
        let side = |one: &Option<StoredEntry>, point: &RestorePoint| {
            one.as_ref().map(|one| Side {
                words: match one.kind {
                    StoredKind::Directory => "directory".to_owned(),
                    StoredKind::Link => format!("link to {}", one.target.as_deref().unwrap_or_default()),
                    StoredKind::Special => "special".to_owned(),
                    StoredKind::File => size(one.size_bytes),
                },
                address: address(one, point),
            })
        };
        Self {
            mark: state::of_change(entry.change),
            path: any.map(|one| one.path.to_string()).unwrap_or_default(),
            before: side(&entry.before, &found.before),
            after: side(&entry.after, &found.after),
            remark: match (&entry.before, &entry.after) {
                (Some(before), Some(after)) if entry.change == ChangeKind::Metadata => {
                    metadata(before, after, face)
                }
                _ => String::new(),
            },
        }
    }
}

/// Says where an entry is to be had.
fn address(entry: &StoredEntry, point: &RestorePoint) -> Option<String> {
    let path = super::browse::in_address(&entry.path);
    match entry.kind {
        StoredKind::Directory => {
            Some(format!("/studio/databases/{}/browse?backup={}&path={path}", point.database, point.id))
        }
        StoredKind::File => {
            Some(format!("/api/v1/databases/{}/backups/{}/file?path={path}", point.database, point.id))
        }
        _ => None,
    }
}

/// Says what of the metadata differs.
fn metadata(before: &StoredEntry, after: &StoredEntry, face: &Face) -> String {
    let mut parts = Vec::new();
    if before.mode != after.mode {
        parts.push(format!("{} → {}", before.mode, after.mode));
    }
    if before.owner != after.owner {
        parts.push(format!("{} → {}", before.owner, after.owner));
    }
    if let (Some(before), Some(after)) = (before.modified, after.modified)
        && before != after
        && parts.is_empty()
    {
        parts.push(format!("{} → {}", face.short(before), face.short(after)));
    }
    if parts.is_empty() { "other attributes".to_owned() } else { parts.join(", ") }
}
