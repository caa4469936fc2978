//! A restore from several destinations, one that goes on after it was stopped, and one from cold storage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{
    Browser, CheckOptions, Repository, RepositoryError, RestoreOptions, RestoreSummary, Snapshot,
    restore_from,
};
use larder_storage::StorageErrorKind;
use larder_testbed::{
    Call, ColdStorage, Fault, FaultyStorage, MemoryStorage, Random, compare_trees, wait_until,
};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::Bench;

fn newest(repository: &Repository) -> Snapshot {
    repository.snapshots().unwrap().pop().unwrap()
}

fn build(source: &Path) {
    fs::create_dir_all(source.join("d/e")).unwrap();
    fs::write(source.join("large"), Random::new(1).bytes(20 << 20)).unwrap();
    for number in 0..60 {
        fs::write(source.join(format!("d/small-{number}")), Random::new(number + 9).bytes(7000)).unwrap();
        fs::write(source.join(format!("d/e/text-{number}")), format!("{number} line\n").repeat(900)).unwrap();
    }
}

/// Two destinations that one backup was written to.
struct Twins {
    bench: Bench,
    inner: [Arc<MemoryStorage>; 2],
    faulty: [Arc<FaultyStorage>; 2],
    repositories: [Repository; 2],
}

impl Twins {
    fn new() -> Self {
        let bench = Bench::new();
        let inner = [Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new())];
        let faulty = inner.clone().map(|storage| FaultyStorage::new(storage));
        let first = bench.create(faulty[0].clone());
        let second = first.create_twin(faulty[1].clone(), &Bench::credentials()).unwrap();
        let repositories = [first, second];
        fs::create_dir(bench.path("source")).unwrap();
        build(&bench.path("source"));
        bench.back_up(&repositories, &bench.path("source"));
        faulty.iter().for_each(|storage| storage.forget_calls());
        Self { bench, inner, faulty, repositories }
    }

    /// The second destination, without the faults that are injected.
    fn direct(&self) -> Repository {
        self.bench.open(self.inner[1].clone())
    }

    fn packs(&self) -> Vec<String> {
        self.inner[0].with_objects(|objects| {
            objects.keys().filter(|path| path.starts_with("data/")).cloned().collect()
        })
    }

    fn restore(&self, name: &str) -> Result<RestoreSummary, RepositoryError> {
        self.restore_backup(&newest(&self.direct()), name)
    }

    fn restore_backup(&self, snapshot: &Snapshot, name: &str) -> Result<RestoreSummary, RepositoryError> {
        let (target, options) = (self.bench.path(name), RestoreOptions::default());
        restore_from(&self.repositories, snapshot, &target, &options, &Cancel::new(), &Counters::default())
    }

    fn assert_same(&self, name: &str) {
        assert_eq!(compare_trees(&self.bench.path("source"), &self.bench.path(name)), [""; 0]);
    }
}

#[test]
fn what_one_destination_has_lost_or_damaged_comes_from_the_other_and_is_reported() {
    let twins = Twins::new();
    let packs = twins.packs();
    assert!(packs.len() >= 3);
    // Every pack is bad at the first, each in another way; and one of them is bad at the second, too, in another place.
    for (number, path) in packs.iter().enumerate() {
        twins.inner[0].with_objects(|objects| {
            let mut bytes = objects.remove(path).unwrap().to_vec();
            match number % 3 {
                0 => return,
                1 => bytes.truncate(bytes.len() / 3),
                _ => bytes[100] ^= 4,
            }
            objects.insert(path.clone(), bytes.into());
        });
    }
    let summary = twins.restore("target").unwrap();
    twins.assert_same("target");
    for path in &packs {
        let fault = summary.faults.iter().find(|fault| fault.object.contains(path.as_str()));
        assert!(!fault.unwrap_or_else(|| panic!("{path}: {:?}", summary.faults)).cause.is_empty());
    }
}

