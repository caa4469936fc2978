//! Why Azure says no, in words that say what to do.
//!
//! The codes are those of "Common REST API error codes" and "Blob Storage error codes" of Microsoft's documentation.

use super::account::Account;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Refusal};
use http::{HeaderMap, HeaderValue};
use jiff::fmt::rfc2822;

/// Azure refuses requests that were signed longer ago, or that far in the future.
const CLOCK_TOLERANCE_SECONDS: i64 = 15 * 60;

/// Makes the error of a refused request.
pub(super) fn explain(
    account: &Account,
    attempt: &Attempt<'_>,
    refusal: &Refusal,
    skew_seconds: Option<i64>,
) -> StorageError {
    use StorageErrorKind as Kind;
    let words = refusal.words();
    let (kind, cause) = match refusal.code.as_str() {
        "ContainerNotFound" => {
            let place =
                format!("there is no container '{}' in the account '{}'", account.container, account.name);
            (Kind::Invalid, format!("{place}; make it, or correct StorageContainer: {words}"))
        }
        "ContainerBeingDeleted" | "AccountBeingCreated" | "ContainerDisabled" => (Kind::Unavailable, words),
        // What changed on the way may arrive whole at the next attempt.
        "Md5Mismatch" => (Kind::Unavailable, words),
        "BlobArchived" | "BlobBeingRehydrated" => {
            (Kind::Cold, format!("it lies in the tier Archive: {words}"))
        }
        "InvalidBlockList" => (Kind::Unavailable, format!("somebody else wrote the same blob: {words}")),
        // The policy's date is not said; see the container, or the blob's properties.
        "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold" => (
            Kind::Protected,
            format!("an immutability policy or a legal hold protects it from change: {words}"),
        ),
        "SnapshotsPresent" => {
            let cause = "it has snapshots that were not made by Larder, and Azure deletes a blob only with them; delete them first";
            (Kind::Denied, format!("{cause}: {words}"))
        }
        "LeaseIdMissing" | "LeaseAlreadyPresent" => {
            (Kind::Denied, format!("somebody holds a lease on it; end the lease: {words}"))
        }
        "KeyBasedAuthenticationNotPermitted" => {
            (Kind::Denied, format!("the account does not let its keys be used; give a SasToken: {words}"))
        }
        // Some servers say so only to people.
        code if code == "AuthenticationFailed"
            || refusal.message.starts_with("Server failed to authenticate") =>
        {
            (Kind::Denied, format!("{}: {words}", unknown(account, skew_seconds)))
        }
        _ if refusal.kind() == Kind::Denied => {
            (Kind::Denied, format!("{}: {words}", right(account, attempt)))
        }
        _ if refusal.kind() == Kind::NotFound => (Kind::NotFound, format!("it does not exist: {words}")),
        _ => (refusal.kind(), words),
    };
    refusal.error_of(attempt, kind, cause)
}

/// Returns how far this machine's clock is from the server's, as far as their words tell.
pub(super) fn skew_seconds(signed_at: Option<&HeaderValue>, headers: &HeaderMap) -> Option<i64> {
    let seconds = |value: &HeaderValue| -> Option<i64> {
        rfc2822::parse(value.to_str().ok()?).ok().map(|date| date.timestamp().as_second())
    };
    Some(seconds(signed_at?)? - seconds(headers.get(http::header::DATE)?)?)
}

fn unknown(account: &Account, skew_seconds: Option<i64>) -> String {
    match skew_seconds {
        Some(skew) if skew.abs() > CLOCK_TOLERANCE_SECONDS => {
            format!("this machine's clock is {} minutes off; set it right", skew / 60)
        }
        _ if account.uses_token => {
            "the SasToken is not valid: not now, not from here, or not for this container".to_owned()
        }
        _ => format!("the AccountKey is not that of the account '{}'", account.name),
    }
}

/// Names the right that was missing.
fn right(account: &Account, attempt: &Attempt<'_>) -> String {
    let right = match attempt.action {
        "read" | "look up" => "Read (r)",
        "list" => "List (l)",
        "delete" => "Delete (d)",
        _ => "Create and Write (cw)",
    };
    if account.uses_token {
        format!("the SasToken lacks the right {right}, or the account's network rules keep this machine out")
    } else {
        "the account's network rules or policies keep this machine out".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::ConnectorSettings;
    use crate::http::Client;
    use http::StatusCode;
    use larder_model::Secret;
    use larder_model::task::AzureSettings;

    fn account(token: bool) -> Account {
        let settings = AzureSettings {
            storage_container: Some("box".to_owned()),
            account_name: Some("acme".to_owned()),
            account_key: Some(Secret::new("c2VjcmV0".to_owned())),
            sas_token: token.then(|| Secret::new("sv=1&sig=secret".to_owned())),
            ..AzureSettings::default()
        };
        Account::new(&settings, Client::new(&ConnectorSettings::default()).unwrap()).unwrap()
    }

    fn explained(token: bool, status: u16, code: &str, action: &'static str) -> StorageError {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-error-code", code.parse().unwrap());
        let refusal = Refusal::read(StatusCode::from_u16(status).unwrap(), &headers, b"");
        explain(&account(token), &Attempt::new(action, "data/ab", "azure://acme/box"), &refusal, None)
    }

    #[test]
    fn codes_are_told_apart() {
        let kinds = [
            (404, "BlobNotFound", StorageErrorKind::NotFound),
            (404, "ContainerNotFound", StorageErrorKind::Invalid),
            (409, "BlobArchived", StorageErrorKind::Cold),
            (409, "BlobImmutableDueToPolicy", StorageErrorKind::Protected),
            (409, "ContainerBeingDeleted", StorageErrorKind::Unavailable),
            (503, "ServerBusy", StorageErrorKind::Unavailable),
            (500, "OperationTimedOut", StorageErrorKind::Unavailable),
            (403, "AuthorizationFailure", StorageErrorKind::Denied),
            (412, "LeaseIdMissing", StorageErrorKind::Denied),
            (400, "InvalidBlockList", StorageErrorKind::Unavailable),
            (400, "InvalidHeaderValue", StorageErrorKind::Invalid),
        ];
        for (status, code, kind) in kinds {
            assert_eq!(explained(false, status, code, "write").kind, kind, "{code}");
        }
    }

    #[test]
    fn the_missing_right_is_named_and_no_secret_is() {
        for (action, right) in
            [("read", "Read (r)"), ("write", "Create and Write (cw)"), ("list", "List (l)")]
        {
            let said = explained(true, 403, "AuthorizationPermissionMismatch", action).to_string();
            assert!(said.contains(right) && !said.contains("secret"), "{said}");
        }
        let said = explained(false, 403, "AuthenticationFailed", "write").to_string();
        assert!(said.contains("the AccountKey is not that of the account 'acme'"), "{said}");
    }

    #[test]
    fn a_clock_that_is_off_is_said_so() {
        let signed_at: HeaderValue = "Sun, 06 Nov 1994 09:49:37 GMT".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("date", "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let skew = skew_seconds(Some(&signed_at), &headers);
        assert_eq!(skew, Some(3600));
        assert_eq!(unknown(&account(false), skew), "this machine's clock is 60 minutes off; set it right");
    }
}
