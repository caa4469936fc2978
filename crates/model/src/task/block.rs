//! The block of a destination, whatever its kind; further destinations, each with a name and one block.

use crate::task::destination::{
    AzureSettings, ConfigurationScript, FtpSettings, GlacierSettings, GoogleCloudSettings, LocalSettings,
    S3Settings, SftpSettings, WebDavSettings,
};
use crate::task::kind::DestinationKind;
use serde::{Deserialize, Serialize};

/// A further destination of a task, with a name of its own and exactly one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct NamedDestination {
    /// The name, unique in the task.
    pub name: String,
    /// A directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_settings: Option<LocalSettings>,
    /// Amazon S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_settings: Option<S3Settings>,
    /// An Amazon Glacier vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glacier_settings: Option<GlacierSettings>,
    /// Azure Blob Storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_settings: Option<AzureSettings>,
    /// Google Cloud Storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_cloud_settings: Option<GoogleCloudSettings>,
    /// An FTP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ftp_settings: Option<FtpSettings>,
    /// A server that is reached by SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sftp_settings: Option<SftpSettings>,
    /// A server that speaks WebDAV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_dav_settings: Option<WebDavSettings>,
}

impl NamedDestination {
    /// Lists the blocks that are written down; a destination that makes sense has one.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let all = [
            self.local_settings.as_ref().map(Block::Local),
            self.s3_settings.as_ref().map(Block::S3),
            self.glacier_settings.as_ref().map(Block::Glacier),
            self.azure_settings.as_ref().map(Block::Azure),
            self.google_cloud_settings.as_ref().map(Block::GoogleCloud),
            self.ftp_settings.as_ref().map(Block::Ftp),
            self.sftp_settings.as_ref().map(Block::Sftp),
            self.web_dav_settings.as_ref().map(Block::WebDav),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The block of one destination, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// A directory.
    Local(&'a LocalSettings),
    /// Amazon S3.
    S3(&'a S3Settings),
    /// An Amazon Glacier vault.
    Glacier(&'a GlacierSettings),
    /// Azure Blob Storage.
    Azure(&'a AzureSettings),
    /// Google Cloud Storage.
    GoogleCloud(&'a GoogleCloudSettings),
    /// An FTP server.
    Ftp(&'a FtpSettings),
    /// A server that is reached by SSH.
    Sftp(&'a SftpSettings),
    /// A server that speaks WebDAV.
    WebDav(&'a WebDavSettings),
}

impl<'a> Block<'a> {
    /// Returns the kind.
    #[must_use]
    pub const fn kind(self) -> DestinationKind {
        match self {
            Self::Local(_) => DestinationKind::Local,
            Self::S3(_) => DestinationKind::S3,
            Self::Glacier(_) => DestinationKind::Glacier,
            Self::Azure(_) => DestinationKind::Azure,
            Self::GoogleCloud(_) => DestinationKind::GoogleCloud,
            Self::Ftp(_) => DestinationKind::Ftp,
            Self::Sftp(_) => DestinationKind::Sftp,
            Self::WebDav(_) => DestinationKind::WebDav,
        }
    }

    /// Says whether the destination is left out.
    #[must_use]
    pub const fn is_disabled(self) -> bool {
        match self {
            Self::Local(block) => block.disabled,
            Self::S3(block) => block.disabled,
            Self::Glacier(block) => block.disabled,
            Self::Azure(block) => block.disabled,
            Self::GoogleCloud(block) => block.disabled,
            Self::Ftp(block) => block.disabled,
            Self::Sftp(block) => block.disabled,
            Self::WebDav(block) => block.disabled,
        }
    }

    /// Returns the script that says where it is, where one with a program is given.
    #[must_use]
    pub fn script(self) -> Option<&'a ConfigurationScript> {
        let script = match self {
            Self::Local(block) => &block.get_backup_configuration_script,
            Self::S3(block) => &block.get_backup_configuration_script,
            Self::Glacier(block) => &block.get_backup_configuration_script,
            Self::Azure(block) => &block.get_backup_configuration_script,
            Self::GoogleCloud(block) => &block.get_backup_configuration_script,
            Self::Ftp(block) => &block.get_backup_configuration_script,
            Self::Sftp(block) => &block.get_backup_configuration_script,
            Self::WebDav(block) => &block.get_backup_configuration_script,
        };
        script.as_ref().filter(|script| said(&script.exec).is_some())
    }

    /// Returns the value that makes a block a destination: the folder, the bucket, the vault, the container, the
    /// address.
    #[must_use]
    pub fn place(self) -> Option<&'a str> {
        match self {
            Self::Local(block) => said(&block.folder_path),
            Self::S3(block) => said(&block.bucket_name),
            Self::Glacier(block) => said(&block.vault_name),
            Self::Azure(block) => said(&block.storage_container),
            Self::GoogleCloud(block) => said(&block.bucket_name),
            Self::Ftp(block) => said(&block.url),
            Self::Sftp(block) => said(&block.url),
            Self::WebDav(block) => said(&block.url),
        }
    }

    /// Says whether the destination is enabled and says where it is, or has a script that does: RavenDB's test of
    /// what counts as a destination.
    #[must_use]
    pub fn is_live(self) -> bool {
        !self.is_disabled() && (self.place().is_some() || self.script().is_some())
    }
}

/// Returns a text that says something.
pub(super) fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}
