//! Whole PostgreSQL servers: copied while they are written to, brought back to any moment, judged in a second server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;
#[path = "postgresql/whole.rs"]
mod whole;

use larder_engines::{EngineError, RestorePointInTime, RestoreTarget};
use larder_model::{BackupKind, Cancel};
use larder_testbed::{Postgresql, TempDir};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use whole::{Bench, Taken};

#[test]
fn the_server_as_a_whole_is_a_database_where_the_source_says_so() {
    let bench = Bench::start(&[]);
    bench.server.sql("postgres", "CREATE DATABASE \":server\"");
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    let found: Vec<_> =
        found.iter().map(|found| (found.suggested_name.as_str(), found.locator.as_str())).collect();
    assert_eq!(found, [("server", "::server"), ("postgres", "postgres"), ("main.server", ":server")]);
    let mut plain = bench.source.clone();
    plain.options.clear();
    assert_eq!(bench.engine().discover(&plain, &[]).unwrap().len(), 2);
}

#[test]
fn a_copy_made_under_load_is_of_one_moment_with_its_tablespaces_and_without_what_a_crash_empties() {
    let bench = Bench::start(&[]);
    let place = TempDir::new();
    bench.tablespace("\"far away\"", &place);
    bench.server.sql(
        "postgres",
        "CREATE UNLOGGED TABLE passing AS SELECT generate_series(1, 1000) AS n;
         CREATE TABLE far TABLESPACE \"far away\" AS SELECT generate_series(1, 5000) AS n",
    );
    bench.server.sql("postgres", "CREATE DATABASE \"zwölf \"\"Boxer\"");
    let load = bench.load();
    load.await_progress(&bench.server);
    let full = bench.full();
    load.await_progress(&bench.server);
    drop(load);
    let told = full.report.messages.join("\n");
    assert!(told.contains("max_slot_wal_keep_size"), "{told}");
    let names = full.backup.names();
    assert!(names.iter().any(|name| name.starts_with("base-000000/tablespaces/") && name.contains("/PG_1")));
    for name in ["postmaster.pid", "pg_internal.init", "pgsql_tmp"] {
        assert!(!names.iter().any(|path| path.contains(name)), "{name}");
    }
    assert!(names.contains(&"base-000000/data/backup_label".to_owned()));
    assert_eq!(full.backup.unreadable, []);
    let copy = bench.restore(&full, None).unwrap();
    let balance =
        "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),
        (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers),
        (SELECT count(*) > 0 FROM pgbench_history)";
    assert_eq!(copy.sql("postgres", balance), "t|t|t");
    assert_eq!(copy.sql("postgres", "SELECT count(*), sum(n) FROM far"), "5000|12502500");
    assert_eq!(copy.sql("postgres", "SELECT count(*) FROM passing"), "0");
    let lies = copy
        .sql("postgres", "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'far away'");
    assert_ne!(lies, place.path().display().to_string(), "the first server's own is left alone");
    assert!(
        fs::read_dir(copy.data_directory().join("larder-wal")).is_err(),
        "the log that was replayed is gone"
    );
    let proved = bench.prove(&full);
    assert_eq!(proved.differences, [""; 0]);
    assert!(
        proved.compared.starts_with("3 databases, ") && proved.compared.contains(" indexes checked"),
        "{}",
        proved.compared
    );
}

