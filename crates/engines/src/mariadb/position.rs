//! Where the next backup goes on, and what this one consists of.

use serde::{Deserialize, Serialize};

/// A place in the server's log of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LogPoint {
    /// The file of the log.
    pub(super) file: String,
    /// The offset in it, in bytes: what lies before is in the backup.
    pub(super) offset: u64,
    /// The same place in the server's other way of counting; another log has another one there.
    pub(super) gtid: String,
    /// When that file of the log was begun, in seconds since 1970: a log begun anew has another moment there.
    pub(super) begun: u32,
    /// The number of the server.
    pub(super) server: u32,
}

/// What the engine keeps of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Position {
    /// Where the log was; `None` where the server keeps none, or it cannot be read.
    pub(super) log: Option<LogPoint>,
    /// Where it was when the dump was made.
    pub(super) base: Option<LogPoint>,
    /// How far the server's engine had written before the backup began.
    pub(super) lsn: Option<u64>,
    /// What the definitions were.
    pub(super) definitions: String,
    /// When the dump was begun by the server's clock, in seconds since 1970.
    pub(super) dumped: i64,
    /// Until when the backup knows of all changes, by the same clock.
    pub(super) known_until: i64,
    /// The pieces of log to be replayed after it, in this order.
    pub(super) segments: Vec<String>,
}

impl Position {
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}
