//! Where backups go: what a block says of each kind of destination.

use crate::secret::Secret;
use serde::{Deserialize, Serialize};

/// A program that says at each backup where a destination is: its output, as JSON, is put over the block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigurationScript {
    /// The program; it must lie in a directory that the host's administrator named.
    pub exec: Option<String>,
    /// What it is called with, as one text.
    pub arguments: Option<String>,
    /// After so many milliseconds it is ended, and the destination fails.
    pub timeout_in_ms: u64,
}

/// What RavenDB waits for a script, in milliseconds.
const DEFAULT_SCRIPT_TIMEOUT_MS: u64 = 10_000;

impl ConfigurationScript {
    /// Returns how long the script may run, in milliseconds; 0 means RavenDB's default.
    #[must_use]
    pub const fn timeout_ms(&self) -> u64 {
        if self.timeout_in_ms == 0 { DEFAULT_SCRIPT_TIMEOUT_MS } else { self.timeout_in_ms }
    }
}

/// A directory that backups are written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct LocalSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The directory; each database gets a folder in it.
    pub folder_path: Option<String>,
    /// RavenDB's number of a shard; Larder has none.
    pub shard_number: Option<i32>,
}

/// How S3 keeps what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "Amazon's own words")]
pub enum S3StorageClass {
    DeepArchive,
    Glacier,
    GlacierInstantRetrieval,
    IntelligentTiering,
    OneZoneInfrequentAccess,
    ReducedRedundancy,
    Standard,
    StandardInfrequentAccess,
    ExpressOneZone,
}

/// A bucket of Amazon S3, or of what speaks its protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct S3Settings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The key's public half.
    pub aws_access_key: Option<String>,
    /// The key's secret half.
    pub aws_secret_key: Option<Secret>,
    /// The region.
    pub aws_region_name: Option<String>,
    /// A token for keys that are lent.
    pub aws_session_token: Option<Secret>,
    /// The folder; each database gets one in it.
    pub remote_folder_name: Option<String>,
    /// The bucket.
    pub bucket_name: Option<String>,
    /// The address of another server that speaks S3.
    pub custom_server_url: Option<String>,
    /// Whether the bucket stands in the path and not in the host's name.
    pub force_path_style: bool,
    /// Whether the server's checksums are not asked for.
    pub disable_checksum_validation: bool,
    /// How the server keeps what is written.
    pub storage_class: Option<S3StorageClass>,
    /// Hosts of several regions, each of which gets a copy in one pass: `s3.nl-ams-1.example.net`. Ours, as those below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// For how many days nobody, not even the account's owner, may remove what was written; the bucket must allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_lock_days: Option<u32>,
    /// Whether that may be lifted by those with a special right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_lock_mode: Option<S3ObjectLockMode>,
    /// How the server itself encrypts: `AES256` or `aws:kms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_encryption: Option<String>,
    /// The server's key for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_encryption_key_id: Option<String>,
}

/// Who may lift an object lock before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum S3ObjectLockMode {
    /// Those with the right `s3:BypassGovernanceRetention`.
    Governance,
    /// Nobody.
    Compliance,
}

/// An Amazon Glacier vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct GlacierSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The key's public half.
    pub aws_access_key: Option<String>,
    /// The key's secret half.
    pub aws_secret_key: Option<Secret>,
    /// The region.
    pub aws_region_name: Option<String>,
    /// A token for keys that are lent.
    pub aws_session_token: Option<Secret>,
    /// The folder; each database gets one in it.
    pub remote_folder_name: Option<String>,
    /// The vault.
    pub vault_name: Option<String>,
    /// The address of another server that speaks the protocol of vaults. Ours, as those below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_server_url: Option<String>,
    /// How soon what a restore asks for can be read, and at what price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval_tier: Option<GlacierRetrievalTier>,
    /// A directory that keeps the catalogue, and at hand what every backup reads; the server's own where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot_folder_path: Option<String>,
    /// A bucket of S3 that keeps them instead, of the same account and in the same region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot_bucket_name: Option<String>,
}

/// How soon an archive of a vault can be read after it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum GlacierRetrievalTier {
    /// Within minutes, at the highest price.
    Expedited,
    /// Within hours.
    #[default]
    Standard,
    /// Within half a day, at the lowest price.
    Bulk,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct AzureSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The container.
    pub storage_container: Option<String>,
    /// The folder; each database gets one in it.
    pub remote_folder_name: Option<String>,
    /// The account.
    pub account_name: Option<String>,
    /// The account's key.
    pub account_key: Option<Secret>,
    /// A signature that stands for the key.
    pub sas_token: Option<Secret>,
    /// The address of another server that speaks Azure's protocol. Ours, as the one below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_server_url: Option<String>,
    /// Where the service keeps what is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_tier: Option<AzureAccessTier>,
}

/// Where Azure keeps a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "Microsoft's own words")]
pub enum AzureAccessTier {
    Hot,
    Cool,
    Cold,
    Archive,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct GoogleCloudSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The bucket.
    pub bucket_name: Option<String>,
    /// The folder; each database gets one in it.
    pub remote_folder_name: Option<String>,
    /// The service account's key file, as JSON.
    pub google_credentials_json: Option<Secret>,
    /// The address of another server that speaks Google's protocol. Ours, as the one below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_server_url: Option<String>,
    /// Where the service keeps what is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<GoogleStorageClass>,
}

/// Where Google Cloud keeps an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "Google's own words")]
pub enum GoogleStorageClass {
    Standard,
    Nearline,
    Coldline,
    Archive,
}

/// A folder of an FTP server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct FtpSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The address: `ftp://host/folder` or `ftps://host/folder`.
    pub url: Option<String>,
    /// The port, where the address names none; older clients send it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The user.
    pub user_name: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The server's certificate.
    pub certificate_as_base64: Option<Secret>,
}

/// A folder of a server that is reached by SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct SftpSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The address: `sftp://user@host:22/folder`; the folder is absolute, or begins with `~/`: `sftp://host/~/folder`.
    pub url: Option<String>,
    /// The user's password, where no key opens the door.
    pub password: Option<Secret>,
    /// The user's private key, as text; the user's own keys and agent are tried where nothing is said.
    pub private_key: Option<Secret>,
    /// The server's keys, as lines of a `known_hosts` file; the user's own file where nothing is said. A server whose key
    /// is not known is never written to.
    pub known_hosts: Option<String>,
}

/// A folder of a server that speaks WebDAV.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct WebDavSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// A program that says where it is.
    pub get_backup_configuration_script: Option<ConfigurationScript>,
    /// The address: `https://cloud.example.org/remote.php/dav/files/me/backups`.
    pub url: Option<String>,
    /// The user.
    pub user_name: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The server's certificate, or that of its authority, as PEM or Base64, where the host's own list does not have it.
    pub certificate_as_base64: Option<Secret>,
}
