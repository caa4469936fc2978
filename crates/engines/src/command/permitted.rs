//! Which programs may run.
//!
//! Whoever may use the API can add a source. It must not make Larder, which often runs as root, run any program: only what
//! lies in directories that the host's administrator named, and that nobody else can write to.

use crate::error::EngineError;
use crate::words::plain;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the administrator allows it.
pub(super) const REMEDY: &str =
    "name its directory in larder.toml, as in: [commands] directories = [\"/etc/larder/commands\"]";

/// May be written by everybody.
const BY_ALL: u32 = 0o002;

/// Sees to it that a file may be used, and returns where it really lies.
pub(super) fn permitted(what: &str, name: &str, directories: &[PathBuf]) -> Result<PathBuf, EngineError> {
    let refused = |cause: String, remedy: &str| EngineError::Failed {
        action: format!("using the {what} '{name}'"),
        cause,
        remedy: remedy.to_owned(),
    };
    if !Path::new(name).is_absolute() {
        return Err(refused("it is no absolute path".to_owned(), "write where it lies, beginning with /"));
    }
    // Resolved first, so that no link and no `..` leads out of the directories.
    let real = std::fs::canonicalize(name).map_err(|error| refused(plain(error), "check its name"))?;
    let directory = directories
        .iter()
        .filter_map(|directory| std::fs::canonicalize(directory).ok())
        .find(|directory| real.starts_with(directory) && real != *directory);
    let Some(directory) = directory else {
        return Err(refused("it may not be used on this host".to_owned(), REMEDY));
    };
    let on_the_way = real.ancestors().take_while(|path| path.starts_with(&directory));
    for path in on_the_way {
        let mode =
            path.metadata().map_err(|error| refused(plain(error), "check its name"))?.permissions().mode();
        if mode & BY_ALL != 0 {
            let cause = format!("everybody may write to {}", path.display());
            return Err(refused(cause, &format!("run: chmod o-w {}", path.display())));
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::permitted;
    use larder_testbed::TempDir;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_what_lies_in_a_named_directory_and_is_not_open_to_all_may_run() {
        let (named, other) = (TempDir::new(), TempDir::new());
        for directory in [&named, &other] {
            fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
            fs::write(directory.join("dump"), "x").unwrap();
            fs::set_permissions(directory.join("dump"), Permissions::from_mode(0o755)).unwrap();
        }
        let ask = |path: &str| permitted("program", path, &[named.path().to_owned()]);
        let shown = |directory: &TempDir, name: &str| directory.join(name).display().to_string();
        assert!(ask(&shown(&named, "dump")).is_ok());
        symlink(other.join("dump"), named.join("link")).unwrap();
        let around =
            format!("{}/../{}/dump", named.path().display(), other.path().file_name().unwrap().display());
        for outside in [shown(&other, "dump"), shown(&named, "link"), around] {
            let told = ask(&outside).unwrap_err().to_string();
            assert!(told.contains("may not be used") && told.contains("[commands]"), "{told}");
        }
        assert!(ask("dump").unwrap_err().to_string().contains("absolute"));
        assert!(ask(&shown(&named, "none")).is_err());
        fs::set_permissions(named.join("dump"), Permissions::from_mode(0o757)).unwrap();
        assert!(ask(&shown(&named, "dump")).unwrap_err().to_string().contains("chmod o-w"));
        assert!(permitted("program", &shown(&named, "dump"), &[]).is_err());
    }
}
