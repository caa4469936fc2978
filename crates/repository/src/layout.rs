//! Where each kind of object lies in a repository.

use crate::id::Id;

/// The path of the configuration.
pub const CONFIG_PATH: &str = "config";

/// The kinds of object that are named by their SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A pack of blobs.
    Pack,
    /// Which blobs are in which packs.
    Index,
    /// A key file.
    Key,
    /// A lock.
    Lock,
    /// A backup.
    Snapshot,
}

impl ObjectKind {
    /// Returns the folder that holds the objects of this kind.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Pack => "data",
            Self::Index => "index",
            Self::Key => "keys",
            Self::Lock => "locks",
            Self::Snapshot => "snapshots",
        }
    }

    /// Returns the path of an object; packs are spread over 256 folders.
    #[must_use]
    pub fn path(self, id: &Id) -> String {
        let name = id.to_hex();
        match self {
            Self::Pack => format!("data/{}/{name}", &name[..2]),
            _ => format!("{}/{name}", self.folder()),
        }
    }

    /// Reads the name of an object off its path; `None` for a path that no object of this kind has.
    #[must_use]
    pub fn id_of(self, path: &str) -> Option<Id> {
        let id = path.rsplit('/').next()?.parse().ok()?;
        (self.path(&id) == path).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names_go_both_ways() {
        let id = Id::of(b"x");
        for kind in
            [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Key, ObjectKind::Lock, ObjectKind::Snapshot]
        {
            assert_eq!(kind.id_of(&kind.path(&id)), Some(id));
            assert_eq!(kind.id_of("locks/readme"), None);
        }
        assert_eq!(ObjectKind::Pack.id_of(&format!("data/00/{id}")), None);
    }
}
