//! Whether repositories hold what they must.

use crate::job::{Done, Verdict};
use crate::work::{Order, Place};
use larder_model::Database;
use larder_model::operation::DestinationOutcome;
use larder_repository::{CheckOptions, Problem};
use std::sync::Arc;

/// How many problems are named.
const NAMED: usize = 3;

/// Repositories to be checked.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) database: Arc<Database>,
    pub(crate) places: Vec<Place>,
    pub(crate) read_data: bool,
}

impl Check {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let mut done = Done::default();
        let mut problems = Vec::new();
        for place in &self.places {
            let found = self.check(order, place);
            if order.live.cancel.is_canceled() {
                return Done::default();
            }
            let error = match found {
                Ok(found) if found.is_empty() => None,
                Ok(found) => {
                    let count = found.len();
                    let named = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
                    done.messages.extend(found);
                    Some(format!("{count} problems, the first: {named}"))
                }
                Err(error) => Some(error),
            };
            let destination = place.destination.name.clone();
            problems.extend(error.iter().map(|error| format!("{destination}: {error}")));
            done.destinations.push(DestinationOutcome {
                destination,
                error,
                ..DestinationOutcome::default()
            });
        }
        done.verdict = if problems.is_empty() {
            Verdict::Completed
        } else {
            Verdict::Faulted(format!(
                "the check of {} found damage: {}",
                self.database.name,
                problems.join("; ")
            ))
        };
        done
    }

    /// Returns every problem of one repository, in words.
    fn check(&self, order: &Order, place: &Place) -> Result<Vec<String>, String> {
        let vault = order.site.open(place, &self.database).map_err(|error| error.to_string())?;
        let options = CheckOptions { read_data: self.read_data, ..CheckOptions::default() };
        let report = vault
            .repository
            .check(&options, &order.live.cancel, &order.live.counters)
            .map_err(|error| error.to_string())?;
        Ok(report.problems.iter().map(told).collect())
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
