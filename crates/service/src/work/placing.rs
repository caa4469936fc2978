//! Where the destinations of one backup are, as its task or a script says.

use crate::destination::{self, Destination, Target, Whereto};
use crate::work::backup::Backup;
use crate::work::{Place, script};
use larder_model::Cancel;
use larder_model::task::{DestinationKind, LocalSettings, read};
use serde_json::{Map, Value};
use std::path::{Component, Path};

impl Backup {
    /// Finds out where a destination is; the error is the middle of a sentence.
    pub(crate) fn place(&self, target: &Target, taken: &[&str], cancel: &Cancel) -> Result<Place, String> {
        let root = match &target.whereto {
            Whereto::Root(root) => root.clone(),
            Whereto::Script(script) if target.kind == DestinationKind::Local => {
                let said = script::run(script, &self.script_directories, cancel)?;
                self.root_said(&said)?
            }
            Whereto::Script(_) | Whereto::Elsewhere => {
                return Err(format!(
                    "a destination of the kind {} is not available in this version; use a local directory, or one that is mounted",
                    target.kind
                ));
            }
        };
        if taken.contains(&root.as_str()) {
            return Err(format!(
                "'{root}' is another destination of the same task already; name another folder"
            ));
        }
        let destination = Destination { name: target.name.clone(), root };
        Ok(self.known.place(destination, vec![self.password.clone()]))
    }

    /// Reads the root out of what a script printed.
    fn root_said(&self, said: &Map<String, Value>) -> Result<String, String> {
        let local: LocalSettings =
            read(said).map_err(|error| format!("what the script printed makes no sense: {error}"))?;
        let path = destination::path(&local).unwrap_or_default();
        let plain = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.starts_with('/') || !plain {
            return Err(format!(
                "the script printed the FolderPath '{path}', and it must be an absolute path"
            ));
        }
        match &self.local_root {
            Some(allowed) if !Path::new(path).starts_with(allowed) => Err(format!(
                "the script printed the FolderPath '{path}', and local backups may lie only below '{}'",
                allowed.display()
            )),
            _ => Ok(destination::root(path)),
        }
    }
}
