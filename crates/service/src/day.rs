//! Where in a day runs begin, so that a herd on one minute is seen before it happens.

use crate::core::Core;
use crate::plan::Plan;
use crate::planning::Planner;
use crate::validation;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::ServerWideBackupConfiguration;
use larder_schedule::{Run, spread};

/// How many parts a day has here: quarters of an hour.
const SLOTS: usize = 96;
/// So many runs of a task are looked at: what runs more often is everywhere anyway.
const RUNS: usize = 288;

/// The runs of one day, by where in it they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayOfRuns {
    /// The minutes of the day, 0 to 1439, at which the moments of the task lie, each once, in order.
    pub own_minutes: Vec<usize>,
    /// How many runs of other tasks begin in each quarter of an hour: 96 numbers.
    pub others: Vec<usize>,
}

fn minute(time: Timestamp, zone: &TimeZone) -> usize {
    let wall = time.to_zoned(zone.clone()).time();
    usize::try_from(i32::from(wall.hour()) * 60 + i32::from(wall.minute())).unwrap_or(0)
}

/// Lists the runs of the day that begins now.
fn of_a_day(runs: Vec<Run>, now: Timestamp) -> impl Iterator<Item = Run> {
    let end = now.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    runs.into_iter().take_while(move |run| run.time < end)
}

impl Core {
    /// Shows the day of a task, stored or not, among all others. What makes no sense has no moments.
    pub(crate) fn show_day(&self, task: &ServerWideBackupConfiguration, zone: &TimeZone) -> DayOfRuns {
        let now = self.now();
        let mut own = Vec::new();
        if let Ok(schedule) = validation::check_draft(self, task) {
            own.extend(of_a_day(schedule.upcoming(now, RUNS), now).map(|run| minute(run.time, zone)));
        }
        own.sort_unstable();
        own.dedup();
        let catalog = self.catalog();
        let planner = Planner { core: self, catalog: &catalog, now };
        let mut others = vec![0; SLOTS];
        let mut count = |time: Timestamp| {
            if let Some(slot) = others.get_mut(minute(time, zone) * SLOTS / (24 * 60)) {
                *slot += 1;
            }
        };
        let runs = |plan: &Plan| of_a_day(plan.schedule.upcoming(now, RUNS), now).collect::<Vec<_>>();
        for plan in catalog.server_wide().filter(|plan| plan.name() != task.periodic.name) {
            let databases: Vec<_> =
                catalog.databases.values().filter(|database| catalog.runs(database, plan)).collect();
            for run in runs(plan) {
                let width = planner.width(plan, &run);
                for database in &databases {
                    let after = spread(&format!("{}/{}", database.name, plan.uid), width);
                    count(run.time.checked_add(after).unwrap_or(run.time));
                }
            }
        }
        for database in catalog.databases.values() {
            for plan in catalog.own_tasks(&database.name).filter(|plan| catalog.runs(database, plan)) {
                runs(plan).iter().for_each(|run| count(run.time));
            }
        }
        DayOfRuns { own_minutes: own, others }
    }
}
