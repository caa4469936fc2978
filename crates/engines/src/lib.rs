//! Engines: the code that knows one kind of source.
//!
//! An engine discovers databases, writes a database into a [`Sink`] as entries, gets it back from a
//! [`BackupReader`], and compares. It never sees a repository or a destination. Engines are blocking: the
//! service runs each on a thread of its own.

mod bucket;
mod command;
mod couchdb;
mod dump;
mod engine;
mod error;
mod etcd;
mod evidence;
mod files;
mod held;
mod line_hash;
mod listening;
mod mariadb;
mod postgresql;
mod redis;
mod registry;
mod remote;
mod sink;
mod sqlite;
mod temporary;
mod tool;
mod walk;
mod watch;
mod words;

pub use bucket::Bucket;
pub use command::Command;
pub use couchdb::Couchdb;
pub use engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestorePointInTime, RestoreReport, RestoreTarget,
    SourceOption,
};
pub use error::{EngineError, SinkError};
pub use etcd::Etcd;
pub use evidence::{Measure, measures};
pub use files::Files;
pub use mariadb::Mariadb;
pub use postgresql::Postgresql;
pub use redis::Redis;
pub use registry::{Engines, Host};
pub use sink::{BackupReader, Content, ExtractReport, ListedEntry, Sink};
pub use sqlite::{Sqlite, create_sqlite, place_sqlite};
pub use watch::{Listener, Watch, WatchEvent};
