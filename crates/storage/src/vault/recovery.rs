//! The catalogue made anew from the vault's own inventory, where the hot place knows nothing of the vault.
//!
//! Everything here takes hours, and no call waits for it: each takes the next step, if there is one, and says how far it
//! is. So the next scheduled run goes on where the last one stopped, and nobody has to do anything.

use super::catalogue::{self, Entry, Warmth, described};
use super::jobs::Job;
use super::service::{Call, Service};
use super::storage::Vault;
use super::tree_hash::tree;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::Attempt;
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

/// The object of the hot place that says that its catalogue is complete.
const COMPLETE: &str = ".vault/complete";
/// What is said of a vault is short.
const DESCRIPTION_AT_MOST: u64 = 64 << 10;
/// An inventory has some 500 bytes for each archive: these are four million.
const INVENTORY_AT_MOST: u64 = 2 << 30;

/// What the service says of a vault.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    /// When the archives were last counted; nothing before the first day is over.
    last_inventory_date: Option<String>,
    #[serde(default)]
    number_of_archives: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inventory {
    #[serde(default)]
    archive_list: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    archive_id: String,
    #[serde(default)]
    archive_description: Option<String>,
    creation_date: String,
    size: u64,
    #[serde(rename = "SHA256TreeHash")]
    tree_hash: String,
}

impl Vault {
    /// Sees to it that the catalogue knows the vault.
    ///
    /// # Errors
    /// Of the kind `Cold` while the inventory, or what belongs into the hot place, is awaited.
    pub(super) async fn ready(&self, attempt: &Attempt<'_>) -> Result<(), StorageError> {
        if self.known.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.hot.stat(COMPLETE).await.map_err(|error| self.at(attempt, error))?.is_none() {
            self.recover(attempt).await?;
            let note = Bytes::from_static(b"the catalogue knows every archive that was in the vault\n");
            self.hot.put(COMPLETE, note).await.map_err(|error| self.at(attempt, error))?;
        }
        self.known.store(true, Ordering::Release);
        Ok(())
    }

    async fn recover(&self, attempt: &Attempt<'_>) -> Result<(), StorageError> {
        let about = self.service.about(attempt).await?;
        if about.last_inventory_date.is_none() || about.number_of_archives.unwrap_or(0) == 0 {
            return Ok(());
        }
        let awaited = |what: String| {
            let name = &self.service.place.vault;
            let cause =
                format!("the catalogue of the vault '{name}' is made anew from the vault itself: {what}");
            Err(attempt.failure(StorageErrorKind::Cold, cause))
        };
        let jobs = self.jobs.known(&self.service, attempt).await?;
        let inventory = match &jobs.inventory {
            Some(Job::Done(job)) => self.service.inventory(attempt, job).await?,
            Some(Job::Waiting) => {
                return awaited("its inventory was asked for, which takes hours".to_owned());
            }
            None => {
                return match self.service.ask_for_inventory(attempt).await {
                    // None was made yet, whatever was said of it.
                    Err(error) if error.is_not_found() => Ok(()),
                    Err(error) => Err(error),
                    Ok(()) => {
                        self.jobs.forget();
                        awaited("its inventory was asked for just now, which takes hours".to_owned())
                    }
                };
            }
        };
        let newest = self.enter(attempt, inventory).await?;
        let (all, lacking) = self.fetch_hot(attempt, newest).await?;
        if lacking == 0 {
            return Ok(());
        }
        awaited(format!("{} of {all} small objects are back, the others were asked for", all - lacking))
    }

