//! What the server does by itself for repositories that lie still: a part of each is read every day, so that everything is
//! read within the days that the administrator names, and what a prune retired goes when its grace period is over.
//!
//! What comes next lies in the state, one record a repository, so that a restart goes on where the last server stopped.

mod record;
mod rota;
mod shown;
mod told;

pub(crate) use record::Upkeep;
pub(crate) use rota::Rota;
pub use shown::{ReadRound, UpkeepView};
pub(crate) use told::decisions;

use crate::core::Core;
use crate::destination::{self, Destination};
use crate::dispatch::NewOperation;
use crate::error::ServiceError;
use crate::job::{Done, Job, Verdict};
use crate::queue::Lane;
use crate::record::{StoredPlace, put, upkeep as key_of};
use crate::request::CheckDepth;
use jiff::{SignedDuration, Timestamp};
use larder_model::{Database, OperationKind};
use larder_repository::CheckPart;
use larder_state::{State, Write};
use record::after;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long after an attempt that could not be made the next one comes.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// How long after an abort, for whoever aborts does not want it back at once, and after a prune that failed.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Why an operation that was canceled was, as far as upkeep cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The server stops.
    ByServer,
    /// Somebody aborted it.
    ByPerson,
}

impl Core {
    /// Reads what is remembered, begins with what is new, and returns what is to be stored of that.
    pub(crate) async fn load_upkeep(&self, state: &dyn State) -> Result<Vec<Write>, ServiceError> {
        let stored = crate::record::all::<Upkeep>(state, crate::record::UPKEEP).await?;
        let mut known: BTreeMap<StoredPlace, Upkeep> =
            stored.into_iter().map(|(_, upkeep)| (upkeep.place.clone(), upkeep)).collect();
        let parts = self.settings.check_days.map(std::num::NonZero::get);
        let now = self.now();
        let mut writes = Vec::new();
        let places: Vec<StoredPlace> = {
            let catalog = self.catalog();
            let of = |(database, roots): (&_, &std::collections::BTreeSet<String>)| {
                let place =
                    |root: &String| StoredPlace { database: Clone::clone(database), root: root.clone() };
                roots.iter().map(place).collect::<Vec<_>>()
            };
            catalog.places.iter().flat_map(of).collect()
        };
        let mut board = self.board();
        for place in places {
            let upkeep = match (known.remove(&place), parts) {
                (Some(mut upkeep), parts) => {
                    parts.into_iter().for_each(|parts| upkeep.settle_parts(parts));
                    upkeep
                }
                (None, Some(parts)) => {
                    let upkeep = Upkeep::begin(place, parts, now);
                    writes.push(put(key_of(&upkeep.place), &upkeep)?);
                    upkeep
                }
                (None, None) => continue,
            };
            board.rota.set(upkeep);
        }
        writes.extend(known.keys().map(|place| Write::Delete(key_of(place))));
        Ok(writes)
    }

    /// Makes the operations for all upkeep that is due now.
    pub(crate) fn due_upkeep(&self, now: Timestamp) -> Vec<(StoredPlace, NewOperation)> {
        let catalog = self.catalog();
        let mut board = self.board();
        let mut wanted = Vec::new();
        for mut upkeep in board.rota.take_due(now) {
            let database = catalog.databases.get(&upkeep.place.database).cloned();
            let found = database.and_then(|database| {
                let all = destination::named(&catalog.spots_of(&database));
                let its = all.into_iter().find(|one| one.spot.address == upkeep.place.root)?;
                Some((database, its))
            });
            let Some((database, destination)) = found else {
                // Forgotten for now; its backups are found again with the database.
                board.rota.put_back(&upkeep.place, after(now, A_DAY));
                continue;
            };
            if let Some(days) = self.settings.check_days {
                upkeep.settle_parts(days.get());
            }
            match operation(&upkeep, database, destination, now) {
                Some(new) => wanted.push((upkeep.place, new)),
                None => board.rota.put_back(&upkeep.place, after(now, A_DAY)),
            }
        }
        wanted
    }

