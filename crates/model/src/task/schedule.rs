//! When a task runs, beyond RavenDB's two expressions.

use crate::backup::BackupKind;
use serde::{Deserialize, Serialize};

/// A calendar unit, or an occasion, that backups are made and kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Periodicity {
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every second month.
    Bimonthly,
    /// Before the host goes down.
    Shutdown,
    /// Only when somebody asks for it.
    Manual,
}

/// One more schedule of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct ScheduleEntry {
    /// When: `0 */6 * * *`, `every 4h..6h`, `Daily`, `Daily at 02:30`, `after changes, quiet 2m, at most every 30m`,
    /// `Shutdown` or `Manual`.
    pub when: String,
    /// What is made; incremental where nothing is said.
    pub backup: BackupKind,
    /// Under which periodicity the backups are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periodicity: Option<Periodicity>,
    /// The IANA zone it is meant in; the task's where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl Default for ScheduleEntry {
    fn default() -> Self {
        Self { when: String::new(), backup: BackupKind::Incremental, periodicity: None, time_zone: None }
    }
}

/// The hours in which runs may start, in the task's zone; `To` may lie before `From`, and then is of the next day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupWindow {
    /// The first minute: `22:00`.
    pub from: String,
    /// The minute after the last: `06:00`.
    pub to: String,
}
