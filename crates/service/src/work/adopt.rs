//! A backup made into a new database of Larder's own.

use crate::error::ServiceError;
use crate::job::{Done, Verdict};
use crate::location::Located;
use crate::request::BackupChoice;
use crate::staging::Staging;
use crate::work::Order;
use crate::work::restore::{Wish, extract, find};
use larder_engines::RestoreTarget;
use larder_model::{Database, EngineKind};
use std::path::Path;
use std::sync::Arc;

/// A database to be made from a backup.
#[derive(Debug)]
pub(crate) struct Adopt {
    /// What it becomes.
    pub(crate) database: Arc<Database>,
    /// Where the backup lies.
    pub(crate) from: Located,
    /// Which one.
    pub(crate) backup: BackupChoice,
    /// Whether a database has the name already: then it is left as it is.
    pub(crate) exists: bool,
}

impl Adopt {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let name = &self.database.name;
        if self.exists {
            return Done::faulted(format!(
                "there is a database '{name}' already, so nothing was restored and it was left as it is; choose another name"
            ));
        }
        match self.make(order) {
            Ok(done) => done,
            Err(_) if order.live.cancel.is_canceled() => Done::default(),
            Err(error) => Done::faulted(format!("restoring to the database '{name}' failed: {error}")),
        }
    }

    fn make(&self, order: &Order) -> Result<Done, ServiceError> {
        let places = std::slice::from_ref(&self.from.place);
        let mut notes = Vec::new();
        let chosen = find(order, places, &self.from.database, &self.backup, &mut notes)?;
        if chosen.found.mark.engine != Some(EngineKind::Sqlite) {
            return Err(ServiceError::conflict(
                "the backup is not of a SQLite database, and only those become databases here; restore it to a directory with: larder restore",
            ));
        }
        let staging = Staging::create(&order.site.staging, order.id)?;
        // Searches of the source never see half of it.
        let temporary = staging.path().join("restored");
        let wish = Wish {
            target: RestoreTarget::Path(&temporary),
            overwrite: false,
            until: None,
            staging: staging.path(),
        };
        let report = extract(order, &self.from.database, &chosen, &wish)?;
        larder_engines::place_sqlite(&temporary, Path::new(&self.database.locator))?;
        let told = format!("{} bytes restored to the database '{}'", report.bytes, self.database.name);
        Ok(Done {
            verdict: Verdict::Completed,
            messages: std::iter::once(told).chain(report.messages).chain(notes).collect(),
            destinations: vec![chosen.outcome()],
            ..Done::default()
        })
    }
}
