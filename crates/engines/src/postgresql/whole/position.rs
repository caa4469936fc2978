//! What a backup of a whole server consists of, and where the next one goes on.

use super::lsn::Lsn;
use serde::{Deserialize, Serialize};

/// One copy of the server's files within a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Base {
    /// Its directory in the backup: `base-000000` for the full one, and so on.
    pub(super) name: String,
    /// From where the log must be replayed over it.
    pub(super) start: Lsn,
    /// Up to where at least, before it is whole.
    pub(super) stop: Lsn,
    /// When the copy was begun by the server's clock, in microseconds since 1970.
    pub(super) begun: i64,
    /// When it was whole: every change before that moment lies before [`Base::stop`].
    pub(super) stopped: i64,
    /// How many files it has, and how many bytes.
    pub(super) size: (u64, u64),
    /// The tablespaces: number, and where they lay.
    pub(super) tablespaces: Vec<(u32, String)>,
}

/// A place in the log that somebody named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RestorePoint {
    /// The name.
    pub(super) name: String,
    /// Where it is.
    pub(super) at: Lsn,
    /// When it was made, in microseconds since 1970.
    pub(super) time: i64,
}

/// What is kept of a backup of a whole server, in its report and in the file `server.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ServerPosition {
    /// The server's version number, such as 150018.
    pub(super) version: u32,
    /// What tells this server from every other one, its copies apart.
    pub(super) system: String,
    /// Which branch of the server's history the log is of.
    pub(super) timeline: u32,
    /// How long each piece of log is, in bytes.
    pub(super) segment_bytes: u64,
    /// The name of the server's first role.
    pub(super) first_role: String,
    /// Settings that a server on a copy must have at least as high: name and value.
    pub(super) settings: Vec<(String, String)>,
    /// The copies of the files, the oldest first.
    pub(super) bases: Vec<Base>,
    /// The first and the last piece of log, by number; every one between them is there.
    pub(super) segments: (u64, u64),
    /// The end of the log.
    pub(super) end: Lsn,
    /// Until when every change is in the log, by the server's clock, in microseconds since 1970.
    pub(super) known_until: i64,
    /// Places in the log with names.
    pub(super) restore_points: Vec<RestorePoint>,
}

impl ServerPosition {
    /// Reads what [`ServerPosition::to_text`] wrote, and nothing else.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text)
            .ok()
            .filter(|read| !read.bases.is_empty() && read.segment_bytes > 0)
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the number of the server's version that its files go by.
    pub(super) const fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// Returns the name of a piece of log.
    pub(super) fn segment_name(&self, number: u64) -> String {
        segment_name(self.timeline, number, self.segment_bytes)
    }

    /// Says which piece of log holds the byte at a place.
    pub(super) const fn segment_of(&self, place: Lsn) -> u64 {
        place.0 / self.segment_bytes
    }
}

/// Names a piece of log as the server does it.
pub(super) fn segment_name(timeline: u32, number: u64, segment_bytes: u64) -> String {
    let in_one = (0x1_0000_0000 / segment_bytes.max(1)).max(1);
    format!("{timeline:08X}{:08X}{:08X}", number / in_one, number % in_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_log_are_named_as_the_server_names_them() {
        let name = |bytes: u64, place: u64| segment_name(1, place / bytes, bytes);
        assert_eq!(name(16 << 20, 0x300_0148), "000000010000000000000003");
        assert_eq!(name(16 << 20, 0x16_B374_D848), "0000000100000016000000B3");
        assert_eq!(name(1 << 20, 0x16_B374_D848), "000000010000001600000B37");
    }

    #[test]
    fn a_position_comes_back_and_that_of_a_dump_is_none() {
        let position = ServerPosition {
            bases: vec![Base { name: "base-000000".to_owned(), start: Lsn(40), ..Base::default() }],
            segment_bytes: 16 << 20,
            ..ServerPosition::default()
        };
        assert_eq!(ServerPosition::from_text(&position.to_text()), Some(position));
        assert_eq!(ServerPosition::from_text("{\"Server\": \"x\", \"Next\": \"7\"}"), None);
    }
}
