//! Snapshots: one object for each backup, which names its tree.

use crate::id::Id;
use jiff::Timestamp;
use jiff::tz::Offset;
use larder_model::BackupId;
use serde::{Deserialize, Serialize};

/// One backup of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub id: BackupId,
    /// When it was begun.
    pub time: Timestamp,
    /// The offset from UTC in which that moment was written down.
    pub offset: Offset,
    /// The tree of its root directory.
    pub tree: Id,
    /// The backup that unchanged files were taken from.
    pub parent: Option<BackupId>,
    /// What was backed up.
    pub paths: Vec<String>,
    /// The host that made it.
    pub hostname: String,
    /// The user that made it.
    pub username: String,
    /// The numeric user.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Patterns that were left out.
    pub excludes: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The first form of a backup that was rewritten since.
    pub original: Option<BackupId>,
    /// The program that made it.
    pub program_version: String,
    /// What making it did.
    pub summary: Option<SnapshotSummary>,
    /// What Larder keeps with it; stock restic ignores this.
    pub larder: Option<serde_json::Value>,
}

/// What making a backup did, in the form restic has kept since 0.17.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotSummary {
    /// When it was begun.
    pub backup_start: String,
    /// When it was finished.
    pub backup_end: String,
    /// Files not in the backup before.
    pub files_new: u64,
    /// Files that differ from the backup before.
    pub files_changed: u64,
    /// Files taken from the backup before without reading.
    pub files_unmodified: u64,
    /// Directories not in the backup before.
    pub dirs_new: u64,
    /// Directories that differ from the backup before.
    pub dirs_changed: u64,
    /// Directories that are as in the backup before.
    pub dirs_unmodified: u64,
    /// New blobs of files.
    pub data_blobs: u64,
    /// New blobs of directories.
    pub tree_blobs: u64,
    /// Bytes of the new blobs.
    pub data_added: u64,
    /// Bytes of the new blobs as they are stored.
    pub data_added_packed: u64,
    /// All files.
    pub total_files_processed: u64,
    /// Bytes of all files.
    pub total_bytes_processed: u64,
}

/// The JSON of a snapshot object, fields in restic's order.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotFile {
    pub(crate) time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Id>,
    pub(crate) tree: Id,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(crate) paths: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) hostname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) username: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) gid: u32,
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub(crate) excludes: Vec<String>,
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<Id>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) program_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<SnapshotSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) larder: Option<serde_json::Value>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn null_as_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Returns a moment as snapshots hold it: RFC 3339 with its offset.
pub(crate) fn time_text(time: Timestamp, offset: Offset) -> String {
    if offset == Offset::UTC { time.to_string() } else { time.display_with_offset(offset).to_string() }
}

impl Snapshot {
    /// Reads the JSON of the snapshot object of this name.
    ///
    /// # Errors
    /// What is malformed.
    pub(crate) fn from_json(id: &Id, json: &[u8]) -> Result<Self, String> {
        let file: SnapshotFile = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let name = |id: Id| BackupId(id.to_hex());
        let (time, offset) = parse_time(&file.time)?;
        Ok(Self {
            id: name(*id),
            time,
            offset,
            tree: file.tree,
            parent: file.parent.map(name),
            paths: file.paths,
            hostname: file.hostname,
            username: file.username,
            uid: file.uid,
            gid: file.gid,
            excludes: file.excludes,
            tags: file.tags,
            original: file.original.map(name),
            program_version: file.program_version,
            summary: file.summary,
            larder: file.larder,
        })
    }
}

fn parse_time(text: &str) -> Result<(Timestamp, Offset), String> {
    let malformed = |cause: &dyn std::fmt::Display| format!("the time {text:?} is malformed: {cause}");
    let time: Timestamp = text.parse().map_err(|e| malformed(&e))?;
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|e| malformed(&e))?;
    Ok((time, pieces.to_numeric_offset().unwrap_or(Offset::UTC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_stock_restic_is_read() {
        let tree = Id::of(b"t");
        let json = format!(
            r#"{{"time":"2026-11-21T05:00:00.123456789+01:00","tree":"{tree}","paths":["/x"],"hostname":"h","username":"u","tags":null,"unknown":[1]}}"#
        );
        let snapshot = Snapshot::from_json(&tree, json.as_bytes()).unwrap();
        assert_eq!(snapshot.time.to_string(), "2026-11-21T04:00:00.123456789Z");
        assert_eq!(time_text(snapshot.time, snapshot.offset), "2026-11-21T05:00:00.123456789+01:00");
        assert_eq!(snapshot.paths, ["/x"]);
        assert!(snapshot.tags.is_empty());
        assert!(Snapshot::from_json(&tree, b"{\"time\":\"never\"}").is_err());
    }
}
