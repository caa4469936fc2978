//! Naming packs: the SHA-256 of a full pack is computed beside those of the blobs that come after it.
//!
//! Two messages that are hashed in turn take a quarter to a third less time than one after the other ([`crate::lanes`]),
//! and each thread has both: the pack that it filled, and the pieces of files that it names.

use super::packers::{Packers, Slot};
use crate::id::Id;
use crate::lanes::{Stream, hash_all, hash_beside};
use crate::pack::ClosedPack;

/// The full pack of one thread, of which a part is hashed with each blob. It is sent off once all of it is.
#[derive(Debug, Default)]
pub(super) struct Naming {
    pending: Option<Pending>,
    ids: Vec<Id>,
}

#[derive(Debug)]
struct Pending {
    slot: Slot,
    pack: ClosedPack,
    stream: Stream,
}

impl Pending {
    /// Returns what is still to be hashed.
    fn rest(&self) -> &[u8] {
        let hashed = usize::try_from(self.stream.bytes()).unwrap_or(usize::MAX);
        self.pack.bytes().get(hashed..).unwrap_or_default()
    }

    fn send(self, packers: &Packers) {
        let id = self.stream.finish(self.rest());
        packers.send(self.slot, self.pack.named(id));
    }
}

impl Naming {
    /// Returns the name of a blob, and hashes as many bytes of the pack meanwhile.
    pub(super) fn id_of(&mut self, blob: &[u8], packers: &Packers) -> Id {
        if self.pending.is_none() {
            return Id::of(blob);
        }
        self.ids_of(&[blob], packers).first().copied().unwrap_or_else(|| Id::of(blob))
    }

    /// Returns the names of several blobs, hashed beside each other, and beside as many bytes of the pack where one waits.
    pub(super) fn ids_of(&mut self, blobs: &[&[u8]], packers: &Packers) -> &[Id] {
        let Some(mut pending) = self.pending.take() else {
            hash_all(blobs, &mut self.ids);
            return &self.ids;
        };
        let length: usize = blobs.iter().map(|blob| blob.len()).sum();
        let rest = pending.rest();
        let ends = rest.len() <= length;
        let piece = rest.get(..length.next_multiple_of(64)).unwrap_or(rest);
        let mut stream = pending.stream;
        hash_beside(&mut stream, piece, blobs, &mut self.ids);
        pending.stream = stream;
        if ends {
            pending.send(packers);
        } else {
            self.pending = Some(pending);
        }
        &self.ids
    }

    /// Takes on a full pack; the one before is sent off first.
    pub(super) fn take_on(&mut self, slot: Slot, pack: ClosedPack, packers: &Packers) {
        self.settle(packers);
        self.pending = Some(Pending { slot, pack, stream: Stream::new() });
    }

    /// Sends off the pack that is waiting for its name, if there is one.
    pub(super) fn settle(&mut self, packers: &Packers) {
        if let Some(pending) = self.pending.take() {
            pending.send(packers);
        }
    }
}
