//! What two backups are told to differ in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::Cancel;
use larder_repository::{Alteration, Listed, Repository, Snapshot};
use larder_storage::Local;
use larder_testbed::{Call, FaultyStorage};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use support::Bench;

/// Lists what differs between a backup and the other one there is: `+ path`, `- path`, `~ path`, `m path`.
fn told(repository: &Repository, first: &Snapshot) -> Vec<String> {
    let snapshots = repository.snapshots().unwrap();
    let other = snapshots.iter().find(|other| other.id != first.id).unwrap_or(first);
    let before = repository.browse(first, &Cancel::new()).unwrap();
    let after = before.beside(other);
    let mut told = Vec::new();
    let visited = before.compare(&after, &mut |one| {
        let sign = match one.how {
            Alteration::Added => '+',
            Alteration::Removed => '-',
            Alteration::Content => '~',
            Alteration::Metadata => 'm',
        };
        assert_eq!(one.before.is_some(), one.how != Alteration::Added);
        assert_eq!(one.after.is_some(), one.how != Alteration::Removed);
        told.push(format!("{sign} {}", String::from_utf8_lossy(one.path)));
        ControlFlow::Continue(())
    });
    visited.unwrap();
    told
}

#[test]
fn everything_that_differs_is_told_once_and_nothing_else() {
    let bench = Bench::new();
    let source = bench.path("source");
    for directory in ["same", "changing/below", "goes/deep"] {
        fs::create_dir_all(source.join(directory)).unwrap();
    }
    for file in ["same/a", "changing/same", "changing/below/bytes", "changing/mode", "goes/deep/x", "file"] {
        fs::write(source.join(file), file).unwrap();
    }
    symlink("same", source.join("link")).unwrap();
    let (repository, _) = bench.local("repository");
    bench.back_up(std::slice::from_ref(&repository), &source);
    let first = repository.snapshots().unwrap().remove(0);
    assert_eq!(told(&repository, &first), [""; 0]);

    fs::write(source.join("changing/below/bytes"), "others").unwrap();
    fs::set_permissions(source.join("changing/mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(source.join("new/deep")).unwrap();
    fs::write(source.join("new/deep/y"), "y").unwrap();
    fs::remove_dir_all(source.join("goes")).unwrap();
    fs::remove_file(source.join("link")).unwrap();
    symlink("changing", source.join("link")).unwrap();
    // A file becomes a directory with something in it.
    fs::remove_file(source.join("file")).unwrap();
    fs::create_dir(source.join("file")).unwrap();
    fs::write(source.join("file/inside"), "in").unwrap();
    bench.back_up(std::slice::from_ref(&repository), &source);
    let expected = [
        "~ changing/below/bytes",
        "m changing/mode",
        "- file",
        "+ file",
        "+ file/inside",
        "- goes",
        "- goes/deep",
        "- goes/deep/x",
        "~ link",
        "+ new",
        "+ new/deep",
        "+ new/deep/y",
    ];
    assert_eq!(told(&repository, &first), expected);
}

#[test]
fn what_is_the_same_in_both_is_not_read() {
    let bench = Bench::new();
    let source = bench.path("source");
    for number in 0..200 {
        let directory = source.join(format!("folder{number}"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), format!("{number}").repeat(40)).unwrap();
    }
    let inner = Arc::new(Local::create(bench.path("repository")).unwrap());
    let storage = FaultyStorage::new(inner);
    let repository = bench.create(storage.clone());
    bench.back_up(std::slice::from_ref(&repository), &source);
    let first = repository.snapshots().unwrap().remove(0);
    fs::write(source.join("folder7/file"), "changed").unwrap();
    bench.back_up(std::slice::from_ref(&repository), &source);
    let reads = || storage.count(Call::Get) + storage.count(Call::GetRange);
    let before = reads();
    assert_eq!(told(&repository, &first), ["~ folder7/file"]);
    // Snapshots and index; then the blocks of trees, of which there are two backups' worth of packs.
    assert!(reads() - before <= 12, "{} reads", reads() - before);
}

#[test]
fn a_directory_is_listed_by_itself() {
    let bench = Bench::new();
    let source = bench.path("source");
    fs::create_dir_all(source.join("docs/deep")).unwrap();
    fs::write(source.join("docs/readme"), "text").unwrap();
    let (repository, _) = bench.local("repository");
    bench.back_up(std::slice::from_ref(&repository), &source);
    let snapshot = repository.snapshots().unwrap().remove(0);
    let browser = repository.browse(&snapshot, &Cancel::new()).unwrap();
    let names = |path: &str| match browser.entries(path.as_bytes()).unwrap().unwrap() {
        Listed::Directory(entries) => {
            entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect()
        }
        Listed::Other(entry) => vec![format!("{} bytes", entry.metadata.size)],
    };
    assert_eq!(names(""), ["docs"]);
    assert_eq!(names("/docs/"), ["deep", "readme"]);
    assert_eq!(names("docs/readme"), ["4 bytes"]);
    for nothing in ["docs/nothing", "docs/readme/below", "nothing"] {
        assert_eq!(browser.entries(nothing.as_bytes()).unwrap(), None, "{nothing}");
    }
}
