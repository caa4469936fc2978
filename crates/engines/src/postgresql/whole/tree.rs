//! Which of a server's files belong into a copy of it.
//!
//! What is left out is what the manual's chapter on base backups names: it is of the running server only, or is made anew when a
//! server starts.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Directories of which only the directory itself is kept.
const EMPTIED: [&str; 8] = [
    "pg_wal",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];

/// Files of the running server, and of copies and restores that were made of it or from it.
const RUNNING: [&str; 13] = [
    "postmaster.pid",
    "postmaster.opts",
    "postgresql.auto.conf.tmp",
    "current_logfiles",
    "current_logfiles.tmp",
    "backup_label",
    "backup_label.old",
    "tablespace_map",
    "tablespace_map.old",
    "backup_manifest",
    "recovery.signal",
    "standby.signal",
    "recovery.conf",
];

/// Where the log of a restored server waits until it has been replayed.
pub(super) const RESTORED_LOG: &str = "larder-wal";

/// What a directory is, within a server's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The data directory itself.
    Data,
    /// The directory of the databases, or of one version within a tablespace.
    Databases,
    /// A directory of relations: of one database, or of what all share.
    Relations,
    /// The directory of the links to tablespaces.
    Tablespaces,
    /// A tablespace: only the directory of the server's own version in it is the server's.
    Tablespace,
    /// Anything else.
    Other,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Pages of a relation's main part, which all carry their place in the log.
    Main {
        /// The number of the file within the relation; each but the last has the same length.
        segment: u32,
    },
    /// Pages of what stands beside a relation. They do not always carry a place in the log.
    Beside {
        /// The number of the file, as above.
        segment: u32,
    },
    /// What a server looks at before it knows anything: read when everything else was.
    Control,
    /// Anything else.
    Plain,
}

/// A file or directory that belongs into the copy.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    File(Kind),
    Directory(Vec<Found>),
}

/// Lists what is in a directory and below. What vanishes meanwhile was dropped, and the log says so.
pub(super) fn list(path: &Path, place: Place, version: &str) -> io::Result<Vec<Found>> {
    let mut entries = Vec::new();
    for entry in path.read_dir()? {
        let name = entry?.file_name();
        let name = name.into_string().map_err(|name| {
            io::Error::other(format!("the name '{}' is none that a server gives", name.to_string_lossy()))
        })?;
        entries.push(name);
    }
    entries.sort_unstable();
    let unlogged: BTreeSet<String> = match place {
        Place::Relations => {
            entries.iter().filter_map(|name| name.strip_suffix("_init")).map(str::to_owned).collect()
        }
        _ => BTreeSet::new(),
    };
    let mut found = Vec::new();
    for name in entries {
        let path = path.join(&name);
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(named(error, &path)),
        };
        let is_link_to_log = place == Place::Data && name == "pg_wal" && metadata.is_symlink();
        // Where the log lies elsewhere, its place is what is kept.
        let metadata =
            if is_link_to_log { path.metadata().map_err(|error| named(error, &path))? } else { metadata };
        let what = if metadata.is_dir() {
            let Some(below) = directory(place, &name, version) else { continue };
            match below {
                None => What::Directory(Vec::new()),
                Some(below) => match list(&path, below, version) {
                    Ok(inside) => What::Directory(inside),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(named(error, &path)),
                },
            }
        } else {
            match metadata.is_file().then(|| file(place, &name, &unlogged)).flatten() {
                Some(kind) => What::File(kind),
                None => continue,
            }
        };
        found.push(Found { name, path, metadata, what });
    }
    Ok(found)
}

/// Puts the path before what the system says; once.
fn named(error: io::Error, path: &Path) -> io::Error {
    match error.raw_os_error() {
        Some(_) => {
            io::Error::new(error.kind(), format!("{}: {}", path.display(), crate::words::plain(error)))
        }
        None => error,
    }
}

/// Says what a directory is: `None` for one that is left out, `Some(None)` for one that is kept empty.
#[allow(clippy::option_option, reason = "left out, kept empty, and gone into are three things")]
fn directory(place: Place, name: &str, version: &str) -> Option<Option<Place>> {
    if name.starts_with("pgsql_tmp") || name == RESTORED_LOG {
        return None;
    }
    Some(match place {
        Place::Data if EMPTIED.contains(&name) => None,
        Place::Data if name == "base" => Some(Place::Databases),
        Place::Data if name == "global" => Some(Place::Relations),
        Place::Data if name == "pg_tblspc" => Some(Place::Tablespaces),
        Place::Data | Place::Other | Place::Relations => Some(Place::Other),
        Place::Databases => Some(Place::Relations),
        // A tablespace that lies in the data directory itself.
        Place::Tablespaces => Some(Place::Tablespace),
        // Other servers may use the same place.
        Place::Tablespace if name.starts_with(&format!("PG_{version}_")) => Some(Place::Databases),
        Place::Tablespace => return None,
    })
}

