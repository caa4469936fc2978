//! Which engine knows which kind of source.

use crate::engine::{Engine, FoundSource};
use crate::files::Files;
use crate::mariadb::Mariadb;
use crate::postgresql::Postgresql;
use crate::sqlite::Sqlite;
use crate::tool::Tools;
use crate::unavailable::Unavailable;
use larder_model::EngineKind;
use std::path::PathBuf;

/// What engines are told of the host they run on; libraries do not look at the environment themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Where the vendors' tools may lie, the first that fits wins: the directories of `PATH`, and those that packages use.
    pub tool_directories: Vec<PathBuf>,
    /// Added to the niceness of the tools, 0 to 19.
    pub niceness: u8,
}

/// Every engine, ready for one host.
#[derive(Clone, Debug)]
pub struct Engines {
    files: Files,
    sqlite: Sqlite,
    postgresql: Postgresql,
    mariadb: Mariadb,
}

impl Engines {
    /// Makes the engines for a host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        let tools = Tools::new(host);
        let mariadb = Mariadb::new(tools.clone());
        Self { files: Files, sqlite: Sqlite, postgresql: Postgresql::new(tools), mariadb }
    }

    /// Returns the engine for a kind of source.
    #[must_use]
    pub fn get(&self, kind: EngineKind) -> &dyn Engine {
        match kind {
            EngineKind::Files => &self.files,
            EngineKind::Sqlite => &self.sqlite,
            EngineKind::Postgresql => &self.postgresql,
            EngineKind::Mariadb => &self.mariadb,
            EngineKind::Redis => &Unavailable(EngineKind::Redis),
            EngineKind::Couchdb => &Unavailable(EngineKind::Couchdb),
            EngineKind::Etcd => &Unavailable(EngineKind::Etcd),
            EngineKind::Command => &Unavailable(EngineKind::Command),
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
        }
    }
}
