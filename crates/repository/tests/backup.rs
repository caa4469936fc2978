//! What the writer promises whatever destinations and sources do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{
    BackupWriter, BlobKind, Compression, ObjectKind, Presence, Repository, RepositoryError, Seal, probe,
};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{Call, Fault, MemoryStorage, Random};
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;
use support::made::{Breaking, InMemory, add_all, content, directory_entry, file_entry, memory};

/// Reads every blob that every backup needs.
fn read_everything(repository: &Repository) -> usize {
    fn descend(
        repository: &Repository,
        index: &larder_repository::Index,
        tree: &larder_repository::Id,
    ) -> usize {
        let tree = repository.load_tree(index, tree).unwrap();
        let mut blobs = 1;
        for node in &tree.nodes {
            let size: usize = node
                .content
                .iter()
                .map(|id| repository.load_blob(index, BlobKind::Data, id).unwrap().len())
                .sum();
            assert_eq!(size as u64, node.entry.metadata.size);
            blobs +=
                node.content.len() + node.subtree.map_or(0, |subtree| descend(repository, index, &subtree));
        }
        blobs
    }
    let index = repository.load_index(&Cancel::new()).unwrap();
    repository.snapshots().unwrap().iter().map(|snapshot| descend(repository, &index, &snapshot.tree)).sum()
}

#[test]
fn packs_come_before_the_index_and_the_index_before_the_snapshot() {
    let bench = Bench::new();
    let (storage, _) = memory();
    let repository = bench.create(storage.clone());
    storage.forget_calls();
    let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
    add_all(&mut writer, 1).unwrap();
    writer.finish(Seal::default()).unwrap();
    let written: Vec<String> =
        storage.calls().into_iter().filter(|(call, _)| *call == Call::Put).map(|(_, path)| path).collect();
    let rank =
        |path: &String| ["data/", "index/", "snapshots/"].iter().position(|folder| path.starts_with(folder));
    assert!(written.iter().map(rank).is_sorted(), "{written:#?}");
    assert_eq!(written.iter().filter(|path| path.starts_with("snapshots/")).count(), 1);
    assert!(read_everything(&repository) > 100);
}

#[test]
fn a_failure_of_any_write_leaves_no_snapshot_and_needs_no_repair() {
    let bench = Bench::new();
    let (storage, _) = memory();
    let repository = bench.create(storage.clone());
    let mut backups = 0;
    for nth in 1.. {
        storage.heal();
        let fault = if nth % 2 == 0 {
            Fault::Fail(StorageErrorKind::Full)
        } else {
            Fault::FailAfter(StorageErrorKind::Other)
        };
        storage.on_call(Call::Put, nth, fault);
        let targets = std::slice::from_ref(&repository);
        let counters = Arc::new(Counters::default());
        let started = BackupWriter::start(targets, bench.options(), Cancel::new(), counters);
        let outcome = started.and_then(|mut writer| {
            add_all(&mut writer, nth)?;
            writer.finish(Seal::default())
        });
        storage.heal();
        match outcome {
            Ok(summary) => {
                assert!(summary.targets[0].snapshot.is_ok());
                assert!(nth > 6, "lock, packs, index and snapshot are written");
                break;
            }
            Err(error) => assert!(matches!(error, RepositoryError::Storage(_)), "{error}"),
        }
        // A snapshot whose write reported failure after the fact may be there, and is then whole.
        let snapshots = repository.snapshots().unwrap().len();
        assert!(snapshots <= backups + 1);
        backups = snapshots;
        assert!(nth < 50);
    }
    read_everything(&repository);
}