#[test]
fn incrementals_are_whole_by_themselves_and_keep_the_log_without_a_gap() {
    let bench = Bench::start(&[]);
    bench.server.sql(
        "postgres",
        "CREATE TABLE kept AS SELECT generate_series(1, 100000) AS n; CREATE TABLE counted (n int)",
    );
    let mut taken = bench.full();
    for round in 1..=3 {
        bench
            .server
            .sql("postgres", &format!("INSERT INTO counted SELECT {round} FROM generate_series(1, 100)"));
        taken = bench.incremental(taken);
        assert!(
            !taken.report.messages.iter().any(|message| message.contains("full in itself")),
            "{:?}",
            taken.report
        );
    }
    let names = taken.backup.names();
    let has = |base: &str| names.iter().any(|name| name == &format!("{base}/data/PG_VERSION"));
    assert!(has("base-000000") && !has("base-000001") && has("base-000002") && has("base-000003"));
    let log: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_prefix("wal/"))
        .map(|name| u64::from_str_radix(&name[16..], 16).unwrap())
        .collect();
    assert!(log.windows(2).all(|pair| pair[1] == pair[0] + 1), "{log:?}");
    let copy = bench.restore(&taken, None).unwrap();
    assert_eq!(
        copy.sql("postgres", "SELECT count(*), (SELECT count(*) FROM kept) FROM counted"),
        "300|100000"
    );
    assert_eq!(bench.prove(&taken).differences, [""; 0]);
    let history = taken.report.history();
    assert!(history.0 > 1_000 && history.1 > 50 << 20, "{history:?}");
}

#[test]
fn a_file_that_nobody_wrote_to_since_before_the_last_copy_is_taken_over_and_no_other() {
    let bench = Bench::start(&[]);
    for table in ["kept", "changed", "touched"] {
        let made = format!("CREATE TABLE {table} AS SELECT generate_series(1, 20000) AS n");
        bench.server.sql("postgres", &made);
        bench.server.sql("postgres", &format!("VACUUM FREEZE {table}"));
    }
    let file = |table| bench.server.sql("postgres", &format!("SELECT pg_relation_filepath('{table}')"));
    let [kept, changed, touched] = ["kept", "changed", "touched"].map(file);
    // Longer than what may have been written within the same tick of a coarse clock.
    bench.server.sql("postgres", "CHECKPOINT");
    bench.server.sql("postgres", "SELECT pg_sleep(3.5)");
    let full = bench.full();
    bench.server.sql("postgres", "UPDATE changed SET n = 0 WHERE n = 7");
    bench.server.sql("postgres", "CHECKPOINT");
    // Its pages say that they are old, and its times do not.
    let touched_file = bench.server.data_directory().join(&touched);
    fs::set_permissions(&touched_file, fs::Permissions::from_mode(0o600)).unwrap();
    let taken = bench.incremental(full);
    let in_copy = |file: &str| format!("base-000001/data/{file}");
    let over = &taken.backup.taken_over;
    assert!(over.contains(&in_copy(&kept)), "{over:?}");
    assert!(!over.contains(&in_copy(&changed)) && !over.contains(&in_copy(&touched)), "{over:?}");
    // Most of a new server's files are nobody's but its own.
    assert!(over.len() > 200, "{over:?}");
    let copy = bench.restore(&taken, None).unwrap();
    let sums = "SELECT (SELECT sum(n) FROM kept), (SELECT sum(n) FROM changed), (SELECT sum(n) FROM touched)";
    assert_eq!(copy.sql("postgres", sums), "200010000|200009993|200010000");
    assert_eq!(bench.prove(&taken).differences, [""; 0]);
}

