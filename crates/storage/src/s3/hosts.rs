//! Several regions in one block.

use larder_model::task::S3Settings;

/// Returns one block for each of the hosts that a block names, in their order; a block that names none, as it is.
///
/// Each is a destination of its own, which [`crate::Connector::connect`] opens.
#[must_use]
pub fn s3_hosts(settings: &S3Settings) -> Vec<S3Settings> {
    if settings.hosts.is_empty() {
        return vec![settings.clone()];
    }
    let one = |host: &String| S3Settings { hosts: vec![host.clone()], ..settings.clone() };
    settings.hosts.iter().map(one).collect()
}
