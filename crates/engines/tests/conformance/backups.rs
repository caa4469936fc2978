//! Backups made and restored for a test.

use super::Bench;
use crate::memory::{MemoryBackup, database};
use larder_engines::{
    BackupJob, BackupReader, BackupReport, ChangeCheck, CompareJob, Comparison, EngineError, ProofJob,
    RestoreJob, RestoreReport, RestoreTarget, Sink,
};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, Database, Source};
use larder_testbed::TempDir;

/// A backup, and what the engine reported.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) backup: MemoryBackup,
    pub(crate) report: BackupReport,
    pub(crate) database: Database,
}

/// Takes a backup into any sink.
pub(crate) fn try_take(
    bench: &dyn Bench,
    source: &Source,
    name: &str,
    previous: Option<&BackupReport>,
    sink: &mut dyn Sink,
    cancel: &Cancel,
) -> Result<BackupReport, EngineError> {
    let staging = TempDir::new();
    let job = BackupJob {
        source,
        database: &database(source, name),
        kind: if previous.is_some() { BackupKind::Incremental } else { BackupKind::Full },
        backup_type: BackupType::default(),
        previous,
        chain: "test",
        staging: staging.path(),
        own_directories: &[],
        cancel,
        counters: &Counters::default(),
    };
    bench.engines().get(bench.kind()).backup(&job, sink)
}

impl dyn Bench + '_ {
    /// Takes a full backup, which must succeed.
    pub(crate) fn full(&self, name: &str) -> Taken {
        let (mut backup, source) = (MemoryBackup::default(), self.source());
        let report = try_take(self, &source, name, None, &mut backup, &Cancel::new()).unwrap();
        assert!(backup.unreadable.is_empty(), "{:?}", backup.unreadable);
        assert!(!backup.entries.is_empty() && !report.evidence.is_empty());
        Taken { backup, report, database: database(&source, name) }
    }

    /// Takes an incremental backup, which must succeed and be whole by itself.
    pub(crate) fn incremental(&self, name: &str, previous: Taken) -> Taken {
        let source = self.source();
        let mut backup = MemoryBackup::default();
        backup.previous = Some(Box::new(previous.backup));
        let taken = try_take(self, &source, name, Some(&previous.report), &mut backup, &Cancel::new());
        let report = taken.unwrap();
        backup.previous = None;
        Taken { backup, report, database: database(&source, name) }
    }

    /// Takes a full backup through a source.
    pub(crate) fn try_full(&self, source: &Source, name: &str) -> Result<MemoryBackup, EngineError> {
        let mut backup = MemoryBackup::default();
        try_take(self, source, name, None, &mut backup, &Cancel::new()).map(|_| backup)
    }

    /// Asks whether a database changed since a backup.
    pub(crate) fn changed(&self, taken: &Taken) -> ChangeCheck {
        let position = taken.report.position.as_deref().unwrap_or_default();
        let engines = self.engines();
        engines.get(self.kind()).changed(&self.source(), &taken.database, position).unwrap()
    }

    /// Restores a backup into a server.
    pub(crate) fn try_restore(
        &self,
        taken: &Taken,
        source: &Source,
        name: &str,
        overwrite: bool,
    ) -> Result<RestoreReport, EngineError> {
        self.try_restore_from(&taken.backup, &taken.report, source, name, overwrite)
    }

    /// Restores a backup into a server, where nothing is in the way.
    pub(crate) fn restore(&self, taken: &Taken, source: &Source, name: &str) {
        self.try_restore(taken, source, name, false).unwrap();
    }

    /// Restores what a reader gives into a server.
    pub(crate) fn try_restore_from(
        &self,
        backup: &dyn BackupReader,
        report: &BackupReport,
        source: &Source,
        name: &str,
        overwrite: bool,
    ) -> Result<RestoreReport, EngineError> {
        let (staging, cancel) = (TempDir::new(), Cancel::new());
        let job = RestoreJob {
            target: RestoreTarget::Server { source, name },
            overwrite,
            until: None,
            staging: staging.path(),
            report: Some(report),
            cancel: &cancel,
        };
        self.engines().get(self.kind()).restore(&job, backup)
    }

    /// Compares a restored database with its backup.
    pub(crate) fn compare(&self, taken: &Taken, source: &Source, name: &str) -> Comparison {
        let job = CompareJob {
            source: None,
            database: &taken.database,
            report: &taken.report,
            restored: RestoreTarget::Server { source, name },
            cancel: &Cancel::new(),
        };
        self.engines().get(self.kind()).compare(&job, &taken.backup).unwrap()
    }

    /// Proves a backup.
    pub(crate) fn prove(&self, taken: &Taken) -> Comparison {
        let (scratch, source) = (TempDir::new(), self.source());
        let job = ProofJob {
            source: Some(&source),
            database: &taken.database,
            report: &taken.report,
            scratch: scratch.path(),
            cancel: &Cancel::new(),
        };
        self.engines().get(self.kind()).prove(&job, &taken.backup).unwrap()
    }
}
