//! What the engine of file trees promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use larder_engines::{
    BackupJob, BackupReport, CompareJob, Comparison, Engine, EngineError, Files, RestoreJob, RestoreTarget,
};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, Database, EngineKind, Source};
use larder_testbed::{SmallDisk, TempDir, TreeShape, compare_trees};
use memory::{MemoryBackup, database, source};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

fn tree() -> (TempDir, Source) {
    let directory = TempDir::new();
    fs::create_dir(directory.join("tree")).unwrap();
    let source = source(EngineKind::Files, &directory.join("tree"));
    (directory, source)
}

fn write(directory: &TempDir, name: &str, content: &str) {
    let path = directory.join("tree").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn try_backup(
    source: &Source,
    own: &[PathBuf],
    cancel: &Cancel,
) -> Result<(MemoryBackup, BackupReport), EngineError> {
    let (mut sink, counters) = (MemoryBackup::default(), Counters::default());
    let job = BackupJob {
        source,
        database: &database(source, &source.address),
        kind: BackupKind::Full,
        backup_type: BackupType::default(),
        previous: None,
        chain: "test",
        staging: Path::new("/nonexistent"),
        own_directories: own,
        cancel,
        counters: &counters,
    };
    let report = Files::default().backup(&job, &mut sink)?;
    let files =
        sink.entries.iter().filter(|(listed, _)| listed.entry.kind != larder_model::EntryKind::Directory);
    assert_eq!(counters.items_total.load(Ordering::Relaxed), files.count() as u64);
    Ok((sink, report))
}

fn backup(source: &Source) -> (MemoryBackup, BackupReport) {
    let (sink, report) = try_backup(source, &[], &Cancel::new()).unwrap();
    assert!(sink.unreadable.is_empty(), "{:?}", sink.unreadable);
    (sink, report)
}

fn restore_job<'a>(target: &'a Path, report: &'a BackupReport, cancel: &'a Cancel) -> RestoreJob<'a> {
    let (target, staging) = (RestoreTarget::Path(target), Path::new("/nonexistent"));
    RestoreJob { target, overwrite: false, until: None, staging, report: Some(report), cancel }
}

fn compare(database: &Database, report: &BackupReport, sink: &MemoryBackup, target: &Path) -> Comparison {
    let (restored, cancel) = (RestoreTarget::Path(target), &Cancel::new());
    Files::default().compare(&CompareJob { source: None, database, report, restored, cancel }, sink).unwrap()
}

fn restore(sink: &MemoryBackup, report: &BackupReport, target: &Path) {
    let done = Files::default().restore(&restore_job(target, report, &Cancel::new()), sink).unwrap();
    assert!(done.messages.is_empty(), "{:?}", done.messages);
}

#[test]
fn every_shape_comes_back_the_same_and_compares_equal() {
    for shape in TreeShape::ALL {
        let (directory, source) = tree();
        shape.build(&directory.join("tree"));
        let (sink, report) = backup(&source);
        let target = directory.join("restored");
        restore(&sink, &report, &target);
        assert_eq!(compare_trees(&directory.join("tree"), &target), [""; 0], "{}", shape.name);
        let database = database(&source, &source.address);
        let comparison = compare(&database, &report, &sink, &target);
        assert_eq!(comparison.differences, [""; 0], "{}", shape.name);
        assert_eq!(comparison.changed_since, 0, "{}", shape.name);
    }
}

#[test]
fn the_entries_of_a_directory_come_sorted_by_bytes() {
    let (directory, source) = tree();
    for name in ["b", "a.txt", "a/z", "a/b", "B", "é", "a-"] {
        write(&directory, name, name);
    }
    assert_eq!(backup(&source).0.names(), ["B", "a", "a/b", "a/z", "a-", "a.txt", "b", "é"]);
}

#[test]
fn the_tree_s_own_directory_gets_its_looks_back() {
    let (directory, source) = tree();
    write(&directory, "file", "x");
    let path = directory.join("tree");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o2751)).unwrap();
    larder_testbed::set_modified(&path, 1_234_567, 89);
    let (sink, report) = backup(&source);
    restore(&sink, &report, &directory.join("restored"));
    let restored = fs::metadata(directory.join("restored")).unwrap();
    assert_eq!((restored.mode() & 0o7777, restored.mtime(), restored.mtime_nsec()), (0o2751, 1_234_567, 89));
}

