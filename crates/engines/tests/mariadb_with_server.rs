//! What the engine of MariaDB servers promises, with Debian's server and programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "mariadb/bench.rs"]
mod bench;
mod memory;

use bench::{Bench, FILL, shop};
use larder_engines::{ChangeCheck, EngineError, RestorePointInTime};
use larder_model::{BackupKind, Cancel, EngineKind};
use larder_testbed::MariaDb;

#[test]
fn databases_are_found_but_not_the_servers_own() {
    let server = MariaDb::start_with([]);
    server.sql("CREATE DATABASE shop; CREATE DATABASE `we ird \"q'ü`; CREATE DATABASE `:accounts`");
    let bench = Bench::new(&server);
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    let found: Vec<_> =
        found.iter().map(|found| (found.suggested_name.as_str(), found.locator.as_str())).collect();
    assert_eq!(
        found,
        [
            ("accounts", "::accounts"),
            ("shop", "shop"),
            ("we-ird-q-ü", "we ird \"q'ü"),
            ("mariadb.accounts", ":accounts")
        ]
    );
}

#[test]
fn a_full_backup_comes_back_under_another_name_here_and_on_another_server() {
    let (server, other) = (MariaDb::start(), MariaDb::start_with([]));
    let (bench, elsewhere) = (Bench::new(&server), Bench::new(&other));
    server.sql(FILL);
    let (backup, report) = bench.backup("shop", BackupKind::Full, None).unwrap();
    assert_eq!(backup.names(), ["0-database.sql", "1-tables.sql", "2-code.sql", "3-views.sql"]);
    let wanted = shop(&server, "shop");
    for (bench, server, name) in [(&bench, &server, "copy 'of\" shöp"), (&elsewhere, &other, "shop")] {
        let told = bench.restore(&backup, &report, name, None).unwrap();
        assert_eq!(told.files, 3);
        assert_eq!(shop(server, name), wanted);
        let compared = bench.compare(&backup, &report, name).unwrap();
        assert_eq!(compared.differences, [""; 0]);
        assert_eq!(compared.compared, "6 tables, 1,013 rows, every value and definition");
        // The sequence, the trigger, the routine and the view of the copy are its own.
        server.sql(&format!("USE `{name}`; INSERT INTO numbered (x) VALUES (9); CALL fill(2)"));
        assert_eq!(server.sql(&format!("SELECT COUNT(*) FROM `{name}`.log")), "2\n");
    }
    assert_eq!(server.sql("SELECT COUNT(*) FROM shop.log"), "0\n");
    server.sql("CREATE PROCEDURE shop.bound() SELECT COUNT(*) FROM shop.customers");
    let more = bench.backup("shop", BackupKind::Full, None).unwrap();
    let told = bench.restore(&more.0, &more.1, "third", None).unwrap().messages.join("\n");
    assert!(told.contains("1 event is enabled in third") && told.contains("that one: bound"), "{told}");
    let proved = bench.prove(&backup, &report).unwrap();
    assert_eq!(
        (proved.differences.len(), proved.compared.as_str()),
        (0, "6 tables, 1,013 rows, every value and definition")
    );
}

#[test]
fn a_copy_that_differs_is_named() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(FILL);
    let (backup, report) = bench.backup("shop", BackupKind::Full, None).unwrap();
    bench.restore(&backup, &report, "copy", None).unwrap();
    server.sql(
        "USE copy; UPDATE customers SET name = 'x' WHERE id = 1; DELETE FROM bulk LIMIT 1; DROP TABLE numbered; \
         ALTER TABLE orders ADD z INT; CREATE TABLE more (a INT)",
    );
    let mut differences = bench.compare(&backup, &report, "copy").unwrap().differences;
    differences.sort();
    assert_eq!(
        differences,
        [
            "the table bulk has 999 rows instead of 1000",
            "the table customers has other values in its rows",
            "the table more is not in the backup",
            "the table numbered is missing",
            "the table orders has other values in its rows",
        ]
    );
}

