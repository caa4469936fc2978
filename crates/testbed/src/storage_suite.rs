//! The conformance suite that every destination passes against the real component.
//!
//! Each function makes its objects in a folder of its own, so that all can run against one destination.

use crate::random::Random;
use bytes::Bytes;
use larder_storage::{Storage, StorageErrorKind};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Runs the whole suite against an empty or shared destination; panics on the first promise broken.
pub async fn run(storage: &Arc<dyn Storage>) {
    run_with_plain_names(storage).await;
    special_characters_are_kept(storage).await;
}

/// Runs all of the suite that names its objects as repositories do, for servers that cannot keep every name.
pub async fn run_with_plain_names(storage: &Arc<dyn Storage>) {
    objects_of_every_size_come_back(storage).await;
    writing_again_replaces(storage).await;
    reading_what_is_not_there_says_so(storage).await;
    ranges_are_exact_or_errors(storage).await;
    only_one_of_many_writers_makes_a_new_object(storage).await;
    readers_never_see_a_part(storage).await;
    listings_are_complete(storage).await;
    removed_objects_are_gone(storage).await;
    paths_that_make_no_sense_are_refused(storage).await;
}

fn pattern(length: usize, seed: u64) -> Bytes {
    Random::new(seed).bytes(length).into()
}

/// Objects from none to 64 MiB come back byte for byte.
pub async fn objects_of_every_size_come_back(storage: &Arc<dyn Storage>) {
    for length in [0, 1, 255, 4095, 4096, 65_537, 1 << 20, (16 << 20) + 1, 64 << 20] {
        let path = format!("suite-sizes/{length}");
        let data = pattern(length, length as u64);
        storage.put(&path, data.clone()).await.unwrap();
        let stat = storage.stat(&path).await.unwrap().expect("an object just written");
        assert_eq!((stat.path.as_str(), stat.size_bytes), (path.as_str(), length as u64));
        assert!(storage.get(&path).await.unwrap() == data, "{length} bytes came back changed");
        storage.delete(&path).await.unwrap();
    }
}

/// A second write under the same name replaces the first, also by something shorter.
pub async fn writing_again_replaces(storage: &Arc<dyn Storage>) {
    let path = "suite-replace/one";
    storage.put(path, pattern(9000, 1)).await.unwrap();
    storage.put(path, pattern(10, 2)).await.unwrap();
    assert_eq!(storage.get(path).await.unwrap(), pattern(10, 2));
    assert_eq!(storage.list("suite-replace").await.unwrap().len(), 1);
    storage.put(path, Bytes::new()).await.unwrap();
    assert_eq!(storage.get(path).await.unwrap().len(), 0);
}

/// A missing object is `NotFound` to read and `None` to look up; a folder is not an object.
pub async fn reading_what_is_not_there_says_so(storage: &Arc<dyn Storage>) {
    storage.put("suite-absent/folder/object", pattern(3, 3)).await.unwrap();
    for path in ["suite-absent/nothing", "suite-absent/no/such/folder", "suite-absent/folder"] {
        assert_eq!(storage.stat(path).await.unwrap(), None, "{path}");
        assert_eq!(storage.get(path).await.unwrap_err().kind, StorageErrorKind::NotFound, "{path}");
        let range = storage.get_range(path, 0..1).await;
        assert_eq!(range.unwrap_err().kind, StorageErrorKind::NotFound, "{path}");
    }
    assert!(storage.list("suite-absent/nothing").await.unwrap().is_empty());
}

/// A range gives exactly its bytes, and one beyond the end is an error.
pub async fn ranges_are_exact_or_errors(storage: &Arc<dyn Storage>) {
    let path = "suite-range/one";
    let data = pattern(100_000, 4);
    storage.put(path, data.clone()).await.unwrap();
    for range in [0..1, 0..100_000, 99_999..100_000, 500..70_001, 7..7] {
        let found = storage.get_range(path, range.clone()).await.unwrap();
        let wanted = data.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        assert_eq!(found, wanted, "{range:?}");
    }
    for range in [0..100_001, 99_999..100_001, 100_001..100_002, 0..u64::MAX] {
        assert!(storage.get_range(path, range.clone()).await.is_err(), "{range:?} was answered");
    }
}

/// Of many who make the same new object at once, one is told that it did, and its bytes are kept.
pub async fn only_one_of_many_writers_makes_a_new_object(storage: &Arc<dyn Storage>) {
    assert!(storage.put_new("suite-new/first", pattern(10, 5)).await.unwrap());
    assert!(!storage.put_new("suite-new/first", pattern(10, 6)).await.unwrap());
    assert_eq!(storage.get("suite-new/first").await.unwrap(), pattern(10, 5));
    if !storage.capabilities().conditional_put {
        return;
    }
    for round in 0..8 {
        let mut writers = JoinSet::new();
        for writer in 0..16_u64 {
            let storage = Arc::clone(storage);
            writers.spawn(async move {
                let data = pattern(50_000, writer + 100);
                storage.put_new(&format!("suite-new/race-{round}"), data).await.unwrap().then_some(writer)
            });
        }
        let winners: Vec<u64> = writers.join_all().await.into_iter().flatten().collect();
        let [winner] = winners.as_slice() else { panic!("{} writers won round {round}", winners.len()) };
        let kept = storage.get(&format!("suite-new/race-{round}")).await.unwrap();
        assert_eq!(kept, pattern(50_000, winner + 100), "the winner's bytes were not kept");
    }
}

