//! A server as a whole: its files, copied while it runs by the vendor's `mariabackup`, and afterwards the pages that changed.

use super::client::Client;
use super::compare::sums;
use super::dump::entry;
use super::facts::Facts;
use super::failure::{self, failed};
use super::inventory::Inventory;
use super::layout::SERVER;
use super::restore::refuse_full_directory;
use super::scratch::{Scratch, directory};
use super::{discover, quote};
use crate::engine::{BackupJob, BackupReport, Comparison, ProofJob, RestoreJob, RestoreReport};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::{CheckedStream, Completeness, ToolRun, Tools, Wanted};
use crate::words::{count, plain};
use larder_model::{BackupKind, Cancel, Entry, EntryKind, Metadata};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read;
use std::path::Path;

/// It says its version where nobody listens, and itself refuses a server that is too new for it.
const COPIER: Wanted<'static> = Wanted::any(&["mariabackup", "mariadb-backup"], "mariadb-backup");

/// What takes a stream of files apart.
const UNPACKER: Wanted<'static> = Wanted::any(&["mbstream"], "mariadb-backup");

/// The beginning of every stream.
const STREAM: Completeness =
    Completeness { closing_marker: None, opening_marker: Some(b"XBSTCK01"), least_bytes: 1_000 };

/// The page size of the server's main engine, where nothing else was set.
const PAGE_BYTES: u32 = 16 << 10;

/// Where the next incremental goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServerPosition {
    /// Up to where the pages of the last stream are.
    lsn: u64,
    /// Which server it is: the path, device and inode of its main file.
    identity: String,
    /// The streams, the full one first.
    streams: Vec<String>,
}

pub(super) fn backup(
    client: &Client,
    job: &BackupJob<'_>,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    let copy = Copy { client, job, identity: identity(client)? };
    let previous = job
        .previous
        .and_then(|report| serde_json::from_str::<ServerPosition>(report.position.as_deref()?).ok());
    let mut messages = Vec::new();
    if job.kind == BackupKind::Incremental {
        match copy.why_not(previous.as_ref())? {
            None => return copy.write(sink, previous),
            Some(why) => messages.push(format!("this backup is full in itself: {why}")),
        }
    }
    let mut report = copy.write(sink, None)?;
    report.messages.splice(..0, messages);
    Ok(report)
}

/// Names the server by its main file, which only a server made anew has another one of.
fn identity(client: &Client) -> Result<String, EngineError> {
    use std::os::unix::fs::MetadataExt;
    let action = format!("looking for the files of {}", client.address.shown());
    let data = client.value(&action, "SELECT @@datadir")?;
    let main = Path::new(&data).join("ibdata1");
    let metadata = main.metadata().map_err(|error| {
        failed(
            action,
            format!("{}: {}", main.display(), plain(error)),
            "run Larder on the server's own host, as a user that may read its data directory, or back up its databases one by one",
        )
    })?;
    Ok(format!("{data} {}:{}", metadata.dev(), metadata.ino()))
}

struct Copy<'a> {
    client: &'a Client,
    job: &'a BackupJob<'a>,
    identity: String,
}