#[test]
fn a_moment_a_place_and_a_named_point_between_backups_come_back() {
    let bench = Bench::start(&[]);
    let rows = |number: u32| {
        bench.server.sql("postgres", &format!("INSERT INTO counted SELECT generate_series(1, {number})"));
    };
    bench.server.sql("postgres", "CREATE TABLE counted (n int)");
    rows(1);
    let full = bench.full();
    // Over the edge of a second, so that the moment that is asked for is no other.
    let wait = "SELECT pg_sleep(2.2 - extract(epoch FROM clock_timestamp())::numeric % 1)";
    bench.server.sql("postgres", wait);
    rows(10);
    let second = "SELECT to_char(date_trunc('second', clock_timestamp()) + interval '1 second', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let moment = bench.server.sql("postgres", &format!("SET timezone = 'UTC'; {second}"));
    bench.server.sql("postgres", wait);
    rows(100);
    let place = bench.server.sql("postgres", "SELECT pg_current_wal_insert_lsn()");
    rows(1_000);
    bench.server.sql("postgres", "SELECT pg_create_restore_point('before the mistake')");
    rows(10_000);
    let first = bench.incremental(full);
    rows(100_000);
    let second = bench.incremental(first);
    let count = |until: Option<RestorePointInTime>| {
        bench.restore(&second, until.as_ref()).unwrap().sql("postgres", "SELECT count(*) FROM counted")
    };
    assert_eq!(count(Some(RestorePointInTime::Time(moment.parse().unwrap()))), "11");
    assert_eq!(count(Some(RestorePointInTime::Position(place))), "111");
    assert_eq!(count(Some(RestorePointInTime::Name("before the mistake".to_owned()))), "1111");
    assert_eq!(count(None), "111111");
    let refused = |until| bench.restore(&second, Some(&until)).map(drop).unwrap_err().to_string();
    let early = refused(RestorePointInTime::Time("2020-01-01T00:00:00Z".parse().unwrap()));
    assert!(
        early.contains("the moment 2020-01-01T00:00:00Z is not in this backup: it holds the moments from 2"),
        "{early}"
    );
    assert!(early.contains("'before the mistake'"), "{early}");
    for until in [
        RestorePointInTime::Time("2120-01-01T00:00:00Z".parse().unwrap()),
        RestorePointInTime::Position("0/0".to_owned()),
        RestorePointInTime::Position("FFFF/0".to_owned()),
        RestorePointInTime::Name("never".to_owned()),
    ] {
        assert!(refused(until).contains("not in this backup"));
    }
}

#[test]
fn a_piece_of_log_that_is_missing_makes_the_next_backup_full_and_says_so() {
    let bench = Bench::start(&[]);
    let full = bench.full();
    bench.server.sql(
        "postgres",
        "CREATE TABLE t AS SELECT 1 AS n; SELECT pg_switch_wal(); CREATE TABLE u AS SELECT 1 AS n",
    );
    let last: String = full
        .backup
        .names()
        .into_iter()
        .filter_map(|name| name.strip_prefix("wal/").map(str::to_owned))
        .max()
        .unwrap();
    let number = u64::from_str_radix(&last[16..], 16).unwrap() + 1;
    let missing = format!("{}{number:08X}", &last[..16]);
    fs::rename(bench.server.data_directory().join("pg_wal").join(&missing), bench.aside.join("piece"))
        .unwrap();
    let taken = bench.incremental(full);
    let told = taken.report.messages.join("\n");
    assert!(
        told.contains("full in itself") && told.contains(&missing) && told.contains("no moment between"),
        "{told}"
    );
    assert!(taken.backup.names().iter().all(|name| !name.contains("base-000001")));
    assert_eq!(bench.restore(&taken, None).unwrap().sql("postgres", "SELECT count(*) FROM u"), "1");
}

#[test]
fn a_slot_that_was_lost_says_so_and_is_made_anew() {
    let bench = Bench::start(&["max_slot_wal_keep_size=64MB", "max_wal_size=32MB", "min_wal_size=32MB"]);
    let full = bench.full();
    assert!(!full.report.messages.iter().any(|message| message.contains("without bound")));
    for _ in 0..12 {
        bench.server.sql(
            "postgres",
            "CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (1); SELECT pg_switch_wal()",
        );
    }
    bench.server.sql("postgres", "CHECKPOINT");
    let state = "SELECT wal_status FROM pg_replication_slots WHERE slot_name LIKE 'larder%'";
    assert_eq!(bench.server.sql("postgres", state), "lost");
    let taken = bench.incremental(full);
    let told = taken.report.messages.join("\n");
    assert!(
        told.contains("full in itself: the replication slot larder_") && told.contains("was lost"),
        "{told}"
    );
    assert_ne!(bench.server.sql("postgres", state), "lost");
    let next = bench.incremental(taken);
    assert!(next.backup.names().iter().any(|name| name.starts_with("base-000001/")));
}

