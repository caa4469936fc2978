//! Looking into a backup: its directories page by page, and single files and directories to take away.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::pages::points::Point;
use askama::Template;
use axum::extract::{Path, Query, State};
use larder_model::human::size;
use larder_model::{BackupPath, RestorePoint};
use larder_service::{BackupChoice, Section, ServiceError, StoredEntry, StoredKind};
use serde::Deserialize;

/// How many entries one page shows.
const ON_A_PAGE: usize = 200;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    backup: String,
    #[serde(default)]
    path: BackupPath,
    #[serde(default)]
    find: String,
    #[serde(default)]
    start: usize,
}

/// A directory on the way, and where it leads.
struct Step {
    name: String,
    address: String,
}

struct Row {
    name: String,
    icon: &'static str,
    kind: &'static str,
    /// Where a directory leads.
    inside: Option<String>,
    /// The directory that it lies in, where that is not the one shown.
    place: Option<Step>,
    size: String,
    modified: Option<Moment>,
    rights: String,
    /// Where it can be downloaded.
    download: Option<String>,
    target: Option<String>,
}

#[derive(Template)]
#[template(path = "browse.html")]
struct Browse {
    frame: Frame,
    name: String,
    point: Point,
    way: Vec<Step>,
    /// The directory that is shown, as it stands in an address.
    path: String,
    here: String,
    find: String,
    rows: Vec<Row>,
    summary: String,
    previous: Option<usize>,
    following: Option<usize>,
}

pub(super) async fn show(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    let shown = look(&studio, &name, asked).await.map_err(|error| studio.trouble(error))?;
    page(&shown)
}

async fn look(studio: &Studio, name: &str, asked: Asked) -> Result<Browse, ServiceError> {
    let face = studio.face();
    let name = studio.service.database_name(name)?.to_string();
    let backup: BackupChoice = match asked.backup.is_empty() {
        true => BackupChoice::Latest,
        false => asked.backup.parse()?,
    };
    let section = Section { start: asked.start, count: ON_A_PAGE };
    let find = asked.find.trim().to_owned();
    let (point, entries, summary, more): (RestorePoint, Vec<StoredEntry>, String, bool);
    if find.is_empty() {
        let found = studio.service.stored_directory(&name, None, backup, asked.path.clone(), section).await?;
        more = found.start + found.entries.len() < found.total;
        summary = in_words(&found);
        (point, entries) = (found.backup, found.entries);
    } else {
        let found = studio.service.search_backup(&name, None, backup, find.clone(), section).await?;
        more = found.more;
        summary = match (found.entries.len(), found.more) {
            (0, _) => format!("Nothing in this backup is called like “{find}”."),
            (count, false) if asked.start == 0 => format!("{count} found"),
            (count, _) => format!("{} to {} of those found", asked.start + 1, asked.start + count),
        };
        (point, entries) = (found.backup, found.entries);
    }
    let id = point.id.to_string();
    let inside =
        |path: &BackupPath| format!("/studio/databases/{name}/browse?backup={id}&path={}", in_address(path));
    let way = asked.path.ancestry();
    Ok(Browse {
        frame: studio.frame(Here::Databases, format!("Backup of {name}")),
        way: way.iter().map(|path| Step { name: path.name(), address: inside(path) }).collect(),
        here: if asked.path.is_root() { name.clone() } else { asked.path.name() },
        path: in_address(&asked.path),
        rows: entries.iter().map(|entry| Row::of(entry, &point, !find.is_empty(), &face)).collect(),
        previous: (asked.start > 0).then(|| asked.start.saturating_sub(ON_A_PAGE)),
        following: more.then(|| asked.start + entries.len()),
        point: Point::of(&point, &face),
        find,
        summary,
        name,
    })
}

/// Says what a directory holds: `12 entries, 3.4 MiB in its files`.
fn in_words(found: &larder_service::StoredDirectory) -> String {
    let entries = match found.total {
        0 => return "It is empty.".to_owned(),
        1 => "1 entry".to_owned(),
        many => format!("{many} entries"),
    };
    let shown = match found.entries.len() < found.total {
        true => format!("{} to {} of ", found.start + 1, found.start + found.entries.len()),
        false => String::new(),
    };
    format!("{shown}{entries}, {} in its own files", size(found.file_bytes))
}

impl Row {
    fn of(entry: &StoredEntry, point: &RestorePoint, is_found: bool, face: &Face) -> Self {
        let (database, id) = (&point.database, &point.id);
        let inside = |path: &BackupPath| {
            format!("/studio/databases/{database}/browse?backup={id}&path={}", in_address(path))
        };
        let path = in_address(&entry.path);
        let download = |what: &str| format!("/api/v1/databases/{database}/backups/{id}/{what}?path={path}");
        let (icon, kind) = match entry.kind {
            StoredKind::Directory => ("i-folder", "directory"),
            StoredKind::File => ("i-file", "file"),
            StoredKind::Link => ("i-link", "link"),
            StoredKind::Special => ("i-file", "special"),
        };
        let way = entry.path.ancestry();
        let above = way.len().checked_sub(2).and_then(|above| way.get(above)).cloned().unwrap_or_default();
        Self {
            name: entry.name.clone(),
            icon,
            kind,
            inside: (entry.kind == StoredKind::Directory).then(|| inside(&entry.path)),
            place: is_found.then(|| Step { name: format!("/{above}"), address: inside(&above) }),
            size: if entry.kind == StoredKind::File { size(entry.size_bytes) } else { String::new() },
            modified: entry.modified.map(|modified| face.moment(modified)),
            rights: format!("{} {}", entry.mode, entry.owner),
            download: match entry.kind {
                StoredKind::Directory => Some(download("archive")),
                StoredKind::File => Some(download("file")),
                _ => None,
            },
            target: entry.target.clone(),
        }
    }
}

/// Writes a path as it stands in an address, behind the question mark.
pub(super) fn in_address(path: &BackupPath) -> String {
    use std::fmt::Write;
    let text = path.to_string();
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_text_can_stand_in_an_address() {
        assert_eq!(in_address(&BackupPath::new(*b"a b/caf\xe9&?")), "a%20b/caf%25E9%26%3F");
    }
}
