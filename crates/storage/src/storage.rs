//! The trait that every destination implements.

use crate::error::StorageError;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;
use std::ops::Range;

/// What a destination can do; the rest of Larder asks this record and never the destination's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether [`Storage::put_new`] can tell a winner when several write the same name at once.
    pub conditional_put: bool,
    /// Whether an object can be renamed without copying it.
    pub rename: bool,
    /// Whether [`Storage::free_bytes`] gives an answer.
    pub free_space: bool,
    /// Whether objects written by [`Storage::put_cold`] must be asked for before they can be read.
    pub cold: bool,
    /// Whether nobody can remove what was written before its time; see [`Storage::protect`].
    pub object_lock: bool,
    /// For how many days from its writing, where that is so.
    pub lock_days: u32,
    /// Whether it lets bytes through at the pace of the call that it is in, piece by piece; otherwise whoever makes the call
    /// waits for all of them before.
    pub paced: bool,
}

/// Whether an object can be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Availability {
    /// It can be read.
    Ready,
    /// It was asked for and can be read some time later.
    Thawing,
    /// It cannot be read before somebody asks for it.
    Cold,
}

/// One object at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its path below the destination's root, parts separated by `/`.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A place that holds named objects of up to 64 MiB or more.
///
/// Paths are relative, their parts separated by `/`; no part is empty, `.` or `..`.
#[async_trait]
pub trait Storage: Send + Sync + Debug {
    /// Says what this destination can do.
    fn capabilities(&self) -> Capabilities;

    /// Names the destination for messages, without secrets: `/srv/backups`, `s3://bucket/folder`.
    fn describe(&self) -> String;

    /// Writes an object, replacing one of the same name, and returns once it is durable.
    ///
    /// Readers see the old object or the new one, never a part of it.
    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError>;

    /// Writes an object unless one of that name exists; says whether it was written.
    ///
    /// Where [`Capabilities::conditional_put`] is false, two writers at the same moment may both be told `true`.
    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError>;

    /// Does what [`Storage::put`] does with an object that nothing but a restore reads: a destination with a cold class,
    /// which is cheap to keep and slow to read, puts it there.
    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.put(path, data).await
    }

    /// Does what [`Storage::put`] does, or with `cold` what [`Storage::put_cold`] does, with bytes whose SHA-256 is known: a
    /// protocol that sends their hash along need not compute it for each destination anew.
    async fn put_hashed(
        &self,
        path: &str,
        data: Bytes,
        sha256: &[u8; 32],
        cold: bool,
    ) -> Result<(), StorageError> {
        let _ = sha256;
        if cold { self.put_cold(path, data).await } else { self.put(path, data).await }
    }

    /// Says whether an object can be read now; reading one that cannot is an error of the kind
    /// [`crate::StorageErrorKind::Cold`]. Only asked where [`Capabilities::cold`] is true.
    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        let _ = path;
        Ok(Availability::Ready)
    }

    /// Asks for objects to be made readable for a while, as long as a restore takes, and returns without waiting for it.
    ///
    /// All that a restore needs are asked for in one call, for some destinations bill by the request. One that is readable
    /// or was asked for already is no error.
    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        let _ = paths;
        Ok(())
    }

    /// Protects an object from removal for as long as one that were written now, counted from now. Only asked where
    /// [`Capabilities::object_lock`] is true, for what is still needed and was written long ago.
    async fn protect(&self, path: &str) -> Result<(), StorageError> {
        let _ = path;
        Ok(())
    }

    /// Reads a whole object.
    async fn get(&self, path: &str) -> Result<Bytes, StorageError>;

    /// Reads bytes of an object; fewer than asked for is an error, not a short answer.
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError>;

    /// Returns what is known of an object, or `None` where there is none.
    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError>;

    /// Lists every object below a folder, at any depth; a folder that does not exist has none.
    ///
    /// The answer is complete or an error: what a listing does not show is taken as absent, and deletions
    /// rest on it. Unfinished writes are not listed.
    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError>;

    /// Removes an object; one that is already gone is no error.
    async fn delete(&self, path: &str) -> Result<(), StorageError>;

    /// Returns how many bytes can still be written, where the destination can tell.
    async fn free_bytes(&self) -> Result<Option<u64>, StorageError>;
}
