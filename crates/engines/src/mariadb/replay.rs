//! Brings a dump forward through the pieces of log kept with it, in a private server and under its own name.
//!
//! Never in a server of the user's: logged statements name their database, and would find the living one there.

use super::client::Client;
use super::dump::{CODE, TABLES, VIEWS};
use super::failure::{self, failed};
use super::layout::Logical;
use super::load::Loader;
use super::log::{Group, READER, Subject, scan};
use super::position::Position;
use super::quote;
use super::scratch::{Scratch, directory};
use crate::engine::{RestoreJob, RestorePointInTime, RestoreReport};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::words::{count, plain};
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Loads a dump into an empty private server, and replays the log up to the point that is asked for.
pub(super) fn bring_forward(
    scratch: &Scratch,
    job: &RestoreJob<'_>,
    logical: &Logical,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let position = job.report.and_then(|report| Position::from_text(report.position.as_deref()?));
    let end = End::of(job.until, position.as_ref())?;
    load(&scratch.client, logical, backup)?;
    let replayed = replay(&scratch.client, job.staging, logical, backup, &end)?;
    let messages = vec![replayed.told()];
    Ok(RestoreReport { messages, ..RestoreReport::default() })
}

/// Loads the dump under its own name.
pub(super) fn load(client: &Client, logical: &Logical, backup: &dyn BackupReader) -> Result<(), EngineError> {
    make(client, logical)?;
    [TABLES, CODE, VIEWS].into_iter().try_for_each(|file| load_file(client, logical, backup, file))
}

/// Makes the empty database.
pub(super) fn make(client: &Client, logical: &Logical) -> Result<(), EngineError> {
    let sql = format!("CREATE DATABASE {} {}", quote::name(&logical.name), logical.attributes);
    client.ask(&format!("making {} in a private server", logical.name), &sql).map(drop)
}

/// Loads one file of the dump, where it has it.
pub(super) fn load_file(
    client: &Client,
    logical: &Logical,
    backup: &dyn BackupReader,
    file: &str,
) -> Result<(), EngineError> {
    if !logical.files.contains(&file) {
        return Ok(());
    }
    let action = format!("loading {file} of {} into a private server", logical.name);
    let mut loader = Loader::start(client, Some(&logical.name), action)?;
    loader.feed_all(&mut backup.open(file.as_bytes())?)?;
    loader.finish()
}

/// Where a replay ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// With the last change that is kept.
    #[default]
    All,
    /// With the last change at this second or before it.
    Time(i64),
    /// With this place in the log.
    Place { file: String, offset: u64 },
    /// With this transaction: domain and sequence.
    Gtid { domain: u64, sequence: u64 },
}

