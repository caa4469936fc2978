//! A vault and its hot place as one destination.

use super::catalogue::{Entry, FOLDER, Warmth, description, folder};
use super::jobs::{Job, Jobs};
use super::place::Place;
use super::service::Service;
use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use crate::folder::Folder;
use crate::http::{Attempt, Client};
use crate::local::Local;
use crate::path;
use crate::s3::{S3, credential, said};
use crate::storage::{Availability, Capabilities, ObjectInfo, Storage};
use async_trait::async_trait;
use bytes::Bytes;
use larder_model::task::{GlacierRetrievalTier, GlacierSettings, S3Settings};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// Objects in a folder of this name live for minutes, and mean nothing to anybody who finds the vault alone: an archive
/// that is paid for for 90 days would be a waste.
const SHORT_LIVED: &str = "locks";
/// So many archives are asked for at once.
const AT_ONCE: usize = 16;
/// So many archives are remembered; each takes some 400 bytes.
const SEEN_AT_MOST: usize = 20_000;

/// A folder of a vault as a destination: one object, one archive, and all that more than a restore reads in the hot place,
/// too.
#[derive(Debug)]
pub struct Vault {
    pub(super) service: Arc<Service>,
    /// What answers at once. Its paths are those of the whole vault.
    pub(super) hot: Arc<dyn Storage>,
    pub(super) jobs: Jobs,
    pub(super) tier: GlacierRetrievalTier,
    /// Whether the catalogue is known to be complete.
    pub(super) known: AtomicBool,
    /// Archives that objects are read from, by the objects' paths, as far as they were looked for.
    seen: Mutex<HashMap<String, Entry>>,
}

