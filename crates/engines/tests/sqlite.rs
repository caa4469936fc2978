//! What the engine of SQLite databases promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use larder_engines::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Content, Engine, EngineError, RestoreJob,
    RestoreTarget, Sink, SinkError, Sqlite,
};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, EngineKind, Entry};
use larder_testbed::{TempDir, set_modified};
use memory::{MemoryBackup, database, source};
use rusqlite::Connection;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

fn make(path: &Path, mode: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(())).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
             CREATE TABLE \"or\"\"ders\" (id INTEGER PRIMARY KEY, customer INT, amount REAL, note BLOB);
             CREATE INDEX by_customer ON \"or\"\"ders\" (customer);
             INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace');
             INSERT INTO \"or\"\"ders\" VALUES (1, 1, 9.5, x'00ff'), (2, 2, NULL, NULL), (3, 1, 0, 'x');",
        )
        .unwrap();
    connection
}

fn try_backup(path: &Path, cancel: &Cancel) -> Result<(MemoryBackup, BackupReport), EngineError> {
    let (staging, mut sink) = (TempDir::new(), MemoryBackup::default());
    let report = try_backup_to(path, cancel, staging.path(), &mut sink)?;
    Ok((sink, report))
}

fn try_backup_to(
    path: &Path,
    cancel: &Cancel,
    staging: &Path,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    let source = source(EngineKind::Sqlite, Path::new("/"));
    let job = BackupJob {
        source: &source,
        database: &database(&source, path.to_str().unwrap()),
        kind: BackupKind::Full,
        backup_type: BackupType::default(),
        previous: None,
        chain: "test",
        staging,
        own_directories: &[],
        cancel,
        counters: &Counters::default(),
    };
    Sqlite.backup(&job, sink)
}

fn backup(path: &Path) -> (MemoryBackup, BackupReport) {
    try_backup(path, &Cancel::new()).unwrap()
}

fn job<'a>(
    target: &'a Path,
    overwrite: bool,
    report: &'a BackupReport,
    cancel: &'a Cancel,
) -> RestoreJob<'a> {
    let (target, staging) = (RestoreTarget::Path(target), Path::new("/nonexistent"));
    RestoreJob { target, overwrite, until: None, staging, report: Some(report), cancel }
}

fn restore(backup: &MemoryBackup, report: &BackupReport, target: &Path) {
    Sqlite.restore(&job(target, false, report, &Cancel::new()), backup).unwrap();
}

fn changed(path: &Path, report: &BackupReport) -> ChangeCheck {
    let source = source(EngineKind::Sqlite, Path::new("/"));
    let database = database(&source, path.to_str().unwrap());
    Sqlite.changed(&source, &database, report.position.as_deref().unwrap()).unwrap()
}

fn compare(path: &Path, report: &BackupReport, restored: &Path) -> larder_engines::Comparison {
    let database = database(&source(EngineKind::Sqlite, Path::new("/")), path.to_str().unwrap());
    let (restored, cancel) = (RestoreTarget::Path(restored), &Cancel::new());
    let job = CompareJob { source: None, database: &database, report, restored, cancel };
    Sqlite.compare(&job, &MemoryBackup::default()).unwrap()
}

/// Makes a database look as if it was written to long ago.
fn settle(path: &Path) {
    for suffix in ["", "-wal"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        if file.exists() {
            set_modified(&file, 1_700_000_000, 0);
        }
    }
}

fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_database_comes_back_and_compares_equal_in_both_modes() {
    for mode in ["wal", "delete"] {
        for open in [true, false] {
            let directory = TempDir::new();
            let path = directory.join("shop.db");
            let connection = make(&path, mode);
            if !open {
                connection.close().unwrap();
            } else {
                std::mem::forget(connection);
            }
            settle(&path);
            let before = names(&directory);
            let (sink, report) = backup(&path);
            assert_eq!(names(&directory), before, "something was left beside the database");
            assert_eq!(sink.names(), ["shop.db"]);
            assert_eq!(sink.page_bytes, Some(4096));
            for (name, rows) in [("Rows of customers", "2"), ("Rows of or\"ders", "3")] {
                assert!(report.evidence.contains(&(name.to_owned(), rows.to_owned())), "{report:?}");
            }
            let restored = directory.join("restored/here.db");
            restore(&sink, &report, &restored);
            let comparison = compare(&path, &report, &restored);
            assert_eq!(comparison.differences, [""; 0], "{mode} {open}");
            assert_eq!(comparison.changed_since, 0, "{mode} {open}: {comparison:?}");
            assert!(comparison.compared.contains("2 tables, 5 rows"), "{comparison:?}");
            assert!(
                comparison.compared.contains("every value with the source"),
                "{mode} {open}: {comparison:?}"
            );
        }
    }
}

#[test]
fn names_with_spaces_quotes_and_other_scripts_are_no_trouble() {
    let directory = TempDir::new();
    for name in
        ["a b.db", "it's \"quoted\".db", "ü-漢字.db", "50%?x#y.db", "file:odd.db", "no ending", "new\nline"]
    {
        make(&directory.join(name), "delete").close().unwrap();
    }
    let found = Sqlite.discover(&source(EngineKind::Sqlite, directory.path()), &[]).unwrap();
    assert_eq!(found.len(), 7);
    for database in found {
        let (sink, report) = backup(Path::new(&database.locator));
        let restored = directory.join("restored").join(&sink.names()[0]);
        restore(&sink, &report, &restored);
        assert_eq!(compare(Path::new(&database.locator), &report, &restored).differences, [""; 0]);
    }
}

#[test]
fn a_name_that_is_not_text_is_found_and_backed_up() {
    let directory = TempDir::new();
    let path = directory.join(std::ffi::OsStr::from_bytes(b"shop-\xff.db"));
    make(&path, "delete").close().unwrap();
    let found = Sqlite.discover(&source(EngineKind::Sqlite, directory.path()), &[]).unwrap();
    let (sink, _) = backup(Path::new(&found[0].locator));
    assert_eq!(sink.entries[0].0.path, b"shop-\xff.db");
}

#[test]
fn discovery_finds_databases_by_their_content_and_nothing_else() {
    let directory = TempDir::new();
    for name in ["one.db", "deep/er/two.bin", "own/three.db", "left/four.db"] {
        fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
        make(&directory.join(name), "delete").close().unwrap();
    }
    let open = make(&directory.join("open.db"), "wal");
    for (name, content) in
        [("empty.db", ""), ("text.db", "SQLite format 2"), ("short.db", "SQLite format 3\0")]
    {
        fs::write(directory.join(name), content).unwrap();
    }
    fs::write(directory.join("x.db-journal"), fs::read(directory.join("one.db")).unwrap()).unwrap();
    std::os::unix::fs::symlink("one.db", directory.join("link.db")).unwrap();
    let mut source = source(EngineKind::Sqlite, directory.path());
    source.exclude = vec!["left/".to_owned()];
    let found = Sqlite.discover(&source, &[directory.join("own")]).unwrap();
    let found: Vec<&str> = found.iter().map(|database| database.suggested_name.as_str()).collect();
    assert_eq!(found, ["two.bin", "one.db", "open.db"]);
    drop(open);

    source.address = directory.join("one.db").to_str().unwrap().to_owned();
    assert_eq!(Sqlite.discover(&source, &[]).unwrap().len(), 1);
    source.address = directory.join("gone").to_str().unwrap().to_owned();
    assert!(matches!(Sqlite.discover(&source, &[]), Err(EngineError::Missing { .. })));
}

