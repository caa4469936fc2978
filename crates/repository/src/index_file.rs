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
        };
        let json = serde_json::to_string(&file).unwrap();
        let expected = format!(
            r#"{{"packs":[{{"id":"{id}","blobs":[{{"id":"{id}","type":"tree","offset":7,"length":40}},{{"id":"{id}","type":"tree","offset":7,"length":40,"uncompressed_length":9}}]}}]}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<IndexFile>(&json).unwrap(), file);
    }

    #[test]
    fn older_fields_are_ignored() {
        let json = r#"{"supersedes":[],"packs":[],"packs_to_delete":[]}"#;
        assert_eq!(serde_json::from_str::<IndexFile>(json).unwrap(), IndexFile::default());
    }
}