#[test]
fn a_slot_is_kept_for_each_chain_follows_its_backups_and_goes_with_it() {
    let bench = Bench::start(&[]);
    let slots = "SELECT count(*) FROM pg_replication_slots";
    let at = "SELECT restart_lsn FROM pg_replication_slots";
    let full = bench.full();
    assert_eq!(bench.server.sql("postgres", slots), "1");
    let before = bench.server.sql("postgres", at);
    let next = bench.incremental(full);
    assert_ne!(bench.server.sql("postgres", at), before);
    let before = bench.server.sql("postgres", at);
    bench.incremental(next);
    bench.full();
    assert_ne!(bench.server.sql("postgres", at), before, "a full one begins anew");
    bench.once();
    assert_eq!(bench.server.sql("postgres", slots), "1", "one-time backups leave none");
    bench.engine().release(&bench.source, &bench.database(), "test/1/main.server").unwrap();
    bench.engine().release(&bench.source, &bench.database(), "test/1/main.server").unwrap();
    assert_eq!(bench.server.sql("postgres", slots), "0");
}

#[test]
fn another_server_in_its_place_makes_the_next_backup_full() {
    let (bench, other) = (Bench::start(&[]), Bench::start(&[]));
    let full = bench.full();
    let taken = other.incremental(full);
    let told = taken.report.messages.join("\n");
    assert!(told.contains("full in itself: the server was made anew"), "{told}");
}

#[test]
fn a_page_that_does_not_fit_its_checksum_fails_the_backup_and_is_named() {
    let mut bench = Bench::start(&[]);
    bench.server.sql("postgres", "CREATE TABLE damaged AS SELECT generate_series(1, 50000) AS n");
    let file = bench.server.sql("postgres", "SELECT pg_relation_filepath('damaged')");
    bench.enable_checksums();
    assert_eq!(bench.server.sql("postgres", "SHOW data_checksums"), "on");
    let full = bench.full();
    assert_eq!(bench.prove(&full).differences, [""; 0]);
    let path = bench.server.data_directory().join(&file);
    let opened = fs::OpenOptions::new().write(true).open(&path).unwrap();
    opened.write_all_at(b"damage", 3 * 8192 + 4000).unwrap();
    let error = bench.take(BackupKind::Full, None, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains(&file) && error.contains("the page 3 does not fit its checksum"), "{error}");
}

#[test]
fn each_right_that_is_missing_is_named_and_with_them_all_a_poor_user_copies_a_server() {
    let bench = Bench::start(&[]);
    bench.server.sql("postgres", "CREATE ROLE poor LOGIN PASSWORD 'poor'");
    let poor = bench.as_user("poor", "poor");
    let error = bench.take_from(&poor, BackupKind::Full, None, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("larder source check"), "{error}");
    let missing = bench.engine().missing_rights(&poor).unwrap();
    let named: Vec<&str> = missing.iter().map(|right| right.grant.as_str()).collect();
    for grant in ["ALTER ROLE \"poor\" REPLICATION;", "GRANT pg_read_all_settings TO \"poor\";"] {
        assert!(named.contains(&grant), "{named:#?}");
    }
    for right in &missing {
        bench.grant(&right.grant);
    }
    assert_eq!(bench.engine().missing_rights(&poor).unwrap(), []);
    let (backup, report) = bench.take_from(&poor, BackupKind::Full, None, &Cancel::new()).unwrap();
    assert_eq!(bench.prove(&Taken { backup, report }).differences, [""; 0]);
}

