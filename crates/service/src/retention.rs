//! What a policy no longer keeps: a pure decision over a complete list.

use jiff::{SignedDuration, Timestamp};
use larder_model::BackupId;
use larder_model::task::{DEFAULT_MINIMUM_BACKUPS, PeriodicBackupConfiguration};
use std::time::Duration;

/// One backup that the policy may speak about: made by this installation, for this database and task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: BackupId,
    /// When it was begun.
    pub time: Timestamp,
    /// Whether it counts as good: complete, and not found to differ.
    pub good: bool,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Backups younger than this are kept.
    pub minimum_age: Duration,
    /// So many good backups are kept in any case, the newest; at least 1.
    pub minimum_backups: u32,
}

impl Policy {
    /// Reads a task's policy; `None` where everything is kept for ever.
    #[must_use]
    pub fn of(settings: &PeriodicBackupConfiguration) -> Option<Self> {
        let policy = settings.retention_policy.as_ref().filter(|policy| !policy.disabled)?;
        let minimum_age = policy.minimum_backup_age_to_keep?.to_duration()?;
        let minimum_backups = settings.minimum_backups_to_keep.unwrap_or(DEFAULT_MINIMUM_BACKUPS).max(1);
        Some(Self { minimum_age, minimum_backups })
    }
}

/// Returns what may be removed, oldest first.
///
/// Nothing, where the newest backup is not good: while backups fail, the old ones are all there is.
#[must_use]
pub fn removable(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Vec<BackupId> {
    let mut newest_first: Vec<&Candidate> = candidates.iter().collect();
    newest_first.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| b.id.cmp(&a.id)));
    if !newest_first.first().is_some_and(|newest| newest.good) {
        return Vec::new();
    }
    let age = SignedDuration::try_from(policy.minimum_age).unwrap_or(SignedDuration::MAX);
    // An age that reaches back before the calendar's beginning keeps everything.
    let Ok(horizon) = now.checked_sub(age) else { return Vec::new() };
    let mut good_kept = 0;
    let mut removable = Vec::new();
    for candidate in newest_first {
        let needed = candidate.good && good_kept < policy.minimum_backups.max(1);
        if needed || candidate.time > horizon {
            good_kept += u32::from(candidate.good);
        } else {
            removable.push(candidate.id.clone());
        }
    }
    removable.reverse();
    removable
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::TimeSpan;
    use larder_model::task::RetentionPolicy;

    const DAY: i64 = 86_400;

    fn now() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    fn backup(age_days: i64, good: bool) -> Candidate {
        let time = now() - SignedDuration::from_secs(age_days * DAY);
        Candidate { id: BackupId(format!("{age_days:04}")), time, good }
    }

    fn policy(days: u64, minimum_backups: u32) -> Policy {
        Policy { minimum_age: Duration::from_secs(days * 86_400), minimum_backups }
    }

    fn removed(candidates: &[Candidate], policy: &Policy) -> Vec<String> {
        removable(candidates, policy, now()).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn what_is_older_than_the_age_goes_but_for_the_minimum() {
        let daily: Vec<_> = (0..10).map(|age| backup(age, true)).collect();
        assert_eq!(removed(&daily, &policy(7, 3)), ["0009", "0008", "0007"]);
        assert_eq!(removed(&daily, &policy(1, 3)), ["0009", "0008", "0007", "0006", "0005", "0004", "0003"]);
        assert_eq!(removed(&daily, &policy(1, 30)), [""; 0]);
    }

    #[test]
    fn only_good_backups_count_for_the_minimum() {
        let mixed = [backup(0, true), backup(8, false), backup(9, true), backup(10, false), backup(11, true)];
        assert_eq!(removed(&mixed, &policy(7, 3)), ["0010", "0008"]);
    }

    #[test]
    fn nothing_goes_while_the_newest_backup_is_not_good() {
        let failing: Vec<_> = (0..20).map(|age| backup(age, age > 0)).collect();
        assert_eq!(removed(&failing, &policy(1, 1)), [""; 0]);
        assert_eq!(removed(&[], &policy(1, 1)), [""; 0]);
    }

    #[test]
    fn a_backup_from_the_future_is_kept() {
        let skewed = [backup(-3, true), backup(0, true), backup(5, true)];
        assert_eq!(removed(&skewed, &policy(1, 1)), ["0005"]);
    }

    #[test]
    fn a_task_without_an_age_keeps_everything() {
        let age = |disabled, age| PeriodicBackupConfiguration {
            retention_policy: Some(RetentionPolicy {
                disabled,
                minimum_backup_age_to_keep: age,
                ..RetentionPolicy::default()
            }),
            ..PeriodicBackupConfiguration::default()
        };
        assert_eq!(Policy::of(&PeriodicBackupConfiguration::default()), None);
        assert_eq!(Policy::of(&age(false, None)), None);
        assert_eq!(Policy::of(&age(true, Some(TimeSpan::from_days(7)))), None);
        assert_eq!(Policy::of(&age(false, Some(TimeSpan::from_days(7)))), Some(policy(7, 3)));
    }

    /// The rule once more, in the plainest words: used to judge the decision over random histories.
    fn kept_by_the_rule(all: &[Candidate], one: &Candidate, policy: &Policy) -> bool {
        let newer = |other: &&Candidate| (other.time, &other.id) > (one.time, &one.id);
        let newest_is_good = all.iter().max_by_key(|c| (c.time, &c.id)).is_some_and(|c| c.good);
        let young = now().duration_since(one.time) < SignedDuration::try_from(policy.minimum_age).unwrap();
        let better = all.iter().filter(newer).filter(|c| c.good).count();
        !newest_is_good || young || (one.good && better < policy.minimum_backups as usize)
    }

    #[test]
    fn over_random_histories_it_equals_the_rule_and_never_goes_below_the_minimum() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..20_000 {
            let candidates: Vec<Candidate> = (0..random(20))
                .map(|number| {
                    let time = now() - SignedDuration::from_hours(random(24 * 30).cast_signed() - 24);
                    Candidate { id: BackupId(format!("{number}")), time, good: random(4) > 0 }
                })
                .collect();
            let policy = policy(1 + random(20), 1 + u32::try_from(random(5)).unwrap());
            let gone = removable(&candidates, &policy, now());
            for candidate in &candidates {
                let kept = kept_by_the_rule(&candidates, candidate, &policy);
                assert_eq!(
                    !gone.contains(&candidate.id),
                    kept,
                    "{candidate:?} of {candidates:?} by {policy:?}"
                );
            }
            let good = candidates.iter().filter(|c| c.good).count();
            let left = candidates.iter().filter(|c| c.good && !gone.contains(&c.id)).count();
            assert!(left >= good.min(policy.minimum_backups as usize));
        }
    }
}
