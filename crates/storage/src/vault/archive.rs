//! Writing, removing and reading archives.

use super::service::{Call, Service};
use super::tree_hash::{hashes, tree};
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Answer, Attempt};
use bytes::Bytes;
use http::{Method, StatusCode};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The size of a part, a power of two of MiB; only the last may be smaller.
const PART: usize = 16 << 20;
/// Larger archives go up in parts.
const SINGLE_AT_MOST: usize = 2 * PART;
/// The protocol allows no more parts.
const PARTS_AT_MOST: usize = 10_000;
/// How often an upload that failed is called off, and how long it is waited in between.
const CALL_OFF_ATTEMPTS: u32 = 4;
const CALL_OFF_PAUSE: Duration = Duration::from_millis(250);

/// An archive that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) id: String,
    pub(super) tree_hash: String,
}

/// An upload in parts that was begun. Unless it is finished, what went up of it is removed when this is dropped.
struct Upload {
    service: Arc<Service>,
    id: String,
    finished: bool,
}

impl Service {
    /// Writes an archive with its description.
    ///
    /// # Errors
    /// The service's.
    pub(super) async fn upload(
        self: &Arc<Self>,
        path: &str,
        description: &str,
        data: Bytes,
    ) -> Result<Written, StorageError> {
        let attempt = self.attempt("write", path);
        let whole = hashes(&data).await;
        let tree_hash = whole.tree.clone();
        if data.len() > SINGLE_AT_MOST {
            let id = self.upload_in_parts(path, description, data, &tree_hash).await?;
            return Ok(Written { id, tree_hash });
        }
        let call = Call::new(Method::POST, "/archives", "glacier:UploadArchive")
            .header("x-amz-archive-description", description)
            .archived(data, whole);
        let answer = self.demand(&attempt, call).await?;
        Ok(Written { id: named(&attempt, &answer, "x-amz-archive-id")?, tree_hash })
    }

    async fn upload_in_parts(
        self: &Arc<Self>,
        path: &str,
        description: &str,
        data: Bytes,
        tree_hash: &str,
    ) -> Result<String, StorageError> {
        let attempt = self.attempt("write", path);
        let part = part_size(data.len());
        // In a task of its own: whoever gives up while the service makes the upload would not learn its name, so that
        // nobody could call it off. Left alone, the task ends, and drops what it made.
        let begin = tokio::spawn({
            let (service, path, description) = (Arc::clone(self), path.to_owned(), description.to_owned());
            async move { service.begin(&path, &description, part).await }
        });
        let mut upload = begin.await.unwrap_or_else(|stopped| {
            Err(attempt.failure(StorageErrorKind::Other, format!("the work was interrupted: {stopped}")))
        })?;
        let sent = self.send_parts(&attempt, &upload.id, &data, part, tree_hash).await;
        upload.finished = true;
        if sent.is_err() {
            call_off(self, &upload.id).await;
        }
        sent
    }

    async fn begin(
        self: &Arc<Self>,
        path: &str,
        description: &str,
        part: usize,
    ) -> Result<Upload, StorageError> {
        let attempt = self.attempt("write", path);
        let call = Call::new(Method::POST, "/multipart-uploads", "glacier:InitiateMultipartUpload")
            .header("x-amz-archive-description", description)
            .header("x-amz-part-size", part.to_string());
        let answer = self.demand(&attempt, call).await?;
        let id = named(&attempt, &answer, "x-amz-multipart-upload-id")?;
        Ok(Upload { service: Arc::clone(self), id, finished: false })
    }

    async fn send_parts(
        &self,
        attempt: &Attempt<'_>,
        upload: &str,
        data: &Bytes,
        part: usize,
        tree_hash: &str,
    ) -> Result<String, StorageError> {
        let below = format!("/multipart-uploads/{upload}");
        for start in (0..data.len()).step_by(part) {
            let bytes = data.slice(start..data.len().min(start + part));
            let hashes = hashes(&bytes).await;
            let range = format!("bytes {start}-{}/*", start + bytes.len() - 1);
            let call = Call::new(Method::PUT, &below, "glacier:UploadMultipartPart")
                .header("content-range", range)
                .header("content-type", "application/octet-stream")
                .archived(bytes, hashes);
            self.demand(attempt, call).await?;
        }
        let call = Call::new(Method::POST, &below, "glacier:CompleteMultipartUpload")
            .header("x-amz-archive-size", data.len().to_string())
            .header("x-amz-sha256-tree-hash", tree_hash);
        let answer = self.demand(attempt, call).await?;
        named(attempt, &answer, "x-amz-archive-id")
    }

