//! The engine `redis` against Debian's Redis: `apt-get install redis-server redis-tools`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;
mod servers;

use larder_engines::RestoreTarget;
use larder_model::EngineKind;
use larder_testbed::{RedisServer, TempDir, wait_until};
use servers::{Bench, Meanwhile, evidence, source, with_option, with_password};

fn bench(server: &RedisServer) -> Bench {
    Bench::new(source(EngineKind::Redis, &server.address()), "all")
}

/// Something of every type, in two databases, with expiry times, groups and a function.
fn fill(server: &RedisServer) {
    for words in [
        &["SET", "greeting", "grüß \"dich\""][..],
        &["SET", "soon", "gone", "EX", "100000"],
        &["RPUSH", "list", "a", "b", "c"],
        &["SADD", "numbers", "1", "2", "3"],
        &["SADD", "words", "x", "y"],
        &["ZADD", "scores", "1.5", "a", "inf", "b"],
        &["HSET", "hash", "field", "value", "other", "2"],
        &["XADD", "stream", "*", "field", "value"],
        &["XADD", "stream", "*", "field", "again"],
        &["XGROUP", "CREATE", "stream", "group", "0"],
        &["XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", "stream", ">"],
        &["-n", "5", "SET", "elsewhere", "here"],
        &["-n", "5", "SETBIT", "bits", "1000000", "1"],
        &["FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('one', function() return 1 end)"],
        // Long lists are kept in several nodes, large sets in tables.
        &[
            "EVAL",
            "for i=1,5000 do redis.call('RPUSH','long',string.rep('x',i%300)) redis.call('SADD','big','m'..i) redis.call('ZADD','ranks',i,'m'..i) redis.call('HSET','wide','f'..i,i) end",
            "0",
        ],
    ] {
        let said = server.ask(words);
        assert!(!said.starts_with("ERR") && !said.contains("WRONG"), "{words:?}: {said}");
    }
}

fn digest(server: &RedisServer) -> String {
    server.ask(&["DEBUG", "DIGEST"])
}

#[test]
fn a_full_backup_is_counted_proved_and_restored_into_an_empty_server_as_it_was() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    fill(&server);
    let bench = bench(&server);
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    assert_eq!((found.len(), found[0].locator.as_str()), (1, "all"));
    let backup = bench.full().unwrap();
    assert_eq!(backup.1.names(), ["dump.rdb"]);
    for (name, value) in [
        ("Keys of database 0", "12"),
        ("Keys of database 5", "2"),
        ("Expiring keys of database 0", "1"),
        ("Keys of type stream", "1"),
        ("Keys of type set", "3"),
        ("Keys of type string", "4"),
        ("Functions", "1"),
    ] {
        assert_eq!(evidence(&backup.0, name), value, "{name}");
    }
    assert!(backup.0.messages.is_empty(), "{:?}", backup.0.messages);

    let proof = bench.prove(&backup).unwrap();
    assert_eq!(proof.differences, [""; 0]);
    assert!(proof.compared.contains("14 keys in 2 databases") && proof.compared.contains("loaded by"));

    let target = source(EngineKind::Redis, &other.address());
    let place = RestoreTarget::Server { source: &target, name: "all" };
    bench.restore(&backup, place, false).unwrap();
    assert_eq!(digest(&other), digest(&server));
    assert_eq!(other.ask(&["FUNCTION", "LIST"]), server.ask(&["FUNCTION", "LIST"]));
    assert_eq!(other.ask(&["XPENDING", "stream", "group"]), server.ask(&["XPENDING", "stream", "group"]));
    assert!(other.ask(&["INFO", "replication"]).contains("role:master"));
    assert_eq!(bench.compare(&backup, place).differences, [""; 0]);
    other.ask(&["DEL", "list"]);
    assert_eq!(bench.compare(&backup, place).differences.len(), 1);

    // What is there stays, unless somebody says that it may go.
    let refused = bench.restore(&backup, place, false).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    bench.restore(&backup, place, true).unwrap();
    assert_eq!(digest(&other), digest(&server));
}

