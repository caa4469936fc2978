//! What a destination is borne with, and for how long. Time is tokio's, and paused: hours pass in no time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_storage::{
    AttemptLimits, CallKind, Patience, PatienceSettings, Patient, Standing, Storage, StorageError,
    StorageErrorKind,
};
use larder_testbed::{
    BusyStorage, Call, Fault, FaultyStorage, FlakyStorage, MemoryStorage, PausedClock, Random, storage_suite,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const DOWN: Fault = Fault::Fail(StorageErrorKind::Unavailable);
const LOST_ANSWER: Fault = Fault::FailAfter(StorageErrorKind::Unavailable);

fn patient(settings: PatienceSettings, inner: Arc<dyn Storage>) -> Patient {
    let clock = Arc::new(PausedClock::starting("2026-05-10T12:00:00Z"));
    Patience::new(settings, clock, 7).around(inner)
}

fn place() -> Arc<FaultyStorage> {
    FaultyStorage::new(Arc::new(MemoryStorage::new()))
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_destination_passes_the_suite() {
    let storage: Arc<dyn Storage> = Arc::new(patient(PatienceSettings::default(), place()));
    storage_suite::run(&storage).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_until_it_succeeds_and_counted_once() {
    let place = place();
    let storage = patient(PatienceSettings::default(), place.clone());
    place.sometimes(Call::Put, "", 3, DOWN);
    place.sometimes(Call::Get, "", 2, LOST_ANSWER);
    storage.put("a", bytes("12345")).await.unwrap();
    assert_eq!(storage.get("a").await.unwrap(), "12345");
    let traffic = storage.patience().traffic();
    assert_eq!((traffic.calls_of(CallKind::Write), traffic.calls_of(CallKind::Read)), (1, 1));
    assert_eq!((traffic.retries, traffic.bytes_up, traffic.bytes_down), (5, 5, 5));
    assert!(traffic.waited_to_repeat > Duration::ZERO);
    assert_eq!((place.count(Call::Put), place.count(Call::Get)), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_call_has_its_own_limit_of_attempts() {
    let place = place();
    let attempts = AttemptLimits { reads: 2, writes: 3, lists: 4, deletes: 5, lookups: 6 };
    let storage = patient(PatienceSettings { attempts, ..PatienceSettings::default() }, place.clone());
    place.down_from(1, DOWN);
    let errors = [
        (storage.get("a").await.unwrap_err(), 2),
        (storage.get_range("a", 0..1).await.unwrap_err(), 2),
        (storage.put("a", Bytes::new()).await.unwrap_err(), 3),
        (storage.list("").await.unwrap_err(), 4),
        (storage.delete("a").await.unwrap_err(), 5),
    ];
    let made = [Call::Get, Call::GetRange, Call::Put, Call::List, Call::Delete].map(|call| place.count(call));
    assert_eq!(made, [2, 2, 3, 4, 5]);
    for (error, times) in errors {
        assert!(
            error.to_string().contains(&format!("a fault was injected (tried {times} times within")),
            "{error}"
        );
    }
    assert_eq!(storage.patience().traffic().given_up, 5);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_succeed_is_not_repeated() {
    for kind in [
        StorageErrorKind::NotFound,
        StorageErrorKind::Denied,
        StorageErrorKind::Full,
        StorageErrorKind::Damaged,
        StorageErrorKind::Cold,
        StorageErrorKind::Invalid,
        StorageErrorKind::Other,
    ] {
        let place = place();
        let storage = patient(PatienceSettings::default(), place.clone());
        place.down_from(1, Fault::Fail(kind));
        assert_eq!(storage.get("a").await.unwrap_err().kind, kind);
        assert_eq!(storage.put("a", Bytes::new()).await.unwrap_err().kind, kind);
        assert_eq!(place.calls().len(), 2, "{kind:?}");
        assert_eq!(storage.patience().standing(), Standing::Asked { failures: 0 }, "{kind:?} is an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_its_time_though_attempts_are_left() {
    let place = place();
    let attempts = AttemptLimits { reads: 1000, writes: 1, lists: 1, deletes: 1, lookups: 1 };
    let mut settings = PatienceSettings { attempts, ..PatienceSettings::default() };
    settings.breaker.failures = u32::MAX;
    settings.patience = Duration::from_secs(120);
    let storage = patient(settings, place.clone());
    place.down_from(1, DOWN);
    let begun = Instant::now();
    storage.get("a").await.unwrap_err();
    assert!((90..=120).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_gone_is_soon_told() {
    let place = place();
    let storage = patient(PatienceSettings::for_directory(), place.clone());
    place.down_from(1, DOWN);
    let begun = Instant::now();
    assert!(storage.put("a", Bytes::new()).await.unwrap_err().is_retryable());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn those_who_failed_together_do_not_come_back_together() {
    let place = place();
    let mut settings = PatienceSettings::default();
    settings.calls.first = 32;
    settings.breaker.failures = u32::MAX;
    let storage = Arc::new(patient(settings, place.clone()));
    place.sometimes(Call::Get, "", 32, DOWN);
    let mut readers = JoinSet::new();
    for _ in 0..32 {
        let storage = storage.clone();
        readers.spawn(async move {
            let begun = Instant::now();
            let _ = storage.get("a").await;
            begun.elapsed().as_millis()
        });
    }
    let mut times = readers.join_all().await;
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 20, "{times:?}");
    assert!(times.iter().all(|time| *time <= 501), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_given_up_after_a_long_while() {
    let place = place();
    let attempts = AttemptLimits { reads: 1, writes: 1, lists: 1, deletes: 1, lookups: 1 };
    let storage = patient(PatienceSettings { attempts, ..PatienceSettings::default() }, place.clone());
    place.down_from(1, Fault::Hang);
    let begun = Instant::now();
    let error = storage.list("data").await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 900);
    assert_eq!(
        error.to_string(),
        "could not list 'data' at memory: it gave no answer within 15 min; it will be tried again"
    );
    let begun = Instant::now();
    storage.put("a", vec![0; 64 << 20].into()).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 900 + 4096, "a large object has the time of a slow line besides");
}

#[tokio::test(start_paused = true)]
async fn a_new_object_whose_answer_was_lost_is_known_as_ones_own() {
    let place = place();
    let storage = patient(PatienceSettings::default(), place.clone());
    place.on_call(Call::PutNew, 1, LOST_ANSWER);
    assert!(storage.put_new("lock", bytes("mine")).await.unwrap());
    // Somebody else's is not, though the first attempt failed.
    place.on_call(Call::PutNew, 1, DOWN);
    assert!(!storage.put_new("lock", bytes("yours")).await.unwrap());
    // Without a failure nothing is read, and equal bytes are still somebody else's.
    place.forget_calls();
    assert!(!storage.put_new("lock", bytes("mine")).await.unwrap());
    assert_eq!(place.count(Call::Get), 0);
    assert_eq!(storage.get("lock").await.unwrap(), "mine");
}

#[tokio::test(start_paused = true)]
async fn a_new_object_that_cannot_be_looked_at_is_an_error_and_no_guess() {
    let place = place();
    let storage = patient(PatienceSettings::default(), place.clone());
    place.on_call(Call::PutNew, 1, LOST_ANSWER);
    place.always(Call::Get, "", Fault::Fail(StorageErrorKind::Denied));
    assert_eq!(storage.put_new("lock", bytes("mine")).await.unwrap_err().kind, StorageErrorKind::Denied);
}

/// A destination that asks everybody to come back later.
fn moody(retry_after: Duration, settings: PatienceSettings) -> (Arc<BusyStorage>, Patient) {
    let place = Arc::new(BusyStorage::new(64, Duration::from_millis(10)).refusing_beyond(0, retry_after));
    (place.clone(), patient(settings, place))
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_out_by_everybody() {
    let attempts = AttemptLimits { reads: 3, writes: 3, lists: 3, deletes: 3, lookups: 3 };
    let settings = PatienceSettings { attempts, ..PatienceSettings::default() };
    let (place, storage) = moody(Duration::from_secs(40), settings);
    let storage = Arc::new(storage);
    let begun = Instant::now();
    let first = tokio::spawn({
        let storage = storage.clone();
        async move { (storage.stat("a").await, begun.elapsed()) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.refused(), 1);
    // One that comes now does not ask before the time is over.
    let second = tokio::spawn({
        let storage = storage.clone();
        async move { storage.stat("b").await }
    });
    tokio::time::sleep(Duration::from_secs(38)).await;
    assert_eq!(place.refused(), 1);
    let (error, elapsed) = first.await.unwrap();
    assert!(error.unwrap_err().is_throttled());
    // Both were asked twice more to come back later, and each time both kept to it.
    assert!((80..=125).contains(&elapsed.as_secs()), "{elapsed:?}");
    assert!(second.await.unwrap().is_err());
    let traffic = storage.patience().traffic();
    assert_eq!(traffic.throttled, place.refused() as u64);
    assert_eq!(storage.patience().standing(), Standing::Asked { failures: 0 }, "it answers");
    assert_eq!(storage.patience().calls_at_once(), 1, "it asked for less");
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_for_more_than_patience_is_told_so_at_once() {
    let (place, storage) = moody(Duration::from_secs(1800), PatienceSettings::default());
    let begun = Instant::now();
    assert!(storage.stat("a").await.unwrap_err().is_throttled());
    let error = storage.stat("b").await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 0);
    assert_eq!(place.refused(), 1, "it is left alone");
    assert!(error.to_string().contains("asks to be left alone until 2026-05-10 12:30:00 UTC"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_is_left_alone_says_so_and_is_found_again() {
    let place = place();
    let storage = patient(PatienceSettings::default(), place.clone());
    place.down_from(1, DOWN);
    // Its own patience ends after 12 attempts; the second caller's ones make the row full.
    storage.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(storage.patience().standing(), Standing::Asked { failures: 12 });
    let begun = Instant::now();
    storage.put("a", Bytes::new()).await.unwrap_err();
    assert!(begun.elapsed() > Duration::from_secs(30), "whoever waits already goes on waiting");
    let Standing::Resting { failures, until, .. } = storage.patience().standing() else {
        panic!("it is left alone")
    };
    assert!(failures > 20);
    let (made, begun) = (place.calls().len(), Instant::now());
    let error = storage.get("b").await.unwrap_err().to_string();
    assert_eq!((place.calls().len(), begun.elapsed()), (made, Duration::ZERO), "it fails fast");
    assert!(error.contains("it has not answered since 2026-05-10 12:00:00 UTC"), "{error}");
    assert!(error.contains("the last: a fault was injected), and is left alone until"), "{error}");
    // When the time is over one call tries, and ends at once if that fails.
    tokio::time::sleep(Duration::from_secs(601)).await;
    storage.get("b").await.unwrap_err();
    assert_eq!(place.calls().len(), made + 1);
    let Standing::Resting { until: later, .. } = storage.patience().standing() else { panic!("still down") };
    assert!(later > until);
    place.heal();
    tokio::time::sleep(Duration::from_secs(601)).await;
    storage.put("a", bytes("x")).await.unwrap();
    assert_eq!(storage.patience().standing(), Standing::Asked { failures: 0 });
}

#[tokio::test(start_paused = true)]
async fn while_one_tries_the_others_do_not_and_a_trial_that_is_dropped_blocks_nobody() {
    let place = place();
    let mut settings = PatienceSettings::default();
    settings.breaker.failures = 1;
    settings.attempts.reads = 1;
    let storage = Arc::new(patient(settings, place.clone()));
    place.on_call(Call::Get, 1, DOWN);
    storage.get("a").await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(31)).await;
    place.on_call(Call::Get, 1, Fault::Hang);
    let trial = tokio::spawn({
        let storage = storage.clone();
        async move { storage.get("a").await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let made = place.calls().len();
    assert!(storage.get("b").await.unwrap_err().is_retryable());
    assert_eq!(place.calls().len(), made);
    trial.abort();
    assert!(trial.await.unwrap_err().is_cancelled());
    assert!(storage.get("b").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_two_minutes_is_survived_by_those_who_write() {
    let place = place();
    let storage = Arc::new(patient(PatienceSettings::default(), place.clone()));
    place.down_from(1, DOWN);
    let mut writers = JoinSet::new();
    for number in 0..4 {
        let storage = storage.clone();
        writers.spawn(async move { storage.put(&format!("data/{number}"), bytes("pack")).await });
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(matches!(storage.patience().standing(), Standing::Resting { .. }));
    assert!(place.calls().len() < 40, "it is left alone: {}", place.calls().len());
    place.heal();
    for outcome in writers.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(place.list("").await.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn of_three_destinations_one_that_flaps_does_not_hold_up_the_others() {
    async fn write(storage: Patient) -> (Duration, Vec<Result<(), StorageError>>) {
        let begun = Instant::now();
        let mut outcomes = Vec::new();
        for number in 0..200 {
            outcomes.push(storage.put(&format!("{number}"), bytes("pack")).await);
        }
        (begun.elapsed(), outcomes)
    }
    let busy = || -> Arc<dyn Storage> { Arc::new(BusyStorage::new(4, Duration::from_millis(50))) };
    let flapping = FaultyStorage::new(busy());
    let places: [Arc<dyn Storage>; 3] = [busy(), flapping.clone(), busy()];
    let mut runs = JoinSet::new();
    for (number, place) in places.into_iter().enumerate() {
        let storage = patient(PatienceSettings::default(), place);
        runs.spawn(async move { (number, write(storage).await) });
    }
    let flaps = tokio::spawn(async move {
        for _ in 0..30 {
            flapping.down_from(1, DOWN);
            tokio::time::sleep(Duration::from_secs(3)).await;
            flapping.heal();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    for (number, (time, outcomes)) in runs.join_all().await {
        assert!(outcomes.iter().all(Result::is_ok), "{number}");
        let undisturbed = time == Duration::from_secs(10);
        assert_eq!(undisturbed, number != 1, "destination {number} took {time:?}");
    }
    flaps.abort();
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_with_random_faults_end_as_if_there_had_been_none() {
    for seed in 0..2 {
        let (calm, stormy) = (MemoryStorage::new(), Arc::new(MemoryStorage::new()));
        let flaky = FlakyStorage::new(stormy.clone(), seed, 4);
        // Several calls in a row may find nobody answering for a quarter of an hour.
        let patience = Duration::from_secs(86_400);
        let storage = patient(PatienceSettings { patience, ..PatienceSettings::default() }, flaky.clone());
        let mut random = Random::new(seed + 100);
        for number in 0..5_000 {
            let path = format!("data/{}", random.below(50));
            let length = usize::try_from(random.below(64)).unwrap();
            let data = Bytes::from(random.bytes(length));
            let at = format!("seed {seed}, call {number} on {path}");
            match random.below(7) {
                0 => assert_eq!(
                    same(calm.put(&path, data.clone()).await),
                    same(storage.put(&path, data).await),
                    "{at}"
                ),
                1 => assert_eq!(
                    same(calm.put_new(&path, data.clone()).await),
                    same(storage.put_new(&path, data).await),
                    "{at}"
                ),
                2 => assert_eq!(same(calm.get(&path).await), same(storage.get(&path).await), "{at}"),
                3 => {
                    let range = 3..3 + random.below(20);
                    let calm = same(calm.get_range(&path, range.clone()).await);
                    assert_eq!(calm, same(storage.get_range(&path, range).await), "{at}");
                }
                4 => assert_eq!(same(calm.stat(&path).await), same(storage.stat(&path).await), "{at}"),
                5 => assert_eq!(same(calm.list("data").await), same(storage.list("data").await), "{at}"),
                _ => assert_eq!(same(calm.delete(&path).await), same(storage.delete(&path).await), "{at}"),
            }
        }
        let traffic = storage.patience().traffic();
        assert!(flaky.failed() > 1_000, "{traffic:?}");
        assert_eq!(traffic.retries, flaky.failed(), "each fault was repeated once");
        assert!(calm.with_objects(|calm| stormy.with_objects(|stormy| calm == stormy)), "seed {seed}");
    }
}

fn same<T>(outcome: Result<T, StorageError>) -> Result<T, StorageErrorKind> {
    outcome.map_err(|error| error.kind)
}
