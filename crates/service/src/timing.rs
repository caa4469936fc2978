//! The service's front for everything about time: delays, the queue, the decision log, what retention would keep.

use crate::decision::{DECISIONS_KEPT, Decision};
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::request::KeptBackup;
use crate::retention::{Policy, judge};
use crate::service::Service;
use crate::service::work::task_of;
use crate::waiting::QueueEntry;
use crate::work::candidates;
use larder_model::task::PeriodicBackupConfiguration;
use larder_model::{OperationId, TimeSpan};

impl Service {
    /// Stops a backup that runs or waits, and lets its task go on with it after a time, also over a restart. Returns when
    /// that is stored; the operation ends Canceled within a second.
    ///
    /// What is stored already is not sent again. A run that somebody asks for meanwhile ends the delay.
    ///
    /// # Errors
    /// There is no such operation, it has ended, it is no backup of a task, or the time is negative.
    pub async fn delay_operation(&self, id: OperationId, by: TimeSpan) -> Result<(), ServiceError> {
        self.core.delay(id, by).await
    }

    /// Lists what waits for its turn and why, in the order in which it will start.
    #[must_use]
    pub fn queue(&self) -> Vec<QueueEntry> {
        self.core.show_queue()
    }

    /// Says why a task of a database runs or does not: first how it stands now, then what was decided before, the newest
    /// first, at most `limit` in all. Without a task the database's only one is meant.
    ///
    /// # Errors
    /// There is no such database or task, or the database has several tasks and none was named.
    pub async fn decisions(
        &self,
        database: &str,
        task: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Decision>, ServiceError> {
        let key = self.key_of(database, task)?;
        let mut decisions = Vec::with_capacity(DECISIONS_KEPT + 1);
        decisions.push(self.core.standing(&key));
        decisions.extend(self.core.stored_decisions(&key).await.into_iter().rev());
        decisions.truncate(limit);
        Ok(decisions)
    }

    /// Says for each backup of a task which rules would keep it, the newest first, at one destination or at all; a backup
    /// that none keeps would be removed after the next good one.
    ///
    /// With `task` another configuration is tried than the stored one; nothing is removed.
    ///
    /// # Errors
    /// There is no such database, task or destination, or a repository cannot be read.
    pub async fn simulate_retention(
        &self,
        database: &str,
        name: Option<&str>,
        task: Option<&PeriodicBackupConfiguration>,
        destination: Option<&str>,
    ) -> Result<Vec<KeptBackup>, ServiceError> {
        let (key, stored) = self.stored_task(database, name)?;
        let policy = Policy::of(task.unwrap_or(&stored), &self.core.settings.time_zone);
        let (database, destinations) = self.meant(database, destination)?;
        let mut answer = Vec::new();
        for here in
            candidates::by_destination(&self.core, database, destinations, (key.task, stored.name)).await?
        {
            let (points, candidates): (Vec<_>, Vec<_>) = here.into_iter().unzip();
            let judged = policy.as_ref().map(|policy| judge(&candidates, policy, self.core.now()));
            for backup in points {
                let rules = match &judged {
                    None => vec!["there is no rule, so everything is kept".to_owned()],
                    Some(judged) => {
                        let own = judged.iter().find(|one| one.id == backup.id);
                        own.map(|one| one.keep.iter().map(ToString::to_string).collect()).unwrap_or_default()
                    }
                };
                answer.push(KeptBackup { backup, rules });
            }
        }
        Ok(answer)
    }

    /// Finds the task that is meant, as it is stored.
    pub(crate) fn stored_task(
        &self,
        database: &str,
        name: Option<&str>,
    ) -> Result<(TaskKey, PeriodicBackupConfiguration), ServiceError> {
        let key = self.key_of(database, name)?;
        let plan = self.core.catalog().task(&key).map(|(_, plan)| plan.periodic().clone());
        let none =
            || ServiceError::not_found("task", key.task.to_string(), "list the tasks to see their names");
        let stored = plan.ok_or_else(none)?;
        Ok((key, stored))
    }

    /// Finds the task that is meant.
    fn key_of(&self, database: &str, task: Option<&str>) -> Result<TaskKey, ServiceError> {
        let catalog = self.core.catalog();
        let database = catalog.database(database)?;
        let plan = task_of(&catalog, database, task)?;
        Ok(TaskKey { database: database.name.clone(), task: plan.uid })
    }
}
