//! The block of one destination, held: taken out of a task, stored apart from it, changed by what a script says.

use crate::task::backup::BackupConfiguration;
use crate::task::block::Block;
use crate::task::destination::{
    AzureSettings, FtpSettings, GlacierSettings, GoogleCloudSettings, LocalSettings, S3Settings,
    SftpSettings, WebDavSettings,
};
use crate::task::kind::DestinationKind;
use crate::task::merge::merge;
use crate::task::read::{WrongValue, read};
use serde_json::{Map, Value};

/// The block of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationSettings {
    /// A directory.
    Local(LocalSettings),
    /// Amazon S3.
    S3(Box<S3Settings>),
    /// An Amazon Glacier vault.
    Glacier(Box<GlacierSettings>),
    /// Azure Blob Storage.
    Azure(Box<AzureSettings>),
    /// Google Cloud Storage.
    GoogleCloud(Box<GoogleCloudSettings>),
    /// An FTP server.
    Ftp(Box<FtpSettings>),
    /// A server that is reached by SSH.
    Sftp(Box<SftpSettings>),
    /// A server that speaks WebDAV.
    WebDav(Box<WebDavSettings>),
}

impl From<Block<'_>> for DestinationSettings {
    fn from(block: Block<'_>) -> Self {
        match block {
            Block::Local(block) => Self::Local(block.clone()),
            Block::S3(block) => Self::S3(Box::new(block.clone())),
            Block::Glacier(block) => Self::Glacier(Box::new(block.clone())),
            Block::Azure(block) => Self::Azure(Box::new(block.clone())),
            Block::GoogleCloud(block) => Self::GoogleCloud(Box::new(block.clone())),
            Block::Ftp(block) => Self::Ftp(Box::new(block.clone())),
            Block::Sftp(block) => Self::Sftp(Box::new(block.clone())),
            Block::WebDav(block) => Self::WebDav(Box::new(block.clone())),
        }
    }
}

impl From<DestinationSettings> for BackupConfiguration {
    /// Makes a configuration with this one destination, whose secrets can be taken out and put in again.
    fn from(settings: DestinationSettings) -> Self {
        let mut alone = Self::default();
        match settings {
            DestinationSettings::Local(block) => alone.local_settings = Some(block),
            DestinationSettings::S3(block) => alone.s3_settings = Some(*block),
            DestinationSettings::Glacier(block) => alone.glacier_settings = Some(*block),
            DestinationSettings::Azure(block) => alone.azure_settings = Some(*block),
            DestinationSettings::GoogleCloud(block) => alone.google_cloud_settings = Some(*block),
            DestinationSettings::Ftp(block) => alone.ftp_settings = Some(*block),
            DestinationSettings::Sftp(block) => alone.sftp_settings = Some(*block),
            DestinationSettings::WebDav(block) => alone.web_dav_settings = Some(*block),
        }
        alone
    }
}

impl DestinationSettings {
    /// Returns the block.
    #[must_use]
    pub const fn block(&self) -> Block<'_> {
        match self {
            Self::Local(block) => Block::Local(block),
            Self::S3(block) => Block::S3(block),
            Self::Glacier(block) => Block::Glacier(block),
            Self::Azure(block) => Block::Azure(block),
            Self::GoogleCloud(block) => Block::GoogleCloud(block),
            Self::Ftp(block) => Block::Ftp(block),
            Self::Sftp(block) => Block::Sftp(block),
            Self::WebDav(block) => Block::WebDav(block),
        }
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> DestinationKind {
        self.block().kind()
    }

    /// Returns the one destination of a configuration that was made of settings.
    #[must_use]
    pub fn only(configuration: &BackupConfiguration) -> Option<Self> {
        configuration.blocks().first().map(|(_, block)| Self::from(*block))
    }

    /// Reads the block of a kind, as clients send it alone.
    ///
    /// # Errors
    /// The first value that makes no sense, by its key.
    pub fn read(kind: DestinationKind, block: &Map<String, Value>) -> Result<Self, WrongValue> {
        let whole = Map::from_iter([(kind.key().to_owned(), Value::Object(block.clone()))]);
        let alone: BackupConfiguration = read(&whole)?;
        Self::only(&alone).ok_or_else(|| WrongValue {
            key: kind.key().to_owned(),
            value: "what was given".to_owned(),
            cause: "it must be an object".to_owned(),
        })
    }

