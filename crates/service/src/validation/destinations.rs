//! Whether destinations make sense.

use crate::core::Core;
use crate::derivation::same_name;
use crate::destination;
use crate::error::{ErrorKind, ServiceError};
use crate::limits::Limits;
use crate::settings::Settings;
use crate::spot;
use larder_model::task::{
    BackupConfiguration, BackupUploadMode, Block, DestinationKind, DestinationSettings, GlacierSettings,
    LocalSettings, S3Settings,
};
use std::path::{Component, Path, PathBuf};

const FOLDER: &str = "LocalSettings.FolderPath";

/// Puts local folders into their final form: a relative one lies in the directory that the administrator named for
/// backups, or in Larder's own.
pub(crate) fn settle_paths(
    settings: &Settings,
    backup: &mut BackupConfiguration,
) -> Result<(), ServiceError> {
    let further = backup.destinations.iter_mut().filter_map(|one| one.local_settings.as_mut());
    for local in backup.local_settings.as_mut().into_iter().chain(further).filter(|local| !local.disabled) {
        settle(settings, local)?;
    }
    Ok(())
}

fn settle(settings: &Settings, local: &mut LocalSettings) -> Result<(), ServiceError> {
    let Some(path) = destination::path(local).map(|path| Path::new(path.trim()).to_owned()) else {
        return Ok(());
    };
    let shown = path.display().to_string();
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !plain || shown.contains('\0') {
        let message =
            format!("'{shown}' is no plain path; give one such as /srv/backups, without . or .. in it");
        return Err(ServiceError::invalid(FOLDER, message));
    }
    if path.components().count() == 1 && path.is_absolute() {
        return Err(ServiceError::invalid(
            FOLDER,
            "backups cannot lie in / itself; give a directory below it",
        ));
    }
    let base = settings.local_root.as_deref().unwrap_or(&settings.data_directory);
    let settled: PathBuf = if path.is_absolute() { path } else { base.join(path) };
    if let Some(root) = &settings.local_root
        && !settled.starts_with(root)
    {
        return Err(ServiceError::invalid(
            FOLDER,
            format!(
                "the administrator lets local backups lie only below '{}', and '{shown}' does not; choose a folder there",
                root.display()
            ),
        ));
    }
    local.folder_path = Some(settled.display().to_string());
    Ok(())
}

/// Refuses an enabled local destination that says nowhere where it is.
pub(crate) fn check_local(backup: &BackupConfiguration) -> Result<(), ServiceError> {
    match &backup.local_settings {
        Some(local) if !local.disabled && !Block::Local(local).is_live() => Err(ServiceError::invalid(
            FOLDER,
            "the local destination has neither a folder nor a script that says one; give FolderPath, or disable it",
        )),
        _ => Ok(()),
    }
}

/// RavenDB's rules on direct upload, which puts nothing on this machine's disk.
pub(crate) fn check_upload_mode(backup: &BackupConfiguration) -> Result<(), ServiceError> {
    if backup.backup_upload_mode != BackupUploadMode::DirectUpload {
        return Ok(());
    }
    let refused = |message: &str| {
        Err(ServiceError::invalid_as(ErrorKind::NotSupported, "BackupUploadMode", message.to_owned()))
    };
    let live = backup.live();
    if live.iter().any(|(_, block)| block.kind() == DestinationKind::Local) {
        return refused("direct upload has no local folder; take LocalSettings out, or use the mode Default");
    }
    match live.as_slice() {
        [(_, Block::S3(_) | Block::Azure(_))] => Ok(()),
        [_] => refused("direct upload goes to S3 or Azure only; use the mode Default"),
        _ => refused("direct upload goes to one destination only; use the mode Default for several"),
    }
}

