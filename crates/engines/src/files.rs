//! File trees: the engine `files`.

mod compare;
mod find;
mod hooks;
mod metadata;
mod restore;
mod source;

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, RestoreJob, RestoreReport,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::Tools;
use crate::walk::{Walk, unusable};
pub(crate) use compare::count_files;
use hooks::Hooks;
use larder_model::{Database, EngineKind, Source};
pub(crate) use metadata::MetadataReader;
use source::TreeSource;
pub(crate) use source::open_regular;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Backs up a directory as one database.
///
/// The entries lie at the root of the backup, so that a restore puts them right below its target; what the
/// directory itself looks like goes into the report.
#[derive(Clone, Debug, Default)]
pub struct Files {
    tools: Tools,
    /// Where the programs of hooks must lie.
    directories: Arc<[PathBuf]>,
}

impl Files {
    /// Takes the directories in which the programs of hooks must lie.
    pub(crate) fn new(tools: Tools, directories: &[PathBuf]) -> Self {
        Self { tools, directories: directories.into() }
    }
}

impl Engine for Files {
    fn kind(&self) -> EngineKind {
        EngineKind::Files
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities { reads_incrementally: true, ..EngineCapabilities::default() }
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        Hooks::of(source, &self.directories)?;
        let path = Path::new(&source.address);
        if !path.metadata().map_err(|error| unusable(path, error))?.is_dir() {
            return Err(unusable(path, std::io::ErrorKind::NotADirectory));
        }
        // A source of trees is one database, so it has the name that its owner gave the source.
        let suggested_name = source.name.as_str().to_owned();
        Ok(vec![FoundDatabase { suggested_name, locator: source.address.clone() }])
    }

    fn find(&self) -> Vec<FoundSource> {
        find::find()
    }

    fn changed(&self, _: &Source, _: &Database, _: &str) -> Result<ChangeCheck, EngineError> {
        Ok(ChangeCheck::MaybeChanged)
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        let hooks = Hooks::of(job.source, &self.directories)?;
        hooks.around(&self.tools, job, || {
            let read = read(job, sink);
            // Also a failed one: nobody is told that the tree is free while somebody still reads it.
            let settled = sink.settle();
            let report = read?;
            settled?;
            Ok(report)
        })
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        match Hooks::of(source, &self.directories) {
            Ok(_) => Ok(Vec::new()),
            Err(EngineError::Failed { action, cause, remedy }) => {
                Ok(vec![MissingRight { what: format!("{action} ({cause})"), grant: remedy }])
            }
            Err(error) => Err(error),
        }
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        restore::restore(job, backup)
    }

    fn compare(&self, job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        let restored = job.restored.path(self.kind())?;
        compare::compare(Path::new(&job.database.locator), backup, restored, job.cancel)
    }
}

/// Reads the whole tree.
fn read(job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
    let root = Path::new(&job.database.locator);
    let own = root.metadata().map_err(|error| unusable(root, error))?;
    let walk = Walk { root, source: job.source, own_directories: job.own_directories, cancel: job.cancel };
    let mut tree = TreeSource::new(job, root, sink);
    let left_out = walk.run(&mut tree)?;
    let mut messages = left_out.messages;
    if tree.files + tree.directories + tree.specials == 0 {
        messages.push(format!("the directory {} is empty", root.display()));
    }
    let evidence = vec![
        ("Files".to_owned(), tree.files.to_string()),
        ("Directories".to_owned(), tree.directories.to_string()),
        ("Bytes".to_owned(), tree.bytes.to_string()),
        (restore::ROOT.to_owned(), restore::describe_root(&own)),
    ];
    Ok(BackupReport { position: None, evidence, messages })
}
