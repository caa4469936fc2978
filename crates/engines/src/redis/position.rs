//! Whether a server's data is still what it was at its last backup.
//!
//! Redis counts what was changed since the last save (`rdb_changes_since_last_save`), and counts its saves (since 7.0;
//! before that there is only the second of the last one). As long as the same process has saved as often and counts the
//! same, nothing was written. The replication offset is no such proof: without replicas the server stops counting it.

use super::connection::Connection;
use super::transfer::Begun;
use crate::error::EngineError;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A save less long ago than this could be followed by another within the same second, which nothing would tell apart.
const SETTLED_SECONDS: u64 = 2;

/// What `INFO` says, by its own names.
#[derive(Clone, Debug, Default)]
pub(super) struct Info {
    fields: HashMap<String, String>,
}

impl Info {
    pub(super) fn ask(connection: &mut Connection) -> Result<Self, EngineError> {
        let told = connection.must("asking for INFO", &["INFO"])?.text();
        Ok(Self::read(&told))
    }

    fn read(told: &str) -> Self {
        let pairs = told.lines().filter_map(|line| line.split_once(':'));
        Self { fields: pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect() }
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    /// Returns each database that has keys, with their number.
    pub(super) fn keys(&self) -> Vec<(u64, u64)> {
        self.counts("keys=")
    }

    /// Returns each database that has keys, with the number of those that expire.
    pub(super) fn expiring(&self) -> Vec<(u64, u64)> {
        self.counts("expires=")
    }

    fn counts(&self, what: &str) -> Vec<(u64, u64)> {
        let number = |name: &str| name.strip_prefix("db")?.parse().ok();
        let keys = |value: &str| value.split(',').find_map(|part| part.strip_prefix(what)?.parse().ok());
        let mut found: Vec<_> =
            self.fields.iter().filter_map(|(name, value)| Some((number(name)?, keys(value)?))).collect();
        found.sort_unstable();
        found
    }
}

/// What a server counted when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Position {
    run_id: String,
    role: String,
    last_save: u64,
    saves: Option<u64>,
    changes: u64,
    /// Keys that went without being written: they are not counted as changes.
    expired: u64,
    evicted: u64,
    settled: bool,
}

impl Position {
    /// Takes what `INFO` says; `None` where it lacks something.
    pub(super) fn of(info: &Info) -> Option<Self> {
        let last_save = info.number("rdb_last_save_time")?;
        let now = info.number("server_time_usec").map(|microseconds| microseconds / 1_000_000);
        Some(Self {
            run_id: Some(info.get("run_id")).filter(|id| !id.is_empty())?.to_owned(),
            role: info.get("role").to_owned(),
            last_save,
            saves: info.number("rdb_saves"),
            changes: info.number("rdb_changes_since_last_save")?,
            expired: info.number("expired_keys")?,
            evicted: info.number("evicted_keys")?,
            settled: now.is_some_and(|now| now.saturating_sub(last_save) > SETTLED_SECONDS),
        })
    }

    /// Chooses what the next run is held against, of the looks before and after the data set was sent.
    ///
    /// The look before is always right: whatever was written after it counts as a change. But a server that sends from
    /// its disk saves for it, and so would seem changed at every run. There the look after serves, where the replication
    /// offset, which runs while we are its replica, shows that nothing was written meanwhile.
    pub(super) fn choose(before: &Info, after: &Info, begun: &Begun) -> Option<Self> {
        let is_still_there = after.get("master_replid") == begun.replication_id
            && after.get("repl_backlog_active") == "1"
            && after.number("master_repl_offset") == Some(begun.offset);
        Self::of(if is_still_there { after } else { before })
    }

    /// Says whether it is proved that nothing was written between the two looks.
    pub(super) fn proves_unchanged(&self, now: &Self) -> bool {
        self.role == "master"
            && (self.saves.is_some() || self.settled)
            && Self { settled: self.settled, ..now.clone() } == *self
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(changes: u64, saves: &str, role: &str, now: u64) -> Info {
        Info::read(&format!(
            "# Server\r\nrun_id:abc\r\nserver_time_usec:{now}000000\r\nrdb_last_save_time:100\r\n{saves}\
             rdb_changes_since_last_save:{changes}\r\nexpired_keys:0\r\nevicted_keys:0\r\nrole:{role}\r\n\
             db0:keys=5,expires=1,avg_ttl=0\r\ndb3:keys=1,expires=0\r\nmaster_replid:r\r\n\
             repl_backlog_active:1\r\nmaster_repl_offset:7\r\n"
        ))
    }

    fn position(info: &Info) -> Position {
        Position::of(info).unwrap()
    }

    #[test]
    fn only_a_master_that_counts_the_same_is_unchanged() {
        let same = |a: &Info, b: &Info| position(a).proves_unchanged(&position(b));
        let new = info(5, "rdb_saves:3\r\n", "master", 100);
        assert!(same(&new, &new));
        assert!(!same(&new, &info(6, "rdb_saves:3\r\n", "master", 200)));
        assert!(!same(&new, &info(5, "rdb_saves:4\r\n", "master", 200)));
        let replica = info(5, "rdb_saves:3\r\n", "slave", 100);
        assert!(!same(&replica, &replica));
        // Without a count of saves their second must be well past.
        let (early, late) = (info(5, "", "master", 101), info(5, "", "master", 110));
        assert!(!same(&early, &late));
        assert!(same(&late, &late));
        assert!(
            Position::from_text(&position(&late).to_text().unwrap())
                .unwrap()
                .proves_unchanged(&position(&late))
        );
    }

    #[test]
    fn the_later_look_counts_only_where_the_offset_stood_still() {
        let (before, after) =
            (info(5, "rdb_saves:3\r\n", "master", 1), info(0, "rdb_saves:4\r\n", "master", 2));
        let begun = |offset| Begun { replication_id: "r".to_owned(), offset };
        assert_eq!(Position::choose(&before, &after, &begun(7)), Position::of(&after));
        assert_eq!(Position::choose(&before, &after, &begun(6)), Position::of(&before));
        assert_eq!(before.keys(), [(0, 5), (3, 1)]);
        assert_eq!(before.expiring(), [(0, 1), (3, 0)]);
    }
}
