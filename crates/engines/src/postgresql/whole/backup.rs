//! Copies a whole server: its files while it runs, and the log that makes the copy whole.

use super::facts::{self, Facts};
use super::lsn::Lsn;
use super::position::{Base, ServerPosition};
use super::slot::Slot;
use super::{LOG, SERVER, evidence, failed};
use crate::engine::{BackupJob, BackupReport};
use crate::error::EngineError;
use crate::postgresql::backup::file;
use crate::postgresql::login::Login;
use crate::postgresql::session::Session;
use crate::sink::Sink;
use crate::tool::Tools;
use larder_model::{BackupKind, Entry, EntryKind, Metadata};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many copies of the files are kept beside each other: the full one, from which every moment can be reached; the one
/// before, from which those since then are reached sooner; and this one.
const MOST_KEPT: usize = 2;

/// The names of the functions that begin and end a copy, by version.
const RENAMED_IN: u32 = 15;

pub(in crate::postgresql) fn backup(
    tools: &Tools,
    job: &BackupJob<'_>,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    let login = Login::of(job.source)?;
    let mut session = Session::open(tools, &login, login.maintenance(), job.cancel)?;
    let facts = Facts::ask(&mut session, &login.address)?;
    if facts.major() >= 14 {
        session.run("SET idle_session_timeout = 0")?;
    }
    let mut messages = Vec::new();
    let previous = previous(job, &facts, &mut messages);
    let mut copy = Copy { tools, login: &login, job, facts: &facts, session, messages };
    let previous = copy.prepare(previous)?;
    copy.write(sink, previous)
}

/// Reads the position that an incremental goes on from, and says why where it cannot.
fn previous(job: &BackupJob<'_>, facts: &Facts, messages: &mut Vec<String>) -> Option<ServerPosition> {
    if job.kind == BackupKind::Full {
        return None;
    }
    let read = job.previous.and_then(|report| ServerPosition::from_text(report.position.as_deref()?));
    let why = match &read {
        None => "the last backup does not say how far it came",
        Some(read) if read.system != facts.system => "the server was made anew since the last backup",
        Some(read) if read.timeline != facts.timeline => {
            "the server was brought back to an earlier moment, or took over from another one"
        }
        Some(read) if read.segment_bytes != facts.segment_bytes || read.major() != facts.major() => {
            "the server's files have another form now"
        }
        Some(_) => return read,
    };
    messages.push(format!("this backup is full in itself: {why}"));
    None
}

/// One backup of one server.
pub(super) struct Copy<'a> {
    pub(super) tools: &'a Tools,
    pub(super) login: &'a Login,
    pub(super) job: &'a BackupJob<'a>,
    pub(super) facts: &'a Facts,
    pub(super) session: Session,
    pub(super) messages: Vec<String>,
}

