//! Which moments a backup can bring back, and from which of its copies.

use super::failed;
use super::lsn::Lsn;
use super::position::{Base, ServerPosition};
use crate::engine::{BackupReport, RestorePointInTime};
use crate::error::EngineError;
use jiff::Timestamp;

/// Where the replay of the log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last piece.
    All,
    /// With the last change that was committed at this moment or before.
    Time(Timestamp),
    /// With the record at this place.
    Place(Lsn),
    /// At the place with this name.
    Name(String),
}

impl End {
    /// Returns the settings that make a server end there.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let target = match self {
            Self::All => return Vec::new(),
            // Microseconds are as fine as servers' clocks go; a server that begins knows no names of zones, not even Z.
            Self::Time(moment) => {
                ("recovery_target_time", moment.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string())
            }
            Self::Place(place) => ("recovery_target_lsn", place.to_string()),
            Self::Name(name) => ("recovery_target_name", name.clone()),
        };
        vec![target, ("recovery_target_action", "promote".to_owned())]
    }
}

/// Says from when to when a backup brings back any moment; `None` where it is no whole server's, or has only its own moment.
pub(in crate::postgresql) fn recoverable(report: &BackupReport) -> Option<(Timestamp, Timestamp)> {
    let position = ServerPosition::from_text(report.position.as_deref()?)?;
    let first = position.bases.first().filter(|first| first.stopped <= position.known_until)?;
    let at = |microseconds| Timestamp::from_microsecond(microseconds).ok();
    at(first.stopped).zip(at(position.known_until))
}

/// Finds the copy to begin with and where to end; refuses what the backup does not hold, and says what it does.
pub(super) fn choose<'a>(
    position: &'a ServerPosition,
    until: Option<&RestorePointInTime>,
) -> Result<(&'a Base, End), EngineError> {
    let newest = |fits: &dyn Fn(&Base) -> bool| position.bases.iter().rev().find(|base| fits(base));
    let found = match until {
        None => newest(&|_| true).map(|base| (base, End::All)),
        Some(RestorePointInTime::Time(moment)) => {
            let wanted = moment.as_microsecond();
            let base = newest(&|base| base.stopped <= wanted).filter(|_| wanted <= position.known_until);
            base.map(|base| (base, End::Time(*moment)))
        }
        Some(RestorePointInTime::Position(text)) => match text.parse::<Lsn>() {
            Ok(place) => {
                let base = newest(&|base| base.stop <= place).filter(|_| place <= position.end);
                base.map(|base| (base, End::Place(place)))
            }
            // Who has only one way to say a place says a name in it, too.
            Err(()) => point(position, text),
        },
        Some(RestorePointInTime::Name(name)) => point(position, name),
    };
    found.ok_or_else(|| {
        let wanted = match until {
            Some(RestorePointInTime::Time(moment)) => format!("the moment {moment} is"),
            Some(RestorePointInTime::Position(text)) if text.parse::<Lsn>().is_ok() => {
                format!("the place {text} is")
            }
            Some(RestorePointInTime::Position(name) | RestorePointInTime::Name(name)) => {
                format!("a restore point called '{name}' is")
            }
            None => "a copy of the files is".to_owned(),
        };
        refused(format!("{wanted} not in this backup"), position)
    })
}

/// Finds the copy to begin with for a place with a name. Of several with the same name a server ends at the first that it
/// comes to.
fn point<'a>(position: &'a ServerPosition, name: &str) -> Option<(&'a Base, End)> {
    let mut points = position.restore_points.iter().filter(|point| point.name == name);
    let first = position.bases.first()?.stop;
    let point = points.find(|point| point.at >= first)?;
    let base = position.bases.iter().rev().find(|base| base.stop <= point.at)?;
    Some((base, End::Name(name.to_owned())))
}

fn refused(cause: String, position: &ServerPosition) -> EngineError {
    failed(
        "restoring a whole server to a moment",
        format!("{cause}: it holds {}", held(position)),
        "name a moment within it, or another backup",
    )
}

