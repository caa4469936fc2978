//! Stock restic judges what the writer writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_repository::{ObjectKind, RepositoryError};
use larder_testbed::{Random, TreeShape, compare_trees_restored_by_restic};
use std::fs;
use support::Bench;

#[test]
fn restic_accepts_and_restores_every_shape() {
    for shape in TreeShape::ALL {
        let bench = Bench::new();
        let source = bench.path("source");
        fs::create_dir(&source).unwrap();
        shape.build(&source);
        let (repository, restic) = bench.local("repository");
        let first = bench.back_up(std::slice::from_ref(&repository), &source);
        let again = bench.back_up(std::slice::from_ref(&repository), &source);
        assert_eq!(
            (again.data_blobs_new, again.tree_blobs_new),
            (0, 0),
            "{shape:?}: an unchanged tree adds nothing"
        );
        assert_eq!(again.files_unchanged, first.files, "{shape:?}");
        assert_eq!(again.bytes_read, 0, "{shape:?}: an unchanged tree is not read");
        restic.check_read_data();
        let restored = bench.path("restored");
        fs::create_dir(&restored).unwrap();
        restic.restore("latest", &restored);
        let differences = compare_trees_restored_by_restic(&source, &restored);
        assert!(differences.is_empty(), "{shape:?}: {differences:#?}");
        let snapshots = repository.snapshots().unwrap();
        assert_eq!(snapshots[0].tree, snapshots[1].tree, "{shape:?}: the same tree has the same name");
    }
}

#[test]
fn restic_finds_our_trees_already_there_and_writes_beside_us() {
    let bench = Bench::new();
    let source = bench.path("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    for number in 0..300 {
        fs::write(source.join(format!("a/b/{number:03} <&> ä\n")), format!("file {number}")).unwrap();
    }
    fs::write(source.join("large"), Random::new(4).bytes(20 << 20)).unwrap();
    let (repository, restic) = bench.local("repository");
    bench.back_up(std::slice::from_ref(&repository), &source);
    let trees_before = restic.list("blobs").iter().filter(|line| line.starts_with("tree")).count();
    let mut command = restic.command(["backup", "."]);
    assert!(command.env("TZ", "UTC").current_dir(&source).status().unwrap().success());
    let blobs = restic.list("blobs");
    let trees_after = blobs.iter().filter(|line| line.starts_with("tree")).count();
    // Only the root differs, for restic cuts the large file elsewhere; a/b and its 300 names are byte for byte ours.
    assert_eq!(trees_after, trees_before + 1, "{blobs:#?}");
    restic.check_read_data();
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(snapshots.len(), 2);
    assert_eq!(snapshots.iter().filter(|snapshot| snapshot.program_version.starts_with("larder")).count(), 1);
    bench.back_up(std::slice::from_ref(&repository), &source);
    restic.check_read_data();
}

#[test]
fn we_open_what_restic_made_and_restic_reads_what_we_add() {
    let bench = Bench::new();
    let path = bench.path("repository");
    let restic = larder_testbed::Restic::new(&path, support::PASSWORD);
    restic.init();
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("x"), vec![1; 100_000]).unwrap();
    restic.backup(&source);
    let storage = std::sync::Arc::new(larder_storage::Local::open(&path).unwrap());
    let repository = bench.open(storage);
    assert_eq!(repository.snapshots().unwrap().len(), 1);
    let summary = bench.back_up(std::slice::from_ref(&repository), &source);
    assert_eq!(summary.files_unchanged, 1, "a backup of restic's serves as parent");
    restic.check_read_data();
    let restored = bench.path("restored");
    restic.restore("latest", &restored);
    assert!(compare_trees_restored_by_restic(&source, &restored).is_empty());
    let index = repository.load_index(&larder_model::Cancel::new()).unwrap();
    let tree = repository.load_tree(&index, &repository.snapshots().unwrap()[1].tree).unwrap();
    let content =
        repository.load_blob(&index, larder_repository::BlobKind::Data, &tree.nodes[0].content[0]).unwrap();
    assert_eq!(content, vec![1; 100_000]);
}

#[test]
fn restic_needs_the_same_password() {
    let bench = Bench::new();
    let (repository, restic) = bench.local("repository");
    assert_eq!(restic.snapshots().len(), 0);
    assert_eq!(repository.list(ObjectKind::Key).unwrap().len(), 1);
    let wrong = larder_testbed::Restic::new(bench.path("repository"), "wrong");
    assert!(!wrong.command(["snapshots"]).output().unwrap().status.success());
    let storage = std::sync::Arc::new(larder_storage::Local::open(bench.path("repository")).unwrap());
    let credentials = larder_repository::Credentials::Password(larder_model::Secret::new("wrong".to_owned()));
    let refused = larder_repository::Repository::open(
        bench.runtime.handle(),
        storage,
        &credentials,
        bench.clock.clone(),
    );
    assert!(matches!(refused, Err(RepositoryError::WrongKey { .. })));
}
