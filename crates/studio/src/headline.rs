//! The one line that says how everything stands.

use larder_model::human::{count, relative};
use larder_service::{Health, Overview};

/// How everything stands, in one word and two sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The word that decides shape and hue.
    pub health: Health,
    /// The first sentence: what matters most.
    pub text: String,
    /// What a person may want to know next; empty where there is nothing to say.
    pub detail: String,
}

/// Says in words how everything stands; what is worst comes first.
#[must_use]
pub fn headline(overview: &Overview) -> Headline {
    let number = |wanted: Health| {
        overview
            .databases
            .iter()
            .filter(|(health, _)| *health == wanted)
            .map(|(_, count)| *count)
            .sum::<usize>()
    };
    let all: usize = overview.databases.iter().map(|(_, count)| *count).sum();
    let (health, text) = if all == 0 {
        (Health::Waiting, "Nothing is backed up yet.".to_owned())
    } else if number(Health::Failed) > 0 {
        (
            Health::Failed,
            say(number(Health::Failed), all, "failed its last backup", "failed their last backup"),
        )
    } else if number(Health::Late) > 0 {
        (Health::Late, say(number(Health::Late), all, "is late", "are late"))
    } else if !overview.source_errors.is_empty() {
        let sources = count(overview.source_errors.len(), "source");
        (Health::Failed, format!("{sources} could not be searched for databases."))
    } else if number(Health::Missing) > 0 {
        (Health::Missing, say(number(Health::Missing), all, "is no longer found", "are no longer found"))
    } else if number(Health::Unprotected) > 0 {
        (Health::Unprotected, say(number(Health::Unprotected), all, "is not backed up", "are not backed up"))
    } else if number(Health::Waiting) > 0 {
        (
            Health::Waiting,
            say(number(Health::Waiting), all, "waits for its first backup", "wait for their first backup"),
        )
    } else if number(Health::Running) > 0 {
        (Health::Running, say(number(Health::Running), all, "is being backed up", "are being backed up"))
    } else if number(Health::Verified) == all {
        (
            Health::Verified,
            say(
                all,
                all,
                "has a backup that was restored and compared",
                "have a backup that was restored and compared",
            ),
        )
    } else {
        (Health::Good, say(all, all, "has a good backup", "have a good backup"))
    };
    Headline { health, text, detail: detail(overview, all) }
}

fn say(some: usize, all: usize, one: &str, many: &str) -> String {
    match (some, all) {
        (1, 1) => format!("The one database {one}."),
        (1, _) => format!("1 of {all} databases {one}."),
        (some, all) if some == all => format!("All {all} databases {many}."),
        _ => format!("{some} of {all} databases {many}."),
    }
}

fn detail(overview: &Overview, all: usize) -> String {
    let mut sentences = Vec::new();
    if all == 0 {
        sentences.push("Name a directory or a database with: larder source add PATH".to_owned());
    }
    if let Some((name, time)) = &overview.oldest_good_backup {
        let ago = relative(*time, overview.now);
        sentences.push(if all == 1 {
            format!("Its last good backup: {ago}.")
        } else {
            format!("The oldest last good backup is that of {name}: {ago}.")
        });
    }
    if let Some(run) = &overview.next_run {
        let when = relative(run.time, overview.now);
        sentences.push(format!("Next: {} ({}), {when}.", run.database, run.kind));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(databases: &[(Health, usize)]) -> Overview {
        Overview {
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            databases: databases.to_vec(),
            oldest_good_backup: None,
            running: Vec::new(),
            next_run: None,
            source_errors: Vec::new(),
        }
    }

    #[test]
    fn the_worst_is_said_first() {
        let mixed =
            overview(&[(Health::Verified, 5), (Health::Late, 2), (Health::Failed, 1), (Health::Running, 1)]);
        assert_eq!(headline(&mixed).health, Health::Failed);
        assert_eq!(headline(&mixed).text, "1 of 9 databases failed its last backup.");
        let late = overview(&[(Health::Good, 5), (Health::Late, 2), (Health::Running, 1)]);
        assert_eq!(headline(&late).text, "2 of 8 databases are late.");
    }

    #[test]
    fn all_is_well_only_when_all_is() {
        assert_eq!(headline(&overview(&[(Health::Verified, 3)])).health, Health::Verified);
        assert_eq!(headline(&overview(&[(Health::Verified, 3), (Health::Good, 1)])).health, Health::Good);
        assert_eq!(
            headline(&overview(&[(Health::Good, 3), (Health::Unprotected, 1)])).health,
            Health::Unprotected
        );
        let mut unsearched = overview(&[(Health::Verified, 3)]);
        unsearched.source_errors.push(("shop".parse().unwrap(), "it is gone".to_owned()));
        assert_eq!(headline(&unsearched).health, Health::Failed);
    }

    #[test]
    fn an_empty_server_says_how_to_begin() {
        let empty = headline(&overview(&[]));
        assert_eq!(empty.text, "Nothing is backed up yet.");
        assert!(empty.detail.contains("larder source add"), "{}", empty.detail);
    }

    #[test]
    fn the_oldest_good_backup_is_named_with_its_age() {
        let mut two = overview(&[(Health::Good, 2)]);
        two.oldest_good_backup = Some(("shop".parse().unwrap(), "2026-03-01T09:00:00Z".parse().unwrap()));
        assert_eq!(headline(&two).detail, "The oldest last good backup is that of shop: 3 h ago.");
    }
}
