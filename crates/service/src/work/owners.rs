//! Who writes to a repository: each installation leaves a note at the destination, beside the repositories.
//!
//! The notes lie at `<root>/.larder/writers/<database>/<identifier>`, so that one small listing says who else uses a
//! repository, and none of a whole bucket is needed to say which repositories there are.

use crate::work::Site;
use larder_model::{Database, DatabaseName};
use larder_storage::{ObjectInfo, Storage, StorageError};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where notes lie, below a destination's root.
const WRITERS: &str = ".larder/writers";

/// What a note says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Note<'a> {
    identifier: &'a str,
    host: &'a str,
    since: String,
}

/// Who else writes to a repository, and whether anybody ever did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writers {
    /// Whether this installation left its note there.
    pub(crate) own: bool,
    /// The other installations.
    pub(crate) others: Vec<String>,
}

impl Site {
    /// Reads who writes to a database's repository. Blocking.
    pub(crate) fn writers(
        &self,
        root: &dyn Storage,
        database: &DatabaseName,
    ) -> Result<Writers, StorageError> {
        Ok(self.writers_of(self.handle.block_on(root.list(&folder(database)))?))
    }

    /// Says who writes to a database's repository, by the notes that lie in its folder.
    pub(crate) fn writers_of(&self, notes: Vec<ObjectInfo>) -> Writers {
        let mut writers = Writers::default();
        for note in notes {
            let Some(identifier) = note.path.rsplit('/').next().map(unescaped) else { continue };
            if identifier == self.identifier {
                writers.own = true;
            } else if !self.own_identifiers.contains(&identifier) {
                writers.others.push(identifier);
            }
        }
        writers
    }

    /// Leaves this installation's note.
    pub(crate) fn sign(
        &self,
        root: Arc<dyn Storage>,
        database: &Database,
    ) -> impl Future<Output = Result<(), StorageError>> + use<> {
        let since = self.clock.now().to_string();
        let note = Note { identifier: &self.identifier, host: &self.hostname, since };
        // Texts alone always become JSON.
        let bytes = serde_json::to_vec(&note).unwrap_or_default();
        let path = format!("{WRITERS}/{}/{}", database.name, escaped(&self.identifier));
        async move { root.put(&path, bytes.into()).await }
    }
}

/// Returns where the notes about a database's repository lie, below a destination's root.
pub(crate) fn folder(database: &DatabaseName) -> String {
    format!("{WRITERS}/{database}")
}

/// What the notes at a destination say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The databases that have a repository there.
    pub(crate) databases: BTreeSet<DatabaseName>,
    /// The installations that write there.
    pub(crate) installations: BTreeSet<String>,
}

/// Reads every note at a destination.
pub(crate) async fn notes(root: &dyn Storage) -> Result<Notes, StorageError> {
    let mut notes = Notes::default();
    for object in root.list(WRITERS).await? {
        let mut parts = object.path.rsplit('/');
        notes.installations.extend(parts.next().map(unescaped));
        notes.databases.extend(parts.next().and_then(|name| name.parse().ok()));
    }
    Ok(notes)
}

/// Writes a name so that it can be one part of a path, whatever is in it.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02x}"));
        }
    }
    text
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_identifier_can_be_the_name_of_a_note() {
        for name in ["host", "a.b", "../x", "größe / %41", ""] {
            let text = escaped(name);
            assert!(!text.contains(['/', '.']), "{text}");
            assert_eq!(unescaped(&text), name);
        }
    }
}
