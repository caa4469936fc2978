//! The upkeep of a repository as it is shown.

use crate::view::DestinationView;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The upkeep of the repository of a database at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct UpkeepView {
    /// Where it is.
    pub destination: DestinationView,
    /// How far the reading of everything has come; `None` where nothing lies there yet, or the administrator wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<ReadRound>,
    /// The newest damage that was found, until it was found right or repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// When packs that a prune retired go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_due: Option<Timestamp>,
}

/// The reading of everything that is stored, a part each day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ReadRound {
    /// How many parts a round has.
    pub parts: u32,
    /// The part that is read next, from 1.
    pub next_part: u32,
    /// When it is due.
    pub due: Timestamp,
    /// When the first part of this round was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_began: Option<Timestamp>,
    /// When the last round ended: everything that was there when it began has been read by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_ended: Option<Timestamp>,
    /// When the last part was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read: Option<Timestamp>,
}
