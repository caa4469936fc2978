//! Gets a file tree back.

use crate::engine::{BackupReport, RestoreJob, RestoreReport};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::words::plain;
use larder_model::EngineKind;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Under which name the report keeps what the tree's own directory looks like: no entry of the backup stands for it.
pub(super) const ROOT: &str = "Root";

/// Writes down mode (octal), owner, group and modification time of the tree's own directory.
pub(super) fn describe_root(metadata: &Metadata) -> String {
    format!(
        "{:o} {} {} {} {}",
        metadata.mode() & 0o7777,
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}

/// Restores a whole tree below the target.
pub(super) fn restore(job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
    let target = job.target.path(EngineKind::Files)?;
    let empty = is_empty(target).map_err(|error| EngineError::Failed {
        action: format!("restoring to {}", target.display()),
        cause: plain(error),
        remedy: "name a directory that the user Larder runs as may write to".to_owned(),
    })?;
    if !empty && !job.overwrite {
        return Err(EngineError::TargetNotEmpty { target: target.display().to_string() });
    }
    job.cancel.check()?;
    let extracted = backup.extract(target, job.overwrite)?;
    job.cancel.check()?;
    let mut messages = extracted.warnings;
    // What is there already has an owner who may have reasons for its looks.
    if empty && let Some(line) = job.report.and_then(root_line) {
        match parse_root(line) {
            Some(root) => messages.extend(root.apply(target)),
            None => messages.push(
                "the report of the backup does not say what the directory itself looks like".to_owned(),
            ),
        }
    }
    Ok(RestoreReport { files: extracted.files, bytes: extracted.bytes_written, messages })
}

/// Says whether nothing is there; a directory without entries is nothing.
fn is_empty(target: &Path) -> io::Result<bool> {
    match fs::read_dir(target) {
        Ok(mut entries) => entries.next().transpose().map(|first| first.is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn root_line(report: &BackupReport) -> Option<&str> {
    report.evidence.iter().find(|(name, _)| name == ROOT).map(|(_, value)| value.as_str())
}

#[derive(Debug, PartialEq, Eq)]
struct RootLooks {
    mode: u32,
    uid: u32,
    gid: u32,
    modified: Timespec,
}

fn parse_root(line: &str) -> Option<RootLooks> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [mode, uid, gid, seconds, nanoseconds] = parts.as_slice() else { return None };
    Some(RootLooks {
        mode: u32::from_str_radix(mode, 8).ok()?,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        modified: Timespec { tv_sec: seconds.parse().ok()?, tv_nsec: nanoseconds.parse().ok()? },
    })
}

impl RootLooks {
    /// Makes a directory look so; returns what could not be set.
    fn apply(&self, target: &Path) -> Option<String> {
        let times = Timestamps { last_access: self.modified, last_modification: self.modified };
        let owned = if rustix::process::geteuid().is_root() {
            chown(target, Some(self.uid), Some(self.gid))
        } else {
            Ok(())
        };
        let applied = owned
            .and_then(|()| fs::set_permissions(target, Permissions::from_mode(self.mode)))
            .and_then(|()| Ok(rustix::fs::utimensat(CWD, target, &times, AtFlags::empty())?));
        let complain = |error| {
            format!("{} could not be given its own mode, owner and time: {}", target.display(), plain(error))
        };
        applied.err().map(complain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_looks_of_a_directory_survive_being_written_down() {
        let metadata = fs::metadata("/").unwrap();
        let root = parse_root(&describe_root(&metadata)).unwrap();
        assert_eq!((root.mode, root.uid), (metadata.mode() & 0o7777, metadata.uid()));
        assert_eq!((root.modified.tv_sec, root.modified.tv_nsec), (metadata.mtime(), metadata.mtime_nsec()));
        for nonsense in ["", "1 2 3", "9 9 9 9 9", "755 0 0 1 x", "755 0 0 1 2 3"] {
            assert_eq!(parse_root(nonsense), None, "{nonsense}");
        }
    }
}
