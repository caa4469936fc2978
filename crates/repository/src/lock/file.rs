//! The JSON of a lock object, and whether a lock still counts.

use super::process::{Life, Origin, hostname, life, username};
use crate::snapshot::time_text;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A lock that was not renewed for so long counts no more, by restic's rule.
pub(super) const STALE_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// What an object below `locks/` holds; fields in restic's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LockFile {
    pub(super) time: String,
    #[serde(default)]
    pub(super) exclusive: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    pid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    gid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    larder: Option<Origin>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl LockFile {
    /// Returns the lock of this process.
    pub(super) fn own(exclusive: bool, token: &str, now: Timestamp) -> Self {
        Self {
            time: time_text(now, Offset::UTC),
            exclusive,
            hostname: hostname(),
            username: username(),
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            larder: Some(Origin::own(token.to_owned())),
        }
    }

    /// Says whether the lock counts no more: not renewed for too long, or its process is known to have ended.
    /// `is_held` says of a token whether this process holds that lock.
    pub(super) fn is_stale(&self, now: Timestamp, is_held: impl FnOnce(&str) -> bool) -> bool {
        let Ok(time) = self.time.parse::<Timestamp>() else { return false };
        if now.duration_since(time) > STALE_AFTER {
            return true;
        }
        if self.hostname != hostname() {
            return false;
        }
        match life(self.pid, self.larder.as_ref(), time) {
            Life::Gone => true,
            Life::Own => self.larder.as_ref().is_some_and(|origin| !is_held(&origin.token)),
            Life::Unknown => false,
        }
    }

    /// Names the holder in words.
    pub(super) fn holder(&self, now: Timestamp) -> String {
        let kind = if self.exclusive { "exclusively" } else { "for use" };
        let time = self.time.parse::<Timestamp>().unwrap_or(now);
        let seconds = now.duration_since(time).as_secs().max(0);
        format!("process {} on {} ({kind}, last renewed {seconds} s ago)", self.pid, self.hostname)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> (LockFile, Timestamp) {
        let now: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        (LockFile::own(true, "token", now), now)
    }

    fn later(now: Timestamp, minutes: i64) -> Timestamp {
        now.checked_add(SignedDuration::from_mins(minutes)).unwrap()
    }

    #[test]
    fn a_lock_counts_for_thirty_minutes() {
        let (mut lock, now) = lock();
        lock.hostname = "elsewhere".to_owned();
        assert!(!lock.is_stale(later(now, 30), |_| false));
        assert!(lock.is_stale(later(now, 31), |_| false));
        assert!(!lock.is_stale(later(now, -500), |_| false));
    }

    #[test]
    fn a_lock_that_this_process_let_go_counts_no_more() {
        let (lock, now) = lock();
        assert!(!lock.is_stale(now, |token| token == "token"));
        assert!(lock.is_stale(now, |_| false));
    }

    #[test]
    fn json_of_restic_is_read_and_ours_has_the_same_fields() {
        let json = r#"{"time":"2026-05-01T12:00:00.5+02:00","exclusive":true,"hostname":"h","username":"u","pid":77,"uid":5,"gid":6}"#;
        let lock: LockFile = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&lock).unwrap(), json);
        let holder = lock.holder("2026-05-01T10:02:00.5Z".parse().unwrap());
        assert_eq!(holder, "process 77 on h (exclusively, last renewed 120 s ago)");
    }
}
