//! The engine `etcd` against Debian's etcd: `apt-get install etcd-server etcd-client`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;
mod servers;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_engines::RestoreTarget;
use larder_model::EngineKind;
use larder_testbed::{EtcdCluster, TempDir, wait_until};
use servers::{Bench, Meanwhile, evidence, source, with_password};
use std::time::Duration;

fn bench(address: &str) -> Bench {
    Bench::new(source(EngineKind::Etcd, address), "all")
}

fn fill(cluster: &EtcdCluster) {
    for (key, value) in [("a", "1"), ("b/ü \"x\"", "two"), ("c", "three"), ("c", "four")] {
        cluster.ctl(&["put", key, value]);
    }
    cluster.ctl(&["del", "a"]);
}

/// Fills a cluster with so many values of a megabyte.
fn fill_much(cluster: &EtcdCluster, megabytes: usize) {
    for number in 0..megabytes {
        let key = STANDARD.encode(format!("large/{number}"));
        let value = STANDARD.encode(format!("{number}").repeat(1_000_000 / number.to_string().len()));
        let body = serde_json::json!({"key": key, "value": value}).to_string();
        ureq::post(format!("{}/v3/kv/put", cluster.member(0))).send(body).unwrap();
    }
}

/// Returns the hash that a member gives of all keys.
fn hash(cluster: &EtcdCluster) -> String {
    let told: serde_json::Value =
        serde_json::from_str(&cluster.ctl(&["endpoint", "hashkv", "-w", "json"])).unwrap();
    told.pointer("/0/HashKV/hash").unwrap().to_string()
}

#[test]
fn a_full_backup_is_proved_and_becomes_a_data_directory_that_serves_the_same_keys() {
    let cluster = EtcdCluster::start(1);
    fill(&cluster);
    let bench = bench(&cluster.address());
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    assert_eq!((found.len(), found[0].locator.as_str()), (1, "all"));
    let backup = bench.full().unwrap();
    assert_eq!(backup.1.names(), ["snapshot.db"]);
    assert_eq!((evidence(&backup.0, "Keys"), evidence(&backup.0, "Revision")), ("2", "6"));
    let proof = bench.prove(&backup).unwrap();
    assert_eq!(proof.differences, [""; 0]);
    assert!(proof.compared.contains("2 keys at revision 6") && proof.compared.contains("served by etcd"));

    let directory = TempDir::new();
    let data = directory.join("data");
    bench.restore(&backup, RestoreTarget::Path(&data), false).unwrap();
    assert_eq!(bench.compare(&backup, RestoreTarget::Path(&data)).differences, [""; 0]);
    let again = bench.restore(&backup, RestoreTarget::Path(&data), false).unwrap_err().to_string();
    assert!(again.contains("not empty"), "{again}");
    bench.restore(&backup, RestoreTarget::Path(&data), true).unwrap();
    let second = EtcdCluster::start_on(&data);
    assert_eq!(second.ctl(&["get", "", "--prefix"]), cluster.ctl(&["get", "", "--prefix"]));
    assert_eq!(hash(&second), hash(&cluster));
    assert_eq!(directory.path().read_dir().unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_backup_becomes_a_file_that_etcdctl_takes() {
    let cluster = EtcdCluster::start(1);
    fill(&cluster);
    let bench = bench(&cluster.address());
    let backup = bench.full().unwrap();
    let directory = TempDir::new();
    let path = directory.join("snapshot.db");
    bench.restore(&backup, RestoreTarget::Path(&path), false).unwrap();
    assert_eq!(bench.compare(&backup, RestoreTarget::Path(&path)).differences, [""; 0]);
    let told = cluster.ctl(&["snapshot", "status", path.to_str().unwrap(), "-w", "json"]);
    assert!(told.contains("\"revision\":6"), "{told}");
    let mut damaged = backup;
    damaged.1.entries[0].1[5_000] ^= 1;
    assert!(bench.restore(&damaged, RestoreTarget::Path(&directory.join("other.db")), false).is_err());
    assert!(bench.prove(&damaged).map_or(true, |proof| !proof.differences.is_empty()));
    assert!(!directory.join("other.db").exists());
}

#[test]
fn nothing_changed_is_known_and_every_change_is_seen() {
    let cluster = EtcdCluster::start(1);
    fill(&cluster);
    let bench = bench(&cluster.address());
    let (report, _) = bench.full().unwrap();
    assert!(bench.is_unchanged(&report));
    for change in [
        &["put", "new", "1"][..],
        &["del", "new"],
        // These two leave the revision as it is.
        &["lease", "grant", "1000"],
        &["user", "add", "somebody:secret"],
        &["compact", "3"],
    ] {
        let (report, _) = bench.full().unwrap();
        assert!(bench.is_unchanged(&report), "before {change:?}");
        cluster.ctl(change);
        assert!(!bench.is_unchanged(&report), "after {change:?}");
    }
    let other = EtcdCluster::start(1);
    fill(&other);
    let elsewhere = self::bench(&other.address());
    assert!(!elsewhere.is_unchanged(&report), "another cluster");
}

#[test]
fn an_empty_cluster_is_a_backup_too() {
    let cluster = EtcdCluster::start(1);
    let bench = bench(&cluster.address());
    let backup = bench.full().unwrap();
    assert_eq!(evidence(&backup.0, "Keys"), "0");
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
}

#[test]
fn a_member_that_dies_midway_leaves_no_backup_and_the_next_run_asks_another() {
    let mut cluster = EtcdCluster::start(3);
    fill_much(&cluster, 40);
    let bench = bench(&cluster.address());
    let mut sink = Meanwhile::new(1 << 20, || cluster.kill(0));
    let told = bench.take_into(&mut sink, None).unwrap_err().to_string();
    assert!(told.contains("reading a snapshot of the etcd member"), "{told}");
    assert_eq!(sink.inner.names(), [""; 0]);
    // The two others agree on a leader, and one of them answers.
    let backup = wait_until("a leader", Duration::from_secs(60), || bench.full().ok());
    assert_eq!(evidence(&backup.0, "Keys"), "40");
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
    // Alone, a member may be behind: it is not believed.
    cluster.kill(1);
    let told = bench.fails();
    assert!(told.contains("asking") || told.contains("/v3/"), "{told}");
}

#[test]
fn a_backup_under_load_holds_what_was_there_when_it_began() {
    let cluster = EtcdCluster::start(1);
    fill_much(&cluster, 10);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let bench = bench(&cluster.address());
    let backup = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                cluster.ctl(&["put", &format!("load/{}", number % 7), &number.to_string()]);
            }
        });
        let backup = bench.full();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        backup.unwrap()
    });
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
}

