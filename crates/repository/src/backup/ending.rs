//! What is said at the end of a backup: in each snapshot, and to the caller.

use super::options::{BackupOptions, BackupSummary, Seal, TargetOutcome};
use super::session::{Session, get};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::repository::to_json;
use crate::snapshot::{SnapshotFile, SnapshotSummary, time_text};
use larder_model::Canceled;
use std::sync::PoisonError;

/// Returns the JSON of the snapshot for each target; they differ in their parents.
pub(super) fn snapshots(
    session: &Session,
    options: &BackupOptions,
    has_parent: bool,
    tree: Id,
    seal: Seal,
) -> Result<Vec<Vec<u8>>, RepositoryError> {
    let Seal { extra_tags, larder } = seal;
    let time = time_text(options.time.timestamp(), options.time.offset());
    let mut tags = options.tags.clone();
    tags.extend(extra_tags);
    let mut file = SnapshotFile {
        time: time.clone(),
        parent: None,
        tree,
        paths: options.paths.clone(),
        hostname: options.hostname.clone(),
        username: options.username.clone(),
        uid: 0,
        gid: 0,
        excludes: Vec::new(),
        tags,
        original: None,
        program_version: concat!("larder ", env!("CARGO_PKG_VERSION")).to_owned(),
        summary: Some(snapshot_summary(session, has_parent, time)),
        larder,
    };
    let mut snapshots = Vec::new();
    for target in &session.targets.targets {
        file.parent = target.parent.as_ref().and_then(|id| id.0.parse().ok());
        if let Some(summary) = &mut file.summary {
            summary.backup_end = target.repository.clock().now().to_string();
        }
        snapshots.push(to_json(&file)?);
    }
    Ok(snapshots)
}

fn snapshot_summary(session: &Session, has_parent: bool, backup_start: String) -> SnapshotSummary {
    let statistics = &session.statistics;
    let (files, changed) = (get(&statistics.files), get(&statistics.files_changed));
    let unchanged = get(&statistics.files_unchanged);
    let directories = get(&statistics.directories);
    let known = get(&statistics.directories_known).min(directories);
    SnapshotSummary {
        backup_start,
        backup_end: String::new(),
        files_new: files.saturating_sub(changed).saturating_sub(unchanged),
        files_changed: changed,
        files_unmodified: unchanged,
        dirs_new: if has_parent { 0 } else { directories - known },
        dirs_changed: if has_parent { directories - known } else { 0 },
        dirs_unmodified: known,
        data_blobs: get(&statistics.new_data_blobs),
        tree_blobs: get(&statistics.new_tree_blobs),
        data_added: get(&statistics.new_bytes),
        data_added_packed: get(&statistics.new_packed_bytes),
        total_files_processed: files,
        total_bytes_processed: get(&statistics.processed_bytes),
    }
}

/// Returns what became of the backup; an error where there is no snapshot anywhere.
pub(super) fn summary(session: &Session) -> Result<BackupSummary, RepositoryError> {
    let set = &session.targets;
    let mut targets = Vec::new();
    for (number, target) in set.targets.iter().enumerate() {
        let failure = set.take_failure(number);
        let (snapshot, bytes_stored) =
            set.lock().get_mut(number).map_or((None, 0), |state| (state.snapshot.take(), state.stored_bytes));
        let gone = || RepositoryError::Internal { what: "a destination ended without a word".to_owned() };
        let snapshot = snapshot.ok_or_else(|| failure.unwrap_or_else(gone));
        let destination = target.repository.describe();
        targets.push(TargetOutcome { destination, snapshot, bytes_stored, parent: target.parent.clone() });
    }
    if targets.iter().all(|target| target.snapshot.is_err()) {
        let first = targets.into_iter().find_map(|target| target.snapshot.err());
        return Err(first.unwrap_or(RepositoryError::Canceled(Canceled)));
    }
    let statistics = &session.statistics;
    let mut unreadable = session.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(BackupSummary {
        targets,
        files: get(&statistics.files),
        files_unchanged: get(&statistics.files_unchanged),
        directories: get(&statistics.directories),
        specials: get(&statistics.specials),
        bytes_processed: get(&statistics.processed_bytes),
        bytes_read: get(&statistics.read_bytes),
        data_blobs_new: get(&statistics.new_data_blobs),
        tree_blobs_new: get(&statistics.new_tree_blobs),
        bytes_new: get(&statistics.new_bytes),
        bytes_spilled: session.targets.spill.as_ref().map_or(0, |spill| spill.total_bytes()),
        unreadable: std::mem::take(&mut *unreadable),
    })
}
