//! What must never look like a backup of a MariaDB database: each ends in an error that says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "mariadb/bench.rs"]
mod bench;
mod memory;

use bench::{Bench, host, source};
use larder_engines::{Content, EngineError, Engines, Sink, SinkError};
use larder_model::{BackupKind, Entry, Secret};
use larder_testbed::{MariaDb, TempDir};
use memory::MemoryBackup;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// A database whose dump is far longer than all buffers on its way, with a table before and after the long one.
const LONG: &str = "CREATE DATABASE d; USE d; CREATE TABLE a (n INT); CREATE TABLE z (n INT); CREATE TABLE long_one (n INT PRIMARY KEY, t VARCHAR(300)); \
    INSERT INTO long_one SELECT seq, REPEAT('x', 250) FROM seq_1_to_120000; INSERT INTO z VALUES (1)";

/// Takes a backup, and does something to the server when a part of the tables has come.
struct Interrupting<'a> {
    taken: MemoryBackup,
    act: &'a mut dyn FnMut(),
    names: Vec<String>,
}

impl Sink for Interrupting<'_> {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        self.taken.enter(directory)
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        self.taken.leave()
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        self.taken.file(entry, content)
    }

    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError> {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if name != "1-tables.sql" {
            return self.taken.stream(entry, bytes, page_bytes);
        }
        let mut first = vec![0; 100_000];
        bytes.read_exact(&mut first).map_err(|error| SinkError(error.into()))?;
        (self.act)();
        let mut all = first.chain(bytes);
        let length = self.taken.stream(entry, &mut all, page_bytes)?;
        self.names.push(name);
        Ok(length)
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        self.taken.carry(name)
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        self.taken.special(entry)
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.taken.unreadable(path, cause)
    }
}

trait Chained {
    fn chain<'a>(self, rest: &'a mut dyn Read) -> Box<dyn Read + 'a>;
}

impl Chained for Vec<u8> {
    fn chain<'a>(self, rest: &'a mut dyn Read) -> Box<dyn Read + 'a> {
        Box::new(Read::chain(std::io::Cursor::new(self), rest))
    }
}

/// Makes a backup of `d` while something happens, and returns the error it must end in.
fn interrupted(bench: &Bench, mut act: impl FnMut()) -> String {
    let mut sink = Interrupting { taken: MemoryBackup::default(), act: &mut act, names: Vec::new() };
    let error = bench.backup_into("d", &mut sink).unwrap_err();
    assert!(matches!(error, EngineError::Failed { .. } | EngineError::Missing { .. }), "{error:?}");
    error.to_string()
}

fn refused(bench: &Bench, locator: &str) -> String {
    bench.backup(locator, BackupKind::Full, None).unwrap_err().to_string()
}

/// Puts a program of the test's own before the vendor's.
fn with_program(bench: &mut Bench, directory: &TempDir, name: &str, script: &str) {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = host();
    host.tool_directories.insert(0, directory.path().to_owned());
    bench.engines = Engines::new(&host);
}

#[test]
fn a_wrong_password_a_closed_port_and_a_missing_database_are_named() {
    let mut server = MariaDb::start_with([]);
    let mut bench = Bench::new(&server);
    server.sql("CREATE DATABASE d");
    assert!(refused(&bench, "nowhere").contains("the database nowhere at 127.0.0.1:"));
    bench.source.password = Some(Secret::new("wr0ng".to_owned()));
    let error = refused(&bench, "d");
    assert!(
        error.contains("Access denied") && error.contains("the password of the source mariadb"),
        "{error}"
    );
    assert!(!error.contains("wr0ng"), "{error}");
    server.kill();
    assert!(refused(&bench, "d").contains("see whether the server at 127.0.0.1"), "{error}");
    assert!(bench.engine().discover(&bench.source, &[]).is_err());
}

