//! Where the database vendors' programs lie on this host.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How much the vendors' programs step back behind others, unless said otherwise.
pub(crate) const NICENESS: u8 = 10;

/// Where Debian keeps every version of PostgreSQL's own programs; those of `/usr/bin` only choose among them.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Where programs lie on most hosts.
const USUAL: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Lists the directories, the first that is looked into first: those that are named, those of packages, those of `PATH`.
pub(crate) fn directories(named: &[PathBuf], path: Option<&OsStr>) -> Vec<PathBuf> {
    let search: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    let all = named.iter().cloned().chain(versions(Path::new(POSTGRESQL))).chain(search);
    let mut seen = BTreeSet::new();
    all.chain(USUAL.map(PathBuf::from)).filter(|one| one.is_absolute() && seen.insert(one.clone())).collect()
}

/// Lists `VERSION/bin` below a directory.
fn versions(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    found.retain(|bin| bin.is_dir());
    found.sort();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_directories_come_first_and_none_comes_twice() {
        let found = directories(&["/opt/bin".into()], Some(OsStr::new("/usr/bin:relative:/opt/bin:/home/x")));
        let of_packages = found.iter().filter(|one| one.starts_with(POSTGRESQL)).count();
        let mut others = found.iter().filter(|one| !one.starts_with(POSTGRESQL));
        assert_eq!(others.next(), Some(&"/opt/bin".into()));
        assert_eq!(others.next(), Some(&"/usr/bin".into()));
        assert_eq!(others.next(), Some(&"/home/x".into()));
        assert_eq!(found.len() - of_packages, 2 + USUAL.len());
    }

    #[test]
    fn every_version_of_a_package_is_found_the_last_first() {
        let directory = larder_testbed::TempDir::new();
        for version in ["15/bin", "16/bin", "17"] {
            std::fs::create_dir_all(directory.join(version)).unwrap();
        }
        assert_eq!(versions(directory.path()), [directory.join("16/bin"), directory.join("15/bin")]);
    }
}
