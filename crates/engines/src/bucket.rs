//! Objects of a bucket of S3, Azure or Google Cloud: the engine `bucket`.
//!
//! For what applications keep in object stores, where nobody else keeps a copy of it. Each object is a file of the backup,
//! with its type and its owner's words as attributes; an object that is as it was is not read again.

mod backup;
mod body;
mod compare;
mod keys;
mod place;
mod properties;
mod restore;
mod store;
mod sum;

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    MissingRight, RestoreJob, RestoreReport,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use larder_model::{Cancel, Database, EngineKind, Source};
use larder_storage::StorageErrorKind;
use place::Place;
use std::path::PathBuf;
pub(crate) use store::Buckets;
use store::Trouble;

/// Backs up what lies below one address of a bucket as one database.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    buckets: Buckets,
}

impl Bucket {
    pub(crate) const fn new(buckets: Buckets) -> Self {
        Self { buckets }
    }

    fn open(&self, source: &Source, cancel: &Cancel) -> Result<(Place, store::Bucket), EngineError> {
        let place = Place::of(source)?;
        let bucket = self.buckets.open(source, &place, cancel)?;
        Ok((place, bucket))
    }
}

impl Engine for Bucket {
    fn kind(&self) -> EngineKind {
        EngineKind::Bucket
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            detects_unchanged: true,
            reads_incrementally: true,
            restores_into_server: true,
            ..EngineCapabilities::default()
        }
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        let (place, bucket) = self.open(source, &Cancel::new())?;
        bucket.hasty().page(&place.prefix, None).map_err(|trouble| place.failed("listing", trouble))?;
        // What lies below an address is one database, so it has the name that its owner gave the source.
        let suggested_name = source.name.as_str().to_owned();
        Ok(vec![FoundDatabase { suggested_name, locator: place.named_in_service() }])
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        let (place, bucket) = self.open(source, &Cancel::new())?;
        let bucket = bucket.hasty();
        let denied = |trouble: &Trouble| matches!(trouble, Trouble::Storage(error) if error.kind == StorageErrorKind::Denied);
        let missing = |what: String, right: &str| {
            vec![MissingRight { what, grant: format!("allow the key {}", place.right(right)) }]
        };
        let first = match bucket.page(&place.prefix, None) {
            Ok(page) => page.objects.into_iter().next(),
            Err(trouble) if denied(&trouble) => {
                return Ok(missing(format!("listing {}", place.shown()), place.listing_right()));
            }
            Err(trouble) => return Err(place.failed("listing", trouble)),
        };
        // Where there is no object yet, nothing can be tried.
        let Some(first) = first else { return Ok(Vec::new()) };
        match bucket.read(&first) {
            Ok(_) => Ok(Vec::new()),
            Err(trouble) if denied(&trouble) => {
                Ok(missing(format!("reading the objects of {}", place.shown()), place.reading_right()))
            }
            Err(trouble) => Err(place.failed("reading", trouble)),
        }
    }

    fn changed(&self, source: &Source, _: &Database, position: &str) -> Result<ChangeCheck, EngineError> {
        let Some(before) = backup::Position::from_text(position) else {
            return Ok(ChangeCheck::MaybeChanged);
        };
        let (place, bucket) = self.open(source, &Cancel::new())?;
        let now = backup::survey(source, &place, &bucket)?;
        Ok(if before == now { ChangeCheck::Unchanged } else { ChangeCheck::MaybeChanged })
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        let (place, bucket) = self.open(job.source, job.cancel)?;
        backup::backup(job, &place, &bucket, sink)
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        restore::restore(&self.buckets, job, backup)
    }

    fn compare(&self, job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        compare::compare(&self.buckets, job, backup)
    }
}
