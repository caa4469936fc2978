//! What a repair brings back, what it names as lost, and what it never does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bytes::Bytes;
use larder_model::{Cancel, Counters};
use larder_repository::{
    BlobKind, CheckOptions, DamagedBackups, Id, IndexFile, Loss, ObjectKind, PruneOptions, Remedy,
    RepairOptions, RepairReport, Repository, RepositoryError, RestoreOptions,
};
use larder_storage::StorageErrorKind;
use larder_testbed::{Call, Fault, FaultyStorage, MemoryStorage, Random, compare_trees};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use support::Bench;

struct Place {
    bench: Bench,
    inner: Arc<MemoryStorage>,
    storage: Arc<FaultyStorage>,
    repository: Repository,
    twin: Repository,
    twin_storage: Arc<FaultyStorage>,
    source: PathBuf,
}

/// Two backups at two destinations; the second backup shares most files with the first.
fn place() -> Place {
    let bench = Bench::new();
    let inner = Arc::new(MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let repository = bench.create(storage.clone());
    let twin_storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let twin = repository.create_twin(twin_storage.clone(), &Bench::credentials()).unwrap();
    let source = bench.path("source");
    fs::create_dir_all(source.join("one/deep")).unwrap();
    fs::create_dir_all(source.join("two")).unwrap();
    for number in 0..4 {
        let bytes = Random::new(number + 1).bytes(20_000);
        fs::write(source.join(format!("one/deep/{number}")), bytes).unwrap();
        fs::write(source.join(format!("two/{number}")), Random::new(number + 50).bytes(5_000)).unwrap();
    }
    bench.back_up(&[repository.clone(), twin.clone()], &source);
    fs::write(source.join("two/new"), Random::new(99).bytes(30_000)).unwrap();
    bench.back_up(&[repository.clone(), twin.clone()], &source);
    Place { bench, inner, storage, repository, twin, twin_storage, source }
}

impl Place {
    fn repair_with(
        &self,
        twins: &[Repository],
        options: &RepairOptions,
    ) -> Result<(RepairReport, Vec<Loss>), RepositoryError> {
        let mut losses = Vec::new();
        let mut note = |loss| losses.push(loss);
        let report =
            self.repository.repair(twins, options, &mut note, &Cancel::new(), &Counters::default())?;
        Ok((report, losses))
    }

    fn repair(&self, twins: &[Repository]) -> (RepairReport, Vec<Loss>) {
        self.repair_with(twins, &RepairOptions::default()).unwrap()
    }

    fn assert_whole(&self, when: &str) {
        let options = CheckOptions { read_data: true, ..CheckOptions::default() };
        let report = self.repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
        assert_eq!(report.snapshots, 2, "{when}");
        let newest = self.repository.snapshots().unwrap().into_iter().find(|s| s.parent.is_some()).unwrap();
        let target = self.bench.path("target");
        let _ = fs::remove_dir_all(&target);
        let (options, cancel) = (RestoreOptions::default(), Cancel::new());
        self.repository.restore(&newest, &target, &options, &cancel, &Counters::default()).unwrap();
        assert_eq!(compare_trees(&self.source, &target), [""; 0], "{when}");
    }

    fn paths(&self, folder: &str) -> Vec<String> {
        let of = |path: &&String| path.starts_with(folder);
        self.inner.with_objects(|objects| objects.keys().filter(of).cloned().collect())
    }

    fn change(&self, path: &str, change: impl Fn(&mut Vec<u8>)) {
        self.inner.with_objects(|objects| {
            let mut bytes = objects[path].to_vec();
            change(&mut bytes);
            objects.insert(path.to_owned(), bytes.into());
        });
    }

    fn remove(&self, path: &str) {
        self.inner.with_objects(|objects| objects.remove(path).unwrap());
    }

    /// Returns the path of the pack that holds the bytes of a file.
    fn pack_of(&self, file: &str) -> String {
        let index = self.repository.load_index(&Cancel::new()).unwrap();
        let id = Id::of(&fs::read(self.source.join(file)).unwrap());
        ObjectKind::Pack.path(&index.locate(BlobKind::Data, &id).unwrap().pack)
    }

    fn packs_of(&self, kind: BlobKind) -> Vec<String> {
        let index = self.repository.load_index(&Cancel::new()).unwrap();
        let of_kind = index.packs().iter().filter(|pack| pack.kind == kind);
        of_kind.map(|pack| ObjectKind::Pack.path(&pack.id)).collect()
    }
}

#[test]
fn a_sound_repository_is_left_as_it_is() {
    let place = place();
    let before = place.paths("");
    let (report, losses) =
        place.repair_with(&[], &RepairOptions { read_data: true, ..RepairOptions::default() }).unwrap();
    assert_eq!((report, losses), (RepairReport::default(), vec![]));
    assert_eq!(place.paths(""), before);
}

#[test]
fn an_index_that_is_gone_or_damaged_is_made_anew_from_the_packs() {
    for damage in [None, Some(7usize)] {
        let place = place();
        for path in place.paths("index/") {
            match damage {
                None => place.remove(&path),
                Some(byte) => place.change(&path, |bytes| bytes[byte] ^= 1),
            }
        }
        let (report, losses) = place.repair(&[]);
        assert!(losses.is_empty() && report.packs_found >= 4 && report.indexes_written == 1, "{report:?}");
        assert_eq!(report.indexes_removed, if damage.is_some() { 2 } else { 0 });
        assert!(report.objects.iter().all(|object| object.remedy == Remedy::Rebuilt), "{report:?}");
        place.assert_whole("rebuilt");
        assert_eq!(place.repair(&[]).0, RepairReport::default());
    }
}

#[test]
fn a_damaged_or_missing_object_comes_back_from_a_twin_and_the_twin_stays_as_it_is() {
    for (number, kind) in [BlobKind::Data, BlobKind::Tree].into_iter().enumerate() {
        for damage in ["flip", "cut", "remove"] {
            let place = place();
            for path in place.packs_of(kind) {
                match damage {
                    "flip" => place.change(&path, |bytes| bytes[100 + number] ^= 4),
                    "cut" => place.change(&path, |bytes| bytes.truncate(bytes.len() - 9)),
                    _ => place.remove(&path),
                }
            }
            place.twin_storage.forget_calls();
            let options = RepairOptions { read_data: true, ..RepairOptions::default() };
            let (report, losses) = place.repair_with(std::slice::from_ref(&place.twin), &options).unwrap();
            let when = format!("{damage} {kind:?}");
            assert!(losses.is_empty() && report.objects.len() == 2, "{when}: {report:?}");
            let refetched = |remedy: &Remedy| matches!(remedy, Remedy::Refetched { .. });
            assert!(report.objects.iter().all(|object| refetched(&object.remedy)), "{when}: {report:?}");
            place.assert_whole(&when);
            let changed = |(call, path): &(Call, String)| {
                matches!(call, Call::Put | Call::PutNew | Call::Delete) && !path.starts_with("locks/")
            };
            assert!(!place.twin_storage.calls().iter().any(changed), "{when}");
        }
    }
}

#[test]
fn blobs_come_from_a_twin_that_keeps_them_in_other_packs() {
    let place = place();
    // The twin removes a backup and arranges what is left anew.
    let first = place.twin.snapshots().unwrap().into_iter().find(|s| s.parent.is_none()).unwrap().id;
    let kept = place.twin.snapshots().unwrap().into_iter().find(|s| s.parent.is_some()).unwrap();
    place.twin.remove_snapshots(&[first]).unwrap();
    let prune = PruneOptions { max_unused_percent: 0.0, ..PruneOptions::default() };
    place.twin.prune(&prune, &Cancel::new(), &Counters::default()).unwrap();
    for path in place.paths("data/") {
        place.remove(&path);
    }
    let (report, losses) = place.repair(std::slice::from_ref(&place.twin));
    // What only the removed backup had is lost everywhere: its root directory and one below it.
    assert!(losses.iter().all(|loss| loss.snapshot != kept.id), "{losses:?}");
    assert!(
        report.packs_written >= 1
            || report.objects.iter().any(|o| matches!(o.remedy, Remedy::Refetched { .. }))
    );
    let newest = place.repository.snapshots().unwrap().into_iter().find(|s| s.parent.is_some()).unwrap();
    let (options, cancel) = (RestoreOptions::default(), Cancel::new());
    let target = place.bench.path("target");
    place.repository.restore(&newest, &target, &options, &cancel, &Counters::default()).unwrap();
    assert_eq!(compare_trees(&place.source, &target), [""; 0]);
}

#[test]
fn what_is_left_of_a_damaged_pack_is_saved_and_the_lost_files_are_named() {
    let place = place();
    let pack = place.pack_of("one/deep/2");
    let index = place.repository.load_index(&Cancel::new()).unwrap();
    let id = Id::of(&fs::read(place.source.join("one/deep/2")).unwrap());
    let offset = index.locate(BlobKind::Data, &id).unwrap().blob.offset as usize;
    place.change(&pack, |bytes| bytes[offset + 50] ^= 1);
    let options = RepairOptions { read_data: true, ..RepairOptions::default() };
    let (report, losses) = place.repair_with(&[], &options).unwrap();
    assert_eq!(report.objects.len(), 1, "{report:?}");
    assert_eq!(report.objects[0].object, pack);
    assert_eq!(report.objects[0].remedy, Remedy::Salvaged { kept_blobs: 7, lost_blobs: 1 });
    let mut named: Vec<_> = losses.iter().map(|loss| loss.path.as_str()).collect();
    named.dedup();
    assert_eq!((losses.len(), named), (2, vec!["/one/deep/2"]), "once for each backup");
    assert_eq!((report.losses, report.damaged_backups.len()), (2, 2));
    // The damaged pack is still there, no backup was touched, and the next repair finds nothing more to do.
    assert!(place.paths("data/").contains(&pack));
    assert_eq!(place.repository.snapshots().unwrap().len(), 2);
    for snapshot in place.repository.snapshots().unwrap() {
        let target = place.bench.path(&format!("target-{}", snapshot.id));
        let (options, cancel) = (RestoreOptions::default(), Cancel::new());
        place.repository.restore(&snapshot, &target, &options, &cancel, &Counters::default()).unwrap_err();
        let restored = fs::read(target.join("one/deep/1")).unwrap();
        assert_eq!(restored, fs::read(place.source.join("one/deep/1")).unwrap());
        assert!(!target.join("one/deep/2").exists());
    }
}

#[test]
fn a_backup_is_rewritten_or_removed_only_on_request() {
    for (damaged_backups, count) in
        [(DamagedBackups::Keep, 2), (DamagedBackups::Supplement, 4), (DamagedBackups::Replace, 2)]
    {
        let place = place();
        let before = place.repository.snapshots().unwrap();
        place.remove(&place.pack_of("two/1"));
        let options = RepairOptions { damaged_backups, ..RepairOptions::default() };
        let (report, losses) = place.repair_with(&[], &options).unwrap();
        assert!(losses.len() >= 16, "both directories of both backups: {losses:?}");
        let after = place.repository.snapshots().unwrap();
        assert_eq!(after.len(), count, "{damaged_backups:?}: {report:?}");
        let prune = place.repository.prune(&PruneOptions::default(), &Cancel::new(), &Counters::default());
        if damaged_backups != DamagedBackups::Replace {
            assert!(before.iter().all(|old| after.contains(old)));
            assert!(prune.unwrap_err().to_string().contains("nothing was removed"));
        } else {
            prune.unwrap();
        }
        if damaged_backups == DamagedBackups::Keep {
            continue;
        }
        for (old, new) in &report.rewritten {
            let new = after.iter().find(|snapshot| snapshot.id == *new).unwrap();
            let old_one = before.iter().find(|snapshot| snapshot.id == *old).unwrap();
            assert_eq!((new.original.as_ref(), new.time), (Some(old), old_one.time));
            assert!(new.tags.contains(&"incomplete".to_owned()));
            let target = place.bench.path(&format!("target-{}", new.id));
            let (options, cancel) = (RestoreOptions::default(), Cancel::new());
            place.repository.restore(new, &target, &options, &cancel, &Counters::default()).unwrap();
            assert!(target.join("one/deep").is_dir() && !target.join("two/1").exists());
        }
        let again = place.repair_with(&[], &options).unwrap().0;
        assert!(again.rewritten.is_empty(), "it is written once: {again:?}");
        assert_eq!(place.repository.snapshots().unwrap().len(), count);
    }
}

#[test]
fn a_damaged_backup_object_comes_back_from_a_twin_that_has_it() {
    let place = place();
    // Healed twins hold the same objects; a backup to both gives each its own.
    let third_storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let third = place.repository.create_twin(third_storage, &Bench::credentials()).unwrap();
    third
        .heal_from(
            std::slice::from_ref(&place.repository),
            &larder_repository::HealOptions::default(),
            &Cancel::new(),
            &Counters::default(),
        )
        .unwrap();
    let path = place.paths("snapshots/").remove(0);
    place.change(&path, |bytes| bytes.truncate(20));
    let (report, _) = place.repair(std::slice::from_ref(&place.twin));
    assert_eq!(report.objects[0].remedy, Remedy::None, "{report:?}");
    assert!(place.paths("snapshots/").contains(&path), "a backup is never removed unasked");
    let (report, losses) = place.repair(&[place.twin.clone(), third]);
    assert!(matches!(report.objects[0].remedy, Remedy::Refetched { .. }) && losses.is_empty(), "{report:?}");
    place.assert_whole("with the backup's object");
}

#[test]
fn what_cannot_be_reached_is_not_lost() {
    for (at_twin, call) in
        [(true, Call::Get), (false, Call::Get), (false, Call::GetRange), (true, Call::GetRange)]
    {
        let place = place();
        let path = place.pack_of("two/1");
        place.remove(&path);
        let storage = if at_twin { &place.twin_storage } else { &place.storage };
        storage.always(call, "data/", Fault::Fail(StorageErrorKind::Other));
        let outcome = place.repair_with(std::slice::from_ref(&place.twin), &RepairOptions::default());
        storage.heal();
        if let Ok((report, losses)) = outcome {
            assert!(losses.is_empty(), "{at_twin} {call:?}: {report:?}");
        }
        assert!(place.repair(std::slice::from_ref(&place.twin)).1.is_empty(), "{at_twin} {call:?}");
        place.assert_whole("in the end");
    }
}

#[test]
fn a_repair_that_broke_off_anywhere_made_nothing_worse_and_the_next_one_ends_the_work() {
    for fault in [Fault::Fail(StorageErrorKind::Other), Fault::FailAfter(StorageErrorKind::Other)] {
        for nth in (1..200).step_by(4) {
            let place = place();
            let index = place.paths("index/").remove(0);
            place.change(&index, |bytes| bytes[30] ^= 1);
            place.remove(&place.pack_of_damaged("two/new"));
            place.storage.down_from(nth, fault);
            let outcome = place.repair_with(std::slice::from_ref(&place.twin), &RepairOptions::default());
            place.storage.heal();
            let when = format!("{fault:?} from call {nth}");
            let (_, losses) = place
                .repair_with(std::slice::from_ref(&place.twin), &RepairOptions::default())
                .unwrap_or_else(|error| panic!("{when}: {error}"));
            assert!(losses.is_empty(), "{when}: {losses:?}");
            place.assert_whole(&when);
            if outcome.is_ok() {
                break;
            }
            assert!(nth < 190, "the repair never got through");
        }
    }
}

impl Place {
    /// As `pack_of`, from those index objects that can still be read; any pack where none of them knows it.
    fn pack_of_damaged(&self, file: &str) -> String {
        let wanted = Id::of(&fs::read(self.source.join(file)).unwrap());
        for (id, _) in self.repository.list(ObjectKind::Index).unwrap() {
            let Ok(json) = self.repository.read_object(ObjectKind::Index, &id) else { continue };
            for pack in serde_json::from_slice::<IndexFile>(&json).unwrap().packs {
                if pack.blobs.iter().any(|blob| blob.id == wanted) {
                    return ObjectKind::Pack.path(&pack.id);
                }
            }
        }
        // Its pack is known to the damaged index object alone; then another one is taken, which is named elsewhere.
        for (id, _) in self.repository.list(ObjectKind::Index).unwrap() {
            let Ok(json) = self.repository.read_object(ObjectKind::Index, &id) else { continue };
            let file = serde_json::from_slice::<IndexFile>(&json).unwrap();
            return ObjectKind::Pack.path(&file.packs[0].id);
        }
        panic!("no index object can be read");
    }
}

#[test]
fn leftovers_are_named_again_and_rubbish_is_reported_and_left() {
    let place = place();
    let rubbish = Bytes::from(Random::new(5).bytes(5000));
    let path = ObjectKind::Pack.path(&Id::of(&rubbish));
    place.inner.with_objects(|objects| objects.insert(path.clone(), rubbish));
    let (report, losses) = place.repair(std::slice::from_ref(&place.twin));
    assert!(losses.is_empty());
    assert_eq!((report.objects.len(), &report.objects[0].remedy), (1, &Remedy::None));
    assert_eq!(report.objects[0].object, path);
    assert!(place.paths("data/").contains(&path));
    place.assert_whole("with rubbish");
}

#[test]
fn a_rehearsed_repair_says_what_the_real_one_does_and_changes_nothing() {
    for twins in [0, 1] {
        let place = place();
        place.change(&place.pack_of("one/deep/2"), |bytes| bytes[50] ^= 1);
        place.remove(&place.pack_of("two/new"));
        place.change(&place.packs_of(BlobKind::Tree)[0], |bytes| bytes.truncate(bytes.len() - 1));
        place.change(&place.paths("index/")[0], |bytes| bytes[9] ^= 1);
        let before = place.inner.with_objects(|objects| objects.clone());
        let twins = &[place.twin.clone()][..twins];
        let options = RepairOptions {
            read_data: true,
            damaged_backups: DamagedBackups::Replace,
            ..RepairOptions::default()
        };
        let mut losses = Vec::new();
        let mut note = |loss| losses.push(loss);
        let scratch = Arc::new(MemoryStorage::new());
        let (cancel, counters) = (Cancel::new(), Counters::default());
        let said = place.repository.rehearse_repair(scratch, twins, &options, &mut note, &cancel, &counters);
        let said = said.unwrap();
        assert_eq!(place.inner.with_objects(|objects| objects.clone()), before, "nothing was changed");
        let (mut done, real_losses) = place.repair_with(twins, &options).unwrap();
        assert_eq!(losses, real_losses);
        assert_eq!(losses.is_empty(), !twins.is_empty(), "{losses:?}");
        // What is written anew is sealed with fresh randomness, so it has another name each time.
        let pairs = said.rewritten.iter().zip(&mut done.rewritten);
        pairs.for_each(|(said, done)| done.1 = said.1.clone());
        assert_eq!(said, done);
    }
}

#[test]
fn a_second_repair_names_the_same_losses_and_a_damaged_pack_never_comes_back_into_the_index() {
    let place = place();
    place.change(&place.pack_of("one/deep/2"), |bytes| bytes[50] ^= 1);
    let options = RepairOptions { read_data: true, ..RepairOptions::default() };
    let (first, losses) = place.repair_with(&[], &options).unwrap();
    assert!(!losses.is_empty() && first.packs_written == 1, "{first:?}");
    for _ in 0..2 {
        let (again, same) = place.repair_with(&[], &options).unwrap();
        assert_eq!(same, losses);
        assert_eq!((again.packs_written, again.packs_found, again.indexes_written), (0, 0, 0), "{again:?}");
    }
    let replace = RepairOptions { damaged_backups: DamagedBackups::Replace, ..options };
    let (replaced, _) = place.repair_with(&[], &replace).unwrap();
    assert!(!replaced.removed.is_empty(), "{replaced:?}");
    let check = CheckOptions { read_data: true, ..CheckOptions::default() };
    let report = place.repository.check(&check, &Cancel::new(), &Counters::default()).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}
