//! A page of a bucket's listing, whatever is asked of each object.

use super::bucket::Bucket;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, encode};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A page is at most so large: 1,000 objects with some kilobytes of words about each.
const AT_MOST: u64 = 64 << 20;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// What the names begin with.
    pub(super) prefix: &'a str,
    /// What is told of each object, as the service calls it.
    pub(super) fields: &'a str,
    /// The page; the first one where nothing is said.
    pub(super) page: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
    next_page_token: Option<String>,
    /// What every listing says of itself, so that another JSON is not taken for an empty one.
    kind: String,
}

impl Bucket {
    /// Asks for a page of objects; returns them, and the name of the page that follows.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        attempt: &Attempt<'_>,
        asked: Asked<'_>,
    ) -> Result<(Vec<T>, Option<String>), StorageError> {
        let damaged = |cause: &str| attempt.failure(StorageErrorKind::Damaged, cause);
        let mut query = format!("maxResults=1000&fields=kind,nextPageToken,items({})", asked.fields);
        if !asked.prefix.is_empty() {
            query.push_str(&format!("&prefix={}", encode(asked.prefix)));
        }
        if let Some(page) = asked.page {
            query.push_str(&format!("&pageToken={}", encode(page)));
        }
        let answer = match self.ask(attempt, Method::GET, &self.objects(&query), &[], Bytes::new()).await {
            // A bucket that is not there has no empty listing.
            Err(refused) if refused.error.is_not_found() => {
                let cause = format!("there is no bucket '{}': {}", self.name, refused.error.cause);
                return Err(attempt.invalid(cause));
            }
            answer => answer?,
        };
        let body = answer.bytes(attempt, AT_MOST).await?;
        let page: Page<T> =
            serde_json::from_slice(&body).map_err(|_| damaged("the listing cannot be read"))?;
        if page.kind != "storage#objects" {
            return Err(damaged("the server sent something else than a listing"));
        }
        let following = page.next_page_token.filter(|token| !token.is_empty());
        if following.is_some() && following.as_deref() == asked.page {
            return Err(damaged("the listing does not come to an end: the server named the same page again"));
        }
        Ok((page.items, following))
    }
}
