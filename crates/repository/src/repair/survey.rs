//! What lies in a repository that may be damaged: nothing is believed that cannot be read, and nothing stops at it.

use crate::blob::PackedBlob;
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index::{Index, IndexBuilder};
use crate::index_file::{IndexFile, IndexedPack};
use crate::layout::ObjectKind;
use crate::prune::pack_bytes;
use std::collections::HashMap;

/// A pack that a readable index object names.
#[derive(Debug)]
pub(super) struct NamedPack {
    pub(super) id: Id,
    /// The size it has by the index, in bytes.
    pub(super) bytes: u64,
    blobs: usize,
    /// What is wrong with it; `None` as far as is known.
    pub(super) fault: Option<String>,
}

/// Everything that lies in a repository.
#[derive(Debug)]
pub(super) struct Survey {
    /// Packs that are there, with their sizes in bytes.
    pub(super) listed: HashMap<Id, u64>,
    /// The blobs of all packs that are named, those at fault too.
    pub(super) index: Index,
    /// The packs by their numbers in the index.
    pub(super) packs: Vec<NamedPack>,
    pub(super) numbers: HashMap<Id, u32>,
    /// Readable index objects, each with the numbers of the packs that it names.
    pub(super) indexes: Vec<(Id, Vec<u32>)>,
    /// Index objects that cannot be read, and why.
    pub(super) bad_indexes: Vec<(Id, String)>,
}

impl Survey {
    /// Lists the packs and reads the index.
    ///
    /// # Errors
    /// A failure that is no proof of damage.
    pub(super) fn load(guarded: &Guarded) -> Result<Self, RepositoryError> {
        let mut this = Self {
            listed: guarded.list(ObjectKind::Pack)?,
            index: Index::default(),
            packs: Vec::new(),
            numbers: HashMap::new(),
            indexes: Vec::new(),
            bad_indexes: Vec::new(),
        };
        let mut builder = IndexBuilder::default();
        let mut names: Vec<Id> = guarded.list(ObjectKind::Index)?.into_keys().collect();
        names.sort_unstable();
        for id in names {
            guarded.check()?;
            match read_index(guarded, &id) {
                Ok(file) => {
                    let packs = file.packs.iter().map(|pack| this.add(&mut builder, pack)).collect();
                    this.indexes.push((id, packs));
                }
                Err(error) if error.proves_damage() => this.bad_indexes.push((id, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        this.index = builder.build();
        Ok(this)
    }

    fn add(&mut self, builder: &mut IndexBuilder, pack: &IndexedPack) -> u32 {
        let bytes = pack_bytes(&pack.blobs);
        if let Some(number) = self.numbers.get(&pack.id) {
            let known = &mut self.packs[*number as usize];
            if known.bytes != bytes || known.blobs != pack.blobs.len() {
                known.fault = Some("two index objects list other blobs in it".to_owned());
            }
            return *number;
        }
        let fault = match self.listed.get(&pack.id) {
            None => Some("it is missing".to_owned()),
            Some(there) if *there != bytes => Some(format!("it has {there} bytes instead of {bytes}")),
            Some(_) => None,
        };
        let number = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
        self.packs.push(NamedPack { id: pack.id, bytes, blobs: pack.blobs.len(), fault });
        self.numbers.insert(pack.id, number);
        number
    }

    pub(super) fn is_sound(&self, number: u32) -> bool {
        self.packs.get(number as usize).is_some_and(|pack| pack.fault.is_none())
    }
}

/// Reads an index object.
///
/// # Errors
/// [`RepositoryError::Damaged`], or why it could not be read.
pub(super) fn read_index(guarded: &Guarded, id: &Id) -> Result<IndexFile, RepositoryError> {
    let (repository, path) = (&guarded.repository, ObjectKind::Index.path(id));
    let sealed = repository.fetch(&path, &guarded.cancel)?;
    let json = repository.open_object(ObjectKind::Index, id, &sealed)?;
    serde_json::from_slice(&json).map_err(|cause| repository.damaged(path, cause.to_string()))
}
