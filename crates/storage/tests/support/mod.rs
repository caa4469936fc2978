//! Opening buckets for tests.

use larder_model::Secret;
use larder_model::task::{Block, S3Settings};
use larder_storage::{Connector, ConnectorSettings, Storage};
use std::sync::Arc;

/// Opens a bucket of a server with a key, with further settings as a test wants them.
pub(crate) fn s3(
    url: &str,
    key: (&str, &str),
    bucket: &str,
    change: impl FnOnce(&mut S3Settings),
) -> Arc<dyn Storage> {
    s3_by(ConnectorSettings::default(), url, key, bucket, change)
}

/// Does the same with what connections are told of the host.
pub(crate) fn s3_by(
    host: ConnectorSettings,
    url: &str,
    key: (&str, &str),
    bucket: &str,
    change: impl FnOnce(&mut S3Settings),
) -> Arc<dyn Storage> {
    let mut settings = S3Settings {
        aws_access_key: Some(key.0.to_owned()),
        aws_secret_key: Some(Secret::new(key.1.to_owned())),
        bucket_name: Some(bucket.to_owned()),
        custom_server_url: Some(url.to_owned()),
        ..S3Settings::default()
    };
    change(&mut settings);
    Connector::new(host).unwrap().connect(Block::S3(&settings)).unwrap()
}
