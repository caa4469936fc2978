//! One stream of a server as one file of a backup, and back.

use crate::engine::{BackupJob, BackupReport, RestoreJob};
use crate::error::{EngineError, SinkError};
use crate::sink::{BackupReader, ListedEntry, Sink};
use crate::temporary::Temporary;
use crate::words::{grouped, hex, plain};
use larder_model::{Cancel, Canceled, Entry, EntryKind, Metadata};
use rustix::fs::{CWD, RenameFlags};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// The names under which a report keeps what a file of it was.
pub(crate) const SHA256: &str = "Sha256";
pub(crate) const BYTES: &str = "Bytes";

/// What went through a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Carried {
    pub(crate) fn evidence(&self) -> Vec<(String, String)> {
        vec![(BYTES.to_owned(), self.bytes.to_string()), (SHA256.to_owned(), self.sha256.clone())]
    }
}

/// Returns what a report says of one name.
pub(crate) fn recorded<'a>(report: &'a BackupReport, name: &str) -> Option<&'a str> {
    report.evidence.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
}

/// Hashes what is read, stops when asked to, and remembers why reading failed.
pub(crate) struct Observed<'a> {
    inner: &'a mut dyn Read,
    cancel: &'a Cancel,
    hash: Sha256,
    bytes: u64,
    failure: Option<String>,
}

impl<'a> Observed<'a> {
    pub(crate) fn new(inner: &'a mut dyn Read, cancel: &'a Cancel) -> Self {
        Self { inner, cancel, hash: Sha256::new(), bytes: 0, failure: None }
    }

    pub(crate) fn finish(self) -> Carried {
        Carried { bytes: self.bytes, sha256: hex(&self.hash.finalize()) }
    }
}

impl Read for Observed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        match self.inner.read(buffer) {
            Ok(length) => {
                self.hash.update(buffer.get(..length).unwrap_or_default());
                self.bytes += length as u64;
                Ok(length)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failure = Some(plain_text(&error));
                }
                Err(error)
            }
        }
    }
}

fn plain_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => plain(io::Error::from_raw_os_error(number)),
        None => error.to_string(),
    }
}

/// Makes the entry of a stream; its time is that of the job's staging directory, which was made for it.
pub(crate) fn entry(name: &str, kind: EntryKind, staging: &Path) -> Entry {
    let made = rustix::fs::stat(staging).map(|stat| larder_model::Timestamp {
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
    });
    let made = made.unwrap_or_default();
    let mode = if kind == EntryKind::Directory { 0o700 } else { 0o600 };
    let metadata = Metadata {
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        modified: made,
        accessed: made,
        changed: made,
        links: 1,
        ..Metadata::default()
    };
    Entry { name: name.as_bytes().to_vec(), kind, metadata }
}

/// Hands a stream to the sink, and tells a source that broke from a destination that did.
pub(crate) fn stream(
    job: &BackupJob<'_>,
    name: &str,
    sink: &mut dyn Sink,
    bytes: &mut dyn Read,
    action: &str,
) -> Result<Carried, EngineError> {
    let remedy = "see what the server's own log says; the next run begins anew";
    stream_with(job, name, sink, bytes, action, remedy)
}

/// Does the same, and says what else helps where the source broke.
pub(crate) fn stream_with(
    job: &BackupJob<'_>,
    name: &str,
    sink: &mut dyn Sink,
    bytes: &mut dyn Read,
    action: &str,
    remedy: &str,
) -> Result<Carried, EngineError> {
    let mut observed = Observed::new(bytes, job.cancel);
    let streamed = sink.stream(entry(name, EntryKind::File, job.staging), &mut observed, None);
    job.cancel.check()?;
    let failed = |cause: String| EngineError::Failed {
        action: action.to_owned(),
        cause: cause.trim_end_matches('.').to_owned(),
        remedy: remedy.to_owned(),
    };
    match (streamed, observed.failure.take()) {
        (_, Some(cause)) => Err(failed(cause)),
        (Err(error), None) => Err(error.into()),
        (Ok(taken), None) if taken == observed.bytes => Ok(observed.finish()),
        (Ok(taken), None) => Err(failed(format!(
            "{} bytes were read and {} were taken",
            grouped(observed.bytes),
            grouped(taken)
        ))),
    }
}

/// Returns the one file that a backup of an engine with a single stream consists of.
pub(crate) fn only_file(backup: &dyn BackupReader) -> Result<ListedEntry, EngineError> {
    let mut files = Vec::new();
    backup.for_each(&mut |listed| {
        if listed.entry.kind == EntryKind::File && files.len() < 2 {
            files.push(listed.clone());
        }
        Ok(())
    })?;
    match (files.pop(), files.pop()) {
        (Some(file), None) => Ok(file),
        (other, _) => Err(EngineError::Failed {
            action: "reading the backup".to_owned(),
            cause: format!(
                "one file is looked for, and it holds {}",
                if other.is_some() { "several" } else { "none" }
            ),
            remedy: "choose a backup that this engine made, or restore this one as files".to_owned(),
        }),
    }
}

