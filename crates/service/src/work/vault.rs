//! The repository of one database at one destination: found, opened, made.

use crate::credentials;
use crate::error::ServiceError;
use crate::request::BackupChoice;
use crate::work::mark::{Mark, Note};
use crate::work::owners::{self, Writers};
use crate::work::{Place, Site};
use larder_model::task::DestinationKind;
use larder_model::{BackupId, BackupQuality, Cancel, Database};
use larder_repository::{Repository, RepositoryError, Snapshot};
use larder_storage::{Folder, Local, Storage, StorageError, StorageErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long, at the end of a run, its note is waited for that was sent at the beginning.
const NOTE: Duration = Duration::from_secs(5);

/// An open repository, with what lies in it.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) place: Place,
    pub(crate) repository: Repository,
    /// Other installations that write to the same repository, as far as notes at the destination say.
    pub(crate) others: Vec<String>,
    /// This installation's note there, while it is written.
    note: Option<JoinHandle<Result<(), StorageError>>>,
}

/// What a look at a destination found.
#[derive(Debug)]
pub(crate) struct Look {
    root: Arc<dyn Storage>,
    storage: Arc<dyn Storage>,
    writers: Writers,
    /// The repository, where there is one.
    pub(crate) repository: Option<Repository>,
    /// What lies in it, the newest first.
    before: Vec<Found>,
}

/// One snapshot with what Larder knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) snapshot: Snapshot,
    pub(crate) mark: Mark,
    pub(crate) quality: BackupQuality,
}

impl Found {
    pub(crate) fn note(&self) -> Note {
        Note::of(&self.snapshot).unwrap_or_default()
    }
}

impl From<RepositoryError> for ServiceError {
    fn from(error: RepositoryError) -> Self {
        Self::Repository { message: error.to_string() }
    }
}

impl Site {
    /// Opens a database's repository.
    pub(crate) fn open(&self, place: &Place, database: &Database) -> Result<Vault, ServiceError> {
        let storage = folder(database, self.connections.open(&place.destination.spot)?);
        let repository = self.open_with_any(place, &storage)?;
        Ok(Vault::of(place, repository))
    }

    /// Opens a repository with the first password that fits.
    pub(super) fn open_with_any(
        &self,
        place: &Place,
        storage: &Arc<dyn Storage>,
    ) -> Result<Repository, RepositoryError> {
        let mut refused = None;
        for password in &place.passwords {
            let credentials = credentials::of(password);
            let clock = Arc::clone(&self.clock);
            match Repository::open_with(&self.handle, Arc::clone(storage), &credentials, &self.ring, clock) {
                Err(RepositoryError::WrongKey { destination }) => {
                    refused = Some(RepositoryError::WrongKey { destination });
                }
                other => return other,
            }
        }
        let unknown = || RepositoryError::WrongKey { destination: storage.describe() };
        Err(refused.unwrap_or_else(unknown))
    }

    /// Looks at what lies at a destination, and opens a database's repository where there is one. Waits for the
    /// destination and for nothing else, so that several can be looked at together. `answers` says so as soon as it
    /// answers anything.
    pub(crate) fn look(
        &self,
        place: &Place,
        database: &Database,
        answers: &Arc<AtomicBool>,
    ) -> Result<Look, ServiceError> {
        let spot = &place.destination.spot;
        if let Some(directory) = spot.directory().filter(|_| !place.root_known) {
            Local::create(directory)?;
        }
        let root = self.connections.open(spot)?;
        let storage = folder(database, Arc::clone(&root));
        let asked = (Arc::clone(&root), Arc::clone(answers), owners::folder(&database.name));
        let notes = self.handle.spawn(async move {
            let (root, answers, folder) = asked;
            let notes = root.list(&folder).await;
            answers.store(!notes.as_ref().is_err_and(StorageError::is_retryable), Ordering::Relaxed);
            notes
        });
        let opened = self.open_with_any(place, &storage);
        let notes = self.handle.block_on(notes).map_err(|error| {
            ServiceError::conflict(format!("a listing ended by a fault of the program: {error}"))
        });
        let writers = self.writers_of(notes??);
        let repository = match opened {
            Err(RepositoryError::NotARepository { .. }) => {
                self.expect_root(place, &*root)?;
                None
            }
            opened => Some(opened?),
        };
        let before = match &repository {
            Some(repository) => self.judge_all(repository.snapshots()?),
            None => Vec::new(),
        };
        Ok(Look { root, storage, writers, repository, before })
    }

