//! How an object is written: in one request, or in parts that can be taken up again.

use super::GoogleCloud;
use super::bucket::Refused;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Answer, Attempt};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};
use http::{Method, StatusCode, Uri};
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;
use serde::Deserialize;
use serde_json::json;

/// What is larger is written in parts.
const ONE_REQUEST_AT_MOST: usize = 64 << 20;
/// How large a part is: a multiple of 256 KiB, as the service wants it.
const PART: usize = 16 << 20;
/// How often in a row a part may fail, or bring nothing forward.
const STUMBLES: u32 = 3;
/// What is said of an object is a few kilobytes.
const DESCRIPTION_AT_MOST: u64 = 1 << 20;

const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("x-upload-content-length");
const UPLOAD_TYPE: HeaderName = HeaderName::from_static("x-upload-content-type");
const OCTETS: &str = "application/octet-stream";
const JSON: &str = "application/json; charset=UTF-8";

/// What an object is written with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The class; where nothing is said, the bucket decides.
    pub(super) class: Option<&'static str>,
    /// Whether one that exists is kept.
    pub(super) only_new: bool,
}

/// What the service says that it holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    md5_hash: Option<String>,
}

/// What became of a part.
pub(super) enum Outcome {
    /// It was the last; the service describes the object.
    Complete(Answer),
    /// The service holds so many bytes.
    Holds(usize),
}

impl GoogleCloud {
    /// Writes an object; says whether it was written, which it is not where one was to be kept.
    pub(super) async fn write(
        &self,
        attempt: &Attempt<'_>,
        data: Bytes,
        manner: Manner,
    ) -> Result<bool, StorageError> {
        let md5 = base64_encode(&Md5::digest(&data));
        let mut description = json!({"name": self.prefix.name(attempt.path), "md5Hash": md5});
        if let Some(class) = manner.class {
            description["storageClass"] = json!(class);
        }
        let description = description.to_string();
        let condition = if manner.only_new { "&ifGenerationMatch=0" } else { "" };
        let outcome = if data.len() > ONE_REQUEST_AT_MOST {
            self.write_parts(attempt, description, data, condition).await
        } else {
            self.write_at_once(attempt, &description, &data, &md5, condition).await
        };
        let answer = match outcome {
            Err(refused) if manner.only_new && refused.status == Some(StatusCode::PRECONDITION_FAILED) => {
                return Ok(false);
            }
            outcome => outcome?,
        };
        let body = answer.bytes(attempt, DESCRIPTION_AT_MOST).await?;
        match serde_json::from_slice::<Written>(&body) {
            Ok(written) if written.md5_hash.as_ref().is_none_or(|found| *found == md5) => Ok(true),
            // Written again it may be whole.
            Ok(_) => Err(attempt
                .failure(StorageErrorKind::Unavailable, "the service holds other bytes than were sent")),
            Err(_) => {
                Err(attempt.failure(StorageErrorKind::Damaged, "the service did not say what it holds now"))
            }
        }
    }

