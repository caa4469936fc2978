//! Whether a destination lets Larder do what a backup needs, found out by doing it with one small object.

use crate::error::{StorageError, StorageErrorKind};
use crate::random::mixed;
use crate::storage::Storage;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// Where the objects of probes lie; no database can have this name.
const FOLDER: &str = ".larder/probe";
const SIZE_BYTES: usize = 1024;
const RANGE: std::ops::Range<usize> = 300..700;

/// What a probe tries, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeAct {
    /// Writes an object.
    Write,
    /// Looks for it in a listing.
    List,
    /// Asks for its size.
    LookUp,
    /// Reads it back.
    Read,
    /// Reads a part of it.
    ReadRange,
    /// Removes it, and looks whether it is gone.
    Delete,
}

impl ProbeAct {
    /// Every act, in order.
    pub const ALL: [Self; 6] =
        [Self::Write, Self::List, Self::LookUp, Self::Read, Self::ReadRange, Self::Delete];

    /// Names the right that it needs: `write objects`.
    #[must_use]
    pub const fn right(self) -> &'static str {
        match self {
            Self::Write => "write objects",
            Self::List => "list objects",
            Self::LookUp => "look objects up",
            Self::Read => "read objects",
            Self::ReadRange => "read parts of objects",
            Self::Delete => "delete objects",
        }
    }

    /// Says what does not work without it.
    #[must_use]
    pub const fn needed_for(self) -> &'static str {
        match self {
            Self::Write => "without it no backup can be made",
            Self::List => "without it backups can be neither continued nor shown",
            Self::LookUp => "without it backups cannot be proved complete",
            Self::Read => "without it nothing can be restored or continued",
            Self::ReadRange => "without it restores and incremental backups fail",
            Self::Delete => "without it old backups stay for ever, and locks stay behind",
        }
    }
}

impl fmt::Display for ProbeAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.right())
    }
}

/// How an act ended.
#[derive(Debug)]
pub enum ProbeOutcome {
    /// It works.
    Works,
    /// The destination refused it: the right is missing, or the credentials are wrong.
    Refused(StorageError),
    /// It failed for another reason.
    Failed(StorageError),
    /// It was not tried, because something that comes before it failed.
    NotTried,
}

/// One act of a probe and its end.
#[derive(Debug)]
pub struct ProbeStep {
    /// What was tried.
    pub act: ProbeAct,
    /// How it ended.
    pub outcome: ProbeOutcome,
}

impl ProbeStep {
    /// Says whether it works.
    #[must_use]
    pub const fn works(&self) -> bool {
        matches!(self.outcome, ProbeOutcome::Works)
    }
}

impl fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (right, needed_for) = (self.act.right(), self.act.needed_for());
        match &self.outcome {
            ProbeOutcome::Works => write!(f, "may {right}"),
            ProbeOutcome::Refused(error) => {
                write!(f, "the right to {right} is missing: {}; {needed_for}", error.cause)
            }
            ProbeOutcome::Failed(error) => write!(f, "could not {right}: {}; {needed_for}", error.cause),
            ProbeOutcome::NotTried => write!(f, "whether it may {right} was not tried"),
        }
    }
}

/// What a probe found.
#[derive(Debug)]
pub struct ProbeReport {
    /// The destination as [`Storage::describe`] names it.
    pub destination: String,
    /// The object's path, below the destination's root.
    pub object: String,
    /// Whether the object may still be there, because it could not be removed.
    pub left_behind: bool,
    /// Each act once, in the order of [`ProbeAct::ALL`].
    pub steps: Vec<ProbeStep>,
}

impl ProbeReport {
    /// Says whether the destination can be used.
    #[must_use]
    pub fn works(&self) -> bool {
        self.steps.iter().all(ProbeStep::works)
    }

    /// Returns what the destination refused.
    pub fn missing(&self) -> impl Iterator<Item = ProbeAct> + '_ {
        let refused = |step: &&ProbeStep| matches!(step.outcome, ProbeOutcome::Refused(_));
        self.steps.iter().filter(refused).map(|step| step.act)
    }
}

/// One sentence when all is well; else a line for each act, and one for an object that stays there.
impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.works() {
            return write!(f, "{} works: an object was written, listed, read and deleted", self.destination);
        }
        write!(f, "{} cannot be used as it is:", self.destination)?;
        let nothing_else =
            |step: &ProbeStep| matches!(step.outcome, ProbeOutcome::Refused(_) | ProbeOutcome::NotTried);
        if self.missing().count() > 1 && self.steps.iter().all(nothing_else) {
            write!(f, "\n  it refuses everything: check the credentials first")?;
        }
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        if self.left_behind {
            write!(f, "\n  the object '{}' may still be there; it can be deleted by hand", self.object)?;
        }
        Ok(())
    }
}

/// Tries a destination with one small object of a random name.
#[derive(Clone, Debug)]
pub struct Probe {
    seed: u64,
    patience: Duration,
}