#[test]
fn a_backup_becomes_a_file_that_a_server_starts_with() {
    let server = RedisServer::start();
    fill(&server);
    let bench =
        Bench::new(source(EngineKind::Redis, &format!("unix://{}", server.socket().display())), "all");
    let backup = bench.full().unwrap();
    let directory = TempDir::new();
    let path = directory.join("dump.rdb");
    let report = bench.restore(&backup, RestoreTarget::Path(&path), false).unwrap();
    assert_eq!(report.bytes.to_string(), evidence(&backup.0, "Bytes"));
    assert_eq!(bench.compare(&backup, RestoreTarget::Path(&path)).differences, [""; 0]);
    assert!(
        bench
            .restore(&backup, RestoreTarget::Path(&path), false)
            .unwrap_err()
            .to_string()
            .contains("not empty")
    );
    let second = RedisServer::start_with(&["--dir", &directory.path().display().to_string()]);
    assert_eq!(digest(&second), digest(&server));
    // The restore by the socket of a server, which calls back over the network.
    second.ask(&["FLUSHALL"]);
    second.ask(&["FUNCTION", "FLUSH"]);
    let target = source(EngineKind::Redis, &second.address());
    bench.restore(&backup, RestoreTarget::Server { source: &target, name: "all" }, false).unwrap();
    assert_eq!(digest(&second), digest(&server));
}

#[test]
fn nothing_changed_is_known_and_every_change_is_seen() {
    for arguments in [&[][..], &["--repl-diskless-sync", "no"]] {
        let server = RedisServer::start_with(arguments);
        fill(&server);
        let bench = bench(&server);
        let (report, _) = bench.full().unwrap();
        assert!(bench.is_unchanged(&report), "{arguments:?} {report:?}");
        let (report, _) = bench.full().unwrap();
        assert!(bench.is_unchanged(&report), "again, {arguments:?}");
        server.ask(&["SET", "greeting", "new"]);
        assert!(!bench.is_unchanged(&report), "after a write");
        let (report, _) = bench.full().unwrap();
        // The child that sent the data may not have ended yet.
        let patience = std::time::Duration::from_secs(30);
        wait_until("a save", patience, || (server.ask(&["SAVE"]) == "OK").then_some(()));
        assert!(!bench.is_unchanged(&report), "after a save, which sets the count back");
        let (report, _) = bench.full().unwrap();
        server.ask(&["FLUSHALL"]);
        assert!(!bench.is_unchanged(&report), "after everything was deleted");
    }
}

#[test]
fn an_empty_server_is_a_backup_too() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let bench = bench(&server);
    let backup = bench.full().unwrap();
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
    let target = source(EngineKind::Redis, &other.address());
    bench.restore(&backup, RestoreTarget::Server { source: &target, name: "all" }, false).unwrap();
    assert_eq!(other.ask(&["DBSIZE"]), "0");
}

#[test]
fn a_backup_under_load_holds_one_moment() {
    let server = RedisServer::start();
    server.ask(&["DEBUG", "POPULATE", "50000", "key", "200"]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let backup = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Both are always written together.
            let both = "redis.call('INCR','a') redis.call('INCR','b') redis.call('SET','k'..redis.call('GET','a'),1)";
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                server.ask(&["EVAL", &format!("for i=1,50 do {both} end"), "0"]);
            }
        });
        let backup = bench(&server).full();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        backup.unwrap()
    });
    assert!(!bench(&server).is_unchanged(&backup.0));
    let other = RedisServer::start();
    let target = source(EngineKind::Redis, &other.address());
    bench(&server).restore(&backup, RestoreTarget::Server { source: &target, name: "all" }, false).unwrap();
    assert_eq!(other.ask(&["GET", "a"]), other.ask(&["GET", "b"]));
    assert_eq!(other.ask(&["DBSIZE"]), evidence(&backup.0, "Keys of database 0"));
}

