//! One backup of a tree by the engine `files`, to one or more local destinations at once.

use crate::Failure;
use crate::cost::{self, Cost};
use crate::sink::WriterSink;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_engines::{BackupJob, Engine, Files};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Clock, Counters, Database, DatabaseName, EngineKind, Secret, Source};
use larder_repository::{
    BackupOptions, BackupSummary, BackupWriter, Credentials, ParentRule, Presence, Repository, Seal, probe,
};
use larder_storage::{Local, Storage};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Handle, Runtime};

#[derive(Debug)]
struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The runtime on which destinations are written.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Opens the repositories at these directories, and makes those that are not there: they share one master key.
pub(crate) fn repositories(handle: &Handle, directories: &[&str]) -> Result<Vec<Repository>, Failure> {
    let credentials = Credentials::Password(Secret::new("bench".to_owned()));
    let mut all: Vec<Repository> = Vec::new();
    for directory in directories {
        let storage: Arc<dyn Storage> = Arc::new(Local::create(directory)?);
        let repository = match (probe(handle, &*storage)?, all.first()) {
            (Presence::Empty, None) => {
                Repository::create(handle, storage, &credentials, Arc::new(MachineClock))?
            }
            (Presence::Empty, Some(first)) => first.create_twin(storage, &credentials)?,
            _ => Repository::open(handle, storage, &credentials, Arc::new(MachineClock))?,
        };
        all.push(repository);
    }
    Ok(all)
}

/// Returns the options of a backup begun now, with the newest backup there as its parent.
pub(crate) fn options(threads: usize) -> BackupOptions {
    BackupOptions {
        threads,
        hostname: "bench".to_owned(),
        parent: Some(ParentRule::default()),
        ..BackupOptions::new(Timestamp::now().to_zoned(TimeZone::UTC))
    }
}

/// Backs up a tree.
pub(crate) fn tree(
    tree: &Path,
    targets: &[Repository],
    options: BackupOptions,
) -> Result<BackupSummary, Failure> {
    let name: DatabaseName = "bench".parse()?;
    let locator = tree.canonicalize()?.display().to_string();
    let source = Source::new(name.clone(), EngineKind::Files, locator.clone());
    let database = Database {
        name,
        source: source.name.clone(),
        engine: EngineKind::Files,
        locator,
        discovered: Timestamp::now(),
        missing_since: None,
    };
    let (cancel, counters) = (Cancel::new(), Arc::new(Counters::default()));
    let mut writer = BackupWriter::start(targets, options, cancel.clone(), counters.clone())?;
    let job = BackupJob {
        source: &source,
        database: &database,
        kind: BackupKind::Full,
        backup_type: BackupType::default(),
        previous: None,
        chain: "test",
        staging: Path::new("/nonexistent"),
        own_directories: &[],
        cancel: &cancel,
        counters: &counters,
    };
    Files::default().backup(&job, &mut WriterSink(&mut writer))?;
    let summary = writer.finish(Seal::default())?;
    match summary.unreadable.first() {
        Some((path, cause)) => Err(format!("{path} could not be read: {cause}").into()),
        None => Ok(summary),
    }
}

/// Backs up a tree and prints one line of JSON: what it cost, what was read and what was stored at each destination.
pub(crate) fn run(source: &str, destinations: &[&str], threads: usize) -> Result<(), Failure> {
    let runtime = runtime()?;
    let targets = repositories(runtime.handle(), destinations)?;
    let (summary, cost) = cost::of_process(|| tree(Path::new(source), &targets, options(threads)))?;
    print_line(&summary, cost)
}

/// Prints what a backup did and cost as one line of JSON.
pub(crate) fn print_line(summary: &BackupSummary, cost: Cost) -> Result<(), Failure> {
    let mut stored = Vec::new();
    for target in &summary.targets {
        if let Err(error) = &target.snapshot {
            return Err(format!("no backup at {}: {error}", target.destination).into());
        }
        stored.push(target.bytes_stored.to_string());
    }
    println!(
        "{{\"user_seconds\":{:.3},\"system_seconds\":{:.3},\"wall_seconds\":{:.3},\"peak_mib\":{:.1},\"files\":{},\
         \"bytes\":{},\"bytes_read\":{},\"bytes_new\":{},\"bytes_stored\":[{}]}}",
        cost.user_seconds,
        cost.system_seconds,
        cost.wall_seconds,
        cost::peak_mib()?,
        summary.files,
        summary.bytes_processed,
        summary.bytes_read,
        summary.bytes_new,
        stored.join(",")
    );
    Ok(())
}
