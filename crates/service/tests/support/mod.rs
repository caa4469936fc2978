//! A service over real storage, engines and repositories, with a clock that the test moves.
#![allow(dead_code, reason = "each test file uses a part")]

use jiff::SignedDuration;
use larder_model::task::{BackupConfiguration, LocalSettings, NamedDestination, PeriodicBackupConfiguration};
use larder_model::{
    BackupKind, Clock, DatabaseName, EngineKind, Operation, OperationId, OperationStatus, Secret,
    ServerWideBackupConfiguration, Source,
};
use larder_service::{OperationFilter, Service, ServiceError, Settings};
use larder_state::RedbState;
use larder_testbed::{ManualClock, TempDir};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The moment at which each test begins: a Wednesday.
pub(crate) const BEGIN: &str = "2026-05-13T10:05:00Z";

/// The password of every repository in the tests.
pub(crate) const KEY: &str = "correct horse battery staple";

/// A host with a data directory, a place for backups and one for sources.
pub(crate) struct Host {
    pub(crate) directory: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) settings: Settings,
}

impl Host {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new();
        for name in ["data", "sources"] {
            std::fs::create_dir(directory.join(name)).unwrap();
        }
        let settings = Settings {
            discovery_interval: Duration::from_millis(50),
            max_concurrent_backups: 2,
            hostname: "host".to_owned(),
            username: "user".to_owned(),
            identifier: "test".to_owned(),
            ..Settings::new(&directory.join("data"))
        };
        Self { directory, clock: Arc::new(ManualClock::starting(BEGIN)), settings }
    }

    /// Starts a service on this host's state.
    pub(crate) async fn start(&self) -> Service {
        self.start_with_key(KEY).await
    }

    pub(crate) async fn start_with_key(&self, key: &str) -> Service {
        let state = Arc::new(RedbState::open(&self.directory.join("data/state.redb")).unwrap());
        let clock: Arc<dyn Clock> = self.clock.clone();
        Service::start(self.settings.clone(), state, clock, Secret::new(key.to_owned())).await.unwrap()
    }

    /// Returns the moment in words.
    pub(crate) fn clock_text(&self) -> String {
        self.clock.now().to_string()
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.directory.join("backups")
    }

    pub(crate) fn source_path(&self, name: &str) -> PathBuf {
        self.directory.join("sources").join(name)
    }

    /// Makes a small tree and returns the source that names it.
    pub(crate) fn tree(&self, name: &str) -> Source {
        let path = self.source_path(name);
        std::fs::create_dir_all(path.join("below")).unwrap();
        std::fs::write(path.join("one"), format!("the first file of {name}\n")).unwrap();
        std::fs::write(path.join("below/two"), vec![7; 100_000]).unwrap();
        source(name, EngineKind::Files, &path)
    }

    /// Makes a directory for SQLite databases and returns the source that names it.
    pub(crate) fn shelf(&self, name: &str) -> Source {
        let path = self.source_path(name);
        std::fs::create_dir_all(&path).unwrap();
        source(name, EngineKind::Sqlite, &path)
    }

    /// Returns a task that runs hourly in full and every 20 minutes in increments.
    pub(crate) fn nightly(&self) -> ServerWideBackupConfiguration {
        task("Nightly", &self.backups())
    }

    /// Moves the clock and starts what is then due; returns how many operations that made, whether this call or the
    /// service's own loop was first.
    pub(crate) async fn pass(&self, service: &Service, minutes: i64) -> u64 {
        let newest = || service.operations(&OperationFilter::default()).first().map_or(0, |newest| newest.id);
        let before = newest();
        self.clock.advance(SignedDuration::from_mins(minutes));
        service.tick().await.unwrap();
        newest() - before
    }
}

/// Stores a server-wide task by its name.
pub(crate) async fn put(
    service: &Service,
    task: ServerWideBackupConfiguration,
) -> Result<ServerWideBackupConfiguration, ServiceError> {
    match serde_json::to_value(task).unwrap() {
        serde_json::Value::Object(update) => service.put_task(&update).await,
        other => panic!("{other}"),
    }
}

pub(crate) fn source(name: &str, engine: EngineKind, path: &Path) -> Source {
    Source::new(name.parse().unwrap(), engine, path.to_str().unwrap().to_owned())
}

pub(crate) fn task(name: &str, folder: &Path) -> ServerWideBackupConfiguration {
    ServerWideBackupConfiguration {
        periodic: PeriodicBackupConfiguration {
            name: name.to_owned(),
            full_backup_frequency: Some("0 2 * * *".to_owned()),
            incremental_backup_frequency: Some("*/20 * * * *".to_owned()),
            backup: BackupConfiguration {
                local_settings: Some(LocalSettings {
                    folder_path: Some(folder.to_str().unwrap().to_owned()),
                    ..LocalSettings::default()
                }),
                ..BackupConfiguration::default()
            },
            ..PeriodicBackupConfiguration::default()
        },
        ..ServerWideBackupConfiguration::default()
    }
}

/// Adds a second local destination to a task.
pub(crate) fn with_second(
    mut task: ServerWideBackupConfiguration,
    name: &str,
    folder: &Path,
) -> ServerWideBackupConfiguration {
    task.periodic.backup.destinations.push(NamedDestination {
        name: name.to_owned(),
        local_settings: Some(LocalSettings {
            folder_path: Some(folder.to_str().unwrap().to_owned()),
            ..LocalSettings::default()
        }),
        ..NamedDestination::default()
    });
    task
}

/// Flips a bit in every pack of a repository.
pub(crate) fn damage_packs(repository: &Path) {
    for folder in std::fs::read_dir(repository.join("data")).unwrap() {
        for pack in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = pack.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40] ^= 1;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

/// Makes a SQLite database with some rows.
pub(crate) fn sqlite(path: &Path, rows: u32) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
    for number in 0..rows {
        connection.execute("INSERT INTO item (name) VALUES (?1)", [format!("item {number}")]).unwrap();
    }
}

/// Makes a file look as if it was last written long ago: a fresh time proves nothing about what came after it.
pub(crate) fn settle(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
}

/// Waits for an operation; a test hangs no longer than this.
pub(crate) async fn ended(service: &Service, id: OperationId) -> Operation {
    let waited = tokio::time::timeout(Duration::from_secs(120), service.wait(id)).await;
    waited.expect("the operation ends").unwrap()
}

/// Makes a backup now and waits for its end.
pub(crate) async fn backup(service: &Service, database: &str, kind: BackupKind) -> Operation {
    let id = service.backup_now(database, None, kind).await.unwrap();
    ended(service, id).await
}

/// Waits until nothing runs or waits, and returns every operation, the oldest first.
pub(crate) async fn all_ended(service: &Service) -> Vec<Operation> {
    let mut all = service.operations(&larder_service::OperationFilter::default());
    all.reverse();
    let mut done = Vec::new();
    for operation in all {
        done.push(ended(service, operation.id).await);
    }
    done
}

pub(crate) fn assert_completed(operation: &Operation) {
    assert_eq!(operation.status, OperationStatus::Completed, "{operation:#?}");
}

/// Returns why an operation failed.
pub(crate) fn failure(operation: &Operation) -> &str {
    assert_eq!(operation.status, OperationStatus::Faulted, "{operation:#?}");
    operation.error.as_deref().expect("a failed operation says why")
}

/// Waits until a database is known, for at most some seconds.
pub(crate) async fn known(service: &Service, name: &str) -> DatabaseName {
    for _ in 0..1000 {
        if let Ok(view) = service.database(name) {
            return view.database.name;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the database {name} was not found");
}
