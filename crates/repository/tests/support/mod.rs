//! What the tests of this crate share: a runtime, repositories in temporary places, and a plain walk.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses its part")]

pub mod cuts;
pub mod flips;
pub mod full;
pub mod kills;
pub mod made;
pub mod specimen;
pub mod walk;

use larder_model::{Cancel, Clock, Counters};
use larder_repository::{
    BackupOptions, BackupSummary, BackupWriter, Credentials, ParentRule, Repository, Seal,
};
use larder_storage::{Local, Storage};
use larder_testbed::{ManualClock, Restic, TempDir};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::runtime::Runtime;

pub const PASSWORD: &str = "correct horse";

/// A runtime for storages, and a place for repositories and trees.
pub struct Bench {
    pub runtime: Runtime,
    pub directory: TempDir,
    pub clock: Arc<dyn Clock>,
    /// How many backups began: no two of them share a moment, so that the latest is one and only one.
    pub begun: AtomicI64,
}

impl Bench {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
        Self { runtime: runtime.unwrap(), directory: TempDir::new(), clock, begun: AtomicI64::new(0) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn credentials() -> Credentials {
        Credentials::Password(larder_model::Secret::new(PASSWORD.to_owned()))
    }

    pub fn create(&self, storage: Arc<dyn Storage>) -> Repository {
        Repository::create(self.runtime.handle(), storage, &Self::credentials(), self.clock.clone()).unwrap()
    }

    pub fn open(&self, storage: Arc<dyn Storage>) -> Repository {
        Repository::open(self.runtime.handle(), storage, &Self::credentials(), self.clock.clone()).unwrap()
    }

    /// Makes a repository in a folder of the place, and the judge for it.
    pub fn local(&self, name: &str) -> (Repository, Restic) {
        let path = self.path(name);
        let repository = self.create(Arc::new(Local::create(&path).unwrap()));
        (repository, Restic::new(&path, PASSWORD))
    }

    pub fn options(&self) -> BackupOptions {
        let after = jiff::SignedDuration::from_micros(self.begun.fetch_add(1, Ordering::Relaxed));
        let mut options = BackupOptions::new((self.clock.now() + after).to_zoned(jiff::tz::TimeZone::UTC));
        options.hostname = "host".to_owned();
        options.username = "user".to_owned();
        options.paths = vec!["/source".to_owned()];
        options.parent = Some(ParentRule::default());
        options
    }

    pub fn writer(&self, targets: &[Repository], options: BackupOptions) -> BackupWriter {
        BackupWriter::start(targets, options, Cancel::new(), Arc::new(Counters::default())).unwrap()
    }

    /// Backs up a directory; nothing in it may be unreadable.
    pub fn back_up(&self, targets: &[Repository], source: &Path) -> BackupSummary {
        let mut writer = self.writer(targets, self.options());
        walk::walk(source, &mut writer).unwrap();
        let summary = writer.finish(Seal::default()).unwrap();
        assert_eq!(summary.unreadable, []);
        summary
    }
}
