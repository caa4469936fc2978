//! The table that a quickstart ends with.

use crate::exit::{Exit, Failure};
use crate::host::Host;
use crate::show::operation::{is_incomplete, seconds};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_model::{EngineKind, Operation, OperationStatus, human};
use larder_service::NextRun;
use serde::Serialize;
use serde_json::json;

/// How many coming runs are shown.
const NEXT_RUNS: usize = 5;

/// How one database fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Outcome {
    /// Backed up, restored into scratch, and found equal.
    Verified,
    /// Kept, but something could not be read.
    Incomplete,
    /// Backed up, but it could not be restored, or what came back was not equal.
    Unproved,
    /// Not backed up.
    Failed,
}

/// One database in the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Row {
    database: String,
    engine: EngineKind,
    kind: String,
    unchanged: bool,
    read_bytes: u64,
    stored_bytes: u64,
    seconds: f64,
    outcome: Outcome,
    verified: bool,
    reason: Option<String>,
}

impl Row {
    pub(crate) fn new(engine: EngineKind, backup: &Operation, proof: Option<&Operation>) -> Self {
        let proved = proof.is_some_and(|proof| proof.status == OperationStatus::Completed);
        let outcome = match backup.status {
            OperationStatus::Completed if proved => Outcome::Verified,
            OperationStatus::Completed => Outcome::Unproved,
            _ if is_incomplete(backup) => Outcome::Incomplete,
            _ => Outcome::Failed,
        };
        let said = match outcome {
            Outcome::Verified => None,
            Outcome::Unproved => Some(proof.and_then(|proof| proof.error.clone())),
            Outcome::Incomplete | Outcome::Failed => Some(backup.error.clone()),
        };
        Self {
            database: backup.database.to_string(),
            engine,
            kind: backup.backup_kind.map_or_else(String::new, |kind| kind.to_string()),
            unchanged: backup.unchanged,
            read_bytes: backup.progress.bytes_read,
            stored_bytes: backup.progress.bytes_stored,
            seconds: seconds(backup),
            outcome,
            verified: outcome == Outcome::Verified,
            reason: said.map(|reason| reason.unwrap_or_else(|| "it was aborted; start it again".to_owned())),
        }
    }
}

/// Everything a quickstart found out.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<Row>,
    unsearched: Vec<String>,
}

impl Report {
    pub(crate) const fn new(rows: Vec<Row>, unsearched: Vec<String>) -> Self {
        Self { rows, unsearched }
    }

    /// Returns how the program ends: well only where every row is verified and every place was searched.
    pub(crate) fn exit(&self) -> Exit {
        let each = self.rows.iter().map(|row| match row.outcome {
            Outcome::Verified => Exit::Done,
            Outcome::Incomplete => Exit::Incomplete,
            Outcome::Unproved | Outcome::Failed => Exit::Failed,
        });
        let all_searched = if self.unsearched.is_empty() { Exit::Done } else { Exit::Incomplete };
        each.fold(all_searched, Exit::worse)
    }

    /// Prints the table, the next runs, and where the key is.
    pub(crate) fn show(&self, host: &Host, screen: &Screen) -> Result<(), Failure> {
        let next = host.service.next_runs(None, NEXT_RUNS)?;
        let key = host.data.key();
        screen.line(&format!("\n{}", self.table()));
        for row in &self.rows {
            if let Some(reason) = &row.reason {
                screen.line(&format!("\n{} is not verified: {reason}", row.database));
            }
        }
        for reason in &self.unsearched {
            screen.line(&format!("\nNot every place was searched for databases: {reason}"));
        }
        screen.line(&format!("\nNext runs (zone {}):\n{}", zone_name(host), runs(&next, host)));
        screen.line(&format!(
            "\nThe key to every backup is {}.\nWithout it nothing can be restored: keep a copy of it somewhere else.",
            key.display()
        ));
        screen.value(&json!({
            "Databases": self.rows, "Unsearched": self.unsearched, "NextRuns": next, "KeyFile": key, "Destination": host.data.backups(),
        }))
    }

    fn table(&self) -> Table {
        let mut table =
            Table::new(&["database", "engine", "kind", ">read", ">stored", ">seconds", "verified"]);
        for row in &self.rows {
            table.row([
                row.database.clone(),
                row.engine.to_string(),
                if row.unchanged { "unchanged".to_owned() } else { row.kind.clone() },
                human::size(row.read_bytes),
                human::size(row.stored_bytes),
                format!("{:.1}", row.seconds),
                match row.outcome {
                    Outcome::Verified => "verified",
                    Outcome::Incomplete => "no, incomplete",
                    Outcome::Unproved => "no, not proved",
                    Outcome::Failed => "no, failed",
                }
                .to_owned(),
            ]);
        }
        table
    }
}

fn zone_name(host: &Host) -> String {
    host.zone.iana_name().unwrap_or("of this machine").to_owned()
}

fn runs(next: &[NextRun], host: &Host) -> Table {
    let mut table = Table::new(&["when", "local time", "database", "kind"]);
    let now = host.clock.now();
    for run in next {
        table.row([
            human::relative(run.time, now),
            human::local(run.time, &host.zone),
            run.database.to_string(),
            run.kind.to_string(),
        ]);
    }
    table
}