    /// Sends what is said of the object and the object itself as the two parts of one body (RFC 2387).
    pub(super) async fn write_at_once(
        &self,
        attempt: &Attempt<'_>,
        description: &str,
        data: &Bytes,
        md5: &str,
        condition: &str,
    ) -> Result<Answer, Refused> {
        // Nobody can write an object that holds its own checksum.
        let boundary = format!("larder-{}", md5.replace(['+', '/', '='], "_"));
        let head = format!(
            "--{boundary}\r\nContent-Type: {JSON}\r\n\r\n{description}\r\n--{boundary}\r\nContent-Type: {OCTETS}\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let mut body = BytesMut::with_capacity(head.len() + data.len() + tail.len());
        body.put_slice(head.as_bytes());
        body.put_slice(data);
        body.put_slice(tail.as_bytes());
        let target = self.bucket.uploads(&format!("uploadType=multipart{condition}"));
        let kind = format!("multipart/related; boundary={boundary}");
        self.bucket.ask(attempt, Method::POST, &target, &[(CONTENT_TYPE, kind)], body.freeze()).await
    }

    async fn write_parts(
        &self,
        attempt: &Attempt<'_>,
        description: String,
        data: Bytes,
        condition: &str,
    ) -> Result<Answer, Refused> {
        let session = self.begin_parts(attempt, description, data.len() as u64, condition).await?;
        let outcome = self.send_parts(attempt, &session, &data).await;
        if outcome.is_err() {
            // Otherwise the service keeps the parts for a week. That this fails, too, changes nothing.
            let _ = self.bucket.send(attempt, Method::DELETE, session, &[], Bytes::new()).await;
        }
        outcome
    }

    /// Begins an upload in parts; returns where they go.
    pub(super) async fn begin_parts(
        &self,
        attempt: &Attempt<'_>,
        description: String,
        bytes: u64,
        condition: &str,
    ) -> Result<Uri, Refused> {
        let target = self.bucket.uploads(&format!("uploadType=resumable{condition}"));
        let headers = [
            (CONTENT_TYPE, JSON.to_owned()),
            (UPLOAD_TYPE, OCTETS.to_owned()),
            (UPLOAD_LENGTH, bytes.to_string()),
        ];
        let answer = self.bucket.ask(attempt, Method::POST, &target, &headers, description.into()).await?;
        let Some(location) = answer.header("location") else {
            return Err(attempt
                .failure(StorageErrorKind::Other, "the server named no place for the parts")
                .into());
        };
        Ok(self.bucket.named(attempt, location)?)
    }

    async fn send_parts(
        &self,
        attempt: &Attempt<'_>,
        session: &Uri,
        data: &Bytes,
    ) -> Result<Answer, Refused> {
        let total = data.len();
        let (mut held, mut stumbles) = (0, 0);
        loop {
            let end = total.min(held + PART);
            let range = format!("bytes {held}-{}/{total}", end - 1);
            let sent = self.send_part(attempt, session, range, data.slice(held..end)).await;
            let outcome = match sent {
                // What arrived before it failed is kept.
                Err(refused) if refused.error.is_retryable() && stumbles < STUMBLES => {
                    self.send_part(attempt, session, format!("bytes */{total}"), Bytes::new()).await?
                }
                sent => sent?,
            };
            match outcome {
                Outcome::Complete(answer) => return Ok(answer),
                Outcome::Holds(now) if now > total => {
                    return Err(attempt
                        .failure(StorageErrorKind::Damaged, "the service holds more than was sent")
                        .into());
                }
                Outcome::Holds(now) => {
                    stumbles = if now > held { 0 } else { stumbles + 1 };
                    held = now;
                }
            }
            if stumbles > STUMBLES {
                let cause = format!("the upload does not get beyond byte {held}");
                return Err(attempt.failure(StorageErrorKind::Unavailable, cause).into());
            }
        }
    }

    pub(super) async fn send_part(
        &self,
        attempt: &Attempt<'_>,
        session: &Uri,
        range: String,
        data: Bytes,
    ) -> Result<Outcome, Refused> {
        let headers = [(CONTENT_RANGE, range)];
        let answer = self.bucket.send(attempt, Method::PUT, session.clone(), &headers, data).await?;
        if answer.status().is_success() {
            return Ok(Outcome::Complete(answer));
        }
        if answer.status() != StatusCode::PERMANENT_REDIRECT {
            return Err(self.bucket.refused(attempt, answer).await);
        }
        // `bytes=0-262143`; without it the service holds nothing yet.
        let last = answer.header(RANGE.as_str()).and_then(|range| range.rsplit_once('-'));
        let held = last.and_then(|(_, last)| last.trim().parse::<usize>().ok()).map_or(0, |last| last + 1);
        Ok(Outcome::Holds(held))
    }
}
