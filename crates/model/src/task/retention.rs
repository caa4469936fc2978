//! How long backups are kept.

use crate::task::schedule::Periodicity;
use crate::timespan::TimeSpan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much of one periodicity is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Keep {
    /// The newest so many.
    Count(u32),
    /// Those younger than this.
    Age(TimeSpan),
}

/// How long backups are kept; a backup goes when no rule keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct RetentionPolicy {
    /// Whether nothing is ever removed.
    pub disabled: bool,
    /// Backups younger than this are kept; at least one day.
    pub minimum_backup_age_to_keep: Option<TimeSpan>,
    /// The newest so many are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// The newest of each of the last so many hours that have one are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    /// The newest of each of the last so many days that have one are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// The newest of each of the last so many weeks that have one are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// The newest of each of the last so many months that have one are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    /// The newest of each of the last so many years that have one are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
    /// Of the backups made for a periodicity, so many or so young ones are kept.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub per_periodicity: BTreeMap<Periodicity, Keep>,
}
