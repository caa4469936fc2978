//! Where a task's backups go, and what the places are called.

use crate::derivation::{inside, same_name};
use crate::error::ServiceError;
use crate::view::DestinationView;
use larder_model::DatabaseName;
use larder_model::task::{BackupConfiguration, Block, ConfigurationScript, DestinationKind, LocalSettings};
use std::collections::BTreeMap;

/// What local destinations are called.
const LOCAL: &str = "Local";

/// Returns the local roots that a task is known to write to, each with the name it is given; each database has a
/// folder in each. Where a script says the root, only the run knows it.
pub(crate) fn roots(backup: &BackupConfiguration) -> BTreeMap<String, Option<String>> {
    let mut roots = BTreeMap::new();
    for (name, block) in backup.live() {
        if let (Block::Local(local), None) = (block, block.script())
            && let Some(path) = path(local)
        {
            roots.entry(root(path)).or_insert_with(|| name.map(str::to_owned));
        }
    }
    roots
}

/// Returns the folder that a block names.
pub(crate) fn path(local: &LocalSettings) -> Option<&str> {
    local.folder_path.as_deref().filter(|path| !path.trim().is_empty())
}

/// Puts a root into the one form that roots are compared in.
pub(crate) fn root(path: &str) -> String {
    let mut parts = path.split('/').filter(|part| !part.is_empty()).fold(String::new(), |mut path, part| {
        path.push('/');
        path.push_str(part);
        path
    });
    if parts.is_empty() {
        parts.push('/');
    }
    parts
}

/// One destination that a task writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// What it is called in this task.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: DestinationKind,
    /// Where it is.
    pub(crate) whereto: Whereto,
}

/// Where a destination is, as far as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whereto {
    /// A local root.
    Root(String),
    /// What a script says, at each backup.
    Script(ConfigurationScript),
    /// A kind of destination that this version cannot write to.
    Elsewhere,
}

/// Lists the destinations that a task writes to: its live blocks.
pub(crate) fn targets(backup: &BackupConfiguration) -> Vec<Target> {
    let target = |(name, block): (Option<&str>, Block<'_>)| {
        let whereto = match (block, block.script()) {
            (_, Some(script)) => Whereto::Script(script.clone()),
            (Block::Local(local), None) => Whereto::Root(root(path(local).unwrap_or_default())),
            _ => Whereto::Elsewhere,
        };
        let kind = block.kind();
        Target { name: name.map_or_else(|| kind.long_name().to_owned(), str::to_owned), kind, whereto }
    };
    backup.live().into_iter().map(target).collect()
}

/// One place where backups of a database lie, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Its name among the database's destinations.
    pub(crate) name: String,
    /// The root, without the database's folder.
    pub(crate) root: String,
}

/// Names the roots of one database: by the name a task gives, otherwise `Local`, or `Local /root` where several have
/// no name.
pub(crate) fn named(roots: &BTreeMap<String, Option<String>>) -> Vec<Destination> {
    let unnamed = roots.values().filter(|name| name.is_none()).count();
    let mut taken: Vec<String> = Vec::new();
    let mut destinations = Vec::new();
    for (root, name) in roots {
        let name = match name {
            Some(name) if !taken.iter().any(|other| same_name(other, name)) => name.clone(),
            None if unnamed == 1 => LOCAL.to_owned(),
            _ => format!("{LOCAL} {root}"),
        };
        taken.push(name.clone());
        destinations.push(Destination { name, root: root.clone() });
    }
    destinations
}

impl Destination {
    /// Shows the destination with the repository's address for one database.
    pub(crate) fn view(&self, database: &DatabaseName) -> DestinationView {
        DestinationView { name: self.name.clone(), address: inside(&self.root, database.as_str()) }
    }

    fn is_called(&self, wanted: &str, database: &DatabaseName) -> bool {
        same_name(&self.name, wanted)
            || self.root == root(wanted)
            || self.view(database).address == root(wanted)
    }
}

/// Finds the destinations that are meant: the one of a name or path, or all.
pub(crate) fn select(
    all: Vec<Destination>,
    wanted: Option<&str>,
    database: &DatabaseName,
) -> Result<Vec<Destination>, ServiceError> {
    if all.is_empty() {
        return Err(ServiceError::not_found(
            "destination of database",
            database.as_str(),
            "it has no backups and no task; make a task with a destination first",
        ));
    }
    let Some(wanted) = wanted else { return Ok(all) };
    let names = all.iter().map(|destination| destination.name.as_str()).collect::<Vec<_>>().join(", ");
    match all.into_iter().find(|destination| destination.is_called(wanted, database)) {
        Some(found) => Ok(vec![found]),
        None => Err(ServiceError::not_found(
            "destination",
            wanted,
            format!("the database's destinations are: {names}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::{NamedDestination, S3Settings};

    fn unnamed(paths: &[&str]) -> BTreeMap<String, Option<String>> {
        paths.iter().map(|path| (root(path), None)).collect()
    }

    fn local(path: &str) -> LocalSettings {
        LocalSettings { folder_path: Some(path.to_owned()), ..LocalSettings::default() }
    }

    #[test]
    fn one_destination_has_a_short_name_and_several_have_their_path() {
        let one = named(&unnamed(&["/srv/backups/", "//srv/backups"]));
        assert_eq!(one, [Destination { name: "Local".to_owned(), root: "/srv/backups".to_owned() }]);
        let names: Vec<_> = named(&unnamed(&["/a", "/b"])).into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["Local /a", "Local /b"]);
        let mut roots = unnamed(&["/a", "/b"]);
        roots.insert("/b".to_owned(), Some("Berlin".to_owned()));
        let names: Vec<_> = named(&roots).into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["Local", "Berlin"]);
    }

    #[test]
    fn a_destination_is_found_by_name_root_or_address() {
        let database = "Products".parse().unwrap();
        for wanted in ["local /B", "/b", "/b/", "/b/Products"] {
            let found = select(named(&unnamed(&["/a", "/b"])), Some(wanted), &database).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].root, "/b", "{wanted}");
        }
        assert_eq!(select(named(&unnamed(&["/a", "/b"])), None, &database).unwrap().len(), 2);
        let error = select(named(&unnamed(&["/a", "/b"])), Some("S3"), &database).unwrap_err().to_string();
        assert!(error.contains("'S3'") && error.contains("Local /a, Local /b"), "{error}");
    }

    #[test]
    fn every_live_block_is_a_target_and_only_local_ones_are_roots() {
        let backup = BackupConfiguration {
            local_settings: Some(local("/a/")),
            s3_settings: Some(S3Settings { bucket_name: Some("b".to_owned()), ..S3Settings::default() }),
            destinations: vec![
                NamedDestination {
                    name: "Berlin".to_owned(),
                    local_settings: Some(local("/b")),
                    ..NamedDestination::default()
                },
                NamedDestination {
                    name: "off".to_owned(),
                    local_settings: Some(LocalSettings { disabled: true, ..local("/c") }),
                    ..NamedDestination::default()
                },
            ],
            ..BackupConfiguration::default()
        };
        let names: Vec<_> = targets(&backup).into_iter().map(|target| target.name).collect();
        assert_eq!(names, ["Local", "Amazon S3", "Berlin"]);
        let roots: Vec<_> = roots(&backup).into_keys().collect();
        assert_eq!(roots, ["/a", "/b"]);
    }
}
