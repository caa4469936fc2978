//! Puts one copy of a server into directories, ready for a server to replay the log over it.

use super::position::{Base, ServerPosition};
use super::tree::RESTORED_LOG;
use super::until::End;
use super::{DATA, LOG, TABLESPACES, failed};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::words::plain;
use larder_model::Cancel;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// The version since which what is to be replayed stands in the server's settings, and not in a file of its own.
const IN_SETTINGS: u32 = 12;

/// What was put in place.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) warnings: Vec<String>,
    /// Where each tablespace is now: its number, where it was, where it is.
    pub(super) tablespaces: Vec<(u32, String, PathBuf)>,
}

/// Puts a copy into a new directory, its tablespaces beside it, and the log within it.
pub(super) fn put(
    backup: &dyn BackupReader,
    position: &ServerPosition,
    base: &Base,
    end: &End,
    target: &Path,
    cancel: &Cancel,
) -> Result<Placed, EngineError> {
    let wrong = |path: &Path, error: io::Error| {
        failed(
            format!("restoring to {}", path.display()),
            plain(error),
            "name an empty directory that Larder may write to, on a volume with space",
        )
    };
    let mut placed = Placed::default();
    make(target).map_err(|error| wrong(target, error))?;
    // Links and settings hold the whole path.
    let target = &fs::canonicalize(target).map_err(|error| wrong(target, error))?;
    let take = |path: String, to: &Path, placed: &mut Placed| {
        let extracted = backup.extract_below(path.as_bytes(), to, true)?;
        placed.files += extracted.files;
        placed.bytes += extracted.bytes_written + extracted.bytes_kept;
        placed.warnings.extend(extracted.warnings);
        cancel.check().map_err(EngineError::from)
    };
    take(format!("{}/{DATA}", base.name), target, &mut placed)?;
    let owner = fs::metadata(target.join("PG_VERSION")).map_err(|error| wrong(target, error))?;
    let owner = Owner { uid: owner.uid(), gid: owner.gid() };
    owner.give(target).map_err(|error| wrong(target, error))?;
    // What Larder itself put among the server's files has no owner.
    let label = target.join("backup_label");
    owner.give(&label).map_err(|error| wrong(&label, error))?;
    for (number, was) in &base.tablespaces {
        let beside = beside(target);
        let to = beside.join(number.to_string());
        make(&beside).and_then(|()| owner.give(&beside)).map_err(|error| wrong(&beside, error))?;
        make(&to).and_then(|()| owner.give(&to)).map_err(|error| wrong(&to, error))?;
        take(format!("{}/{TABLESPACES}/{number}", base.name), &to, &mut placed)?;
        let link = target.join("pg_tblspc").join(number.to_string());
        symlink(&to, &link).map_err(|error| wrong(&link, error))?;
        placed.tablespaces.push((*number, was.clone(), to));
    }
    // The links are made: the server need not make them where they were.
    match fs::remove_file(target.join("tablespace_map")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(target, error)),
        _ => {}
    }
    put_log(backup, position, base, &target.join(RESTORED_LOG), owner, &mut placed, cancel)?;
    put_settings(position, end, target, owner).map_err(|error| wrong(target, error))?;
    Ok(placed)
}

/// Returns where the tablespaces of a data directory are put.
pub(super) fn beside(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".tablespaces");
    target.with_file_name(name)
}

/// Makes a directory that only its owner can enter; servers refuse others.
fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(0o700))
        }
        made => made,
    }
}

/// Whom the server's files belong to.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn give(self, path: &Path) -> io::Result<()> {
        if rustix::process::geteuid().is_root() {
            chown(path, Some(self.uid), Some(self.gid))
        } else {
            Ok(())
        }
    }

    fn write(self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        self.give(path)?;
        Ok(file)
    }
}

fn put_log(
    backup: &dyn BackupReader,
    position: &ServerPosition,
    base: &Base,
    to: &Path,
    owner: Owner,
    placed: &mut Placed,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let wrong = |path: &Path, error: io::Error| {
        failed(
            format!("restoring to {}", path.display()),
            error.to_string(),
            "check the repository, and the space on the volume",
        )
    };
    make(to).and_then(|()| owner.give(to)).map_err(|error| wrong(to, error))?;
    for number in position.segment_of(base.start)..=position.segments.1 {
        cancel.check()?;
        let name = position.segment_name(number);
        let path = to.join(&name);
        let mut stored = backup.open(format!("{LOG}/{name}").as_bytes())?;
        let written = owner.write(&path).and_then(|mut file| io::copy(&mut stored, &mut file));
        let written = written.map_err(|error| wrong(&path, error))?;
        if written != position.segment_bytes {
            return Err(failed(
                "reading the backup",
                format!("the piece of log {name} has {written} bytes and not {}", position.segment_bytes),
                "check the repository, or restore from another destination",
            ));
        }
        placed.files += 1;
        placed.bytes += written;
    }
    Ok(())
}

/// Says to the server what it is to replay. Relative paths stay right when the directory is moved.
fn put_settings(position: &ServerPosition, end: &End, target: &Path, owner: Owner) -> io::Result<()> {
    let mut settings = vec![
        ("restore_command", format!("test -f {RESTORED_LOG}/%f && cp {RESTORED_LOG}/%f \"%p\"")),
        ("recovery_end_command", format!("rm -rf {RESTORED_LOG}")),
    ];
    settings.extend(end.settings());
    let is_old = position.major() < IN_SETTINGS;
    if !is_old {
        settings.push(("recovery_target_timeline", "current".to_owned()));
    }
    let mut text = String::from(
        "# How Larder has this copy brought to the moment that was asked for; of no use afterwards.\n",
    );
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    let name = if is_old { "recovery.conf" } else { "postgresql.auto.conf" };
    let mut file = owner.write(&target.join(name))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if !is_old {
        owner.write(&target.join("recovery.signal"))?.sync_all()?;
    }
    Ok(())
}