impl Copy<'_> {
    pub(super) fn action(&self) -> String {
        format!("copying the files of {}", self.login.address)
    }

    /// Has the server keep its log, and finds out whether all since the last backup is there. Where it is not, the backup is
    /// full in itself.
    fn prepare(&mut self, previous: Option<ServerPosition>) -> Result<Option<ServerPosition>, EngineError> {
        let lost = match Slot::of(self.job.chain) {
            Some(slot) => {
                let lost = slot.keep(&mut self.session)?;
                if lost.is_none()
                    && let Some(previous) = &previous
                {
                    // The last backup is a good one, so what it holds is needed no more.
                    let next = (previous.segments.1 + 1) * previous.segment_bytes;
                    slot.advance(&mut self.session, Lsn(next))?;
                }
                if self.facts.most_kept.as_deref() == Some("-1") {
                    self.messages.push(format!(
                        "the server keeps its log for the replication slot {} without bound, so a Larder that does not run any more fills its disk: set max_slot_wal_keep_size, and drop the slot when the task goes",
                        slot.name
                    ));
                }
                lost
            }
            None => {
                let name = format!("larder_{}", std::process::id());
                self.session.ask(&format!(
                    "SELECT to_jsonb(slot_name::text) FROM pg_create_physical_replication_slot('{name}', true, true)"
                ))?;
                None
            }
        };
        let Some(previous) = previous else {
            self.messages.extend(lost);
            return Ok(None);
        };
        let gap = match self.facts.elsewhere() {
            None => self.gap(&previous)?,
            // What cannot be fetched is seen when it is fetched.
            Some(_) => None,
        };
        let Some(gap) = gap else {
            self.messages.extend(lost);
            return Ok(Some(previous));
        };
        let why = lost.unwrap_or(gap);
        self.messages.push(format!(
            "this backup is full in itself: {why}; no moment between the last backup and this one can be restored"
        ));
        Ok(None)
    }

    /// Writes everything: the copies that are kept, the new one, and the log.
    fn write(
        mut self,
        sink: &mut dyn Sink,
        previous: Option<ServerPosition>,
    ) -> Result<BackupReport, EngineError> {
        let mut position = self.facts.position();
        let number = match &previous {
            None => 0,
            Some(previous) => {
                position.bases = self.carry_bases(sink, previous)?;
                position.restore_points = previous.restore_points.clone();
                next_number(previous)
            }
        };
        let databases = self.databases()?;
        let before = previous.as_ref().and_then(|previous| previous.bases.last());
        let name = format!("base-{number:06}");
        let (base, known_until, log) = match self.facts.elsewhere() {
            None => self.read(sink, name, before)?,
            Some(why) => self.stream(sink, name, &position, previous.as_ref(), &why)?,
        };
        let first = match &previous {
            None => position.segment_of(base.start),
            Some(previous) => previous.segments.0,
        };
        // The last byte before the end; the server went on to the next piece there.
        let last = position.segment_of(Lsn(base.stop.0.saturating_sub(1)));
        position.end = base.stop;
        position.known_until = known_until;
        position.bases.push(base);
        position.segments = (first, last);
        let after = self.databases()?;
        let segments = self.write_log(sink, &mut position, previous.as_ref(), &log)?;
        let text = position.to_text();
        sink.stream(file(SERVER, text.len() as u64), &mut text.as_bytes(), None)?;
        if let Some(slot) = Slot::of(self.job.chain).filter(|_| previous.is_none()) {
            // A task without incrementals must not have the server keep its log for ever. Should this backup not become a good
            // one after all, the next incremental finds a gap, and is full in itself.
            slot.advance(&mut self.session, Lsn(first * self.facts.segment_bytes))?;
        }
        self.session.close()?;
        // What came or went meanwhile may be there or not.
        let databases = databases.intersection(&after).cloned().collect();
        let evidence = evidence(&position, &databases, segments);
        Ok(BackupReport { position: Some(text), evidence, messages: self.messages })
    }

    /// Takes over the copies that stay.
    fn carry_bases(&self, sink: &mut dyn Sink, previous: &ServerPosition) -> Result<Vec<Base>, EngineError> {
        let full = previous.bases.iter().take(1);
        let last = previous.bases.iter().skip(1).next_back();
        let kept: Vec<Base> = full.chain(last).take(MOST_KEPT).cloned().collect();
        for base in &kept {
            if !sink.carry(base.name.as_bytes())? {
                let cause = format!("the last backup lacks {}", base.name);
                return Err(failed(self.action(), cause, "make a full backup"));
            }
        }
        Ok(kept)
    }

    fn databases(&mut self) -> Result<BTreeSet<String>, EngineError> {
        let answer = self.session.ask(
            "SELECT coalesce(jsonb_agg(datname), '[]') FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate",
        )?;
        Ok(serde_json::from_value(answer).unwrap_or_default())
    }

    /// Begins a copy: from the place that this returns the log must be replayed over it.
    pub(super) fn begin(&mut self) -> Result<Lsn, EngineError> {
        self.job.counters.set_current("waiting for the server to write down what it has in memory");
        let begin = match self.facts.major() >= RENAMED_IN {
            true => "pg_backup_start('larder', true)",
            false => "pg_start_backup('larder', true, false)",
        };
        facts::place(&self.session.ask(&format!("SELECT to_jsonb({begin}::text)"))?)
    }

    /// Ends a copy. Returns up to where at least the log must be replayed, the label of the copy and the map of its
    /// tablespaces, and until when every change is in the log.
    pub(super) fn end(&mut self) -> Result<Ended, EngineError> {
        let known_until = facts::now(&mut self.session)?;
        // A change that is committed after that moment: only by one can a server tell, when it replays the log, that it has
        // come past a moment.
        self.session.ask("SELECT to_jsonb(txid_current()::text)")?;
        let end = match self.facts.major() >= RENAMED_IN {
            true => "pg_backup_stop(false)",
            false => "pg_stop_backup(false, false)",
        };
        let answer = self.session.ask(&format!(
            "SELECT jsonb_build_object('lsn', lsn::text, 'label', labelfile, 'map', spcmapfile) FROM {end}"
        ))?;
        let text =
            |name: &str| answer.get(name).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        let (label, map) = (text("label"), text("map"));
        if !label.starts_with("START WAL LOCATION") {
            return Err(failed(
                self.action(),
                "the server gave no label for the copy",
                "start the backup again",
            ));
        }
        let stop = facts::place(answer.get("lsn").unwrap_or_default())?;
        Ok(Ended { stop, label, map, known_until, stopped: facts::now(&mut self.session)? })
    }
}

/// What a server says when a copy of its files is whole.
pub(super) struct Ended {
    pub(super) stop: Lsn,
    pub(super) label: String,
    pub(super) map: String,
    pub(super) known_until: i64,
    pub(super) stopped: i64,
}

/// Where the pieces of log lie that a backup takes.
pub(super) enum LogPlace {
    /// In the server's own directory.
    Server(PathBuf),
    /// Where they were fetched to.
    Fetched(PathBuf),
}

fn next_number(previous: &ServerPosition) -> u32 {
    let last = previous.bases.last().and_then(|base| base.name.rsplit_once('-')?.1.parse::<u32>().ok());
    last.unwrap_or_default() + 1
}

/// Makes the entry of a directory of the backup's own.
pub(super) fn directory(name: &str) -> Entry {
    let metadata = Metadata { mode: 0o700, links: 1, ..Metadata::default() };
    Entry { name: name.into(), kind: EntryKind::Directory, metadata }
}

/// Names the directory of the log.
pub(super) fn log_directory() -> Entry {
    directory(LOG)
}