impl End {
    /// Reads what is asked for, and refuses what the backup cannot give.
    pub(super) fn of(
        until: Option<&RestorePointInTime>,
        position: Option<&Position>,
    ) -> Result<Self, EngineError> {
        let refused = |cause: String| {
            failed("restoring to a moment", cause, "name a moment within it, or another backup")
        };
        match until {
            None => Ok(Self::All),
            Some(RestorePointInTime::Name(name)) => {
                Err(refused(format!("a MariaDB server has no restore points with names, such as {name}")))
            }
            Some(RestorePointInTime::Time(moment)) => {
                let second = moment.as_second();
                let shown = |second: i64| {
                    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |at| at.to_string())
                };
                match position {
                    Some(position) if second < position.dumped || second > position.known_until => {
                        Err(refused(format!(
                            "this backup knows the changes from {} to {}, and {moment} is not between",
                            shown(position.dumped),
                            shown(position.known_until)
                        )))
                    }
                    _ => Ok(Self::Time(second)),
                }
            }
            Some(RestorePointInTime::Position(text)) => {
                let end = Self::read(text).ok_or_else(|| {
                    refused(format!(
                        "'{text}' is neither a place such as bin.000003:1234 nor a GTID such as 0-1-99"
                    ))
                })?;
                let log = position.and_then(|position| position.log.as_ref());
                let base = position.and_then(|position| position.base.as_ref());
                match (base, log) {
                    (Some(base), Some(log)) if end.is_before(base) || end.is_after(log) => {
                        Err(refused(format!(
                            "this backup knows the changes from {}:{} ({}) to {}:{} ({}), and {text} is not between",
                            base.file, base.offset, base.gtid, log.file, log.offset, log.gtid
                        )))
                    }
                    _ => Ok(end),
                }
            }
        }
    }

    fn read(text: &str) -> Option<Self> {
        if let Some((file, offset)) = text.rsplit_once(':') {
            return Some(Self::Place { file: file.to_owned(), offset: offset.parse().ok()? });
        }
        let mut parts = text.split('-').map(|part| part.parse::<u64>().ok());
        let (domain, _, sequence) = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(Self::Gtid { domain, sequence })
    }

    fn is_before(&self, point: &super::position::LogPoint) -> bool {
        match self {
            Self::All | Self::Time(_) => false,
            Self::Place { file, offset } => {
                (number_of(file), *offset) < (number_of(&point.file), point.offset)
            }
            Self::Gtid { domain, sequence } => sequence_in(&point.gtid, *domain) > *sequence,
        }
    }

    fn is_after(&self, point: &super::position::LogPoint) -> bool {
        match self {
            Self::All | Self::Time(_) => false,
            Self::Place { file, offset } => {
                (number_of(file), *offset) > (number_of(&point.file), point.offset)
            }
            Self::Gtid { domain, sequence } => sequence_in(&point.gtid, *domain) < *sequence,
        }
    }

    /// Says whether a change in a file of the log is to be replayed.
    fn takes(&self, file: &str, group: &Group) -> bool {
        match self {
            Self::All => true,
            Self::Time(second) => i64::from(group.time) <= *second,
            Self::Place { file: last, offset } => (number_of(file), group.end) <= (number_of(last), *offset),
            Self::Gtid { domain, sequence } => group.domain != *domain || group.sequence <= *sequence,
        }
    }
}

/// Reads the number at the end of the name of a file of log.
fn number_of(file: &str) -> u64 {
    file.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or_default()
}

