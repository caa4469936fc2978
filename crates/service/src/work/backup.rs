//! One backup: every destination opened, the source read once, the engine's word awaited, each snapshot written.

use crate::destination::{Destination, Target};
use crate::error::ServiceError;
use crate::identity::{self, TaskUid};
use crate::job::{Done, GoodBackup, Verdict};
use crate::limits::Limits;
use crate::retention::Policy;
use crate::staging::Staging;
use crate::view::FailureCause;
use crate::work::mark::{Mark, Note};
use crate::work::part::{self, Part};
use crate::work::placing::Aim;
use crate::work::sink::WriterSink;
use crate::work::throttle::Gate;
use crate::work::together::{look_at, settle_all};
use crate::work::vault::Found;
use crate::work::{Known, Order, Place, heal, placing, protect, retain, shrink, waiting};
use larder_engines::{BackupJob, BackupReport, ChangeCheck, EngineError};
use larder_model::operation::DestinationOutcome;
use larder_model::task::{CompressionLevel, PeriodicBackupConfiguration, Periodicity};
use larder_model::{BackupKind, Counters, Database, OperationId, Secret, Source};
use larder_repository::{
    BackupOptions, BackupSummary, BackupWriter, Compression, ParentRule, Repository, RepositoryError, Seal,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How many unreadable things an error names.
const NAMED: usize = 5;

/// How many unreadable things a backup's note and an operation's messages keep.
const NOTED: usize = 100;

/// A backup to be made.
#[derive(Debug)]
pub(crate) struct Backup {
    /// The task's number for life; 0 for a one-time backup.
    pub(crate) task: TaskUid,
    pub(crate) database: Arc<Database>,
    pub(crate) source: Source,
    pub(crate) settings: PeriodicBackupConfiguration,
    /// What is kept of earlier backups.
    pub(crate) policy: Option<Policy>,
    pub(crate) kind: BackupKind,
    /// What this backup is kept as.
    pub(crate) periodicities: BTreeSet<Periodicity>,
    /// Whether the task has no good full backup yet.
    pub(crate) first: bool,
    /// Whether a person asked for a full backup: then what is there is what is meant, however small.
    pub(crate) taken_as_it_is: bool,
    /// Where it goes.
    pub(crate) targets: Vec<Target>,
    /// What the repositories are made and opened with.
    pub(crate) password: Secret,
    /// Which addresses hold repositories already.
    pub(crate) known: Known,
    /// What the administrator allows destinations to be.
    pub(crate) limits: Limits,
}

/// What was read and written.
struct Written {
    report: BackupReport,
    summary: BackupSummary,
    /// Why it is not trusted, though nothing failed.
    suspicion: Option<String>,
}

/// What is gathered on the way.
#[derive(Default)]
struct Account {
    messages: Vec<String>,
    /// One for each place, in their order; `None` until known.
    outcomes: Vec<DestinationOutcome>,
}

/// Why a backup ended early.
enum Stop {
    Canceled,
    Failed(String),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Canceled(_) => Self::Canceled,
            // The sink passes the writer's errors on, an abort among them.
            EngineError::Sink(inner)
                if inner.0.downcast_ref::<RepositoryError>().is_some_and(RepositoryError::is_canceled) =>
            {
                Self::Canceled
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<RepositoryError> for Stop {
    fn from(error: RepositoryError) -> Self {
        if error.is_canceled() { Self::Canceled } else { Self::Failed(error.to_string()) }
    }
}

impl From<ServiceError> for Stop {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Backup {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let mut account = Account::default();
        let mut done = match self.make(order, &mut account) {
            Ok(done) => done,
            Err(Stop::Canceled) => Done::default(),
            Err(Stop::Failed(cause)) => {
                Done::faulted(format!("the backup of {} failed: {cause}", self.database.name))
            }
        };
        // Whatever else happened, an aborted run that made no backup is an aborted run.
        if order.live.cancel.is_canceled() && done.good.is_none() {
            done.verdict = Verdict::Canceled;
        }
        done.messages = account.messages.into_iter().chain(std::mem::take(&mut done.messages)).collect();
        done.destinations = account.outcomes;
        done.encrypted = self.settings.backup.is_encrypted();
        if matches!(done.verdict, Verdict::Faulted(_)) && done.cause == FailureCause::Other {
            let at_a_destination = done.destinations.iter().any(|outcome| outcome.error.is_some());
            done.cause = if at_a_destination { FailureCause::Destination } else { FailureCause::Source };
        }
        done
    }

    fn make(&self, order: &Order, account: &mut Account) -> Result<Done, Stop> {
        let mut parts = self.open(order, account);
        if order.live.cancel.is_canceled() {
            return Err(Stop::Canceled);
        }
        if parts.is_empty() {
            return Err(Stop::Failed(errors(account)));
        }
        let done = self.make_at(order, &parts, account);
        protect::apply(order, &parts, &mut account.messages);
        if !order.live.cancel.is_canceled() {
            account.messages.extend(parts.iter_mut().filter_map(|part| part.vault.unsigned(&order.site)));
        }
        done
    }

    fn make_at(&self, order: &Order, parts: &[Part], account: &mut Account) -> Result<Done, Stop> {
        let spots = parts.iter().map(|part| Arc::clone(&part.vault.place.destination.spot)).collect();
        let kind = self.kind_for(order, parts);
        if kind == BackupKind::Incremental
            && parts.len() == account.outcomes.len()
            && let Some(good) = self.unchanged(order, parts)?
        {
            for (outcome, part) in account.outcomes.iter_mut().zip(parts) {
                outcome.backup = part.last_good(order).map(|found| found.snapshot.id.clone());
            }
            account.messages.push("nothing changed since the last backup, so none was made".to_owned());
            self.heal(order, parts, account);
            return Ok(Done {
                verdict: Verdict::Completed,
                kind: Some(kind),
                unchanged: true,
                good: Some(good),
                spots,
                ..Done::default()
            });
        }
        let written = self.write(order, parts, kind)?;
        let mut done = self.judge(order, parts, kind, &written, account);
        done.spots = spots;
        done.messages.extend(written.report.messages);
        done.messages.extend(waiting::told(written.summary.bytes_spilled));
        self.heal(order, parts, account);
        if done.verdict == Verdict::Completed {
            for part in parts {
                let (task, name) = (self.task, self.settings.name.as_str());
                let policy = self.policy.as_ref();
                let retained = retain::apply(order, &part.vault, (task, name), policy, &mut done.messages);
                done.removed.extend(retained.removed);
                if retained.retired {
                    done.retired.push(part.vault.place.destination.spot.address.clone());
                }
            }
        }
        Ok(done)
    }

    /// Brings to each destination what it lacks and another one has; after the backup's own snapshots are written.
    fn heal(&self, order: &Order, parts: &[Part], account: &mut Account) {
        // What was made once, for no task, belongs only where it was sent.
        if self.task == 0 {
            return;
        }
        let failed = |part: &&Part| {
            let name = &part.vault.place.destination.name;
            account.outcomes.iter().any(|outcome| outcome.destination == *name && outcome.error.is_some())
        };
        let sound = parts.iter().filter(|part| !failed(part));
        let members: Vec<_> =
            sound.map(|part| heal::Member { vault: &part.vault, before: &part.before }).collect();
        let task = (self.task, self.settings.name.as_str());
        // Counters of its own: this is no progress of the backup.
        let counters = Counters::default();
        let (messages, failed) = (&mut account.messages, Vec::new());
        let mut told = heal::Told { messages, failed, counters: &counters, only: None };
        heal::apply(order, &members, task, self.policy.as_ref(), &mut told);
    }

    /// Opens every destination; one that fails is out of this run, and says so.
    fn open(&self, order: &Order, account: &mut Account) -> Vec<Part> {
        let place = |aim: &Aim| {
            let spot = aim.spot.clone()?;
            let destination = Destination { name: aim.name.clone(), spot };
            Ok(self.known.place(destination, vec![self.password.clone()]))
        };
        let aims = placing::aims(&self.targets, &self.limits, &order.live.cancel);
        let places: Vec<Result<Place, String>> = aims.iter().map(place).collect();
        let looks = look_at(&order.site, &self.database, &places, &order.live.cancel);
        if order.live.cancel.is_canceled() {
            return Vec::new();
        }
        let settled = settle_all(&order.site, &self.database, &places, looks, &mut account.messages);
        let mut parts: Vec<Part> = Vec::new();
        for (aim, opened) in aims.into_iter().zip(settled) {
            let mut outcome = DestinationOutcome {
                destination: aim.name,
                kind: Some(aim.kind),
                address: None,
                backup: None,
                bytes_stored: 0,
                error: None,
            };
            match opened {
                Ok((vault, before)) => {
                    outcome.address = Some(vault.place.destination.view(&self.database.name).address);
                    parts.push(Part { vault, before });
                }
                Err(error) => outcome.error = Some(error),
            }
            account.outcomes.push(outcome);
        }
        parts
    }

    /// The first backup of a database is full, and so is the first at a destination.
    fn kind_for(&self, order: &Order, parts: &[Part]) -> BackupKind {
        let nothing_to_go_on_from = self.first || parts.iter().any(|part| part.last_good(order).is_none());
        if nothing_to_go_on_from { BackupKind::Full } else { self.kind }
    }

    /// Says which good backup still holds, where it is proved that nothing changed since: every destination has it.
    fn unchanged(&self, order: &Order, parts: &[Part]) -> Result<Option<GoodBackup>, Stop> {
        let engine = order.site.engines.get(self.database.engine);
        if !engine.capabilities().detects_unchanged {
            return Ok(None);
        }
        let mut position = None;
        for part in parts {
            // The newest of all must be that good one: after an incomplete backup, another try is owed.
            let newest = part.before.iter().find(|found| order.site.is_ours(found));
            // A backup that is kept as something else does not stand for one that is to be kept as this.
            let asked = [Periodicity::Manual, Periodicity::Shutdown];
            let mut wanted = self.periodicities.iter().filter(|one| !asked.contains(one));
            let stands = |found: &&Found| {
                found.quality.is_good() && wanted.all(|one| found.mark.periodicities.contains(one))
            };
            let Some(newest) = newest.filter(stands) else { return Ok(None) };
            let its = newest.note().report.position;
            if its.is_none() || (position.is_some() && position != its) {
                return Ok(None);
            }
            position = its;
        }
        let (Some(position), Some(first)) = (position, parts.first().and_then(|part| part.last_good(order)))
        else {
            return Ok(None);
        };
        match engine.changed(&self.source, &self.database, &position)? {
            ChangeCheck::MaybeChanged => Ok(None),
            ChangeCheck::Unchanged => Ok(Some(GoodBackup {
                id: first.snapshot.id.clone(),
                time: order.started,
                position: Some(position),
            })),
        }
    }

    /// Has the engine write into every destination at once. Only its own word that the backup is complete lets the
    /// snapshots be written.
    fn write(&self, order: &Order, parts: &[Part], kind: BackupKind) -> Result<Written, Stop> {
        let staging = Staging::create(&order.site.staging, order.id)?;
        let targets: Vec<Repository> = parts.iter().map(|part| part.vault.repository.clone()).collect();
        let (cancel, counters) = (&order.live.cancel, &order.live.counters);
        let destinations = parts.iter().map(|part| &part.vault.place.destination);
        counters.set_destinations(destinations.map(|one| (one.name.clone(), Some(one.spot.kind()))));
        let previous = if kind == BackupKind::Full { None } else { part::previous(order, parts) };
        let options = self.options(order, kind, previous.as_ref(), (parts, staging.path()));
        let mut writer = BackupWriter::start(&targets, options, cancel.clone(), Arc::clone(counters))?;
        let mut source = self.source.clone();
        source.exclude.extend(self.settings.exclude.iter().cloned());
        let chain = identity::chain(&order.site.identifier, self.task, &self.database.name);
        let job = BackupJob {
            source: &source,
            database: &self.database,
            kind,
            backup_type: self.settings.backup.backup_type,
            previous: previous.as_ref().map(|(_, report)| report),
            chain: &chain,
            staging: staging.path(),
            own_directories: &order.site.own_directories,
            cancel,
            counters,
        };
        let engine = order.site.engines.get(self.database.engine);
        let gate = Gate::new(self.settings.backup.max_read_ops_per_second, cancel);
        let report = engine.backup(&job, &mut WriterSink { writer: &mut writer, gate })?;
        let mut suspicion = None;
        let summary = writer.finish_with(|unreadable| {
            suspicion = self.suspicion(order, parts, &report);
            self.seal(&report, unreadable, suspicion.is_some())
        })?;
        Ok(Written { report, summary, suspicion })
    }

    /// Holds what was read against the last good backup of the first destination that has one.
    fn suspicion(&self, order: &Order, parts: &[Part], report: &BackupReport) -> Option<String> {
        if self.taken_as_it_is {
            return None;
        }
        let before = parts.iter().find_map(|part| shrink::state(part.last_good(order)?))?;
        let counters = &order.live.counters;
        let now = (counters.items_done.load(Relaxed), counters.bytes_done.load(Relaxed));
        shrink::suspicion(before, shrink::without(now, report.history()))
    }

    /// Returns what is written on the snapshot in the end.
    fn seal(&self, report: &BackupReport, unreadable: &[(String, String)], suspicious: bool) -> Seal {
        let note = Note {
            database: Some(self.database.name.clone()),
            report: report.clone(),
            unreadable: unreadable
                .iter()
                .take(NOTED)
                .map(|(path, cause)| format!("{path}: {cause}"))
                .collect(),
        };
        // A note is plain text and numbers, which always become JSON.
        Seal {
            extra_tags: Mark::last_tags(!unreadable.is_empty(), suspicious),
            larder: serde_json::to_value(&note).ok(),
        }
    }

    fn options(
        &self,
        order: &Order,
        kind: BackupKind,
        previous: Option<&(OperationId, BackupReport)>,
        (parts, staging): (&[Part], &Path),
    ) -> BackupOptions {
        let mark = Mark {
            larder: true,
            kind: Some(kind),
            task: Some(self.settings.name.clone()).filter(|name| !name.is_empty()),
            task_uid: Some(self.task),
            periodicities: self.periodicities.clone(),
            operation: Some(order.id),
            identifier: Some(order.site.identifier.clone()),
            engine: Some(self.database.engine),
            incomplete: false,
            suspicious: false,
        };
        let mut tags = vec![
            "larder".to_owned(),
            format!("engine={}", self.database.engine),
            format!("identifier={}", order.site.identifier),
        ];
        // What goes on from a position takes over what belongs to that position, and nothing else.
        let exact = previous.filter(|(_, report)| report.position.is_some());
        tags.extend(exact.map(|(operation, _)| format!("operation={operation}")));
        let parent = ParentRule { tags, paths: None, hostname: None };
        BackupOptions {
            paths: vec![self.database.locator.clone()],
            hostname: order.site.hostname.clone(),
            username: order.site.username.clone(),
            tags: mark.tags(),
            parent: (kind == BackupKind::Incremental).then_some(parent),
            compression: self.compression(),
            spill: waiting::on_disk(
                self.settings.backup.backup_upload_mode,
                parts,
                (staging, order.site.staging_limit),
            ),
            ..BackupOptions::new(order.started.to_zoned(order.site.time_zone.clone()))
        }
    }

    /// RavenDB's levels, in the repository's words.
    fn compression(&self) -> Compression {
        match self.settings.backup.snapshot_settings.map(|settings| settings.compression_level) {
            None | Some(CompressionLevel::Optimal) => Compression::Optimal,
            Some(CompressionLevel::Fastest) => Compression::Fastest,
            Some(CompressionLevel::NoCompression) => Compression::NoCompression,
            Some(CompressionLevel::SmallestSize) => Compression::SmallestSize,
        }
    }

    /// Turns what was written into the operation's outcome: green only where everything is there, everywhere.
    fn judge(
        &self,
        order: &Order,
        parts: &[Part],
        kind: BackupKind,
        written: &Written,
        account: &mut Account,
    ) -> Done {
        let Written { report, summary, suspicion } = written;
        let mut made = None;
        let mut canceled = false;
        for (part, target) in parts.iter().zip(&summary.targets) {
            let name = &part.vault.place.destination.name;
            let Some(outcome) = account.outcomes.iter_mut().find(|outcome| outcome.destination == *name)
            else {
                continue;
            };
            outcome.bytes_stored = target.bytes_stored;
            match &target.snapshot {
                Ok(id) => {
                    outcome.backup = Some(id.clone());
                    made = made.or(Some(id.clone()));
                }
                Err(error) => {
                    canceled |= error.is_canceled();
                    outcome.error = Some(error.to_string());
                }
            }
        }
        let unreadable = &summary.unreadable;
        let whole = unreadable.is_empty() && suspicion.is_none();
        let good = made.as_ref().filter(|_| whole).map(|id| GoodBackup {
            id: id.clone(),
            time: order.started,
            position: report.position.clone(),
        });
        let failed = account.outcomes.iter().any(|outcome| outcome.error.is_some());
        let verdict = match made {
            None if canceled => Verdict::Canceled,
            None => {
                Verdict::Faulted(format!("the backup of {} failed: {}", self.database.name, errors(account)))
            }
            Some(_) if !unreadable.is_empty() => Verdict::Faulted(self.incomplete(unreadable)),
            Some(_) if suspicion.is_some() => Verdict::Faulted(format!(
                "the backup of {} is kept but suspicious: {}; check that the source is all there (a disk that is not mounted?), and if it is, make a full backup by hand to take it as it is",
                self.database.name,
                suspicion.as_deref().unwrap_or_default()
            )),
            Some(_) if failed => Verdict::Faulted(format!(
                "the backup of {} is not at every destination: {}",
                self.database.name,
                errors(account)
            )),
            Some(_) => Verdict::Completed,
        };
        let listed =
            unreadable.iter().take(NOTED).map(|(path, cause)| format!("not readable: {path}: {cause}"));
        let cause = match (unreadable.is_empty(), suspicion) {
            (false, _) => FailureCause::Source,
            (true, Some(_)) => FailureCause::Suspicious,
            (true, None) => FailureCause::Other,
        };
        Done { verdict, messages: listed.collect(), kind: Some(kind), good, cause, ..Done::default() }
    }

    fn incomplete(&self, unreadable: &[(String, String)]) -> String {
        let named = unreadable.iter().take(NAMED).map(|(path, cause)| format!("{path} ({cause})"));
        let mut named = named.collect::<Vec<_>>().join(", ");
        if unreadable.len() > NAMED {
            named = format!("{named} and {} more", unreadable.len() - NAMED);
        }
        let count = unreadable.len();
        let things = if count == 1 { "1 thing" } else { &format!("{count} things") };
        format!(
            "the backup of {} is kept but incomplete, because {things} could not be read: {named}; give Larder the right to read, or exclude what is not needed",
            self.database.name
        )
    }
}

/// Joins what went wrong at the destinations into the middle of a sentence.
fn errors(account: &Account) -> String {
    let errors = account.outcomes.iter().filter_map(|outcome| {
        outcome
            .error
            .as_ref()
            .map(|error| format!("{}: {}", outcome.destination, error.trim_end_matches('.')))
    });
    let errors = errors.collect::<Vec<_>>().join("; ");
    if errors.is_empty() {
        "the task has no destination that is enabled; give it one".to_owned()
    } else {
        errors
    }
}
