//! Notifications: what clients and pages are told as it happens.

use super::operation::OperationState;
use crate::raven::time::Stamp;
use schemars::JsonSchema;
use serde::Serialize;

/// How grave a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum Severity {
    /// Nothing to judge yet.
    None,
    /// Well.
    Success,
    /// Not as intended.
    Warning,
    /// Failed.
    Error,
}

/// Any notification.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Notification {
    /// An operation began, went on or ended.
    Operation(Box<OperationChanged>),
    /// Something needs a person.
    Alert(Box<AlertRaised>),
    /// An earlier notification no longer matters.
    Updated(NotificationUpdated),
}

/// What every notification that is kept has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) created_at: Stamp,
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) message: Option<String>,
    pub(crate) severity: Severity,
    pub(crate) is_persistent: bool,
    pub(crate) database: Option<String>,
}

/// An operation began, went on or ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OperationChanged {
    #[serde(flatten)]
    pub(crate) head: Head,
    pub(crate) operation_id: u64,
    pub(crate) state: OperationState,
    pub(crate) killable: bool,
    pub(crate) task_type: &'static str,
    pub(crate) start_time: Stamp,
    pub(crate) end_time: Option<Stamp>,
    pub(crate) detailed_description: Option<String>,
}

/// Something needs a person.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AlertRaised {
    #[serde(flatten)]
    pub(crate) head: Head,
    pub(crate) key: Option<String>,
    pub(crate) details: ExceptionDetails,
    /// What the alert is about, as RavenDB 7 calls it.
    pub(crate) reason: &'static str,
    /// The same, as RavenDB 5 called it.
    pub(crate) alert_type: &'static str,
}

/// The error behind an alert.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExceptionDetails {
    #[serde(rename = "$type")]
    pub(crate) class: &'static str,
    pub(crate) exception: String,
}

/// An earlier notification no longer matters.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NotificationUpdated {
    pub(crate) id: Option<String>,
    pub(crate) created_at: Stamp,
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    pub(crate) title: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) severity: Severity,
    pub(crate) is_persistent: bool,
    pub(crate) notification_id: String,
    pub(crate) update_type: &'static str,
}

/// A part of the list of notifications.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Notifications {
    pub(crate) results: Vec<Notification>,
    pub(crate) total_results: usize,
}
