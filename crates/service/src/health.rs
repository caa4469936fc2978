//! How a database stands: the word, and the sentence that explains it.

use crate::view::{Health, LastBackup, TaskError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupQuality;

/// How long after its moment a backup is not called late yet.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// What the word depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing<'a> {
    /// Since when discovery no longer finds it.
    pub(crate) missing_since: Option<Timestamp>,
    /// Whether a backup runs now.
    pub(crate) running: bool,
    /// Whether a task that does not rest is for it.
    pub(crate) protected: bool,
    /// The oldest moment at which a run was due and has not begun, or the next one.
    pub(crate) next: Option<Timestamp>,
    /// The error of a task's last run.
    pub(crate) error: Option<&'a TaskError>,
    /// What upkeep found wrong with what is stored, and when.
    pub(crate) damage: Option<(Timestamp, &'a str)>,
    /// The newest good backup.
    pub(crate) last_good: Option<&'a LastBackup>,
}

/// Returns the word and a sentence, whose moments are said in a zone.
pub(crate) fn judge(standing: &Standing<'_>, now: Timestamp, zone: &TimeZone) -> (Health, String) {
    let moment = |time| moment(time, zone);
    let last = match standing.last_good {
        Some(last) => format!("the last good backup is of {}", moment(last.time)),
        None => "there is no good backup of it".to_owned(),
    };
    if let Some(since) = standing.missing_since {
        return (Health::Missing, format!("The source no longer has it, since {}; {last}.", moment(since)));
    }
    if standing.running {
        return (Health::Running, format!("A backup runs now; {last}."));
    }
    if !standing.protected {
        return (Health::Unprotected, format!("No task is for it, so it is not backed up; {last}."));
    }
    if let Some(error) = standing.error {
        let message = error.message.trim_end_matches('.');
        return (Health::Failed, format!("At {}: {message}; {last}.", moment(error.at)));
    }
    if let Some((at, damage)) = standing.damage {
        let damage = damage.trim_end_matches('.');
        return (Health::Failed, format!("At {}: {damage}; {last}; repair the repository.", moment(at)));
    }
    if let Some(due) = standing.next.filter(|due| now.duration_since(*due) > GRACE) {
        return (Health::Late, format!("A backup was due at {} and has not begun; {last}.", moment(due)));
    }
    match standing.last_good {
        None => match standing.next {
            Some(next) => (Health::Waiting, format!("Its first backup comes at {}.", moment(next))),
            None => (Health::Waiting, "Its first backup has not been asked for yet.".to_owned()),
        },
        Some(last) if last.quality == BackupQuality::Suspicious => {
            let sentence =
                format!("The backup of {} differed when it was restored and compared.", moment(last.time));
            (Health::Failed, sentence)
        }
        Some(good) if good.quality == BackupQuality::Verified => {
            (Health::Verified, format!("The backup of {} was restored and compared.", moment(good.time)))
        }
        Some(good) => (Health::Good, format!("The backup of {} is complete.", moment(good.time))),
    }
}

fn moment(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::FailureCause;
    use larder_model::{BackupId, BackupKind};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn good(quality: BackupQuality) -> LastBackup {
        let id = BackupId("ab".to_owned());
        LastBackup { time: at(0), kind: BackupKind::Full, id, quality, operation: 1 }
    }

    fn word(standing: &Standing<'_>) -> Health {
        let (word, sentence) = judge(standing, at(60), &TimeZone::UTC);
        assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{sentence}");
        word
    }

    #[test]
    fn each_word_has_its_cause() {
        let good_backup = good(BackupQuality::Good);
        let verified = good(BackupQuality::Verified);
        let error =
            TaskError { message: "the disk is full.".to_owned(), at: at(50), cause: FailureCause::Other };
        let calm = Standing {
            protected: true,
            next: Some(at(70)),
            last_good: Some(&good_backup),
            ..Standing::default()
        };
        assert_eq!(word(&calm), Health::Good);
        assert_eq!(word(&Standing { last_good: Some(&verified), ..calm.clone() }), Health::Verified);
        assert_eq!(word(&Standing { last_good: None, ..calm.clone() }), Health::Waiting);
        assert_eq!(
            word(&Standing { next: Some(at(55)), ..calm.clone() }),
            Health::Good,
            "within the grace time"
        );
        assert_eq!(word(&Standing { next: Some(at(49)), ..calm.clone() }), Health::Late);
        let suspicious = good(BackupQuality::Suspicious);
        assert_eq!(word(&Standing { last_good: Some(&suspicious), ..calm.clone() }), Health::Failed);
        let failed = Standing { error: Some(&error), ..calm.clone() };
        assert_eq!(word(&failed), Health::Failed);
        let damaged = Standing { damage: Some((at(40), "a pack is gone.")), ..calm.clone() };
        assert_eq!(word(&damaged), Health::Failed);
        assert_eq!(word(&Standing { running: true, ..failed.clone() }), Health::Running);
        assert_eq!(word(&Standing { protected: false, ..calm.clone() }), Health::Unprotected);
        assert_eq!(word(&Standing { missing_since: Some(at(1)), ..failed }), Health::Missing);
    }

    #[test]
    fn a_failure_says_what_is_still_safe() {
        let last = good(BackupQuality::Good);
        let error =
            TaskError { message: "the disk is full.".to_owned(), at: at(50), cause: FailureCause::Other };
        let standing =
            Standing { protected: true, error: Some(&error), last_good: Some(&last), ..Standing::default() };
        let (_, sentence) = judge(&standing, at(60), &TimeZone::get("Europe/Berlin").unwrap());
        assert_eq!(
            sentence,
            "At 2027-01-15 09:50 CET: the disk is full; the last good backup is of 2027-01-15 09:00 CET."
        );
    }
}
