//! What the administrator of the host allows destinations to be.

use crate::derivation::same_name;
use crate::settings::Settings;
use larder_model::task::{Block, DestinationKind};
use std::path::{Path, PathBuf};

/// The limits that hold for every destination, whoever says where it is: a task, a script, a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// Where scripts may lie.
    pub(crate) script_directories: Vec<PathBuf>,
    /// Where local destinations must lie.
    local_root: Option<PathBuf>,
    kinds: Option<Vec<DestinationKind>>,
    regions: Option<Vec<String>>,
}

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            script_directories: settings.script_directories.clone(),
            local_root: settings.local_root.clone(),
            kinds: settings.allowed_destinations.clone(),
            regions: settings.allowed_aws_regions.clone(),
        }
    }

    /// Says why a destination is not allowed, as a whole sentence without its end; nothing where it is.
    pub(crate) fn objection(&self, block: Block<'_>) -> Option<String> {
        self.kind(block.kind()).or_else(|| self.region(block)).or_else(|| match block {
            Block::Local(local) => self.folder(local.folder_path.as_deref().unwrap_or_default()),
            Block::Glacier(glacier) => glacier.hot_folder_path.as_deref().and_then(|path| self.folder(path)),
            _ => None,
        })
    }

    pub(crate) fn kind(&self, kind: DestinationKind) -> Option<String> {
        let allowed = self.kinds.as_ref().filter(|allowed| !allowed.contains(&kind))?;
        let names = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let remedy = match allowed.is_empty() {
            true => "the administrator allows no backups on this server".to_owned(),
            false => format!("the administrator of this server allows only: {names}"),
        };
        Some(format!("a destination of the kind {kind} is not allowed; {remedy}"))
    }

    pub(crate) fn region(&self, block: Block<'_>) -> Option<String> {
        let region = match block {
            Block::S3(s3) => s3.aws_region_name.as_deref(),
            Block::Glacier(glacier) => glacier.aws_region_name.as_deref(),
            _ => None,
        }?;
        let allowed =
            self.regions.as_ref().filter(|allowed| !allowed.iter().any(|one| same_name(one, region)))?;
        Some(format!(
            "the AWS region '{region}' is not allowed; the administrator of this server allows only: {}",
            allowed.join(", ")
        ))
    }

    fn folder(&self, path: &str) -> Option<String> {
        let root = self.local_root.as_ref().filter(|root| !Path::new(path).starts_with(root))?;
        Some(format!(
            "the administrator lets local backups lie only below '{}', and '{path}' does not",
            root.display()
        ))
    }
}