#[test]
fn a_restore_never_touches_what_is_there_unless_told_to() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(FILL);
    let (mut backup, report) = bench.backup("shop", BackupKind::Full, None).unwrap();
    let wanted = shop(&server, "shop");
    let refused = bench.restore(&backup, &report, "shop", None).unwrap_err();
    assert!(matches!(refused, EngineError::TargetNotEmpty { .. }), "{refused}");
    server.sql(
        "DROP TABLE shop.numbered; UPDATE shop.customers SET name = 'worse'; CREATE TABLE shop.new (a INT)",
    );
    // A column that counts with a sequence cannot be exchanged in one step; nothing has happened to the old one.
    let refused = bench.restore_over(&backup, &report, "shop").unwrap_err().to_string();
    assert!(refused.contains("sequence"), "{refused}");
    assert_eq!(server.sql("SELECT COUNT(*) FROM shop.new"), "0\n");
    // A dump that fails to load leaves nothing behind.
    let (_, tables) = backup.entries.iter_mut().find(|(listed, _)| listed.path == b"1-tables.sql").unwrap();
    tables.extend(b"\nINSERT INTO nowhere VALUES (1);\n");
    let failed = bench.restore(&backup, &report, "copy", None).unwrap_err().to_string();
    assert!(failed.contains("nowhere") && failed.contains("copy at"), "{failed}");
    let names = server.sql("SHOW DATABASES");
    assert!(!names.contains("copy") && !names.contains("larder"), "{names}");
    server.sql("DROP DATABASE shop");
    server.sql(&FILL.replace(
        "CREATE TABLE numbered (id INT DEFAULT NEXTVAL(numbers)",
        "CREATE TABLE numbered (id INT DEFAULT 7",
    ));
    let (backup, report) = bench.backup("shop", BackupKind::Full, None).unwrap();
    let plain = shop(&server, "shop");
    assert_ne!(plain, wanted);
    server.sql("UPDATE shop.customers SET name = 'worse'; CREATE TABLE shop.new (a INT)");
    let told = bench.restore_over(&backup, &report, "shop").unwrap().messages.join("\n");
    assert!(told.contains("replaced"), "{told}");
    assert_eq!(shop(&server, "shop"), plain);
    let names = server.sql("SHOW DATABASES");
    assert!(!names.contains("larder"), "{names}");
}