impl Copy<'_> {
    fn action(&self) -> String {
        format!("copying the files of {}", self.client.address.shown())
    }

    /// Says why an incremental cannot go on from a position; nothing where it can.
    fn why_not(&self, previous: Option<&ServerPosition>) -> Result<Option<String>, EngineError> {
        let Some(previous) = previous.filter(|previous| !previous.streams.is_empty()) else {
            return Ok(Some("the last backup does not say how far it came".to_owned()));
        };
        if previous.identity != self.identity {
            return Ok(Some("the server's files were made anew since the last backup".to_owned()));
        }
        let now = Facts::ask(self.client)?.lsn;
        Ok(now
            .is_some_and(|now| now < previous.lsn)
            .then(|| "the server's files are older than the last backup".to_owned()))
    }

    /// Writes all streams into a sink, the earlier ones taken over.
    fn write(
        &self,
        sink: &mut dyn Sink,
        previous: Option<ServerPosition>,
    ) -> Result<BackupReport, EngineError> {
        let previous_lsn = previous.as_ref().map(|previous| previous.lsn);
        let mut streams = previous.map(|previous| previous.streams).unwrap_or_default();
        let metadata = Metadata { mode: 0o700, links: 1, ..Metadata::default() };
        sink.enter(Entry { name: SERVER.into(), kind: EntryKind::Directory, metadata })?;
        for name in &streams {
            if !sink.carry(name.as_bytes())? {
                let cause = format!("the last backup lacks {name}");
                return Err(failed(self.action(), cause, "make a full backup"));
            }
        }
        let kind = if previous_lsn.is_some() { "incremental" } else { "full" };
        let name = format!("{:06}-{kind}.mbstream", streams.len());
        let (from, to, bytes) = self.stream(sink, &name, previous_lsn)?;
        sink.leave()?;
        if previous_lsn.is_some_and(|wanted| wanted != from) {
            return Err(failed(
                self.action(),
                format!("the pages begin at {from} and the last backup ends elsewhere"),
                "make a full backup",
            ));
        }
        streams.push(name);
        // The pages that changed lie beside those of the full copy; the next full one has neither twice.
        let before = self.job.previous.filter(|_| previous_lsn.is_some());
        let history = before.map(|before| (streams.len() as u64 - 1, before.history().1 + bytes));
        let databases = discover::names(self.client)?;
        let position = ServerPosition { lsn: to, identity: self.identity.clone(), streams };
        let mut report = BackupReport {
            position: serde_json::to_string(&position).ok(),
            evidence: databases.into_iter().map(|name| (format!("database {name}"), String::new())).collect(),
            messages: vec![format!("pages from {from} to {to}")],
        };
        if let Some(history) = history {
            report.note_history(history);
        }
        Ok(report)
    }

    /// Streams one copy, and returns from where to where its pages are, and how many bytes it has.
    fn stream(
        &self,
        sink: &mut dyn Sink,
        name: &str,
        since: Option<u64>,
    ) -> Result<(u64, u64, u64), EngineError> {
        let tool = self.client.tools.find_unasked(&COPIER)?;
        let (target, notes) = (self.job.staging.join("copy"), self.job.staging.join("notes"));
        let run = self
            .client
            .run()
            .args(["--backup", "--stream=mbstream"])
            .arg(format!("--target-dir={}", target.display()))
            .arg(format!("--extra-lsndir={}", notes.display()))
            .arg(format!("--ftwrl-wait-timeout={}", self.client.address.lock_patience.as_secs()));
        let run = match since {
            Some(lsn) => run.arg(format!("--incremental-lsn={lsn}")),
            None => run,
        };
        self.job.counters.set_current(name);
        let explained = |failure| failure::explain(failure, &self.action(), &self.client.address);
        let mut stream = CheckedStream::new(tool.start(run).map_err(explained)?, STREAM);
        let taken = sink.stream(entry(name), &mut stream, Some(PAGE_BYTES));
        let bytes = stream.length();
        // Only at its end does the stream know how the program ended.
        let is_at_end = taken.is_ok() && matches!(stream.read(&mut [0]), Ok(0));
        if let Some(failure) = stream.into_failure() {
            return Err(explained(failure));
        }
        self.client.cancel.check()?;
        if taken? != bytes || !is_at_end {
            return Err(failed(
                self.action(),
                format!("not all of {name} was taken"),
                "start the backup again",
            ));
        }
        // Written only after everything else went well; the program says "completed OK!" at the same time.
        let noted = fs::read_to_string(notes.join("xtrabackup_checkpoints")).ok();
        let numbers = noted
            .and_then(|text| Some((noted_number(&text, "from_lsn")?, noted_number(&text, "to_lsn")?, bytes)));
        numbers.ok_or_else(|| {
            failed(
                self.action(),
                "mariabackup ended well but did not note how far it came",
                "see what its output says when it is run by hand",
            )
        })
    }
}

/// Reads `to_lsn = 44878`.
fn noted_number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim().parse().ok())
}

/// Unpacks a server's files into a directory, and makes them ready to be started on.
pub(super) fn restore(
    tools: &Tools,
    job: &RestoreJob<'_>,
    backup: &dyn BackupReader,
    streams: &[String],
    target: &Path,
) -> Result<RestoreReport, EngineError> {
    refuse_full_directory(target, job.overwrite)?;
    if target.exists() && target.read_dir().is_ok_and(|mut inside| inside.next().is_some()) {
        return Err(failed(
            format!("restoring to {}", target.display()),
            "it holds files, and a server's files are not mixed with others",
            "empty the directory by hand, or name another one",
        ));
    }
    unpack_all(tools, backup, streams, target, job.staging, job.cancel)?;
    let (files, bytes) = size(target);
    let user = "give them to the user that the server runs as (chown -R mysql:mysql), and start it on this directory";
    Ok(RestoreReport {
        files,
        bytes,
        messages: vec![format!("the files in {} are ready: {user}", target.display())],
    })
}

fn unpack_all(
    tools: &Tools,
    backup: &dyn BackupReader,
    streams: &[String],
    target: &Path,
    staging: &Path,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    if !streams.first().is_some_and(|first| first.ends_with("-full.mbstream")) {
        return Err(failed(
            "reading the backup",
            "it has no full copy of the server",
            "choose another backup",
        ));
    }
    for (number, path) in streams.iter().enumerate() {
        let name = format!("pages-{number}");
        let unpacked = if number == 0 { target.to_owned() } else { staging.join(name) };
        directory(
            unpacked.parent().unwrap_or(staging),
            &unpacked.file_name().unwrap_or_default().to_string_lossy(),
        )?;
        unpack(tools, backup, path, &unpacked, cancel)?;
        prepare(tools, target, (number > 0).then_some(unpacked.as_path()), cancel)?;
        if number > 0 {
            fs::remove_dir_all(&unpacked).map_err(|error| {
                failed(
                    format!("removing {}", unpacked.display()),
                    plain(error),
                    "check the volume of the data directory",
                )
            })?;
        }
    }
    Ok(())
}