#[test]
fn a_failing_destination_is_left_out_and_the_others_finish() {
    let bench = Bench::new();
    let (good, _) = memory();
    let (bad, _) = memory();
    let first = bench.create(good);
    let second = first.create_twin(bad.clone(), &Bench::credentials()).unwrap();
    bad.always(Call::Put, "data/", Fault::Fail(StorageErrorKind::Full));
    let mut writer = bench.writer(&[second.clone(), first.clone()], bench.options());
    add_all(&mut writer, 1).unwrap();
    let summary = writer.finish(Seal::default()).unwrap();
    let error = summary.targets[0].snapshot.as_ref().unwrap_err().to_string();
    assert!(error.contains("free space"), "{error}");
    assert!(summary.targets[1].snapshot.is_ok());
    read_everything(&first);
    bad.heal();
    assert_eq!(second.snapshots().unwrap(), []);
    // The next run brings it what it lacks, and writes nothing anew at the other but its snapshot.
    let mut writer = bench.writer(&[second.clone(), first], bench.options());
    add_all(&mut writer, 1).unwrap();
    let summary = writer.finish(Seal::default()).unwrap();
    assert!(summary.targets[0].bytes_stored > 40 << 20);
    assert_eq!(summary.targets[1].bytes_stored, 0);
    read_everything(&second);
}

#[test]
fn all_destinations_get_the_same_packs_from_one_reading() {
    let bench = Bench::new();
    let ((one, one_objects), (two, two_objects), (own_key, own_objects)) = (memory(), memory(), memory());
    let first = bench.create(one);
    let second = first.create_twin(two, &Bench::credentials()).unwrap();
    let third = bench.create(own_key);
    let mut writer = bench.writer(&[first.clone(), second.clone(), third.clone()], bench.options());
    add_all(&mut writer, 3).unwrap();
    let summary = writer.finish(Seal::default()).unwrap();
    assert!(summary.targets.iter().all(|target| target.snapshot.is_ok()));
    assert_eq!(summary.bytes_read, summary.bytes_processed);
    let packs = |objects: &MemoryStorage| -> Vec<String> {
        objects.with_objects(|objects| {
            objects.keys().filter(|path| path.starts_with("data/")).cloned().collect()
        })
    };
    assert_eq!(packs(&one_objects), packs(&two_objects));
    assert!(
        packs(&own_objects).iter().all(|pack| !packs(&one_objects).contains(pack)),
        "another key, other packs"
    );
    for repository in [first, second, third] {
        read_everything(&repository);
    }
}

#[test]
fn a_stream_that_breaks_off_is_no_backup() {
    let bench = Bench::new();
    let repository = bench.create(Arc::new(MemoryStorage::new()));
    let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
    let mut stream = Breaking(Cursor::new(vec![3; 3 << 20]));
    let error = writer.stream(file_entry("dump.sql", 0), &mut stream, None).unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert!(writer.finish(Seal::default()).is_err());
    assert_eq!(repository.snapshots().unwrap(), []);
}

#[test]
fn a_stream_that_is_taken_back_leaves_nothing_and_the_backup_goes_on() {
    let bench = Bench::new();
    let (repository, restic) = bench.local("repository");
    let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
    let bytes = Random::new(7).bytes(5 << 20);
    for page_bytes in [Some(4096), None] {
        let broken = || Breaking(Cursor::new(bytes.clone()));
        let entry = || file_entry("shop.db", bytes.len() as u64);
        assert_eq!(writer.stream_unless(entry(), &mut broken(), page_bytes, &|| true).unwrap(), None);
    }
    let entry = file_entry("shop.db", bytes.len() as u64);
    let streamed = writer.stream_unless(entry, &mut &bytes[..], Some(4096), &|| true).unwrap();
    assert_eq!(streamed, Some(bytes.len() as u64), "what ends well is not asked about");
    writer.finish(Seal::default()).unwrap();
    restic.check_read_data();
    assert_eq!(read_everything(&repository), 1 + bytes.len().div_ceil(8192));
    let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
    let entry = file_entry("shop.db", 1);
    let error = writer.stream_unless(entry, &mut Breaking(Cursor::new(bytes.clone())), None, &|| false);
    assert!(matches!(error, Err(RepositoryError::Source { .. })), "{error:?}");
}

