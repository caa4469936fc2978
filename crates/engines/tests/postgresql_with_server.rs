//! What the engine of PostgreSQL promises, tried on private servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod conformance;
mod memory;
mod postgresql;

use conformance::{Bench, Interfering, Taken, assert_same, conformance, try_take, wrapped};
use larder_engines::{ChangeCheck, EngineError, Engines, Host, RestoreJob, RestoreTarget};
use larder_model::{Cancel, EngineKind, Secret, Source};
use larder_testbed::{Postgresql, TempDir, wait_until};
use postgresql::Servers;
use std::path::Path;
use std::time::Duration;

conformance!(Servers::start);

/// Makes a host on which one program is replaced by a script.
fn host_with(directory: &TempDir, name: &str, script: &str) -> Host {
    wrapped(directory.path(), name, &Postgresql::program(name), script);
    for other in ["psql", "pg_dump", "pg_dumpall"].into_iter().filter(|other| *other != name) {
        std::os::unix::fs::symlink(Postgresql::program(other), directory.join(other)).unwrap();
    }
    let directories = vec![directory.path().to_owned(), "/usr/bin".into(), "/bin".into()];
    Host { tool_directories: directories, niceness: 0, ..Host::default() }
}

/// Says what comes of a backup with a program replaced by a script.
fn with_script(name: &str, script: &str) -> String {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    bench.fill("shop");
    let directory = TempDir::new();
    *servers.host.borrow_mut() = host_with(&directory, name, script);
    let mut sink = memory::MemoryBackup::default();
    let outcome = try_take(bench, &bench.source(), "shop", None, &mut sink, &Cancel::new());
    assert!(!sink.names().contains(&"dump.sql".to_owned()), "half a dump is no file of a backup");
    outcome.unwrap_err().to_string()
}

#[test]
fn a_dump_that_is_killed_midway_is_none() {
    let told = with_script("pg_dump", "\"$REAL\" \"$@\" | head -c 3000; kill -9 $$");
    assert!(told.contains("dumping the database shop") && told.contains("signal 9"), "{told}");
}

#[test]
fn a_dump_without_its_closing_marker_is_none() {
    let told = with_script("pg_dump", "\"$REAL\" \"$@\" | head -n 60");
    assert!(told.contains("lacks the marker"), "{told}");
}

#[test]
fn a_dump_of_nothing_is_none() {
    let told = with_script("pg_dump", "exit 0");
    assert!(told.contains("printed nothing"), "{told}");
}

#[test]
fn a_dump_that_ends_badly_after_its_marker_is_none() {
    let told = with_script("pg_dump", "\"$REAL\" \"$@\"; echo 'no luck today' >&2; exit 3");
    assert!(told.contains("exit status 3") && told.contains("no luck today"), "{told}");
}

#[test]
fn roles_that_cannot_be_dumped_fail_the_backup() {
    let told = with_script("pg_dumpall", "exit 0");
    assert!(told.contains("roles and tablespaces"), "{told}");
}

#[test]
fn a_program_older_than_the_server_is_refused_by_both_versions() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    let directory = TempDir::new();
    let mut host = host_with(&directory, "pg_dump", "exit 0");
    std::fs::write(directory.join("pg_dump"), "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n").unwrap();
    host.tool_directories.truncate(1);
    *servers.host.borrow_mut() = host;
    let told = bench.try_full(&bench.source(), "shop").unwrap_err().to_string();
    assert!(told.contains("9.6.24") && told.contains("the server is PostgreSQL 1"), "{told}");
    assert!(told.contains("postgresql-client"), "{told}");
}

#[test]
fn a_password_never_reaches_the_process_list() {
    let directory = TempDir::new();
    let seen = directory.join("seen");
    let script = format!("ps -ww -eo args > '{}'; exec \"$REAL\" \"$@\"", seen.display());
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    *servers.host.borrow_mut() = host_with(&directory, "pg_dump", &script);
    bench.try_full(&bench.source(), "shop").unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("pg_dump") && !seen.contains(Postgresql::PASSWORD), "{seen}");
}

#[test]
fn a_locked_table_is_waited_for_and_then_named() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    bench.fill("shop");
    let mut locker = servers.first.borrow().client("shop");
    locker.args(["-c", "BEGIN; LOCK TABLE customers; SELECT pg_sleep(600)"]);
    let mut locker = locker.spawn().unwrap();
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'customers'::regclass";
    wait_until("the lock", Duration::from_secs(30), || {
        (servers.first.borrow().sql("shop", locked) == "1").then_some(())
    });
    let mut source = bench.source();
    source.options.insert("LockTimeout".to_owned(), "1".to_owned());
    let told = bench.try_full(&source, "shop").unwrap_err().to_string();
    locker.kill().unwrap();
    locker.wait().unwrap();
    assert!(told.contains("customers") && told.contains("LockTimeout"), "{told}");
}

