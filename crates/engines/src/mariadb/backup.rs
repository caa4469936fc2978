//! Backs up one database: a dump, or the log since the last backup beside the dump that is there.

use super::client::Client;
use super::digest::{DumpSums, TABLE};
use super::dump::{Dump, entry};
use super::failure::failed;
use super::inventory::Inventory;
use super::layout::LOG;
use super::log::{Fetched, Group, Refusal, Subject, check_same, fetch};
use super::position::{LogPoint, Position};
use super::replay::copy_groups;
use super::rights::Rights;
use super::{discover, facts::Facts, quote};
use crate::engine::{BackupJob, BackupReport};
use crate::error::EngineError;
use crate::sink::Sink;
use larder_model::task::BackupType;
use larder_model::{BackupKind, Entry, EntryKind, Metadata};
use std::fs::File;

pub(super) fn backup(
    client: &Client,
    database: &str,
    job: &BackupJob<'_>,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    Rights::ask(client)?.require(client, database)?;
    let facts = Facts::ask(client)?;
    let mut messages = Vec::new();
    if job.backup_type == BackupType::Snapshot {
        messages.push("a single database has no snapshot of its files, so it was dumped; the option WholeServer makes the server as a whole a database with snapshots".to_owned());
    }
    let backup = Backup { client, database, job, facts: &facts };
    if job.kind == BackupKind::Incremental {
        match backup.incremental(sink)? {
            Ok(mut report) => {
                report.messages.splice(..0, messages);
                return Ok(report);
            }
            Err(why) => messages.push(format!("this backup is full in itself: {why}")),
        }
    }
    let mut report = backup.full(sink)?;
    report.messages.splice(..0, messages);
    Ok(report)
}

struct Backup<'a> {
    client: &'a Client,
    database: &'a str,
    job: &'a BackupJob<'a>,
    facts: &'a Facts,
}