fn unpack(
    tools: &Tools,
    backup: &dyn BackupReader,
    path: &str,
    to: &Path,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let action = format!("unpacking {path}");
    let remedy = "see whether the volume has space";
    let tool = tools.find_unasked(&UNPACKER)?;
    let run = ToolRun::new(cancel).arg("-x").arg("-C").arg(to).fed().quiet();
    let mut running = tool.start(run).map_err(|failure| failure.into_error(&action, remedy))?;
    let mut stored = backup.open(path.as_bytes())?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        cancel.check()?;
        let length = stored.read(&mut buffer).map_err(|error| {
            failed(
                "reading the backup",
                error.to_string(),
                "check the repository, or restore from another destination",
            )
        })?;
        if length == 0 {
            break;
        }
        let fed = running.feed(buffer.get(..length).unwrap_or_default());
        fed.map_err(|failure| failure.into_error(&action, remedy))?;
    }
    running.finish().map_err(|failure| failure.into_error(&action, remedy))
}

/// Makes a copy consistent, or brings it forward by the pages that changed.
fn prepare(tools: &Tools, target: &Path, pages: Option<&Path>, cancel: &Cancel) -> Result<(), EngineError> {
    let action = format!("making the files in {} consistent", target.display());
    let remedy = "restore an earlier backup, and make a full one of the server";
    let tool = tools.find_unasked(&COPIER)?;
    let mut run = ToolRun::new(cancel)
        .args(["--no-defaults", "--prepare", "--use-memory=256M"])
        .arg(format!("--target-dir={}", target.display()))
        .quiet();
    if let Some(pages) = pages {
        run = run.arg(format!("--incremental-dir={}", pages.display()));
    }
    let mut running = tool.start(run).map_err(|failure| failure.into_error(&action, remedy))?;
    running.finish().map_err(|failure| failure.into_error(&action, remedy))
}

/// Unpacks a server into scratch, starts it, and reads every row.
pub(super) fn prove(
    tools: &Tools,
    job: &ProofJob<'_>,
    backup: &dyn BackupReader,
    streams: &[String],
) -> Result<Comparison, EngineError> {
    let data = job.scratch.join("copied");
    let staging = directory(job.scratch, "staging")?;
    unpack_all(tools, backup, streams, &data, &staging, job.cancel)?;
    let data = fs::canonicalize(&data).unwrap_or(data);
    let scratch = Scratch::open_unlocked(tools, &data, job.cancel)?;
    let mut differences = Vec::new();
    let names = discover::names(&scratch.client)?;
    for (name, _) in &job.report.evidence {
        if let Some(name) = name.strip_prefix("database ")
            && !names.iter().any(|there| there == name)
        {
            differences.push(format!("the database {name} is missing"));
        }
    }
    let (mut tables, mut rows) = (0, 0);
    for name in &names {
        let inventory = Inventory::take(&scratch.client, name)?;
        for table in &inventory.tables {
            let sql = format!("CHECK TABLE {}.{}", quote::name(name), quote::name(&table.name));
            let said = scratch.client.ask(&format!("checking {name}.{}", table.name), &sql)?;
            let is_well = said.last().and_then(|row| row.last()).is_some_and(|word| word == "OK");
            let has_check =
                !said.iter().any(|row| row.last().is_some_and(|word| word.contains("doesn't support")));
            if !is_well && has_check {
                let word = said.last().and_then(|row| row.last()).cloned().unwrap_or_default();
                differences.push(format!("the table {name}.{} is not sound: {word}", table.name));
            }
        }
        let found = sums(&scratch.client, name)?;
        tables += found.tables.len() as u64;
        rows += found.tables.values().map(|sum| sum.rows).sum::<u64>();
    }
    scratch.stop()?;
    let compared = format!(
        "{}, {}, {} read in a server started on the copy, each table checked",
        count(names.len() as u64, "database", "databases"),
        count(tables, "table", "tables"),
        count(rows, "row", "rows")
    );
    Ok(Comparison { compared, differences, changed_since: 0 })
}

fn size(directory: &Path) -> (u64, u64) {
    let Ok(inside) = directory.read_dir() else { return (0, 0) };
    inside.flatten().fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            let (more, larger) = size(&entry.path());
            (files + more, bytes + larger)
        }
        Ok(metadata) => (files + 1, bytes + metadata.len()),
        Err(_) => (files, bytes),
    })
}