#[test]
fn files_that_cannot_be_read_are_named_and_the_rest_is_kept() {
    let bench = Bench::new();
    let repository = bench.create(Arc::new(MemoryStorage::new()));
    let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
    writer.enter(directory_entry("d")).unwrap();
    let closed = InMemory { bytes: Vec::new(), opens: false, breaks: false };
    writer.file(file_entry("closed", 1), Box::new(closed)).unwrap();
    for bytes in [10, 9 << 20] {
        let breaking = InMemory { bytes: Random::new(8).bytes(bytes), opens: true, breaks: true };
        writer.file(file_entry(&format!("breaks{bytes}"), 1), Box::new(breaking)).unwrap();
    }
    writer.file(file_entry("good", 999), content(vec![1; 5])).unwrap();
    writer.leave().unwrap();
    writer.unreadable("/source/secret", "permission denied");
    let summary = writer.finish(Seal::default()).unwrap();
    assert_eq!(summary.unreadable.len(), 4, "{:?}", summary.unreadable);
    let snapshots = repository.snapshots().unwrap();
    let index = repository.load_index(&Cancel::new()).unwrap();
    let root = repository.load_tree(&index, &snapshots[0].tree).unwrap();
    let tree = repository.load_tree(&index, &root.nodes[0].subtree.unwrap()).unwrap();
    assert_eq!(tree.nodes.len(), 1);
    assert_eq!(tree.nodes[0].entry.name, b"good");
    assert_eq!(tree.nodes[0].entry.metadata.size, 5, "the size is what was read, not what was announced");
}

/// Gives bytes for ever.
struct Endless(Random);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.bytes(buffer.len().min(1 << 20));
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

#[test]
fn an_abort_takes_less_than_a_second_and_leaves_no_snapshot() {
    let bench = Bench::new();
    for hang in [false, true] {
        let (storage, _) = memory();
        let repository = bench.create(storage.clone());
        if hang {
            storage.always(Call::Put, "data/", Fault::Hang);
        }
        let cancel = Cancel::new();
        let counters = Arc::new(Counters::default());
        let targets = std::slice::from_ref(&repository);
        let mut writer = BackupWriter::start(targets, bench.options(), cancel.clone(), counters).unwrap();
        let aborted = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            cancel.cancel();
            Instant::now()
        });
        let error = writer.stream(file_entry("endless", 0), &mut Endless(Random::new(1)), None).unwrap_err();
        assert!(error.is_canceled(), "{error}");
        drop(writer);
        let taken = aborted.join().unwrap().elapsed();
        assert!(taken < Duration::from_secs(1), "{taken:?}");
        storage.heal();
        assert_eq!(repository.snapshots().unwrap(), []);
    }
}

#[test]
fn what_an_aborted_backup_stored_is_not_sent_again() {
    let bench = Bench::new();
    let repository = bench.create(Arc::new(MemoryStorage::new()));
    let targets = std::slice::from_ref(&repository);
    let bytes = Random::new(8).bytes(96 << 20);
    let mut writer = bench.writer(targets, bench.options());
    writer.stream(file_entry("large", 0), &mut Cursor::new(&bytes), None).unwrap();
    drop(writer);
    assert_eq!(repository.snapshots().unwrap(), []);
    let index = repository.load_index(&Cancel::new()).unwrap();
    assert!(!index.packs().is_empty(), "the index names what is durable");
    let mut writer = bench.writer(targets, bench.options());
    writer.stream(file_entry("large", 0), &mut Cursor::new(&bytes), None).unwrap();
    let summary = writer.finish(Seal::default()).unwrap();
    // What was on its way, or in a pack that was not full, is sent once more.
    assert!(summary.targets[0].bytes_stored < 80 << 20, "{}", summary.targets[0].bytes_stored);
    read_everything(&repository);
}

#[test]
fn an_abort_at_the_end_leaves_no_snapshot_either() {
    let bench = Bench::new();
    let (storage, _) = memory();
    let repository = bench.create(storage.clone());
    storage.always(Call::Put, "index/", Fault::Hang);
    let cancel = Cancel::new();
    let targets = std::slice::from_ref(&repository);
    let counters = Arc::new(Counters::default());
    let mut writer = BackupWriter::start(targets, bench.options(), cancel.clone(), counters).unwrap();
    add_all(&mut writer, 4).unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        cancel.cancel();
    });
    assert!(writer.finish(Seal::default()).unwrap_err().is_canceled());
    storage.heal();
    assert_eq!(repository.snapshots().unwrap(), []);
}

