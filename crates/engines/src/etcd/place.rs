//! A data directory made of a snapshot, by the vendor's own tool.

use crate::dump::file_failure;
use crate::error::EngineError;
use crate::tool::{Tool, ToolRun, Tools, Wanted};
use larder_model::Cancel;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The tool that restores; newer releases have it under the first name.
const TOOL: Wanted<'_> = Wanted::any(&["etcdutl", "etcdctl"], "etcd-client").asked("version");

pub(super) fn tool(tools: &Tools) -> Result<Tool, EngineError> {
    tools.find(&TOOL)
}

/// Makes a data directory; `more` are further arguments.
pub(super) fn make(
    tool: &Tool,
    snapshot: &Path,
    directory: &Path,
    more: &[&str],
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let run = ToolRun::new(cancel)
        .args(["snapshot", "restore"])
        .arg(snapshot)
        .arg("--data-dir")
        .arg(directory)
        .args(more.iter().copied())
        .env("ETCDCTL_API", "3");
    let action = format!("making the data directory {}", directory.display());
    let made = tool
        .ask(run)
        .map_err(|failure| failure.into_error(action.as_str(), "see whether the disk has room"))?;
    drop(made);
    match directory.join("member/snap/db").is_file() {
        true => Ok(()),
        false => Err(EngineError::Failed {
            action,
            cause: format!("{tool} ended well, and there is no database in it"),
            remedy: "install a newer etcd-client".to_owned(),
        }),
    }
}

/// Puts a data directory in its place, whole or not at all.
pub(super) fn put(
    tool: &Tool,
    snapshot: &Path,
    target: &Path,
    overwrite: bool,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let failed = |error: io::Error| file_failure(target, error);
    let is_there = match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error)),
    };
    if is_there && !overwrite {
        return Err(EngineError::TargetNotEmpty { target: target.display().to_string() });
    }
    let beside = |what: &str| -> PathBuf {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        target.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
    };
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed)?;
    let (new, old) = (beside("restoring"), beside("replaced"));
    if let Err(error) = make(tool, snapshot, &new, &[], cancel) {
        let _ = fs::remove_dir_all(&new);
        return Err(error);
    }
    if is_there {
        fs::rename(target, &old).map_err(failed)?;
    }
    if let Err(error) = fs::rename(&new, target) {
        let _ = fs::rename(&old, target);
        let _ = fs::remove_dir_all(&new);
        return Err(failed(error));
    }
    if is_there { fs::remove_dir_all(&old).map_err(failed) } else { Ok(()) }
}
