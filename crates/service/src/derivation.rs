//! From server-wide tasks to the tasks of single databases.

use larder_model::name::matches;
use larder_model::task::SERVER_WIDE_PREFIX;
use larder_model::{Database, DatabaseName, PeriodicBackupConfiguration, ServerWideBackupConfiguration};

/// Returns the name of what a server-wide task makes for each database.
#[must_use]
pub fn derived_name(parent: &str) -> String {
    format!("{SERVER_WIDE_PREFIX}, {parent}")
}

/// Says whether a server-wide task is for a database: one that is there, not excluded, and selected.
///
/// Excluded names are compared without regard to upper and lower case, as RavenDB does.
#[must_use]
pub fn applies(task: &ServerWideBackupConfiguration, database: &Database) -> bool {
    if database.missing_since.is_some() {
        return false;
    }
    let name = database.name.as_str();
    if task.excludes(name) {
        return false;
    }
    task.selector.as_ref().is_none_or(|selector| {
        let engine = selector.engines.is_empty() || selector.engines.contains(&database.engine);
        let source = selector.sources.is_empty()
            || selector.sources.iter().any(|source| same_name(source.as_str(), database.source.as_str()));
        let pattern =
            selector.patterns.is_empty() || selector.patterns.iter().any(|pattern| matches(pattern, name));
        engine && source && pattern
    })
}

/// Makes the task of one database: the parent's settings, its name prefixed, its destination narrowed to the
/// database's folder.
#[must_use]
pub fn derive(task: &ServerWideBackupConfiguration, database: &DatabaseName) -> PeriodicBackupConfiguration {
    let mut derived = task.periodic.clone();
    derived.name = derived_name(&task.periodic.name);
    if let Some(local) = &mut derived.backup.local_settings {
        local.folder_path = local.folder_path.as_deref().map(|root| inside(root, database.as_str()));
    }
    derived
}

/// Compares two names without regard to upper and lower case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// Joins a folder to a root; a separator that is there already is not doubled.
pub(crate) fn inside(root: &str, folder: &str) -> String {
    let kept = root.trim_end_matches('/');
    format!("{kept}/{folder}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::{BackupConfiguration, LocalSettings, PeriodicBackupConfiguration, Selector};
    use larder_model::{DatabaseName, EngineKind};

    fn database(name: &str, source: &str, engine: EngineKind) -> Database {
        Database {
            name: name.parse().unwrap(),
            source: source.parse().unwrap(),
            engine,
            locator: format!("/srv/{name}"),
            discovered: jiff::Timestamp::UNIX_EPOCH,
            missing_since: None,
        }
    }

    fn nightly() -> ServerWideBackupConfiguration {
        let local = LocalSettings { folder_path: Some("/backups/".to_owned()), ..LocalSettings::default() };
        ServerWideBackupConfiguration {
            periodic: PeriodicBackupConfiguration {
                name: "Nightly".to_owned(),
                full_backup_frequency: Some("0 2 * * *".to_owned()),
                backup: BackupConfiguration { local_settings: Some(local), ..BackupConfiguration::default() },
                ..PeriodicBackupConfiguration::default()
            },
            ..ServerWideBackupConfiguration::default()
        }
    }

    #[test]
    fn a_derived_task_has_the_prefixed_name_and_the_databases_folder() {
        let derived = derive(&nightly(), &"Products".parse::<DatabaseName>().unwrap());
        assert_eq!(derived.name, "Server Wide Backup, Nightly");
        assert_eq!(derived.backup.local_settings.unwrap().folder_path.unwrap(), "/backups/Products");
        assert_eq!(derived.full_backup_frequency.unwrap(), "0 2 * * *");
        assert_eq!(inside("/", "x"), "/x");
    }

    #[test]
    fn every_database_has_it_but_the_excluded_ones() {
        let task = ServerWideBackupConfiguration {
            excluded_databases: vec!["ORDERS".to_owned(), "unknown".to_owned()],
            ..nightly()
        };
        assert!(applies(&task, &database("Products", "s", EngineKind::Sqlite)));
        assert!(!applies(&task, &database("Orders", "s", EngineKind::Sqlite)));
    }

    #[test]
    fn a_selector_narrows_it_to_engines_and_sources() {
        let selector = Selector {
            engines: vec![EngineKind::Files],
            sources: vec!["web".parse().unwrap()],
            patterns: Vec::new(),
        };
        let task = ServerWideBackupConfiguration { selector: Some(selector), ..nightly() };
        assert!(applies(&task, &database("a", "Web", EngineKind::Files)));
        assert!(!applies(&task, &database("a", "web", EngineKind::Sqlite)));
        assert!(!applies(&task, &database("a", "home", EngineKind::Files)));
        let all = ServerWideBackupConfiguration { selector: Some(Selector::default()), ..nightly() };
        assert!(applies(&all, &database("a", "home", EngineKind::Sqlite)));
    }

    #[test]
    fn a_database_that_is_gone_has_no_task() {
        let gone = Database {
            missing_since: Some(jiff::Timestamp::UNIX_EPOCH),
            ..database("Products", "s", EngineKind::Sqlite)
        };
        assert!(!applies(&nightly(), &gone));
    }
}
