//! Whether a backup is so much smaller than the one before that it cannot be trusted.
//!
//! A disk that is not mounted leaves an empty directory behind, and a dump that broke off in silence is short: both look
//! like success.

use crate::work::vault::Found;

/// Below this nothing is said of bytes: what is small may well halve.
const LEAST_BYTES: u64 = 1 << 20;

/// Below this nothing is said of files, unless none is left.
const LEAST_FILES: u64 = 20;

/// Files and bytes.
pub(crate) type Volume = (u64, u64);

/// Says how much of a backup was read of the source then; nothing where it is not known.
pub(crate) fn state(found: &Found) -> Option<Volume> {
    let summary = found.snapshot.summary.as_ref()?;
    let all = (summary.total_files_processed, summary.total_bytes_processed);
    Some(without(all, found.note().report.history()))
}

/// Takes away older states that are kept beside the present one: they come and go with a chain of incrementals.
pub(crate) const fn without(all: Volume, history: Volume) -> Volume {
    (all.0.saturating_sub(history.0), all.1.saturating_sub(history.1))
}

/// Says in the middle of a sentence what is suspicious of a backup with so many files and bytes after an earlier one.
pub(crate) fn suspicion((files_before, bytes_before): Volume, (files, bytes): Volume) -> Option<String> {
    let less_than_half = |now: u64, before: u64| now < before.div_ceil(2);
    if files == 0 && files_before > 0 {
        return Some(format!("it is empty, and the last good one has {files_before} files"));
    }
    if files_before >= LEAST_FILES && less_than_half(files, files_before) {
        return Some(format!("it has {files} files, and the last good one has {files_before}"));
    }
    if bytes_before >= LEAST_BYTES && less_than_half(bytes, bytes_before) {
        return Some(format!("it has {bytes} bytes, and the last good one has {bytes_before}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(before: (u64, u64), now: (u64, u64)) -> bool {
        suspicion(before, now).is_some()
    }

    #[test]
    fn older_states_beside_the_present_one_are_no_part_of_it() {
        assert_eq!(without((30, 300 << 20), (20, 290 << 20)), (10, 10 << 20));
        assert!(!said(without((30, 300 << 20), (20, 290 << 20)), (10, 10 << 20)));
    }

    #[test]
    fn what_is_empty_or_less_than_half_is_suspicious_and_small_things_are_not() {
        assert!(said((1, 10), (0, 0)));
        assert!(said((100, 10 << 20), (49, 9 << 20)));
        assert!(said((1, 10 << 20), (1, (5 << 20) - 1)));
        assert!(!said((0, 0), (0, 0)));
        assert!(!said((100, 10 << 20), (50, 5 << 20)));
        assert!(!said((10, 1000), (1, 10)));
    }
}
