//! From what a task says of a destination to the destination itself.

use crate::azure::{Azure, AzureObjects};
use crate::error::{StorageError, StorageErrorKind};
use crate::ftp::Ftp;
use crate::google::{GoogleCloud, GoogleObjects};
use crate::http::Client;
use crate::local::Local;
use crate::objects::ObjectStore;
use crate::s3::{S3, S3Objects};
use crate::sftp::Sftp;
use crate::storage::Storage;
use crate::vault::Vault;
use crate::webdav::WebDav;
use larder_model::task::Block;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What connections are told of the host; the binary takes it from `larder.toml` and the environment.
#[derive(Clone, Debug, Default)]
pub struct ConnectorSettings {
    /// The program that opens SSH connections; `ssh` of the search path where nothing is said.
    pub ssh_program: Option<PathBuf>,
    /// Where secrets lie while a program that is started for a connection reads them, in a directory that only Larder's user
    /// can enter; `/tmp` where nothing is said.
    pub temporary_directory: Option<PathBuf>,
    /// Certificates of authorities that are trusted besides the host's own list, as PEM.
    pub root_certificates: Vec<Vec<u8>>,
    /// How long no byte may move on a connection before it counts as cut; 30 s where nothing is said.
    pub stalled_after: Option<Duration>,
    /// Where the catalogues of vaults lie that name no place of their own; such a vault is refused where nothing is said.
    pub vault_directory: Option<PathBuf>,
}

/// Opens destinations; what connections can share, they share. Clones share it, too.
#[derive(Clone, Debug)]
pub struct Connector {
    settings: Arc<ConnectorSettings>,
    http: Client,
}

impl Connector {
    /// Makes a connector.
    ///
    /// # Errors
    /// A certificate is none.
    pub fn new(settings: ConnectorSettings) -> Result<Self, StorageError> {
        let http = Client::new(&settings)?;
        Ok(Self { settings: Arc::new(settings), http })
    }

    /// Opens what a block describes, without asking the destination anything yet.
    ///
    /// # Errors
    /// The block makes no sense: no bucket, an address that is none.
    pub fn connect(&self, block: Block<'_>) -> Result<Arc<dyn Storage>, StorageError> {
        match block {
            Block::Local(local) => {
                let path = local.folder_path.as_deref().unwrap_or_default();
                Ok(Arc::new(Local::open(Path::new(path))?))
            }
            Block::S3(settings) => Ok(Arc::new(S3::open(settings, self.http.clone())?)),
            Block::Azure(azure) => Ok(Arc::new(Azure::open(azure, self.http.clone())?)),
            Block::GoogleCloud(google) => Ok(Arc::new(GoogleCloud::open(google, self.http.clone())?)),
            Block::WebDav(webdav) => Ok(Arc::new(WebDav::open(webdav, &self.settings)?)),
            Block::Ftp(ftp) => Ok(Arc::new(Ftp::open(ftp, &self.settings)?)),
            Block::Sftp(sftp) => Ok(Arc::new(Sftp::open(sftp, &self.settings)?)),
            Block::Glacier(glacier) => Ok(Arc::new(Vault::open(glacier, &self.settings, self.http.clone())?)),
        }
    }
}

impl Connector {
    /// Opens the bucket that a block names, with the objects that somebody else keeps there; nothing is asked of it yet. The
    /// block's folder is not heeded.
    ///
    /// # Errors
    /// The block makes no sense, or is of a kind that has no buckets.
    pub fn objects(&self, block: Block<'_>) -> Result<Arc<dyn ObjectStore>, StorageError> {
        match block {
            Block::S3(settings) => Ok(Arc::new(S3Objects::open(settings, self.http.clone())?)),
            Block::Azure(azure) => Ok(Arc::new(AzureObjects::open(azure, self.http.clone())?)),
            Block::GoogleCloud(google) => Ok(Arc::new(GoogleObjects::open(google, self.http.clone())?)),
            _ => Err(refused(block, "it has no buckets")),
        }
    }
}

fn refused(block: Block<'_>, cause: &str) -> StorageError {
    StorageError::new(StorageErrorKind::Invalid, "open", "", block.kind().to_string(), cause)
}
