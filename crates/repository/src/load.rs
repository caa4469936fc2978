//! Reading single blobs, each checked against its hash.

use crate::blob::{BlobKind, PackedBlob};
use crate::compress::Decompressor;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, Location};
use crate::layout::ObjectKind;
use crate::repository::Repository;
use crate::tree::Tree;
use bytes::Bytes;
use larder_storage::StorageError;

impl Repository {
    /// Decrypts, decompresses and checks a sealed blob that was read from a pack; `sealed` is used up.
    ///
    /// # Errors
    /// What is wrong with it, without its name.
    pub(crate) fn open_blob(
        &self,
        blob: &PackedBlob,
        sealed: &mut [u8],
        decompressor: &mut Decompressor,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let plain = self.key().open_in_place(sealed).map_err(|e| e.to_string())?;
        match blob.uncompressed_length {
            Some(bytes) => decompressor.unpack_into(plain, bytes as usize, out).map_err(|e| e.to_string())?,
            None => {
                out.clear();
                out.extend_from_slice(plain);
            }
        }
        if Id::of(out) == blob.id { Ok(()) } else { Err("its bytes do not have its SHA-256".to_owned()) }
    }

    /// Reads one blob and checks its hash; where it lies more than once, a damaged or missing copy is passed over.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] for a blob that the index does not know; otherwise why its last copy failed.
    pub fn load_blob(&self, index: &Index, kind: BlobKind, id: &Id) -> Result<Vec<u8>, RepositoryError> {
        let mut failure = RepositoryError::Missing {
            object: format!("the {} blob {id}", kind.as_str()),
            destination: self.describe(),
            remedy: "run a check to see which backups need it".to_owned(),
        };
        for location in index.locate_all(kind, id) {
            match self.load_blob_at(&location) {
                Ok(blob) => return Ok(blob),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Reads the blob at one place and checks its hash.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] naming blob and pack; the destination's.
    pub fn load_blob_at(&self, location: &Location) -> Result<Vec<u8>, RepositoryError> {
        let sealed = self.handle().block_on(self.read_sealed(location))?;
        let mut sealed = Vec::from(sealed);
        let mut blob = Vec::new();
        let opened = Decompressor::new().map_err(|e| e.to_string()).and_then(|mut decompressor| {
            self.open_blob(&location.blob, &mut sealed, &mut decompressor, &mut blob)
        });
        match opened {
            Ok(()) => Ok(blob),
            Err(cause) => {
                let what = format!("the {} blob {} in", location.blob.kind.as_str(), location.blob.id);
                Err(self.damaged(format!("{what} {}", ObjectKind::Pack.path(&location.pack)), cause))
            }
        }
    }

    async fn read_sealed(&self, location: &Location) -> Result<Bytes, StorageError> {
        let from = u64::from(location.blob.offset);
        let range = from..from + u64::from(location.blob.length);
        self.storage().get_range(&ObjectKind::Pack.path(&location.pack), range).await
    }

    /// Reads the tree of a directory.
    ///
    /// # Errors
    /// Those of [`Repository::load_blob`], and [`RepositoryError::Damaged`] for one that makes no sense.
    pub fn load_tree(&self, index: &Index, id: &Id) -> Result<Tree, RepositoryError> {
        let json = self.load_blob(index, BlobKind::Tree, id)?;
        Tree::from_json(&json).map_err(|cause| self.damaged(format!("the tree {id}"), cause))
    }
}
