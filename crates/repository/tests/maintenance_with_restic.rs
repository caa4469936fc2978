//! Repositories of stock restic, restored, checked and pruned here; and ours after a prune, judged by restic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Clock, Counters};
use larder_repository::{CheckOptions, Lock, PruneOptions, RepositoryError, RestoreOptions};
use larder_storage::Local;
use larder_testbed::{Random, Restic, TreeShape, compare_trees_restored_by_restic};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use support::{Bench, PASSWORD};

#[derive(Debug)]
struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

fn bench() -> Bench {
    Bench { clock: Arc::new(MachineClock), ..Bench::new() }
}

#[test]
fn backups_of_restic_are_restored_checked_and_pruned() {
    let bench = bench();
    for compression in ["auto", "max", "off"] {
        let path = bench.path(compression);
        let restic = Restic::new(&path, PASSWORD);
        restic.init();
        let source = bench.path(&format!("source-{compression}"));
        for shape in ["source-tree", "unicode-names", "hard-links", "symlinks", "large-compressible", "modes"]
        {
            fs::create_dir_all(source.join(shape)).unwrap();
            TreeShape::named(shape).build(&source.join(shape));
        }
        let back_up = || {
            let mut command = restic.command(["backup", ".", "--compression", compression]);
            assert!(command.current_dir(&source).output().unwrap().status.success());
        };
        fs::write(source.join("goes"), Random::new(4).bytes(3_000_000)).unwrap();
        back_up();
        fs::remove_file(source.join("goes")).unwrap();
        fs::write(source.join("comes"), Random::new(5).bytes(1_000_000)).unwrap();
        back_up();
        let repository = bench.open(Arc::new(Local::open(&path).unwrap()));
        let (cancel, counters) = (Cancel::new(), Counters::default());
        let first = repository.snapshots().unwrap()[0].id.clone();
        repository.remove_snapshots(&[first]).unwrap();
        let options = PruneOptions { max_unused_percent: 0.0, ..PruneOptions::default() };
        let pruned = repository.prune(&options, &cancel, &counters).unwrap();
        assert!(pruned.removed_bytes > 3_000_000, "{pruned:?}");
        restic.check_read_data();
        let options = CheckOptions { read_data: true, ..CheckOptions::default() };
        let report = repository.check(&options, &cancel, &counters).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        let target = bench.path(&format!("target-{compression}"));
        let last = repository.snapshots().unwrap().pop().unwrap();
        repository.restore(&last, &target, &RestoreOptions::default(), &cancel, &counters).unwrap();
        assert_eq!(compare_trees_restored_by_restic(&source, &target), [""; 0], "{compression}");
    }
}

#[test]
fn restic_honours_our_locks() {
    let bench = bench();
    let (repository, restic) = bench.local("r");
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "f").unwrap();
    let exclusive = Lock::exclusive(&repository, Duration::ZERO, &Cancel::new()).unwrap();
    let refused = restic.command(["backup", "."]).current_dir(&source).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("already locked"), "{said}");
    drop(exclusive);
    let shared = Lock::shared(&repository, Duration::ZERO, &Cancel::new()).unwrap();
    restic.backup(&source);
    assert!(!restic.command(["prune"]).output().unwrap().status.success());
    drop(shared);
    restic.run(["prune"]);
}

#[test]
fn we_honour_the_locks_of_restic() {
    let bench = bench();
    let (repository, restic) = bench.local("r");
    // A backup of what never ends holds its lock until it is stopped.
    let mut command = restic.command(["backup", "--stdin"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut running = command.spawn().unwrap();
    // Nothing is locked here meanwhile: restic would give up at the sight of it.
    larder_testbed::wait_until("the lock of restic", Duration::from_secs(20), || {
        (!restic.list("locks").is_empty()).then_some(())
    });
    let error = Lock::exclusive(&repository, Duration::ZERO, &Cancel::new()).unwrap_err();
    assert!(
        matches!(&error, RepositoryError::Locked { holder, .. } if holder.contains(&running.id().to_string())),
        "{error}"
    );
    drop(Lock::shared(&repository, Duration::ZERO, &Cancel::new()).unwrap());
    running.kill().unwrap();
    running.wait().unwrap();
    // Its lock is still there, and counts no more.
    assert_eq!(restic.list("locks").len(), 1);
    drop(Lock::exclusive(&repository, Duration::ZERO, &Cancel::new()).unwrap());
    assert!(restic.list("locks").is_empty());
}
