//! Where uploads lie until they are whole, at destinations that can rename.

use crate::path;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder below the root in which an object is written before it gets its name; a directory of this machine uses
/// the same.
pub(crate) const FOLDER: &str = ".tmp";

/// After so many seconds an unfinished upload is nobody's: what is being written changes its time as it grows.
pub(crate) const ABANDONED_SECONDS: u64 = 24 * 60 * 60;

/// Makes a path below the root that no other upload has, of this process or another.
pub(crate) fn name() -> String {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    // The standard library's hasher is the one source of random numbers that needs neither a crate nor the host.
    let random = RandomState::new().build_hasher().finish();
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{FOLDER}/{random:016x}-{:x}-{serial:x}", std::process::id())
}

/// Says why a path cannot name an object at such a destination, or nothing where it can.
pub(crate) fn objection(path: &str) -> Option<&'static str> {
    path::objection(path).or_else(|| {
        let first = path.split('/').next();
        (first == Some(FOLDER)).then_some("the folder .tmp is for unfinished writes")
    })
}

#[cfg(test)]
mod tests {
    use super::{FOLDER, name, objection};

    #[test]
    fn no_two_uploads_share_a_name_and_none_is_an_object() {
        let (one, other) = (name(), name());
        assert_ne!(one, other);
        assert!(one.starts_with(FOLDER));
        assert!(objection(&one).is_some());
        assert_eq!(objection("data/.tmp"), None);
    }
}
