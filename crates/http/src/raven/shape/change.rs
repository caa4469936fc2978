//! What is said over the line of changes.

use super::operation::OperationState;
use schemars::JsonSchema;
use serde::Serialize;

/// One message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "Type")]
pub(crate) enum Change {
    /// A command was heard.
    #[serde(rename_all = "PascalCase")]
    Confirm {
        /// The number the client gave it.
        command_id: i64,
    },
    /// A command made no sense.
    #[serde(rename_all = "PascalCase")]
    Error {
        /// The number the client gave it, where it could be read.
        command_id: Option<i64>,
        /// Why.
        exception: String,
    },
    /// An operation began, went on or ended.
    #[serde(rename = "OperationStatusChange", rename_all = "PascalCase")]
    Status {
        /// Which, and how it stands.
        value: Box<StatusChange>,
    },
}

/// How an operation stands.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatusChange {
    pub(crate) operation_id: u64,
    pub(crate) state: OperationState,
}
