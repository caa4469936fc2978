//! Turns what happens to operations into RavenDB's notifications.

use super::databases::Named;
use super::failure::Failure;
use super::query::Query;
use super::shape::notification::{
    AlertRaised, ExceptionDetails, Head, Notification, NotificationUpdated, Notifications, OperationChanged,
    Severity,
};
use super::state;
use super::time::Stamp;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use larder_model::{DatabaseName, Operation, OperationId, OperationKind, OperationStatus};
use larder_service::OperationFilter;
use std::collections::HashSet;

/// How many ended operations a list of notifications looks back on.
const LOOKED_BACK_ON: usize = 1_000;

/// The most notifications that one answer lists.
const MOST_LISTED: usize = 1_000;

/// Whose notifications are meant.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// Everybody's.
    Server,
    /// Those of one database.
    Database(DatabaseName),
}

impl Scope {
    /// Says whether an operation concerns those who listen.
    pub(crate) fn has(&self, operation: &Operation) -> bool {
        match self {
            Self::Server => true,
            Self::Database(name) => operation.database == *name,
        }
    }

    fn filter(&self) -> OperationFilter {
        let database = match self {
            Self::Server => None,
            Self::Database(name) => Some(name.to_string()),
        };
        OperationFilter { database, limit: Some(LOOKED_BACK_ON), ..OperationFilter::default() }
    }
}

fn id_of(operation: OperationId) -> String {
    format!("OperationChanged/{operation}")
}

/// RavenDB counts restores as the server's own.
fn database_of(operation: &Operation) -> Option<String> {
    (operation.kind != OperationKind::Restore).then(|| operation.database.to_string())
}

/// Tells that an operation began, went on or ended.
pub(crate) fn changed(operation: &Operation, now: Timestamp) -> Notification {
    let title = match operation.kind {
        OperationKind::Backup => "Database Backup",
        OperationKind::Restore => "Database Restore",
        OperationKind::Verify => "Backup Verification",
        OperationKind::Check => "Repository Check",
        OperationKind::Prune => "Removal of Old Backups",
        OperationKind::Heal => "Healing of Destinations",
        OperationKind::Repair => "Repository Repair",
    };
    let severity = match operation.status {
        OperationStatus::Queued | OperationStatus::InProgress => Severity::None,
        OperationStatus::Completed => Severity::Success,
        OperationStatus::Faulted => Severity::Error,
        OperationStatus::Canceled => Severity::Warning,
    };
    Notification::Operation(Box::new(OperationChanged {
        head: Head {
            id: id_of(operation.id),
            created_at: Stamp(operation.ended.unwrap_or(now)),
            kind: "OperationChanged",
            title: title.to_owned(),
            message: Some(state::describe(operation)),
            severity,
            is_persistent: operation.status.is_final(),
            database: database_of(operation),
        },
        operation_id: operation.id,
        state: state::state(operation),
        killable: !operation.status.is_final(),
        task_type: state::task_type(operation.kind),
        start_time: state::start(operation),
        end_time: operation.ended.map(Stamp),
        detailed_description: None,
    }))
}

/// Tells that a backup or a restore failed; `None` for all else.
pub(crate) fn alert(operation: &Operation, now: Timestamp) -> Option<Notification> {
    let error = operation.error.as_ref().filter(|_| operation.status == OperationStatus::Faulted)?;
    let (id, title, message, reason) = match (operation.kind, &operation.task) {
        (OperationKind::Backup, Some(task)) => (
            "PeriodicBackup",
            format!("Periodic Backup task: '{task}'"),
            "Error when performing periodic backup".to_owned(),
            "PeriodicBackup",
        ),
        (OperationKind::Restore, _) => (
            "RestoreError",
            "Failed to restore database".to_owned(),
            format!("Could not restore database named {}", operation.database),
            "RestoreError",
        ),
        _ => return None,
    };
    Some(Notification::Alert(Box::new(AlertRaised {
        head: Head {
            id: format!("AlertRaised/{id}"),
            created_at: Stamp(operation.ended.unwrap_or(now)),
            kind: "AlertRaised",
            title,
            message: Some(message),
            severity: Severity::Error,
            is_persistent: true,
            database: Some(operation.database.to_string()),
        },
        key: None,
        details: ExceptionDetails {
            class: "Raven.Server.NotificationCenter.Notifications.Details.ExceptionDetails, Raven.Server",
            exception: error.clone(),
        },
        reason,
        alert_type: reason,
    })))
}

/// Tells that the run before a good one no longer matters; `None` where there was none.
pub(crate) fn dismissal(app: &App, operation: &Operation, now: Timestamp) -> Option<Notification> {
    if operation.status != OperationStatus::Completed || operation.kind != OperationKind::Backup {
        return None;
    }
    let filter = OperationFilter {
        database: Some(operation.database.to_string()),
        kind: Some(OperationKind::Backup),
        limit: Some(LOOKED_BACK_ON),
        ..OperationFilter::default()
    };
    let before = app.service.operations(&filter).into_iter().find(|earlier| {
        earlier.id < operation.id && earlier.task == operation.task && earlier.status.is_final()
    })?;
    Some(Notification::Updated(NotificationUpdated {
        id: None,
        created_at: Stamp(now),
        kind: "NotificationUpdated",
        title: None,
        message: None,
        severity: Severity::None,
        is_persistent: false,
        notification_id: id_of(before.id),
        update_type: "Dismissed",
    }))
}

/// Makes the list of what still matters: of each task's backups the last, of the rest each, the newest first.
pub(crate) fn standing(app: &App, scope: &Scope) -> Vec<Notification> {
    let now = app.clock.now();
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for operation in app.service.operations(&scope.filter()) {
        if !operation.status.is_final() {
            continue;
        }
        let task = (operation.database.clone(), operation.task.clone());
        if operation.kind == OperationKind::Backup && !seen.insert(task) {
            continue;
        }
        all.push(changed(&operation, now));
        all.extend(alert(&operation, now));
    }
    all
}

fn list(app: &App, scope: &Scope, query: &Query) -> Result<Json<Notifications>, Failure> {
    let (start, size) = query.page(MOST_LISTED)?;
    let all = standing(app, scope);
    let total_results = all.len();
    let results = all.into_iter().skip(start).take(size).collect();
    Ok(Json(Notifications { results, total_results }))
}

pub(crate) async fn of_server(State(app): State<App>, query: Query) -> Result<Json<Notifications>, Failure> {
    list(&app, &Scope::Server, &query)
}

pub(crate) async fn of_database(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<Json<Notifications>, Failure> {
    list(&app, &Scope::Database(database.0), &query)
}
