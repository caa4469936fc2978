//! Blobs: the pieces that packs are made of.

use crate::crypto::OVERHEAD_BYTES;
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// The two kinds of blob; they never share a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobKind {
    /// A piece of a file.
    Data,
    /// A directory.
    Tree,
}

impl BlobKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Data, Self::Tree];

    /// Returns the word that messages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Tree => "tree",
        }
    }
}

/// One blob within its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedBlob {
    /// The SHA-256 of the blob before compression.
    pub id: Id,
    /// What it is.
    pub kind: BlobKind,
    /// Where it begins in the pack, in bytes.
    pub offset: u32,
    /// How long it is in the pack, sealed, in bytes.
    pub length: u32,
    /// How long it is once decompressed; `None` where it is stored as it was.
    pub uncompressed_length: Option<u32>,
}

impl PackedBlob {
    /// Returns the blob's own length in bytes, decompressed and decrypted.
    #[must_use]
    pub fn plain_length(&self) -> u32 {
        self.uncompressed_length.unwrap_or_else(|| self.length.saturating_sub(OVERHEAD_BYTES as u32))
    }
}
