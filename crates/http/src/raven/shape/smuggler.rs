//! RavenDB's counters of what a backup moved, kind by kind.
//!
//! A database of Larder's has items and bytes, no documents, indexes or counters. Its items stand where RavenDB
//! counts documents, so that clients show them; every other kind has nothing.

use crate::raven::time::Stamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What was moved of one kind.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Counts {
    pub(crate) start_time: Option<Stamp>,
    pub(crate) processed: bool,
    pub(crate) read_count: u64,
    pub(crate) skipped: bool,
    pub(crate) errored_count: u64,
    pub(crate) size_in_bytes: u64,
}

/// The same, with the last position.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EtagCounts {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) last_etag: i64,
}

/// The same, with what was left out.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SkippingCounts {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) last_etag: i64,
    pub(crate) skipped_count: u64,
}

/// The same, with attachments.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DocumentCounts {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) last_etag: i64,
    pub(crate) attachments: Counts,
    pub(crate) skipped_count: u64,
}

/// Every kind RavenDB counts.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Kinds {
    pub(crate) database_record: Counts,
    pub(crate) documents: DocumentCounts,
    pub(crate) revision_documents: DocumentCounts,
    pub(crate) tombstones: EtagCounts,
    pub(crate) conflicts: EtagCounts,
    pub(crate) identities: EtagCounts,
    pub(crate) indexes: Counts,
    pub(crate) compare_exchange: EtagCounts,
    pub(crate) subscriptions: Counts,
    pub(crate) counters: SkippingCounts,
    pub(crate) compare_exchange_tombstones: Counts,
    pub(crate) time_series: SkippingCounts,
    pub(crate) replication_hub_certificates: Counts,
    pub(crate) time_series_deleted_ranges: SkippingCounts,
}

impl Kinds {
    /// Makes the counters of a run: `items` of `bytes` where documents stand, and how all other kinds stand.
    pub(crate) fn of(start: Option<Stamp>, items: u64, bytes: u64, processed: bool, skipped: bool) -> Self {
        let start_time = if skipped { None } else { start };
        let untouched = Counts { processed, skipped, ..Counts::default() };
        // RavenDB has looked at every kind by the end, and at none but the first until then.
        let nothing = Counts { start_time: start_time.filter(|_| processed), ..untouched };
        let some = Counts { start_time, read_count: items, size_in_bytes: bytes, ..nothing };
        let etag = EtagCounts { counts: nothing, last_etag: 0 };
        let skipping = SkippingCounts { counts: nothing, ..SkippingCounts::default() };
        let documents =
            DocumentCounts { counts: nothing, attachments: untouched, ..DocumentCounts::default() };
        Self {
            database_record: nothing,
            documents: DocumentCounts { counts: some, ..documents },
            revision_documents: documents,
            tombstones: etag,
            conflicts: etag,
            identities: etag,
            indexes: nothing,
            compare_exchange: etag,
            subscriptions: nothing,
            counters: skipping,
            compare_exchange_tombstones: nothing,
            time_series: skipping,
            replication_hub_certificates: nothing,
            time_series_deleted_ranges: skipping,
        }
    }
}