#[test]
fn a_user_that_may_not_see_everything_is_refused_with_the_statement_that_helps() {
    let server = MariaDb::start();
    let mut bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; CREATE TABLE d.seen (a INT); CREATE TABLE d.hidden (a INT); CREATE FUNCTION d.f() RETURNS INT DETERMINISTIC RETURN 1; CREATE VIEW d.v AS SELECT d.f()");
    server.user("small", "x", &["SELECT, SHOW VIEW, TRIGGER ON d.seen"]);
    server.sql(&format!("SET PASSWORD FOR small = PASSWORD('{}')", bench::PASSWORD.replace('\\', "\\\\")));
    bench.source = source(&server, "small");
    let error = refused(&bench, "d");
    assert!(
        error.contains("run: GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `d`.* TO `small`@`%`"),
        "{error}"
    );
    loop {
        let missing = bench.engine().missing_rights(&bench.source).unwrap();
        let Some(first) = missing.first() else { break };
        assert!(!first.what.is_empty());
        server.sql(&first.grant);
    }
    bench.backup("d", BackupKind::Full, None).unwrap();
    let grants = server.sql("SHOW GRANTS FOR small");
    for right in ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE", "BINLOG MONITOR", "REPLICATION SLAVE"]
    {
        assert!(grants.contains(right), "{right}: {grants}");
    }
    assert!(!grants.contains("RELOAD") && !grants.contains("LOCK TABLES"), "{grants}");
}

#[test]
fn a_program_that_is_missing_or_older_than_the_server_is_named() {
    let server = MariaDb::start_with([]);
    let mut bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)");
    let directory = TempDir::new();
    let mut host = host();
    host.tool_directories = vec![directory.path().to_owned()];
    bench.engines = Engines::new(&host);
    let error = refused(&bench, "d");
    assert!(
        error.contains("mariadb or mysql") && error.contains("install the package mariadb-client"),
        "{error}"
    );
    for name in ["mariadb", "mysql"] {
        let real = larder_testbed::installed("mariadb", "mariadb-client");
        std::os::unix::fs::symlink(real, directory.join(name)).unwrap();
    }
    let old = directory.join("mariadb-dump");
    fs::write(&old, "#!/bin/sh\necho 'mariadb-dump from 10.3.39-MariaDB, client 10.17'\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    bench.engines = Engines::new(&host);
    let error = refused(&bench, "d");
    assert!(error.contains("10.3.39") && error.contains("the server is 10."), "{error}");
}

#[test]
fn a_dump_without_its_end_is_no_backup() {
    let server = MariaDb::start_with([]);
    let mut bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)");
    let real = larder_testbed::installed("mariadb-dump", "mariadb-client");
    let real = real.display();
    let directory = TempDir::new();
    for (script, cause) in [
        (
            format!(
                "case $1 in --version) exec {real} \"$@\";; esac; {real} \"$@\" | head -c 1500; kill -9 $$"
            ),
            "by the signal 9",
        ),
        (
            format!("case $1 in --version) exec {real} \"$@\";; esac; {real} \"$@\" | sed '$d'"),
            "lacks the marker",
        ),
        (format!("case $1 in --version) exec {real} \"$@\";; esac; exit 0"), "printed nothing"),
        (format!("case $1 in --version) exec {real} \"$@\";; esac; {real} \"$@\"; exit 3"), "exit status 3"),
    ] {
        with_program(&mut bench, &directory, "mariadb-dump", &script);
        let error = refused(&bench, "d");
        assert!(error.contains(cause) && error.contains("dumping d from"), "{error}");
    }
}

#[test]
fn a_server_that_stops_or_cuts_the_connection_midway_fails_the_backup() {
    let mut server = MariaDb::start_with([]);
    let bench = Bench::new(&server);
    server.sql(LONG);
    let error = interrupted(&bench, || {
        let dump =
            "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%long_one%' AND USER = 'backup'";
        let id = server.sql(dump);
        server.sql(&format!("KILL {}", id.trim()));
    });
    assert!(error.contains("dumping d from") && error.contains("start again"), "{error}");
    let error = interrupted(&bench, || server.kill());
    assert!(error.contains("dumping d from") || error.contains("at 127.0.0.1"), "{error}");
}

#[test]
fn tables_that_are_altered_dropped_or_made_while_they_are_dumped_fail_the_backup() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(LONG);
    for (act, words) in [
        ("ALTER TABLE d.z ADD m INT", "altered"),
        ("DROP TABLE d.z", "dropped"),
        ("CREATE TABLE d.z (n INT)", "altered"),
        ("CREATE TABLE d.b (n INT)", "created, altered or dropped"),
        ("CREATE PROCEDURE d.p() SELECT 1", "created, altered or dropped"),
        ("CREATE VIEW d.v AS SELECT 1", "created, altered or dropped"),
    ] {
        let error = interrupted(&bench, || drop(server.sql(act)));
        assert!(error.contains(words), "{act}: {error}");
    }
    bench.backup("d", BackupKind::Full, None).unwrap();
}

