//! Whether repositories hold what they must.

use crate::job::{Done, Verdict};
use crate::request::CheckDepth;
use crate::work::{Order, Place};
use larder_model::operation::DestinationOutcome;
use larder_model::{Database, human};
use larder_repository::{CheckOptions, CheckReport, Problem};
use std::sync::Arc;

/// How many problems are named in one sentence.
const NAMED: usize = 3;

/// How many lost files of one problem are named.
const NAMED_LOST: usize = 20;

/// Repositories to be checked.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) database: Arc<Database>,
    pub(crate) places: Vec<Place>,
    pub(crate) depth: CheckDepth,
}

impl Check {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let mut done = Done::default();
        let mut problems = Vec::new();
        done.judged = true;
        for place in &self.places {
            let report = self.check(order, place);
            if order.live.cancel.is_canceled() {
                return Done::default();
            }
            let destination = place.destination.name.clone();
            let error = match report {
                Ok(report) => {
                    let found: Vec<String> = report.problems.iter().map(told).collect();
                    for (problem, found) in report.problems.iter().zip(&found) {
                        done.messages.push(found.clone());
                        done.messages.extend(lost(problem));
                    }
                    if found.is_empty() {
                        done.messages.push(format!("{destination}: {}", self.looked_at(&report)));
                    }
                    let count = human::count(found.len(), "problem");
                    let named = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
                    (!found.is_empty()).then(|| format!("{count}, the first: {named}"))
                }
                Err(error) => {
                    done.judged = false;
                    Some(error)
                }
            };
            problems.extend(error.iter().map(|error| format!("{destination}: {error}")));
            done.destinations.push(DestinationOutcome {
                destination,
                error,
                ..DestinationOutcome::default()
            });
        }
        let how = if done.judged { "found damage" } else { "could not be made everywhere, or found damage" };
        done.verdict = if problems.is_empty() {
            Verdict::Completed
        } else {
            Verdict::Faulted(format!("the check of {} {how}: {}", self.database.name, problems.join("; ")))
        };
        done
    }

    fn check(&self, order: &Order, place: &Place) -> Result<CheckReport, String> {
        let vault = order.site.open(place, &self.database).map_err(|error| error.to_string())?;
        let CheckDepth { read_data, part } = self.depth;
        let options = CheckOptions { read_data, part, ..CheckOptions::default() };
        let report = vault.repository.check(&options, &order.live.cancel, &order.live.counters);
        report.map_err(|error| error.to_string())
    }

    /// Says what was looked at where nothing is wrong.
    fn looked_at(&self, report: &CheckReport) -> String {
        let backups = human::count(usize::try_from(report.snapshots).unwrap_or(usize::MAX), "backup");
        let mut text = format!("{backups} and {} packs are all there", report.packs);
        if self.depth.read_data {
            let part = self.depth.part.map_or_else(String::new, |part| format!(" (part {part})"));
            let bytes = human::size(report.verified_bytes);
            text.push_str(&format!("; {} packs{part} were read, {bytes}", report.read_packs));
        }
        if report.cold_packs > 0 {
            text.push_str(&format!("; {} packs lie in a cold class and were not read", report.cold_packs));
        }
        text
    }
}

/// Says a problem in one sentence: the object, what is wrong, what is lost, what to do.
fn told(problem: &Problem) -> String {
    let lost = match problem.lost_count {
        0 => String::new(),
        1 => "; 1 file or directory cannot be restored".to_owned(),
        count => format!("; {count} files and directories cannot be restored"),
    };
    format!("{}: {}{lost}; {}", problem.object, problem.cause, problem.remedy)
}

/// Names the files that are lost with a problem.
fn lost(problem: &Problem) -> impl Iterator<Item = String> {
    let named = problem.lost.iter().take(NAMED_LOST);
    let more = problem.lost_count.saturating_sub(NAMED_LOST as u64);
    let more = (more > 0).then(|| format!("… and {more} more lost with {}", problem.object));
    named.map(|loss| format!("lost of backup {}: {}", loss.snapshot.short(), loss.path)).chain(more)
}