/// Checks the blocks of remote destinations for what could never work.
pub(crate) fn check_remote(backup: &BackupConfiguration) -> Result<(), ServiceError> {
    for (_, block) in backup.live().into_iter().filter(|(_, block)| block.script().is_none()) {
        match block {
            Block::S3(s3) => check_s3(s3)?,
            Block::Azure(azure) => {
                if azure.account_key.is_some() && azure.sas_token.is_some() {
                    return Err(ServiceError::invalid(
                        "AzureSettings",
                        "AccountKey and SasToken are both given; give one of them",
                    ));
                }
            }
            Block::GoogleCloud(google) => {
                let json = google.google_credentials_json.as_ref().map(|secret| {
                    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(secret.expose())
                });
                if let Some(Err(_)) = json {
                    return Err(ServiceError::invalid(
                        "GoogleCloudSettings.GoogleCredentialsJson",
                        "it is not a JSON object; give the content of the service account's key file",
                    ));
                }
            }
            Block::Ftp(ftp) => {
                let url = ftp.url.as_deref().unwrap_or_default();
                let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
                if scheme.is_some_and(|scheme| scheme != "ftp" && scheme != "ftps") {
                    return Err(ServiceError::invalid(
                        "FtpSettings.Url",
                        "the address of an FTP server begins with ftp:// or ftps://",
                    ));
                }
                check_no_password("FtpSettings.Url", url)?;
            }
            Block::Sftp(sftp) => check_url("SftpSettings.Url", &sftp.url, &["sftp"])?,
            Block::WebDav(dav) => check_url("WebDavSettings.Url", &dav.url, &["https", "http"])?,
            Block::Glacier(glacier) => check_glacier(glacier)?,
            Block::Local(_) => {}
        }
    }
    Ok(())
}

fn check_url(field: &'static str, url: &Option<String>, schemes: &[&str]) -> Result<(), ServiceError> {
    let url = url.as_deref().unwrap_or_default().trim();
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !scheme.is_some_and(|scheme| schemes.contains(&scheme.as_str())) {
        let schemes = schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        return Err(ServiceError::invalid(field, format!("'{url}' is no address; it begins with {schemes}")));
    }
    check_no_password(field, url)
}

fn check_s3(s3: &S3Settings) -> Result<(), ServiceError> {
    let said = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    if let Some(url) = s3.custom_server_url.as_deref().filter(|_| said(&s3.custom_server_url))
        && url.contains("://")
        && !url.starts_with("http://")
        && !url.starts_with("https://")
    {
        return Err(ServiceError::invalid(
            "S3Settings.CustomServerUrl",
            format!("'{url}' is no address of an S3 server; it begins with http:// or https://"),
        ));
    }
    check_no_password("S3Settings.CustomServerUrl", s3.custom_server_url.as_deref().unwrap_or_default())?;
    if said(&s3.aws_access_key) != s3.aws_secret_key.is_some() {
        return Err(ServiceError::invalid(
            "S3Settings.AwsAccessKey",
            "AwsAccessKey and AwsSecretKey belong together; give both, or none",
        ));
    }
    Ok(())
}

fn check_glacier(glacier: &GlacierSettings) -> Result<(), ServiceError> {
    let said = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    if said(&glacier.aws_access_key) != glacier.aws_secret_key.is_some() {
        return Err(ServiceError::invalid(
            "GlacierSettings.AwsAccessKey",
            "AwsAccessKey and AwsSecretKey belong together; give both, or none",
        ));
    }
    if said(&glacier.hot_folder_path) && said(&glacier.hot_bucket_name) {
        return Err(ServiceError::invalid(
            "GlacierSettings.HotFolderPath",
            "HotFolderPath and HotBucketName are both given; the catalogue lies in one place",
        ));
    }
    if let Some(path) = glacier.hot_folder_path.as_deref().filter(|_| said(&glacier.hot_folder_path)) {
        let plain = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !plain || !Path::new(path).is_absolute() {
            return Err(ServiceError::invalid(
                "GlacierSettings.HotFolderPath",
                format!("'{path}' is no plain absolute path; give one such as /mnt/disk/larder"),
            ));
        }
    }
    check_no_password(
        "GlacierSettings.CustomServerUrl",
        glacier.custom_server_url.as_deref().unwrap_or_default(),
    )
}

