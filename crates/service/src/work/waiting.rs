//! Whether packs that a destination is too slow for may wait on this machine's disk.

use crate::work::part::Part;
use larder_model::human;
use larder_model::task::BackupUploadMode;
use larder_repository::SpillOptions;
use std::path::Path;

/// So much stays free there.
const FREE_BYTES: u64 = 2 << 30;

/// Says where packs may wait, as the upload mode `Default` means it: the source is read, and other destinations are served,
/// as fast as they can be. `DirectUpload` puts nothing on the disk, and a directory is such a disk itself.
pub(crate) fn on_disk(
    mode: BackupUploadMode,
    parts: &[Part],
    (staging, most_bytes): (&Path, u64),
) -> Option<SpillOptions> {
    let elsewhere = parts.iter().any(|part| part.vault.place.destination.spot.directory().is_none());
    (mode == BackupUploadMode::Default && elsewhere && most_bytes > 0).then(|| SpillOptions {
        directory: staging.to_owned(),
        most_bytes,
        keep_free_bytes: FREE_BYTES,
    })
}

/// Says how much waited there, where anything did.
pub(crate) fn told(bytes: u64) -> Option<String> {
    (bytes > 0).then(|| {
        format!(
            "{} waited on this machine's disk for destinations slower than the source",
            human::size(bytes)
        )
    })
}
