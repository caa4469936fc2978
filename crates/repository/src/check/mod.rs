//! Checking a repository: is everything there that the backups need, and does it hold what it should?
//!
//! The structure costs listings, the index and the trees; with `read_data` every pack is read whole. Problems are
//! collected, not thrown: the report names each object, what is lost with it, and what to do.

mod lost;
mod packs;
mod part;
mod report;
mod trees;

pub use lost::{LostBlobs, LostEntry};
pub use part::{CheckPart, InvalidPart};
pub use report::{CheckReport, Loss, Problem};

use crate::error::RepositoryError;
use crate::id::Id;
use crate::index_file::IndexFile;
use crate::keys::KeyFile;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use larder_model::{Cancel, Counters};
use packs::Packs;
use report::Findings;
use std::time::Duration;
use trees::ByFindings;

/// How long a check waits for whoever removes something.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How thorough a check is.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Whether packs are read whole and each blob decrypted, decompressed and hashed.
    pub read_data: bool,
    /// Which part of the packs is read then; `None` for all.
    pub part: Option<CheckPart>,
    /// Threads that read packs; 0 means one for each core.
    pub threads: usize,
}

/// Reads the plain bytes of an object of a name, or says what is wrong with them.
type ParseObject<'a> = &'a mut dyn FnMut(&Id, &[u8]) -> Result<(), String>;

impl Repository {
    /// Checks the repository.
    ///
    /// # Errors
    /// Only where the check itself could not be made: the destination cannot be listed, is locked, or somebody aborted.
    /// What is wrong with the repository is in the report.
    pub fn check(
        &self,
        options: &CheckOptions,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<CheckReport, RepositoryError> {
        let _lock = Lock::shared_if_writable(self, LOCK_WAIT, cancel)?;
        let mut findings = Findings::default();
        self.check_keys(&mut findings, cancel)?;
        // Snapshots before index before packs: what a backup adds meanwhile is then never missed for want of order.
        let snapshots = self.check_snapshots(&mut findings, cancel)?;
        let mut packs = self.check_indexes(&mut findings, cancel)?;
        let listed = self.list(ObjectKind::Pack)?;
        let index = packs.compare(listed, &mut findings);
        if options.read_data {
            packs::read_all(self, &index, &packs, options, &mut findings, cancel, counters)?;
        }
        findings.unindexed = packs.unindexed;
        let mut judge = ByFindings { index: &index, findings: &mut findings };
        trees::trace(self, &index, &snapshots, &mut judge, cancel)?;
        let unindexed = packs.unindexed;
        Ok(findings.into_report(snapshots.len() as u64, packs.present() as u64, unindexed))
    }

    fn check_keys(&self, findings: &mut Findings, cancel: &Cancel) -> Result<(), RepositoryError> {
        for (id, _) in self.list(ObjectKind::Key)? {
            let path = ObjectKind::Key.path(&id);
            let cause = match self.fetch(&path, cancel) {
                Err(error) if error.is_canceled() => return Err(error),
                Err(error) => Some(error.to_string()),
                Ok(bytes) if Id::of(&bytes) != id => Some("its bytes do not have its SHA-256".to_owned()),
                Ok(bytes) => serde_json::from_slice::<KeyFile>(&bytes).err().map(|error| error.to_string()),
            };
            if let Some(cause) = cause {
                let remedy = "the repository opens with its other keys; add this one again";
                findings.add(path, cause, remedy);
            }
        }
        Ok(())
    }

    /// Reads objects of a kind one by one, noting those that cannot be read.
    fn each(
        &self,
        kind: ObjectKind,
        remedy: &'static str,
        findings: &mut Findings,
        cancel: &Cancel,
        parse: ParseObject<'_>,
    ) -> Result<(), RepositoryError> {
        for (id, _) in self.list(kind)? {
            let path = kind.path(&id);
            let opened = self.fetch(&path, cancel).and_then(|sealed| self.open_object(kind, &id, &sealed));
            let cause = match opened {
                Err(error) if error.is_canceled() => return Err(error),
                Err(RepositoryError::Storage(error)) if error.is_retryable() => return Err(error.into()),
                Err(error) => Err(error.to_string()),
                Ok(json) => parse(&id, &json),
            };
            if let Err(cause) = cause {
                findings.add(path, cause, remedy);
            }
        }
        Ok(())
    }

    fn check_snapshots(
        &self,
        findings: &mut Findings,
        cancel: &Cancel,
    ) -> Result<Vec<Snapshot>, RepositoryError> {
        let mut snapshots = Vec::new();
        let remedy = "this backup is lost here; fetch the object from another destination, or remove it";
        self.each(ObjectKind::Snapshot, remedy, findings, cancel, &mut |id, json| {
            snapshots.push(Snapshot::from_json(id, json)?);
            Ok(())
        })?;
        Ok(snapshots)
    }

    fn check_indexes(&self, findings: &mut Findings, cancel: &Cancel) -> Result<Packs, RepositoryError> {
        let mut packs = Packs::default();
        let remedy = "the packs it names are not lost: remove it and run `restic rebuild-index`";
        self.each(ObjectKind::Index, remedy, findings, cancel, &mut |_, json| {
            let file: IndexFile = serde_json::from_slice(json).map_err(|error| error.to_string())?;
            packs.add(&file);
            Ok(())
        })?;
        Ok(packs)
    }
}