#[test]
fn a_database_without_tables_is_a_database() {
    let directory = TempDir::new();
    let path = directory.join("bare.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    let (sink, report) = backup(&path);
    restore(&sink, &report, &directory.join("restored.db"));
    let version = Connection::open(directory.join("restored.db")).unwrap();
    assert_eq!(version.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
}

#[test]
fn what_is_no_sound_database_gives_one_clear_sentence() {
    let directory = TempDir::new();
    let sound = directory.join("sound.db");
    let connection = make(&sound, "delete");
    connection.execute_batch("INSERT INTO customers SELECT value, hex(randomblob(100)) FROM generate_series(10, 2000)").unwrap_or_else(|_| {
        connection
            .execute_batch("WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO customers SELECT i, hex(randomblob(100)) FROM n")
            .unwrap();
    });
    connection.close().unwrap();
    let bytes = fs::read(&sound).unwrap();
    let mut scribbled = bytes.clone();
    scribbled[20_000..40_000].fill(0xa5);
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("cut.db", bytes[..bytes.len() / 2].to_vec(), "damaged"),
        ("scribbled.db", scribbled, "damaged"),
        ("encrypted.db", larder_testbed::Random::new(1).bytes(8192), "encrypted"),
        ("text.db", b"hello".to_vec(), "not a SQLite database"),
        ("empty.db", Vec::new(), "empty"),
    ];
    for (name, content, words) in cases {
        fs::write(directory.join(name), content).unwrap();
        let error = try_backup(&directory.join(name), &Cancel::new()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(name) && !error.contains('\n'), "{name}: {error}");
    }
    let error = try_backup(&directory.join("gone.db"), &Cancel::new()).unwrap_err();
    assert!(matches!(error, EngineError::Missing { .. }), "{error}");
}

#[test]
fn unchanged_is_said_only_when_it_is_proved() {
    for mode in ["wal", "delete"] {
        let directory = TempDir::new();
        let path = directory.join("shop.db");
        let connection = make(&path, mode);
        let (_, fresh) = backup(&path);
        assert_eq!(changed(&path, &fresh), ChangeCheck::MaybeChanged, "{mode}: it was written a moment ago");
        settle(&path);
        let (_, report) = backup(&path);
        assert_eq!(changed(&path, &report), ChangeCheck::Unchanged, "{mode}");
        connection.query_row("SELECT count(*) FROM customers", [], |_| Ok(())).unwrap();
        assert_eq!(changed(&path, &report), ChangeCheck::Unchanged, "{mode}: it was only read");
        connection.execute_batch("UPDATE customers SET name = 'Eva' WHERE id = 1").unwrap();
        assert_eq!(changed(&path, &report), ChangeCheck::MaybeChanged, "{mode}");
        settle(&path);
        assert_eq!(changed(&path, &report), ChangeCheck::MaybeChanged, "{mode}: forged times prove nothing");
        let source = source(EngineKind::Sqlite, &path);
        let known = database(&source, path.to_str().unwrap());
        assert_eq!(Sqlite.changed(&source, &known, "nonsense").unwrap(), ChangeCheck::MaybeChanged);
        drop(connection);
        fs::remove_file(&path).unwrap();
        let asked = Sqlite.changed(&source, &known, &report.position.unwrap());
        assert!(matches!(asked, Err(EngineError::Missing { .. })));
    }
}

#[test]
fn what_a_crash_left_in_the_log_is_in_the_backup() {
    for (mode, wanted) in [("wal", 3), ("delete", 2)] {
        let directory = TempDir::new();
        let path = directory.join("crashed.db");
        let live = directory.join("live.db");
        let connection = make(&live, mode);
        connection.execute_batch("PRAGMA cache_spill = 1; PRAGMA cache_size = 1; BEGIN; INSERT INTO customers VALUES (3, 'Joan')").unwrap();
        if mode == "wal" {
            connection.execute_batch("COMMIT").unwrap();
        } else {
            // Enough to write to the database before the transaction is done.
            connection.execute_batch("WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO customers SELECT i, hex(randomblob(50)) FROM n").unwrap();
        }
        for suffix in ["", "-wal", "-journal"] {
            let from = PathBuf::from(format!("{}{suffix}", live.display()));
            if from.exists() {
                fs::copy(from, format!("{}{suffix}", path.display())).unwrap();
            }
        }
        settle(&path);
        let before = names(&directory);
        let (sink, report) = backup(&path);
        assert_eq!(names(&directory), before, "{mode}: something was left beside the database");
        restore(&sink, &report, &directory.join("restored.db"));
        let restored = Connection::open(directory.join("restored.db")).unwrap();
        let rows: i64 = restored.query_row("SELECT count(*) FROM customers", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, wanted, "{mode}");
    }
}

#[test]
fn an_existing_file_stays_unless_it_may_be_overwritten_and_nobody_uses_it() {
    let directory = TempDir::new();
    let path = directory.join("shop.db");
    make(&path, "wal").close().unwrap();
    settle(&path);
    let (sink, report) = backup(&path);
    let target = directory.join("target.db");
    let (no, cancel) = (false, Cancel::new());
    fs::write(directory.join("target.db-wal"), "stray").unwrap();
    assert!(matches!(
        Sqlite.restore(&job(&target, no, &report, &cancel), &sink),
        Err(EngineError::TargetNotEmpty { .. })
    ));
    fs::remove_file(directory.join("target.db-wal")).unwrap();

    let old = make(&target, "wal");
    old.execute_batch("INSERT INTO customers VALUES (9, 'old')").unwrap();
    assert!(matches!(
        Sqlite.restore(&job(&target, no, &report, &cancel), &sink),
        Err(EngineError::TargetNotEmpty { .. })
    ));
    let error = Sqlite.restore(&job(&target, true, &report, &cancel), &sink).unwrap_err();
    assert!(error.to_string().contains("has the database open"), "{error}");
    assert_eq!(old.query_row("SELECT count(*) FROM customers", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
    drop(old);
    Sqlite.restore(&job(&target, true, &report, &cancel), &sink).unwrap();
    assert_eq!(names(&directory), ["shop.db", "target.db"]);
    assert_eq!(compare(&path, &report, &target).differences, [""; 0]);
    let error = Sqlite.restore(&job(directory.path(), true, &report, &cancel), &sink).unwrap_err();
    assert!(error.to_string().contains("is a directory"), "{error}");
}

#[test]
fn a_restore_that_fails_keeps_what_was_there_and_leaves_nothing() {
    let directory = TempDir::new();
    let path = directory.join("shop.db");
    make(&path, "delete").close().unwrap();
    let (mut sink, report) = backup(&path);
    let target = directory.join("target.db");
    fs::write(&target, "precious").unwrap();
    let length = sink.entries[0].1.len();
    sink.entries[0].1[length - 1_000] ^= 1;
    let error = Sqlite.restore(&job(&target, true, &report, &Cancel::new()), &sink).unwrap_err();
    assert!(error.to_string().contains("not those that were backed up"), "{error}");
    // Without a report the structure alone decides.
    sink.entries[0].1.truncate(length / 2);
    let cancel = Cancel::new();
    let without = RestoreJob { report: None, ..job(&target, true, &report, &cancel) };
    assert!(Sqlite.restore(&without, &sink).unwrap_err().to_string().contains("damaged"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(names(&directory), ["shop.db", "target.db"]);
}

#[test]
fn differences_of_a_restored_database_are_found() {
    let directory = TempDir::new();
    let path = directory.join("shop.db");
    make(&path, "delete").close().unwrap();
    settle(&path);
    let (sink, report) = backup(&path);
    let restored = directory.join("restored.db");
    restore(&sink, &report, &restored);
    Connection::open(&restored)
        .unwrap()
        .execute_batch(
            "DELETE FROM customers WHERE id = 2; UPDATE \"or\"\"ders\" SET amount = 1 WHERE id = 3",
        )
        .unwrap();
    let differences = compare(&path, &report, &restored).differences.join("; ");
    for words in [
        "not the one that was backed up",
        "customers has 1 rows instead of 2",
        "or\"ders differs from the source's in row 3",
    ] {
        assert!(differences.contains(words), "{words}: {differences}");
    }
    fs::write(&restored, "nonsense").unwrap();
    assert!(!compare(&path, &report, &restored).differences.is_empty());
    Connection::open(&path).unwrap().execute_batch("DELETE FROM customers").unwrap();
    fs::remove_file(&restored).unwrap();
    restore(&sink, &report, &restored);
    let comparison = compare(&path, &report, &restored);
    assert_eq!((comparison.differences.len(), comparison.changed_since), (0, 1), "{comparison:?}");
}

#[test]
fn an_aborted_backup_says_so() {
    let directory = TempDir::new();
    let path = directory.join("shop.db");
    make(&path, "delete").close().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(try_backup(&path, &cancel), Err(EngineError::Canceled(_))));
}

/// Writes to a database while it is read where it lies.
struct Meddling<'a> {
    path: &'a Path,
    inner: MemoryBackup,
    taken_back: bool,
}

impl Sink for Meddling<'_> {
    fn stream_unless(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
        is_void: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, SinkError> {
        let mut first = [0; 1];
        bytes.read_exact(&mut first).unwrap();
        Connection::open(self.path).unwrap().execute_batch("DELETE FROM customers WHERE id = 1").unwrap();
        let streamed = self.inner.stream_unless(entry, bytes, page_bytes, is_void)?;
        self.taken_back = streamed.is_none();
        Ok(streamed)
    }

    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError> {
        self.inner.stream(entry, bytes, page_bytes)
    }

    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        self.inner.enter(directory)
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        self.inner.leave()
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        self.inner.file(entry, content)
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        self.inner.carry(name)
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        self.inner.special(entry)
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.inner.unreadable(path, cause)
    }
}

#[test]
fn a_database_that_lies_still_is_read_where_it_lies_and_copied_where_somebody_writes_meanwhile() {
    for mode in ["delete", "wal"] {
        let directory = TempDir::new();
        let path = directory.join("shop.db");
        make(&path, mode).close().unwrap();
        settle(&path);
        let copied = |sink: &mut dyn Sink| {
            let staging = TempDir::new();
            let report = try_backup_to(&path, &Cancel::new(), staging.path(), sink).unwrap();
            (staging.join("copy.db").exists(), report)
        };
        let mut sink = MemoryBackup::default();
        let (is_copied, report) = copied(&mut sink);
        assert!(!is_copied, "{mode}");
        let restored = directory.join("first.db");
        restore(&sink, &report, &restored);
        assert_eq!(compare(&path, &report, &restored).differences, [""; 0], "{mode}");
        let mut sink = Meddling { path: &path, inner: MemoryBackup::default(), taken_back: false };
        let (is_copied, report) = copied(&mut sink);
        assert!(is_copied && sink.taken_back, "{mode}");
        assert!(report.evidence.contains(&("Rows of customers".to_owned(), "1".to_owned())), "{report:?}");
        let restored = directory.join("second.db");
        restore(&sink.inner, &report, &restored);
        assert_eq!(compare(&path, &report, &restored).differences, [""; 0], "{mode}");
    }
}

#[test]
fn what_is_copied_before_it_is_handed_on_is_waited_for_as_well() {
    let directory = TempDir::new();
    for mode in ["DELETE", "WAL"] {
        for is_open in [true, false] {
            let path = directory.join(format!("{mode}{is_open}.db"));
            let connection = make(&path, mode);
            connection
                .execute_batch("CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, zeroblob(1000) AS b FROM n")
                .unwrap();
            let _open = is_open.then_some(connection);
            let (sink, _) = backup(&path);
            let copied: u64 = sink.entries.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            assert!(copied > 3_000_000);
            assert!(
                sink.awaited >= copied && sink.awaited < 2 * copied,
                "{mode}: {} of {copied}",
                sink.awaited
            );
        }
    }
}
