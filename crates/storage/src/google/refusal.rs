//! Why Google says no, in words that say what to do.
//!
//! The reasons are those of "HTTP status and error codes for JSON" of Google's documentation.

use super::bucket::Bucket;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Refusal};

/// Makes the error of a refused request.
pub(super) fn explain(bucket: &Bucket, attempt: &Attempt<'_>, refusal: &Refusal) -> StorageError {
    use StorageErrorKind as Kind;
    let words = refusal.words();
    let who = bucket.tokens.as_ref().map(|tokens| tokens.email.as_str());
    let (kind, cause) = match (refusal.status.as_u16(), refusal.code.as_str()) {
        (403, "rateLimitExceeded" | "userRateLimitExceeded" | "quotaExceeded" | "dailyLimitExceeded") => {
            (Kind::Unavailable, words)
        }
        (403, "retentionPolicyNotMet" | "objectUnderActiveHold") => {
            (Kind::Protected, format!("a retention policy or a hold protects it from change: {words}"))
        }
        (401, _) => match who {
            Some(who) => (Kind::Denied, format!("the account {who} is not known, or was disabled: {words}")),
            None => (
                Kind::Denied,
                format!("the server wants to know who asks; give GoogleCredentialsJson: {words}"),
            ),
        },
        (403, _) => {
            let who = who.unwrap_or("whoever asks without a name");
            (
                Kind::Denied,
                format!("{who} lacks the right {} on the bucket '{}': {words}", right(attempt), bucket.name),
            )
        }
        (404, _) if says_that_the_bucket_is_missing(refusal) => (
            Kind::Invalid,
            format!("there is no bucket '{}'; make it, or correct BucketName: {words}", bucket.name),
        ),
        (404, _) => (Kind::NotFound, format!("it does not exist: {words}")),
        // An upload that was begun so long ago that the service forgot it.
        (410, _) => (Kind::Unavailable, words),
        _ => (refusal.kind(), words),
    };
    refusal.error_of(attempt, kind, cause)
}

/// The reason is the same for a missing object and for a missing bucket.
fn says_that_the_bucket_is_missing(refusal: &Refusal) -> bool {
    let message = refusal.message.to_ascii_lowercase();
    message.contains("bucket does not exist") || message.contains("bucket not found")
}

/// Names the right that is needed.
fn right(attempt: &Attempt<'_>) -> &'static str {
    match attempt.action {
        "read" | "look up" => "storage.objects.get",
        "list" => "storage.objects.list",
        "delete" => "storage.objects.delete",
        _ => "storage.objects.create (to replace an object also storage.objects.delete)",
    }
}
