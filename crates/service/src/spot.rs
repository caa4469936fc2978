//! Where a destination is: its address, and what is needed to open it.

use larder_model::task::{BackupConfiguration, Block, DestinationKind, DestinationSettings, LocalSettings};
use std::path::Path;
use std::sync::Arc;

/// A place that backups are written to, without the database's folder. Two are the same where their addresses are,
/// whatever their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// What it is known by; a local one by its path.
    pub(crate) address: String,
    /// What opens it.
    pub(crate) settings: DestinationSettings,
}

impl Spot {
    /// Makes a spot of settings that say where it is.
    pub(crate) fn of(settings: DestinationSettings) -> Option<Self> {
        let address = settings.block().address()?;
        let mut settings = settings.bare();
        if let DestinationSettings::Local(local) = &mut settings {
            local.folder_path = Some(address.clone());
        }
        Some(Self { address, settings })
    }

    /// Makes the spot of a directory.
    pub(crate) fn local(path: &str) -> Self {
        let address = root(path);
        let block = LocalSettings { folder_path: Some(address.clone()), ..LocalSettings::default() };
        Self { address, settings: DestinationSettings::Local(block) }
    }

    pub(crate) const fn kind(&self) -> DestinationKind {
        self.settings.kind()
    }

    /// Returns the directory of a local one.
    pub(crate) fn directory(&self) -> Option<&Path> {
        (self.kind() == DestinationKind::Local).then(|| Path::new(&self.address))
    }

    /// Returns the repository's address for a database.
    pub(crate) fn of_database(&self, database: &str) -> String {
        crate::derivation::inside(&self.address, database)
    }

    /// Returns the folder around this one, and what this one is called in it; `None` where there is none around it.
    pub(crate) fn around(&self) -> Option<(Self, String)> {
        let mut settings = self.settings.clone();
        let folder = match &mut settings {
            DestinationSettings::Local(block) => &mut block.folder_path,
            DestinationSettings::S3(block) => &mut block.remote_folder_name,
            DestinationSettings::Glacier(block) => &mut block.remote_folder_name,
            DestinationSettings::Azure(block) => &mut block.remote_folder_name,
            DestinationSettings::GoogleCloud(block) => &mut block.remote_folder_name,
            DestinationSettings::Ftp(block) => &mut block.url,
            DestinationSettings::Sftp(block) => &mut block.url,
            DestinationSettings::WebDav(block) => &mut block.url,
        };
        let whole = folder.as_deref()?.trim_end_matches('/');
        let path_begins = whole.find("://").map_or(0, |at| at + 3);
        let (outer, name) = match whole[path_begins..].rfind('/') {
            Some(at) => (&whole[..path_begins + at], &whole[path_begins + at + 1..]),
            // A server's name is no folder.
            None if path_begins > 0 => return None,
            None => ("", whole),
        };
        if name.is_empty() {
            return None;
        }
        let (outer, name) = (outer.to_owned(), name.to_owned());
        *folder = Some(outer);
        Some((Self::of(settings)?, name))
    }
}

/// Puts a path into the one form that roots are compared in.
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

/// A spot with the name that a task gives it.
pub(crate) type NamedSpot = (Option<String>, Arc<Spot>);

/// Lists the spots that a task is known to write to, each with the name it is given. Where a script says where one is,
/// only the run knows it.
pub(crate) fn known(backup: &BackupConfiguration) -> Vec<NamedSpot> {
    let without_script = backup.live().into_iter().filter(|(_, block)| block.script().is_none());
    without_script.flat_map(|(name, block)| each(name, block)).collect()
}

/// Lists the spots of one block, with the name of each.
fn each(name: Option<&str>, block: Block<'_>) -> Vec<NamedSpot> {
    let kind = block.kind();
    let of_one = |(apart, settings): (Option<String>, DestinationSettings)| {
        let name = apart_name(name, kind, apart.as_deref());
        Spot::of(settings).map(|spot| (name, Arc::new(spot)))
    };
    DestinationSettings::from(block).each().into_iter().filter_map(of_one).collect()
}

/// Names one of several that a block means: by its own name or kind, and what tells it apart.
pub(crate) fn apart_name(name: Option<&str>, kind: DestinationKind, apart: Option<&str>) -> Option<String> {
    match (name, apart) {
        (name, None) => name.map(str::to_owned),
        (Some(name), Some(apart)) => Some(format!("{name} {apart}")),
        (None, Some(apart)) => Some(format!("{kind} {apart}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spot(kind: DestinationKind, block: Value) -> Spot {
        Spot::of(DestinationSettings::read(kind, block.as_object().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn the_folder_around_a_repository_is_found_for_every_kind() {
        let around = |spot: &Spot| spot.around().map(|(outer, name)| (outer.address, name));
        let found = |outer: &str, name: &str| Some((outer.to_owned(), name.to_owned()));
        assert_eq!(around(&Spot::local("/srv/b/shop")), found("/srv/b", "shop"));
        let bucket = json!({ "BucketName": "b", "RemoteFolderName": "f/shop" });
        assert_eq!(around(&spot(DestinationKind::S3, bucket)), found("s3://b/f", "shop"));
        let shallow = json!({ "BucketName": "b", "RemoteFolderName": "shop" });
        assert_eq!(around(&spot(DestinationKind::S3, shallow)), found("s3://b", "shop"));
        assert_eq!(around(&spot(DestinationKind::S3, json!({ "BucketName": "b" }))), None);
        let ftp = json!({ "Url": "ftp://h/f/shop/" });
        assert_eq!(around(&spot(DestinationKind::Ftp, ftp)), found("ftp://h/f", "shop"));
        assert_eq!(around(&spot(DestinationKind::Ftp, json!({ "Url": "ftp://h" }))), None);
    }
}
