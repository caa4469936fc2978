//! Looking into backups: listed, searched, compared, handed out piece by piece.

use crate::contents::{
    BackupDifference, ChangeCount, ChangeKind, ChangedEntry, ComparedMeasure, Section, StoredDirectory,
    StoredEntry, StoredMatches,
};
use crate::error::ServiceError;
use crate::request::BackupChoice;
use crate::work::sightings::Sighting;
use crate::work::vault::{Found, Vault, choose};
use crate::work::{Place, Site};
use jiff::Timestamp;
use larder_engines::{BackupReport, Measure, measures};
use larder_model::{BackupId, BackupPath, Cancel, Counters, Database, EntryKind, RestorePoint};
use larder_repository::{Browser, Listed, RepositoryError};
use std::collections::HashMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Where a database's backups lie, and what is needed to look into them. Its calls block.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) site: Site,
    pub(crate) database: Arc<Database>,
    pub(crate) places: Vec<Place>,
    pub(crate) verified: HashMap<BackupId, bool>,
    /// Raised when nobody waits for it any more.
    pub(crate) cancel: Cancel,
}

/// A backup that is open.
#[derive(Debug)]
struct Open {
    browser: Browser,
    point: RestorePoint,
    report: BackupReport,
}

/// What of a backup is wanted as a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The bytes of a file.
    File(BackupPath),
    /// Everything at a path, as a tar archive.
    Archive(BackupPath),
}

/// A stream that is ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    browser: Browser,
    wanted: Wanted,
    /// What the file is to be called where it is kept.
    pub(crate) name: String,
    /// How long it will be, where that is known before it is read.
    pub(crate) bytes: Option<u64>,
}