    /// Removes an archive; one that is already gone is no error.
    ///
    /// # Errors
    /// The service's.
    pub(super) async fn remove(&self, path: &str, archive: &str) -> Result<(), StorageError> {
        let attempt = self.attempt("delete", path);
        let below = format!("/archives/{archive}");
        match self.demand(&attempt, Call::new(Method::DELETE, &below, "glacier:DeleteArchive")).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// Reads what a job that is done has made ready, or bytes of it.
    ///
    /// # Errors
    /// The service's; of the kind `NotFound` where the job was so long ago that it is forgotten.
    pub(super) async fn output(
        &self,
        attempt: &Attempt<'_>,
        job: &str,
        range: Option<&Range<u64>>,
        at_most: u64,
    ) -> Result<Bytes, StorageError> {
        let below = format!("/jobs/{job}/output");
        let mut call = Call::new(Method::GET, &below, "glacier:GetJobOutput");
        if let Some(range) = range {
            call = call.header("range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        let answer = self.demand(attempt, call).await?;
        let (status, said) = (answer.status(), answer.header("x-amz-sha256-tree-hash").map(str::to_owned));
        let data = answer.bytes(attempt, at_most).await?;
        // Given only where the range is one of the tree's own.
        if let Some(said) = said.filter(|said| !said.is_empty() && *said != tree(&data)) {
            let cause = format!("what came does not have the tree hash {said} that the service names");
            return Err(attempt.failure(StorageErrorKind::Damaged, cause));
        }
        let Some(range) = range else { return Ok(data) };
        let part = match status {
            StatusCode::PARTIAL_CONTENT => Some(data),
            // The whole of it came.
            _ => {
                let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                bounds.filter(|(_, end)| *end <= data.len()).map(|(start, end)| data.slice(start..end))
            }
        };
        let wanted = range.end - range.start;
        part.filter(|part| part.len() as u64 == wanted).ok_or_else(|| {
            let cause = format!("{wanted} bytes were asked for, but the archive ends before");
            attempt.failure(StorageErrorKind::Damaged, cause)
        })
    }
}

/// Returns the size of the parts: as small as the protocol allows that many, for a part that fails is sent again.
fn part_size(length: usize) -> usize {
    let mut part = PART;
    while length.div_ceil(part) > PARTS_AT_MOST {
        part *= 2;
    }
    part
}

/// Returns the name that the service gave; it stands in addresses, so that it may hold nothing else.
fn named(attempt: &Attempt<'_>, answer: &Answer, header: &str) -> Result<String, StorageError> {
    let name = answer.header(header).unwrap_or_default().trim();
    if super::catalogue::is_archive_id(name) {
        return Ok(name.to_owned());
    }
    let cause = format!("the service gave no name for what it wrote ({header})");
    Err(attempt.failure(StorageErrorKind::Other, cause))
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let (service, id) = (Arc::clone(&self.service), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { call_off(&service, &id).await });
        }
    }
}

async fn call_off(service: &Service, id: &str) {
    let attempt = service.attempt("call off the upload of", "");
    let below = format!("/multipart-uploads/{id}");
    let mut pause = CALL_OFF_PAUSE;
    for _ in 0..CALL_OFF_ATTEMPTS {
        let call = Call::new(Method::DELETE, &below, "glacier:AbortMultipartUpload");
        match service.demand(&attempt, call).await {
            Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
            Err(error) if !error.is_not_found() => {
                return tracing::warn!(%error, "parts of an upload stayed behind; the vault forgets them within a day");
            }
            _ => return,
        }
        pause *= 2;
    }
}