/// Finds how far a domain is in a list such as `0-1-99,1-1-5`.
fn sequence_in(gtids: &str, domain: u64) -> u64 {
    let parts = gtids.split(',').filter_map(|gtid| {
        let mut parts = gtid.trim().split('-');
        let (first, _, last) = (parts.next()?, parts.next()?, parts.next()?);
        (first.parse() == Ok(domain)).then(|| last.parse().ok()).flatten()
    });
    parts.max().unwrap_or_default()
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Replayed {
    pub(super) changes: u64,
    /// When the last of them ended, in seconds since 1970.
    last: Option<u32>,
}

impl Replayed {
    fn told(&self) -> String {
        let changes = count(self.changes, "transaction was", "transactions were");
        let last = self.last.and_then(|last| Timestamp::from_second(last.into()).ok());
        match last {
            Some(last) => format!("{changes} replayed from the log, the last of {last}"),
            None => format!("{changes} replayed from the log"),
        }
    }
}

/// Replays the pieces of log into the database of the private server.
pub(super) fn replay(
    client: &Client,
    staging: &Path,
    logical: &Logical,
    backup: &dyn BackupReader,
    end: &End,
) -> Result<Replayed, EngineError> {
    let below = directory(staging, "replay")?;
    let mut replayed = Replayed::default();
    for path in &logical.segments {
        client.cancel.check()?;
        let file = file_of(path);
        let whole = below.join("whole");
        let unreadable = |error: io::Error| {
            failed(
                format!("reading {path} of the backup"),
                error.to_string(),
                "check the repository, or restore from another destination",
            )
        };
        let mut stored = backup.open(path.as_bytes())?;
        let written = File::create(&whole).and_then(|mut to| io::copy(&mut stored, &mut to));
        written.map_err(unreadable)?;
        let subject = Subject { database: &logical.name, others: &[] };
        let opened = File::open(&whole).map_err(unreadable)?;
        let found = scan(BufReader::new(opened), None, subject).map_err(unreadable)?;
        let taken: Vec<&Group> = found.groups.iter().take_while(|group| end.takes(file, group)).collect();
        let is_last = taken.len() < found.groups.len();
        replayed.changes += taken.len() as u64;
        replayed.last = taken.last().map(|group| group.time).or(replayed.last);
        let cut = below.join("cut");
        copy_groups(&whole, &cut, found.head, &taken).map_err(unreadable)?;
        apply(client, logical, &cut)?;
        if is_last {
            break;
        }
    }
    Ok(replayed)
}

/// Returns the name of the server's file that a piece was taken from: `log/000001-bin.000003` is of `bin.000003`.
fn file_of(path: &str) -> &str {
    path.split_once('-').map_or(path, |(_, file)| file)
}

/// Writes the beginning of a log and some of its transactions into a file of their own.
pub(super) fn copy_groups(from: &Path, to: &Path, head: u64, groups: &[&Group]) -> io::Result<u64> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut copied = 0;
    let parts = std::iter::once((0, head)).chain(groups.iter().map(|group| (group.from, group.to)));
    for (begin, end) in parts {
        from.seek(SeekFrom::Start(begin))?;
        let length = io::copy(&mut Read::by_ref(&mut from).take(end - begin), &mut to)?;
        if length != end - begin {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copied += length;
    }
    to.flush()?;
    Ok(copied)
}

fn apply(client: &Client, logical: &Logical, file: &Path) -> Result<(), EngineError> {
    let action = format!("replaying the log of {} in a private server", logical.name);
    let tool = client.tools.find(&READER)?;
    let run = crate::tool::ToolRun::new(&client.cancel)
        .args(["--no-defaults", "--verify-binlog-checksum"])
        .arg(format!("--database={}", logical.name))
        .arg(file);
    let explained = |failure| failure::explain(failure, &action, &client.address);
    let mut reading = tool.start(run).map_err(explained)?;
    let mut loader = Loader::start(client, None, action.clone())?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = match reading.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(action, plain(error), "start again")),
        };
        loader.feed(buffer.get(..length).unwrap_or_default())?;
    }
    reading.finish().map_err(explained)?;
    loader.finish()
}

#[cfg(test)]
mod tests {
    use super::super::position::LogPoint;
    use super::*;

    fn point(file: &str, offset: u64, gtid: &str) -> LogPoint {
        LogPoint { file: file.to_owned(), offset, gtid: gtid.to_owned(), begun: 1, server: 7 }
    }

    fn position() -> Position {
        Position {
            base: Some(point("bin.000002", 500, "0-7-10")),
            log: Some(point("bin.000010", 900, "0-7-90,1-7-4")),
            dumped: 1_000,
            known_until: 2_000,
            ..Position::default()
        }
    }

    #[test]
    fn only_what_the_backup_knows_can_be_asked_for() {
        let position = position();
        let asked = |until: RestorePointInTime| End::of(Some(&until), Some(&position));
        let time = |second| RestorePointInTime::Time(Timestamp::from_second(second).unwrap());
        assert_eq!(asked(time(1_500)).unwrap(), End::Time(1_500));
        for text in ["bin.000002:500", "bin.000009:4", "bin.000010:900", "0-7-10", "0-1-90", "1-7-4"] {
            assert!(asked(RestorePointInTime::Position(text.to_owned())).is_ok(), "{text}");
        }
        for text in [
            "bin.000002:499",
            "bin.000001:900",
            "bin.000010:901",
            "bin.000011:4",
            "0-7-9",
            "0-7-91",
            "x",
            "bin:",
        ] {
            assert!(asked(RestorePointInTime::Position(text.to_owned())).is_err(), "{text}");
        }
        for second in [999, 2_001] {
            let error = asked(time(second)).unwrap_err().to_string();
            assert!(error.contains("1970-01-01T00:16:40Z to 1970-01-01T00:33:20Z"), "{error}");
        }
        assert!(asked(RestorePointInTime::Name("x".to_owned())).is_err());
    }
}
