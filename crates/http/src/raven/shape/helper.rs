//! Small answers that a configuration form asks for.

use crate::raven::time::{Stamp, WallStamp};
use larder_model::task::DestinationKind;
use schemars::JsonSchema;
use serde::Serialize;

/// When a cron expression comes next, or why never.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum NextOccurrence {
    /// It comes.
    #[serde(rename_all = "PascalCase")]
    Valid {
        /// Always true.
        is_valid: bool,
        /// When, in UTC.
        utc: Stamp,
        /// When, as the server's clock shows it.
        server_time: WallStamp,
    },
    /// It makes no sense.
    #[serde(rename_all = "PascalCase")]
    Invalid {
        /// Always false.
        is_valid: bool,
        /// Why.
        error_message: String,
    },
}

/// What a directory would have room for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DataDirectory {
    pub(crate) node_tag: &'static str,
    pub(crate) full_path: Option<String>,
    pub(crate) free_space_in_bytes: u64,
    pub(crate) free_space_humane: Option<String>,
    pub(crate) total_space_in_bytes: u64,
    pub(crate) total_space_humane: Option<String>,
    pub(crate) error: Option<String>,
}

/// What the administrator of the host allows.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Allowed {
    /// The directory that local destinations must lie in.
    pub(crate) local_root_path: Option<String>,
    /// The regions of S3 that may be used.
    pub(crate) allowed_aws_regions: Option<Vec<String>>,
    /// The kinds of destination that may be used.
    pub(crate) allowed_destinations: Option<Vec<DestinationKind>>,
}

/// Whether a destination let itself be used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TestResult {
    pub(crate) success: bool,
    pub(crate) error: Option<String>,
}