#[test]
fn a_server_or_connection_that_dies_midway_leaves_no_backup() {
    let server = RedisServer::start_with(&["--rdbcompression", "no"]);
    server.ask(&["DEBUG", "POPULATE", "300000", "key", "200"]);
    let kill = || {
        server.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    };
    let mut sink = Meanwhile::new(1 << 20, kill);
    let told = bench(&server).take_into(&mut sink, None).unwrap_err().to_string();
    assert!(told.contains("in the middle"), "{told}");
    assert_eq!(sink.inner.names(), [""; 0]);

    let mut dying = server;
    let one = bench(&dying);
    let mut sink = Meanwhile::new(1 << 20, || dying.kill());
    let told = one.take_into(&mut sink, None).unwrap_err().to_string();
    assert!(told.contains("in the middle") || told.contains("reset"), "{told}");
    assert_eq!(sink.inner.names(), [""; 0]);
    let told = one.fails();
    assert!(told.contains("connecting to Redis") && told.contains("refused"), "{told}");
}

#[test]
fn an_abort_midway_is_an_abort() {
    let server = RedisServer::start_with(&["--rdbcompression", "no"]);
    server.ask(&["DEBUG", "POPULATE", "200000", "key", "200"]);
    let bench = bench(&server);
    let mut sink = Meanwhile::new(1 << 20, || bench.cancel.cancel());
    let told = bench.take_into(&mut sink, None).unwrap_err().to_string();
    assert_eq!(told, "the operation was aborted");
    assert_eq!(sink.inner.names(), [""; 0]);
}

#[test]
fn a_user_with_little_rights_suffices_and_what_it_lacks_is_named_with_its_statement() {
    let server = RedisServer::start();
    fill(&server);
    server.ask(&["ACL", "SETUSER", "backup", "on", ">open sesame", "+info", "+replconf", "+psync"]);
    let address = server.address().replace("redis://", "redis://backup@");
    let bench = Bench::new(with_password(source(EngineKind::Redis, &address), "open sesame"), "all");
    assert_eq!(bench.engine().missing_rights(&bench.source).unwrap(), []);
    bench.full().unwrap();
    for (right, statement) in [("info", "+info"), ("psync", "+psync"), ("replconf", "+replconf")] {
        server.ask(&["ACL", "SETUSER", "backup", &format!("-{right}")]);
        let missing = bench.engine().missing_rights(&bench.source).unwrap();
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert_eq!(missing[0].grant, format!("ACL SETUSER backup {statement}"));
        let told = bench.fails();
        assert!(told.contains("NOPERM") && told.contains("ACL SETUSER"), "{told}");
        server.ask(&["ACL", "SETUSER", "backup", statement]);
    }
    let wrong = Bench::new(with_password(source(EngineKind::Redis, &address), "sesame"), "all");
    let told = wrong.fails();
    assert!(
        told.contains("WRONGPASS") && told.contains("check the user") && !told.contains("sesame"),
        "{told}"
    );
    server.ask(&["CONFIG", "SET", "requirepass", "other"]);
    let nobody = Bench::new(source(EngineKind::Redis, &server.address()), "all").fails();
    assert!(nobody.contains("NOAUTH"), "{nobody}");
}

#[test]
fn an_unknown_option_is_refused_with_those_there_are() {
    let server = RedisServer::start();
    let odd = with_option(source(EngineKind::Redis, &server.address()), "Colour", "red");
    let told = Bench::new(odd, "all").fails();
    assert!(told.contains("'Colour'") && told.contains("TlsAuthorities"), "{told}");
}

#[test]
fn a_damaged_backup_is_not_restored_and_not_proved() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    fill(&server);
    let bench = bench(&server);
    let mut backup = bench.full().unwrap();
    let middle = backup.1.entries[0].1.len() / 2;
    backup.1.entries[0].1[middle] ^= 1;
    assert!(bench.prove(&backup).is_err());
    other.ask(&["SET", "mine", "1"]);
    let target = source(EngineKind::Redis, &other.address());
    let told =
        bench.restore(&backup, RestoreTarget::Server { source: &target, name: "all" }, true).unwrap_err();
    assert!(told.to_string().contains("not those that were backed up"), "{told}");
    assert_eq!(other.ask(&["GET", "mine"]), "1");
    let path = TempDir::new().join("dump.rdb");
    assert!(bench.restore(&backup, RestoreTarget::Path(&path), false).is_err());
    assert!(!path.exists());
}
