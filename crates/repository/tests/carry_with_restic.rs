//! What a backup takes over from the one before, unread, is whole: stock restic checks and restores it alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_repository::{BackupWriter, Repository, RepositoryError, Seal};
use larder_testbed::{MemoryStorage, Random};
use std::fs;
use std::io::Cursor;
use std::sync::Arc;
use support::Bench;
use support::made::{content, directory_entry, file_entry};

/// A base with a directory in it, and a directory of logs.
fn base(writer: &mut BackupWriter) -> Vec<u8> {
    let dump = Random::new(7).bytes(3 << 20);
    writer.enter(directory_entry("base")).unwrap();
    writer.enter(directory_entry("tables")).unwrap();
    let small = content(b"rows".to_vec());
    writer.file(file_entry("orders", 4), small).unwrap();
    writer.leave().unwrap();
    writer.stream(file_entry("dump", 0), &mut Cursor::new(&dump), None).unwrap();
    writer.leave().unwrap();
    writer.enter(directory_entry("logs")).unwrap();
    writer.stream(file_entry("1", 0), &mut Cursor::new(b"first"), None).unwrap();
    writer.leave().unwrap();
    dump
}

#[test]
fn a_base_carried_over_with_a_new_log_is_a_whole_backup_of_its_own() {
    let bench = Bench::new();
    let (repository, restic) = bench.local("repository");
    let targets = std::slice::from_ref(&repository);
    let mut writer = bench.writer(targets, bench.options());
    let dump = base(&mut writer);
    let full = writer.finish(Seal::default()).unwrap();
    let mut writer = bench.writer(targets, bench.options());
    assert!(writer.carry(b"base").unwrap());
    assert!(!writer.carry(b"nothing").unwrap());
    writer.enter(directory_entry("logs")).unwrap();
    assert!(writer.carry(b"1").unwrap());
    writer.stream(file_entry("2", 0), &mut Cursor::new(b"second"), None).unwrap();
    writer.leave().unwrap();
    let incremental = writer.finish(Seal::default()).unwrap();
    assert_eq!((incremental.files, incremental.directories), (full.files + 1, full.directories));
    assert_eq!(incremental.bytes_processed, full.bytes_processed + 6);
    assert_eq!((incremental.bytes_read, incremental.data_blobs_new), (6, 1));
    // The one before is forgotten: the second stands alone.
    let first = full.targets[0].snapshot.as_ref().unwrap();
    let forgotten = restic.command(["forget", "--prune", &first.0]).output().unwrap();
    assert!(forgotten.status.success(), "{forgotten:?}");
    restic.check_read_data();
    let restored = bench.path("restored");
    restic.restore("latest", &restored);
    assert_eq!(fs::read(restored.join("base/dump")).unwrap(), dump);
    assert_eq!(fs::read(restored.join("base/tables/orders")).unwrap(), b"rows");
    assert_eq!(fs::read(restored.join("logs/1")).unwrap(), b"first");
    assert_eq!(fs::read(restored.join("logs/2")).unwrap(), b"second");
}

#[test]
fn a_directory_goes_on_from_one_of_another_name_that_stays_beside_it() {
    let bench = Bench::new();
    let (repository, restic) = bench.local("repository");
    let targets = std::slice::from_ref(&repository);
    let mut writer = bench.writer(targets, bench.options());
    let dump = base(&mut writer);
    writer.finish(Seal::default()).unwrap();
    let mut writer = bench.writer(targets, bench.options());
    assert!(writer.carry(b"base").unwrap());
    writer.enter_after(directory_entry("base-2"), b"base").unwrap();
    assert!(writer.carry(b"dump").unwrap());
    writer.enter(directory_entry("tables")).unwrap();
    assert!(writer.carry(b"orders").unwrap() && !writer.carry(b"dump").unwrap());
    writer.leave().unwrap();
    writer.leave().unwrap();
    writer.enter_after(directory_entry("base-3"), b"never").unwrap();
    assert!(!writer.carry(b"dump").unwrap());
    writer.leave().unwrap();
    let summary = writer.finish(Seal::default()).unwrap();
    assert_eq!((summary.bytes_read, summary.data_blobs_new), (0, 0));
    restic.check_read_data();
    let restored = bench.path("restored");
    restic.restore("latest", &restored);
    for name in ["base", "base-2"] {
        assert_eq!(fs::read(restored.join(name).join("dump")).unwrap(), dump);
        assert_eq!(fs::read(restored.join(name).join("tables/orders")).unwrap(), b"rows");
    }
}

#[test]
fn nothing_is_carried_to_a_destination_that_lacks_a_piece_of_it() {
    let bench = Bench::new();
    let first = bench.create(Arc::new(MemoryStorage::new()));
    let mut writer = bench.writer(std::slice::from_ref(&first), bench.options());
    base(&mut writer);
    writer.finish(Seal::default()).unwrap();
    let second = first.create_twin(Arc::new(MemoryStorage::new()), &Bench::credentials()).unwrap();
    let carried = |targets: &[Repository]| bench.writer(targets, bench.options()).carry(b"base");
    let refused = carried(&[first.clone(), second]).unwrap_err();
    assert!(matches!(refused, RepositoryError::NotCarried { .. }), "{refused}");
    assert!(refused.to_string().contains("base") && refused.to_string().contains("full"), "{refused}");
    assert!(carried(&[first]).unwrap());
}

#[test]
fn without_a_backup_before_there_is_nothing_to_carry() {
    let bench = Bench::new();
    let repository = bench.create(Arc::new(MemoryStorage::new()));
    assert!(!bench.writer(&[repository], bench.options()).carry(b"base").unwrap());
}

#[test]
fn a_file_that_is_the_same_is_taken_over_with_the_words_that_it_has_there() {
    let bench = Bench::new();
    let (repository, restic) = bench.local("repository");
    let targets = std::slice::from_ref(&repository);
    let worded = |name: &str, bytes: u64| {
        let mut entry = file_entry(name, bytes);
        entry.metadata.inode = 7;
        entry.metadata.xattrs = vec![(b"user.type".to_vec(), b"image/png".to_vec())];
        entry
    };
    let mut writer = bench.writer(targets, bench.options());
    assert!(!writer.carry_same(&worded("a", 4)).unwrap());
    writer.file(worded("a", 4), content(b"rows".to_vec())).unwrap();
    writer.file(worded("b", 4), content(b"rows".to_vec())).unwrap();
    writer.finish(Seal::default()).unwrap();
    let mut writer = bench.writer(targets, bench.options());
    let bare = |name: &str, inode: u64| {
        let mut entry = worded(name, 4);
        (entry.metadata.inode, entry.metadata.xattrs) = (inode, Vec::new());
        entry
    };
    assert!(writer.carry_same(&bare("a", 7)).unwrap());
    assert!(!writer.carry_same(&bare("b", 8)).unwrap(), "another inode is another file");
    assert!(!writer.carry_same(&bare("c", 7)).unwrap());
    let summary = writer.finish(Seal::default()).unwrap();
    assert_eq!((summary.files, summary.files_unchanged, summary.bytes_read), (1, 1, 0));
    restic.check_read_data();
    let ask = |arguments: [&str; 3]| {
        let output = restic.command(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let snapshot = ask(["cat", "snapshot", &summary.targets[0].snapshot.as_ref().unwrap().0]);
    let tree = snapshot.split("\"tree\": \"").nth(1).unwrap().split('"').next().unwrap();
    let nodes = ask(["cat", "blob", tree]);
    assert!(nodes.contains("\"a\"") && nodes.contains("user.type"), "{nodes}");
}