#[test]
fn a_right_that_is_missing_on_one_table_fails_the_backup_and_names_it() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    bench.fill("shop");
    let poor = bench.poor_source();
    let engines = bench.engines();
    for _ in 0..2 {
        for right in engines.get(EngineKind::Postgresql).missing_rights(&poor).unwrap() {
            if !right.grant.contains("pg_read_all_data") {
                bench.grant(&right.grant);
            }
        }
    }
    bench.try_full(&poor, "shop").unwrap();
    bench.grant("\\c shop\nREVOKE SELECT ON customers FROM poor;");
    let told = bench.try_full(&poor, "shop").unwrap_err().to_string();
    assert!(
        told.contains("permission denied for table customers") && told.contains("larder source check"),
        "{told}"
    );
    let missing = engines.get(EngineKind::Postgresql).missing_rights(&poor).unwrap();
    assert!(
        missing.iter().any(|right| right.what == "reading the table public.customers of shop"),
        "{missing:#?}"
    );
}

#[test]
fn a_database_dropped_while_it_is_dumped_is_an_error() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("large");
    bench.fill_large("large");
    let mut sink = Interfering::after(1 << 20, || {
        servers.first.borrow().sql("postgres", "DROP DATABASE large WITH (FORCE)");
    });
    let error = try_take(bench, &bench.source(), "large", None, &mut sink, &Cancel::new()).unwrap_err();
    assert!(sink.acted() && matches!(error, EngineError::Failed { .. }), "{error}");
}

#[test]
fn a_table_cannot_be_altered_while_it_is_dumped() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("large");
    bench.fill_large("large");
    let mut altered = Ok(String::new());
    let mut sink = Interfering::after(1 << 20, || {
        let alter = "SET lock_timeout = '200ms'; ALTER TABLE large DROP COLUMN noise";
        altered = servers.first.borrow().try_sql("large", alter);
    });
    let report = try_take(bench, &bench.source(), "large", None, &mut sink, &Cancel::new()).unwrap();
    let backup = std::mem::take(&mut sink.inner);
    drop(sink);
    assert!(altered.unwrap_err().contains("lock timeout"));
    let taken = Taken { backup, report, database: memory::database(&bench.source(), "large") };
    bench.restore(&taken, &bench.source(), "copy");
    assert_eq!(bench.compare(&taken, &bench.source(), "copy").differences, [""; 0]);
    assert_eq!(servers.first.borrow().sql("copy", "SELECT count(noise) FROM large"), "150000");
}

#[test]
fn a_quiet_server_is_known_to_be_unchanged_and_nothing_else_is() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    let server = servers.first.borrow();
    for name in ["shop", "other"] {
        bench.make(name);
        bench.fill(name);
    }
    let taken = bench.full("shop");
    assert_eq!(bench.changed(&taken), ChangeCheck::Unchanged);
    // Reading is no change, nor is keeping house.
    server.sql("shop", "SELECT count(*) FROM customers; CHECKPOINT");
    assert_eq!(bench.changed(&taken), ChangeCheck::Unchanged);
    // The values of sequences go on without a transaction's number.
    let sequence = bench.full("shop");
    server.sql("shop", "SELECT nextval('customers_id_seq')");
    assert_eq!(bench.changed(&sequence), ChangeCheck::MaybeChanged);
    // What was open when the backup was made may be committed later, without a new number.
    server
        .sql("shop", "BEGIN; INSERT INTO customers (name) VALUES ('prepared'); PREPARE TRANSACTION 'later'");
    let prepared = bench.full("shop");
    assert_eq!(bench.changed(&prepared), ChangeCheck::MaybeChanged);
    server.sql("shop", "COMMIT PREPARED 'later'");
    assert_eq!(bench.changed(&prepared), ChangeCheck::MaybeChanged);
    // Numbers are the server's, so a neighbour's change is one that cannot be told from a change here.
    let neighbour = bench.full("shop");
    bench.change("other");
    assert_eq!(bench.changed(&neighbour), ChangeCheck::MaybeChanged);
    let restarted = bench.full("shop");
    assert_eq!(bench.changed(&restarted), ChangeCheck::Unchanged);
    drop(server);
    servers.first.borrow_mut().shut_down();
    servers.first.borrow_mut().begin();
    assert_eq!(bench.changed(&restarted), ChangeCheck::MaybeChanged);
}