#[test]
fn an_incremental_adds_the_log_and_restores_alone_to_its_end_or_any_moment() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(FILL);
    server.sql("CREATE DATABASE crm; CREATE TABLE crm.t (a INT)");
    let full = bench.backup("shop", BackupKind::Full, None).unwrap();
    server.sql("INSERT INTO shop.customers VALUES (10, 'Edsger', NULL); INSERT INTO crm.t VALUES (1)");
    let first = bench.backup("shop", BackupKind::Incremental, Some(&full)).unwrap();
    assert!(
        first.1.messages.iter().any(|told| told.starts_with("1 transaction of the log")),
        "{:?}",
        first.1
    );
    let between = shop(&server, "shop");
    let place = server.sql("SHOW MASTER STATUS");
    let place = place.split('\t').take(2).collect::<Vec<_>>().join(":");
    server.sql("FLUSH BINARY LOGS; USE shop; ALTER TABLE customers ADD city VARCHAR(20) DEFAULT 'Rom'; UPDATE customers SET city = 'Ulm' WHERE id = 1; FLUSH BINARY LOGS; DELETE FROM bulk WHERE id < 500");
    let second = bench.backup("shop", BackupKind::Incremental, Some(&first)).unwrap();
    let after = shop(&server, "shop");
    assert_ne!(between, after);
    let names = second.0.names();
    assert_eq!(
        &names[4..],
        ["log", "log/000001-bin.000001", "log/000002-bin.000002", "log/000003-bin.000003"]
    );
    assert_eq!(second.0.entries[1].1, full.0.entries[1].1);
    // The log is no part of the state that a later full backup is held against.
    let log = second.0.entries.iter().filter(|(listed, _)| listed.path.starts_with(b"log/"));
    let bytes: usize = log.map(|(_, bytes)| bytes.len()).sum();
    assert_eq!((second.1.history(), full.1.history()), ((3, bytes as u64), (0, 0)));
    let proved = bench.prove(&second.0, &second.1).unwrap();
    assert_eq!(proved.differences, [""; 0]);
    assert!(proved.compared.contains("4 transactions of the log replayed"), "{}", proved.compared);
    // The server may have noted a checkpoint in its log since; the rows are then compared with the log alone.
    let with_source = proved.compared.ends_with("every row with the source");
    assert!(with_source || proved.compared.ends_with("as it was logged"), "{}", proved.compared);
    bench.restore(&second.0, &second.1, "end", None).unwrap();
    assert_eq!(shop(&server, "end"), after);
    let compared = bench.compare(&second.0, &second.1, "end").unwrap();
    // The restore itself went through the log of the same server, which then is no proof any more.
    assert_eq!((compared.differences.len(), compared.changed_since), (0, 1));
    let until = RestorePointInTime::Position(place);
    bench.restore(&second.0, &second.1, "between", Some(&until)).unwrap();
    assert_eq!(shop(&server, "between"), between);
    // The living database was not touched by any of this.
    assert_eq!(shop(&server, "shop"), after);
    let late = RestorePointInTime::Time("2099-01-01T00:00:00Z".parse().unwrap());
    let refused = bench.restore(&second.0, &second.1, "late", Some(&late)).unwrap_err().to_string();
    assert!(refused.contains("this backup knows the changes from"), "{refused}");
}

#[test]
fn a_moment_is_found_to_the_second() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; USE d; CREATE TABLE t (a INT)");
    let full = bench.backup("d", BackupKind::Full, None).unwrap();
    // Sessions may set their own clock, and the log keeps it.
    let base: i64 = server.sql("SELECT UNIX_TIMESTAMP()").trim().parse().unwrap();
    for step in 0..3_i64 {
        server.sql(&format!("SET TIMESTAMP = {}; INSERT INTO d.t VALUES ({step})", base + 2 + step));
    }
    larder_testbed::wait_until("the server's clock", std::time::Duration::from_secs(20), || {
        let now: i64 = server.sql("SELECT UNIX_TIMESTAMP()").trim().parse().unwrap();
        (now > base + 5).then_some(())
    });
    let backup = bench.backup("d", BackupKind::Incremental, Some(&full)).unwrap();
    let moment = jiff::Timestamp::from_second(base + 3).unwrap();
    bench.restore(&backup.0, &backup.1, "then", Some(&RestorePointInTime::Time(moment))).unwrap();
    assert_eq!(server.sql("SELECT GROUP_CONCAT(a ORDER BY a) FROM `then`.t"), "0,1\n");
}

#[test]
fn mixed_logs_are_replayed_where_they_speak_of_one_database_only() {
    let server = MariaDb::start_with(["--log-bin=bin", "--binlog-format=MIXED", "--server-id=7"]);
    let bench = Bench::new(&server);
    server.sql(FILL);
    server.sql("CREATE DATABASE crm; CREATE TABLE crm.t (a INT); INSERT INTO crm.t VALUES (5)");
    let full = bench.backup("shop", BackupKind::Full, None).unwrap();
    server.sql("USE shop; INSERT INTO customers (name) VALUES (CONCAT('n', RAND())), (UUID()); UPDATE bulk SET text = 'y' WHERE id < 9; INSERT INTO shop.customers (name) VALUES ('own')");
    let first = bench.backup("shop", BackupKind::Incremental, Some(&full)).unwrap();
    assert!(first.0.names().contains(&"log".to_owned()), "{:?}", first.1.messages);
    bench.restore(&first.0, &first.1, "copy", None).unwrap();
    assert_eq!(shop(&server, "copy"), shop(&server, "shop"));
    server.sql(
        "USE shop; SET SESSION binlog_format = STATEMENT; DELETE FROM bulk WHERE id IN (SELECT a FROM crm.t)",
    );
    let second = bench.backup("shop", BackupKind::Incremental, Some(&first)).unwrap();
    assert!(!second.0.names().contains(&"log".to_owned()));
    assert!(second.1.messages[0].contains("full in itself"), "{:?}", second.1.messages);
    bench.restore(&second.0, &second.1, "again", None).unwrap();
    assert_eq!(shop(&server, "again"), shop(&server, "shop"));
}

