//! A private PostgreSQL server that is backed up as a whole.

use crate::memory::{MemoryBackup, database};
use larder_engines::{
    BackupJob, BackupReport, Comparison, Engine, EngineError, Engines, Host, ProofJob, RestoreJob,
    RestorePointInTime, RestoreReport, RestoreTarget,
};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, Database, DatabaseName, EngineKind, Secret, Source};
use larder_testbed::{Postgresql, TempDir, wait_until};
use std::os::unix::fs::chown;

use std::process::Child;
use std::time::Duration;

/// A backup, and what the engine reported.
pub(crate) struct Taken {
    pub(crate) backup: MemoryBackup,
    pub(crate) report: BackupReport,
}

pub(crate) struct Bench {
    pub(crate) server: Postgresql,
    pub(crate) source: Source,
    pub(crate) aside: TempDir,
    engines: Engines,
}

/// Moves money all the time, as the vendor's own program does.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn await_progress(&self, server: &Postgresql) {
        let moved = || server.sql("postgres", "SELECT count(*) FROM pgbench_history").parse::<u64>().unwrap();
        let wanted = moved() + 200;
        wait_until("the load", Duration::from_secs(60), || (moved() >= wanted).then_some(()));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    pub(crate) fn start(settings: &[&str]) -> Self {
        let server = Postgresql::start_with(settings);
        let host = Host {
            tool_directories: vec![Postgresql::programs(), "/usr/bin".into(), "/bin".into()],
            ..Host::default()
        };
        let source = source(&server, "postgres", Postgresql::PASSWORD);
        Self { server, source, aside: TempDir::new(), engines: Engines::new(&host) }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.engines.get(EngineKind::Postgresql)
    }

    pub(crate) fn database(&self) -> Database {
        database(&self.source, ":server")
    }

    pub(crate) fn as_user(&self, user: &str, password: &str) -> Source {
        source(&self.server, user, password)
    }

    pub(crate) fn tablespace(&self, name: &str, place: &TempDir) {
        let owner = std::fs::metadata(self.server.data_directory()).unwrap();
        use std::os::unix::fs::MetadataExt;
        chown(place.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        let sql = format!("CREATE TABLESPACE {name} LOCATION '{}'", place.path().display());
        self.server.sql("postgres", &sql);
    }

    pub(crate) fn grant(&self, statement: &str) {
        let file = self.aside.join("grant.sql");
        std::fs::write(&file, statement).unwrap();
        let done = self.server.client("postgres").arg("-f").arg(file).output().unwrap();
        assert!(done.status.success(), "{statement}: {done:?}");
    }

    pub(crate) fn enable_checksums(&mut self) {
        self.server.shut_down();
        let mut enabler = Postgresql::as_server("pg_checksums");
        let done = enabler.arg("--enable").arg("-D").arg(self.server.data_directory()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        self.server.begin();
        self.source = source(&self.server, "postgres", Postgresql::PASSWORD);
    }

    pub(crate) fn load(&self) -> Load {
        let made = self.server.tool("pgbench", "postgres", &["-i", "-q", "-s", "2"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut load = self.server.tool("pgbench", "postgres", &["-n", "-c", "2", "-T", "600"]);
        Load(load.stdout(std::process::Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn take_from(
        &self,
        source: &Source,
        kind: BackupKind,
        previous: Option<Taken>,
        cancel: &Cancel,
    ) -> Result<(MemoryBackup, BackupReport), EngineError> {
        self.take_in(source, kind, previous, "test/1/main.server", cancel)
    }

    fn take_in(
        &self,
        source: &Source,
        kind: BackupKind,
        previous: Option<Taken>,
        chain: &str,
        cancel: &Cancel,
    ) -> Result<(MemoryBackup, BackupReport), EngineError> {
        let staging = TempDir::new();
        let mut backup = MemoryBackup::default();
        let report = previous.map(|taken| {
            backup.previous = Some(Box::new(taken.backup));
            taken.report
        });
        let job = BackupJob {
            source,
            database: &self.database(),
            kind,
            backup_type: BackupType::Snapshot,
            previous: report.as_ref(),
            chain,
            staging: staging.path(),
            own_directories: &[],
            cancel,
            counters: &Counters::default(),
        };
        let report = self.engine().backup(&job, &mut backup)?;
        backup.previous = None;
        Ok((backup, report))
    }

    pub(crate) fn take(
        &self,
        kind: BackupKind,
        previous: Option<Taken>,
        cancel: &Cancel,
    ) -> Result<(MemoryBackup, BackupReport), EngineError> {
        self.take_from(&self.source, kind, previous, cancel)
    }

    pub(crate) fn full(&self) -> Taken {
        let (backup, report) = self.take(BackupKind::Full, None, &Cancel::new()).unwrap();
        Taken { backup, report }
    }

    pub(crate) fn once(&self) -> Taken {
        let taken = self.take_in(&self.source, BackupKind::Full, None, "", &Cancel::new());
        let (backup, report) = taken.unwrap();
        Taken { backup, report }
    }

    pub(crate) fn incremental(&self, previous: Taken) -> Taken {
        let taken = self.take(BackupKind::Incremental, Some(previous), &Cancel::new());
        let (backup, report) = taken.unwrap();
        Taken { backup, report }
    }

    pub(crate) fn restore_to(
        &self,
        taken: &Taken,
        target: RestoreTarget<'_>,
        until: Option<&RestorePointInTime>,
    ) -> Result<RestoreReport, EngineError> {
        let staging = TempDir::new();
        let job = RestoreJob {
            target,
            overwrite: false,
            until,
            staging: staging.path(),
            report: Some(&taken.report),
            cancel: &Cancel::new(),
        };
        self.engine().restore(&job, &taken.backup)
    }

    /// Restores into a new directory, and starts a server on it.
    pub(crate) fn restore(
        &self,
        taken: &Taken,
        until: Option<&RestorePointInTime>,
    ) -> Result<Postgresql, EngineError> {
        let directory = TempDir::new();
        let target = directory.join("data");
        self.restore_to(taken, RestoreTarget::Path(&target), until)?;
        Ok(Postgresql::start_on(directory))
    }

    pub(crate) fn prove(&self, taken: &Taken) -> Comparison {
        let scratch = TempDir::new();
        let job = ProofJob {
            source: Some(&self.source),
            database: &self.database(),
            report: &taken.report,
            scratch: scratch.path(),
            cancel: &Cancel::new(),
        };
        self.engine().prove(&job, &taken.backup).unwrap()
    }
}

fn source(server: &Postgresql, user: &str, password: &str) -> Source {
    let mut source =
        Source::new(DatabaseName::from_lossy("main"), EngineKind::Postgresql, server.address(user));
    source.password = Some(Secret::new(password.to_owned()));
    source.options.insert("WholeServer".to_owned(), "true".to_owned());
    source
}