impl Probe {
    /// Prepares a probe; `seed` is a random number, from which the object's name and bytes are made.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, patience: Duration::from_secs(30) }
    }

    /// Sets how long one act may take; 30 s where nothing is said.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Tries everything that a backup needs, and removes what it wrote.
    ///
    /// Give it the destination itself, not one that repeats failed calls: somebody waits for the answer.
    pub async fn run(&self, storage: &dyn Storage) -> ProbeReport {
        let path = format!("{FOLDER}/{:016x}", mixed(self.seed));
        let mut trial = Trial { storage, path: &path, data: self.data(), written: false };
        let (mut steps, mut answers, mut deleted) = (Vec::new(), true, false);
        for act in ProbeAct::ALL {
            let worthwhile = match act {
                ProbeAct::Write => true,
                ProbeAct::List => answers,
                ProbeAct::LookUp | ProbeAct::Read | ProbeAct::ReadRange => answers && trial.written,
                // Also where the write failed, for a part of it may be there.
                ProbeAct::Delete => answers || trial.written,
            };
            let tried = if worthwhile { Some(self.attempt(&trial, act).await) } else { None };
            match (act, &tried) {
                (ProbeAct::Write, Some(Ok(()))) => trial.written = true,
                (ProbeAct::Delete, Some(Ok(()))) => deleted = true,
                // Each further act would be waited for in vain.
                (_, Some(Err(error))) if error.is_retryable() => answers = false,
                _ => {}
            }
            let outcome = match tried {
                // Removing what was never there tells nothing of the right to do so.
                Some(Ok(())) if act == ProbeAct::Delete && !trial.written => ProbeOutcome::NotTried,
                Some(Ok(())) => ProbeOutcome::Works,
                Some(Err(error)) if error.kind == StorageErrorKind::Denied => ProbeOutcome::Refused(error),
                Some(Err(error)) => ProbeOutcome::Failed(error),
                None => ProbeOutcome::NotTried,
            };
            steps.push(ProbeStep { act, outcome });
        }
        let refused = matches!(steps.first().map(|step| &step.outcome), Some(ProbeOutcome::Refused(_)));
        ProbeReport {
            destination: storage.describe(),
            object: path,
            left_behind: !deleted && !refused,
            steps,
        }
    }

    async fn attempt(&self, trial: &Trial<'_>, act: ProbeAct) -> Result<(), StorageError> {
        tokio::time::timeout(self.patience, trial.attempt(act)).await.unwrap_or_else(|_| {
            let cause = format!("it gave no answer within {} s", self.patience.as_secs_f64());
            Err(trial.error(StorageErrorKind::Unavailable, cause))
        })
    }

    fn data(&self) -> Bytes {
        let words = (1..=SIZE_BYTES as u64 / 8).map(|number| mixed(self.seed.wrapping_add(number)));
        words.flat_map(u64::to_le_bytes).collect()
    }
}

/// A probe under way.
struct Trial<'a> {
    storage: &'a dyn Storage,
    path: &'a str,
    data: Bytes,
    written: bool,
}

impl Trial<'_> {
    async fn attempt(&self, act: ProbeAct) -> Result<(), StorageError> {
        match act {
            ProbeAct::Write => self.storage.put(self.path, self.data.clone()).await,
            ProbeAct::List => self.list().await,
            ProbeAct::LookUp => {
                let found = self.storage.stat(self.path).await?;
                self.expect(found.map(|object| object.size_bytes) == Some(SIZE_BYTES as u64), || {
                    "it says that the object just written is not there, or has another size".to_owned()
                })
            }
            ProbeAct::Read => {
                let read = self.storage.get(self.path).await?;
                self.expect(read == self.data, || format!("other bytes came back: {} of them", read.len()))
            }
            ProbeAct::ReadRange => {
                let range = RANGE.start as u64..RANGE.end as u64;
                let read = self.storage.get_range(self.path, range).await?;
                self.expect(read == self.data.slice(RANGE), || {
                    format!("{} bytes of its middle were asked for, but others came back", RANGE.len())
                })
            }
            ProbeAct::Delete => self.delete().await,
        }
    }

    async fn list(&self) -> Result<(), StorageError> {
        let listed = self.storage.list(FOLDER).await?;
        let found =
            listed.iter().any(|object| object.path == self.path && object.size_bytes == SIZE_BYTES as u64);
        self.expect(found || !self.written, || "the object just written is not in the listing".to_owned())
    }

    async fn delete(&self) -> Result<(), StorageError> {
        self.storage.delete(self.path).await?;
        // Whoever may not look it up has been told so already.
        let there = self.storage.stat(self.path).await.is_ok_and(|found| found.is_some());
        self.expect(!there, || "it says that the object is deleted, but it is still there".to_owned())
    }

    fn expect(&self, as_it_should: bool, cause: impl FnOnce() -> String) -> Result<(), StorageError> {
        if as_it_should { Ok(()) } else { Err(self.error(StorageErrorKind::Damaged, cause())) }
    }

    fn error(&self, kind: StorageErrorKind, cause: String) -> StorageError {
        StorageError::new(kind, "try", self.path, self.storage.describe(), cause)
    }
}
