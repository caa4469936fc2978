//! A database that another process writes to all the time is backed up whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use larder_engines::{BackupJob, Engine, EngineError, Sqlite};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, EngineKind};
use larder_testbed::{TempDir, wait_until};
use memory::{MemoryBackup, database, source};
use rusqlite::{Connection, OptionalExtension};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tells the second process what to write to, and whether to keep the database locked instead.
const WRITE_TO: &str = "LARDER_TEST_WRITE_TO";
const LOCK: &str = "LARDER_TEST_LOCK";

/// Accounts among which money is moved; the sum stays.
const ACCOUNTS: i64 = 1_000;
const SUM: i64 = ACCOUNTS * 100;

/// Writers with tight schedules and little patience are tested one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn prepare(path: &Path, mode: &str, ballast_rows: i64) {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(())).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             CREATE TABLE giving (id INTEGER PRIMARY KEY, amount INT);
             CREATE TABLE taking (id INTEGER PRIMARY KEY, amount INT);
             CREATE TABLE moves (id INTEGER PRIMARY KEY, note TEXT);
             CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB);
             CREATE INDEX by_amount ON giving (amount);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})
                INSERT INTO giving SELECT i, 100 FROM n;
             INSERT INTO taking SELECT id, 0 FROM giving;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ballast_rows})
                INSERT INTO ballast SELECT i, randomblob(4000) FROM n;"
        ))
        .unwrap();
}

/// The second process: does nothing unless it was started by [`Writer::start`].
#[test]
fn the_second_process() {
    let Some(path) = std::env::var_os(WRITE_TO) else { return };
    let mut connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    if std::env::var_os(LOCK).is_some() {
        connection
            .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE locked (x);")
            .unwrap();
        std::io::Read::read(&mut std::io::stdin(), &mut [0]).unwrap();
        return;
    }
    let started = Instant::now();
    for number in 1_u32.. {
        let account = i64::from(number) * 7_919 % ACCOUNTS + 1;
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        transaction.execute("UPDATE giving SET amount = amount - 1 WHERE id = ?1", [account]).unwrap();
        transaction
            .execute("UPDATE taking SET amount = amount + 1 WHERE id = ?1", [ACCOUNTS + 1 - account])
            .unwrap();
        transaction.execute("INSERT INTO moves (note) VALUES ('one more')", []).unwrap();
        transaction.commit().unwrap();
        // At most 800 a second, so that the rest of the machine gets its share; what a lock delayed is made up for.
        let due = Duration::from_micros(1_250) * number;
        std::thread::sleep(due.saturating_sub(started.elapsed()));
    }
}

struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

struct Writer(Child);

impl Writer {
    fn start(path: &Path, lock: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_second_process", "--nocapture"]).env(WRITE_TO, path);
        if lock {
            command.env(LOCK, "1");
        }
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn try_backup(path: &Path, cancel: &Cancel) -> Result<MemoryBackup, EngineError> {
    let staging = TempDir::new();
    let mut sink = MemoryBackup::default();
    let source = source(EngineKind::Sqlite, Path::new("/"));
    let job = BackupJob {
        source: &source,
        database: &database(&source, path.to_str().unwrap()),
        kind: BackupKind::Full,
        backup_type: BackupType::default(),
        previous: None,
        chain: "test",
        staging: staging.path(),
        own_directories: &[],
        cancel,
        counters: &Counters::default(),
    };
    Sqlite.backup(&job, &mut sink)?;
    Ok(sink)
}

/// Returns how many moves a copy holds, after checking that it is whole.
fn check_copy(copy: &PathBuf) -> i64 {
    let connection = Connection::open(copy).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let (giving, taking) =
        (number("SELECT sum(amount) FROM giving"), number("SELECT sum(amount) FROM taking"));
    let moves = number("SELECT count(*) FROM moves");
    assert_eq!(giving + taking, SUM, "the copy holds half a transaction");
    assert_eq!(taking, moves, "the copy holds tables of different moments");
    moves
}

fn back_up_ten_times(mode: &str) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = TempDir::new();
    let path = directory.join("busy.db");
    prepare(&path, mode, 4_000);
    let writer = Writer::start(&path, false);
    let started = Instant::now();
    let mut seen = Vec::new();
    for number in 0..10 {
        let sink = try_backup(&path, &Cancel::new()).unwrap();
        let copy = directory.join(format!("copy-{number}.db"));
        fs::write(&copy, &sink.entries[0].1).unwrap();
        seen.push(check_copy(&copy));
        fs::remove_file(copy).unwrap();
    }
    // Let the writer make up for what the copies delayed before its pace is judged.
    let pace = wait_until("500 writes a second", Duration::from_secs(30), || {
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        let moves: Option<i64> =
            connection.query_row("SELECT count(*) FROM moves", [], |row| row.get(0)).optional().unwrap();
        let pace = f64::from(u32::try_from(moves.unwrap_or(0)).unwrap()) / started.elapsed().as_secs_f64();
        (pace >= 500.0).then_some(pace)
    });
    drop(writer);
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "the copies went back in time: {seen:?}");
    assert!(seen[9] > seen[0], "nothing was written while the copies were made: {seen:?}, {pace}");
}

