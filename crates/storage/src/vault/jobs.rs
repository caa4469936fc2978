//! Jobs: what was asked of a vault, and is done hours later.

use super::service::{Call, Service};
use crate::error::{StorageError, StorageErrorKind};
use crate::http::Attempt;
use crate::storage::Availability;
use http::Method;
use larder_model::task::GlacierRetrievalTier;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What was learned of jobs is believed for so long: a restore asks for each pack, and all jobs come with one request.
const BELIEVED: Duration = Duration::from_secs(10);
/// A list of jobs is no longer than this for a page.
const PAGE_AT_MOST: u64 = 8 << 20;

/// One page of the list of jobs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    job_list: Vec<Said>,
    marker: Option<String>,
}

/// A job, as the service says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    job_id: String,
    action: String,
    archive_id: Option<String>,
    status_code: String,
    /// Given where only a part of an archive, or of the inventory, was asked for.
    retrieval_byte_range: Option<String>,
    creation_date: Option<String>,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// It goes on.
    Waiting,
    /// What it was to bring can be read, by the job's name.
    Done(String),
}

/// All jobs of a vault that are worth anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    archives: HashMap<String, Job>,
    /// That for the newest inventory.
    pub(super) inventory: Option<Job>,
}

impl Known {
    /// Returns the job for an archive.
    pub(super) fn of(&self, archive: &str) -> Option<&Job> {
        self.archives.get(archive)
    }
}

/// The jobs of a vault, as they were when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    last: Mutex<Option<(Instant, Arc<Known>)>>,
}

impl Jobs {
    /// Returns the jobs, asking for them where that is long ago.
    pub(super) async fn known(
        &self,
        service: &Service,
        attempt: &Attempt<'_>,
    ) -> Result<Arc<Known>, StorageError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match last.filter(|(at, _)| at.elapsed() < BELIEVED) {
            Some((_, known)) => Ok(known),
            None => self.look(service, attempt).await,
        }
    }

    /// Asks for the jobs.
    pub(super) async fn look(
        &self,
        service: &Service,
        attempt: &Attempt<'_>,
    ) -> Result<Arc<Known>, StorageError> {
        let known = Arc::new(service.list_jobs(attempt).await?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }

    /// Notes that an archive was just asked for.
    pub(super) fn asked(&self, archive: &str) {
        if let Some((_, known)) = self.last.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Arc::make_mut(known).archives.insert(archive.to_owned(), Job::Waiting);
        }
    }

    /// Forgets what is known.
    pub(super) fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says whether an archive can be read.
    pub(super) async fn availability(
        &self,
        service: &Service,
        attempt: &Attempt<'_>,
        archive: &str,
    ) -> Result<Availability, StorageError> {
        Ok(match self.known(service, attempt).await?.of(archive) {
            Some(Job::Done(_)) => Availability::Ready,
            Some(Job::Waiting) => Availability::Thawing,
            None => Availability::Cold,
        })
    }
}

impl Service {
    /// Asks for an archive.
    ///
    /// # Errors
    /// The service's; of the kind `NotFound` where there is no such archive.
    pub(super) async fn ask_for_archive(
        &self,
        attempt: &Attempt<'_>,
        archive: &str,
        tier: GlacierRetrievalTier,
    ) -> Result<(), StorageError> {
        let tier = match tier {
            GlacierRetrievalTier::Expedited => "Expedited",
            GlacierRetrievalTier::Standard => "Standard",
            GlacierRetrievalTier::Bulk => "Bulk",
        };
        let wish = json!({ "Type": "archive-retrieval", "ArchiveId": archive, "Tier": tier });
        self.initiate(attempt, &wish).await
    }

    /// Asks for the inventory.
    ///
    /// # Errors
    /// The service's; of the kind `NotFound` where none was made yet.
    pub(super) async fn ask_for_inventory(&self, attempt: &Attempt<'_>) -> Result<(), StorageError> {
        self.initiate(attempt, &json!({ "Type": "inventory-retrieval", "Format": "JSON" })).await
    }

    async fn initiate(&self, attempt: &Attempt<'_>, wish: &serde_json::Value) -> Result<(), StorageError> {
        let call = Call::new(Method::POST, "/jobs", "glacier:InitiateJob").text(wish.to_string());
        self.demand(attempt, call).await.map(|_| ())
    }

    async fn list_jobs(&self, attempt: &Attempt<'_>) -> Result<Known, StorageError> {
        let mut said: Vec<Said> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let below = match &marker {
                Some(marker) => format!("/jobs?marker={}", crate::http::encode(marker)),
                None => "/jobs".to_owned(),
            };
            let answer = self.demand(attempt, Call::new(Method::GET, &below, "glacier:ListJobs")).await?;
            let body = answer.bytes(attempt, PAGE_AT_MOST).await?;
            let page: Page = serde_json::from_slice(&body).map_err(|error| {
                let cause = format!("the list of jobs makes no sense: {error}");
                attempt.failure(StorageErrorKind::Other, cause)
            })?;
            said.extend(page.job_list);
            match page.marker.filter(|next| !next.is_empty()) {
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => break,
            }
        }
        // The newest of several for the same is the one that can be read for longest.
        said.sort_by(|a, b| a.creation_date.cmp(&b.creation_date));
        let mut known = Known::default();
        for one in said.into_iter().filter(|one| one.retrieval_byte_range.is_none() || is_whole(one)) {
            let job = match one.status_code.as_str() {
                "Succeeded" if super::catalogue::is_archive_id(&one.job_id) => Job::Done(one.job_id),
                "InProgress" => Job::Waiting,
                _ => continue,
            };
            let place = match (one.action.as_str(), one.archive_id) {
                ("ArchiveRetrieval", Some(archive)) => known.archives.entry(archive).or_insert(Job::Waiting),
                ("InventoryRetrieval", _) => known.inventory.get_or_insert(Job::Waiting),
                _ => continue,
            };
            // One that goes on must not hide one that is done.
            if job != Job::Waiting {
                *place = job;
            }
        }
        Ok(known)
    }
}

/// The range of an archive that was asked for as a whole begins at its beginning; Larder asks for nothing else.
fn is_whole(said: &Said) -> bool {
    said.retrieval_byte_range.as_deref().is_some_and(|range| range.starts_with("0-"))
}
