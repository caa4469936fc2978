//! A container of Azure Blob Storage as a destination.

mod account;
mod listing;
mod objects;
mod refusal;
mod upload;

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Answer, Attempt, Client};
use crate::prefix::Prefix;
use crate::storage::{Availability, Capabilities, ObjectInfo, Storage};
use crate::{path, range};
use account::{Account, Begun};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method};
use larder_model::task::{AzureAccessTier, AzureSettings};
use listing::Page;
pub(crate) use objects::AzureObjects;
use std::ops::Range;
use upload::Manner;

/// A page of a listing is at most so large: 5,000 blobs with names of a kilobyte.
const PAGE_AT_MOST: u64 = 64 << 20;
/// An object is at most so large.
const OBJECT_AT_MOST: u64 = 4 << 30;

/// A container, or a folder of one.
///
/// Only what [`Storage::put_cold`] writes lies in the tier of the settings; all else is `Hot` then, for it is small, is read
/// by every backup, and would be billed for the least time that a colder tier asks for.
#[derive(Debug)]
pub(crate) struct Azure {
    account: Account,
    prefix: Prefix,
    tier: Option<AzureAccessTier>,
}

impl Azure {
    /// Reads where it is from the settings, without asking it anything.
    ///
    /// # Errors
    /// The settings make no sense.
    pub(crate) fn open(settings: &AzureSettings, client: Client) -> Result<Self, StorageError> {
        let invalid = |cause: String| Attempt::new("open", "", "Azure").invalid(cause);
        Ok(Self {
            account: Account::new(settings, client).map_err(invalid)?,
            prefix: Prefix::new(settings.remote_folder_name.as_deref()).map_err(invalid)?,
            tier: settings.access_tier,
        })
    }

    /// Sends a request and turns every answer that is no success into an error.
    async fn ask(&self, attempt: &Attempt<'_>, begun: Begun, body: Bytes) -> Result<Answer, Refused> {
        let (answer, signed_at) = self.account.send(attempt, begun, body).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(self.refused(attempt, answer, signed_at).await)
    }

    async fn refused(
        &self,
        attempt: &Attempt<'_>,
        answer: Answer,
        signed_at: Option<HeaderValue>,
    ) -> Refused {
        let skew = refusal::skew_seconds(signed_at.as_ref(), answer.headers());
        let refusal = answer.refusal(attempt).await;
        let error = refusal::explain(&self.account, attempt, &refusal, skew);
        Refused { error, code: refusal.code }
    }

    fn accept<'a>(
        &self,
        action: &'static str,
        path: &'a str,
        described: &'a str,
    ) -> Result<Attempt<'a>, StorageError> {
        let attempt = Attempt::new(action, path, described);
        path::objection(path).map_or(Ok(attempt), |cause| Err(attempt.invalid(cause)))
    }

    /// Asks for what is known of a blob.
    async fn head(&self, attempt: &Attempt<'_>) -> Result<Answer, StorageError> {
        let begun = self.account.blob(Method::HEAD, &self.prefix.name(attempt.path), &[]);
        let answer = self.ask(attempt, begun, Bytes::new()).await?;
        not_a_folder(attempt, answer)
    }

    const fn cold_tier(&self) -> Option<&'static str> {
        match self.tier {
            None => None,
            Some(AzureAccessTier::Hot) => Some("Hot"),
            Some(AzureAccessTier::Cool) => Some("Cool"),
            Some(AzureAccessTier::Cold) => Some("Cold"),
            Some(AzureAccessTier::Archive) => Some("Archive"),
        }
    }

    const fn hot_tier(&self) -> Option<&'static str> {
        if self.tier.is_some() { Some("Hot") } else { None }
    }
}

/// A request that failed, and the service's own name of the reason.
#[derive(Debug)]
struct Refused {
    error: StorageError,
    code: String,
}

impl Refused {
    fn says_that_it_exists(&self) -> bool {
        matches!(self.code.as_str(), "BlobAlreadyExists" | "ConditionNotMet" | "UnauthorizedBlobOverwrite")
    }
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self { error, code: String::new() }
    }
}

impl From<Refused> for StorageError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// In accounts with a hierarchical namespace a folder answers, too.
fn not_a_folder(attempt: &Attempt<'_>, answer: Answer) -> Result<Answer, StorageError> {
    if answer.header("x-ms-resource-type") == Some("directory") {
        return Err(attempt.failure(StorageErrorKind::NotFound, "it is a folder"));
    }
    Ok(answer)
}

fn availability_of(answer: &Answer) -> Availability {
    let thaws = answer.header("x-ms-archive-status").is_some_and(|status| !status.is_empty());
    match answer.header("x-ms-access-tier") {
        Some("Archive") if thaws => Availability::Thawing,
        Some("Archive") => Availability::Cold,
        _ => Availability::Ready,
    }
}

