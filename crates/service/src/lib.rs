//! The service: tasks, derivation, the scheduler, operations, retention and verification.
//!
//! Engines and repositories meet only here.

mod agenda;
mod catalog;
mod catalog_lock;
mod changes;
mod connections;
mod contents;
mod core;
mod credentials;
mod day;
mod decision;
mod delay;
mod derivation;
mod destination;
mod discovery;
mod dispatch;
mod embedded;
mod error;
mod finish;
mod health;
mod history;
mod identity;
mod job;
mod limits;
mod location;
mod meter;
mod operations;
mod outlook;
mod plan;
mod planning;
mod progress;
mod queue;
mod reconcile;
mod record;
mod release;
mod remembered;
mod request;
mod restic;
pub mod retention;
mod scheduler;
mod seal;
mod service;
mod settings;
mod shelf;
mod show;
mod skipped;
mod sources;
mod spot;
mod staging;
mod standing;
mod stored;
mod stored_source;
mod tasks;
mod timing;
mod upkeep;
mod validation;
mod view;
mod waiting;
mod work;

pub use contents::{
    BackupDifference, ChangeCount, ChangeKind, ChangedEntry, ComparedMeasure, Section, StoredDirectory,
    StoredEntry, StoredKind, StoredMatches,
};
pub use day::DayOfRuns;
pub use decision::{DECISIONS_KEPT, Decision, Verdict};
pub use derivation::{covers, derive, derived_name};
pub use embedded::Deleted;
pub use error::{ErrorKind, ServiceError};
pub use larder_engines::{
    EngineCapabilities, FoundSource, Host, MissingRight, RestorePointInTime, SourceOption,
};
pub use larder_repository::{CheckPart, InvalidPart, OPEN_PASSWORD};
pub use location::LocatedPoint;
pub use outlook::{OutlookBackup, RetentionOutlook};
pub use request::{
    BackupChoice, CheckDepth, DamagedBackups, KeptBackup, OperationFilter, RepairRequest, RestoreInto,
    RestorePlace, RestoreRequest,
};
pub use service::Service;
pub use service::contents::Download;
pub use settings::{
    DEFAULT_DISCOVERY_INTERVAL, DEFAULT_HISTORY_LIMIT, DEFAULT_STAGING_LIMIT, DEFAULT_START_SPREAD, Settings,
};
pub use shelf::{Mended, Restored, Shelf, ShelfRepair, ShelfRestore};
pub use tasks::{Stored, TaskSelector};
pub use upkeep::{ReadRound, UpkeepView};
pub use view::{
    ComparedDestination, DatabaseView, DestinationStatus, DestinationTest, DestinationUse, DestinationView,
    FailureCause, Health, LackingBackup, LastBackup, NextRun, Overview, ResticAccess, Running, TaskError,
    TaskStatus, TaskView, TestStep, Verification,
};
pub use waiting::QueueEntry;