/// Says what can be asked for.
pub(super) fn held(position: &ServerPosition) -> String {
    let Some(first) = position.bases.first() else { return "nothing".to_owned() };
    let moment =
        |time: i64| Timestamp::from_microsecond(time).map_or_else(|_| time.to_string(), |at| at.to_string());
    // What lies before the first copy was whole is of no use.
    let points = position.restore_points.iter().filter(|point| point.at >= first.stop);
    let mut names: Vec<String> = points.map(|point| format!("'{}'", point.name)).collect();
    names.dedup();
    let names = match names.is_empty() {
        true => String::new(),
        false => format!(", and the restore points {}", names.join(", ")),
    };
    // A copy that the server sent is whole only after the last moment of which its log knows everything.
    let moments = match first.stopped <= position.known_until {
        true => format!("the moments from {} to {}", moment(first.stopped), moment(position.known_until)),
        false => "no moment but its own".to_owned(),
    };
    format!("{moments}, the places from {} to {}{names}", first.stop, position.end)
}

#[cfg(test)]
mod tests {
    use super::super::position::RestorePoint;
    use super::*;

    fn position() -> ServerPosition {
        let base = |name: &str, stop: u64, stopped: i64| Base {
            name: name.to_owned(),
            stop: Lsn(stop),
            stopped: stopped * 1_000_000,
            ..Base::default()
        };
        let point = |name: &str, at: u64| RestorePoint { name: name.to_owned(), at: Lsn(at), time: 0 };
        ServerPosition {
            bases: vec![base("a", 100, 1_000), base("b", 200, 2_000), base("c", 300, 3_000)],
            end: Lsn(300),
            known_until: 2_999_500_000,
            restore_points: vec![point("early", 50), point("mid", 150), point("late", 250)],
            ..ServerPosition::default()
        }
    }

    #[test]
    fn every_moment_between_the_first_copy_and_the_end_of_the_log_comes_back() {
        let says = |position: ServerPosition| {
            recoverable(&BackupReport { position: Some(position.to_text()), ..BackupReport::default() })
        };
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        let whole = ServerPosition { segment_bytes: 16 << 20, ..position() };
        let known = (moment("1970-01-01T00:16:40Z"), moment("1970-01-01T00:49:59.5Z"));
        assert_eq!(says(whole.clone()), Some(known));
        assert_eq!(says(ServerPosition { known_until: 999_000_000, ..whole }), None);
    }

    #[test]
    fn a_moment_is_written_as_a_server_reads_it_that_knows_no_zones() {
        let moment = "2026-11-21T20:36:06.5Z".parse().unwrap();
        let (name, text) = End::Time(moment).settings().remove(0);
        assert_eq!((name, text.as_str()), ("recovery_target_time", "2026-11-21 20:36:06.500000+00"));
    }

    #[test]
    fn the_newest_copy_before_the_moment_is_where_it_begins() {
        let position = position();
        let begins = |until: Option<RestorePointInTime>| {
            choose(&position, until.as_ref()).ok().map(|(base, _)| base.name.clone())
        };
        let time = |second| Some(RestorePointInTime::Time(Timestamp::from_second(second).unwrap()));
        let place = |text: &str| Some(RestorePointInTime::Position(text.to_owned()));
        let name = |text: &str| Some(RestorePointInTime::Name(text.to_owned()));
        assert_eq!(begins(None).as_deref(), Some("c"));
        assert_eq!(begins(time(1_000)).as_deref(), Some("a"));
        assert_eq!(begins(time(1_999)).as_deref(), Some("a"));
        assert_eq!(begins(time(2_999)).as_deref(), Some("b"));
        assert_eq!(begins(time(3_000)), None);
        assert_eq!(begins(time(999)), None);
        assert_eq!(begins(place("0/C8")).as_deref(), Some("b"));
        assert_eq!(begins(place("0/12C")).as_deref(), Some("c"));
        for text in ["0/12D", "0/63", "x"] {
            assert_eq!(begins(place(text)), None, "{text}");
        }
        assert_eq!(begins(name("mid")).as_deref(), Some("a"));
        assert_eq!(begins(name("late")).as_deref(), Some("b"));
        assert_eq!(begins(name("early")), None, "before the first copy was whole");
        assert_eq!(begins(name("none")), None);
        assert_eq!(begins(place("late")).as_deref(), Some("b"), "a name in the place of a place");
        let told = choose(&position, name("none").as_ref()).unwrap_err().to_string();
        assert!(told.contains("1970-01-01T00:16:40Z to 1970-01-01T00:49:59.5Z"), "{told}");
        assert!(told.contains("0/64 to 0/12C") && told.contains("'mid', 'late'"), "{told}");
    }
}
