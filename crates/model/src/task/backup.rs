//! What a backup is and where it goes: what one-time and periodic tasks have in common.

use crate::secret::Secret;
use crate::task::block::{Block, NamedDestination};
use crate::task::destination::{
    AzureSettings, FtpSettings, GlacierSettings, GoogleCloudSettings, LocalSettings, S3Settings,
    SftpSettings, WebDavSettings,
};
use serde::{Deserialize, Serialize};

/// What a backup holds, for engines that know both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BackupType {
    /// What is in the database, in a form that other versions read too.
    #[default]
    Backup,
    /// The database's own files.
    Snapshot,
}

/// How bytes reach a remote destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BackupUploadMode {
    /// What a destination is too slow for waits on the server's disk, so that the source and other destinations need not.
    #[default]
    Default,
    /// Without a local copy on the way.
    DirectUpload,
}

/// How hard the repository compresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CompressionLevel {
    /// A balance of time and size.
    #[default]
    Optimal,
    /// Little time.
    Fastest,
    /// None at all.
    NoCompression,
    /// Little space.
    SmallestSize,
}

/// RavenDB's choice of algorithm; a repository always uses Zstandard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CompressionAlgorithm {
    /// Zstandard.
    Zstd,
    /// Deflate; Zstandard is used instead.
    Deflate,
}

/// Details of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct SnapshotSettings {
    /// How hard the repository compresses.
    pub compression_level: CompressionLevel,
    /// RavenDB's choice of algorithm.
    pub compression_algorithm: Option<CompressionAlgorithm>,
    /// Whether what can be computed again is left out, where an engine knows such things.
    pub exclude_indexes: bool,
}

/// Which key a task's repositories are opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EncryptionMode {
    /// A password that everybody knows: whoever holds the repository can read it.
    None,
    /// The server's key, as where nothing is said.
    UseDatabaseKey,
    /// The key given here.
    UseProvidedKey,
}

/// Which key a task's repositories are opened with; the server's own where the block is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupEncryptionSettings {
    /// 32 bytes in Base64, for [`EncryptionMode::UseProvidedKey`]; the text is the repositories' password.
    pub key: Option<Secret>,
    /// Where the key comes from.
    pub encryption_mode: Option<EncryptionMode>,
}

/// What a backup is and where it goes: the whole of a one-time backup, the base of a periodic one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupConfiguration {
    /// What a backup holds, where the engine knows both kinds.
    pub backup_type: BackupType,
    /// How bytes reach a remote destination.
    pub backup_upload_mode: BackupUploadMode,
    /// Details of a snapshot, and how hard the repository compresses.
    pub snapshot_settings: Option<SnapshotSettings>,
    /// Which key the repositories are opened with.
    pub backup_encryption_settings: Option<BackupEncryptionSettings>,
    /// At most so many reads of the source a second; no limit where nothing is said.
    pub max_read_ops_per_second: Option<i32>,
    /// A directory of this host, or one mounted there.
    pub local_settings: Option<LocalSettings>,
    /// Amazon S3, or what speaks its protocol.
    pub s3_settings: Option<S3Settings>,
    /// An Amazon Glacier vault.
    pub glacier_settings: Option<GlacierSettings>,
    /// Azure Blob Storage.
    pub azure_settings: Option<AzureSettings>,
    /// Google Cloud Storage.
    pub google_cloud_settings: Option<GoogleCloudSettings>,
    /// An FTP server.
    pub ftp_settings: Option<FtpSettings>,
    /// A server that is reached by SSH. Ours, as all below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sftp_settings: Option<SftpSettings>,
    /// A server that speaks WebDAV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_dav_settings: Option<WebDavSettings>,
    /// Further destinations, so that one task may write to several regions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<NamedDestination>,
    /// The name of the installation that is kept on the backups; the server's where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

impl BackupConfiguration {
    /// Lists the destinations that are written down, live or not: RavenDB's blocks first, then the further ones with
    /// their names.
    #[must_use]
    pub fn blocks(&self) -> Vec<(Option<&str>, Block<'_>)> {
        let own = [
            self.local_settings.as_ref().map(Block::Local),
            self.s3_settings.as_ref().map(Block::S3),
            self.glacier_settings.as_ref().map(Block::Glacier),
            self.azure_settings.as_ref().map(Block::Azure),
            self.google_cloud_settings.as_ref().map(Block::GoogleCloud),
            self.ftp_settings.as_ref().map(Block::Ftp),
            self.sftp_settings.as_ref().map(Block::Sftp),
            self.web_dav_settings.as_ref().map(Block::WebDav),
        ];
        let own = own.into_iter().flatten().map(|block| (None, block));
        let further = self
            .destinations
            .iter()
            .flat_map(|one| one.blocks().into_iter().map(|block| (Some(one.name.as_str()), block)));
        own.chain(further).collect()
    }

    /// Lists the destinations that are enabled and say where they are, or have a script that does.
    #[must_use]
    pub fn live(&self) -> Vec<(Option<&str>, Block<'_>)> {
        self.blocks().into_iter().filter(|(_, block)| block.is_live()).collect()
    }

    /// Says whether anything but the one password that everybody knows protects the backups.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let mode = self.backup_encryption_settings.as_ref().and_then(|settings| settings.encryption_mode);
        mode != Some(EncryptionMode::None)
    }

    /// Returns the name RavenDB gives a task that has none: `Backup to Local, Amazon S3`.
    #[must_use]
    pub fn default_name(&self) -> String {
        let kind = match self.backup_type {
            BackupType::Backup => "Backup",
            BackupType::Snapshot => "Snapshot",
        };
        let mut places: Vec<String> = Vec::new();
        for (name, block) in self.live() {
            let place = name.map_or_else(|| block.kind().long_name().to_owned(), str::to_owned);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        match places.is_empty() {
            true => format!("{kind} w/o destinations"),
            false => format!("{kind} to {}", places.join(", ")),
        }
    }
}