#[test]
fn logs_caches_and_larder_s_own_data_are_left_out_and_said_so() {
    let (directory, mut source) = tree();
    for name in
        ["app.log", "app.log.1", "old/app.log.2.gz", "app.txt", "cache/big", "own/data", "logs.log/kept"]
    {
        write(&directory, name, name);
    }
    write(&directory, "cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# a comment");
    write(&directory, "fake/CACHEDIR.TAG", "no signature");
    write(&directory, "fake/kept", "x");
    let own = [directory.join("tree/own")];
    let (sink, report) = try_backup(&source, &own, &Cancel::new()).unwrap();
    let kept = [
        "app.txt",
        "cache",
        "cache/CACHEDIR.TAG",
        "fake",
        "fake/CACHEDIR.TAG",
        "fake/kept",
        "logs.log",
        "logs.log/kept",
        "old",
    ];
    assert_eq!(sink.names(), kept);
    assert_eq!(
        report.messages,
        [
            "left out by default: 3 log files (app.log, app.log.1, old/app.log.2.gz), 1 cache directory (cache), \
          1 directory of Larder's own (own)"
        ]
    );
    source.default_excludes = false;
    let (sink, report) = try_backup(&source, &own, &Cancel::new()).unwrap();
    assert_eq!((sink.entries.len(), report.messages.len()), (15, 0));
}

#[test]
fn patterns_follow_gitignore_and_can_take_back_a_default() {
    let (directory, mut source) = tree();
    for name in [
        "a.tmp",
        "keep.tmp",
        "build/x",
        "src/build/y",
        "src/deep/z.o",
        "top",
        "src/top",
        "important.log",
        "b.log",
    ] {
        write(&directory, name, name);
    }
    source.exclude =
        ["*.tmp", "!keep.tmp", "build/", "src/**/*.o", "/top", "# comment", "", "!important.log"]
            .map(str::to_owned)
            .to_vec();
    let (sink, report) = backup(&source);
    assert_eq!(sink.names(), ["important.log", "keep.tmp", "src", "src/deep", "src/top"]);
    assert!(
        report.messages.iter().any(|said| said.contains("by the patterns of the source: 5 entries")),
        "{report:?}"
    );
}

#[test]
fn a_pattern_that_makes_no_sense_is_named() {
    let (_directory, mut source) = tree();
    source.exclude = vec!["[z-a]".to_owned()];
    let error = try_backup(&source, &[], &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("'[z-a]'"), "{error}");
}

#[test]
fn a_tree_that_is_gone_is_missing_and_never_an_empty_backup() {
    let (directory, source) = tree();
    fs::remove_dir(directory.join("tree")).unwrap();
    let error = try_backup(&source, &[], &Cancel::new()).unwrap_err();
    assert!(matches!(error, EngineError::Missing { .. }), "{error}");
    assert!(matches!(Files::default().discover(&source, &[]), Err(EngineError::Missing { .. })));
}

#[test]
fn a_tree_that_is_replaced_while_it_is_read_fails_the_backup() {
    // The sink itself swaps the directories, as an unmount would in the middle of a walk.
    struct Swapping<'a>(&'a TempDir, MemoryBackup);
    impl larder_engines::Sink for Swapping<'_> {
        fn enter(&mut self, _: larder_model::Entry) -> Result<(), larder_engines::SinkError> {
            Ok(())
        }
        fn leave(&mut self) -> Result<(), larder_engines::SinkError> {
            Ok(())
        }
        fn file(
            &mut self,
            _: larder_model::Entry,
            _: Box<dyn larder_engines::Content>,
        ) -> Result<(), larder_engines::SinkError> {
            if self.0.join("tree/one").exists() {
                fs::rename(self.0.join("tree"), self.0.join("elsewhere")).unwrap();
                fs::create_dir(self.0.join("tree")).unwrap();
            }
            Ok(())
        }
        fn stream(
            &mut self,
            _: larder_model::Entry,
            _: &mut dyn std::io::Read,
            _: Option<u32>,
        ) -> Result<u64, larder_engines::SinkError> {
            Ok(0)
        }
        fn carry(&mut self, _: &[u8]) -> Result<bool, larder_engines::SinkError> {
            Ok(false)
        }

        fn special(&mut self, _: larder_model::Entry) -> Result<(), larder_engines::SinkError> {
            Ok(())
        }
        fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), larder_engines::SinkError> {
            larder_engines::Sink::unreadable(&mut self.1, path, cause)
        }
    }
    let (directory, source) = tree();
    write(&directory, "one", "1");
    write(&directory, "two", "2");
    let job = BackupJob {
        source: &source,
        database: &database(&source, &source.address),
        kind: BackupKind::Full,
        backup_type: BackupType::default(),
        previous: None,
        chain: "test",
        staging: Path::new("/nonexistent"),
        own_directories: &[],
        cancel: &Cancel::new(),
        counters: &Counters::default(),
    };
    let error =
        Files::default().backup(&job, &mut Swapping(&directory, MemoryBackup::default())).unwrap_err();
    assert!(error.to_string().contains("replaced"), "{error}");
}