#[test]
fn ten_copies_in_wal_mode_are_each_of_one_moment() {
    back_up_ten_times("wal");
}

#[test]
fn ten_copies_in_rollback_mode_are_each_of_one_moment() {
    back_up_ten_times("delete");
}

#[test]
fn reading_the_files_meanwhile_takes_no_lock_away() {
    for mode in ["wal", "delete"] {
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let directory = TempDir::new();
        let path = directory.join("busy.db");
        prepare(&path, mode, 4_000);
        let _writer = Writer::start(&path, false);
        let done = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let source = source(EngineKind::Sqlite, directory.path());
                let database = database(&source, path.to_str().unwrap());
                while !done.is_canceled() {
                    assert_eq!(Sqlite.discover(&source, &[]).unwrap().len(), 1);
                    Sqlite.changed(&source, &database, "").unwrap();
                    let tree = BackupJob {
                        source: &source,
                        database: &memory::database(&source, directory.path().to_str().unwrap()),
                        kind: BackupKind::Full,
                        backup_type: BackupType::default(),
                        previous: None,
                        chain: "test",
                        staging: Path::new("/nonexistent"),
                        own_directories: &[],
                        cancel: &done,
                        counters: &Counters::default(),
                    };
                    match larder_engines::Files::default().backup(&tree, &mut MemoryBackup::default()) {
                        Ok(_) | Err(EngineError::Canceled(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            // Also when a check below fails: the other thread would read for ever.
            let _ended = CancelOnDrop(done.clone());
            for _ in 0..5 {
                let sink = try_backup(&path, &Cancel::new()).unwrap();
                let copies = TempDir::new();
                fs::write(copies.join("copy.db"), &sink.entries[0].1).unwrap();
                check_copy(&copies.join("copy.db"));
            }
        });
    }
}

#[test]
fn an_abort_ends_a_backup_that_waits_for_a_lock_within_a_second() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = TempDir::new();
    let path = directory.join("locked.db");
    prepare(&path, "delete", 10);
    let _writer = Writer::start(&path, true);
    wait_until("the lock", Duration::from_secs(30), || {
        let connection = Connection::open(&path).unwrap();
        connection.query_row("SELECT count(*) FROM moves", [], |_| Ok(())).is_err().then_some(())
    });
    let cancel = Cancel::new();
    let (outcome, ended, canceled) = std::thread::scope(|scope| {
        let running = scope.spawn(|| (try_backup(&path, &cancel), Instant::now()));
        std::thread::sleep(Duration::from_millis(300));
        let canceled = Instant::now();
        cancel.cancel();
        let (outcome, ended) = running.join().unwrap();
        (outcome, ended, canceled)
    });
    assert!(matches!(outcome, Err(EngineError::Canceled(_))), "{outcome:?}");
    assert!(ended - canceled < Duration::from_secs(1), "{:?}", ended - canceled);
}

#[test]
fn an_abort_ends_a_long_copy_within_a_second() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = TempDir::new();
    let path = directory.join("large.db");
    prepare(&path, "wal", 50_000);
    for delay in [0, 20, 100, 300, 600] {
        let cancel = Cancel::new();
        let (ended, canceled) = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let outcome = try_backup(&path, &cancel);
                // On a fast machine the last of them may be done before.
                assert!(matches!(outcome, Ok(_) | Err(EngineError::Canceled(_))), "{outcome:?}");
                Instant::now()
            });
            std::thread::sleep(Duration::from_millis(delay));
            let canceled = Instant::now();
            cancel.cancel();
            (running.join().unwrap(), canceled)
        });
        assert!(ended.saturating_duration_since(canceled) < Duration::from_secs(1), "after {delay} ms");
    }
}