impl Look {
    /// Opens backups, each at the destination that has the newest one that fits; what one has lost comes from the others.
    fn open(&self, choices: &[&BackupChoice]) -> Result<Vec<Open>, ServiceError> {
        let none =
            || ServiceError::not_found("backup of database", self.database.name.as_str(), "make one first");
        let vaults = self.site.open_any(&self.places, &self.database)?;
        let mut picked: Vec<(usize, Found)> = Vec::new();
        for choice in choices {
            let mut best: Option<(usize, Found)> = None;
            let mut refused = None;
            for (number, vault) in vaults.iter().enumerate() {
                let place = vault.repository.describe();
                let found = self.found(vault, choice).and_then(|all| choose(&all, choice, &place).cloned());
                match found {
                    Ok(one)
                        if best.as_ref().is_none_or(|(_, best)| one.snapshot.time > best.snapshot.time) =>
                    {
                        best = Some((number, one));
                    }
                    Ok(_) => {}
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            picked.push(best.ok_or_else(|| refused.unwrap_or_else(none))?);
        }
        let Some((first, found)) = picked.first() else { return Ok(Vec::new()) };
        let numbers = std::iter::once(*first).chain((0..vaults.len()).filter(|number| number != first));
        let repositories: Vec<_> =
            numbers.filter_map(|number| vaults.get(number)).map(|vault| vault.repository.clone()).collect();
        let browser = Browser::open(&repositories, &found.snapshot, &self.cancel)?;
        let opened = picked.iter().filter_map(|(number, found)| {
            let vault = vaults.get(*number)?;
            Some(Open {
                browser: browser.beside(&found.snapshot),
                point: found.point(
                    &self.site.engines,
                    &vault.place.destination.name,
                    &self.database,
                    &self.verified,
                ),
                report: found.note().report,
            })
        });
        Ok(opened.collect())
    }

    /// Lists what a choice can mean. Only that is read, since there may be thousands: of one that is not named, which it
    /// is is known from lists that were made before.
    fn found(&self, vault: &Vault, choice: &BackupChoice) -> Result<Vec<Found>, ServiceError> {
        let until = match choice {
            BackupChoice::Id(id) => return vault.snapshots_called(&self.site, id, &self.cancel),
            BackupChoice::Latest => Timestamp::MAX,
            BackupChoice::AtOrBefore(until) => *until,
        };
        let (seen, _) = vault.sightings(&self.site, &self.cancel)?;
        let good = |one: &Sighting| self.site.quality(&one.id, &one.mark).is_good();
        let Some(one) = seen.iter().find(|one| one.time <= until && good(one)) else { return Ok(Vec::new()) };
        match vault.snapshots_called(&self.site, &one.id.0, &self.cancel) {
            Ok(found) => Ok(found),
            // It was damaged since: the one before it may do.
            Err(_) => Ok(vault.readable_snapshots(&self.site, &self.cancel)?.0),
        }
    }

    fn open_one(&self, choice: &BackupChoice) -> Result<Open, ServiceError> {
        let none = || ServiceError::not_found("backup", "latest", "make one first");
        self.open(&[choice])?.pop().ok_or_else(none)
    }

    /// Lists a part of a directory.
    pub(crate) fn directory(
        &self,
        choice: &BackupChoice,
        path: &BackupPath,
        section: Section,
    ) -> Result<StoredDirectory, ServiceError> {
        let open = self.open_one(choice)?;
        let mut entries = match listed(&open.browser, path)? {
            Listed::Directory(entries) => entries,
            Listed::Other(_) => {
                return Err(ServiceError::invalid(
                    "path",
                    format!("'{path}' is no directory; download it, or list the directory it lies in"),
                ));
            }
        };
        entries.sort_by(|a, b| {
            let kinds = (a.kind != EntryKind::Directory).cmp(&(b.kind != EntryKind::Directory));
            kinds.then_with(|| a.name.cmp(&b.name))
        });
        let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
        let file_bytes = files.fold(0_u64, |sum, entry| sum.saturating_add(entry.metadata.size));
        let shown = entries.iter().skip(section.start).take(section.count);
        Ok(StoredDirectory {
            backup: open.point,
            entries: shown.map(|entry| StoredEntry::of(path.join(&entry.name), entry)).collect(),
            path: path.clone(),
            start: section.start,
            total: entries.len(),
            file_bytes,
        })
    }

    /// Finds what has every word in its name, whatever the case; a word with a stroke is looked for in the whole path.
    pub(crate) fn search(
        &self,
        choice: &BackupChoice,
        words: &str,
        section: Section,
    ) -> Result<StoredMatches, ServiceError> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        if words.is_empty() {
            return Err(ServiceError::invalid("text", "say what the name is to contain"));
        }
        let open = self.open_one(choice)?;
        let (mut passed, mut entries, mut more) = (0, Vec::new(), false);
        open.browser.for_each_entry(&mut |path, entry| {
            let name = String::from_utf8_lossy(&entry.name).to_lowercase();
            let fits = |word: &String| match word.contains('/') {
                true => String::from_utf8_lossy(path).to_lowercase().contains(word),
                false => name.contains(word),
            };
            if !words.iter().all(fits) {
                return ControlFlow::Continue(());
            }
            if passed < section.start {
                passed += 1;
            } else if entries.len() < section.count {
                entries.push(StoredEntry::of(BackupPath::new(path), entry));
            } else {
                more = true;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(StoredMatches { backup: open.point, entries, more })
    }

    /// Says what differs between two backups; of the entries a part, of the given kinds.
    pub(crate) fn difference(
        &self,
        before: &BackupChoice,
        after: &BackupChoice,
        only: &[ChangeKind],
        section: Section,
    ) -> Result<BackupDifference, ServiceError> {
        let none = || ServiceError::not_found("backup", "latest", "make one first");
        let mut opened = self.open(&[before, after])?;
        let (after, before) = (opened.pop().ok_or_else(none)?, opened.pop().ok_or_else(none)?);
        let counted = |kind| ChangeCount { kind, entries: 0, bytes_before: 0, bytes_after: 0 };
        let mut counts = ChangeKind::ALL.map(counted);
        let (mut total, mut entries) = (0, Vec::new());
        before.browser.compare(&after.browser, &mut |altered| {
            let change = ChangeKind::from(altered.how);
            let bytes = |entry: Option<&larder_model::Entry>| {
                let file = entry.filter(|entry| entry.kind == EntryKind::File);
                file.map_or(0, |file| file.metadata.size)
            };
            if let Some(count) = counts.iter_mut().find(|count| count.kind == change) {
                count.entries += 1;
                count.bytes_before = count.bytes_before.saturating_add(bytes(altered.before));
                count.bytes_after = count.bytes_after.saturating_add(bytes(altered.after));
            }
            if only.is_empty() || only.contains(&change) {
                if total >= section.start && entries.len() < section.count {
                    let of = |entry| StoredEntry::of(BackupPath::new(altered.path), entry);
                    entries.push(ChangedEntry {
                        change,
                        before: altered.before.map(of),
                        after: altered.after.map(of),
                    });
                }
                total += 1;
            }
            ControlFlow::Continue(())
        })?;
        Ok(BackupDifference {
            measures: compared(&before.report, &after.report),
            before: before.point,
            after: after.point,
            counts: counts.to_vec(),
            entries,
            start: section.start,
            total,
        })
    }

    /// Finds what is to be handed out, and makes everything ready for it.
    pub(crate) fn prepare(&self, choice: &BackupChoice, wanted: Wanted) -> Result<Prepared, ServiceError> {
        let open = self.open_one(choice)?;
        let (Wanted::File(path) | Wanted::Archive(path)) = &wanted;
        let found = listed(&open.browser, path)?;
        let (name, bytes) = match (&wanted, &found) {
            (Wanted::File(_), Listed::Other(entry)) if entry.kind == EntryKind::File => {
                (path.name(), Some(open.browser.file_bytes(path.as_bytes())?))
            }
            (Wanted::File(_), _) => {
                return Err(ServiceError::invalid(
                    "path",
                    format!("'{path}' is no file; download it as an archive"),
                ));
            }
            (Wanted::Archive(_), _) if path.is_root() => {
                let time = open.point.time.to_zoned(self.site.time_zone.clone());
                (format!("{}-{}.tar", self.database.name, time.strftime("%Y-%m-%d-%H%M")), None)
            }
            (Wanted::Archive(_), _) => (format!("{}.tar", path.name()), None),
        };
        Ok(Prepared { browser: open.browser, wanted, name, bytes })
    }
}

impl Prepared {
    /// Writes it, each byte once its hash was checked.
    pub(crate) fn write(&self, out: &mut dyn Write) -> Result<(), RepositoryError> {
        // Nobody watches them: whoever takes the stream sees how far it is.
        let counters = Counters::default();
        match &self.wanted {
            Wanted::File(path) => self.browser.write_file(path.as_bytes(), out, &counters).map(drop),
            Wanted::Archive(path) => {
                let path = Some(path.as_bytes()).filter(|_| !path.is_root());
                self.browser.write_archive(path, out, &counters).map(drop)
            }
        }
    }
}

fn listed(browser: &Browser, path: &BackupPath) -> Result<Listed, ServiceError> {
    browser.entries(path.as_bytes())?.ok_or_else(|| {
        let remedy = "list the directory above it to see what the backup holds";
        ServiceError::not_found("file or directory in this backup called", path.to_string(), remedy)
    })
}

/// Holds what the engine counted in one backup against what it counted in another; what differs comes first.
fn compared(before: &BackupReport, after: &BackupReport) -> Vec<ComparedMeasure> {
    let (before, after) = (measures(before), measures(after));
    let key = |measure: &Measure| (measure.is_table, measure.subject.clone());
    let mut later: HashMap<_, &Measure> = after.iter().map(|measure| (key(measure), measure)).collect();
    let of = |before: Option<&Measure>, after: Option<&Measure>| {
        let change = match (before, after) {
            (None, _) => Some(ChangeKind::Added),
            (_, None) => Some(ChangeKind::Removed),
            (Some(before), Some(after)) => (before != after).then_some(ChangeKind::Changed),
        };
        let any = before.or(after)?;
        Some(ComparedMeasure {
            subject: any.subject.clone(),
            is_table: any.is_table,
            change,
            count_before: before.and_then(|measure| measure.count),
            count_after: after.and_then(|measure| measure.count),
        })
    };
    let mut all: Vec<ComparedMeasure> =
        before.iter().filter_map(|measure| of(Some(measure), later.remove(&key(measure)))).collect();
    let only_later = after.iter().filter(|measure| later.contains_key(&key(measure)));
    all.extend(only_later.filter_map(|measure| of(None, Some(measure))));
    all.sort_by_key(|measure| (measure.change.is_none(), !measure.is_table));
    all
}
