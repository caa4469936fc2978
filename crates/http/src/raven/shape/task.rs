//! Tasks as lists show them, and what starting, changing or deleting one answers.

use super::database::NodeId;
use super::topology::Metadata;
use crate::raven::time::Stamp;
use larder_model::TimeSpan;
use larder_model::task::{BackupType, BackupUploadMode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Whether a task is awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum TaskState {
    /// It runs as scheduled.
    Enabled,
    /// It rests.
    Disabled,
}

/// The backup that runs now.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunningBackup {
    pub(crate) start_time: Option<Stamp>,
    pub(crate) is_full: bool,
    /// The number of the operation, by which it is delayed or ended.
    pub(crate) running_backup_task_id: u64,
}

/// The backup that comes next.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NextBackup {
    pub(crate) time_span: TimeSpan,
    pub(crate) date_time: Stamp,
    pub(crate) is_full: bool,
    /// When it would have been, had nobody delayed it.
    pub(crate) original_backup_time: Option<Stamp>,
}

/// A periodic backup task of one database.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OngoingBackup {
    pub(crate) task_id: u64,
    pub(crate) task_type: &'static str,
    pub(crate) responsible_node: NodeId,
    pub(crate) task_state: TaskState,
    pub(crate) task_connection_status: &'static str,
    pub(crate) task_name: String,
    pub(crate) mentor_node: Option<String>,
    pub(crate) pin_to_mentor_node: bool,
    pub(crate) error: Option<String>,
    pub(crate) backup_type: BackupType,
    pub(crate) backup_upload_mode: BackupUploadMode,
    pub(crate) backup_destinations: Vec<&'static str>,
    pub(crate) has_cloud_backup: bool,
    pub(crate) full_backup_frequency: Option<String>,
    pub(crate) incremental_backup_frequency: Option<String>,
    pub(crate) last_full_backup: Option<Stamp>,
    pub(crate) last_incremental_backup: Option<Stamp>,
    pub(crate) on_going_backup: Option<RunningBackup>,
    pub(crate) next_backup: Option<NextBackup>,
    pub(crate) retention_policy: Option<Value>,
    pub(crate) is_encrypted: bool,
    pub(crate) last_executing_node_tag: Option<&'static str>,
}

/// One task, as it is asked for alone.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OneTask {
    #[serde(rename = "@metadata")]
    pub(crate) metadata: Metadata,
    #[serde(flatten)]
    pub(crate) task: OngoingBackup,
}

/// All tasks of a database.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OngoingTasks {
    #[serde(rename = "@metadata")]
    pub(crate) metadata: Metadata,
    pub(crate) ongoing_tasks: Vec<OngoingBackup>,
    pub(crate) subscriptions_count: u64,
    pub(crate) pull_replications: Vec<Value>,
}

/// A server-wide task in the list of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServerWideTaskInfo {
    pub(crate) task_id: u64,
    pub(crate) task_type: &'static str,
    pub(crate) responsible_node: Option<NodeId>,
    pub(crate) task_state: TaskState,
    pub(crate) task_connection_status: &'static str,
    pub(crate) task_name: String,
    pub(crate) mentor_node: Option<String>,
    pub(crate) pin_to_mentor_node: bool,
    pub(crate) error: Option<String>,
    pub(crate) excluded_databases: Vec<String>,
    pub(crate) backup_type: BackupType,
    pub(crate) backup_destinations: Vec<&'static str>,
    pub(crate) retention_policy: Option<Value>,
    pub(crate) is_encrypted: bool,
}

/// All server-wide tasks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServerWideTasks {
    pub(crate) tasks: Vec<ServerWideTaskInfo>,
}

/// Says that a server-wide task was stored, changed or deleted.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServerWideStored {
    pub(crate) name: String,
    pub(crate) raft_command_index: u64,
}

/// Says that a task of a database was stored, changed or deleted.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TaskStored {
    pub(crate) raft_command_index: u64,
    pub(crate) task_id: u64,
}

/// Names the operation that a task began.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BackupStarted {
    pub(crate) responsible_node: &'static str,
    pub(crate) operation_id: u64,
}

/// Names an operation and the node that runs it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OperationStarted {
    pub(crate) operation_id: u64,
    pub(crate) operation_node_tag: &'static str,
}

/// Names the backup that runs for a task; -1 where none does.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunningNow {
    pub(crate) operation_node_tag: &'static str,
    pub(crate) operation_id: i64,
}

/// When a task comes next.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Timer {
    pub(crate) database: String,
    pub(crate) name: String,
    pub(crate) task_id: u64,
    pub(crate) full_backup_frequency: Option<String>,
    pub(crate) incremental_backup_frequency: Option<String>,
    pub(crate) next_backup: Option<NextBackup>,
    pub(crate) created_at: Option<Stamp>,
    pub(crate) disposed: bool,
}

/// When each task comes next.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Timers {
    pub(crate) timers: Vec<Timer>,
    pub(crate) count: usize,
}
