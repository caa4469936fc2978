//! Whether packs that a destination is too slow for may wait on this machine's disk.

use crate::work::part::Part;
use larder_model::task::BackupUploadMode;
use larder_repository::SpillOptions;
use std::path::Path;

/// So much of one backup waits there at most, and so much stays free.
const MOST_BYTES: u64 = 64 << 30;
const FREE_BYTES: u64 = 2 << 30;

/// Says where packs may wait, as the upload mode `Default` means it: the source is read, and other destinations are served,
/// as fast as they can be. `DirectUpload` puts nothing on the disk, and a directory is such a disk itself.
pub(crate) fn on_disk(mode: BackupUploadMode, parts: &[Part], staging: &Path) -> Option<SpillOptions> {
    let elsewhere = parts.iter().any(|part| part.vault.place.destination.spot.directory().is_none());
    (mode == BackupUploadMode::Default && elsewhere).then(|| SpillOptions {
        directory: staging.to_owned(),
        most_bytes: MOST_BYTES,
        keep_free_bytes: FREE_BYTES,
    })
}