#[test]
fn nothing_is_restored_into_a_server_or_over_files() {
    let bench = Bench::start(&[]);
    let full = bench.full();
    let into = RestoreTarget::Server { source: &bench.source, name: "x" };
    let error = bench.restore_to(&full, into, None).unwrap_err().to_string();
    assert!(error.contains("name a directory"), "{error}");
    let full_place = TempDir::new();
    fs::write(full_place.join("mine"), "x").unwrap();
    let error = bench.restore_to(&full, RestoreTarget::Path(full_place.path()), None).unwrap_err();
    assert!(matches!(error, EngineError::TargetNotEmpty { .. }), "{error}");
    assert_eq!(fs::read_dir(full_place.path()).unwrap().count(), 1);
}

#[test]
fn a_backup_whose_log_lacks_a_piece_is_not_restored() {
    let bench = Bench::start(&[]);
    let mut full = bench.full();
    let place = full.backup.entries.iter().position(|(listed, _)| listed.path.starts_with(b"wal/")).unwrap();
    full.backup.entries.remove(place);
    assert!(bench.restore(&full, None).is_err());
}

#[test]
fn a_server_that_stops_midway_and_an_abort_end_in_an_error() {
    let mut bench = Bench::start(&[]);
    let cancel = Cancel::new();
    cancel.cancel();
    let error = bench.take(BackupKind::Full, None, &cancel).unwrap_err();
    assert!(matches!(error, EngineError::Canceled(_)), "{error}");
    bench.server.stop();
    bench.take(BackupKind::Full, None, &Cancel::new()).unwrap_err();
    bench.server.begin();
}

#[test]
fn a_server_whose_files_cannot_be_read_sends_them_itself_and_its_log_too() {
    let bench = Bench::start(&[]);
    bench.server.sql("postgres", "CREATE TABLE counted AS SELECT generate_series(1, 100) AS n");
    // Another server's data at the place that the server names is not read.
    let pid = bench.server.data_directory().join("postmaster.pid");
    let before = fs::read_to_string(&pid).unwrap();
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    lines[3] = "1".to_owned();
    fs::write(&pid, lines.join("\n")).unwrap();
    let full = bench.full();
    let told = full.report.messages.join("\n");
    assert!(told.contains("the server sent its files itself") && told.contains("another server's"), "{told}");
    bench.server.sql("postgres", "INSERT INTO counted SELECT generate_series(1, 10)");
    bench.server.sql("postgres", "SELECT pg_create_restore_point('ten more')");
    bench.server.sql("postgres", "INSERT INTO counted VALUES (1)");
    let next = bench.incremental(full);
    let place = TempDir::new();
    bench.tablespace("beside", &place);
    let refused = bench.take(BackupKind::Full, None, &Cancel::new()).unwrap_err().to_string();
    assert!(refused.contains("tablespaces, which cannot be sent"), "{refused}");
    fs::write(&pid, before).unwrap();
    assert!(next.backup.names().contains(&"base-000001/backup_manifest".to_owned()));
    let count = |until: Option<RestorePointInTime>| {
        bench.restore(&next, until.as_ref()).unwrap().sql("postgres", "SELECT count(*) FROM counted")
    };
    assert_eq!(count(None), "111");
    assert_eq!(count(Some(RestorePointInTime::Name("ten more".to_owned()))), "110");
    assert_eq!(bench.prove(&next).differences, [""; 0]);
    // The next backup may read the files again.
    let last = bench.incremental(next);
    assert!(
        !last.report.messages.iter().any(|message| message.contains("full in itself")),
        "{:?}",
        last.report
    );
}

#[test]
fn the_vendors_own_programs_accept_a_restored_copy() {
    let mut bench = Bench::start(&[]);
    bench
        .server
        .sql("postgres", "CREATE TABLE t AS SELECT generate_series(1, 50000) AS n; CREATE INDEX ON t (n)");
    bench.enable_checksums();
    let full = bench.full();
    let mut copy = bench.restore(&full, None).unwrap();
    copy.shut_down();
    let mut checker = Postgresql::as_server("pg_checksums");
    let checked = checker.arg("--check").arg("-D").arg(copy.data_directory()).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