    /// Makes the repository where a look found none. A second destination shares the first's master key, so that each byte
    /// is encrypted once; what is worth telling goes to `messages`.
    pub(crate) fn settle(
        &self,
        place: &Place,
        database: &Database,
        look: Look,
        first: Option<&Repository>,
        messages: &mut Vec<String>,
    ) -> Result<(Vault, Vec<Found>), ServiceError> {
        let Look { root, storage, writers, repository, before } = look;
        let repository = match repository {
            Some(repository) => repository,
            None => {
                if place.database_known {
                    messages.push(format!(
                        "the earlier backups at {} are gone; a new repository was made there",
                        storage.describe()
                    ));
                }
                let Some(password) = place.passwords.first() else {
                    return Err(RepositoryError::WrongKey { destination: storage.describe() }.into());
                };
                let credentials = credentials::of(password);
                let clock = Arc::clone(&self.clock);
                match first {
                    Some(first) => first.create_twin_where_none_is(storage, &credentials)?,
                    None => {
                        let (handle, ring) = (&self.handle, &self.ring);
                        Repository::create_where_none_is(handle, storage, &credentials, ring, clock)?
                    }
                }
            }
        };
        let note = (!writers.own).then(|| self.handle.spawn(self.sign(root, database)));
        if !writers.others.is_empty() {
            messages.push(format!(
                "{}: backups of {} by another installation ({}) lie in the same repository; they are left as they are, and space is not freed there; give each installation a folder of its own",
                place.destination.name,
                database.name,
                writers.others.join(", ")
            ));
        }
        Ok((Vault { place: place.clone(), repository, others: writers.others, note }, before))
    }

    /// Makes sure that a folder of another host, where backups lay, is there: where nothing at all is left, a disk may not
    /// be mounted, and the folder is not made anew.
    fn expect_root(&self, place: &Place, root: &dyn Storage) -> Result<(), ServiceError> {
        let is_folder = matches!(
            place.destination.spot.kind(),
            DestinationKind::Ftp | DestinationKind::Sftp | DestinationKind::WebDav
        );
        if !is_folder || !place.root_known {
            return Ok(());
        }
        let notes = self.handle.block_on(owners::notes(root))?;
        if !notes.databases.is_empty() {
            return Ok(());
        }
        Err(StorageError::new(
            StorageErrorKind::NotFound,
            "open",
            "",
            root.describe(),
            "backups were written there, and now nothing of them is left; check that the disk is mounted on that server, or write to another folder",
        )
        .into())
    }

    /// Opens every destination that can be opened; an error only where none can.
    pub(crate) fn open_any(&self, places: &[Place], database: &Database) -> Result<Vec<Vault>, ServiceError> {
        let mut open = Vec::new();
        let mut failed = None;
        for place in places {
            match self.open(place, database) {
                Ok(vault) => open.push(vault),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if open.is_empty() => Err(error),
            _ => Ok(open),
        }
    }
}

pub(super) fn folder(database: &Database, root: Arc<dyn Storage>) -> Arc<dyn Storage> {
    Arc::new(Folder::new(root, database.name.as_str()))
}

impl Vault {
    /// An open repository of which nobody asked yet who else writes there.
    pub(super) fn of(place: &Place, repository: Repository) -> Self {
        Self { place: place.clone(), repository, others: Vec::new(), note: None }
    }

    /// Waits until this installation's note is written, and says why it could not be. Blocking.
    pub(crate) fn unsigned(&mut self, site: &Site) -> Option<String> {
        let note = self.note.take()?;
        let written = site.handle.block_on(async { tokio::time::timeout(NOTE, note).await });
        let cause = match written {
            Ok(Ok(Ok(()))) => return None,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it is not written yet".to_owned(),
        };
        Some(format!(
            "{}: other installations cannot see that this one writes there: {cause}",
            self.place.destination.name
        ))
    }

