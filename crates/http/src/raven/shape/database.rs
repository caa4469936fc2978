//! Databases: names, what is known of each, and what creating and deleting one answers.

use crate::raven::product::NODE;
use crate::raven::time::{Stamp, WallStamp};
use larder_model::TimeSpan;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A list of names, or of [`DatabaseInfo`].
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Databases<T> {
    pub(crate) databases: Vec<T>,
}

/// A size, in bytes and in words.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Size {
    pub(crate) humane_size: String,
    pub(crate) size_in_bytes: u64,
}

/// The newest backup of a database, and the next.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BackupInfo {
    pub(crate) last_backup: Option<WallStamp>,
    #[serde(rename = "IntervalUntilNextBackupInSec")]
    pub(crate) seconds_until_next_backup: f64,
    pub(crate) backup_task_type: &'static str,
    pub(crate) destinations: Option<Vec<&'static str>>,
}

/// One node, as a list of a database's nodes has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeId {
    pub(crate) node_tag: Option<&'static str>,
    pub(crate) node_url: Option<String>,
    pub(crate) responsible_node: Option<String>,
}

impl NodeId {
    /// Names this node.
    pub(crate) fn own(url: &str) -> Self {
        Self { node_tag: Some(NODE), node_url: Some(url.to_owned()), responsible_node: None }
    }

    /// Names none.
    pub(crate) const fn none() -> Self {
        Self { node_tag: None, node_url: None, responsible_node: None }
    }
}

/// How a node is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeStatus {
    pub(crate) last_status: &'static str,
    pub(crate) last_error: Option<String>,
}

/// The nodes of a database.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodesTopology {
    pub(crate) members: Vec<NodeId>,
    pub(crate) promotables: Vec<NodeId>,
    pub(crate) rehabs: Vec<NodeId>,
    pub(crate) status: BTreeMap<&'static str, NodeStatus>,
    pub(crate) priority_order: Vec<String>,
    pub(crate) dynamic_nodes_distribution: bool,
}

/// What is known of a database.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DatabaseInfo {
    pub(crate) name: String,
    pub(crate) total_size: Size,
    pub(crate) temp_buffers_size: Size,
    pub(crate) up_time: TimeSpan,
    pub(crate) backup_info: BackupInfo,
    pub(crate) alerts: u64,
    pub(crate) performance_hints: u64,
    pub(crate) indexing_errors: u64,
    pub(crate) tasks_errors: Option<u64>,
    pub(crate) documents_count: u64,
    pub(crate) indexing_status: &'static str,
    pub(crate) disabled: bool,
    pub(crate) lock_mode: &'static str,
    pub(crate) is_admin: bool,
    pub(crate) is_encrypted: bool,
    pub(crate) reject_clients: bool,
    pub(crate) has_revisions_configuration: bool,
    pub(crate) has_expiration_configuration: bool,
    pub(crate) has_refresh_configuration: bool,
    pub(crate) has_data_archival_configuration: bool,
    pub(crate) indexes_count: u64,
    pub(crate) nodes_topology: NodesTopology,
    pub(crate) replication_factor: u64,
    pub(crate) dynamic_nodes_distribution: bool,
    pub(crate) deletion_in_progress: BTreeMap<String, String>,
    pub(crate) environment: &'static str,
}

/// When a topology was last changed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LeaderStamp {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) leaders_ticks: i64,
}

/// The topology that a database's record holds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecordTopology {
    pub(crate) members: Vec<&'static str>,
    pub(crate) promotables: Vec<String>,
    pub(crate) rehabs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) predefined_mentors: Option<BTreeMap<String, String>>,
    pub(crate) stamp: LeaderStamp,
    pub(crate) nodes_modified_at: Stamp,
    pub(crate) promotables_status: BTreeMap<String, String>,
    pub(crate) demotion_reasons: BTreeMap<String, String>,
    pub(crate) dynamic_nodes_distribution: bool,
    pub(crate) replication_factor: u64,
    #[serde(rename = "DatabaseTopologyIdBase64")]
    pub(crate) database_topology_id: String,
    #[serde(rename = "ClusterTransactionIdBase64")]
    pub(crate) cluster_transaction_id: String,
    pub(crate) priority_order: Vec<String>,
}

/// Says that a database was made.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DatabasePut {
    pub(crate) raft_command_index: u64,
    pub(crate) name: String,
    pub(crate) topology: RecordTopology,
    pub(crate) nodes_added_to: Vec<String>,
    pub(crate) shards_defined: bool,
}

/// Says that databases were deleted.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DatabasesDeleted {
    pub(crate) raft_command_index: i64,
    pub(crate) pending_deletes: Vec<String>,
}

/// All that RavenDB stores of a database; of Larder's only the tasks have something in them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DatabaseRecord {
    pub(crate) database_name: String,
    pub(crate) disabled: bool,
    pub(crate) encrypted: bool,
    pub(crate) etag_for_backup: u64,
    pub(crate) deletion_in_progress: BTreeMap<String, String>,
    pub(crate) database_state: &'static str,
    pub(crate) lock_mode: &'static str,
    pub(crate) topology: RecordTopology,
    /// What a database of documents has besides: empty.
    #[serde(flatten)]
    pub(crate) nothing: Map<String, Value>,
    pub(crate) supported_features: Vec<String>,
    pub(crate) periodic_backups: Vec<Value>,
    pub(crate) etag: u64,
}

/// Returns the parts of a record that a database of documents has and one of Larder's has not, each empty.
pub(crate) fn nothing() -> Map<String, Value> {
    let mut parts = Map::new();
    for name in ["ConflictSolverConfig", "DocumentsCompression"] {
        parts.insert(name.to_owned(), Value::Null);
    }
    for name in
        ["RollingIndexes", "Sorters", "Analyzers", "Indexes", "IndexesHistory", "AutoIndexes", "Settings"]
    {
        parts.insert(name.to_owned(), Value::Object(Map::new()));
    }
    for name in [
        "Revisions",
        "TimeSeries",
        "RevisionsForConflicts",
        "Expiration",
        "Refresh",
        "Integrations",
        "Client",
        "Studio",
    ] {
        parts.insert(name.to_owned(), Value::Null);
    }
    for name in [
        "RavenConnectionStrings",
        "SqlConnectionStrings",
        "OlapConnectionStrings",
        "ElasticSearchConnectionStrings",
        "QueueConnectionStrings",
    ] {
        parts.insert(name.to_owned(), Value::Object(Map::new()));
    }
    for name in [
        "ExternalReplications",
        "SinkPullReplications",
        "HubPullReplications",
        "RavenEtls",
        "SqlEtls",
        "ElasticSearchEtls",
        "OlapEtls",
        "QueueEtls",
        "UnusedDatabaseIds",
    ] {
        parts.insert(name.to_owned(), Value::Array(Vec::new()));
    }
    parts.insert("TruncatedClusterTransactionCommandsCount".to_owned(), Value::from(0));
    parts
}

/// Asks for a database; of a record only the name matters.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "PascalCase")]
#[allow(dead_code, reason = "read key by key; the type describes it for the OpenAPI document")]
pub(crate) struct NewDatabase {
    pub(crate) database_name: String,
}

/// Asks for databases to be deleted.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "PascalCase")]
#[allow(dead_code, reason = "read key by key; the type describes it for the OpenAPI document")]
pub(crate) struct DeletionBody {
    pub(crate) database_names: Vec<String>,
    /// Whether the files are deleted too, instead of put aside.
    pub(crate) hard_delete: bool,
}