#[test]
fn a_database_dropped_while_it_is_dumped_fails_the_backup() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(LONG);
    let mut dropping = None;
    let error = interrupted(&bench, || {
        let mut client = server.client();
        client.arg("--execute=DROP DATABASE d").stdout(Stdio::null()).stderr(Stdio::null());
        dropping = Some(client.spawn().unwrap());
    });
    assert!(error.contains('d') && error.contains("127.0.0.1"), "{error}");
    dropping.unwrap().wait().unwrap();
}

#[test]
fn a_table_that_stays_locked_fails_the_backup_in_time_and_by_name() {
    let server = MariaDb::start();
    let mut bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT)");
    bench.source.options.insert("LockSeconds".to_owned(), "6".to_owned());
    let mut client = server.client();
    client.arg("--execute=LOCK TABLES d.t WRITE; SELECT SLEEP(100)").stdout(Stdio::null());
    let mut holding = client.spawn().unwrap();
    larder_testbed::wait_until("the lock", std::time::Duration::from_secs(20), || {
        let waiting =
            server.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(100)'");
        (waiting.trim() == "1").then_some(())
    });
    let error = refused(&bench, "d");
    assert!(
        error.contains("stayed locked") && error.contains('t') && error.contains("LockSeconds"),
        "{error}"
    );
    holding.kill().unwrap();
    holding.wait().unwrap();
    let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for%'";
    larder_testbed::wait_until("the end of the dump's statement", std::time::Duration::from_secs(20), || {
        (server.sql(waits) == "0\n").then_some(())
    });
}

#[test]
fn a_view_that_leads_nowhere_is_named() {
    let server = MariaDb::start_with([]);
    let bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; USE d; CREATE TABLE t (a INT); CREATE VIEW broken AS SELECT a FROM t; DROP TABLE t");
    let error = refused(&bench, "d");
    assert!(error.contains("the view d.broken") && error.contains("repair the view or drop it"), "{error}");
}

#[test]
fn a_statement_that_takes_too_long_for_the_user_fails_the_backup() {
    let server = MariaDb::start_with([]);
    let bench = Bench::new(&server);
    server.sql(LONG);
    server.sql("ALTER USER 'backup'@'%' WITH MAX_STATEMENT_TIME 0.001");
    // Either the limit is lifted by the dump for itself, or the backup fails; half a table is never one.
    match bench.backup("d", BackupKind::Full, None) {
        Ok((_, report)) => {
            let sums: String =
                report.evidence.into_iter().map(|(name, value)| format!("{name} {value}\n")).collect();
            assert!(sums.contains("table long_one 120000 rows"), "{sums}");
        }
        Err(error) => assert!(error.to_string().contains("max_statement_time"), "{error}"),
    }
}

#[test]
fn a_backup_under_load_is_of_one_moment() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(LONG);
    server.sql("CREATE TABLE d.b (n BIGINT); INSERT INTO d.b VALUES (0); CREATE TABLE d.y (n BIGINT); INSERT INTO d.y VALUES (0)");
    let mut client = server.client();
    let moving = "DELIMITER //\nBEGIN NOT ATOMIC WHILE TRUE DO START TRANSACTION; UPDATE d.b SET n = n + 1; UPDATE d.y SET n = n - 1; COMMIT; DO SLEEP(0.004); END WHILE; END//\n";
    client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut writer = client.spawn().unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), moving.as_bytes()).unwrap();
    let mut made = bench.backup("d", BackupKind::Full, None).unwrap();
    for kind in [BackupKind::Incremental, BackupKind::Incremental] {
        made = bench.backup("d", kind, Some(&made)).unwrap();
        assert!(made.0.names().contains(&"log".to_owned()), "{:?}", made.1.messages);
    }
    bench.restore(&made.0, &made.1, "copy", None).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    let sums = server.sql("SELECT b.n > 0, b.n + y.n FROM copy.b b, copy.y y");
    assert_eq!(sums, "1\t0\n");
    assert_eq!(bench.prove(&made.0, &made.1).unwrap().differences, [""; 0]);
}