#[test]
fn a_gap_in_the_log_makes_the_next_backup_full_by_itself() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql("CREATE DATABASE d; USE d; CREATE TABLE t (a INT)");
    let mut last = bench.backup("d", BackupKind::Full, None).unwrap();
    let causes = [
        "FLUSH BINARY LOGS; FLUSH BINARY LOGS; PURGE BINARY LOGS TO 'bin.000003'",
        "RESET MASTER; INSERT INTO d.t VALUES (1)",
        "SET GLOBAL server_id = 8; INSERT INTO d.t VALUES (1)",
        "DROP DATABASE d; CREATE DATABASE d; CREATE TABLE d.t (a INT)",
    ];
    for (number, cause) in causes.into_iter().enumerate() {
        server.sql(cause);
        // A file that the last backup was just reading is not purged yet.
        larder_testbed::wait_until("the end of the file", std::time::Duration::from_secs(30), || {
            let purged = || !server.sql("SHOW BINARY LOGS").contains("bin.000001");
            if cause.contains("PURGE") && !purged() {
                server.sql("PURGE BINARY LOGS TO 'bin.000003'");
            }
            (!cause.contains("PURGE") || purged()).then_some(())
        });
        server.sql(&format!("INSERT INTO d.t VALUES ({number})"));
        last = bench.backup("d", BackupKind::Incremental, Some(&last)).unwrap();
        assert!(
            last.1.messages[0].contains("this backup is full in itself"),
            "{cause}: {:?}",
            last.1.messages
        );
        assert!(!last.0.names().contains(&"log".to_owned()));
        let name = format!("copy{number}");
        bench.restore(&last.0, &last.1, &name, None).unwrap();
        let rows = "SELECT GROUP_CONCAT(a ORDER BY a) FROM";
        assert_eq!(server.sql(&format!("{rows} {name}.t")), server.sql(&format!("{rows} d.t")));
        server.sql(&format!("INSERT INTO d.t VALUES ({number})"));
        last = bench.backup("d", BackupKind::Incremental, Some(&last)).unwrap();
        assert!(last.0.names().contains(&"log".to_owned()), "{cause}: {:?}", last.1.messages);
    }
}

#[test]
fn nothing_is_proved_unchanged_that_was_written_to() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(FILL);
    let changes = [
        "INSERT INTO shop.customers VALUES (77, 'x', NULL)",
        "SET sql_log_bin = 0; INSERT INTO shop.customers VALUES (78, 'x', NULL)",
        "SET sql_log_bin = 0; USE shop; CREATE PROCEDURE q() SELECT 1",
        "SET sql_log_bin = 0; USE shop; CREATE OR REPLACE VIEW named AS SELECT UPPER(name) AS name FROM customers",
        "ALTER DATABASE shop CHARACTER SET latin1",
    ];
    for change in changes {
        // The server settles first: it purges and flushes of its own for a moment.
        larder_testbed::wait_until("an idle server", std::time::Duration::from_secs(30), || {
            let (_, report) = bench.backup("shop", BackupKind::Full, None).unwrap();
            let position = report.position.unwrap();
            let is = bench.engine().changed(&bench.source, &bench.database("shop"), &position).unwrap();
            (is == ChangeCheck::Unchanged).then_some(())
        });
        let (_, report) = bench.backup("shop", BackupKind::Full, None).unwrap();
        server.sql(change);
        let is = bench.engine().changed(&bench.source, &bench.database("shop"), &report.position.unwrap());
        assert_eq!(is.unwrap(), ChangeCheck::MaybeChanged, "{change}");
    }
}

