//! Where the destinations of one run are, as its task or a script says, and whether they may be there.

use crate::destination::{Target, Whereto, of_settings};
use crate::limits::Limits;
use crate::spot::Spot;
use crate::work::script;
use larder_model::Cancel;
use larder_model::task::{Block, DestinationKind};
use std::path::{Component, Path};
use std::sync::Arc;

/// A destination of one run.
pub(crate) struct Aim {
    /// What it is called in the task.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: DestinationKind,
    /// Where it is; the error is the middle of a sentence.
    pub(crate) spot: Result<Arc<Spot>, String>,
}

/// Finds out where each destination is. What a script says may mean several; a place is never taken twice.
pub(crate) fn aims(targets: &[Target], limits: &Limits, cancel: &Cancel) -> Vec<Aim> {
    let mut aims: Vec<Aim> = Vec::new();
    for target in targets {
        for mut aim in of_target(target, limits, cancel) {
            if let Ok(spot) = &aim.spot
                && aims.iter().any(|other| is_there(other, spot))
            {
                aim.spot = Err(format!(
                    "'{}' is another destination of the same task already; name another folder",
                    spot.address
                ));
            }
            aims.push(aim);
        }
    }
    aims
}

fn is_there(aim: &Aim, spot: &Spot) -> bool {
    aim.spot.as_ref().is_ok_and(|other| other.address == spot.address)
}

fn of_target(target: &Target, limits: &Limits, cancel: &Cancel) -> Vec<Aim> {
    match &target.whereto {
        Whereto::Spot(spot) => {
            let spot = limits.objection(spot.settings.block()).map_or(Ok(Arc::clone(spot)), Err);
            vec![Aim { name: target.name.clone(), kind: target.kind, spot }]
        }
        Whereto::Script(script, block) => {
            // A kind that is not allowed is not asked where it is.
            let allowed = limits.kind(target.kind).map_or(Ok(()), Err);
            let said = allowed.and_then(|()| script::run(script, &limits.script_directories, cancel));
            let settings = said.and_then(|said| {
                block
                    .merged(&said)
                    .map_err(|error| format!("what the script printed makes no sense: {error}"))
            });
            match settings {
                Ok(settings) => {
                    let named = (target.name != target.kind.long_name()).then_some(target.name.as_str());
                    of_settings(named, settings).into_iter().map(|one| said_by_script(one, limits)).collect()
                }
                Err(error) => vec![Aim { name: target.name.clone(), kind: target.kind, spot: Err(error) }],
            }
        }
        Whereto::Nowhere => {
            let spot = Err(format!("it does not say where it is; give its {}", what(target.kind)));
            vec![Aim { name: target.name.clone(), kind: target.kind, spot }]
        }
    }
}

fn said_by_script(target: Target, limits: &Limits) -> Aim {
    let Target { name, kind, whereto } = target;
    let spot = match whereto {
        Whereto::Spot(spot) => {
            let block = spot.settings.block();
            match objection_to_path(block).or_else(|| limits.objection(block)) {
                None => Ok(spot),
                Some(objection) => Err(format!("after what the script printed: {objection}")),
            }
        }
        _ => Err(format!("neither the task nor what the script printed says the {}", what(kind))),
    };
    Aim { name, kind, spot }
}

/// A path out of a script is held against the same rules as one out of a task.
fn objection_to_path(block: Block<'_>) -> Option<String> {
    let path = match block {
        Block::Local(local) => local.folder_path.as_deref().unwrap_or_default(),
        Block::Glacier(glacier) => glacier.hot_folder_path.as_deref()?,
        _ => return None,
    };
    let path = Path::new(path);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    (!plain).then(|| format!("'{}' is no plain path", path.display()))
}

/// Names what a block must say.
const fn what(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Local => "FolderPath",
        DestinationKind::S3 | DestinationKind::GoogleCloud => "BucketName",
        DestinationKind::Glacier => "VaultName",
        DestinationKind::Azure => "StorageContainer",
        DestinationKind::Ftp | DestinationKind::Sftp | DestinationKind::WebDav => "Url",
    }
}