#[test]
fn a_writer_that_is_dropped_leaves_no_snapshot() {
    let bench = Bench::new();
    let repository = bench.create(Arc::new(MemoryStorage::new()));
    let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
    add_all(&mut writer, 5).unwrap();
    drop(writer);
    assert_eq!(repository.snapshots().unwrap(), []);
}

#[test]
fn known_blobs_are_known_only_from_the_index_of_now() {
    let bench = Bench::new();
    let (storage, objects) = memory();
    let repository = bench.create(storage);
    let run = |seed| {
        let mut writer = bench.writer(std::slice::from_ref(&repository), bench.options());
        add_all(&mut writer, seed).unwrap();
        writer.finish(Seal::default()).unwrap()
    };
    let first = run(6);
    let again = run(6);
    assert_eq!(again.bytes_new, 0);
    assert_eq!(again.files_unchanged, 101, "all but the stream");
    objects.with_objects(|objects| objects.retain(|path, _| !path.starts_with("index/")));
    let after = run(6);
    assert_eq!(after.bytes_new, first.bytes_new, "without an index everything is stored again");
    assert_eq!(after.files_unchanged, 0);
}

#[test]
fn every_compression_gives_back_what_went_in() {
    let bench = Bench::new();
    for compression in
        [Compression::Fastest, Compression::Optimal, Compression::SmallestSize, Compression::NoCompression]
    {
        let repository = bench.create(Arc::new(MemoryStorage::new()));
        let mut options = bench.options();
        options.compression = compression;
        options.threads = 3;
        let mut writer = bench.writer(std::slice::from_ref(&repository), options);
        let text = b"all work and no play makes jack a dull boy\n".repeat(300_000);
        writer.stream(file_entry("text", 0), &mut Cursor::new(&text), None).unwrap();
        writer.stream(file_entry("pages", 0), &mut Cursor::new(&text), Some(8192)).unwrap();
        writer.file(file_entry("zeros", 0), content(vec![0; 50 << 20])).unwrap();
        let summary = writer.finish(Seal::default()).unwrap();
        assert_eq!(summary.bytes_processed, 2 * text.len() as u64 + (50 << 20));
        assert!(read_everything(&repository) > 100);
    }
}

#[test]
fn what_is_at_a_destination_is_told_apart() {
    let bench = Bench::new();
    let objects = Arc::new(MemoryStorage::new());
    let handle = bench.runtime.handle();
    let create = || Repository::create(handle, objects.clone(), &Bench::credentials(), bench.clock.clone());
    let open = || Repository::open(handle, objects.clone(), &Bench::credentials(), bench.clock.clone());
    assert_eq!(probe(handle, &*objects).unwrap(), Presence::Empty);
    assert!(matches!(open(), Err(RepositoryError::NotARepository { .. })));
    // A creation that broke off left a key file; that hinders nobody.
    let stale = bench.create(Arc::new(MemoryStorage::new()));
    let (key, _) = stale.list(ObjectKind::Key).unwrap()[0];
    let path = ObjectKind::Key.path(&key);
    let _ = stale;
    bench.runtime.block_on(objects.put(&path, bytes::Bytes::from_static(b"{}"))).unwrap();
    assert_eq!(probe(handle, &*objects).unwrap(), Presence::Empty);
    create().unwrap();
    assert_eq!(probe(handle, &*objects).unwrap(), Presence::Repository);
    assert!(matches!(create(), Err(RepositoryError::Exists { .. })));
    open().unwrap();
    objects.with_objects(|objects| objects.clear());
    bench.runtime.block_on(objects.put("photo.jpg", bytes::Bytes::from_static(b"x"))).unwrap();
    assert_eq!(probe(handle, &*objects).unwrap(), Presence::Foreign { example: "photo.jpg".to_owned() });
    let refused = create().unwrap_err().to_string();
    assert!(refused.contains("photo.jpg"), "{refused}");
    assert!(matches!(open(), Err(RepositoryError::Foreign { .. })));
}