    /// Returns what is to be remembered of upkeep after an operation has ended.
    pub(crate) fn upkeep_after(
        &self,
        job: &Job,
        done: &Done,
        now: Timestamp,
        stopped: Stopped,
    ) -> Vec<Upkeep> {
        let parts = self.settings.check_days.map(std::num::NonZero::get);
        let board = self.board();
        let known = |place: &StoredPlace| board.rota.get(place).cloned();
        let place =
            |address: &String| StoredPlace { database: job.database().clone(), root: address.clone() };
        let mut changed: BTreeMap<StoredPlace, Upkeep> = BTreeMap::new();
        let mut add = |upkeep: Upkeep| drop(changed.insert(upkeep.place.clone(), upkeep));
        if let Some(parts) = parts {
            let written = done.spots.iter().map(|spot| place(&spot.address));
            written.filter(|place| known(place).is_none()).for_each(|place| {
                add(Upkeep::begin(place, parts, now));
            });
        }
        for retired in done.retired.iter().map(place) {
            let mut upkeep =
                known(&retired).unwrap_or_else(|| Upkeep::begin(retired, parts.unwrap_or(1), now));
            let grace = SignedDuration::try_from(self.settings.prune_grace).unwrap_or(SignedDuration::MAX);
            upkeep.prune_due = Some(after(now, grace));
            add(upkeep);
        }
        for mended in done.mended.iter().map(place) {
            if let Some(mut upkeep) = known(&mended).filter(|upkeep| upkeep.damage.is_some()) {
                upkeep.damage = None;
                add(upkeep);
            }
        }
        match job {
            Job::Check { upkeep: Some(place), .. } => {
                if let Some(mut upkeep) = known(place) {
                    parts.into_iter().for_each(|parts| upkeep.settle_parts(parts));
                    match &done.verdict {
                        Verdict::Canceled if stopped == Stopped::ByServer => {}
                        Verdict::Canceled => upkeep.due = after(now, A_DAY),
                        Verdict::Completed => upkeep.read(now, None),
                        Verdict::Faulted(wrong) if done.judged => upkeep.read(now, Some(wrong.clone())),
                        // It could not be made, which says nothing of what lies there.
                        Verdict::Faulted(_) => upkeep.due = after(now, AGAIN),
                    }
                    add(upkeep);
                }
            }
            Job::Prune { upkeep: Some(place), .. } => {
                if let Some(mut upkeep) = known(place).filter(|_| !done.retired.contains(&place.root)) {
                    upkeep.prune_due = match &done.verdict {
                        Verdict::Canceled if stopped == Stopped::ByServer => upkeep.prune_due,
                        Verdict::Completed => None,
                        // What only takes space can wait.
                        Verdict::Canceled | Verdict::Faulted(_) => Some(after(now, A_DAY)),
                    };
                    add(upkeep);
                }
            }
            _ => {}
        }
        changed.into_values().collect()
    }

    /// Shows the upkeep of a database's repositories.
    pub(crate) fn show_upkeep(&self, database: &Database, destinations: &[Destination]) -> Vec<UpkeepView> {
        let reads = self.settings.check_days.is_some();
        let board = self.board();
        let view = |destination: &Destination| {
            let root = destination.spot.address.clone();
            let known = board.rota.get(&StoredPlace { database: database.name.clone(), root });
            let round = known.filter(|_| reads).map(|upkeep| ReadRound {
                parts: upkeep.parts,
                next_part: upkeep.next_part,
                due: upkeep.due,
                round_began: upkeep.round_began,
                round_ended: upkeep.round_ended,
                last_read: upkeep.last_read,
            });
            UpkeepView {
                destination: destination.view(&database.name),
                round,
                damage: known.and_then(|upkeep| upkeep.damage.as_ref()).map(|damage| damage.sentence.clone()),
                prune_due: known.and_then(|upkeep| upkeep.prune_due),
            }
        };
        destinations.iter().map(view).collect()
    }
}

/// Makes the operation for upkeep that is due.
fn operation(
    upkeep: &Upkeep,
    database: Arc<Database>,
    destination: Destination,
    now: Timestamp,
) -> Option<NewOperation> {
    let (destinations, place) = (vec![destination], Some(upkeep.place.clone()));
    let prune_due = upkeep.prune_due.filter(|due| *due <= now);
    let (kind, due, job) = match prune_due {
        Some(due) => {
            let job =
                Job::Prune { database: Arc::clone(&database), destinations, dry_run: false, upkeep: place };
            (OperationKind::Prune, due, job)
        }
        None => {
            let part = Some(CheckPart::new(upkeep.next_part, upkeep.parts)?);
            let depth = CheckDepth { read_data: true, part };
            let job = Job::Check { database: Arc::clone(&database), destinations, depth, upkeep: place };
            (OperationKind::Check, upkeep.due, job)
        }
    };
    Some(NewOperation { kind, backup_kind: None, database, task: None, due, lane: Some(Lane::Proof), job })
}
