//! What lies in a backup, and what differs between two, as plain values.

use jiff::Timestamp;
use larder_model::{BackupPath, Entry, EntryKind, RestorePoint, readable};
use larder_repository::Alteration;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which part of a long list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// How many are passed over.
    pub start: usize,
    /// How many are wanted at the most.
    pub count: usize,
}

/// What a stored thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StoredKind {
    /// A directory.
    Directory,
    /// A file, or another stream of bytes.
    File,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Special,
}

/// One thing in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct StoredEntry {
    /// Where it lies, as it is to be asked for.
    pub path: BackupPath,
    /// Its name as people read it.
    pub name: String,
    /// What it is.
    pub kind: StoredKind,
    /// The size of a file, in bytes.
    pub size_bytes: u64,
    /// When its content was last changed; `None` where nothing is known of that.
    pub modified: Option<Timestamp>,
    /// The permission bits, such as `rwxr-x---`.
    pub mode: String,
    /// Owner and group, by their names where those are known: `root:www-data`.
    pub owner: String,
    /// Where a link leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl StoredEntry {
    pub(crate) fn of(path: BackupPath, entry: &Entry) -> Self {
        let metadata = &entry.metadata;
        let time = metadata.modified;
        let known = time != larder_model::Timestamp::default();
        let name = |name: &Option<std::sync::Arc<str>>, number: u32| {
            name.as_ref().map_or_else(|| number.to_string(), ToString::to_string)
        };
        Self {
            name: readable(&entry.name),
            path,
            kind: match entry.kind {
                EntryKind::Directory => StoredKind::Directory,
                EntryKind::File => StoredKind::File,
                EntryKind::Symlink { .. } => StoredKind::Link,
                _ => StoredKind::Special,
            },
            size_bytes: if entry.kind == EntryKind::File { metadata.size } else { 0 },
            modified: Timestamp::new(time.seconds, i32::try_from(time.nanoseconds).unwrap_or(0))
                .ok()
                .filter(|_| known),
            mode: mode(metadata.mode),
            owner: format!("{}:{}", name(&metadata.user, metadata.uid), name(&metadata.group, metadata.gid)),
            target: match &entry.kind {
                EntryKind::Symlink { target } => Some(readable(target)),
                _ => None,
            },
        }
    }
}

/// Writes permission bits as `ls` does, without the kind.
fn mode(bits: u32) -> String {
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut text = String::with_capacity(9);
    for (place, (bit, with, without)) in special.into_iter().enumerate() {
        let three = bits >> (6 - 3 * place);
        text.push(if three & 4 != 0 { 'r' } else { '-' });
        text.push(if three & 2 != 0 { 'w' } else { '-' });
        text.push(match (three & 1 != 0, bits & bit != 0) {
            (true, true) => with,
            (false, true) => without,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// A directory of a backup, a page of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct StoredDirectory {
    /// The backup.
    pub backup: RestorePoint,
    /// The directory; empty for the root.
    pub path: BackupPath,
    /// Directories first, then the rest, each in the order of names.
    pub entries: Vec<StoredEntry>,
    /// How many were passed over.
    pub start: usize,
    /// How many there are in all.
    pub total: usize,
    /// Bytes of the files right in it.
    pub file_bytes: u64,
}

/// What a search by name found in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct StoredMatches {
    /// The backup.
    pub backup: RestorePoint,
    /// What was found, in the order of the tree.
    pub entries: Vec<StoredEntry>,
    /// Whether there may be more.
    pub more: bool,
}

/// How something differs between two backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ChangeKind {
    /// Only the later backup has it.
    Added,
    /// Only the earlier backup has it.
    Removed,
    /// Its content differs.
    Changed,
    /// Its content is the same; its mode, owner, attributes or time of change differ.
    Metadata,
}

impl ChangeKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Added, Self::Removed, Self::Changed, Self::Metadata];
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Metadata => "metadata",
        })
    }
}

impl From<Alteration> for ChangeKind {
    fn from(how: Alteration) -> Self {
        match how {
            Alteration::Added => Self::Added,
            Alteration::Removed => Self::Removed,
            Alteration::Content => Self::Changed,
            Alteration::Metadata => Self::Metadata,
        }
    }
}

/// How much differs in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ChangeCount {
    /// In which way.
    pub kind: ChangeKind,
    /// Entries.
    pub entries: u64,
    /// Bytes of the files among them in the earlier backup.
    pub bytes_before: u64,
    /// Bytes of the files among them in the later backup.
    pub bytes_after: u64,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ChangedEntry {
    /// How it differs.
    pub change: ChangeKind,
    /// What the earlier backup has.
    pub before: Option<StoredEntry>,
    /// What the later backup has.
    pub after: Option<StoredEntry>,
}

/// Something that was counted or summed up when the backups were made: the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ComparedMeasure {
    /// The table, or what else was counted.
    pub subject: String,
    /// Whether it is a table, so that what is counted are its rows.
    pub is_table: bool,
    /// How it differs; `None` where all that is known of it is the same.
    pub change: Option<ChangeKind>,
    /// How many the earlier backup has.
    pub count_before: Option<u64>,
    /// How many the later backup has.
    pub count_after: Option<u64>,
}

/// What differs between two backups of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct BackupDifference {
    /// The earlier backup.
    pub before: RestorePoint,
    /// The later one.
    pub after: RestorePoint,
    /// How much differs in each way, in the whole of both.
    pub counts: Vec<ChangeCount>,
    /// What differs, in the order of the tree: the part that was asked for.
    pub entries: Vec<ChangedEntry>,
    /// How many were passed over.
    pub start: usize,
    /// How many there are of the kind that was asked for.
    pub total: usize,
    /// What the engine counted in both, and in one of them: tables with their rows.
    pub measures: Vec<ComparedMeasure>,
}

impl BackupDifference {
    /// Says whether both hold the same, as far as content goes.
    #[must_use]
    pub fn is_same_content(&self) -> bool {
        self.counts.iter().all(|count| count.kind == ChangeKind::Metadata || count.entries == 0)
            && self.measures.iter().all(|measure| measure.change.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::mode;

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (bits, text) in
            [(0o755, "rwxr-xr-x"), (0o640, "rw-r-----"), (0o4711, "rws--x--x"), (0o1776, "rwxrwxrwT")]
        {
            assert_eq!(mode(bits), text, "{bits:o}");
        }
    }
}
