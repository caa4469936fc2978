//! What the system's tar makes of the archives that backups are written as.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{ArchiveSummary, Repository, RepositoryError};
use larder_storage::{Local, StorageErrorKind};
use larder_testbed::{Call, Fault, FaultyStorage, Random, TreeShape, compare_trees};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::Bench;

fn write_archive(
    repository: &Repository,
    path: Option<&[u8]>,
    out: &mut dyn Write,
) -> Result<ArchiveSummary, RepositoryError> {
    let snapshot = repository.snapshots().unwrap().pop().unwrap();
    let browser = repository.browse(&snapshot, &Cancel::new()).unwrap();
    browser.write_archive(path, out, &Counters::default())
}

/// Has tar extract what is streamed into it.
fn extract(repository: &Repository, path: Option<&[u8]>, target: &Path) -> ArchiveSummary {
    fs::create_dir(target).unwrap();
    let mut tar = Command::new("tar")
        .args([
            "--extract",
            "--warning=no-timestamp",
            "--xattrs",
            "--xattrs-include=*",
            "--same-owner",
            "--preserve-permissions",
        ])
        .arg("--directory")
        .arg(target)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let summary = write_archive(repository, path, &mut tar.stdin.take().unwrap()).unwrap();
    let output = tar.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    summary
}

#[test]
fn tar_extracts_every_shape_of_tree_as_it_was() {
    let bench = Bench::new();
    for shape in TreeShape::ALL {
        let source = bench.path(&format!("{}-source", shape.name));
        fs::create_dir(&source).unwrap();
        shape.build(&source);
        let (repository, _) = bench.local(shape.name);
        bench.back_up(std::slice::from_ref(&repository), &source);
        let target = bench.path(&format!("{}-target", shape.name));
        let summary = extract(&repository, None, &target);
        let left_out = summary.warnings.len();
        let different = compare_trees(&source, &target);
        assert_eq!(different.len(), left_out, "{}: {different:?} {:?}", shape.name, summary.warnings);
    }
}

#[test]
fn a_part_of_a_backup_is_an_archive_of_its_own() {
    let bench = Bench::new();
    let source = bench.path("source");
    let deep = source.join("n".repeat(90)).join("m".repeat(90));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("large"), Random::new(1).bytes(9 << 20)).unwrap();
    fs::hard_link(deep.join("large"), deep.join("other")).unwrap();
    let (repository, _) = bench.local("r");
    bench.back_up(std::slice::from_ref(&repository), &source);
    let path = format!("{}/{}", "n".repeat(90), "m".repeat(90));
    let summary = extract(&repository, Some(path.as_bytes()), &bench.path("inside"));
    assert_eq!(compare_trees(&deep, &bench.path("inside")), [""; 0]);
    assert_eq!((summary.files, summary.bytes), (2, 9 << 20));
    extract(&repository, Some(format!("{path}/other").as_bytes()), &bench.path("one"));
    assert!(fs::read(bench.path("one/other")).unwrap() == fs::read(deep.join("large")).unwrap());
    extract(&repository, None, &bench.path("all"));
    assert_eq!(compare_trees(&source, &bench.path("all")), [""; 0]);
}

#[test]
fn an_archive_that_cannot_be_completed_is_an_error_and_not_a_whole_archive() {
    let bench = Bench::new();
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("large"), Random::new(1).bytes(30 << 20)).unwrap();
    bench.back_up(&[bench.local("r").0], &source);
    let storage = FaultyStorage::new(Arc::new(Local::open(bench.path("r")).unwrap()));
    let repository = bench.open(storage.clone());
    let mut sink = Vec::new();
    storage.on_call(Call::GetRange, 4, Fault::Fail(StorageErrorKind::NotFound));
    let error = write_archive(&repository, None, &mut sink).unwrap_err().to_string();
    assert!(error.contains("data/"), "{error}");
    let mut tar = Command::new("tar")
        .arg("--list")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = tar.stdin.take().unwrap().write_all(&sink);
    assert!(!tar.wait().unwrap().success());
    // A reader that goes away.
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = write_archive(&repository, None, &mut Gone).unwrap_err().to_string();
    assert!(error.contains("broken pipe"), "{error}");
}
