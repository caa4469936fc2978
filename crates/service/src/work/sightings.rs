//! What lists have seen of backups, so that a list of thousands at a distant destination is read once and not at each look.
//!
//! A snapshot never changes: it is named by the hash of its bytes. So what it says is remembered by its name, for showing
//! alone. Which backups there are is asked of the destination every time, and whoever restores, compares, counts or
//! removes reads them anew.

use crate::work::mark::{Mark, Note};
use crate::work::vault::Found;
use jiff::Timestamp;
use larder_engines::Engines;
use larder_model::{BackupId, BackupQuality, Database, RestorePoint};
use larder_repository::{Id, Snapshot};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All that is remembered takes no more, about: some forty thousand backups. What was not looked at for longest goes first.
const MOST_BYTES: usize = 16 << 20;
/// What one more entry costs the maps, about.
const ENTRY_BYTES: usize = 64;

/// The name of a snapshot object, and its size in bytes: one that was cut since is not the one that was seen.
pub(crate) type Object = (Id, u64);

/// What a list shows of a backup, as long as nothing is said of whether it was proved since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) id: BackupId,
    pub(crate) time: Timestamp,
    pub(crate) mark: Mark,
    size_bytes: u64,
    files: u64,
    /// Between which moments a restore of it can end anywhere.
    recoverable: Option<(Timestamp, Timestamp)>,
}

impl Sighting {
    pub(crate) fn of(engines: &Engines, snapshot: &Snapshot) -> Self {
        let mark = Mark::of(snapshot);
        let summary = snapshot.summary.as_ref();
        Self {
            id: snapshot.id.clone(),
            time: snapshot.time,
            size_bytes: summary.map_or(0, |summary| summary.total_bytes_processed),
            files: summary.map_or(0, |summary| summary.total_files_processed),
            recoverable: recoverable(engines, &mark, snapshot),
            mark,
        }
    }

    /// Shows it as lists do.
    pub(crate) fn point(
        &self,
        destination: &str,
        database: &Database,
        quality: BackupQuality,
        verified: &HashMap<BackupId, bool>,
    ) -> RestorePoint {
        let proved = quality == BackupQuality::Good && verified.get(&self.id) == Some(&true);
        let (recoverable_from, recoverable_until) = self.recoverable.unzip();
        RestorePoint {
            id: self.id.clone(),
            database: database.name.clone(),
            engine: self.mark.engine,
            destination: destination.to_owned(),
            time: self.time,
            kind: self.mark.kind,
            quality: if proved { BackupQuality::Verified } else { quality },
            size_bytes: self.size_bytes,
            files: self.files,
            operation: self.mark.operation,
            periodicities: self.mark.periodicities.iter().copied().collect(),
            recoverable_from,
            recoverable_until,
        }
    }

    fn bytes(&self) -> usize {
        let words = [&self.mark.task, &self.mark.identifier];
        let words = words.into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + size_of::<Object>() + ENTRY_BYTES + self.id.0.len() + words
    }
}

impl Found {
    /// Shows it as lists do.
    pub(crate) fn point(
        &self,
        engines: &Engines,
        destination: &str,
        database: &Database,
        verified: &HashMap<BackupId, bool>,
    ) -> RestorePoint {
        Sighting::of(engines, &self.snapshot).point(destination, database, self.quality, verified)
    }
}

fn recoverable(engines: &Engines, mark: &Mark, snapshot: &Snapshot) -> Option<(Timestamp, Timestamp)> {
    let engine = engines.get(mark.engine?);
    // What the others report need not be read for that: there may be thousands of backups with thousands of tables.
    let report =
        engine.capabilities().point_in_time.then(|| Note::of(snapshot).unwrap_or_default().report)?;
    engine.recoverable(&report)
}

/// Remembers what lists have seen; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sightings {
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    repositories: HashMap<String, Remembered>,
    bytes: usize,
    looks: u64,
}

/// What was seen in one repository.
#[derive(Debug, Default)]
struct Remembered {
    backups: HashMap<Object, Arc<Sighting>>,
    bytes: usize,
    last_look: u64,
}

