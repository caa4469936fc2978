//! What a server is, as far as a copy of its files has to know.

use super::lsn::Lsn;
use super::position::ServerPosition;
use crate::error::EngineError;
use crate::postgresql::failure::odd;
use crate::postgresql::session::Session;
use serde::Deserialize;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How many seconds may lie between a server's process and its first word.
const STARTING_SECONDS: i64 = 120;

/// What a server says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Facts {
    pub(super) version: u32,
    pub(super) system: String,
    pub(super) timeline: u32,
    pub(super) is_standby: bool,
    pub(super) data_directory: PathBuf,
    pub(super) port: String,
    /// When it was started, in seconds since 1970.
    pub(super) started: i64,
    pub(super) segment_bytes: u64,
    pub(super) page_bytes: usize,
    pub(super) relation_bytes: u64,
    pub(super) log_page_bytes: usize,
    pub(super) has_checksums: bool,
    pub(super) log_level: String,
    /// How much of the log it keeps for slots at the most, as it writes it; `-1` for all.
    pub(super) most_kept: Option<String>,
    pub(super) first_role: String,
    /// Where its other files of settings lie.
    pub(super) configuration: Option<PathBuf>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) tablespaces: Vec<(u32, String)>,
}

const FACTS: &str = "SELECT jsonb_build_object(
    'version', current_setting('server_version_num')::int,
    'system', (SELECT system_identifier::text FROM pg_control_system()),
    'timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
    'is_standby', pg_is_in_recovery(),
    'data_directory', current_setting('data_directory'),
    'port', current_setting('port'),
    'started', extract(epoch FROM pg_postmaster_start_time())::bigint,
    'segment_bytes', pg_size_bytes(current_setting('wal_segment_size')),
    'page_bytes', current_setting('block_size')::int,
    'relation_bytes', pg_size_bytes(current_setting('segment_size')),
    'log_page_bytes', current_setting('wal_block_size')::int,
    'has_checksums', current_setting('data_checksums') = 'on',
    'log_level', current_setting('wal_level'),
    'most_kept', current_setting('max_slot_wal_keep_size', true),
    'first_role', pg_get_userbyid(10),
    'configuration', current_setting('config_file'),
    'settings', (SELECT jsonb_agg(jsonb_build_array(n, current_setting(n)) ORDER BY n) FROM unnest(ARRAY[
        'max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
        'max_locks_per_transaction']) AS n),
    'tablespaces', (SELECT coalesce(jsonb_agg(jsonb_build_array(oid::bigint, pg_tablespace_location(oid)) ORDER BY oid), '[]')
        FROM pg_catalog.pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%'))";

const NOW: &str = "SELECT to_jsonb((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)";

impl Facts {
    /// Asks a server.
    pub(super) fn ask(session: &mut Session, address: &str) -> Result<Self, EngineError> {
        let answer = session.ask(FACTS)?;
        let facts: Self = serde_json::from_value(answer)
            .map_err(|error| odd(format!("asking {address} what it is"), error.to_string()))?;
        let refused = |cause: String, remedy: &str| {
            Err(EngineError::Failed {
                action: format!("copying the files of {address}"),
                cause,
                remedy: remedy.to_owned(),
            })
        };
        if facts.is_standby {
            return refused(
                "it follows another server".to_owned(),
                "make the server that it follows the source: only that one can end a piece of log",
            );
        }
        if facts.log_level == "minimal" {
            return refused(
                "its log lacks what a copy needs (wal_level is minimal)".to_owned(),
                "set wal_level to replica and start the server again",
            );
        }
        if facts.log_page_bytes != super::log::PAGE_BYTES
            || facts.page_bytes < 512
            || !facts.page_bytes.is_power_of_two()
            || facts.segment_bytes < 1 << 20
        {
            return refused(
                format!("it was built with pages of {} and {} bytes", facts.page_bytes, facts.log_page_bytes),
                "back up its databases one by one",
            );
        }
        Ok(facts)
    }

    /// Returns the major version.
    pub(super) const fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// Says why the server's files cannot be read where Larder runs; nothing where they can.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let data = &self.data_directory;
        let pid = match fs::read_to_string(data.join("postmaster.pid")) {
            Ok(pid) => pid,
            Err(error) => return Some(format!("{}: {}", data.display(), crate::words::plain(error))),
        };
        let mut lines = pid.lines().skip(1).map(str::trim);
        let (_, started, port) = (lines.next(), lines.next(), lines.next());
        let is_near = started
            .and_then(|text| text.parse::<i64>().ok())
            .is_some_and(|started| (self.started - started).abs() <= STARTING_SECONDS);
        let mut system = [0; 8];
        let control = fs::File::open(data.join("global/pg_control"));
        if let Err(error) = control.and_then(|mut control| control.read_exact(&mut system)) {
            return Some(format!("{}: {}", data.display(), crate::words::plain(error)));
        }
        let is_same = u64::from_ne_bytes(system).to_string() == self.system;
        // A copy, or the files of another host at the same path.
        (!is_same || !is_near || port != Some(&self.port))
            .then(|| format!("{} here is another server's", data.display()))
    }

    /// Makes the beginning of a position.
    pub(super) fn position(&self) -> ServerPosition {
        ServerPosition {
            version: self.version,
            system: self.system.clone(),
            timeline: self.timeline,
            segment_bytes: self.segment_bytes,
            first_role: self.first_role.clone(),
            settings: self.settings.clone(),
            ..ServerPosition::default()
        }
    }

    /// Says whether a server's files of settings lie outside its data, as Debian has it.
    pub(super) fn outside(&self) -> Option<&Path> {
        let directory = self.configuration.as_deref()?.parent()?;
        (!directory.starts_with(&self.data_directory)).then_some(directory)
    }
}

/// Asks for the server's clock, in microseconds since 1970.
pub(super) fn now(session: &mut Session) -> Result<i64, EngineError> {
    session.ask(NOW)?.as_i64().ok_or_else(|| odd("asking for the time", "the server does not say it"))
}

/// Reads a place in the log out of an answer.
pub(super) fn place(answer: &serde_json::Value) -> Result<Lsn, EngineError> {
    let place = answer.as_str().and_then(|text| text.parse().ok());
    place.ok_or_else(|| odd("asking for a place in the log", format!("the answer is '{answer}'")))
}