    /// Lists the snapshots, the newest first; the answer is complete or an error.
    pub(crate) fn snapshots(&self, site: &Site) -> Result<Vec<Found>, ServiceError> {
        Ok(site.judge_all(self.repository.snapshots()?))
    }

    /// Lists the snapshots whose ids begin so, the newest first, without reading the others.
    pub(crate) fn snapshots_called(
        &self,
        site: &Site,
        beginning: &str,
        cancel: &Cancel,
    ) -> Result<Vec<Found>, ServiceError> {
        Ok(site.judge_all(self.repository.snapshots_called(beginning, cancel)?))
    }

    /// Lists the snapshots that can be read, the newest first, and says of the others why they cannot, which is logged,
    /// too. For showing and restoring alone: one that is broken must not hide the others there.
    pub(crate) fn readable_snapshots(
        &self,
        site: &Site,
        cancel: &Cancel,
    ) -> Result<(Vec<Found>, Vec<String>), ServiceError> {
        let (snapshots, broken) = self.repository.readable_snapshots(cancel)?;
        let broken: Vec<String> =
            broken.iter().map(|error| format!("a backup is passed over: {error}")).collect();
        broken.iter().for_each(|told| tracing::warn!("{told}"));
        Ok((site.judge_all(snapshots), broken))
    }
}

impl Site {
    fn judge_all(&self, snapshots: Vec<Snapshot>) -> Vec<Found> {
        let mut found: Vec<Found> = snapshots.into_iter().map(|one| self.judge(one)).collect();
        found.sort_by(|a, b| {
            b.snapshot.time.cmp(&a.snapshot.time).then_with(|| b.snapshot.id.cmp(&a.snapshot.id))
        });
        found
    }

    fn judge(&self, snapshot: Snapshot) -> Found {
        let mark = Mark::of(&snapshot);
        let quality = self.quality(&snapshot.id, &mark);
        Found { snapshot, mark, quality }
    }

    /// Says how good a backup is, as far as its snapshot and comparisons since tell.
    pub(crate) fn quality(&self, backup: &BackupId, mark: &Mark) -> BackupQuality {
        if self.suspicious.contains(backup) { BackupQuality::Suspicious } else { mark.quality() }
    }

    /// Says whether a snapshot is a backup that another installation made.
    pub(crate) fn is_others(&self, found: &Found) -> bool {
        let identifier = found.mark.identifier.as_deref();
        found.mark.larder && identifier.is_some_and(|identifier| !self.own_identifiers.contains(identifier))
    }

    /// Says whether a snapshot is a backup that this installation made.
    pub(crate) fn is_ours(&self, found: &Found) -> bool {
        found.mark.is_by(&self.identifier)
    }
}

/// Chooses one of a list that is ordered from the newest.
pub(crate) fn choose<'a>(
    found: &'a [Found],
    choice: &BackupChoice,
    place: &str,
) -> Result<&'a Found, ServiceError> {
    let good = |one: &&Found| one.quality.is_good();
    let none = |what: String| {
        ServiceError::not_found("backup", what, format!("list the backups at {place} to see them"))
    };
    match choice {
        BackupChoice::Latest => found.iter().find(good).ok_or_else(|| none("latest".to_owned())),
        BackupChoice::AtOrBefore(time) => found
            .iter()
            .filter(good)
            .find(|one| one.snapshot.time <= *time)
            .ok_or_else(|| none(format!("at or before {time}"))),
        BackupChoice::Id(id) => {
            let matching: Vec<&Found> = found.iter().filter(|one| begins(&one.snapshot.id, id)).collect();
            match matching.as_slice() {
                [only] => Ok(only),
                [] => Err(none(id.clone())),
                several => Err(ServiceError::invalid(
                    "Backup",
                    format!(
                        "'{id}' is the beginning of {} backups; give more characters of it",
                        several.len()
                    ),
                )),
            }
        }
    }
}

fn begins(id: &BackupId, beginning: &str) -> bool {
    id.0.starts_with(&beginning.to_ascii_lowercase())
}
