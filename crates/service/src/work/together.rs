//! Several destinations at the same time: looked at, and made ready, so that none waits for another.

use crate::error::ServiceError;
use crate::spot::Spot;
use crate::work::vault::{Found, Look, Vault};
use crate::work::{Place, Site};
use larder_model::{Cancel, Database};
use larder_repository::Repository;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long, once one destination is open, another one is waited for that has answered something by then, or is a directory:
/// its disk may have to start.
const ALIVE: Duration = Duration::from_secs(20);
/// One that has said nothing yet.
const SILENT: Duration = Duration::from_secs(5);
/// One whose first attempt failed, or that did not answer when it was last asked either. After the second failure it is not
/// waited for at all.
const DOUBTFUL: Duration = Duration::from_secs(1);
/// How often it is looked whether to wait on.
const LOOK: Duration = Duration::from_millis(20);

/// A destination that is being looked at.
struct Asked {
    spot: Arc<Spot>,
    answers: Arc<AtomicBool>,
    /// How many attempts in a row it had not answered before.
    unanswered: u32,
}

impl Asked {
    /// Says how long it is waited for once another one is open.
    fn patience(&self, site: &Site) -> Duration {
        let (unanswered, _) = site.connections.unanswered(&self.spot);
        if self.answers.load(Ordering::Relaxed) || unanswered < self.unanswered {
            return ALIVE;
        }
        match (self.unanswered, unanswered - self.unanswered) {
            (0, 0) if self.spot.directory().is_some() => ALIVE,
            (0, 0) => SILENT,
            (0, 1) | (_, 0) => DOUBTFUL,
            _ => Duration::ZERO,
        }
    }

    /// Says why it is left out.
    fn given_up(&self, site: &Site, waited: Duration) -> ServiceError {
        let (unanswered, cause) = site.connections.unanswered(&self.spot);
        let told = match unanswered {
            0 => format!("it gave no answer within {} s after another one had", waited.as_secs_f64().ceil()),
            _ => format!("it does not answer ({cause})"),
        };
        ServiceError::conflict(format!(
            "{told}, so this run goes on without it; what it lacks is brought from another one after a later run"
        ))
    }
}

/// Looks at every destination at the same time. Once one is open, one that does not answer is soon left out, so that one that
/// is down holds up no other; as long as none is, all are waited for. A place that is not known says why in its own words.
pub(crate) fn look_at(
    site: &Site,
    database: &Arc<Database>,
    places: &[Result<Place, String>],
    cancel: &Cancel,
) -> Vec<Result<Look, ServiceError>> {
    let (sender, receiver) = mpsc::channel();
    let mut looks: Vec<Result<Option<Look>, ServiceError>> = Vec::new();
    let mut waiting: Vec<(usize, Asked)> = Vec::new();
    for (number, place) in places.iter().enumerate() {
        looks.push(place.as_ref().map(|_| None).map_err(|cause| ServiceError::conflict(cause.clone())));
        let Ok(place) = place else { continue };
        let spot = Arc::clone(&place.destination.spot);
        let (unanswered, _) = site.connections.unanswered(&spot);
        let answers = Arc::new(AtomicBool::new(false));
        waiting.push((number, Asked { spot, answers: Arc::clone(&answers), unanswered }));
        let (site, database, place) = (site.clone(), Arc::clone(database), place.clone());
        let sender = sender.clone();
        // Not waited for where it hangs; it changes nothing there.
        std::thread::spawn(move || {
            // Nobody may listen any more.
            let _ = sender.send((number, site.look(&place, &database, &answers)));
        });
    }
    drop(sender);
    let mut opened: Option<Instant> = None;
    while !waiting.is_empty() {
        match receiver.recv_timeout(LOOK) {
            Ok((number, look)) => {
                if look.is_ok() {
                    opened.get_or_insert_with(Instant::now);
                }
                if let Some(at) = waiting.iter().position(|(other, _)| *other == number) {
                    waiting.swap_remove(at);
                    looks[number] = look.map(Some);
                }
                continue;
            }
            Err(RecvTimeoutError::Timeout) if !cancel.is_canceled() => {}
            Err(_) => break,
        }
        let Some(waited) = opened.map(|opened| opened.elapsed()) else { continue };
        waiting.retain(|(number, asked)| {
            let goes_on = waited < asked.patience(site);
            if !goes_on {
                looks[*number] = Err(asked.given_up(site, waited));
            }
            goes_on
        });
    }
    let unseen = || {
        ServiceError::conflict(match cancel.is_canceled() {
            true => "it was not waited for, because the run was aborted",
            false => "looking at it ended by a fault of the program; please report it",
        })
    };
    looks.into_iter().map(|look| look?.ok_or_else(unseen)).collect()
}

/// What becomes of a destination that was looked at: its repository and what lay in it, or why it takes no part.
pub(crate) type Settled = Result<(Vault, Vec<Found>), String>;

/// Makes every repository that a look did not find; all share one master key, so that each byte is encrypted once. What is
/// worth telling goes to `messages`.
pub(crate) fn settle_all(
    site: &Site,
    database: &Database,
    places: &[Result<Place, String>],
    looks: Vec<Result<Look, ServiceError>>,
    messages: &mut Vec<String>,
) -> Vec<Settled> {
    // What is made anew shares the key of what is there already, wherever in the list that is.
    let mut first = looks.iter().flatten().find_map(|look| look.repository.clone());
    let mut settled: Vec<Settled> = Vec::new();
    let mut waiting = VecDeque::new();
    for (number, (place, look)) in places.iter().zip(looks).enumerate() {
        settled.push(Err(String::new()));
        match (place, look) {
            (Err(cause), _) => settled[number] = Err(cause.clone()),
            (_, Err(error)) => settled[number] = Err(error.to_string()),
            (Ok(place), Ok(look)) => waiting.push_back((number, place, look)),
        }
    }
    let settle = |place: &Place, look: Look, first: Option<&Repository>| {
        let mut told = Vec::new();
        let made = site.settle(place, database, look, first, &mut told).map_err(|error| error.to_string());
        (made, told)
    };
    // The first one makes the key, the others follow together.
    while first.is_none()
        && let Some((number, place, look)) = waiting.pop_front()
    {
        let (made, told) = settle(place, look, None);
        first = made.as_ref().ok().map(|(vault, _)| vault.repository.clone());
        messages.extend(told);
        settled[number] = made;
    }
    let first = first.as_ref();
    std::thread::scope(|scope| {
        let going = waiting.into_iter().map(|(number, place, look)| {
            let settle = &settle;
            (number, scope.spawn(move || settle(place, look, first)))
        });
        for (number, going) in going.collect::<Vec<_>>() {
            let broken = |_| (Err("opening it ended by a fault of the program".to_owned()), Vec::new());
            let (made, told) = going.join().unwrap_or_else(broken);
            messages.extend(told);
            settled[number] = made;
        }
    });
    settled
}
