//! Finding the vendors' programs.

use super::run::ToolRun;
use super::version::Version;
use crate::error::EngineError;
use crate::registry::Host;
use larder_model::Cancel;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The names it goes by, any of them.
    pub(crate) names: &'a [&'a str],
    /// The Debian package that has it, for the message.
    pub(crate) package: &'a str,
    /// The oldest version that does; any where nothing is said.
    pub(crate) at_least: Option<Version>,
    /// What needs that version: `the server is PostgreSQL 16.2`; for the message.
    pub(crate) because: &'a str,
    /// How the version is read from what `--version` prints; [`Version::in_text`] does for most.
    pub(crate) read: fn(&str) -> Option<Version>,
    /// What makes it print that; `--version` for most.
    pub(crate) question: &'a str,
}

impl<'a> Wanted<'a> {
    /// Wants any version of a program.
    pub(crate) const fn any(names: &'a [&'a str], package: &'a str) -> Self {
        Self { names, package, at_least: None, because: "", read: Version::in_text, question: "--version" }
    }

    /// Asks for the version in another way.
    #[must_use]
    pub(crate) const fn asked(mut self, question: &'a str) -> Self {
        self.question = question;
        self
    }
}

/// A program that was found.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its version.
    pub(crate) version: Version,
    /// The `PATH` it runs with.
    pub(super) search_path: OsString,
    /// Added to its niceness.
    pub(super) niceness: u8,
    /// What makes it wait for the disk until nobody else wants it: the program `ionice`, where that is wanted and installed.
    pub(super) ionice: Option<PathBuf>,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        match self.version == Version::default() {
            true => f.write_str(&name),
            false => write!(f, "{name} {}", self.version),
        }
    }
}

/// The version of a file that did not change since.
type Known = HashMap<(PathBuf, i64, i64, u64), Option<Version>>;

/// The programs of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    directories: Arc<[PathBuf]>,
    niceness: u8,
    idle_disk: bool,
    known: Arc<Mutex<Known>>,
}

impl Tools {
    /// Looks in the directories that the host names.
    pub(crate) fn new(host: &Host) -> Self {
        Self {
            directories: host.tool_directories.clone().into(),
            niceness: host.niceness,
            idle_disk: host.idle_disk,
            known: Arc::default(),
        }
    }

    /// Returns the same programs, which do not step back behind others: for what starts something that others wait for.
    pub(crate) fn in_front(&self) -> Self {
        Self { niceness: 0, idle_disk: false, ..self.clone() }
    }

    /// Finds the newest of the versions of a program that are of one major version.
    pub(crate) fn find_major(&self, wanted: &Wanted<'_>, major: u32) -> Result<Tool, EngineError> {
        let fits = |version: &Version| version.part(0) == major;
        self.newest(wanted, &fits).ok_or_else(|| EngineError::Missing {
            what: format!("the program {} of version {major}", wanted.names.join(" or ")),
            remedy: format!(
                "install the package {}, or name its directory in larder.toml under [tools]; {}",
                wanted.package, wanted.because
            ),
        })
    }

    fn newest(&self, wanted: &Wanted<'_>, fits: &dyn Fn(&Version) -> bool) -> Option<Tool> {
        let mut best: Option<Tool> = None;
        for path in self.candidates(wanted.names) {
            let Some(version) = self.version(&path, wanted).filter(fits) else { continue };
            if best.as_ref().is_none_or(|best| best.version < version) {
                best = Some(self.tool(path, version));
            }
        }
        best
    }

    /// Finds the newest version of a program that does; of equal ones the first.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Result<Tool, EngineError> {
        let names = wanted.names.join(" or ");
        let Some(best) = self.newest(wanted, &|_| true) else {
            return Err(EngineError::Missing {
                what: format!("the program {names}"),
                remedy: format!(
                    "install the package {}, or name its directory in larder.toml, as in: [tools] directories = [\"/opt/bin\"]",
                    wanted.package
                ),
            });
        };
        match &wanted.at_least {
            Some(least) if best.version < *least => Err(EngineError::Failed {
                action: format!("looking for {names} {least} or newer"),
                cause: format!("{} is {}, and {}", best.path.display(), best.version, wanted.because),
                remedy: format!("install a newer version of the package {}", wanted.package),
            }),
            _ => Ok(best),
        }
    }

    /// Returns a program that lies beside another, of the same version.
    pub(crate) fn beside(&self, tool: &Tool, wanted: &Wanted<'_>) -> Result<Tool, EngineError> {
        let directory = tool.path.parent().unwrap_or(Path::new("/"));
        let found = wanted.names.iter().map(|name| directory.join(name)).find(|path| is_program(path));
        found.map(|path| self.tool(path, tool.version.clone())).ok_or_else(|| EngineError::Missing {
            what: format!("the program {} in {}", wanted.names.join(" or "), directory.display()),
            remedy: format!("install the package {}", wanted.package),
        })
    }

    /// Finds a program that must not be asked for its version: a script that would take the question for an order.
    pub(crate) fn find_unasked(&self, wanted: &Wanted<'_>) -> Result<Tool, EngineError> {
        let found = self.candidates(wanted.names).into_iter().next();
        found.map(|path| self.at(&path)).ok_or_else(|| EngineError::Missing {
            what: format!("the program {}", wanted.names.join(" or ")),
            remedy: format!("install the package {}", wanted.package),
        })
    }

    /// Returns a program that lies at a known place; its version is not asked for.
    pub(crate) fn at(&self, path: &Path) -> Tool {
        self.tool(path.to_owned(), Version::default())
    }

    fn tool(&self, path: PathBuf, version: Version) -> Tool {
        let search_path = std::env::join_paths(self.directories.iter()).unwrap_or_default();
        let wanted = self.idle_disk.then(|| self.candidates(&["ionice"]).into_iter().next());
        Tool { path, version, search_path, niceness: self.niceness, ionice: wanted.flatten() }
    }

    fn candidates(&self, names: &[&str]) -> Vec<PathBuf> {
        let all = self.directories.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        all.filter(|path| is_program(path)).collect()
    }

    fn version(&self, path: &Path, wanted: &Wanted<'_>) -> Option<Version> {
        let metadata = path.metadata().ok()?;
        let key = (path.to_owned(), metadata.mtime(), metadata.mtime_nsec(), metadata.len());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known().get(&key) {
            return version.clone();
        }
        let run = ToolRun::new(&Cancel::new()).arg(wanted.question).silent_for_at_most(PATIENCE);
        let printed = self.at(path).ask(run).ok();
        let version = printed.and_then(|printed| (wanted.read)(&String::from_utf8_lossy(&printed)));
        known().insert(key, version.clone());
        version
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
