//! The service's refusals, in words that say what to do.
//!
//! The codes are those of "Error Responses" in the developer guide of Amazon S3 Glacier.

use super::place::Place;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Refusal};
use std::time::Duration;

/// Makes the error of a refused request. `right` is what the request needs: `glacier:UploadArchive`.
pub(super) fn refusal(place: &Place, attempt: &Attempt<'_>, right: &str, refusal: &Refusal) -> StorageError {
    use StorageErrorKind as Kind;
    let words = refusal.words();
    let vault = || refusal.message.to_ascii_lowercase().contains("vault not found");
    let (kind, cause) = match refusal.code.as_str() {
        "ResourceNotFoundException" | "VaultNotFound" if vault() => (
            Kind::Invalid,
            format!(
                "there is no vault '{}' in the region {}; make it, or correct VaultName and AwsRegionName: {words}",
                place.vault, place.region
            ),
        ),
        "ResourceNotFoundException" => (Kind::NotFound, words),
        "UnrecognizedClientException" | "InvalidAccessKeyId" | "InvalidClientTokenId" => {
            (Kind::Denied, format!("the service does not know the access key; correct AwsAccessKey: {words}"))
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch"
            if refusal.message.contains("Signature expired") =>
        {
            (Kind::Denied, format!("the clock of this machine is wrong; set it right: {words}"))
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => (
            Kind::Denied,
            format!("the secret key does not belong to the access key; correct AwsSecretKey: {words}"),
        ),
        "ExpiredTokenException" => {
            (Kind::Denied, format!("the session token is not valid any more; renew AwsSessionToken: {words}"))
        }
        "AccessDeniedException" => (
            Kind::Denied,
            format!(
                "the key lacks the right {right} on {}, or something denies it: {words}",
                place.resource()
            ),
        ),
        "PolicyEnforcedException" => (
            Kind::Denied,
            format!(
                "the account's policy of retrievals allows no more; change it, or wait until the hour is over: {words}"
            ),
        ),
        // The status says 400, but the same request may do better later.
        "ThrottlingException" | "LimitExceededException" => {
            let error = refusal.error_of(attempt, Kind::Unavailable, words);
            let wait = error.retry_after.unwrap_or(Duration::ZERO);
            return error.with_retry_after(Some(wait));
        }
        "InsufficientCapacityException" | "RequestTimeoutException" | "ServiceUnavailableException" => {
            (Kind::Unavailable, words)
        }
        // Bytes that changed on their way.
        "InvalidParameterValueException" if refusal.message.to_ascii_lowercase().contains("hash") => {
            (Kind::Unavailable, words)
        }
        _ => return refusal.error(attempt),
    };
    refusal.error_of(attempt, kind, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};
    use larder_model::task::GlacierSettings;

    fn explained(status: u16, code: &str, message: &str) -> StorageError {
        let settings = GlacierSettings { vault_name: Some("v".to_owned()), ..GlacierSettings::default() };
        let body = format!(r#"{{"code":"{code}","message":"{message}","type":"Client"}}"#);
        let place = Place::read(&settings).unwrap();
        let said = Refusal::read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
        refusal(&place, &Attempt::new("write", "data/ab", place.describe()), "glacier:UploadArchive", &said)
    }

    #[test]
    fn codes_are_told_apart_and_say_what_to_do() {
        use StorageErrorKind::{Denied, Invalid, NotFound, Unavailable};
        for (status, code, message, kind, says) in [
            (404, "ResourceNotFoundException", "Vault not found for ARN: x", Invalid, "VaultName"),
            (404, "ResourceNotFoundException", "The archive ID was not found: x", NotFound, "archive"),
            (403, "AccessDeniedException", "User is not authorized", Denied, "glacier:UploadArchive"),
            (403, "InvalidSignatureException", "does not match", Denied, "AwsSecretKey"),
            (403, "InvalidSignatureException", "Signature expired: x", Denied, "clock"),
            (403, "UnrecognizedClientException", "The token is invalid", Denied, "AwsAccessKey"),
            (400, "ThrottlingException", "Rate exceeded", Unavailable, "Rate"),
            (400, "PolicyEnforcedException", "x", Denied, "policy"),
            (400, "InvalidParameterValueException", "Checksum mismatch: tree hash x", Unavailable, "hash"),
            (400, "InvalidParameterValueException", "Invalid part size", Invalid, "part size"),
            (503, "ServiceUnavailableException", "x", Unavailable, ""),
        ] {
            let error = explained(status, code, message);
            assert_eq!(error.kind, kind, "{code}: {error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        assert!(explained(400, "ThrottlingException", "").is_throttled());
    }
}
