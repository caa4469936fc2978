//! Several destinations that hold the same backups, read as one: what one of them has lost comes from another.
//!
//! Blobs are looked up by their hashes in the index of each destination, so it does not matter whether their packs are the
//! same. A destination is not opened before it is needed.

use crate::blob::BlobKind;
use crate::cold::Thaw;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, Location};
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::unseal::{Unsealer, writable};
use bytes::BytesMut;
use larder_model::Cancel;
use larder_storage::StorageErrorKind;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Faults that are kept.
const MOST_KEPT: usize = 1000;
/// How long a lock of somebody else is waited for at a destination that is needed beside the first.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How long one of several destinations may give nothing for a read, where nobody says otherwise.
const PATIENCE_MILLISECONDS: u64 = 120_000;

/// Something that a destination should have given and did not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFault {
    /// The destination.
    pub destination: String,
    /// The object, such as `data/0a/0a1b…` or `the data blob 0a1b… in data/0a/0a1b…`.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
}

/// The destinations in the order in which they are preferred.
#[derive(Debug)]
pub(crate) struct Sources {
    all: Vec<Source>,
    /// The root of the backup that is read.
    root: Id,
    cancel: Cancel,
    faults: Mutex<Faults>,
    thaw: Thaw,
    /// How long one of several destinations may give nothing, in milliseconds.
    patience: AtomicU64,
}

#[derive(Debug)]
struct Source {
    repository: Repository,
    /// `None` inside once it could not be opened.
    opened: OnceLock<Option<Opened>>,
    /// Whether it failed in a way that the next call will fail in, too.
    down: AtomicBool,
}

#[derive(Debug)]
struct Opened {
    index: Index,
    _lock: Option<Lock>,
}

#[derive(Debug, Default)]
struct Faults {
    kept: Vec<SourceFault>,
    seen: HashSet<(usize, String)>,
}

