//! Which engine knows which kind of source.

use crate::bucket::{Bucket, Buckets};
use crate::command::Command;
use crate::couchdb::Couchdb;
use crate::engine::{Engine, FoundSource};
use crate::etcd::Etcd;
use crate::files::Files;
use crate::mariadb::Mariadb;
use crate::postgresql::Postgresql;
use crate::redis::Redis;
use crate::sqlite::Sqlite;
use crate::tool::Tools;
use larder_model::EngineKind;
use std::path::PathBuf;

/// What engines are told of the host they run on; libraries do not look at the environment themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Where the vendors' tools may lie, the first that fits wins: the directories of `PATH`, and those that packages use.
    pub tool_directories: Vec<PathBuf>,
    /// Added to the niceness of the tools, 0 to 19.
    pub niceness: u8,
    /// Whether the tools get the disk only when nobody else wants it; asks for the program `ionice`.
    pub idle_disk: bool,
    /// Where the programs of sources of the engine `command` must lie; none may run where this is empty.
    pub command_directories: Vec<PathBuf>,
    /// Certificates of authorities that are trusted besides the host's own list when a bucket is read, as PEM.
    pub root_certificates: Vec<Vec<u8>>,
}

/// Every engine, ready for one host.
#[derive(Clone, Debug)]
pub struct Engines {
    files: Files,
    sqlite: Sqlite,
    postgresql: Postgresql,
    redis: Redis,
    couchdb: Couchdb,
    etcd: Etcd,
    bucket: Bucket,
    command: Command,
    mariadb: Mariadb,
}

impl Engines {
    /// Makes the engines for a host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        let tools = Tools::new(host);
        Self {
            files: Files::new(tools.in_front(), &host.command_directories),
            sqlite: Sqlite,
            postgresql: Postgresql::new(tools.clone()),
            mariadb: Mariadb::new(tools.clone()),
            redis: Redis::new(tools.clone()),
            couchdb: Couchdb,
            etcd: Etcd::new(tools.clone()),
            bucket: Bucket::new(Buckets::new(&host.root_certificates)),
            command: Command::new(tools, &host.command_directories),
        }
    }

    /// Returns the engine for a kind of source.
    #[must_use]
    pub fn get(&self, kind: EngineKind) -> &dyn Engine {
        match kind {
            EngineKind::Files => &self.files,
            EngineKind::Sqlite => &self.sqlite,
            EngineKind::Postgresql => &self.postgresql,
            EngineKind::Mariadb => &self.mariadb,
            EngineKind::Redis => &self.redis,
            EngineKind::Couchdb => &self.couchdb,
            EngineKind::Etcd => &self.etcd,
            EngineKind::Bucket => &self.bucket,
            EngineKind::Command => &self.command,
        }
    }

    /// Looks for sources of every kind on this host.
    #[must_use]
    pub fn find(&self) -> Vec<FoundSource> {
        EngineKind::ALL.into_iter().flat_map(|kind| self.get(kind).find()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Engines, Host};
    use larder_model::EngineKind;

    #[test]
    fn every_kind_has_its_own_engine() {
        let engines = Engines::new(&Host::default());
        for kind in EngineKind::ALL {
            assert_eq!(engines.get(kind).kind(), kind);
            let options = engines.get(kind).options();
            assert!(
                options.iter().all(|one| !one.meaning.is_empty() && !one.meaning.ends_with('.')),
                "{kind}"
            );
        }
    }
}
