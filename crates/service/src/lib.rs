//! The service: tasks, derivation, the scheduler, operations, retention and verification.
//!
//! Engines and repositories meet only here.

mod agenda;
mod catalog;
mod core;
mod credentials;
mod derivation;
mod destination;
mod discovery;
mod dispatch;
mod embedded;
mod error;
mod finish;
mod health;
mod identity;
mod job;
mod location;
mod operations;
mod plan;
mod progress;
mod queue;
mod reconcile;
mod record;
mod request;
pub mod retention;
mod scheduler;
mod seal;
mod service;
mod settings;
mod shelf;
mod show;
mod sources;
mod staging;
mod stored;
mod tasks;
mod validation;
mod view;
mod work;

pub use credentials::OPEN_PASSWORD;
pub use derivation::{covers, derive, derived_name};
pub use embedded::Deleted;
pub use error::{ErrorKind, ServiceError};
pub use location::LocatedPoint;
pub use request::{BackupChoice, OperationFilter, RestoreInto, RestoreRequest};
pub use service::Service;
pub use settings::{DEFAULT_DISCOVERY_INTERVAL, DEFAULT_HISTORY_LIMIT, Settings};
pub use shelf::{Restored, Shelf};
pub use tasks::{Stored, TaskSelector};
pub use view::{
    DatabaseView, DestinationStatus, DestinationView, FailureCause, Health, LastBackup, NextRun, Overview,
    ResticAccess, Running, TaskError, TaskStatus, TaskView, Verification,
};