    /// Writes the entries that the catalogue lacks. Returns the newest archive of each object that belongs into the hot
    /// place.
    async fn enter(
        &self,
        attempt: &Attempt<'_>,
        inventory: Inventory,
    ) -> Result<BTreeMap<String, Entry>, StorageError> {
        let listed = self.hot.list(&catalogue::folder("")).await.map_err(|error| self.at(attempt, error))?;
        let known: HashSet<String> = listed.into_iter().map(|object| object.path).collect();
        let mut archives = inventory.archive_list;
        archives.sort_by(|a, b| a.creation_date.cmp(&b.creation_date));
        let mut newest = BTreeMap::new();
        for listed in archives {
            let words = listed.archive_description.as_deref().unwrap_or_default();
            // What another program wrote is left alone.
            let Some((warmth, path)) = described(words) else { continue };
            let Listed { archive_id: archive, size: size_bytes, tree_hash, .. } = listed;
            let entry = Entry { path: path.clone(), warmth, size_bytes, tree_hash, archive };
            let place = entry.place();
            if Entry::read(&place).is_none() {
                let cause = format!("the inventory names an archive that cannot be: {place}");
                return Err(attempt.failure(StorageErrorKind::Damaged, cause));
            }
            if !known.contains(&place) {
                self.hot.put(&place, Bytes::new()).await.map_err(|error| self.at(attempt, error))?;
            }
            if warmth == Warmth::Hot {
                newest.insert(path, entry);
            }
        }
        Ok(newest)
    }

    /// Fetches what belongs into the hot place and is not there. Returns how many there are, and how many are lacking.
    async fn fetch_hot(
        &self,
        attempt: &Attempt<'_>,
        newest: BTreeMap<String, Entry>,
    ) -> Result<(usize, usize), StorageError> {
        let objects = self.hot.list("").await.map_err(|error| self.at(attempt, error))?;
        let there: HashSet<String> = objects.into_iter().map(|object| object.path).collect();
        let jobs = self.jobs.look(&self.service, attempt).await?;
        let (mut all, mut lacking) = (newest.len(), 0);
        for (path, entry) in newest.into_iter().filter(|(path, _)| !there.contains(path)) {
            match jobs.of(&entry.archive) {
                Some(Job::Done(job)) => {
                    let data = self.service.output(attempt, job, None, entry.size_bytes).await?;
                    self.judge(attempt, &entry, &data)?;
                    self.hot.put(&path, data).await.map_err(|error| self.at(attempt, error))?;
                }
                Some(Job::Waiting) => lacking += 1,
                None => {
                    match self.service.ask_for_archive(attempt, &entry.archive, self.tier).await {
                        Ok(()) => lacking += 1,
                        // Removed since the inventory was made.
                        Err(error) if error.is_not_found() => {
                            all -= 1;
                            self.hot.delete(&entry.place()).await.map_err(|error| self.at(attempt, error))?;
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        if lacking > 0 {
            self.jobs.forget();
        }
        Ok((all, lacking))
    }

    /// Holds what came against the hash that the archive was written with.
    pub(super) fn judge(
        &self,
        attempt: &Attempt<'_>,
        entry: &Entry,
        data: &Bytes,
    ) -> Result<(), StorageError> {
        let found = tree(data);
        if data.len() as u64 == entry.size_bytes && found == entry.tree_hash {
            return Ok(());
        }
        let cause = format!(
            "{} bytes with the tree hash {found} came out of the vault, but {} with {} were put in",
            data.len(),
            entry.size_bytes,
            entry.tree_hash
        );
        Err(attempt.failure(StorageErrorKind::Damaged, cause))
    }
}

impl Service {
    async fn about(&self, attempt: &Attempt<'_>) -> Result<About, StorageError> {
        let answer = self.demand(attempt, Call::new(Method::GET, "", "glacier:DescribeVault")).await?;
        let body = answer.bytes(attempt, DESCRIPTION_AT_MOST).await?;
        read(attempt, &body)
    }

    async fn inventory(&self, attempt: &Attempt<'_>, job: &str) -> Result<Inventory, StorageError> {
        let body = self.output(attempt, job, None, INVENTORY_AT_MOST).await?;
        read(attempt, &body)
    }
}

fn read<'a, T: Deserialize<'a>>(attempt: &Attempt<'_>, body: &'a [u8]) -> Result<T, StorageError> {
    serde_json::from_slice(body).map_err(|error| {
        attempt.failure(StorageErrorKind::Other, format!("what the service says makes no sense: {error}"))
    })
}
