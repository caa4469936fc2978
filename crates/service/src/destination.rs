//! Where a task's backups go, and what the places are called.

use crate::derivation::same_name;
use crate::error::ServiceError;
use crate::spot::{Spot, apart_name, root};
use crate::view::DestinationView;
use larder_model::DatabaseName;
use larder_model::task::{
    BackupConfiguration, Block, ConfigurationScript, DestinationKind, DestinationSettings, LocalSettings,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The spots of a database by their addresses, each with the name that a task gives it.
pub(crate) type Spots = BTreeMap<String, (Option<String>, Arc<Spot>)>;

/// Returns the directories that a task is known to write to.
pub(crate) fn directories(backup: &BackupConfiguration) -> Vec<PathBuf> {
    let known = crate::spot::known(backup);
    known.iter().filter_map(|(_, spot)| spot.directory().map(PathBuf::from)).collect()
}

/// Returns the folder that a block names.
pub(crate) fn path(local: &LocalSettings) -> Option<&str> {
    local.folder_path.as_deref().filter(|path| !path.trim().is_empty())
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
    /// There.
    Spot(Arc<Spot>),
    /// Where a script says, at each backup, over what the block says.
    Script(ConfigurationScript, Box<DestinationSettings>),
    /// It does not say.
    Nowhere,
}

/// Lists the destinations that a task writes to: its live blocks, one with several hosts once for each.
pub(crate) fn targets(backup: &BackupConfiguration) -> Vec<Target> {
    backup.live().into_iter().flat_map(|(name, block)| of_block(name, block)).collect()
}

fn of_block(name: Option<&str>, block: Block<'_>) -> Vec<Target> {
    let settings = DestinationSettings::from(block);
    match block.script() {
        Some(script) => {
            let kind = block.kind();
            let name = name.map_or_else(|| kind.long_name().to_owned(), str::to_owned);
            vec![Target { name, kind, whereto: Whereto::Script(script.clone(), Box::new(settings)) }]
        }
        None => of_settings(name, settings),
    }
}

/// Lists the destinations that settings mean, by the name that a task gives them.
pub(crate) fn of_settings(name: Option<&str>, settings: DestinationSettings) -> Vec<Target> {
    let kind = settings.kind();
    let target = |(apart, settings): (Option<String>, DestinationSettings)| Target {
        name: apart_name(name, kind, apart.as_deref()).unwrap_or_else(|| kind.long_name().to_owned()),
        kind,
        whereto: Spot::of(settings).map_or(Whereto::Nowhere, |spot| Whereto::Spot(Arc::new(spot))),
    };
    settings.each().into_iter().map(target).collect()
}

/// One place where backups of a database lie, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Its name among the database's destinations.
    pub(crate) name: String,
    /// Where it is, without the database's folder.
    pub(crate) spot: Arc<Spot>,
}

/// Names the spots of one database: by the name a task gives, otherwise by its kind, with the address where several of
/// that kind have no name: `Local`, or `Local /root`.
pub(crate) fn named(spots: &Spots) -> Vec<Destination> {
    let unnamed = |kind| spots.values().filter(|(name, spot)| name.is_none() && spot.kind() == kind).count();
    let mut taken: Vec<String> = Vec::new();
    let mut destinations = Vec::new();
    for (name, spot) in spots.values() {
        let kind = spot.kind();
        let name = match name {
            Some(name) if !taken.iter().any(|other| same_name(other, name)) => name.clone(),
            None if unnamed(kind) == 1 => kind.long_name().to_owned(),
            _ => format!("{kind} {}", spot.address),
        };
        taken.push(name.clone());
        destinations.push(Destination { name, spot: Arc::clone(spot) });
    }
    destinations
}

impl Destination {
    /// Shows the destination with the repository's address for one database.
    pub(crate) fn view(&self, database: &DatabaseName) -> DestinationView {
        DestinationView {
            name: self.name.clone(),
            kind: self.spot.kind(),
            address: self.spot.of_database(database.as_str()),
        }
    }

    fn is_called(&self, wanted: &str, database: &DatabaseName) -> bool {
        let address = wanted.trim_end_matches('/');
        let directory = root(wanted);
        let of_database = self.view(database).address;
        same_name(&self.name, wanted)
            || [address, directory.as_str()]
                .iter()
                .any(|said| self.spot.address == *said || of_database == *said)
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

    fn unnamed(paths: &[&str]) -> Spots {
        let spot = |path: &&str| (root(path), (None, Arc::new(Spot::local(path))));
        paths.iter().map(spot).collect()
    }

    fn local(path: &str) -> LocalSettings {
        LocalSettings { folder_path: Some(path.to_owned()), ..LocalSettings::default() }
    }

    #[test]
    fn one_destination_has_a_short_name_and_several_have_their_path() {
        let one = named(&unnamed(&["/srv/backups/", "//srv/backups"]));
        let spot = Arc::new(Spot::local("/srv/backups"));
        assert_eq!(one, [Destination { name: "Local".to_owned(), spot }]);
        let names: Vec<_> = named(&unnamed(&["/a", "/b"])).into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["Local /a", "Local /b"]);
        let mut roots = unnamed(&["/a", "/b"]);
        let berlin = (Some("Berlin".to_owned()), Arc::new(Spot::local("/b")));
        roots.insert("/b".to_owned(), berlin);
        let names: Vec<_> = named(&roots).into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["Local", "Berlin"]);
    }

    #[test]
    fn a_destination_is_found_by_name_root_or_address() {
        let database = "Products".parse().unwrap();
        for wanted in ["local /B", "/b", "/b/", "/b/Products"] {
            let found = select(named(&unnamed(&["/a", "/b"])), Some(wanted), &database).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].spot.address, "/b", "{wanted}");
        }
        assert_eq!(select(named(&unnamed(&["/a", "/b"])), None, &database).unwrap().len(), 2);
        let error = select(named(&unnamed(&["/a", "/b"])), Some("S3"), &database).unwrap_err().to_string();
        assert!(error.contains("'S3'") && error.contains("Local /a, Local /b"), "{error}");
    }

    #[test]
    fn every_live_block_is_a_target_and_one_with_several_hosts_is_several() {
        let hosts = vec!["eu-1.example.net:us-2.example.net".to_owned()];
        let backup = BackupConfiguration {
            local_settings: Some(local("/a/")),
            s3_settings: Some(S3Settings {
                bucket_name: Some("b".to_owned()),
                hosts,
                ..S3Settings::default()
            }),
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
        assert_eq!(names, ["Local", "Amazon S3 eu-1.example.net", "Amazon S3 us-2.example.net", "Berlin"]);
        assert_eq!(directories(&backup), [PathBuf::from("/a"), PathBuf::from("/b")]);
        let known: Vec<_> =
            crate::spot::known(&backup).into_iter().map(|(_, spot)| spot.address.clone()).collect();
        assert_eq!(known, ["/a", "s3:https://eu-1.example.net/b", "s3:https://us-2.example.net/b", "/b"]);
    }
}
