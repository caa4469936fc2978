//! Looks for SQLite databases on this host: what running programs have open, and where applications keep theirs.

use super::discover::ENDINGS;
use super::header::MAGIC;
use crate::engine::FoundSource;
use crate::held::CarefulFile;
use crate::listening::{descriptors, processes};
use larder_model::{DatabaseName, EngineKind, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where applications and people keep theirs.
const USUAL: [&str; 5] = ["/srv", "/var/lib", "/opt", "/var/www", "/home"];

/// So deep it is looked below those, and at no more entries than this in all: a person waits for the answer.
const DEPTH: u32 = 4;
const MOST_ENTRIES: usize = 50_000;

/// What the system makes anew by itself, and what programs keep only to be quicker.
const NOBODYS: [&str; 14] = [
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/dnf",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/flatpak",
    "/var/lib/snapd",
    "/var/lib/PackageKit",
    "/var/lib/command-not-found",
    "/var/lib/colord",
    "/var/lib/fwupd",
    "/var/lib/gdm3",
];

pub(super) fn find() -> Vec<FoundSource> {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut left = MOST_ENTRIES;
    for root in USUAL {
        look_below(Path::new(root), DEPTH, &mut left, &mut |path| {
            files.insert(path, "a SQLite database lies there".to_owned());
        });
    }
    let own = std::process::id().to_string();
    for (process, program) in processes(Path::new("/proc")) {
        if process.file_name().is_some_and(|number| *number == *own) {
            continue;
        }
        for path in descriptors(&process).into_iter().filter(|path| is_named_so(path) && is_database(path)) {
            files.insert(path, format!("{program} has a SQLite database open there"));
        }
    }
    files.retain(|path, _| !NOBODYS.iter().any(|nobodys| path.starts_with(nobodys)) && !is_passing(path));
    proposed(&files)
}

/// Makes sources of files: the directory that they lie in, so that tomorrow's are found, too; a file alone where that is a
/// place for many things.
fn proposed(files: &BTreeMap<PathBuf, String>) -> Vec<FoundSource> {
    let place = |path: &Path| match path.parent() {
        Some(parent) if parent.components().count() > 2 && !is_of_many(parent) => parent.to_owned(),
        _ => path.to_owned(),
    };
    let mut places: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for (path, reason) in files {
        places.entry(place(path)).or_insert(reason);
    }
    let all: BTreeSet<PathBuf> = places.keys().cloned().collect();
    let is_below_another = |path: &Path| path.ancestors().skip(1).any(|above| all.contains(above));
    places
        .iter()
        .filter(|(path, _)| !is_below_another(path))
        .filter_map(|(path, reason)| {
            let name = DatabaseName::from_lossy(&path.file_name()?.to_string_lossy());
            let source = Source::new(name, EngineKind::Sqlite, path.to_str()?.to_owned());
            Some(FoundSource { source, reason: (*reason).to_owned() })
        })
        .collect()
}

/// Says whether a directory is somebody's home, or holds what many programs put there.
fn is_of_many(directory: &Path) -> bool {
    directory.parent() == Some(Path::new("/home")) || USUAL.iter().any(|usual| directory == Path::new(usual))
}

/// Says whether a file will be gone soon, or is kept only to be quicker.
fn is_passing(path: &Path) -> bool {
    const PASSING: [&str; 6] = ["/proc", "/dev", "/run", "/tmp", "/var/tmp", "/var/cache"];
    let is_hidden = |part: std::path::Component<'_>| part.as_os_str().as_bytes().starts_with(b".");
    PASSING.iter().any(|passing| path.starts_with(passing)) || path.components().any(is_hidden)
}

fn look_below(directory: &Path, depth: u32, left: &mut usize, found: &mut dyn FnMut(PathBuf)) {
    let mut below = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != *"node_modules" => below.push(path),
            Ok(kind) if kind.is_file() && is_named_so(&path) && is_database(&path) => found(path),
            _ => {}
        }
    }
    if depth > 1 {
        below.retain(|path| !is_passing(path) && !NOBODYS.iter().any(|nobodys| path.starts_with(nobodys)));
        below.sort();
        for path in below {
            look_below(&path, depth - 1, left, found);
        }
    }
}

fn is_named_so(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes().to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_database(path: &Path) -> bool {
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut found = [0; MAGIC.len()];
    CarefulFile::open(path).and_then(|mut file| file.read_exact(&mut found)).is_ok() && found == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_proposed_and_files_alone_where_the_directory_is_everybodys() {
        let files = [
            "/srv/app/shop.db",
            "/srv/app/data/stock.db",
            "/srv/alone.db",
            "/home/me/notes.sqlite",
            "/home/me/x/y.db",
        ];
        let files = files.map(|path| (PathBuf::from(path), "found".to_owned())).into();
        let found: Vec<String> = proposed(&files).into_iter().map(|one| one.source.address).collect();
        assert_eq!(found, ["/home/me/notes.sqlite", "/home/me/x", "/srv/alone.db", "/srv/app"]);
    }

    #[test]
    fn what_is_hidden_or_will_soon_be_gone_is_not_proposed() {
        for path in ["/home/me/.config/app/x.db", "/run/x.db", "/var/cache/man/x.db", "/proc/1/x.db"] {
            assert!(is_passing(Path::new(path)), "{path}");
        }
        assert!(!is_passing(Path::new("/var/lib/grafana/grafana.db")));
    }
}