#[test]
fn odd_names_an_empty_database_and_a_large_row_come_back() {
    let server = MariaDb::start_with(["--log-bin=bin", "--binlog-format=ROW", "--max-allowed-packet=64M"]);
    let bench = Bench::new(&server);
    server.sql("CREATE DATABASE empty CHARACTER SET latin2");
    let odd = "we ird \"d`b' ü\\";
    let quoted = odd.replace('`', "``");
    server.sql(&format!(
        "CREATE DATABASE `{quoted}`; USE `{quoted}`; CREATE TABLE `t \"a``b'` (`c \"o``l'` LONGBLOB, n INT PRIMARY KEY); \
         INSERT INTO `t \"a``b'` VALUES (REPEAT(0x00ff27225c0a, 2000000), 1), ('', 2), (NULL, 3); \
         CREATE VIEW `v '\"` AS SELECT n FROM `t \"a``b'`; CREATE TRIGGER `tr'` BEFORE INSERT ON `t \"a``b'` FOR EACH ROW SET NEW.n = NEW.n + 1; \
         CREATE PROCEDURE `p\"'`() SELECT 1"
    ));
    for (name, copy) in [("empty", "empty copy"), (odd, "c'o\"p`y")] {
        let full = bench.backup(name, BackupKind::Full, None).unwrap();
        bench.restore(&full.0, &full.1, copy, None).unwrap();
        assert_eq!(bench.compare(&full.0, &full.1, copy).unwrap().differences, [""; 0]);
        assert_eq!(bench.prove(&full.0, &full.1).unwrap().differences, [""; 0]);
    }
    let collation =
        "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'empty copy'";
    assert_eq!(server.sql(collation), "latin2\n");
    let full = bench.backup(odd, BackupKind::Full, None).unwrap();
    server.sql(&format!("INSERT INTO `{quoted}`.`t \"a``b'` VALUES ('new', 7)"));
    let next = bench.backup(odd, BackupKind::Incremental, Some(&full)).unwrap();
    assert!(next.0.names().contains(&"log".to_owned()), "{:?}", next.1.messages);
    bench.restore(&next.0, &next.1, "brought forward", None).unwrap();
    assert_eq!(server.sql("SELECT MAX(n), COUNT(*) FROM `brought forward`.`t \"a``b'`"), "8\t4\n");
}

#[test]
fn tables_without_transactions_are_locked_and_named() {
    for options in [&["--log-bin=bin", "--binlog-format=ROW"][..], &[]] {
        let server = MariaDb::start_with(options.iter().copied());
        let bench = Bench::new(&server);
        server.sql("CREATE DATABASE d; USE d; CREATE TABLE t (a INT) ENGINE=MyISAM; CREATE TABLE u (a INT); INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)");
        let full = bench.backup("d", BackupKind::Full, None).unwrap();
        assert!(full.1.messages.iter().any(|told| told.contains("t (MyISAM)")), "{:?}", full.1.messages);
        assert_eq!(bench.prove(&full.0, &full.1).unwrap().differences, [""; 0]);
    }
}