impl Backup<'_> {
    fn action(&self) -> String {
        format!("backing up {} from {}", self.database, self.client.address.shown())
    }

    fn full(&self, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        let before = Inventory::take(self.client, self.database)?;
        self.refuse_unspeakable(&before)?;
        let mut messages = self.remarks(&before);
        let with_position = match &self.facts.unusable_log {
            None => true,
            Some(why) => {
                messages.push(format!("the next backups are full, too: {why}"));
                false
            }
        };
        let lsn = self.facts.lsn;
        let dump = Dump::new(self.client, self.database, &before, with_position)?;
        let (sums, dumped) = dump.write(sink, self.job.counters)?;
        let after = Inventory::take(self.client, self.database)?;
        if before.digest != after.digest {
            return Err(failed(
                self.action(),
                "a table, view or routine was created, altered or dropped while it was dumped",
                "start the backup again when nobody changes the definitions",
            ));
        }
        let log = match &sums.position {
            Some((file, offset)) if with_position => self.point(file, *offset, &mut messages)?,
            _ => None,
        };
        let position = Position {
            base: log.clone(),
            log,
            lsn,
            definitions: after.digest,
            dumped,
            known_until: dumped,
            segments: Vec::new(),
        };
        Ok(BackupReport { position: position.to_text(), evidence: evidence(&sums), messages })
    }

    /// The vendor's program cannot ask for the events of a database with such a name.
    fn refuse_unspeakable(&self, inventory: &Inventory) -> Result<(), EngineError> {
        if inventory.events.is_empty() || !self.database.contains(['\'', '"', '\\']) {
            return Ok(());
        }
        Err(failed(
            self.action(),
            "mariadb-dump cannot dump the events of a database with a quote or backslash in its name",
            "rename the database, or move its events to another one",
        ))
    }

    fn remarks(&self, inventory: &Inventory) -> Vec<String> {
        let mut remarks = Vec::new();
        let locked = inventory.not_transactional();
        if !locked.is_empty() {
            let named: Vec<_> =
                locked.iter().take(5).map(|table| format!("{} ({})", table.name, table.engine)).collect();
            remarks.push(format!(
                "writing was locked while the tables were dumped, because {} of them cannot be read otherwise without tearing: {}",
                locked.len(),
                named.join(", ")
            ));
        }
        remarks
    }

    /// Notes where the log was, with what tells that place from another one of the same name.
    fn point(
        &self,
        file: &str,
        offset: u64,
        messages: &mut Vec<String>,
    ) -> Result<Option<LogPoint>, EngineError> {
        let sql = format!("SELECT IFNULL(BINLOG_GTID_POS({}, {offset}), '')", quote::text(file));
        let gtid = self.client.value(&self.action(), &sql)?;
        let subject = Subject { database: self.database, others: &[] };
        match fetch(self.client, file, offset, self.job.staging, subject) {
            Ok(fetched) => Ok(fetched.first().map(|first| LogPoint {
                file: file.to_owned(),
                offset,
                gtid,
                begun: first.scan.begun,
                server: self.facts.server,
            })),
            Err(Refusal::Gap(why)) => {
                messages.push(format!("the next backup is full, too: {why}"));
                Ok(None)
            }
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// Adds the log since the last backup; says why it cannot, where it cannot, before anything is written.
    fn incremental(&self, sink: &mut dyn Sink) -> Result<Result<BackupReport, String>, EngineError> {
        let previous = self.job.previous;
        let position = previous.and_then(|report| Position::from_text(report.position.as_deref()?));
        let (Some(previous), Some(position)) = (previous, position) else {
            return Ok(Err("the last backup does not say where the log was".to_owned()));
        };
        let Some(from) = &position.log else {
            return Ok(Err("the last backup does not say where the log was".to_owned()));
        };
        if let Some(why) = &self.facts.unusable_log {
            return Ok(Err(why.clone()));
        }
        let inventory = Inventory::take(self.client, self.database)?;
        if let Some(other) = inventory.depends_on.first() {
            return Ok(Err(format!(
                "foreign keys lead to the database {other}, whose changes change this one without a word in the log"
            )));
        }
        let others = discover::everything(self.client)?;
        let subject = Subject { database: self.database, others: &others };
        let fetched = check_same(self.client, from)
            .and_then(|()| fetch(self.client, &from.file, from.offset, self.job.staging, subject));
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(Refusal::Gap(why)) => return Ok(Err(why)),
            Err(Refusal::Error(error)) => return Err(error),
        };
        if fetched.first().is_none_or(|first| first.scan.begun != from.begun) {
            return Ok(Err(format!("the log {} was begun anew since the last backup", from.file)));
        }
        if let Some(why) = fetched.iter().find_map(|fetched| fetched.scan.unclear.as_ref()) {
            return Ok(Err(format!("the log cannot be replayed for {} alone ({why})", self.database)));
        }
        let Some(last) = fetched.last() else { return Ok(Err("the log is empty".to_owned())) };
        let sql =
            format!("SELECT IFNULL(BINLOG_GTID_POS({}, {}), '')", quote::text(&last.name), last.scan.end);
        let log = LogPoint {
            file: last.name.clone(),
            offset: last.scan.end,
            gtid: self.client.value(&self.action(), &sql)?,
            begun: last.scan.begun,
            server: self.facts.server,
        };
        let Some((segments, new_bytes)) = self.write(sink, &position, &fetched)? else {
            return Ok(Err("the dump of the last backup cannot be taken over".to_owned()));
        };
        let changes: usize = fetched.iter().map(|fetched| fetched.scan.groups.len()).sum();
        let history = (segments.len() as u64, previous.history().1 + new_bytes);
        let position = Position {
            log: Some(log),
            lsn: self.facts.lsn,
            definitions: inventory.digest,
            known_until: self.facts.now,
            segments,
            ..position
        };
        let mut report = BackupReport {
            position: position.to_text(),
            evidence: previous.evidence.clone(),
            messages: vec![format!(
                "{} of the log since the last backup concern it",
                crate::words::count(changes as u64, "transaction", "transactions")
            )],
        };
        // The next full backup has none of the log, and is not small for that.
        report.note_history(history);
        Ok(Ok(report))
    }

    /// Takes over what is there and adds the new pieces; returns the names of all, and how many bytes the new ones have. `None` where
    /// there is nothing to take over.
    fn write(
        &self,
        sink: &mut dyn Sink,
        position: &Position,
        fetched: &[Fetched],
    ) -> Result<Option<(Vec<String>, u64)>, EngineError> {
        use super::dump::{CODE, DATABASE, TABLES, VIEWS};
        let lost =
            |name: &str| failed(self.action(), format!("the last backup lacks {name}"), "make a full backup");
        if !sink.carry(DATABASE.as_bytes())? {
            return Ok(None);
        }
        for name in [TABLES, CODE] {
            if !sink.carry(name.as_bytes())? {
                return Err(lost(name));
            }
        }
        sink.carry(VIEWS.as_bytes())?;
        let (mut segments, mut new_bytes) = (position.segments.clone(), 0);
        let new: Vec<&Fetched> = fetched.iter().filter(|fetched| !fetched.scan.groups.is_empty()).collect();
        if segments.is_empty() && new.is_empty() {
            return Ok(Some((segments, new_bytes)));
        }
        let metadata = Metadata { mode: 0o700, links: 1, ..Metadata::default() };
        sink.enter(Entry { name: LOG.into(), kind: EntryKind::Directory, metadata })?;
        for name in &segments {
            if !sink.carry(name.as_bytes())? {
                return Err(lost(name));
            }
        }
        for fetched in new {
            let name = format!("{:06}-{}", segments.len() + 1, fetched.name);
            let cut = self.job.staging.join("cut");
            let groups: Vec<&Group> = fetched.scan.groups.iter().collect();
            let copied = copy_groups(&fetched.path, &cut, fetched.scan.head, &groups)
                .and_then(|length| Ok((length, File::open(&cut)?)));
            let (length, mut file) = copied.map_err(|error| {
                failed(
                    self.action(),
                    error.to_string(),
                    "free space on the volume of Larder's data directory",
                )
            })?;
            if sink.stream(entry(&name), &mut file, None)? != length {
                return Err(failed(
                    self.action(),
                    format!("not all of {name} was taken"),
                    "start the backup again",
                ));
            }
            segments.push(name);
            new_bytes += length;
        }
        sink.leave()?;
        Ok(Some((segments, new_bytes)))
    }
}

/// Writes what a copy is to be held against.
fn evidence(sums: &DumpSums) -> Vec<(String, String)> {
    let number = ("tables".to_owned(), sums.tables.len().to_string());
    let tables = sums.tables.iter().map(|(name, sum)| (format!("{TABLE}{name}"), sum.to_text()));
    std::iter::once(number).chain(tables).collect()
}
