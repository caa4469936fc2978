//! A server with what a test does to it.
#![allow(dead_code, reason = "each test binary uses another part")]

use crate::memory::MemoryBackup;
use larder_engines::{
    BackupJob, BackupReport, CompareJob, Comparison, Engine, EngineError, Engines, Host, ProofJob,
    RestoreJob, RestorePointInTime, RestoreReport, RestoreTarget, Sink,
};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, Database, DatabaseName, EngineKind, Secret, Source};
use larder_testbed::{MariaDb, TempDir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A password that a careless program would trip over.
pub(crate) const PASSWORD: &str = "s#cret \"pass\\word";

/// A database with one of everything.
pub(crate) const FILL: &str = "CREATE DATABASE shop; USE shop;
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), picture BLOB) CHARACTER SET utf8mb4;
INSERT INTO customers VALUES (1, 'Ada', 0x00ff27), (2, 'Grace \\'\\n); INSERT INTO `x`', NULL), (3, 'Ünï—😀', '');
CREATE TABLE orders (id INT, customer INT, amount DOUBLE, at TIMESTAMP, FOREIGN KEY (customer) REFERENCES customers (id));
INSERT INTO orders VALUES (1, 1, 0.1, '2026-01-01 00:00:00'), (1, 1, 1e300, '2026-01-01 00:00:00'), (2, NULL, NULL, '2026-07-01 12:00:00');
CREATE TABLE bulk (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(100));
INSERT INTO bulk (text) SELECT CONCAT('row ', seq) FROM seq_1_to_1000;
CREATE TABLE log (what TEXT);
CREATE SEQUENCE numbers; CREATE TABLE numbered (id INT DEFAULT NEXTVAL(numbers), x INT); INSERT INTO numbered (x) VALUES (1), (2);
CREATE TABLE history (a INT) WITH SYSTEM VERSIONING; INSERT INTO history VALUES (1), (2), (3); UPDATE history SET a = 9 WHERE a = 1; DELETE FROM history WHERE a = 2;
UPDATE history SET a = 10 WHERE a = 9;
CREATE TRIGGER logged AFTER INSERT ON numbered FOR EACH ROW INSERT INTO log VALUES (CONCAT('numbered ', NEW.x));
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x;
CREATE VIEW named AS SELECT name FROM customers; CREATE VIEW dear AS SELECT * FROM named WHERE twice(2) = 4;
CREATE PROCEDURE fill(x INT) INSERT INTO log VALUES (twice(x));
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM log";

/// Everything that is in a copy of that database, as the server's own sums and statements.
pub(crate) fn shop(server: &MariaDb, name: &str) -> String {
    let name = name.replace('`', "``");
    let tables = server.sql(&format!(
        "SHOW FULL TABLES FROM `{name}` WHERE Table_type <> 'VIEW' AND Table_type <> 'SEQUENCE'"
    ));
    let tables: Vec<_> = tables.lines().filter_map(|line| line.split('\t').next()).collect();
    let mut found = String::new();
    for table in tables {
        let sum = server.sql(&format!("USE `{name}`; CHECKSUM TABLE `{table}` EXTENDED"));
        let sum = sum.trim().rsplit('\t').next().unwrap_or_default().to_owned();
        let columns =
            server.sql(&format!("SHOW COLUMNS FROM `{name}`.`{table}`")).replace(&format!("`{name}`."), "");
        found.push_str(&format!("{table} {sum}\n{columns}"));
    }
    for kind in ["PROCEDURE", "FUNCTION"] {
        let sql = format!(
            "SELECT ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{}' AND ROUTINE_TYPE = '{kind}'",
            name.replace('\'', "\\'")
        );
        found.push_str(&server.sql(&sql));
    }
    found
}

/// One server as a source, and the engine.
pub(crate) struct Bench {
    pub(crate) engines: Engines,
    pub(crate) source: Source,
}

pub(crate) type Made = (MemoryBackup, BackupReport);

impl Bench {
    /// Makes a user with just the rights that the page of the engine names, and one that restores.
    pub(crate) fn new(server: &MariaDb) -> Self {
        server.sql(&format!(
            "CREATE USER 'backup'@'%' IDENTIFIED BY {password}; \
             GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES, RELOAD, BINLOG MONITOR, REPLICATION SLAVE ON *.* TO 'backup'@'%'; \
             CREATE USER 'restore'@'%' IDENTIFIED BY {password}; GRANT ALL ON *.* TO 'restore'@'%' WITH GRANT OPTION",
            password = "'s#cret \"pass\\\\word'"
        ));
        Self { engines: Engines::new(&host()), source: source(server, "backup") }
    }

    /// Lets the source be the whole server, too.
    pub(crate) fn whole(server: &MariaDb) -> Self {
        let mut bench = Self::new(server);
        server.sql("GRANT PROCESS ON *.* TO 'backup'@'%'");
        bench.source.options.insert("WholeServer".to_owned(), "true".to_owned());
        bench
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.engines.get(EngineKind::Mariadb)
    }

    pub(crate) fn database(&self, locator: &str) -> Database {
        Database {
            name: DatabaseName::from_lossy("test"),
            source: self.source.name.clone(),
            engine: EngineKind::Mariadb,
            locator: locator.to_owned(),
            discovered: "2026-01-01T00:00:00Z".parse().unwrap(),
            missing_since: None,
        }
    }