    /// Returns where the destination is, without whether it is left out and how its settings are found out.
    #[must_use]
    pub fn bare(mut self) -> Self {
        let (disabled, script) = match &mut self {
            Self::Local(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::S3(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::Glacier(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::Azure(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::GoogleCloud(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::Ftp(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::Sftp(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
            Self::WebDav(block) => (&mut block.disabled, &mut block.get_backup_configuration_script),
        };
        *disabled = false;
        *script = None;
        self
    }

    /// Puts what a script printed over the block; a secret that it does not name stays.
    ///
    /// # Errors
    /// The first value that makes no sense, by its key.
    pub fn merged(&self, said: &Map<String, Value>) -> Result<Self, WrongValue> {
        let mut alone: BackupConfiguration = self.clone().bare().into();
        let mut secrets = alone.take_secrets();
        secrets.retain(|path, _| path.rsplit('.').next().is_none_or(|key| !said.contains_key(key)));
        let key = self.kind().key();
        let written = serde_json::to_value(&alone).ok().and_then(|mut value| match value[key].take() {
            Value::Object(block) => Some(block),
            _ => None,
        });
        let block = merge(written.unwrap_or_default(), said.clone());
        let mut alone: BackupConfiguration = read(&Map::from_iter([(key.to_owned(), Value::Object(block))]))?;
        alone.put_secrets(secrets);
        Ok(Self::only(&alone).unwrap_or_else(|| self.clone()).bare())
    }

    /// Returns the destinations that these settings mean, each with what tells it from the others where there are
    /// several: S3 with a list of hosts is one for each.
    #[must_use]
    pub fn each(self) -> Vec<(Option<String>, Self)> {
        match self {
            Self::S3(s3) => {
                s3.each_host().into_iter().map(|(host, s3)| (host, Self::S3(Box::new(s3)))).collect()
            }
            other => vec![(None, other)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn bucket() -> DestinationSettings {
        let block = json!({
            "BucketName": "b", "AwsAccessKey": "a", "AwsSecretKey": "secret", "Disabled": true,
            "GetBackupConfigurationScript": { "Exec": "/x" },
        });
        DestinationSettings::read(DestinationKind::S3, &object(block)).unwrap()
    }

    #[test]
    fn what_a_script_says_is_put_over_the_block_and_its_secrets() {
        let merged = bucket().merged(&object(json!({ "RemoteFolderName": "f" }))).unwrap();
        let DestinationSettings::S3(s3) = &merged else { panic!("{merged:?}") };
        assert_eq!((s3.bucket_name.as_deref(), s3.remote_folder_name.as_deref()), (Some("b"), Some("f")));
        assert_eq!(s3.aws_secret_key.as_ref().unwrap().expose(), "secret");
        assert!(!s3.disabled && s3.get_backup_configuration_script.is_none());
        let other =
            bucket().merged(&object(json!({ "AwsSecretKey": "new", "AwsAccessKey": "other" }))).unwrap();
        let DestinationSettings::S3(s3) = &other else { panic!("{other:?}") };
        assert_eq!(s3.aws_secret_key.as_ref().unwrap().expose(), "new");
        let none = bucket().merged(&object(json!({ "AwsSecretKey": null, "AwsAccessKey": null }))).unwrap();
        let DestinationSettings::S3(s3) = &none else { panic!("{none:?}") };
        assert_eq!((&s3.aws_secret_key, &s3.aws_access_key), (&None, &None));
        assert!(bucket().merged(&object(json!({ "BucketName": 7 }))).is_err());
    }

    #[test]
    fn every_kind_can_be_taken_out_and_put_back() {
        for kind in DestinationKind::ALL {
            let settings = DestinationSettings::read(kind, &Map::new()).unwrap();
            assert_eq!(settings.kind(), kind);
            let alone: BackupConfiguration = settings.clone().into();
            assert_eq!(DestinationSettings::only(&alone).unwrap(), settings);
        }
    }
}