#[test]
fn owner_settings_and_rights_of_the_database_itself_come_back() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    let server = servers.first.borrow();
    server.sql(
        "postgres",
        "CREATE ROLE \"the boss\" LOGIN PASSWORD 'x'; CREATE ROLE clerk;
         ALTER DATABASE shop OWNER TO \"the boss\";
         COMMENT ON DATABASE shop IS 'It''s \\ours'",
    );
    for statement in [
        "ALTER DATABASE shop SET search_path TO \"a b\", public",
        "ALTER DATABASE shop SET work_mem TO '7MB'",
        "ALTER ROLE clerk IN DATABASE shop SET application_name TO 'o''clock'",
        "ALTER DATABASE shop CONNECTION LIMIT 17",
        "REVOKE CONNECT ON DATABASE shop FROM PUBLIC",
        "GRANT CONNECT ON DATABASE shop TO clerk WITH GRANT OPTION",
    ] {
        server.sql("postgres", statement);
    }
    let taken = bench.full("shop");
    let describe = |server: &Postgresql, name: &str| {
        server.sql(
            "postgres",
            &format!(
                "SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'), encoding, datcollate,
                    (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
                    (SELECT array_agg(pg_get_userbyid(setrole) || ':' || setconfig::text ORDER BY 1)
                        FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole <> 0),
                    (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)
                 FROM pg_database d WHERE datname = '{name}'"
            ),
        )
    };
    let second = bench.second();
    bench.restore(&taken, &bench.source(), "copy");
    assert_eq!(describe(&server, "copy"), describe(&server, "shop"));
    let report = bench.try_restore(&taken, &second, "copy", false).unwrap();
    assert_eq!(describe(servers.other(), "copy"), describe(&server, "shop"));
    assert!(report.messages.iter().any(|message| message.contains("the boss")), "{report:?}");
    let can_log_in = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'the boss'";
    assert_eq!(servers.other().sql("postgres", can_log_in), "f", "nobody gets in whom nobody let in");
    let globals = taken.backup.entries.iter().find(|(listed, _)| listed.path == b"globals.sql").unwrap();
    let globals = String::from_utf8_lossy(&globals.1);
    assert!(globals.contains("\"the boss\"") && globals.contains("SCRAM-SHA-256"), "{globals}");
}

#[test]
fn a_backup_becomes_files_that_the_vendors_own_client_takes() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    bench.fill("shop");
    let taken = bench.full("shop");
    let directory = TempDir::new();
    let target = directory.join("files");
    let job = RestoreJob {
        target: RestoreTarget::Path(&target),
        overwrite: false,
        until: None,
        staging: Path::new("/nonexistent"),
        report: Some(&taken.report),
        cancel: &Cancel::new(),
    };
    bench.engines().get(EngineKind::Postgresql).restore(&job, &taken.backup).unwrap();
    bench.make("copy");
    let mut client = servers.first.borrow().client("copy");
    let done = client.arg("-f").arg(target.join("dump.sql")).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_same(bench.content(&bench.source(), "copy"), bench.content(&bench.source(), "shop"));
}

#[test]
fn a_server_is_found_by_its_socket_and_read_as_it_is_proposed() {
    let servers = Servers::start();
    let bench: &dyn Bench = &servers;
    bench.make("shop");
    bench.fill("shop");
    let engines = bench.engines();
    let found = engines.get(EngineKind::Postgresql).find();
    let server = servers.first.borrow();
    let socket = server.socket_directory().display().to_string();
    let proposed = found.into_iter().find(|found| found.reason.contains(&socket)).unwrap();
    assert!(proposed.reason.ends_with(&format!(".s.PGSQL.{}", server.port())), "{proposed:?}");
    assert_eq!(engines.get(EngineKind::Postgresql).missing_rights(&proposed.source).unwrap(), []);
    let found = engines.get(EngineKind::Postgresql).discover(&proposed.source, &[]).unwrap();
    assert!(found.iter().any(|database| database.locator == "shop"));
    bench.try_full(&proposed.source, "shop").unwrap();
}

#[test]
fn an_error_of_a_session_is_told_in_the_servers_words() {
    let servers = Servers::start();
    let source = Source { password: Some(Secret::new("wrong".to_owned())), ..servers.source() };
    let engines = Engines::new(&servers.host());
    let error = engines.get(EngineKind::Postgresql).discover(&source, &[]).unwrap_err().to_string();
    assert!(
        error.contains("password authentication failed") && error.contains("larder source change"),
        "{error}"
    );
}
