//! Where a task's backups go, and what the places are called.

use crate::derivation::{inside, same_name};
use crate::error::ServiceError;
use crate::view::DestinationView;
use larder_model::{DatabaseName, ServerWideBackupConfiguration};
use std::collections::BTreeSet;

/// What local destinations are called.
const LOCAL: &str = "Local";

/// Returns the roots that a task writes to; each database has a folder in each.
pub(crate) fn of_task(task: &ServerWideBackupConfiguration) -> Vec<String> {
    let local = task.periodic.backup.local_settings.as_ref().filter(|local| !local.disabled);
    local
        .and_then(|local| local.folder_path.as_deref())
        .filter(|path| !path.is_empty())
        .map(root)
        .into_iter()
        .collect()
}

/// Puts a root into the one form that roots are compared in.
fn root(path: &str) -> String {
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

/// One place where backups of a database lie, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Its name among the database's destinations.
    pub(crate) name: String,
    /// The root, without the database's folder.
    pub(crate) root: String,
}

/// Names the roots of one database: `Local` where there is one, `Local /root` where there are several.
pub(crate) fn named(roots: &BTreeSet<String>) -> Vec<Destination> {
    let name = |root: &str| if roots.len() == 1 { LOCAL.to_owned() } else { format!("{LOCAL} {root}") };
    roots.iter().map(|root| Destination { name: name(root), root: root.clone() }).collect()
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

    fn roots(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| root(path)).collect()
    }

    #[test]
    fn one_destination_has_a_short_name_and_several_have_their_path() {
        let one = named(&roots(&["/srv/backups/", "//srv/backups"]));
        assert_eq!(one, [Destination { name: "Local".to_owned(), root: "/srv/backups".to_owned() }]);
        let names: Vec<_> = named(&roots(&["/a", "/b"])).into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["Local /a", "Local /b"]);
    }

    #[test]
    fn a_destination_is_found_by_name_root_or_address() {
        let database = "Products".parse().unwrap();
        for wanted in ["local /B", "/b", "/b/", "/b/Products"] {
            let found = select(named(&roots(&["/a", "/b"])), Some(wanted), &database).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].root, "/b", "{wanted}");
        }
        assert_eq!(select(named(&roots(&["/a", "/b"])), None, &database).unwrap().len(), 2);
        let error = select(named(&roots(&["/a", "/b"])), Some("S3"), &database).unwrap_err().to_string();
        assert!(error.contains("'S3'") && error.contains("Local /a, Local /b"), "{error}");
    }
}
