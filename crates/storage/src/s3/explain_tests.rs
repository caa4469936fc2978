//! Refusals as servers write them, and what becomes of them.

use super::bucket::Bucket;
use super::explain::refusal;
use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Client, Refusal};
use http::{HeaderMap, StatusCode};
use larder_model::Secret;
use larder_model::task::S3Settings;
use std::time::Duration;

fn bucket() -> Bucket {
    let settings = S3Settings {
        aws_access_key: Some("AK".to_owned()),
        aws_secret_key: Some(Secret::new("SK".to_owned())),
        aws_region_name: Some("eu-central-1".to_owned()),
        bucket_name: Some("backups".to_owned()),
        remote_folder_name: Some("larder".to_owned()),
        ..S3Settings::default()
    };
    Bucket::open(&settings, Client::new(&ConnectorSettings::default()).unwrap()).unwrap()
}

fn explained(action: &'static str, status: u16, body: &str, region: Option<&str>) -> StorageError {
    let bucket = bucket();
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "3".parse().unwrap());
    let said = Refusal::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
    refusal(&bucket, &bucket.attempt(action, "data/ab"), "s3:PutObject", &said, region)
}

#[test]
fn the_right_region_is_named_wherever_the_server_names_it() {
    let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>";
    for error in [
        explained("write", 400, malformed, None),
        explained("write", 301, "<Error><Code>PermanentRedirect</Code></Error>", Some("us-west-2")),
        explained("look up", 301, "", Some("us-west-2")),
        explained("look up", 400, "", Some("us-west-2")),
    ] {
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("not in eu-central-1; set AwsRegionName to us-west-2"), "{error}");
    }
    // The region is right, so that something else is wrong.
    assert_eq!(explained("look up", 403, "", Some("eu-central-1")).kind, StorageErrorKind::Denied);
    assert_eq!(explained("look up", 403, "", Some("us-west-2")).kind, StorageErrorKind::Denied);
}

#[test]
fn a_wrong_clock_is_told_by_how_much() {
    let body = "<Error><Code>RequestTimeTooSkewed</Code><RequestTime>20261121T163000Z</RequestTime>\
                <ServerTime>2026-11-21T17:10:30Z</ServerTime></Error>";
    let error = explained("write", 403, body, None);
    assert!(
        error.to_string().contains("the clock of this machine is 41 minutes behind the server's"),
        "{error}"
    );
    assert_eq!(error.kind, StorageErrorKind::Denied);
}

#[test]
fn a_missing_right_is_named_with_what_it_must_be_given_on() {
    let error = explained(
        "write",
        403,
        "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
        None,
    );
    assert_eq!(
        error.to_string(),
        "could not write 'data/ab' at s3://backups/larder: the key lacks the right s3:PutObject on \
         arn:aws:s3:::backups/larder/*, or something denies it: Access Denied (HTTP 403, AccessDenied)"
    );
    let error = explained("look up", 403, "", None);
    assert!(
        error.to_string().contains("or s3:ListBucket on arn:aws:s3:::backups where there is no such object"),
        "{error}"
    );
}

#[test]
fn what_may_pass_is_told_from_what_will_not() {
    use StorageErrorKind::{Cold, Full, Invalid, NotFound, Protected, Unavailable};
    let kinds = [
        ("SlowDown", 503, Unavailable),
        ("RequestTimeout", 400, Unavailable),
        ("OperationAborted", 409, Unavailable),
        ("XAmzContentSHA256Mismatch", 400, Unavailable),
        ("InternalError", 500, Unavailable),
        ("NoSuchKey", 404, NotFound),
        ("NoSuchBucket", 404, Invalid),
        ("InvalidStorageClass", 400, Invalid),
        ("InvalidObjectState", 403, Cold),
        ("QuotaExceeded", 403, Full),
    ];
    for (code, status, kind) in kinds {
        let error = explained("write", status, &format!("<Error><Code>{code}</Code></Error>"), None);
        assert_eq!(error.kind, kind, "{code}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
    }
    let locked = "<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>";
    assert_eq!(explained("delete", 403, locked, None).kind, Protected);
}
