//! Object lock: what nobody may remove for a while.

use crate::error::StorageError;
use crate::s3::bucket::{Bucket, Lock};
use crate::s3::call::Call;
use http::Method;
use reqsign_core::time::Timestamp;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The moment until which what is written now is locked.
///
/// The server compares it with its own clock, so it counts from the moment that the request is signed for, not from a clock
/// that a test may have set.
fn until(lock: Lock) -> String {
    (Timestamp::now() + DAY * lock.days).format_rfc3339_zulu()
}

/// The headers that lock an object as it is written.
pub(crate) fn headers(lock: Lock) -> [(&'static str, String); 2] {
    [("x-amz-object-lock-mode", lock.mode.to_owned()), ("x-amz-object-lock-retain-until-date", until(lock))]
}

impl Bucket {
    /// Locks an object that is there for as long as one that were written now.
    ///
    /// # Errors
    /// The destination's.
    pub(crate) async fn extend_lock(&self, path: &str, lock: Lock) -> Result<(), StorageError> {
        let attempt = self.attempt("protect", path);
        let key = self.place.key(path);
        let text = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate>\
             </Retention>",
            lock.mode,
            until(lock)
        );
        let call = Call::new(Method::PUT, &key).query("retention", "").text(text);
        self.demand(&attempt, "s3:PutObjectRetention", call).await.map(|_| ())
    }
}
