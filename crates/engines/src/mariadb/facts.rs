//! What a server says of itself.

use super::client::Client;
use super::failure;
use super::rights::Rights;
use crate::error::EngineError;

/// A server, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its number.
    pub(super) server: u32,
    /// How far its engine has written.
    pub(super) lsn: Option<u64>,
    /// Its clock, in seconds since 1970.
    pub(super) now: i64,
    /// Where its log goes on: file and offset; `None` where there is none, or the user may not know.
    pub(super) log: Option<(String, u64)>,
    /// Why its log is no ground for incrementals; `None` where it is.
    pub(super) unusable_log: Option<String>,
}

impl Facts {
    pub(super) fn ask(client: &Client) -> Result<Self, EngineError> {
        let action = format!("asking {} what it is", client.address.shown());
        // Servers other than MariaDB do not know all of these; they are asked one by one.
        let rows = client.ask(&action, "SELECT VERSION(), @@server_id, @@log_bin, UNIX_TIMESTAMP()")?;
        let row = rows.first().map(Vec::as_slice).unwrap_or_default();
        let field = |place: usize| row.get(place).map(String::as_str).unwrap_or_default();
        let mut facts = Self {
            server: field(1).parse().unwrap_or_default(),
            now: field(3).split('.').next().and_then(|now| now.parse().ok()).unwrap_or_default(),
            lsn: client
                .try_ask("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'")
                .ok()
                .and_then(|rows| rows.first()?.get(1)?.parse().ok()),
            ..Self::default()
        };
        if field(2) != "1" {
            facts.unusable_log = Some("the server keeps no binary log (log_bin)".to_owned());
        } else if !field(0).contains("MariaDB") {
            facts.unusable_log = Some("only the log of MariaDB servers is understood".to_owned());
        } else {
            facts.look_at_log(client, &action)?;
        }
        Ok(facts)
    }

    fn look_at_log(&mut self, client: &Client, action: &str) -> Result<(), EngineError> {
        let status = match client.try_ask("SHOW MASTER STATUS") {
            Ok(status) => status,
            Err(failure) if failure::code(&failure.said) == Some(1227) => {
                self.unusable_log = Some(
                    "the user may not see the binary log (GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.*)"
                        .to_owned(),
                );
                return Ok(());
            }
            Err(failure) => return Err(failure::explain(failure, action, &client.address)),
        };
        let row = status.first().map(Vec::as_slice).unwrap_or_default();
        let field = |place: usize| row.get(place).map(String::as_str).unwrap_or_default();
        self.log = field(1).parse().ok().map(|offset| (field(0).to_owned(), offset));
        if !(field(2).is_empty() && field(3).is_empty()) {
            self.unusable_log =
                Some("the binary log leaves databases out (binlog_do_db, binlog_ignore_db)".to_owned());
        } else if self.is_silent_replica(client, action)? {
            self.unusable_log = Some(
                "the server is a replica and does not log what it replays (log_slave_updates)".to_owned(),
            );
        } else if !Rights::ask(client)?.may_read_log() {
            self.unusable_log =
                Some("the user may not read the binary log (GRANT REPLICATION SLAVE ON *.*)".to_owned());
        }
        Ok(())
    }

    fn is_silent_replica(&self, client: &Client, action: &str) -> Result<bool, EngineError> {
        let sql = "SELECT @@log_slave_updates = 0 AND @@gtid_slave_pos <> ''";
        Ok(client.value(action, sql)? == "1")
    }
}