impl Sources {
    /// Opens the first of the destinations that can be opened, to read the backup whose root is `root`.
    pub(crate) fn open(
        repositories: &[Repository],
        root: Id,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Self, RepositoryError> {
        let make = |repository: &Repository| Source {
            repository: repository.clone(),
            opened: OnceLock::new(),
            down: AtomicBool::new(false),
        };
        let sources = Self {
            all: repositories.iter().map(make).collect(),
            root,
            cancel: cancel.clone(),
            faults: Mutex::default(),
            thaw: Thaw::default(),
            patience: AtomicU64::new(PATIENCE_MILLISECONDS),
        };
        let mut failure = None;
        for (number, source) in sources.all.iter().enumerate() {
            match source.try_open(&root, wait, cancel) {
                Ok(opened) => {
                    let _ = source.opened.set(Some(opened));
                    return Ok(sources);
                }
                Err(error) if error.is_canceled() => return Err(error),
                Err(error) => {
                    let _ = source.opened.set(None);
                    sources.note(number, "its index".to_owned(), error.to_string());
                    failure = failure.or(Some(error));
                }
            }
        }
        let none = || RepositoryError::Internal { what: "a restore was given no destination".to_owned() };
        Err(failure.unwrap_or_else(none))
    }

    /// Returns the numbers of the destinations: first those that answer, of them first those that answer at once.
    fn order(&self) -> impl Iterator<Item = usize> + '_ {
        let rank = move |at| (self.is_down(at), self.all.len() > 1 && self.is_cold(at));
        let of = move |wanted| (0..self.all.len()).filter(move |at| rank(*at) == wanted);
        of((false, false)).chain(of((false, true))).chain(of((true, false))).chain(of((true, true)))
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Sets how long one of several destinations may give nothing; zero leaves it as it is.
    pub(crate) fn wait_for_at_most(&self, patience: Duration) {
        if !patience.is_zero() {
            let milliseconds = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
            self.patience.store(milliseconds, Ordering::Relaxed);
        }
    }

    /// Returns how long a destination may give nothing; the only one may as long as it likes.
    pub(crate) fn limit(&self) -> Option<Duration> {
        (self.all.len() > 1).then(|| Duration::from_millis(self.patience.load(Ordering::Relaxed)))
    }

    pub(crate) const fn thaw(&self) -> &Thaw {
        &self.thaw
    }

    pub(crate) fn repository(&self, number: usize) -> Option<&Repository> {
        self.all.get(number).map(|source| &source.repository)
    }

    /// Names the destinations for messages.
    pub(crate) fn describe(&self) -> String {
        self.all.iter().map(|source| source.repository.describe()).collect::<Vec<_>>().join(" and ")
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Makes something that opens blobs; before it opens any, it is given the key of their destination.
    pub(crate) fn unsealer(&self) -> Result<Unsealer, RepositoryError> {
        let none = || RepositoryError::Internal { what: "there is no destination".to_owned() };
        Unsealer::new(self.repository(0).ok_or_else(none)?.key())
    }

    /// Gives the key of a destination to something that opens blobs; twins share theirs, but others need not.
    pub(crate) fn set_key(&self, unsealer: &mut Unsealer, number: usize) {
        if let Some(repository) = self.repository(number) {
            unsealer.set_key(repository.key());
        }
    }

    /// Says whether a destination failed in a way that does not pass by itself soon.
    pub(crate) fn is_down(&self, number: usize) -> bool {
        self.all.get(number).is_some_and(|source| source.down.load(Ordering::Relaxed))
    }

    /// Returns the index of a destination; opens it where that has not been done.
    pub(crate) fn index(&self, number: usize) -> Option<&Index> {
        let source = self.all.get(number)?;
        let open = || match source.try_open(&self.root, LOCK_WAIT, &self.cancel) {
            Ok(opened) => Some(opened),
            Err(error) => {
                self.note(number, "its index".to_owned(), error.to_string());
                None
            }
        };
        source.opened.get_or_init(open).as_ref().map(|opened| &opened.index)
    }

    /// Returns every place of a blob, the best first.
    pub(crate) fn places(&self, kind: BlobKind, id: Id) -> impl Iterator<Item = (usize, Location)> + '_ {
        self.order().flat_map(move |number| {
            let found: Vec<Location> =
                self.index(number).map(|index| index.locate_all(kind, &id).collect()).unwrap_or_default();
            found.into_iter().map(move |location| (number, location))
        })
    }

    /// Returns the place where a blob is best fetched.
    pub(crate) fn locate(&self, kind: BlobKind, id: &Id) -> Option<(usize, Location)> {
        if let [_] = self.all.as_slice() {
            return Some((0, self.index(0)?.locate(kind, id)?));
        }
        self.order().find_map(|number| Some((number, self.index(number)?.locate(kind, id)?)))
    }

    /// Reads a range of a pack.
    ///
    /// # Errors
    /// The destination's, which is noted; [`RepositoryError::Canceled`].
    pub(crate) fn fetch(
        &self,
        number: usize,
        pack: &Id,
        range: Range<u64>,
    ) -> Result<BytesMut, RepositoryError> {
        let none = || RepositoryError::Internal { what: format!("there is no destination {number}") };
        let source = self.all.get(number).ok_or_else(none)?;
        let path = ObjectKind::Pack.path(pack);
        let mut fetched =
            source.repository.fetch_range_within(&path, range.clone(), self.limit(), &self.cancel);
        while let Err(RepositoryError::Storage(error)) = &fetched
            && error.kind == StorageErrorKind::Cold
        {
            self.await_pack(number, pack)?;
            fetched = source.repository.fetch_range_within(&path, range.clone(), self.limit(), &self.cancel);
        }
        let fetched = fetched.map(writable);
        match &fetched {
            Ok(_) => source.down.store(false, Ordering::Relaxed),
            Err(error) => {
                self.learn_from(number, error);
                if let RepositoryError::Storage(error) = error {
                    self.note(number, path, error.to_string());
                }
            }
        }
        fetched
    }

    /// Remembers that a destination does not answer, where an error says so.
    pub(crate) fn learn_from(&self, number: usize, error: &RepositoryError) {
        use StorageErrorKind::{Damaged, Invalid, NotFound};
        if let (RepositoryError::Storage(error), Some(source)) = (error, self.all.get(number)) {
            let of_the_object = matches!(error.kind, NotFound | Damaged | Invalid);
            source.down.store(!of_the_object, Ordering::Relaxed);
        }
    }

    /// Notes that a blob at a place is not as it should be, and returns the error that says so.
    pub(crate) fn damaged(&self, number: usize, location: &Location, cause: &str) -> String {
        let pack = ObjectKind::Pack.path(&location.pack);
        let object = format!("the {} blob {} in {pack}", location.blob.kind.as_str(), location.blob.id);
        let error = self.repository(number).map(|repository| repository.damaged(&object, cause));
        self.note(number, object, cause.to_owned());
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    /// Notes a fault of a destination, once for each object.
    pub(crate) fn note(&self, number: usize, object: String, cause: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.kept.len() < MOST_KEPT && faults.seen.insert((number, object.clone())) {
            let destination = self.repository(number).map(Repository::describe).unwrap_or_default();
            faults.kept.push(SourceFault { destination, object, cause });
        }
    }

    /// Returns the faults noted so far.
    pub(crate) fn faults(&self) -> Vec<SourceFault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }
}

impl Source {
    fn try_open(&self, root: &Id, wait: Duration, cancel: &Cancel) -> Result<Opened, RepositoryError> {
        let lock = Lock::shared_if_writable(&self.repository, wait, cancel)?;
        Ok(Opened { index: self.repository.load_readable_index(root, cancel)?, _lock: lock })
    }
}