/// Says what a file is; nothing for one that is left out.
pub(super) fn file(place: Place, name: &str, unlogged: &BTreeSet<String>) -> Option<Kind> {
    let is_running = place == Place::Data && RUNNING.contains(&name);
    if is_running || name.starts_with("pgsql_tmp") || name.starts_with("pg_internal.init") {
        return None;
    }
    if place != Place::Relations {
        return Some(Kind::Plain);
    }
    if name == "pg_control" {
        return Some(Kind::Control);
    }
    if is_temporary(name) {
        return None;
    }
    let Some((number, fork, segment)) = relation(name) else { return Some(Kind::Plain) };
    // What a crash would empty anyway: the empty form is enough.
    if unlogged.contains(number) && fork != "init" {
        return None;
    }
    Some(match fork {
        "" => Kind::Main { segment },
        _ => Kind::Beside { segment },
    })
}

/// Reads `16384`, `16384.1`, `16384_fsm` and `16384_vm.1`: number, part, and number of the file.
fn relation(name: &str) -> Option<(&str, &str, u32)> {
    let (name, segment) = match name.split_once('.') {
        Some((name, segment)) => (name, segment.parse().ok()?),
        None => (name, 0),
    };
    let (number, fork) = name.split_once('_').unwrap_or((name, ""));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && ["", "fsm", "vm", "init"].contains(&fork)).then_some((number, fork, segment))
}

/// Relations of one session only: `t3_16384` and the like.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix('t').and_then(|rest| rest.split_once('_')).is_some_and(|(session, rest)| {
        !session.is_empty() && session.bytes().all(|byte| byte.is_ascii_digit()) && relation(rest).is_some()
    })
}

/// Counts files and bytes.
pub(super) fn size(found: &[Found]) -> (u64, u64) {
    found.iter().fold((0, 0), |(files, bytes), found| match &found.what {
        What::File(_) => (files + 1, bytes + found.metadata.len()),
        What::Directory(inside) => {
            let (more, larger) = size(inside);
            (files + more, bytes + larger)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_manual_leaves_out_is_left_out() {
        let unlogged = BTreeSet::from(["16390".to_owned()]);
        let kind = |place, name| file(place, name, &unlogged);
        for name in [
            "t3_16384",
            "t3_16384_fsm",
            "t12_16384.1",
            "16390",
            "16390_fsm",
            "16390.2",
            "pg_internal.init",
            "pg_internal.init.4711",
        ] {
            assert_eq!(kind(Place::Relations, name), None, "{name}");
        }
        assert_eq!(kind(Place::Relations, "16384"), Some(Kind::Main { segment: 0 }));
        assert_eq!(kind(Place::Relations, "16384.3"), Some(Kind::Main { segment: 3 }));
        assert_eq!(kind(Place::Relations, "16384_vm.1"), Some(Kind::Beside { segment: 1 }));
        assert_eq!(kind(Place::Relations, "16390_init"), Some(Kind::Beside { segment: 0 }));
        assert_eq!(kind(Place::Relations, "pg_control"), Some(Kind::Control));
        for name in ["PG_VERSION", "pg_filenode.map", "t_x", "16384_x", "16384.x"] {
            assert_eq!(kind(Place::Relations, name), Some(Kind::Plain), "{name}");
        }
        for name in ["postmaster.pid", "backup_label", "recovery.signal"] {
            assert_eq!(kind(Place::Data, name), None, "{name}");
            assert_eq!(kind(Place::Other, name), Some(Kind::Plain), "{name}");
        }
        assert_eq!(directory(Place::Data, "pg_wal", "15"), Some(None));
        assert_eq!(directory(Place::Other, "pg_wal", "15"), Some(Some(Place::Other)));
        assert_eq!(directory(Place::Relations, "pgsql_tmp", "15"), None);
        assert_eq!(directory(Place::Tablespace, "PG_15_202209061", "15"), Some(Some(Place::Databases)));
        assert_eq!(directory(Place::Tablespace, "PG_16_202307071", "15"), None);
    }
}