/// Copies a file of the backup somewhere, checked against the report where it tells.
pub(crate) fn copy_out(
    report: Option<&BackupReport>,
    cancel: &Cancel,
    backup: &dyn BackupReader,
    path: &[u8],
    to: &mut dyn FnMut(&[u8]) -> Result<(), EngineError>,
) -> Result<Carried, EngineError> {
    let mut opened = backup.open(path)?;
    let mut observed = Observed::new(&mut opened, cancel);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = match observed.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(_) if cancel.is_canceled() => return Err(Canceled.into()),
            Err(error) => return Err(SinkError(error.into()).into()),
        };
        to(buffer.get(..length).unwrap_or_default())?;
    }
    let carried = observed.finish();
    match report.and_then(|report| recorded(report, SHA256)) {
        Some(wanted) if wanted != carried.sha256 => Err(EngineError::Failed {
            action: "reading the backup".to_owned(),
            cause: "its bytes are not those that were backed up".to_owned(),
            remedy: "check the repository, and restore from another backup or destination".to_owned(),
        }),
        _ => Ok(carried),
    }
}

/// Writes the backup's one file to a path, whole or not at all; `check` looks at it before it gets its name.
pub(crate) fn restore_file(
    job: &RestoreJob<'_>,
    target: &Path,
    backup: &dyn BackupReader,
    check: &dyn Fn(&Path) -> Result<(), EngineError>,
) -> Result<Carried, EngineError> {
    let not_empty = || EngineError::TargetNotEmpty { target: target.display().to_string() };
    match target.symlink_metadata() {
        Ok(there) if there.is_dir() => {
            return Err(file_failure(target, io::ErrorKind::IsADirectory.into()));
        }
        Ok(_) if !job.overwrite => return Err(not_empty()),
        _ => {}
    }
    let listed = only_file(backup)?;
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| file_failure(parent, error))?;
    let temporary = Temporary::beside(target)?;
    let failed = |error| file_failure(&temporary.path, error);
    let mut file = OpenOptions::new().write(true).open(&temporary.path).map_err(failed)?;
    let carried = copy_out(job.report, job.cancel, backup, &listed.path, &mut |bytes| {
        file.write_all(bytes).map_err(failed)
    })?;
    file.sync_all().map_err(failed)?;
    check(&temporary.path)?;
    job.cancel.check()?;
    let flags = if job.overwrite { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    match rustix::fs::renameat_with(CWD, &temporary.path, CWD, target, flags) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Err(not_empty()),
        // Some network file systems know only this way.
        Err(rustix::io::Errno::INVAL) if !job.overwrite => {
            fs::hard_link(&temporary.path, target).map_err(|error| file_failure(target, error))?;
        }
        Err(error) => return Err(file_failure(target, error.into())),
    }
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(|error| file_failure(parent, error))?;
    Ok(carried)
}

/// Says an error of the file system about a file.
pub(crate) fn file_failure(path: &Path, error: io::Error) -> EngineError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on that volume",
        io::ErrorKind::PermissionDenied => "give the user that Larder runs as the right to do that",
        io::ErrorKind::IsADirectory => "name the file that it is to become",
        _ => "see whether its disk is in order",
    };
    EngineError::Failed {
        action: format!("writing {}", path.display()),
        cause: plain_text(&error),
        remedy: remedy.to_owned(),
    }
}

/// Compares a file with what a report says of it; says what differs.
pub(crate) fn compare_file(
    path: &Path,
    report: &BackupReport,
    cancel: &Cancel,
) -> Result<Vec<String>, EngineError> {
    let failed = |error: io::Error| EngineError::Failed {
        action: format!("reading {}", path.display()),
        cause: plain_text(&error),
        remedy: "see whether the restored copy is still there".to_owned(),
    };
    let mut opened = File::open(path).map_err(failed)?;
    let mut observed = Observed::new(&mut opened, cancel);
    let read = io::copy(&mut observed, &mut io::sink());
    cancel.check()?;
    read.map_err(failed)?;
    let is = observed.finish();
    Ok(match recorded(report, SHA256) {
        Some(wanted) if wanted == is.sha256 => Vec::new(),
        Some(_) => {
            vec![format!("the restored file ({} bytes) is not the one that was backed up", grouped(is.bytes))]
        }
        None => vec!["the backup has no evidence to compare with; it was not made by this engine".to_owned()],
    })
}