#[test]
fn a_blob_that_both_have_damaged_costs_its_file_alone() {
    let twins = Twins::new();
    let largest = twins.inner[0].with_objects(|objects| {
        let packs = objects.iter().filter(|(path, _)| path.starts_with("data/"));
        packs.max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone()
    });
    for inner in &twins.inner {
        inner.with_objects(|objects| {
            let mut bytes = objects[&largest].to_vec();
            bytes[200] ^= 1;
            objects.insert(largest.clone(), bytes.into());
        });
    }
    let error = twins.restore("target").unwrap_err();
    let RepositoryError::Incomplete { failed, summary, .. } = &error else { panic!("{error}") };
    assert_eq!(*failed, 1, "{error}");
    assert_eq!(summary.faults.len(), 2, "{:?}", summary.faults);
}

#[test]
fn a_destination_that_does_not_answer_is_passed_over() {
    let twins = Twins::new();
    twins.faulty[0].always(Call::GetRange, "", Fault::Fail(StorageErrorKind::Denied));
    let summary = twins.restore("target").unwrap();
    twins.assert_same("target");
    assert!(!summary.faults.is_empty());
    // It is not asked again and again.
    let asked = twins.faulty[0].count(Call::GetRange);
    assert!(asked <= 12, "{asked} times");
    // Not even its index can be had.
    twins.faulty[0].always(Call::List, "", Fault::Fail(StorageErrorKind::Denied));
    twins.restore("again").unwrap();
    twins.assert_same("again");
    twins.faulty[1].always(Call::List, "", Fault::Fail(StorageErrorKind::Denied));
    assert!(matches!(twins.restore("never"), Err(RepositoryError::Storage(_))));
}

#[test]
fn a_destination_that_falls_silent_is_given_up_for_the_other() {
    let twins = Twins::new();
    // Some of it comes; nothing does any more in the middle of the data.
    for nth in 4..40 {
        twins.faulty[0].on_call(Call::GetRange, nth, Fault::Hang);
    }
    let options = RestoreOptions { patience: Duration::from_millis(300), ..RestoreOptions::default() };
    let (snapshot, target) = (newest(&twins.direct()), twins.bench.path("target"));
    let summary =
        restore_from(&twins.repositories, &snapshot, &target, &options, &Cancel::new(), &Counters::default())
            .unwrap();
    twins.assert_same("target");
    assert!(summary.faults.iter().any(|fault| fault.cause.contains("no answer within 0.3 s")));
    // Each thread was kept waiting once at the most.
    let asked = twins.faulty[0].count(Call::GetRange);
    assert!(asked < 20, "{asked} times");
}

#[test]
fn a_destination_that_lags_behind_gives_what_it_has() {
    let twins = Twins::new();
    fs::write(twins.bench.path("source/new"), Random::new(77).bytes(3 << 20)).unwrap();
    let old = newest(&twins.repositories[0]);
    twins.bench.back_up(&twins.repositories[1..], &twins.bench.path("source"));
    twins.faulty.iter().for_each(|storage| storage.forget_calls());
    let all = twins.repositories[1].snapshots().unwrap();
    let new = all.into_iter().find(|snapshot| snapshot.tree != old.tree).unwrap();
    twins.restore_backup(&new, "target").unwrap();
    twins.assert_same("target");
    assert!(twins.faulty.iter().all(|storage| storage.count(Call::GetRange) > 0));
}

#[test]
fn single_files_are_read_from_whichever_destination_has_them() {
    let twins = Twins::new();
    for path in twins.packs() {
        twins.inner[0].with_objects(|objects| objects.remove(&path));
    }
    let snapshot = newest(&twins.repositories[0]);
    let browser = Browser::open(&twins.repositories, &snapshot, &Cancel::new()).unwrap();
    let mut read = Vec::new();
    browser.open_file(b"large").unwrap().read_to_end(&mut read).unwrap();
    assert!(read == fs::read(twins.bench.path("source/large")).unwrap());
    let mut written = Vec::new();
    let bytes = browser.write_file(b"/d/e/text-7", &mut written, &Counters::default()).unwrap();
    assert_eq!(written, fs::read(twins.bench.path("source/d/e/text-7")).unwrap());
    assert_eq!(bytes, written.len() as u64);
    assert!(!browser.faults().is_empty());
    let error = browser.write_file(b"d", &mut written, &Counters::default()).unwrap_err().to_string();
    assert!(error.contains("the file 'd'"), "{error}");
}

