//! A server's memory as after years: many databases, each with many backups, written straight into the state.

use jiff::{SignedDuration, Timestamp};
use larder_model::operation::{DestinationOutcome, Progress};
use larder_model::task::DestinationKind;
use larder_model::{
    BackupId, BackupKind, DatabaseName, EngineKind, Operation, OperationKind, OperationStatus,
};
use larder_state::{Commit, State, Transaction, Write};
use serde_json::json;

/// How many values one transaction writes.
const AT_ONCE: usize = 20_000;
/// One backup of so many failed.
const FAILS_EVERY: u64 = 97;
/// The backups of a database lie so far apart.
const APART: SignedDuration = SignedDuration::from_hours(1);

/// What a server shall remember.
#[derive(Clone, Debug)]
pub struct SeededHistory {
    /// The databases, which the state knows already.
    pub databases: Vec<DatabaseName>,
    /// How many backups each of them has had.
    pub backups: u64,
    /// When the last ones ended; the others lie an hour apart before it.
    pub newest: Timestamp,
    /// The name of the server-wide task that made them.
    pub task: String,
    /// The directory that they were written to.
    pub root: String,
}

impl SeededHistory {
    /// Writes operations and what is remembered of the task. No server may run on the state.
    ///
    /// The task must be stored; it is the only one.
    pub async fn write(&self, state: &dyn State) {
        let tasks = state.range("task/").await.unwrap();
        let (key, _) = tasks.first().expect("the task is stored");
        let uid: u64 = key.trim_start_matches("task/").parse().expect("the key of a task is its number");
        let mut writes = Vec::new();
        let mut id = 0;
        for round in 0..self.backups {
            let back = i32::try_from(self.backups - 1 - round).expect("few backups");
            let ended = self.newest.checked_sub(APART.saturating_mul(back)).expect("a moment");
            for (number, database) in self.databases.iter().enumerate() {
                id += 1;
                let operation = self.operation(id, round, number as u64, database, ended, uid);
                if round + 1 == self.backups {
                    writes.push(put(format!("status/{database}/{uid}"), &self.status(&operation)));
                    let place = format!("place/{database}{}", self.root);
                    writes.push(put(place, &json!({ "Database": database, "Root": self.root })));
                }
                writes.push(put(format!("operation/{id:020}"), &operation));
                if writes.len() >= AT_ONCE {
                    commit(state, std::mem::take(&mut writes)).await;
                }
            }
        }
        writes.push(put("counter/operation".to_owned(), &id));
        commit(state, writes).await;
    }

    fn operation(
        &self,
        id: u64,
        round: u64,
        number: u64,
        database: &DatabaseName,
        ended: Timestamp,
        uid: u64,
    ) -> Operation {
        let failed = id.is_multiple_of(FAILS_EVERY) && round + 1 < self.backups;
        let kind = if round.is_multiple_of(24) { BackupKind::Full } else { BackupKind::Incremental };
        let stored = 4096 + (id * 7919) % (3 << 20);
        let began = ended - SignedDuration::from_secs(5 + (number % 60).cast_signed());
        let why = "the disk is full: 0 bytes are left on /srv; free some, or write to another directory";
        Operation {
            id,
            kind: OperationKind::Backup,
            backup_kind: Some(kind),
            database: database.clone(),
            engine: Some(EngineKind::Sqlite),
            task: Some(format!("Server Wide Backup, {}", self.task)),
            task_uid: Some(uid),
            status: if failed { OperationStatus::Faulted } else { OperationStatus::Completed },
            created: began,
            started: Some(began),
            ended: Some(ended),
            progress: Progress {
                bytes_done: 64 << 20,
                bytes_total: 64 << 20,
                bytes_read: stored * 3,
                bytes_stored: stored,
                items_done: 1,
                items_total: 1,
                current: format!("{database}.db"),
                ..Progress::default()
            },
            messages: vec![format!("copied {database}.db of 64.0 MiB, checked and compared")],
            error: failed.then(|| why.to_owned()),
            unchanged: false,
            destinations: vec![DestinationOutcome {
                destination: "Local".to_owned(),
                kind: Some(DestinationKind::Local),
                address: Some(format!("{}/{database}", self.root)),
                backup: (!failed)
                    .then(|| BackupId(format!("{:064x}", u128::from(id) * 0x9E37_79B9_7F4A_7C15))),
                bytes_stored: if failed { 0 } else { stored },
                error: failed.then(|| why.to_owned()),
            }],
        }
    }

    /// What is remembered of the task for the database of its last operation.
    fn status(&self, last: &Operation) -> serde_json::Value {
        let begun = last.started;
        let outcome = last.destinations.first();
        json!({
            "Version": self.backups,
            "IsFull": false,
            "LastFullBackup": begun, "LastFullAttempt": begun,
            "LastIncrementalBackup": begun, "LastIncrementalAttempt": begun,
            "LastOperation": last.id,
            "DurationMs": 5000,
            "Folder": last.database,
            "IsEncrypted": true,
            "LastGood": {
                "Time": begun, "Kind": "Incremental", "Quality": "Good", "Operation": last.id,
                "Id": outcome.and_then(|outcome| outcome.backup.as_ref()),
            },
            "Destinations": [{
                "Name": "Local", "Kind": "Local", "BytesStored": last.progress.bytes_stored,
                "Address": outcome.and_then(|outcome| outcome.address.as_ref()),
                "LastFullBackup": begun, "LastIncrementalBackup": begun,
            }],
        })
    }
}

fn put(key: String, value: &impl serde::Serialize) -> Write {
    Write::Put(key, serde_json::to_vec(value).expect("it can be written as JSON"))
}

async fn commit(state: &dyn State, writes: Vec<Write>) {
    let done = state.commit(Transaction { conditions: Vec::new(), writes }).await.unwrap();
    assert!(matches!(done, Commit::Done(_)));
}
