//! The service: tasks, derivation, the scheduler, operations, retention and verification.
//!
//! Engines and repositories meet only here.

mod agenda;
mod catalog;
mod changes;
mod core;
mod decision;
mod delay;
mod derivation;
mod destination;
mod discovery;
mod dispatch;
mod error;
mod finish;
mod health;
mod job;
mod meter;
mod operations;
mod planning;
mod progress;
mod queue;
mod reconcile;
mod record;
mod request;
pub mod retention;
mod scheduler;
mod service;
mod settings;
mod shelf;
mod show;
mod sources;
mod staging;
mod standing;
mod tasks;
mod timing;
mod validation;
mod view;
mod waiting;
mod work;

pub use decision::{DECISIONS_KEPT, Decision, Verdict};
pub use derivation::{applies, derive, derived_name};
pub use error::ServiceError;
pub use request::{BackupChoice, KeptBackup, OperationFilter, RestoreRequest};
pub use service::Service;
pub use settings::{DEFAULT_DISCOVERY_INTERVAL, DEFAULT_HISTORY_LIMIT, DEFAULT_START_SPREAD, Settings};
pub use shelf::{Restored, Shelf};
pub use view::{
    DatabaseView, DestinationView, Health, LastBackup, NextRun, Overview, ResticAccess, TaskError,
    TaskStatus, TaskView, Verification,
};
pub use waiting::QueueEntry;