#[test]
fn a_restore_that_was_stopped_fetches_only_what_is_not_there_yet() {
    let twins = Twins::new();
    let (storage, repository) = (&twins.faulty[0], &twins.repositories[0]);
    let (snapshot, target) = (newest(repository), twins.bench.path("target"));
    let bytes_fetched = |overwrite: bool, cancel: &Cancel| {
        let options = RestoreOptions { overwrite, threads: 1, ..RestoreOptions::default() };
        let counters = Counters::default();
        let outcome = repository.restore(&snapshot, &target, &options, cancel, &counters);
        (outcome, counters.bytes_done.load(Ordering::Relaxed))
    };
    // The tree and some of the file come, then the destination falls silent.
    let cancel = Cancel::new();
    storage.on_call(Call::GetRange, 5, Fault::Hang);
    let stopper = cancel.clone();
    let watched = storage.clone();
    let waiting = std::thread::spawn(move || {
        let reads = || (watched.count(Call::GetRange) >= 5).then_some(());
        wait_until("reading", Duration::from_secs(30), reads);
        stopper.cancel();
    });
    let (outcome, done) = bytes_fetched(false, &cancel);
    waiting.join().unwrap();
    assert!(outcome.unwrap_err().is_canceled());
    storage.heal();
    storage.forget_calls();
    let (outcome, _) = bytes_fetched(true, &Cancel::new());
    let summary = outcome.unwrap();
    twins.assert_same("target");
    let total = 20 << 20;
    assert!(done > 0 && summary.skipped_bytes >= done, "{done} were there, {} kept", summary.skipped_bytes);
    assert!(summary.written_bytes < total, "{} written", summary.written_bytes);
    // Once more: everything is there, and no data is fetched at all.
    storage.forget_calls();
    let (outcome, _) = bytes_fetched(true, &Cancel::new());
    assert_eq!(outcome.unwrap().written_bytes, 0);
    let data = data_packs(repository);
    let fetched: BTreeSet<String> = storage.calls().into_iter().map(|(_, path)| path).collect();
    assert_eq!(fetched.intersection(&data).count(), 0);
}

fn data_packs(repository: &Repository) -> BTreeSet<String> {
    let index = repository.load_index(&Cancel::new()).unwrap();
    let data = index.packs().iter().filter(|pack| pack.kind == larder_repository::BlobKind::Data);
    data.map(|pack| format!("data/{}/{}", &pack.id.to_hex()[..2], pack.id)).collect()
}

fn cold(storage: Arc<ColdStorage>) -> (Bench, Repository) {
    let bench = Bench::new();
    let repository = bench.create(storage);
    fs::create_dir(bench.path("source")).unwrap();
    build(&bench.path("source"));
    bench.back_up(std::slice::from_ref(&repository), &bench.path("source"));
    (bench, repository)
}

fn from_cold(
    repository: &Repository,
    target: &Path,
    path: Option<&str>,
    cancel: &Cancel,
) -> Result<RestoreSummary, RepositoryError> {
    let options = RestoreOptions {
        path: path.map(|path| path.as_bytes().to_vec()),
        poll_cold: Duration::from_millis(5),
        ..RestoreOptions::default()
    };
    repository.restore(&newest(repository), target, &options, cancel, &Counters::default())
}