#[async_trait]
impl Storage for Azure {
    fn capabilities(&self) -> Capabilities {
        let cold = matches!(self.tier, Some(AzureAccessTier::Archive));
        Capabilities { conditional_put: true, cold, paced: true, ..Capabilities::default() }
    }

    fn describe(&self) -> String {
        format!("{}{}", self.account.described(), self.prefix.described())
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let described = self.describe();
        let attempt = self.accept("write", path, &described)?;
        self.write(&attempt, data, Manner { tier: self.hot_tier(), only_new: false }).await?;
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let described = self.describe();
        let attempt = self.accept("write", path, &described)?;
        self.write(&attempt, data, Manner { tier: self.hot_tier(), only_new: true }).await
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let described = self.describe();
        let attempt = self.accept("write", path, &described)?;
        self.write(&attempt, data, Manner { tier: self.cold_tier(), only_new: false }).await?;
        Ok(())
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        let described = self.describe();
        let attempt = self.accept("look up", path, &described)?;
        Ok(availability_of(&self.head(&attempt).await?))
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        let described = self.describe();
        for path in paths {
            let attempt = self.accept("ask for", path, &described)?;
            if availability_of(&self.head(&attempt).await?) != Availability::Cold {
                continue;
            }
            let begun = self
                .account
                .blob(Method::PUT, &self.prefix.name(path), &[("comp", "tier")])
                .header("x-ms-access-tier", "Hot")
                .header("x-ms-rehydrate-priority", "Standard");
            self.ask(&attempt, begun, Bytes::new()).await?;
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let described = self.describe();
        let attempt = self.accept("read", path, &described)?;
        let begun = self.account.blob(Method::GET, &self.prefix.name(path), &[]);
        let answer = self.ask(&attempt, begun, Bytes::new()).await?;
        not_a_folder(&attempt, answer)?.bytes(&attempt, OBJECT_AT_MOST).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let described = self.describe();
        let attempt = self.accept("read", path, &described)?;
        range::accept(&attempt, &range)?;
        if range.is_empty() {
            let length = self.head(&attempt).await?.length().unwrap_or(0);
            return range::empty(&attempt, &range, length);
        }
        let begun = self
            .account
            .blob(Method::GET, &self.prefix.name(path), &[])
            .header("x-ms-range", &range::header(&range));
        match self.ask(&attempt, begun, Bytes::new()).await {
            Ok(answer) => range::read(not_a_folder(&attempt, answer)?, &attempt, &range).await,
            Err(refused) if refused.code == "InvalidRange" => {
                Err(range::short(&attempt, &range, "the object ends before"))
            }
            Err(refused) => Err(refused.error),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        let described = self.describe();
        let attempt = self.accept("look up", path, &described)?;
        match self.head(&attempt).await {
            Ok(answer) => {
                let size = answer.length().ok_or_else(|| {
                    attempt.failure(StorageErrorKind::Other, "the server did not say how large it is")
                })?;
                Ok(Some(ObjectInfo { path: path.to_owned(), size_bytes: size }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let described = self.describe();
        let folder = folder.trim_end_matches('/');
        let attempt = Attempt::new("list", folder, &described);
        if !folder.is_empty() {
            self.accept("list", folder, &described)?;
        }
        let below = self.prefix.below(folder);
        let mut objects = Vec::new();
        let mut marker = None;
        loop {
            let mut query = vec![("restype", "container"), ("comp", "list"), ("maxresults", "5000")];
            query.extend((!below.is_empty()).then_some(("prefix", below.as_str())));
            query.extend(marker.as_deref().map(|marker| ("marker", marker)));
            let begun = self.account.whole(Method::GET, &query);
            let answer = self.ask(&attempt, begun, Bytes::new()).await?;
            let body = answer.bytes(&attempt, PAGE_AT_MOST).await?;
            let page =
                Page::read(&body).map_err(|cause| attempt.failure(StorageErrorKind::Damaged, cause))?;
            objects.extend(page.blobs.into_iter().filter_map(|blob| {
                let path = self.prefix.path(&blob.path)?.to_owned();
                Some(ObjectInfo { path, ..blob })
            }));
            if page.next.is_none() {
                return Ok(objects);
            }
            if page.next == marker {
                let cause = "the listing does not come to an end: the server named the same page again";
                return Err(attempt.failure(StorageErrorKind::Damaged, cause));
            }
            marker = page.next;
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let described = self.describe();
        let attempt = self.accept("delete", path, &described)?;
        let begun = self.account.blob(Method::DELETE, &self.prefix.name(path), &[]);
        match self.ask(&attempt, begun, Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(refused) if refused.error.is_not_found() => Ok(()),
            Err(refused) => Err(refused.error),
        }
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}
