//! What a backup of a database consists of, and reading it back.
//!
//! A full writes the segment `000000`, each incremental that found changes the next one, beside those taken over. A
//! segment has files `000000.jsonl` with one document a line, and beside each the attachments of its documents. A later
//! segment repeats a document that was changed; histories of revisions tell the server what came first.

use crate::dump::Observed;
use crate::error::{EngineError, SinkError};
use crate::sink::BackupReader;
use larder_model::{Cancel, Canceled, EntryKind};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};

/// The file that says what the backup is of.
pub(super) const ABOUT: &str = "couchdb.json";

/// How the files with documents end.
pub(super) const DOCUMENTS: &str = ".jsonl";

/// The longest line that is taken, in bytes.
const LONGEST_LINE: u64 = 1 << 30;

/// What the backup is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Contents {
    /// The layout; 1.
    pub(super) format: u32,
    pub(super) database: String,
    /// The number of segments.
    pub(super) segments: u32,
    /// The text of `_security`.
    pub(super) security: String,
    #[serde(default)]
    pub(super) revisions_limit: Option<u64>,
}

/// An attachment of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attachment {
    pub(super) name: String,
    /// What the server calls its content by.
    pub(super) digest: String,
    /// The file beside the one with the document.
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// One line: a document with the revisions that nothing had replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) id: String,
    /// The texts that the server sent.
    pub(super) leaves: Vec<String>,
    pub(super) attachments: Vec<Attachment>,
}

impl Line {
    pub(super) fn to_text(&self) -> String {
        let attachments = serde_json::to_string(&self.attachments).unwrap_or_default();
        let id = super::raw::quoted(&self.id);
        format!("{{\"Id\":{id},\"Leaves\":[{}],\"Attachments\":{attachments}}}\n", self.leaves.join(","))
    }

    fn read(text: &str) -> Option<Self> {
        let parts = super::raw::object(text)?;
        let leaves = super::raw::array(super::raw::field(&parts, "Leaves")?)?;
        Some(Self {
            id: serde_json::from_str(super::raw::field(&parts, "Id")?).ok()?,
            leaves: leaves.into_iter().map(str::to_owned).collect(),
            attachments: serde_json::from_str(super::raw::field(&parts, "Attachments")?).ok()?,
        })
    }

    /// Returns the revision of each leaf.
    pub(super) fn revisions(&self) -> Vec<String> {
        let revision = |leaf: &String| {
            let parts = super::raw::object(leaf)?;
            serde_json::from_str(super::raw::field(&parts, "_rev")?).ok()
        };
        self.leaves.iter().filter_map(revision).collect()
    }
}

pub(super) fn strange(cause: String) -> EngineError {
    EngineError::Failed {
        action: "reading the backup".to_owned(),
        cause,
        remedy: "choose a backup that the engine couchdb made, or restore this one as files".to_owned(),
    }
}

pub(super) fn contents(backup: &dyn BackupReader) -> Result<Contents, EngineError> {
    let mut text = String::new();
    let read = backup.open(ABOUT.as_bytes())?.take(1 << 24).read_to_string(&mut text);
    read.map_err(|error| SinkError(error.into()))?;
    let contents: Contents = serde_json::from_str(&text).map_err(|error| strange(error.to_string()))?;
    match contents.format {
        1 => Ok(contents),
        other => Err(strange(format!("it has the layout {other}, which a newer Larder wrote"))),
    }
}

/// Returns the files with documents, the oldest first.
pub(super) fn files(backup: &dyn BackupReader) -> Result<Vec<String>, EngineError> {
    let mut files = Vec::new();
    backup.for_each(&mut |listed| {
        if listed.entry.kind == EntryKind::File && listed.path.ends_with(DOCUMENTS.as_bytes()) {
            files.push(String::from_utf8_lossy(&listed.path).into_owned());
        }
        Ok(())
    })?;
    files.sort_unstable();
    Ok(files)
}

/// Calls `visit` with each document of a file.
pub(super) fn for_each_line(
    backup: &dyn BackupReader,
    file: &str,
    cancel: &Cancel,
    visit: &mut dyn FnMut(Line) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut opened = backup.open(file.as_bytes())?;
    let mut lines = BufReader::with_capacity(1 << 18, Observed::new(&mut opened, cancel));
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let read = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text);
        if cancel.is_canceled() {
            return Err(Canceled.into());
        }
        if read.map_err(|error| SinkError(error.into()))? == 0 {
            break;
        }
        let line = std::str::from_utf8(&text).ok().and_then(Line::read);
        visit(line.ok_or_else(|| strange(format!("line {number} of {file} is not a document")))?)?;
    }
    Ok(())
}

/// Returns the path of an attachment that lies beside a file with documents.
pub(super) fn beside(file: &str, attachment: &Attachment) -> String {
    let segment = file.rsplit_once('/').map_or("", |(segment, _)| segment);
    format!("{segment}/{}", attachment.file)
}