/// While an object is replaced again and again, readers see one version or another, whole.
pub async fn readers_never_see_a_part(storage: &Arc<dyn Storage>) {
    let path = "suite-whole/one";
    let versions: Vec<Bytes> = (0..2_u64).map(|version| pattern(300_000, 200 + version)).collect();
    storage.put(path, versions[0].clone()).await.unwrap();
    let writer = {
        let (storage, versions) = (Arc::clone(storage), versions.clone());
        tokio::spawn(async move {
            for round in 1..40 {
                storage.put(path, versions[round % 2].clone()).await.unwrap();
            }
        })
    };
    for _ in 0..40 {
        match storage.get(path).await {
            Ok(seen) => assert!(versions.contains(&seen), "a part of an object was read"),
            // Some servers cut off whoever reads what is being replaced: that is no part either.
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    writer.await.unwrap();
    assert!(versions.contains(&storage.get(path).await.unwrap()), "the last version is not whole");
}

/// More objects than one page of any service holds are all listed, once each, and only those below the folder.
pub async fn listings_are_complete(storage: &Arc<dyn Storage>) {
    const OBJECTS: usize = 1_234;
    let mut writers = JoinSet::new();
    for number in 0..OBJECTS {
        let storage = Arc::clone(storage);
        writers.spawn(async move {
            let path = format!("suite-list/{:02}/{number:05}", number % 20);
            let data = pattern(number % 7, 1);
            // Some servers say once that they are at fault while several make the same folder. Whoever uses a destination
            // repeats that, and so does this.
            if let Err(error) = storage.put(&path, data.clone()).await {
                assert!(error.is_retryable(), "{error}");
                storage.put(&path, data).await.unwrap();
            }
        });
        if writers.len() >= 32 {
            writers.join_next().await.unwrap().unwrap();
        }
    }
    writers.join_all().await;
    storage.put("suite-list-neighbour/one", pattern(1, 1)).await.unwrap();
    for folder in ["suite-list", "suite-list/"] {
        let mut listed = storage.list(folder).await.unwrap();
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        listed.dedup();
        assert_eq!(listed.len(), OBJECTS);
        for object in listed {
            let number: usize = object.path.rsplit('/').next().unwrap().parse().unwrap();
            assert_eq!(object.path, format!("suite-list/{:02}/{number:05}", number % 20));
            assert_eq!(object.size_bytes, (number % 7) as u64);
        }
    }
    assert_eq!(storage.list("suite-list/07").await.unwrap().len(), OBJECTS.div_ceil(20));
    assert!(storage.list("").await.unwrap().len() > OBJECTS, "the root's listing lacks objects");
}

/// Names with spaces, quotes, percent signs and other scripts come back as they were given.
pub async fn special_characters_are_kept(storage: &Arc<dyn Storage>) {
    let names = [
        "a b",
        "ü-é-漢字-🥫",
        "50%25+x",
        "quote'\"`",
        "a&b=c?d#e",
        "...",
        "[x]{y}*",
        "colon:semi;comma,",
        "(1)~!@$^",
    ];
    for (seed, name) in names.iter().enumerate() {
        storage.put(&format!("suite-names/{name}/{name}"), pattern(20, seed as u64)).await.unwrap();
    }
    for (seed, name) in names.iter().enumerate() {
        let path = format!("suite-names/{name}/{name}");
        assert_eq!(storage.get(&path).await.unwrap(), pattern(20, seed as u64), "{name}");
        let listed = storage.list(&format!("suite-names/{name}")).await.unwrap();
        assert_eq!(listed.iter().map(|object| object.path.as_str()).collect::<Vec<_>>(), [path.as_str()]);
        storage.delete(&path).await.unwrap();
    }
    assert!(storage.list("suite-names").await.unwrap().is_empty());
}

/// A removed object is neither found nor listed; removing it again is no error.
pub async fn removed_objects_are_gone(storage: &Arc<dyn Storage>) {
    let path = "suite-delete/one";
    storage.put(path, pattern(10, 7)).await.unwrap();
    storage.put("suite-delete/two", pattern(10, 8)).await.unwrap();
    storage.delete(path).await.unwrap();
    storage.delete(path).await.unwrap();
    storage.delete("suite-delete/never/was").await.unwrap();
    assert_eq!(storage.stat(path).await.unwrap(), None);
    assert_eq!(storage.list("suite-delete").await.unwrap().len(), 1);
    assert!(storage.put_new(path, pattern(5, 9)).await.unwrap(), "a removed name is free again");
}

/// Paths that could name something outside the root, or nothing, are refused by every call.
pub async fn paths_that_make_no_sense_are_refused(storage: &Arc<dyn Storage>) {
    for path in ["", "/absolute", "../outside", "a/../../b", "a//b", "a/", "./a", "zero\0byte"] {
        let outcomes = [
            storage.put(path, Bytes::new()).await.err(),
            storage.put_new(path, Bytes::new()).await.err(),
            storage.get(path).await.err(),
            storage.stat(path).await.err(),
            storage.delete(path).await.err(),
        ];
        for error in outcomes {
            assert_eq!(error.map(|error| error.kind), Some(StorageErrorKind::Invalid), "{path:?}");
        }
    }
}
