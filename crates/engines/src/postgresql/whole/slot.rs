//! What has the server keep its log until the next backup took it: a replication slot.
//!
//! A slot only keeps; that nothing is missing is seen by the log itself.

use super::lsn::Lsn;
use crate::error::EngineError;
use crate::postgresql::login::literal;
use crate::postgresql::session::Session;
use crate::words::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How all of Larder's slots begin.
const PREFIX: &str = "larder_";

/// How many letters of what a chain is called are in the name of its slot.
const SHOWN: usize = 30;

/// The slot of one chain of backups.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) name: String,
}

#[derive(Deserialize)]
struct State {
    from: Option<String>,
    is_lost: bool,
}

impl Slot {
    /// Names the slot of a chain; there is none where nothing goes on from a backup.
    pub(super) fn of(chain: &str) -> Option<Self> {
        if chain.is_empty() {
            return None;
        }
        // Names are of small letters, digits and underscores, and 63 bytes long at the most.
        let plain =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        let shown: String = chain.chars().take(SHOWN).map(plain).collect();
        let hash = hex(&Sha256::digest(chain.as_bytes()));
        Some(Self { name: format!("{PREFIX}{shown}_{}", hash.get(..16).unwrap_or_default()) })
    }

    fn state(&self, session: &mut Session) -> Result<Option<State>, EngineError> {
        let name = literal(&self.name);
        // Before version 13 nothing is ever lost, and nobody says so.
        let answer = session.ask(&format!(
            "SELECT coalesce((SELECT jsonb_build_object('from', restart_lsn::text,
                'is_lost', coalesce(to_jsonb(s) ->> 'wal_status' = 'lost', false))
                FROM pg_catalog.pg_replication_slots s WHERE slot_name = {name}), 'null')"
        ))?;
        Ok(serde_json::from_value(answer).unwrap_or_default())
    }

    /// Makes the slot where it is not there, anew where it was lost. Says what a person should know.
    pub(super) fn keep(&self, session: &mut Session) -> Result<Option<String>, EngineError> {
        let state = self.state(session)?;
        if let Some(State { from: Some(_), is_lost: false }) = state {
            return Ok(None);
        }
        let name = literal(&self.name);
        let lost = state.map(|_| {
            format!(
                "the replication slot {} was lost: the server had to keep more log for it than max_slot_wal_keep_size allows, and it was made anew",
                self.name
            )
        });
        if lost.is_some() {
            self.remove(session)?;
        }
        session.ask(&format!(
            "SELECT to_jsonb(slot_name::text) FROM pg_create_physical_replication_slot({name}, true)"
        ))?;
        Ok(lost)
    }

    /// Lets the server remove the log before a place, which is in a good backup.
    pub(super) fn advance(&self, session: &mut Session, to: Lsn) -> Result<(), EngineError> {
        let is_behind = |state: &State| {
            state.from.as_ref().and_then(|from| from.parse().ok()).is_some_and(|from: Lsn| from < to)
        };
        if self.state(session)?.filter(is_behind).is_none() {
            return Ok(());
        }
        let (name, to) = (literal(&self.name), literal(&to.to_string()));
        let query =
            format!("SELECT to_jsonb(end_lsn::text) FROM pg_replication_slot_advance({name}, {to}::pg_lsn)");
        session.ask(&query).map(drop)
    }

    /// Removes the slot, where it is there.
    pub(super) fn remove(&self, session: &mut Session) -> Result<(), EngineError> {
        let name = literal(&self.name);
        let query = format!(
            "SELECT to_jsonb(coalesce((SELECT pg_drop_replication_slot(slot_name)::text
                FROM pg_catalog.pg_replication_slots WHERE slot_name = {name}), ''))"
        );
        session.ask(&query).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;

    #[test]
    fn slots_have_names_that_servers_take_and_chains_do_not_share_them() {
        let name = |chain| Slot::of(chain).map(|slot| slot.name).unwrap_or_default();
        let (one, other) = (name("Büro/17/main.server"), name("Büro/18/main.server"));
        assert_ne!(one, other);
        assert!(one.starts_with("larder_b_ro_17_main_server_"), "{one}");
        let long = name(&"x".repeat(200));
        assert!(long.len() <= 63, "{long}");
        assert!(long.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(Slot::of("").is_none());
    }
}