#[test]
fn packs_in_cold_storage_are_asked_for_at_once_and_waited_for() {
    let storage = Arc::new(ColdStorage::thawing_after(9));
    let (bench, repository) = cold(storage.clone());
    let data = data_packs(&repository);
    assert_eq!(storage.cold().into_iter().collect::<BTreeSet<_>>(), data);
    let target = bench.path("target");
    from_cold(&repository, &target, None, &Cancel::new()).unwrap();
    assert_eq!(compare_trees(&bench.path("source"), &target), [""; 0]);
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].iter().cloned().collect::<BTreeSet<_>>(), data);
}

#[test]
fn only_the_packs_of_what_is_restored_are_asked_for() {
    let storage = Arc::new(ColdStorage::thawing_after(0));
    let (bench, repository) = cold(storage.clone());
    from_cold(&repository, &bench.path("target"), Some("d/small-3"), &Cancel::new()).unwrap();
    assert_eq!(storage.requests().concat().len(), 1);
    storage.freeze();
    let browser = repository.browse(&newest(&repository), &Cancel::new()).unwrap();
    browser.poll_cold_every(Duration::from_millis(5));
    let mut read = Vec::new();
    browser.open_file(b"large").unwrap().read_to_end(&mut read).unwrap();
    assert!(read == fs::read(bench.path("source/large")).unwrap());
    assert_eq!(storage.requests().len(), 2);
}

#[test]
fn backups_structure_checks_and_listings_read_nothing_cold() {
    let storage = Arc::new(ColdStorage::new());
    let (bench, repository) = cold(storage.clone());
    let old = newest(&repository);
    fs::write(bench.path("source/new"), "new").unwrap();
    bench.back_up(std::slice::from_ref(&repository), &bench.path("source"));
    let all = repository.snapshots().unwrap();
    let new = all.into_iter().find(|snapshot| snapshot.tree != old.tree).unwrap();
    let options = CheckOptions { read_data: true, ..CheckOptions::default() };
    let report = repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.cold_packs as usize, data_packs(&repository).len());
    assert!(report.read_packs > 0);
    let browser = repository.browse(&new, &Cancel::new()).unwrap();
    let mut seen = 0;
    browser
        .for_each_entry(&mut |_, _| {
            seen += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 124);
    assert!(storage.requests().is_empty());
}

#[test]
fn waiting_for_cold_storage_ends_with_an_abort() {
    let storage = Arc::new(ColdStorage::new());
    let (bench, repository) = cold(storage.clone());
    let cancel = Cancel::new();
    let (stopper, watched) = (cancel.clone(), storage.clone());
    let waiting = std::thread::spawn(move || {
        wait_until("polling", Duration::from_secs(30), || (watched.polls() > 20).then_some(()));
        stopper.cancel();
    });
    let outcome = from_cold(&repository, &bench.path("target"), None, &cancel);
    waiting.join().unwrap();
    assert!(outcome.unwrap_err().is_canceled());
    // What was asked for stays asked for; the next restore goes on.
    storage.thaw();
    from_cold(&repository, &bench.path("other"), None, &Cancel::new()).unwrap();
    assert_eq!(compare_trees(&bench.path("source"), &bench.path("other")), [""; 0]);
    assert_eq!(storage.requests().len(), 1);
}

#[test]
fn a_twin_that_is_not_cold_is_read_instead() {
    let bench = Bench::new();
    let (frozen, warm) = (Arc::new(ColdStorage::new()), Arc::new(MemoryStorage::new()));
    let first = bench.create(frozen.clone());
    let second = first.create_twin(warm, &Bench::credentials()).unwrap();
    fs::create_dir(bench.path("source")).unwrap();
    build(&bench.path("source"));
    let both = [first, second];
    bench.back_up(&both, &bench.path("source"));
    let (target, options) = (bench.path("target"), RestoreOptions::default());
    let snapshot = newest(&both[0]);
    restore_from(&both, &snapshot, &target, &options, &Cancel::new(), &Counters::default()).unwrap();
    assert_eq!(compare_trees(&bench.path("source"), &target), [""; 0]);
    assert!(frozen.requests().is_empty());
}
