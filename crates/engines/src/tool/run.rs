//! How a program is to be run.

use larder_model::{Cancel, Secret};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Whom a program runs as, for those that refuse to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunAs {
    /// The user.
    pub(crate) uid: u32,
    /// The group; no other groups are kept.
    pub(crate) gid: u32,
}

/// One run of a program.
///
/// Its environment holds nothing but what is said here, `PATH`, `LANG` and `TZ`. Secrets never belong into the arguments, which
/// every user of the host can read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolRun {
    /// The arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Variables of the environment.
    pub(crate) environment: Vec<(String, OsString)>,
    /// What is masked in everything that the program complains about.
    pub(crate) secrets: Vec<Secret>,
    /// Whether it is fed through [`super::Running::feed`]; without that it finds its input empty.
    pub(crate) is_fed: bool,
    /// Whether what it prints is thrown away.
    pub(crate) is_quiet: bool,
    /// For how long it may neither print nor take anything; for ever where nothing is said.
    pub(crate) silence: Option<Duration>,
    /// Where it runs; in the root directory where nothing is said.
    pub(crate) directory: Option<PathBuf>,
    /// Whom it runs as; as Larder itself where nothing is said.
    pub(crate) run_as: Option<RunAs>,
    /// Raised when it is to stop.
    pub(crate) cancel: Cancel,
}

impl ToolRun {
    /// Makes a run that stops when a flag is raised.
    pub(crate) fn new(cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..Self::default() }
    }

    /// Adds an argument.
    #[must_use]
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Sets a variable of the environment to a secret, which is masked in all complaints.
    #[must_use]
    pub(crate) fn secret_env(mut self, name: &str, value: &Secret) -> Self {
        self.secrets.push(value.clone());
        self.env(name, value.expose())
    }

    /// Makes a complaint never show a text.
    #[must_use]
    pub(crate) fn masked(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// Makes the program take what it is fed.
    #[must_use]
    pub(crate) const fn fed(mut self) -> Self {
        self.is_fed = true;
        self
    }

    /// Throws away what the program prints.
    #[must_use]
    pub(crate) const fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Ends the program when it neither prints nor takes anything for so long.
    #[must_use]
    pub(crate) const fn silent_for_at_most(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
        self
    }

    /// Runs it in a directory.
    #[must_use]
    pub(crate) fn within(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs it as somebody else, where anything is said.
    #[must_use]
    pub(crate) const fn run_as(mut self, run_as: Option<RunAs>) -> Self {
        self.run_as = run_as;
        self
    }
}