impl Sightings {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is remembered of the backups that a repository holds now, and the others. What it holds no more is
    /// forgotten.
    pub(crate) fn recall(&self, repository: &str, there: &[Object]) -> (Vec<Arc<Sighting>>, Vec<Object>) {
        let mut memory = self.memory();
        memory.looks += 1;
        let look = memory.looks;
        let Some(its) = memory.repositories.get_mut(repository) else {
            return (Vec::new(), there.to_vec());
        };
        its.last_look = look;
        let present: HashSet<&Object> = there.iter().collect();
        let mut gone = 0;
        its.backups.retain(|object, backup| {
            let stays = present.contains(object);
            gone += if stays { 0 } else { backup.bytes() };
            stays
        });
        its.bytes = its.bytes.saturating_sub(gone);
        let (mut known, mut unknown) = (Vec::with_capacity(there.len()), Vec::new());
        for object in there {
            match its.backups.get(object) {
                Some(backup) => known.push(Arc::clone(backup)),
                None => unknown.push(*object),
            }
        }
        memory.bytes = memory.bytes.saturating_sub(gone);
        (known, unknown)
    }

    /// Remembers backups of a repository, as far as there is room.
    pub(crate) fn keep(&self, repository: &str, seen: &[(Object, Arc<Sighting>)]) {
        self.keep_within(MOST_BYTES, repository, seen);
    }

    fn keep_within(&self, most_bytes: usize, repository: &str, seen: &[(Object, Arc<Sighting>)]) {
        let mut memory = self.memory();
        memory.looks += 1;
        let look = memory.looks;
        let its = memory.repositories.entry(repository.to_owned()).or_default();
        its.last_look = look;
        let before = its.bytes;
        for (object, backup) in seen {
            if its.bytes.saturating_add(backup.bytes()) > most_bytes {
                break;
            }
            if its.backups.insert(*object, Arc::clone(backup)).is_none() {
                its.bytes += backup.bytes();
            }
        }
        let gained = its.bytes - before;
        memory.bytes += gained;
        while memory.bytes > most_bytes {
            let others = memory.repositories.iter().filter(|(name, _)| *name != repository);
            let Some(oldest) = others.min_by_key(|(_, its)| its.last_look).map(|(name, _)| name.clone())
            else {
                break;
            };
            let freed = memory.repositories.remove(&oldest).map_or(0, |its| its.bytes);
            memory.bytes = memory.bytes.saturating_sub(freed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(number: u8) -> (Object, Arc<Sighting>) {
        let id = Id::from_bytes([number; 32]);
        let sighting = Sighting {
            id: BackupId(id.to_hex()),
            time: Timestamp::from_second(i64::from(number)).unwrap(),
            mark: Mark { task: Some("Nightly".to_owned()), ..Mark::default() },
            size_bytes: 7,
            files: 1,
            recoverable: None,
        };
        ((id, 300), Arc::new(sighting))
    }

    fn known(sightings: &Sightings, repository: &str, there: &[Object]) -> usize {
        sightings.recall(repository, there).0.len()
    }

    #[test]
    fn what_was_seen_is_known_by_its_name_as_long_as_it_is_there() {
        let sightings = Sightings::default();
        let seen: Vec<_> = (1..4).map(sighting).collect();
        let there: Vec<Object> = seen.iter().map(|(object, _)| *object).collect();
        assert_eq!(sightings.recall("a", &there), (vec![], there.clone()));
        sightings.keep("a", &seen);
        let cut = (there[2].0, 7);
        let (known_now, unknown) = sightings.recall("a", &[there[0], cut]);
        assert_eq!(
            (known_now.as_slice(), unknown.as_slice()),
            ([Arc::clone(&seen[0].1)].as_slice(), [cut].as_slice())
        );
        // Those that were not there any more are forgotten.
        assert_eq!(sightings.recall("a", &there).1, there[1..]);
        assert_eq!(known(&sightings, "b", &there), 0);
    }

    #[test]
    fn what_was_not_looked_at_for_longest_is_forgotten_first() {
        let sightings = Sightings::default();
        let seen: Vec<_> = (1..4).map(sighting).collect();
        let there: Vec<Object> = seen.iter().map(|(object, _)| *object).collect();
        let room = 7 * seen[0].1.bytes();
        for repository in ["a", "b"] {
            sightings.keep_within(room, repository, &seen);
        }
        assert_eq!(known(&sightings, "a", &there), 3);
        sightings.keep_within(room, "c", &seen);
        assert_eq!(["a", "b", "c"].map(|name| known(&sightings, name, &there)), [3, 0, 3]);
        assert!(sightings.memory().bytes <= room);
        // One that has no room for all it holds keeps a part, and nothing else is forgotten for ever after.
        let many: Vec<_> = (1..40).map(sighting).collect();
        sightings.keep_within(room, "d", &many);
        assert_eq!(known(&sightings, "d", &many.iter().map(|(object, _)| *object).collect::<Vec<_>>()), 7);
        assert!(sightings.memory().bytes <= room);
        sightings.recall("d", &[]);
        assert_eq!(sightings.memory().bytes, 0);
    }
}
