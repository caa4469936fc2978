//! A healing that somebody asks for: every destination of a database's tasks gets what another one of the same task has.

use crate::derivation::same_name;
use crate::destination::{Destination, Target};
use crate::identity::TaskUid;
use crate::job::{Done, Verdict};
use crate::limits::Limits;
use crate::retention::Policy;
use crate::work::heal::{Member, Told, apply};
use crate::work::placing;
use crate::work::together::{look_at, settle_all};
use crate::work::vault::{Found, Vault};
use crate::work::{Known, Order, Place};
use larder_model::operation::DestinationOutcome;
use larder_model::{Database, Secret};
use std::sync::Arc;

/// One task whose destinations are to be made alike.
#[derive(Debug)]
pub(crate) struct OfTask {
    pub(crate) uid: TaskUid,
    pub(crate) name: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) password: Secret,
    /// What would be removed at once is not brought.
    pub(crate) policy: Option<Policy>,
}

/// A healing to be made.
#[derive(Debug)]
pub(crate) struct Mend {
    pub(crate) database: Arc<Database>,
    pub(crate) tasks: Vec<OfTask>,
    pub(crate) known: Known,
    pub(crate) limits: Limits,
    /// The only destination that is to get something; all where nothing is said.
    pub(crate) only: Option<String>,
}

impl Mend {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let mut done = Done::default();
        let mut failed = Vec::new();
        for task in &self.tasks {
            self.mend(order, task, &mut done, &mut failed);
            if order.live.cancel.is_canceled() {
                return Done { verdict: Verdict::Canceled, ..done };
            }
        }
        failed.dedup();
        if done.messages.is_empty() {
            done.messages.push("every destination has what it should have; nothing was brought".to_owned());
        }
        done.verdict = match failed.is_empty() {
            true => Verdict::Completed,
            false => Verdict::Faulted(format!(
                "the healing of {} is not complete: {}",
                self.database.name,
                failed.join("; ")
            )),
        };
        done
    }

    fn mend(&self, order: &Order, task: &OfTask, done: &mut Done, failed: &mut Vec<String>) {
        let aims = placing::aims(&task.targets, &self.limits, &order.live.cancel);
        let place = |aim: &placing::Aim| -> Result<Place, String> {
            let destination = Destination { name: aim.name.clone(), spot: aim.spot.clone()? };
            Ok(self.known.place(destination, vec![task.password.clone()]))
        };
        let places: Vec<Result<Place, String>> = aims.iter().map(place).collect();
        let looks = look_at(&order.site, &self.database, &places, &order.live.cancel);
        if order.live.cancel.is_canceled() {
            return;
        }
        if !looks.iter().flatten().any(|look| look.repository.is_some()) {
            match looks.into_iter().find_map(Result::err) {
                Some(error) => failed.push(error.to_string()),
                None => done.messages.push(format!("the task '{}' has made no backup yet", task.name)),
            }
            return;
        }
        let settled = settle_all(&order.site, &self.database, &places, looks, &mut done.messages);
        let mut open: Vec<(Vault, Vec<Found>)> = Vec::new();
        for (aim, settled) in aims.into_iter().zip(settled) {
            let mut outcome = DestinationOutcome {
                destination: aim.name.clone(),
                kind: Some(aim.kind),
                ..DestinationOutcome::default()
            };
            match settled {
                Ok((vault, before)) => {
                    outcome.address = Some(vault.place.destination.view(&self.database.name).address);
                    done.spots.push(Arc::clone(&vault.place.destination.spot));
                    open.push((vault, before));
                }
                Err(error) => {
                    // One that is down matters only where it was to be healed.
                    if self.only.as_deref().is_none_or(|only| same_name(only, &aim.name)) {
                        failed.push(format!("{}: {error}", aim.name));
                    }
                    outcome.error = Some(error);
                }
            }
            done.destinations.push(outcome);
        }
        done.messages.extend(open.iter_mut().filter_map(|(vault, _)| vault.unsigned(&order.site)));
        let members: Vec<Member<'_>> = open.iter().map(|(vault, before)| Member { vault, before }).collect();
        let counters = &order.live.counters;
        let only = self.only.as_deref();
        let mut told = Told { messages: &mut done.messages, failed: Vec::new(), counters, only };
        apply(order, &members, (task.uid, &task.name), task.policy.as_ref(), &mut told);
        failed.extend(told.failed.into_iter().map(|name| format!("{name} still lacks backups")));
    }
}