impl Vault {
    /// Opens what the settings describe; nothing is asked of the service yet.
    pub(crate) fn open(
        settings: &GlacierSettings,
        host: &ConnectorSettings,
        client: Client,
    ) -> Result<Self, StorageError> {
        let name = format!("glacier://{}", said(&settings.vault_name).unwrap_or_default());
        let invalid = |cause: String| Attempt::new("open", "", &name).invalid(cause);
        let place = Place::read(settings).map_err(invalid)?;
        let amazon = S3Settings {
            aws_access_key: settings.aws_access_key.clone(),
            aws_secret_key: settings.aws_secret_key.clone(),
            aws_session_token: settings.aws_session_token.clone(),
            aws_region_name: Some(place.region.clone()),
            custom_server_url: settings.custom_server_url.clone(),
            bucket_name: settings.hot_bucket_name.clone(),
            ..S3Settings::default()
        };
        let credential = credential(&amazon).map_err(|cause| invalid(cause.to_owned()))?;
        let hot: Arc<dyn Storage> = match (said(&settings.hot_bucket_name), said(&settings.hot_folder_path)) {
            (Some(_), Some(_)) => {
                return Err(invalid("both HotBucketName and HotFolderPath are given; keep one".to_owned()));
            }
            (Some(_), None) => Arc::new(S3::open(&amazon, client.clone())?),
            (None, Some(directory)) => Arc::new(Local::open(Path::new(directory))?),
            (None, None) => match &host.vault_directory {
                Some(directory) => Arc::new(Local::create(directory)?),
                None => {
                    return Err(invalid(
                        "a vault answers after hours, so its catalogue and index must lie elsewhere; set HotFolderPath or HotBucketName"
                            .to_owned(),
                    ));
                }
            },
        };
        let hot = Arc::new(Folder::new(hot, &format!("{}/{}", place.region, place.vault)));
        Ok(Self {
            service: Arc::new(Service::new(place, client, credential)),
            hot,
            jobs: Jobs::default(),
            tier: settings.retrieval_tier.unwrap_or_default(),
            known: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    /// Begins a call: is the path one, and is the catalogue there?
    async fn begin<'a>(&'a self, action: &'static str, path: &'a str) -> Result<Attempt<'a>, StorageError> {
        let attempt = self.service.attempt(action, path);
        if let Some(cause) = path::objection(path) {
            return Err(attempt.invalid(cause));
        }
        if self.full(path).split('/').next() == Some(FOLDER) {
            return Err(attempt.invalid(format!("the folder {FOLDER} is for the vault's catalogue")));
        }
        self.ready(&attempt).await?;
        Ok(attempt)
    }

    fn full(&self, path: &str) -> String {
        self.service.place.prefix.name(path)
    }

    /// Puts an error of the hot place into the words of the vault.
    pub(super) fn at(&self, attempt: &Attempt<'_>, mut error: StorageError) -> StorageError {
        let (path, destination) = (attempt.path.to_owned(), attempt.destination.to_owned());
        let place = std::mem::replace(&mut error.destination, destination);
        error.cause = format!("at {place}, where its catalogue and index lie: {}", error.cause);
        StorageError { action: attempt.action, path, ..error }
    }

    /// Writes an archive and enters it in the catalogue.
    async fn archive(
        &self,
        attempt: &Attempt<'_>,
        warmth: Warmth,
        data: Bytes,
    ) -> Result<Entry, StorageError> {
        let path = self.full(attempt.path);
        let description = description(attempt, warmth, &path)?;
        let size_bytes = data.len() as u64;
        let written = self.service.upload(attempt.path, &description, data).await?;
        let entry = Entry { path, warmth, size_bytes, tree_hash: written.tree_hash, archive: written.id };
        let place = entry.place();
        if Entry::read(&place).as_ref() != Some(&entry) {
            let cause = format!("the name of the archive cannot be kept: {place}");
            return Err(attempt.failure(StorageErrorKind::Other, cause));
        }
        self.hot.put(&place, Bytes::new()).await.map_err(|error| self.at(attempt, error))?;
        Ok(entry)
    }

    /// Lists the archives of an object.
    async fn entries(&self, attempt: &Attempt<'_>) -> Result<Vec<Entry>, StorageError> {
        let path = self.full(attempt.path);
        let listed = self.hot.list(&folder(&path)).await.map_err(|error| self.at(attempt, error))?;
        // Of an object of this name, not of those in a folder of this name.
        let entries = listed.iter().filter_map(|object| Entry::read(&object.path));
        Ok(entries.filter(|entry| entry.path == path).collect())
    }

    /// Returns the archive that an object is read from. A restore asks for the same ones again and again.
    async fn cold(&self, attempt: &Attempt<'_>) -> Result<Option<Entry>, StorageError> {
        if let Some(entry) = self.seen(attempt.path) {
            return Ok(Some(entry));
        }
        let found = self.entries(attempt).await?.into_iter().find(|entry| entry.warmth == Warmth::Cold);
        if let Some(entry) = &found {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= SEEN_AT_MOST {
                seen.clear();
            }
            seen.insert(attempt.path.to_owned(), entry.clone());
        }
        Ok(found)
    }

    fn seen(&self, path: &str) -> Option<Entry> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn unsee(&self, path: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// Asks for archives, several at a time.
    async fn ask_for_all(&self, wanted: Vec<(String, String)>) -> Result<(), StorageError> {
        let mut waiting = wanted.into_iter();
        let mut going: JoinSet<Result<String, StorageError>> = JoinSet::new();
        loop {
            while going.len() < AT_ONCE
                && let Some((path, archive)) = waiting.next()
            {
                let (service, tier) = (Arc::clone(&self.service), self.tier);
                going.spawn(async move {
                    let attempt = service.attempt("ask for", &path);
                    service.ask_for_archive(&attempt, &archive, tier).await.map(|()| archive)
                });
            }
            let Some(done) = going.join_next().await else { return Ok(()) };
            let archive = done.unwrap_or_else(|stopped| {
                let cause = format!("the work was interrupted: {stopped}");
                Err(self.service.attempt("ask for", "").failure(StorageErrorKind::Other, cause))
            })?;
            self.jobs.asked(&archive);
        }
    }

    /// Removes archives, each before its entry: an archive without one would come back with the next inventory.
    async fn discard(&self, attempt: &Attempt<'_>, entries: &[Entry]) -> Result<(), StorageError> {
        for entry in entries {
            self.service.remove(attempt.path, &entry.archive).await?;
            self.hot.delete(&entry.place()).await.map_err(|error| self.at(attempt, error))?;
        }
        Ok(())
    }

    /// Writes an object's archive in the place of those before.
    async fn replace(
        &self,
        attempt: &Attempt<'_>,
        warmth: Warmth,
        data: Bytes,
    ) -> Result<Vec<Entry>, StorageError> {
        self.unsee(attempt.path);
        let before = self.entries(attempt).await?;
        // The service takes no archive without a byte.
        let kept = match data.is_empty() {
            true => None,
            false => Some(self.archive(attempt, warmth, data).await?),
        };
        Ok(before.into_iter().filter(|entry| Some(entry) != kept.as_ref()).collect())
    }

    async fn fetch(
        &self,
        attempt: &Attempt<'_>,
        entry: &Entry,
        range: Option<&Range<u64>>,
    ) -> Result<Bytes, StorageError> {
        let cold = || {
            let cause = "it lies in the vault and was not asked for, or is not ready yet";
            Err(attempt.failure(StorageErrorKind::Cold, cause))
        };
        let jobs = self.jobs.known(&self.service, attempt).await?;
        let Some(Job::Done(job)) = jobs.of(&entry.archive) else { return cold() };
        let at_most = entry.size_bytes;
        match self.service.output(attempt, job, range, at_most).await {
            // What was made ready is kept for a day.
            Err(error) if error.is_not_found() => {
                self.jobs.forget();
                self.unsee(attempt.path);
                cold()
            }
            output => output,
        }
    }
}

/// Says whether an object is not worth an archive.
fn is_short_lived(path: &str) -> bool {
    let mut folders = path.split('/').rev().skip(1);
    folders.any(|folder| folder == SHORT_LIVED)
}

#[async_trait]
impl Storage for Vault {
    fn capabilities(&self) -> Capabilities {
        let conditional_put = self.hot.capabilities().conditional_put;
        Capabilities { conditional_put, cold: true, paced: true, ..Capabilities::default() }
    }

    fn describe(&self) -> String {
        self.service.place.describe().to_owned()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let attempt = self.begin("write", path).await?;
        let before = match is_short_lived(path) {
            true => Vec::new(),
            false => self.replace(&attempt, Warmth::Hot, data.clone()).await?,
        };
        self.hot.put(&self.full(path), data).await.map_err(|error| self.at(&attempt, error))?;
        self.discard(&attempt, &before).await
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let attempt = self.begin("write", path).await?;
        let full = self.full(path);
        if self.stat(path).await?.is_some() {
            return Ok(false);
        }
        // The archive first: one that is written is there when somebody reads the object, and goes again where another
        // was first.
        let archived = match is_short_lived(path) || data.is_empty() {
            true => None,
            false => Some(self.archive(&attempt, Warmth::Hot, data.clone()).await?),
        };
        let written = self.hot.put_new(&full, data).await.map_err(|error| self.at(&attempt, error))?;
        if let Some(entry) = archived.filter(|_| !written) {
            self.discard(&attempt, &[entry]).await?;
        }
        Ok(written)
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        if data.is_empty() {
            return self.put(path, data).await;
        }
        let attempt = self.begin("write", path).await?;
        let before = self.replace(&attempt, Warmth::Cold, data).await?;
        // One of the same name that was not cold would be read in its place.
        self.hot.delete(&self.full(path)).await.map_err(|error| self.at(&attempt, error))?;
        self.discard(&attempt, &before).await
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        let attempt = self.begin("look up", path).await?;
        match self.cold(&attempt).await? {
            Some(entry) => self.jobs.availability(&self.service, &attempt, &entry.archive).await,
            None if self.is_hot(&attempt).await?.is_some() => Ok(Availability::Ready),
            None => Err(attempt.failure(StorageErrorKind::NotFound, "there is no such object")),
        }
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        let mut wanted = Vec::new();
        for path in paths {
            let attempt = self.begin("ask for", path).await?;
            match self.cold(&attempt).await? {
                Some(entry) => {
                    let known = self.jobs.known(&self.service, &attempt).await?;
                    wanted.extend(known.of(&entry.archive).is_none().then(|| (path.clone(), entry.archive)));
                }
                None if self.is_hot(&attempt).await?.is_some() => {}
                None => {
                    return Err(attempt.failure(StorageErrorKind::NotFound, "there is no such object"));
                }
            }
        }
        self.ask_for_all(wanted).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let attempt = self.begin("read", path).await?;
        if self.seen(path).is_none() {
            match self.hot.get(&self.full(path)).await {
                Err(error) if error.is_not_found() => {}
                outcome => return outcome.map_err(|error| self.at(&attempt, error)),
            }
        }
        match self.cold(&attempt).await? {
            Some(entry) => {
                let data = self.fetch(&attempt, &entry, None).await?;
                self.judge(&attempt, &entry, &data)?;
                Ok(data)
            }
            None => Err(attempt.failure(StorageErrorKind::NotFound, "there is no such object")),
        }
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let attempt = self.begin("read", path).await?;
        if self.seen(path).is_none() {
            match self.hot.get_range(&self.full(path), range.clone()).await {
                Err(error) if error.is_not_found() => {}
                outcome => return outcome.map_err(|error| self.at(&attempt, error)),
            }
        }
        let Some(entry) = self.cold(&attempt).await? else {
            return Err(attempt.failure(StorageErrorKind::NotFound, "there is no such object"));
        };
        if range.end > entry.size_bytes || range.start > range.end {
            let cause = format!("bytes {range:?} were asked for, but it has {}", entry.size_bytes);
            return Err(attempt.failure(StorageErrorKind::Damaged, cause));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.fetch(&attempt, &entry, Some(&range)).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        let attempt = self.begin("look up", path).await?;
        let size = match self.is_hot(&attempt).await? {
            Some(size) => Some(size),
            None => self.cold(&attempt).await?.map(|entry| entry.size_bytes),
        };
        Ok(size.map(|size_bytes| ObjectInfo { path: path.to_owned(), size_bytes }))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = folder.trim_end_matches('/');
        let attempt = self.service.attempt("list", folder);
        if let Some(cause) = (!folder.is_empty()).then(|| path::objection(folder)).flatten() {
            return Err(attempt.invalid(cause));
        }
        self.ready(&attempt).await?;
        let prefix = &self.service.place.prefix;
        let full = prefix.below(folder);
        let full = full.trim_end_matches('/');
        let hot = self.hot.list(full).await.map_err(|error| self.at(&attempt, error))?;
        let entries = self.hot.list(&super::catalogue::folder(full)).await;
        let entries = entries.map_err(|error| self.at(&attempt, error))?;
        let cold = entries.iter().filter_map(|object| Entry::read(&object.path)).filter_map(|entry| {
            // Where it was written twice, each is an entry; one of them is enough.
            let path = (entry.warmth == Warmth::Cold).then(|| prefix.path(&entry.path)).flatten()?;
            Some(ObjectInfo { path: path.to_owned(), size_bytes: entry.size_bytes })
        });
        let hot = hot
            .into_iter()
            .filter(|object| !object.path.starts_with(".vault/"))
            .filter_map(|object| Some(ObjectInfo { path: prefix.path(&object.path)?.to_owned(), ..object }));
        let mut all: Vec<ObjectInfo> = hot.chain(cold).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        Ok(all)
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let attempt = self.begin("delete", path).await?;
        self.unsee(path);
        if !is_short_lived(path) {
            let entries = self.entries(&attempt).await?;
            self.discard(&attempt, &entries).await?;
        }
        self.hot.delete(&self.full(path)).await.map_err(|error| self.at(&attempt, error))
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

impl Vault {
    /// Returns the size of an object that lies in the hot place.
    async fn is_hot(&self, attempt: &Attempt<'_>) -> Result<Option<u64>, StorageError> {
        let found = self.hot.stat(&self.full(attempt.path)).await.map_err(|error| self.at(attempt, error))?;
        Ok(found.map(|object| object.size_bytes))
    }
}
