//! How fast and with how many calls at once a destination is used. Time is tokio's, and paused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_storage::{CallLimits, Patience, PatienceSettings, Patient, Storage};
use larder_testbed::{BusyStorage, MemoryStorage, PausedClock};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

fn patience(settings: PatienceSettings, start: &str) -> Arc<Patience> {
    Patience::new(settings, Arc::new(PausedClock::starting(start)), 3)
}

fn limited(upload: &str, download: &str) -> PatienceSettings {
    PatienceSettings {
        upload: upload.parse().unwrap(),
        download: download.parse().unwrap(),
        ..PatienceSettings::default()
    }
}

fn zeros(length: usize) -> Bytes {
    vec![0; length].into()
}

/// Writes objects one after another until an instant; returns how many bytes were written, and when.
async fn write_until(storage: &Patient, end: Instant, length: usize) -> Vec<(Instant, u64)> {
    let data = zeros(length);
    let mut written = Vec::new();
    while Instant::now() < end {
        storage.put("x", data.clone()).await.unwrap();
        written.push((Instant::now(), length as u64));
    }
    written
}

fn bytes_between(written: &[(Instant, u64)], from: Instant, seconds: u64) -> u64 {
    let until = from + Duration::from_secs(seconds);
    written.iter().filter(|(at, _)| from <= *at && *at < until).map(|(_, bytes)| bytes).sum()
}