    pub(crate) fn backup(
        &self,
        locator: &str,
        kind: BackupKind,
        previous: Option<&Made>,
    ) -> Result<Made, EngineError> {
        self.try_backup(locator, kind, previous, &Cancel::new())
    }

    pub(crate) fn try_backup(
        &self,
        locator: &str,
        kind: BackupKind,
        previous: Option<&Made>,
        cancel: &Cancel,
    ) -> Result<Made, EngineError> {
        let staging = TempDir::new();
        let mut sink = MemoryBackup::default();
        sink.previous = previous.map(|(backup, _)| Box::new(copy(backup)));
        let job = BackupJob {
            source: &self.source,
            database: &self.database(locator),
            kind,
            backup_type: BackupType::Backup,
            previous: previous.map(|(_, report)| report),
            chain: "test",
            staging: staging.path(),
            own_directories: &[],
            cancel,
            counters: &Counters::default(),
        };
        let report = self.engine().backup(&job, &mut sink)?;
        sink.previous = None;
        Ok((sink, report))
    }

    /// Backs up through a sink of the test's own.
    pub(crate) fn backup_into(
        &self,
        locator: &str,
        sink: &mut dyn Sink,
    ) -> Result<BackupReport, EngineError> {
        let staging = TempDir::new();
        let job = BackupJob {
            source: &self.source,
            database: &self.database(locator),
            kind: BackupKind::Full,
            backup_type: BackupType::Backup,
            previous: None,
            chain: "test",
            staging: staging.path(),
            own_directories: &[],
            cancel: &Cancel::new(),
            counters: &Counters::default(),
        };
        self.engine().backup(&job, sink)
    }

    /// Restores with the rights that restoring needs.
    fn restore_job(
        &self,
        backup: &MemoryBackup,
        report: &BackupReport,
        name: &str,
        overwrite: bool,
        until: Option<&RestorePointInTime>,
    ) -> Result<RestoreReport, EngineError> {
        let staging = TempDir::new();
        let source = self.restoring();
        let job = RestoreJob {
            target: RestoreTarget::Server { source: &source, name },
            overwrite,
            until,
            staging: staging.path(),
            report: Some(report),
            cancel: &Cancel::new(),
        };
        self.engine().restore(&job, backup)
    }

    pub(crate) fn restore(
        &self,
        backup: &MemoryBackup,
        report: &BackupReport,
        name: &str,
        until: Option<&RestorePointInTime>,
    ) -> Result<RestoreReport, EngineError> {
        self.restore_job(backup, report, name, false, until)
    }

    pub(crate) fn restore_over(
        &self,
        backup: &MemoryBackup,
        report: &BackupReport,
        name: &str,
    ) -> Result<RestoreReport, EngineError> {
        self.restore_job(backup, report, name, true, None)
    }

    pub(crate) fn restore_files(
        &self,
        backup: &MemoryBackup,
        report: &BackupReport,
        target: &Path,
    ) -> Result<RestoreReport, EngineError> {
        let staging = TempDir::new();
        let job = RestoreJob {
            target: RestoreTarget::Path(target),
            overwrite: false,
            until: None,
            staging: staging.path(),
            report: Some(report),
            cancel: &Cancel::new(),
        };
        self.engine().restore(&job, backup)
    }

    pub(crate) fn compare(
        &self,
        backup: &MemoryBackup,
        report: &BackupReport,
        name: &str,
    ) -> Result<Comparison, EngineError> {
        let job = CompareJob {
            source: Some(&self.source),
            database: &self.database(name),
            report,
            restored: RestoreTarget::Server { source: &self.source, name },
            cancel: &Cancel::new(),
        };
        self.engine().compare(&job, backup)
    }

    pub(crate) fn prove(
        &self,
        backup: &MemoryBackup,
        report: &BackupReport,
    ) -> Result<Comparison, EngineError> {
        let scratch = TempDir::inside(Path::new("/dev/shm"));
        let job = ProofJob {
            source: Some(&self.source),
            database: &self.database("test"),
            report,
            scratch: scratch.path(),
            cancel: &Cancel::new(),
        };
        self.engine().prove(&job, backup)
    }

    fn restoring(&self) -> Source {
        Source { address: self.source.address.replace("backup@", "restore@"), ..self.source.clone() }
    }
}

/// Where Debian's packages put their programs.
pub(crate) fn host() -> Host {
    let directories = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    Host { tool_directories: directories.map(PathBuf::from).to_vec(), niceness: 0, ..Host::default() }
}

pub(crate) fn source(server: &MariaDb, user: &str) -> Source {
    Source {
        name: DatabaseName::from_lossy("mariadb"),
        engine: EngineKind::Mariadb,
        address: format!("mariadb://{user}@127.0.0.1:{}", server.port()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        options: BTreeMap::new(),
        exclude: Vec::new(),
        default_excludes: true,
        one_file_system: false,
    }
}

fn copy(backup: &MemoryBackup) -> MemoryBackup {
    let mut copy = MemoryBackup::default();
    copy.entries.clone_from(&backup.entries);
    copy
}
