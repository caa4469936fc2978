//! A server's refusal, in words that say what to do.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Refusal};
use crate::s3::bucket::Bucket;
use jiff::Timestamp;

/// Makes the error of a refused request. `right` is the right that the request needs: `s3:PutObject`.
pub(crate) fn refusal(
    bucket: &Bucket,
    attempt: &Attempt<'_>,
    right: &str,
    refusal: &Refusal,
    region: Option<&str>,
) -> StorageError {
    let place = &bucket.place;
    let words = refusal.words();
    let region = region.or_else(|| refusal.fields.get("Region").map(String::as_str));
    let other = region.filter(|region| *region != place.region && !region.is_empty());
    if let Some(region) = other
        && matches!(refusal.status.as_u16(), 301 | 307 | 400 | 403)
        && is_about_the_region(refusal)
    {
        let cause = format!(
            "the bucket {} lies in the region {region}, not in {}; set AwsRegionName to {region}",
            place.bucket, place.region
        );
        return refusal.error_of(attempt, StorageErrorKind::Invalid, cause);
    }
    let (kind, cause) = match refusal.code.as_str() {
        "NoSuchKey" => (StorageErrorKind::NotFound, "there is no such object".to_owned()),
        "NoSuchBucket" | "NoSuchWebsiteConfiguration" => (
            StorageErrorKind::Invalid,
            format!(
                "there is no bucket '{}' in the region {}; make it, or correct BucketName",
                place.bucket, place.region
            ),
        ),
        "InvalidAccessKeyId" => (
            StorageErrorKind::Denied,
            format!("the server does not know the access key; correct AwsAccessKey: {words}"),
        ),
        "SignatureDoesNotMatch" => (
            StorageErrorKind::Denied,
            format!("the secret key does not belong to the access key; correct AwsSecretKey: {words}"),
        ),
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => (
            StorageErrorKind::Denied,
            format!("the session token is not valid any more; renew AwsSessionToken: {words}"),
        ),
        "RequestTimeTooSkewed" | "RequestExpired" => (StorageErrorKind::Denied, skew(refusal)),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => (
            StorageErrorKind::Invalid,
            format!("the region or the address is not that of the bucket; correct AwsRegionName: {words}"),
        ),
        "InvalidObjectState" => (StorageErrorKind::Cold, format!("it lies in an archive class: {words}")),
        "InvalidStorageClass" => (
            StorageErrorKind::Invalid,
            format!("the server does not have this storage class; correct StorageClass: {words}"),
        ),
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" | "XMinioAdminBucketQuotaExceeded" => {
            (StorageErrorKind::Full, words)
        }
        // The status says 400 or 409, but the same request may do better next time. Bytes that changed on the way are such, too.
        "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "XAmzContentSHA256Mismatch"
        | "BadDigest"
        | "IncompleteBody"
        | "SlowDown"
        | "InternalError"
        | "ServiceUnavailable" => (StorageErrorKind::Unavailable, words),
        "InvalidRequest" | "InvalidArgument" | "ObjectLockConfigurationNotFoundError"
            if speaks_of_lock(&refusal.message) =>
        {
            (
                StorageErrorKind::Invalid,
                format!(
                    "the bucket was not made with object lock; make a new one that is, or leave out ObjectLockDays: {words}"
                ),
            )
        }
        "InvalidRequest"
            if bucket.lock.is_some() && attempt.action == "write" && refusal.message.is_empty() =>
        {
            (
                StorageErrorKind::Invalid,
                format!(
                    "the server does not say why; most likely the bucket was not made with object lock: {words}"
                ),
            )
        }
        _ if attempt.action == "delete" && is_denied(refusal) && speaks_of_lock(&refusal.message) => {
            (StorageErrorKind::Protected, words)
        }
        _ if is_denied(refusal) => (StorageErrorKind::Denied, missing_right(bucket, attempt, right, refusal)),
        _ if refusal.status.as_u16() == 404 && attempt.path.is_empty() => (StorageErrorKind::Invalid, words),
        _ => return refusal.error(attempt),
    };
    refusal.error_of(attempt, kind, cause)
}

fn is_denied(refusal: &Refusal) -> bool {
    refusal.kind() == StorageErrorKind::Denied || refusal.code == "AccessDenied"
}

/// Answers to HEAD have no body: then a redirection is one for the region.
fn is_about_the_region(refusal: &Refusal) -> bool {
    refusal.status.is_redirection()
        || matches!(
            refusal.code.as_str(),
            "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "InvalidRegion"
        )
        || (refusal.code.is_empty() && refusal.status.as_u16() == 400)
}

fn speaks_of_lock(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["object lock", "objectlock", "worm", "retention", "legal hold"].iter().any(|word| message.contains(word))
}

/// The server named both times, so that no clock needs to be asked here.
fn skew(refusal: &Refusal) -> String {
    let time = |name: &str| {
        let text = refusal.fields.get(name)?;
        text.parse::<Timestamp>().ok().or_else(|| {
            let compact = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
            Some(compact.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        })
    };
    let words = refusal.words();
    match time("RequestTime").zip(time("ServerTime")) {
        Some((here, there)) => {
            let seconds = here.as_second() - there.as_second();
            let direction = if seconds > 0 { "ahead of" } else { "behind" };
            let minutes = seconds.unsigned_abs().div_ceil(60);
            format!(
                "the clock of this machine is {minutes} minutes {direction} the server's; set it right: {words}"
            )
        }
        None => format!("the clock of this machine and the server's differ too much; set it right: {words}"),
    }
}

fn missing_right(bucket: &Bucket, attempt: &Attempt<'_>, right: &str, refusal: &Refusal) -> String {
    let whole_bucket = right == "s3:ListBucket";
    let resource = bucket.place.resource(whole_bucket);
    // The answer to HEAD has no body, and Amazon hides from those who may not list whether an object exists.
    let hidden = if attempt.action == "look up" && refusal.code.is_empty() {
        format!(", or s3:ListBucket on {} where there is no such object", bucket.place.resource(true))
    } else {
        String::new()
    };
    let lock =
        if bucket.lock.is_some() && right == "s3:PutObject" { " and s3:PutObjectRetention" } else { "" };
    format!(
        "the key lacks the right {right}{lock} on {resource}{hidden}, or something denies it: {}",
        refusal.words()
    )
}
