//! Index objects: JSON that says which blobs are in which packs.

use crate::blob::{BlobKind, PackedBlob};
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// What an object below `index/` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFile {
    /// Indexes that this one replaced; of no consequence to readers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<Id>,
    /// The packs.
    pub packs: Vec<IndexedPack>,
    /// Packs that are named no more and go after a while, in the form that rustic gave them; restic ignores them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs_to_delete: Vec<RetiredPack>,
}

/// A pack that no backup needs any more and that stays for those who may still be reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredPack {
    /// The pack's name.
    pub id: Id,
    /// Its blobs.
    pub blobs: Vec<IndexedBlob>,
    /// Since when it is named no more, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// One pack in an index object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedPack {
    /// The pack's name.
    pub id: Id,
    /// Its blobs.
    pub blobs: Vec<IndexedBlob>,
}

/// One blob in an index object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedBlob {
    /// The blob's name.
    pub id: Id,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: BlobKind,
    /// Where it begins in the pack.
    pub offset: u32,
    /// How long it is there, sealed.
    pub length: u32,
    /// How long it is once decompressed; 0 or absent where it is stored as it was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncompressed_length: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<&PackedBlob> for IndexedBlob {
    fn from(blob: &PackedBlob) -> Self {
        Self {
            id: blob.id,
            kind: blob.kind,
            offset: blob.offset,
            length: blob.length,
            uncompressed_length: blob.uncompressed_length.unwrap_or(0),
        }
    }
}

impl From<&IndexedBlob> for PackedBlob {
    fn from(blob: &IndexedBlob) -> Self {
        Self {
            id: blob.id,
            kind: blob.kind,
            offset: blob.offset,
            length: blob.length,
            uncompressed_length: Some(blob.uncompressed_length).filter(|length| *length != 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_as_restic_writes_it() {
        let id = Id::of(b"x");
        let blob = |uncompressed_length| IndexedBlob {
            id,
            kind: BlobKind::Tree,
            offset: 7,
            length: 40,
            uncompressed_length,
        };
        let file = IndexFile {
            supersedes: Vec::new(),
            packs: vec![IndexedPack { id, blobs: vec![blob(0), blob(9)] }],
            packs_to_delete: Vec::new(),
        };
        let json = serde_json::to_string(&file).unwrap();
        let expected = format!(
            r#"{{"packs":[{{"id":"{id}","blobs":[{{"id":"{id}","type":"tree","offset":7,"length":40}},{{"id":"{id}","type":"tree","offset":7,"length":40,"uncompressed_length":9}}]}}]}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<IndexFile>(&json).unwrap(), file);
    }

    #[test]
    fn retired_packs_are_read_as_rustic_writes_them() {
        let id = Id::of(b"x");
        let json = format!(
            r#"{{"packs":[],"packs_to_delete":[{{"id":"{id}","blobs":[],"time":"2026-01-02T03:04:05.6+01:00","size":9}}]}}"#
        );
        let file: IndexFile = serde_json::from_str(&json).unwrap();
        assert_eq!(file.packs_to_delete[0].time.as_deref(), Some("2026-01-02T03:04:05.6+01:00"));
    }

    #[test]
    fn older_fields_are_ignored() {
        let json = r#"{"supersedes":[],"packs":[],"other":[]}"#;
        assert_eq!(serde_json::from_str::<IndexFile>(json).unwrap(), IndexFile::default());
    }
}
