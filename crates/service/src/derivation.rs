//! From server-wide tasks to the tasks of single databases.

use larder_model::name::matches;
use larder_model::task::{BackupConfiguration, LocalSettings, SERVER_WIDE_PREFIX};
use larder_model::{Database, DatabaseName, PeriodicBackupConfiguration, ServerWideBackupConfiguration};

/// Returns the name of what a server-wide task makes for each database.
#[must_use]
pub fn derived_name(parent: &str) -> String {
    format!("{SERVER_WIDE_PREFIX}, {parent}")
}

/// Says whether a server-wide task is for a database: one that is not excluded, and is selected.
///
/// Excluded names are compared without regard to upper and lower case, as RavenDB does.
#[must_use]
pub fn covers(task: &ServerWideBackupConfiguration, database: &Database) -> bool {
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

/// Makes the task of one database: the parent's settings, its name prefixed, each destination narrowed to the
/// database's folder. Its number is the parent's, until the caller knows better.
#[must_use]
pub fn derive(task: &ServerWideBackupConfiguration, database: &DatabaseName) -> PeriodicBackupConfiguration {
    let mut derived = task.periodic.clone();
    derived.name = derived_name(&task.periodic.name);
    narrow(&mut derived.backup, database.as_str());
    derived
}

/// Narrows every destination to a database's folder, as RavenDB does: a folder in the path, the remote folder or the
/// address.
fn narrow(backup: &mut BackupConfiguration, database: &str) {
    // Everything of the configuration is named here, so that a new block cannot be forgotten.
    local(&mut backup.local_settings, database);
    remote(backup.s3_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
    remote(backup.glacier_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
    remote(backup.azure_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
    remote(backup.google_cloud_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
    url(backup.ftp_settings.as_mut().map(|block| &mut block.url), database);
    url(backup.sftp_settings.as_mut().map(|block| &mut block.url), database);
    url(backup.web_dav_settings.as_mut().map(|block| &mut block.url), database);
    for one in &mut backup.destinations {
        local(&mut one.local_settings, database);
        remote(one.s3_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
        remote(one.glacier_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
        remote(one.azure_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
        remote(one.google_cloud_settings.as_mut().map(|block| &mut block.remote_folder_name), database);
        url(one.ftp_settings.as_mut().map(|block| &mut block.url), database);
        url(one.sftp_settings.as_mut().map(|block| &mut block.url), database);
        url(one.web_dav_settings.as_mut().map(|block| &mut block.url), database);
    }
}

fn local(block: &mut Option<LocalSettings>, database: &str) {
    // Where a script says the folder, the run narrows what it says.
    if let Some(folder) = block.as_mut().and_then(|block| block.folder_path.as_mut()) {
        *folder = inside(folder, database);
    }
}

fn remote(folder: Option<&mut Option<String>>, database: &str) {
    if let Some(folder) = folder {
        *folder = Some(match folder.as_deref() {
            Some(folder) if !folder.trim().is_empty() => inside(folder, database),
            _ => database.to_owned(),
        });
    }
}

fn url(url: Option<&mut Option<String>>, database: &str) {
    if let Some(url) = url.and_then(Option::as_mut) {
        *url = inside(url, database);
    }
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
    use larder_model::task::{AzureSettings, FtpSettings, NamedDestination, S3Settings, Selector};
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
        assert!(covers(&task, &database("Products", "s", EngineKind::Sqlite)));
        assert!(!covers(&task, &database("Orders", "s", EngineKind::Sqlite)));
    }

    #[test]
    fn a_selector_narrows_it_to_engines_and_sources() {
        let selector = Selector {
            engines: vec![EngineKind::Files],
            sources: vec!["web".parse().unwrap()],
            patterns: Vec::new(),
        };
        let task = ServerWideBackupConfiguration { selector: Some(selector), ..nightly() };
        assert!(covers(&task, &database("a", "Web", EngineKind::Files)));
        assert!(!covers(&task, &database("a", "web", EngineKind::Sqlite)));
        assert!(!covers(&task, &database("a", "home", EngineKind::Files)));
        let all = ServerWideBackupConfiguration { selector: Some(Selector::default()), ..nightly() };
        assert!(covers(&all, &database("a", "home", EngineKind::Sqlite)));
    }

    #[test]
    fn every_kind_of_destination_is_narrowed_to_the_databases_folder() {
        let mut task = nightly();
        let text = |text: &str| Some(text.to_owned());
        let backup = &mut task.periodic.backup;
        backup.s3_settings = Some(S3Settings { remote_folder_name: text("all/"), ..S3Settings::default() });
        backup.azure_settings = Some(AzureSettings::default());
        backup.ftp_settings = Some(FtpSettings { url: text("ftp://host/all"), ..FtpSettings::default() });
        let further = LocalSettings { folder_path: text("/mnt/b"), ..LocalSettings::default() };
        backup.destinations = vec![NamedDestination {
            name: "b".to_owned(),
            local_settings: Some(further),
            ..NamedDestination::default()
        }];
        let derived = derive(&task, &"shop".parse().unwrap()).backup;
        assert_eq!(derived.s3_settings.unwrap().remote_folder_name.unwrap(), "all/shop");
        assert_eq!(derived.azure_settings.unwrap().remote_folder_name.unwrap(), "shop");
        assert_eq!(derived.ftp_settings.unwrap().url.unwrap(), "ftp://host/all/shop");
        let further = derived.destinations[0].local_settings.clone().unwrap();
        assert_eq!(further.folder_path.unwrap(), "/mnt/b/shop");
    }
}