#[tokio::test(start_paused = true)]
async fn no_second_moves_more_than_its_limit_and_all_together_move_that_much() {
    let patience = patience(limited("1 MB/s", ""), "2026-05-10T12:00:00Z");
    let storage = patience.around(Arc::new(MemoryStorage::new()));
    tokio::time::sleep(Duration::from_secs(100)).await;
    let begun = Instant::now();
    let written = write_until(&storage, begun + Duration::from_secs(60), 20_000).await;
    // What was not used before counts for one second, and no more.
    assert_eq!(bytes_between(&written, begun, 1), 2_000_000 - 20_000);
    for second in 2..59 {
        let moved = bytes_between(&written, begun + Duration::from_secs(second), 1);
        assert!((980_000..=1_020_000).contains(&moved), "second {second}: {moved}");
    }
    assert_eq!(patience.traffic().waited_for_bandwidth.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_shared_by_all_connections_and_small_objects_pass_large_ones() {
    let patience = patience(limited("1 MB/s", ""), "2026-05-10T12:00:00Z");
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for number in 0..3 {
        let storage = patience.around(Arc::new(MemoryStorage::new()));
        writers.spawn(async move {
            storage.put(&format!("{number}"), zeros(10_000_000)).await.unwrap();
            begun.elapsed().as_secs_f64()
        });
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let storage = patience.around(Arc::new(MemoryStorage::new()));
    let small = Instant::now();
    storage.put("locks/one", zeros(1000)).await.unwrap();
    assert!(small.elapsed() < Duration::from_millis(500), "{:?}", small.elapsed());
    for time in writers.join_all().await {
        assert!((29.0..30.5).contains(&time), "all three have the same share: {time}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_hour_takes_effect_amid_an_object() {
    let plan = "08:00-18:00 1 MB/s; 18:00-22:00 3 MB/s; 22:00-08:00 unlimited";
    let patience = patience(limited(plan, ""), "2026-05-10T17:59:50Z");
    let storage = patience.around(Arc::new(MemoryStorage::new()));
    let begun = Instant::now();
    // 10 s at 1 MB/s, then 10 s at 3 MB/s.
    storage.put("large", zeros(40_000_000)).await.unwrap();
    let time = begun.elapsed().as_secs_f64();
    assert!((19.5..=20.1).contains(&time), "{time}");
    // Four hours less 10 s later the rest of the day is free.
    tokio::time::sleep(Duration::from_secs(4 * 3600 - 20)).await;
    let begun = Instant::now();
    storage.put("larger", zeros(60_000_000)).await.unwrap();
    let time = begun.elapsed().as_secs_f64();
    assert!((9.0..=11.1).contains(&time), "{time}");
}

#[tokio::test(start_paused = true)]
async fn hours_are_those_of_the_zone() {
    let mut settings = limited("08:00-18:00 1 MB/s", "");
    settings.zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let patience = patience(settings, "2026-07-10T06:00:00Z");
    let storage = patience.around(Arc::new(MemoryStorage::new()));
    let begun = Instant::now();
    storage.put("x", zeros(6_000_000)).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn the_way_down_has_its_own_limit() {
    let patience = patience(limited("", "1 MB/s"), "2026-05-10T12:00:00Z");
    let storage = patience.around(Arc::new(MemoryStorage::new()));
    let begun = Instant::now();
    storage.put("x", zeros(5_000_000)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "the way up is free");
    storage.get("x").await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
    storage.get_range("x", 0..2_000_000).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 7);
    // A range that no object has is an error soon, not after the time that it would take.
    assert!(storage.get_range("x", 0..u64::MAX).await.is_err());
    assert!(begun.elapsed().as_secs() < 80);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_leaves_the_way_to_the_others() {
    let patience = patience(limited("1 kB/s", ""), "2026-05-10T12:00:00Z");
    let storage = Arc::new(patience.around(Arc::new(MemoryStorage::new())));
    let large = tokio::spawn({
        let storage = storage.clone();
        async move { storage.put("x", zeros(1_000_000_000)).await }
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    large.abort();
    assert!(large.await.unwrap_err().is_cancelled());
    let begun = Instant::now();
    storage.put("y", zeros(1000)).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_millis(1100), "{:?}", begun.elapsed());
}

/// Makes calls from many tasks at once for a time; returns how many were made, and with how many at once at the end.
async fn work(patience: &Arc<Patience>, place: &Arc<BusyStorage>, time: Duration) -> (u64, usize) {
    let end = Instant::now() + time;
    let mut workers = JoinSet::new();
    for worker in 0..64 {
        let storage = patience.around(place.clone());
        workers.spawn(async move {
            let mut done = 0;
            while Instant::now() < end {
                done += u64::from(storage.put(&format!("{worker}"), zeros(1000)).await.is_ok());
            }
            done
        });
    }
    let done = workers.join_all().await.into_iter().sum();
    (done, patience.calls_at_once())
}

fn with_calls(least: usize, first: usize, most: usize) -> PatienceSettings {
    PatienceSettings { calls: CallLimits { least, first, most }, ..PatienceSettings::default() }
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_grow_to_what_the_destination_can_do_and_not_far_beyond() {
    for capacity in [2, 6, 12, 24] {
        let place = Arc::new(BusyStorage::new(capacity, Duration::from_millis(50)));
        let patience = patience(with_calls(1, 4, 48), "2026-05-10T12:00:00Z");
        let (done, at_once) = work(&patience, &place, Duration::from_secs(120)).await;
        // The best there is: each of its servers makes 20 calls a second.
        let best = capacity as u64 * 20 * 120;
        assert!(done > best * 85 / 100, "capacity {capacity}: {done} of {best}");
        assert!((capacity..=capacity * 2 + 2).contains(&at_once), "capacity {capacity}: {at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_stay_below_what_the_destination_refuses() {
    let place = BusyStorage::new(64, Duration::from_millis(50)).refusing_beyond(10, Duration::ZERO);
    let place = Arc::new(place);
    let patience = patience(with_calls(1, 4, 48), "2026-05-10T12:00:00Z");
    let (done, at_once) = work(&patience, &place, Duration::from_secs(300)).await;
    assert!((4..=11).contains(&at_once), "{at_once}");
    assert!(done > 10 * 20 * 300 * 6 / 10, "{done}");
    let refused = place.refused() as u64;
    assert!(refused * 50 < done, "{refused} refused, {done} done");
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_keep_to_their_limits_and_their_order() {
    let place = Arc::new(BusyStorage::new(64, Duration::from_millis(50)));
    let patience = patience(with_calls(1, 2, 5), "2026-05-10T12:00:00Z");
    let (_, at_once) = work(&patience, &place, Duration::from_secs(60)).await;
    assert_eq!(place.most_inside(), 5);
    // Now and then it tries whether one less does as well.
    assert!((4..=5).contains(&at_once), "{at_once}");
    // Once each is served, nobody is served twice before everybody was once.
    let mut workers = JoinSet::new();
    for worker in 0..50_u64 {
        let storage = patience.around(place.clone());
        workers.spawn(async move {
            tokio::time::sleep(Duration::from_millis(worker)).await;
            storage.stat("x").await.unwrap();
            (Instant::now(), worker)
        });
    }
    let mut ended = workers.join_all().await;
    ended.sort_unstable();
    let order: Vec<u64> = ended.into_iter().map(|(_, worker)| worker).collect();
    assert!(order.is_sorted(), "{order:?}");
}
