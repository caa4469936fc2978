//! The kinds of destination, and what each is called where.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of destination that a configuration can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DestinationKind {
    /// A directory.
    Local,
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// An Amazon Glacier vault.
    Glacier,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    GoogleCloud,
    /// An FTP server.
    #[serde(rename = "FTP")]
    Ftp,
    /// A server that is reached by SSH. Ours, as the one below.
    #[serde(rename = "SFTP")]
    Sftp,
    /// A server that speaks WebDAV.
    #[serde(rename = "WebDAV")]
    WebDav,
}

impl DestinationKind {
    /// Every kind, RavenDB's in its order, then ours.
    pub const ALL: [Self; 8] = [
        Self::Local,
        Self::S3,
        Self::Glacier,
        Self::Azure,
        Self::GoogleCloud,
        Self::Ftp,
        Self::Sftp,
        Self::WebDav,
    ];

    /// Returns the name of the configuration block: `LocalSettings`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Local => "LocalSettings",
            Self::S3 => "S3Settings",
            Self::Glacier => "GlacierSettings",
            Self::Azure => "AzureSettings",
            Self::GoogleCloud => "GoogleCloudSettings",
            Self::Ftp => "FtpSettings",
            Self::Sftp => "SftpSettings",
            Self::WebDav => "WebDavSettings",
        }
    }

    /// Returns the name that RavenDB puts into a task's name: `Amazon S3`.
    #[must_use]
    pub const fn long_name(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::S3 => "Amazon S3",
            Self::Glacier => "Amazon Glacier",
            Self::Azure => "Azure",
            Self::GoogleCloud => "Google Cloud",
            Self::Ftp => "FTP",
            Self::Sftp => "SFTP",
            Self::WebDav => "WebDAV",
        }
    }

    /// Returns the name that RavenDB's lists of tasks show: `AmazonS3`.
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::S3 => "AmazonS3",
            Self::Glacier => "AmazonGlacier",
            Self::Azure => "Azure",
            Self::GoogleCloud => "GoogleCloud",
            Self::Ftp => "FTP",
            Self::Sftp => "SFTP",
            Self::WebDav => "WebDAV",
        }
    }
}

impl fmt::Display for DestinationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.long_name())
    }
}
