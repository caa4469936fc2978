//! Storing one blob: known? compress, encrypt, pack.

use super::known::Targets;
use super::naming::Naming;
use super::session::{Session, add};
use crate::blob::BlobKind;
use crate::compress::Compressor;
use crate::error::RepositoryError;
use crate::id::Id;

/// Stores a blob wherever it is lacking; says whether it was lacking anywhere.
pub(super) fn store_blob(
    session: &Session,
    compressor: &mut Compressor,
    naming: &mut Naming,
    kind: BlobKind,
    id: &Id,
    blob: &[u8],
) -> Result<bool, RepositoryError> {
    let lacking = session.known.claim(kind, id, session.targets.live());
    if lacking == 0 {
        return Ok(false);
    }
    let packed = match kind {
        BlobKind::Data => compressor.pack(blob),
        BlobKind::Tree => compressor.pack_tree(blob),
    };
    let packed =
        packed.map_err(|cause| RepositoryError::Internal { what: format!("zstd failed: {cause}") })?;
    let statistics = &session.statistics;
    add(if kind == BlobKind::Data { &statistics.new_data_blobs } else { &statistics.new_tree_blobs }, 1);
    add(&statistics.new_bytes, blob.len() as u64);
    add(&statistics.new_packed_bytes, packed.buffer.len() as u64);
    let mut groups = session.targets.by_key(lacking).peekable();
    while let Some(group) = groups.next() {
        if groups.peek().is_some() {
            // Another key needs the plain bytes once more.
            let mut copy = packed.buffer.to_vec();
            seal_and_add(session, naming, (kind, group), id, &mut copy, packed.uncompressed_bytes)?;
        } else {
            seal_and_add(session, naming, (kind, group), id, packed.buffer, packed.uncompressed_bytes)?;
        }
    }
    Ok(true)
}

fn seal_and_add(
    session: &Session,
    naming: &mut Naming,
    slot: (BlobKind, Targets),
    id: &Id,
    buffer: &mut [u8],
    uncompressed: Option<u32>,
) -> Result<(), RepositoryError> {
    let Some(key) = session.targets.key_of(slot.1) else { return Ok(()) };
    key.seal_slice(buffer)?;
    session.packers.add(slot, *id, buffer, uncompressed, &session.signals, naming)
}