#[test]
fn an_abort_midway_is_an_abort() {
    let cluster = EtcdCluster::start(1);
    fill_much(&cluster, 10);
    let bench = bench(&cluster.address());
    let mut sink = Meanwhile::new(1 << 20, || bench.cancel.cancel());
    assert_eq!(bench.take_into(&mut sink, None).unwrap_err().to_string(), "the operation was aborted");
    assert_eq!(sink.inner.names(), [""; 0]);
}

#[test]
fn a_user_needs_the_role_root_and_is_told_so() {
    let cluster = EtcdCluster::start(1);
    fill(&cluster);
    for words in [
        &["user", "add", "root:open sesame"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "backup:open sesame"],
        &["role", "add", "reader"],
        &["role", "grant-permission", "reader", "readwrite", "", "--prefix"],
        &["user", "grant-role", "backup", "reader"],
        &["auth", "enable"],
    ] {
        cluster.ctl(words);
    }
    let named = |user: &str| cluster.address().replace("http://", &format!("http://{user}@"));
    let poor = Bench::new(with_password(source(EngineKind::Etcd, &named("backup")), "open sesame"), "all");
    let missing = poor.engine().missing_rights(&poor.source).unwrap();
    assert_eq!((missing.len(), missing[0].grant.as_str()), (1, "etcdctl user grant-role backup root"));
    assert!(poor.fails().contains("permission denied"), "{}", poor.fails());
    cluster.ctl(&["--user", "root:open sesame", "user", "grant-role", "backup", "root"]);
    assert_eq!(poor.engine().missing_rights(&poor.source).unwrap(), []);
    let (report, _) = poor.full().unwrap();
    assert!(!poor.is_unchanged(&report), "with users nothing is proved");
    let wrong =
        Bench::new(with_password(source(EngineKind::Etcd, &named("backup")), "sesame"), "all").fails();
    assert!(wrong.contains("authentication failed") && !wrong.contains("sesame"), "{wrong}");
    let nobody = bench(&cluster.address()).fails();
    assert!(nobody.contains("user name is empty"), "{nobody}");
}