#[test]
fn larder_s_own_directory_is_refused_as_a_tree() {
    let (directory, source) = tree();
    let error = try_backup(&source, &[directory.join("tree")], &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("keeps its own data"), "{error}");
}

#[test]
fn nesting_deeper_than_open_files_allow_is_walked() {
    let (directory, source) = tree();
    let names = ["d"; 1_500];
    let root =
        rustix::fs::open(directory.join("tree"), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    let mut at = root;
    for name in names {
        rustix::fs::mkdirat(&at, name, rustix::fs::Mode::RWXU).unwrap();
        // One more name beside each, so that the walk comes back to every level.
        rustix::fs::mkdirat(&at, "e", rustix::fs::Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, name, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    }
    assert_eq!(backup(&source).0.entries.len(), 3_000);
}

#[test]
fn an_aborted_backup_stops_with_that_word() {
    let (directory, source) = tree();
    write(&directory, "file", "x");
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(try_backup(&source, &[], &cancel), Err(EngineError::Canceled(_))));
}

#[test]
fn a_target_that_holds_something_is_left_alone_unless_said_otherwise() {
    let (directory, source) = tree();
    write(&directory, "file", "x");
    let (sink, report) = backup(&source);
    let target = directory.join("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "y").unwrap();
    let cancel = Cancel::new();
    let mut job = restore_job(&target, &report, &cancel);
    assert!(matches!(Files::default().restore(&job, &sink), Err(EngineError::TargetNotEmpty { .. })));
    assert!(!target.join("file").exists());
    job.overwrite = true;
    Files::default().restore(&job, &sink).unwrap();
    assert_eq!(fs::read_to_string(target.join("precious")).unwrap(), "y");
}

#[test]
fn damage_in_a_restored_tree_is_found_and_changes_of_the_source_are_told_apart() {
    let (directory, source) = tree();
    for name in ["same", "damaged", "edited", "removed", "mode", "lost"] {
        write(&directory, name, "some content");
    }
    let (sink, report) = backup(&source);
    let target = directory.join("restored");
    restore(&sink, &report, &target);
    write(&directory, "edited", "other words!");
    fs::remove_file(directory.join("tree/removed")).unwrap();
    let database = database(&source, &source.address);
    let good = compare(&database, &report, &sink, &target);
    assert_eq!((good.differences.len(), good.changed_since), (0, 2), "{good:?}");

    let modified = fs::metadata(target.join("damaged")).unwrap();
    fs::write(target.join("damaged"), "some c0ntent").unwrap();
    larder_testbed::set_modified(&target.join("damaged"), modified.mtime(), modified.mtime_nsec());
    fs::set_permissions(target.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::remove_file(target.join("lost")).unwrap();
    fs::write(target.join("extra"), "").unwrap();
    fs::write(target.join("extra-too"), "").unwrap();
    let bad = compare(&database, &report, &sink, &target);
    assert_eq!(bad.differences.len(), 4, "{:?}", bad.differences);
    assert!(
        bad.differences.iter().any(|said| said.contains("damaged: differs from the source from byte 6")),
        "{bad:?}"
    );
}

#[test]
fn discovery_gives_the_tree_the_name_of_its_source() {
    let (directory, source) = tree();
    let found = Files::default().discover(&source, &[]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].suggested_name, source.name.as_str());
    assert_eq!(found[0].locator, directory.join("tree").to_str().unwrap());
}

#[test]
fn another_disk_below_the_tree_is_read_unless_the_source_stays_on_its_own_and_is_then_said_so() {
    let (directory, mut source) = tree();
    fs::create_dir(directory.join("tree/disk")).unwrap();
    // Only root may mount; elsewhere there is nothing to see.
    let Some(_disk) = SmallDisk::mount(&directory.join("tree/disk"), 1) else { return };
    write(&directory, "disk/there", "x");
    write(&directory, "here", "x");
    assert!(!source.one_file_system, "unless said otherwise");
    assert_eq!(backup(&source).0.names(), ["disk", "disk/there", "here"]);
    source.one_file_system = true;
    let (sink, report) = backup(&source);
    assert_eq!(sink.names(), ["disk", "here"]);
    assert_eq!(report.messages, ["left out because it is on another file system: 1 entry (disk)"]);
}
