//! Who answers: the topology of a database, that of the cluster of one, and the version.

use crate::raven::product::{BUILD_VERSION, FULL_VERSION, NODE, PRODUCT_VERSION, SERVER_VERSION};
use crate::raven::time::Stamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What some answers begin with.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Metadata {
    pub(crate) date_time: Stamp,
    pub(crate) web_url: String,
    pub(crate) node_tag: &'static str,
}

/// Where a database is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Topology {
    pub(crate) promotables: Vec<ServerNode>,
    pub(crate) nodes: Vec<ServerNode>,
    pub(crate) etag: u64,
}

/// One node that has a database.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServerNode {
    pub(crate) url: String,
    pub(crate) cluster_tag: &'static str,
    pub(crate) server_role: &'static str,
    pub(crate) database: String,
    pub(crate) server_version: &'static str,
}

impl ServerNode {
    pub(crate) fn of(url: String, database: String) -> Self {
        Self { url, cluster_tag: NODE, server_role: "Member", database, server_version: SERVER_VERSION }
    }
}

/// The nodes of the cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClusterNodes {
    pub(crate) topology_id: String,
    pub(crate) all_nodes: BTreeMap<&'static str, String>,
    pub(crate) members: BTreeMap<&'static str, String>,
    pub(crate) promotables: BTreeMap<&'static str, String>,
    pub(crate) watchers: BTreeMap<&'static str, String>,
    pub(crate) last_node_id: &'static str,
    pub(crate) etag: u64,
}

/// The cluster as it stands.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClusterTopology {
    #[serde(rename = "@metadata")]
    pub(crate) metadata: Metadata,
    pub(crate) topology: ClusterNodes,
    pub(crate) etag: u64,
    pub(crate) leader: &'static str,
    #[serde(rename = "LeaderShipDuration")]
    pub(crate) leadership_duration: i64,
    pub(crate) current_state: &'static str,
    pub(crate) node_tag: &'static str,
    pub(crate) server_role: &'static str,
    pub(crate) current_term: u64,
    pub(crate) node_license_details: BTreeMap<&'static str, NodeDetails>,
    pub(crate) last_state_change_reason: String,
    pub(crate) status: BTreeMap<String, String>,
}

/// What a node runs on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeDetails {
    pub(crate) utilized_cores: usize,
    pub(crate) max_utilized_cores: Option<usize>,
    pub(crate) number_of_cores: usize,
    pub(crate) installed_memory_in_gb: f64,
    pub(crate) usable_memory_in_gb: f64,
    pub(crate) build_info: BuildInfo,
    pub(crate) os_info: OsInfo,
}

/// The version of a node.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BuildInfo {
    pub(crate) product_version: &'static str,
    pub(crate) build_version: u32,
    pub(crate) commit_hash: &'static str,
    pub(crate) full_version: &'static str,
    pub(crate) assembly_version: &'static str,
}

/// The system of a node.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OsInfo {
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    pub(crate) full_name: String,
    pub(crate) version: Option<String>,
    pub(crate) build_version: String,
    #[serde(rename = "Is64Bit")]
    pub(crate) is_64_bit: bool,
}

/// The version, as clients ask for it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BuildVersion {
    pub(crate) build_version: u32,
    pub(crate) product_version: &'static str,
    pub(crate) commit_hash: &'static str,
    pub(crate) full_version: &'static str,
}

/// Which Larder this really is, where RavenDB tells the commit.
const BUILT_FROM: &str = concat!("larder-", env!("CARGO_PKG_VERSION"));

impl BuildVersion {
    pub(crate) const fn own() -> Self {
        Self {
            build_version: BUILD_VERSION,
            product_version: PRODUCT_VERSION,
            commit_hash: BUILT_FROM,
            full_version: FULL_VERSION,
        }
    }
}

impl BuildInfo {
    pub(crate) const fn own() -> Self {
        Self {
            product_version: PRODUCT_VERSION,
            build_version: BUILD_VERSION,
            commit_hash: BUILT_FROM,
            full_version: FULL_VERSION,
            assembly_version: SERVER_VERSION,
        }
    }
}
