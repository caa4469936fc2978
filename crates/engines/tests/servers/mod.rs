//! What the tests of engines for servers have in common.
#![allow(dead_code, reason = "each test binary uses another part")]

use crate::memory::MemoryBackup;
use larder_engines::{
    BackupJob, BackupReport, CompareJob, Comparison, Content, Engine, EngineError, Engines, Host, ProofJob,
    RestoreJob, RestoreReport, RestoreTarget, Sink, SinkError,
};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, Database, DatabaseName, EngineKind, Entry, Secret, Source};
use larder_testbed::TempDir;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

pub(crate) fn engines(commands: &[PathBuf]) -> Engines {
    let tool_directories = ["/usr/bin", "/usr/sbin", "/bin"].map(PathBuf::from).to_vec();
    Engines::new(&Host { tool_directories, command_directories: commands.to_vec(), ..Host::default() })
}

pub(crate) fn source(engine: EngineKind, address: &str) -> Source {
    Source {
        name: DatabaseName::from_lossy("test"),
        engine,
        address: address.to_owned(),
        password: None,
        options: BTreeMap::new(),
        exclude: Vec::new(),
        default_excludes: true,
        one_file_system: false,
    }
}

pub(crate) fn with_password(mut source: Source, password: &str) -> Source {
    source.password = Some(Secret::new(password.to_owned()));
    source
}

pub(crate) fn with_option(mut source: Source, name: &str, value: &str) -> Source {
    source.options.insert(name.to_owned(), value.to_owned());
    source
}

/// One database of a source, and the engine for it.
pub(crate) struct Bench {
    engines: Engines,
    pub(crate) source: Source,
    pub(crate) database: Database,
    pub(crate) cancel: Cancel,
}

impl Bench {
    pub(crate) fn new(source: Source, locator: &str) -> Self {
        Self::with_commands(source, locator, &[])
    }

    pub(crate) fn with_commands(source: Source, locator: &str, commands: &[PathBuf]) -> Self {
        let database = Database {
            name: DatabaseName::from_lossy("test"),
            source: source.name.clone(),
            engine: source.engine,
            locator: locator.to_owned(),
            discovered: "2026-01-01T00:00:00Z".parse().unwrap(),
            missing_since: None,
        };
        Self { engines: engines(commands), source, database, cancel: Cancel::new() }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.engines.get(self.source.engine)
    }

    pub(crate) fn take_into(
        &self,
        sink: &mut dyn Sink,
        previous: Option<&BackupReport>,
    ) -> Result<BackupReport, EngineError> {
        let staging = TempDir::new();
        let kind = if previous.is_some() { BackupKind::Incremental } else { BackupKind::Full };
        let job = BackupJob {
            source: &self.source,
            database: &self.database,
            kind,
            backup_type: BackupType::Backup,
            previous,
            chain: "test",
            staging: staging.path(),
            own_directories: &[],
            cancel: &self.cancel,
            counters: &Counters::default(),
        };
        let report = self.engine().backup(&job, sink);
        assert_eq!(staging.path().read_dir().unwrap().count(), 0, "nothing is staged");
        report
    }

    pub(crate) fn full(&self) -> Result<(BackupReport, MemoryBackup), EngineError> {
        let mut backup = MemoryBackup::default();
        let report = self.take_into(&mut backup, None);
        if report.is_err() {
            let files = backup.names().into_iter().filter(|name| name.contains('.')).collect::<Vec<_>>();
            assert!(
                files.is_empty() || self.source.engine == EngineKind::Couchdb,
                "a failed run left {files:?}"
            );
        }
        report.map(|report| (report, backup))
    }

    pub(crate) fn incremental(
        &self,
        before: (BackupReport, MemoryBackup),
    ) -> Result<(BackupReport, MemoryBackup), EngineError> {
        let (report, backup) = before;
        let mut next = MemoryBackup::default();
        next.previous = Some(Box::new(backup));
        self.take_into(&mut next, Some(&report)).map(|report| (report, next))
    }

    /// Says why a full backup fails.
    pub(crate) fn fails(&self) -> String {
        self.full().map(|(report, _)| report).expect_err("this backup must fail").to_string()
    }

    pub(crate) fn is_unchanged(&self, report: &BackupReport) -> bool {
        let position = report.position.as_deref().expect("a position");
        let checked = self.engine().changed(&self.source, &self.database, position).unwrap();
        checked == larder_engines::ChangeCheck::Unchanged
    }

    pub(crate) fn restore(
        &self,
        (report, backup): &(BackupReport, MemoryBackup),
        target: RestoreTarget<'_>,
        overwrite: bool,
    ) -> Result<RestoreReport, EngineError> {
        let staging = TempDir::new();
        let job = RestoreJob {
            target,
            overwrite,
            until: None,
            staging: staging.path(),
            report: Some(report),
            cancel: &self.cancel,
        };
        self.engine().restore(&job, backup)
    }

    pub(crate) fn compare(
        &self,
        (report, backup): &(BackupReport, MemoryBackup),
        restored: RestoreTarget<'_>,
    ) -> Comparison {
        let job = CompareJob {
            source: Some(&self.source),
            database: &self.database,
            report,
            restored,
            cancel: &self.cancel,
        };
        self.engine().compare(&job, backup).unwrap()
    }

    pub(crate) fn prove(
        &self,
        (report, backup): &(BackupReport, MemoryBackup),
    ) -> Result<Comparison, EngineError> {
        let scratch = TempDir::new();
        let job = ProofJob {
            source: Some(&self.source),
            database: &self.database,
            report,
            scratch: scratch.path(),
            cancel: &self.cancel,
        };
        self.engine().prove(&job, backup)
    }
}

pub(crate) fn evidence<'a>(report: &'a BackupReport, name: &str) -> &'a str {
    let found = report.evidence.iter().find(|(is, _)| is == name);
    found.map_or_else(|| panic!("no {name} in {:?}", report.evidence), |(_, value)| value.as_str())
}

/// A sink that lets something happen when so many bytes have come.
pub(crate) struct Meanwhile<F> {
    pub(crate) inner: MemoryBackup,
    pub(crate) after: u64,
    pub(crate) act: Option<F>,
}

impl<F: FnOnce()> Meanwhile<F> {
    pub(crate) fn new(after: u64, act: F) -> Self {
        Self { inner: MemoryBackup::default(), after, act: Some(act) }
    }
}

struct Passing<'a, F> {
    inner: &'a mut dyn Read,
    left: &'a mut u64,
    act: &'a mut Option<F>,
}

impl<F: FnOnce()> Read for Passing<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        *self.left = self.left.saturating_sub(length as u64);
        if *self.left == 0
            && let Some(act) = self.act.take()
        {
            act();
        }
        Ok(length)
    }
}

impl<F: FnOnce()> Sink for Meanwhile<F> {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        self.inner.enter(directory)
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        self.inner.leave()
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        self.inner.file(entry, content)
    }

    fn stream(&mut self, entry: Entry, bytes: &mut dyn Read, page: Option<u32>) -> Result<u64, SinkError> {
        let mut passing = Passing { inner: bytes, left: &mut self.after, act: &mut self.act };
        self.inner.stream(entry, &mut passing, page)
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        self.inner.carry(name)
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        self.inner.special(entry)
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.inner.unreadable(path, cause)
    }
}
