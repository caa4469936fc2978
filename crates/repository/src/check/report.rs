//! What a check found.

use crate::blob::BlobKind;
use crate::id::Id;
use larder_model::BackupId;
use std::collections::HashMap;

/// Lost files of one problem that are named; the rest is counted.
const MOST_NAMED: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Backups looked at.
    pub snapshots: u64,
    /// Packs that are there.
    pub packs: u64,
    /// Packs that no index knows: left by a backup that broke off, harmless, removed by the next prune.
    pub unindexed_packs: u64,
    /// Packs that were read whole.
    pub read_packs: u64,
    /// Packs that were to be read but lie in cold storage: nobody is made to pay for a check of what was not asked for.
    pub cold_packs: u64,
    /// Bytes of packs that were read and found right.
    pub verified_bytes: u64,
}

impl CheckReport {
    /// Says whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The object, by its path.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// What of which backup is lost with it; the first hundred.
    pub lost: Vec<Loss>,
    /// How many such files and directories there are.
    pub lost_count: u64,
    /// What can be done.
    pub remedy: String,
}

/// A file or directory of a backup that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The backup.
    pub snapshot: BackupId,
    /// The path in it.
    pub path: String,
}

/// What was found so far, and which blobs are bad for which problem.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    bad: HashMap<(BlobKind, Id), usize>,
    pub(super) read_packs: u64,
    pub(super) cold_packs: u64,
    pub(super) verified_bytes: u64,
    /// Packs that no index knows; what is in no index may be in one of them.
    pub(super) unindexed: u64,
}

impl Findings {
    pub(super) fn add(&mut self, object: String, cause: String, remedy: &str) -> usize {
        let remedy = remedy.to_owned();
        self.problems.push(Problem { object, cause, lost: Vec::new(), lost_count: 0, remedy });
        self.problems.len() - 1
    }

    /// Notes that a blob cannot be had because of a problem.
    pub(super) fn spoil(&mut self, kind: BlobKind, id: Id, problem: usize) {
        self.bad.entry((kind, id)).or_insert(problem);
    }

    pub(super) fn bad(&self, kind: BlobKind, id: &Id) -> Option<usize> {
        self.bad.get(&(kind, *id)).copied()
    }

    pub(super) fn lose(&mut self, problem: usize, snapshot: &BackupId, path: &[u8]) {
        if let Some(problem) = self.problems.get_mut(problem) {
            problem.lost_count += 1;
            if problem.lost.len() < MOST_NAMED {
                let path = String::from_utf8_lossy(path).into_owned();
                problem.lost.push(Loss { snapshot: snapshot.clone(), path });
            }
        }
    }

    pub(super) fn into_report(self, snapshots: u64, packs: u64, unindexed_packs: u64) -> CheckReport {
        let Self { problems, read_packs, cold_packs, verified_bytes, .. } = self;
        CheckReport { problems, snapshots, packs, unindexed_packs, read_packs, cold_packs, verified_bytes }
    }
}