#[test]
fn accounts_are_a_database_that_never_overwrites_an_account_unasked() {
    let (server, other) = (MariaDb::start_with([]), MariaDb::start_with([]));
    let (bench, elsewhere) = (Bench::new(&server), Bench::new(&other));
    // A new server has accounts of its own alone; to keep none besides is proved like all else.
    let (backup, report) = bench.backup(":accounts", BackupKind::Full, None).unwrap();
    assert_eq!(bench.prove(&backup, &report).unwrap().differences, [""; 0]);
    server.sql("CREATE DATABASE shop; CREATE ROLE reader; GRANT SELECT ON shop.* TO reader");
    server.user("ada", "first", &["INSERT ON shop.*", "reader"]);
    server.user("o\\'q", "second", &["SELECT ON *.*"]);
    let (backup, report) = bench.backup(":accounts", BackupKind::Full, None).unwrap();
    let database = bench.database(":accounts");
    let position = report.position.clone().unwrap();
    assert_eq!(bench.engine().changed(&bench.source, &database, &position).unwrap(), ChangeCheck::Unchanged);
    other.user("ada", "other", &[]);
    let password = "SELECT authentication_string FROM mysql.user WHERE User = 'ada'";
    let before = other.sql(password);
    elsewhere.restore(&backup, &report, ":accounts", None).unwrap();
    assert_eq!(other.sql(password), before);
    assert!(other.sql("SHOW GRANTS FOR 'o\\'q'@'%'").contains("GRANT SELECT ON *.*"));
    elsewhere.restore_over(&backup, &report, ":accounts").unwrap();
    assert_eq!(other.sql(password), server.sql(password));
    assert_eq!(elsewhere.compare(&backup, &report, ":accounts").unwrap().differences, [""; 0]);
    assert_eq!(bench.prove(&backup, &report).unwrap().differences, [""; 0]);
    server.sql("GRANT DELETE ON shop.* TO reader");
    assert_eq!(
        bench.engine().changed(&bench.source, &database, &position).unwrap(),
        ChangeCheck::MaybeChanged
    );
}

#[test]
fn a_server_as_a_whole_comes_back_as_files_with_the_pages_that_changed() {
    let server = MariaDb::start();
    let bench = Bench::whole(&server);
    server.sql(FILL);
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    assert!(found.iter().any(|found| found.locator == ":server" && found.suggested_name == "mariadb.server"));
    let full = bench.backup(":server", BackupKind::Full, None).unwrap();
    assert_eq!(full.0.names(), ["server", "server/000000-full.mbstream"]);
    server.sql("INSERT INTO shop.customers VALUES (10, 'Edsger', NULL); CREATE DATABASE later; CREATE TABLE later.t (a INT)");
    let next = bench.backup(":server", BackupKind::Incremental, Some(&full)).unwrap();
    assert_eq!(&next.0.names()[1..], ["server/000000-full.mbstream", "server/000001-incremental.mbstream"]);
    let pages = next.0.entries.last().unwrap().1.len() as u64;
    assert_eq!((next.1.history(), full.1.history()), ((1, pages), (0, 0)));
    let proved = bench.prove(&next.0, &next.1).unwrap();
    assert_eq!(proved.differences, [""; 0]);
    assert!(proved.compared.starts_with("2 databases, 7 tables, 1,014 rows"), "{}", proved.compared);
    let target = larder_testbed::TempDir::new();
    let told = bench.restore_files(&next.0, &next.1, &target.join("data")).unwrap();
    assert!(target.join("data/shop/customers.ibd").exists() && told.files > 20);
    let refused = bench.restore_files(&next.0, &next.1, &target.join("data")).unwrap_err();
    assert!(matches!(refused, EngineError::TargetNotEmpty { .. }), "{refused}");
}

#[test]
fn the_engine_says_what_it_is_and_stops_when_asked() {
    let server = MariaDb::start();
    let bench = Bench::new(&server);
    server.sql(FILL);
    assert_eq!(bench.engine().kind(), EngineKind::Mariadb);
    let cancel = Cancel::new();
    cancel.cancel();
    let stopped = bench.try_backup("shop", BackupKind::Full, None, &cancel).unwrap_err();
    assert!(matches!(stopped, EngineError::Canceled(_)), "{stopped}");
}