/// Refuses a password within an address: there it would be shown, and stored as it is.
fn check_no_password(field: &'static str, url: &str) -> Result<(), ServiceError> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        true => Err(ServiceError::invalid(
            field,
            "the address holds a password, which would be shown with it; give user and password in their own fields",
        )),
        false => Ok(()),
    }
}

/// Checks the further destinations: a name of its own and one block each, and no place twice.
pub(crate) fn check_further(core: &Core, backup: &BackupConfiguration) -> Result<(), ServiceError> {
    const FIELD: &str = "Destinations";
    let mut names: Vec<&str> = DestinationKind::ALL.iter().map(|kind| kind.long_name()).collect();
    for one in &backup.destinations {
        let name = one.name.as_str();
        if name.trim().is_empty() || name.trim() != name || name.chars().any(char::is_control) {
            let message =
                format!("{name:?} cannot be the name of a destination; give it one such as eu-central");
            return Err(ServiceError::invalid(FIELD, message));
        }
        if names.iter().any(|other| same_name(other, name)) {
            let message = format!("'{name}' names more than one destination; give each a name of its own");
            return Err(ServiceError::invalid(FIELD, message));
        }
        names.push(name);
        match one.blocks().as_slice() {
            [block] if block.is_disabled() || block.is_live() => {}
            [_] => {
                let message =
                    format!("the destination '{name}' does not say where it is; give its folder or bucket");
                return Err(ServiceError::invalid(FIELD, message));
            }
            blocks => {
                let message = format!(
                    "the destination '{name}' has {} blocks and needs exactly one, such as LocalSettings or S3Settings",
                    blocks.len()
                );
                return Err(ServiceError::invalid(FIELD, message));
            }
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for (_, spot) in spot::known(backup) {
        if seen.contains(&spot.address) {
            let message = format!("two destinations are the same place '{}'; take one out", spot.address);
            return Err(ServiceError::invalid(FIELD, message));
        }
        if let Some(root) = spot.directory()
            && (core.settings.staging_directory.starts_with(root)
                || root.starts_with(&core.settings.staging_directory))
        {
            let message =
                format!("'{}' is where Larder works; choose another folder for backups", root.display());
            return Err(ServiceError::invalid(FOLDER, message));
        }
        seen.push(spot.address.clone());
    }
    Ok(())
}

/// Holds destinations against what the administrator of the host allows. Local folders were held against it when they
/// were settled.
pub(crate) fn check_allowed(settings: &Settings, backup: &BackupConfiguration) -> Result<(), ServiceError> {
    let limits = Limits::of(settings);
    for (_, block) in backup.live() {
        let refused = |message: String| ServiceError::invalid(block.kind().key(), message);
        limits.kind(block.kind()).map_or(Ok(()), |message| Err(refused(message)))?;
        for (_, settings) in DestinationSettings::from(block).each() {
            limits.region(settings.block()).map_or(Ok(()), |message| Err(refused(message)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::{NamedDestination, read};
    use serde_json::{Value, json};

    fn configuration(value: Value) -> BackupConfiguration {
        read(value.as_object().unwrap()).unwrap()
    }

    fn settled(settings: &Settings, path: &str) -> Result<String, String> {
        let mut backup = configuration(json!({ "LocalSettings": { "FolderPath": path } }));
        settle_paths(settings, &mut backup).map_err(|error| error.to_string())?;
        Ok(backup.local_settings.unwrap().folder_path.unwrap())
    }

    #[test]
    fn a_relative_folder_lies_in_larders_own_directory_or_the_allowed_one() {
        let mut settings = Settings::new(Path::new("/var/lib/larder"));
        assert_eq!(settled(&settings, "rel/path").unwrap(), "/var/lib/larder/rel/path");
        assert_eq!(settled(&settings, "/srv/backups").unwrap(), "/srv/backups");
        for path in ["/srv/../etc", "./x", "../x", "/"] {
            assert!(settled(&settings, path).is_err(), "{path}");
        }
        settings.local_root = Some("/mnt/backups".into());
        assert_eq!(settled(&settings, "a").unwrap(), "/mnt/backups/a");
        assert_eq!(settled(&settings, "/mnt/backups/b").unwrap(), "/mnt/backups/b");
        let error = settled(&settings, "/mnt/backups-of-others").unwrap_err();
        assert!(error.contains("/mnt/backups'"), "{error}");
    }

    #[test]
    fn direct_upload_wants_exactly_one_destination_in_a_cloud() {
        let kind = |value: Value| check_upload_mode(&configuration(value)).map_err(|error| error.kind());
        let s3 = json!({ "BucketName": "b" });
        assert_eq!(kind(json!({ "BackupUploadMode": "DirectUpload", "S3Settings": s3 })), Ok(()));
        for other in [
            json!({ "BackupUploadMode": "DirectUpload", "LocalSettings": { "FolderPath": "/b" } }),
            json!({ "BackupUploadMode": "DirectUpload", "S3Settings": s3, "AzureSettings": { "StorageContainer": "c" } }),
            json!({ "BackupUploadMode": "DirectUpload", "FtpSettings": { "Url": "ftp://h" } }),
        ] {
            assert_eq!(kind(other), Err(ErrorKind::NotSupported));
        }
    }

    #[test]
    fn what_could_never_work_is_refused() {
        let refused = |value: Value| check_remote(&configuration(value)).unwrap_err().to_string();
        for (value, says) in [
            (json!({ "S3Settings": { "BucketName": "b", "AwsAccessKey": "a" } }), "belong together"),
            (json!({ "S3Settings": { "BucketName": "b", "CustomServerUrl": "ftp://x" } }), "https://"),
            (
                json!({ "AzureSettings": { "StorageContainer": "c", "AccountKey": "k", "SasToken": "t" } }),
                "both",
            ),
            (json!({ "GoogleCloudSettings": { "BucketName": "b", "GoogleCredentialsJson": "x" } }), "JSON"),
            (json!({ "FtpSettings": { "Url": "http://h" } }), "ftp://"),
            (json!({ "FtpSettings": { "Url": "ftp://u:p@h/x" } }), "own fields"),
            (
                json!({ "S3Settings": { "BucketName": "b", "CustomServerUrl": "https://u:p@h" } }),
                "own fields",
            ),
        ] {
            let message = refused(value);
            assert!(message.contains(says), "{message}");
        }
        let empty = configuration(json!({ "S3Settings": {}, "AzureSettings": {}, "FtpSettings": {} }));
        assert!(check_remote(&empty).is_ok());
    }

    #[test]
    fn what_the_administrator_does_not_allow_is_refused() {
        let mut settings = Settings::new(Path::new("/d"));
        let s3 = configuration(json!({ "S3Settings": { "BucketName": "b", "AwsRegionName": "us-east-1" } }));
        assert!(check_allowed(&settings, &s3).is_ok());
        settings.allowed_aws_regions = Some(vec!["eu-central-1".to_owned()]);
        assert!(check_allowed(&settings, &s3).unwrap_err().to_string().contains("us-east-1"));
        settings.allowed_destinations = Some(vec![DestinationKind::Local]);
        assert!(check_allowed(&settings, &s3).unwrap_err().to_string().contains("Amazon S3"));
        let local = NamedDestination { name: "x".to_owned(), ..NamedDestination::default() };
        let unlocated = BackupConfiguration { destinations: vec![local], ..BackupConfiguration::default() };
        assert!(check_allowed(&settings, &unlocated).is_ok());
    }
}
