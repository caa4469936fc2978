//! The service: tasks, derivation, the scheduler, operations, retention and verification.
//!
//! Engines and repositories meet only here.

mod agenda;
mod catalog;
mod core;
mod derivation;
mod destination;
mod discovery;
mod dispatch;
mod error;
mod finish;
mod health;
mod job;
mod operations;
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
mod tasks;
mod validation;
mod view;
mod work;

pub use derivation::{applies, derive, derived_name};
pub use error::ServiceError;
pub use request::{BackupChoice, OperationFilter, RestoreRequest};
pub use service::Service;
pub use settings::{DEFAULT_DISCOVERY_INTERVAL, DEFAULT_HISTORY_LIMIT, Settings};
pub use shelf::{Restored, Shelf};
pub use view::{
    DatabaseView, DestinationView, Health, LastBackup, NextRun, Overview, ResticAccess, TaskError,
    TaskStatus, TaskView, Verification,
};
