//! Levelling: many runs that may begin at about the same time begin one after another.
//!
//! The answers depend on names and on what else is planned, never on chance, so that they are the same after a restart.

use jiff::{SignedDuration, Timestamp};

/// How many moments of a window are looked at.
const LOOKS: i64 = 120;

/// Returns how long after its moment the run of `name` begins, where all begin within `width`.
#[must_use]
pub fn spread(name: &str, width: SignedDuration) -> SignedDuration {
    let seconds = u64::try_from(width.as_secs()).unwrap_or(0);
    if seconds == 0 {
        return SignedDuration::ZERO;
    }
    SignedDuration::from_secs((number_of(name) % seconds).cast_signed())
}

/// Chooses the calmest moment from `earliest` to `latest`: the one of which `load` says least, the first of several.
pub fn calmest(
    earliest: Timestamp,
    latest: Timestamp,
    name: &str,
    load: impl Fn(Timestamp) -> u32,
) -> Timestamp {
    let width = latest.duration_since(earliest).as_secs();
    let step = (width / LOOKS).max(1);
    // Each name looks at moments of its own, so that together they look at all.
    let offset = spread(name, SignedDuration::from_secs(step)).as_secs();
    let mut best: Option<(u32, Timestamp)> = None;
    let mut seconds = offset;
    while seconds <= width {
        let Ok(moment) = earliest.checked_add(SignedDuration::from_secs(seconds)) else { break };
        let load = load(moment);
        if best.is_none_or(|(least, _)| load < least) {
            best = Some((load, moment));
        }
        if load == 0 {
            break;
        }
        seconds += step;
    }
    best.map_or(earliest, |(_, moment)| moment)
}

/// Returns a number that belongs to a name: FNV-1a, its bits mixed once more since names often differ only at the end.
fn number_of(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn names_spread_evenly_and_always_alike() {
        let width = SignedDuration::from_mins(10);
        let mut by_minute: HashMap<i64, u32> = HashMap::new();
        for number in 0..500 {
            let name = format!("database-{number}");
            let after = spread(&name, width);
            assert_eq!(after, spread(&name, width));
            *by_minute.entry(after.as_secs() / 60).or_default() += 1;
        }
        assert_eq!(by_minute.len(), 10);
        assert!(by_minute.values().all(|count| (30..=70).contains(count)), "{by_minute:?}");
        assert_eq!(spread("any", SignedDuration::ZERO), SignedDuration::ZERO);
    }

    #[test]
    fn within_a_window_everyone_finds_a_calm_minute() {
        let earliest: Timestamp = "2026-05-10T04:00:00Z".parse().unwrap();
        let latest = earliest + SignedDuration::from_hours(2);
        let mut planned: HashMap<i64, u32> = HashMap::new();
        for number in 0..500 {
            let load = |moment: Timestamp| planned.get(&(moment.as_second() / 60)).copied().unwrap_or(0);
            let moment = calmest(earliest, latest, &format!("db{number}"), load);
            assert!(earliest <= moment && moment <= latest);
            *planned.entry(moment.as_second() / 60).or_default() += 1;
        }
        // 500 over 120 minutes are 4.2 a minute.
        assert!(planned.values().all(|count| *count <= 5), "{planned:?}");
        assert!(planned.len() >= 119);
    }

    #[test]
    fn a_window_of_no_width_is_a_moment() {
        let moment: Timestamp = "2026-05-10T04:00:00Z".parse().unwrap();
        assert_eq!(calmest(moment, moment, "a", |_| 7), moment);
    }
}
