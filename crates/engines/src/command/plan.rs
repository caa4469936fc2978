//! What a source says of its program.

use super::permitted::permitted;
use super::words::split;
use crate::engine::SourceOption;
use crate::error::EngineError;
use crate::remote::Options;
use larder_model::{Secret, Source};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// The options, by the names on the engine's page.
const MARKER: &str = "CompletenessMarker";
const MINIMUM: &str = "MinimumBytes";
const TIMEOUT: &str = "TimeoutSeconds";
const DIRECTORY: &str = "WorkingDirectory";
const FILE: &str = "FileName";
const RESTORE: &str = "RestoreCommand";
const ENVIRONMENT: &str = "EnvironmentFile";
const OPTIONS: [&str; 7] = [MARKER, MINIMUM, TIMEOUT, DIRECTORY, FILE, RESTORE, ENVIRONMENT];

/// What each of them means, for forms to ask.
pub(super) const MEANINGS: [SourceOption; 7] = [
    SourceOption::new(MARKER, "a text that must stand in the last 64 KiB of what is printed"),
    SourceOption::new(MINIMUM, "the least size in bytes; 1 where nothing is said"),
    SourceOption::new(TIMEOUT, "how many seconds it may take; for ever where nothing is said"),
    SourceOption::new(DIRECTORY, "where it runs; where the program lies, unless said otherwise"),
    SourceOption::new(FILE, "the name of the file in the backup; output where nothing is said"),
    SourceOption::new(ENVIRONMENT, "a file with lines of NAME=value, readable by owner and group only"),
    SourceOption::new(RESTORE, "a program that takes a backup on its standard input"),
];

/// Larger files of settings are none, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// A program with its arguments, permitted to run.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// Everything that a source says.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) dump: Invocation,
    pub(super) restore: Option<Invocation>,
    pub(super) marker: Option<String>,
    pub(super) minimum: u64,
    pub(super) timeout: Option<Duration>,
    pub(super) directory: PathBuf,
    pub(super) file: String,
    pub(super) environment: Vec<(String, Secret)>,
}

impl Plan {
    pub(super) fn of(source: &Source, directories: &[PathBuf]) -> Result<Self, EngineError> {
        let options = Options::of(source, &OPTIONS)?;
        let refused = |cause: String, remedy: &str| EngineError::Failed {
            action: format!("reading the options of the source {}", source.name),
            cause,
            remedy: remedy.to_owned(),
        };
        let address = source.address.strip_prefix("command://").unwrap_or(&source.address);
        let dump = invocation("program", address, directories)?;
        let restore = options.get(RESTORE).map(|line| invocation(RESTORE, line, directories)).transpose()?;
        let file = options.get(FILE).unwrap_or("output").to_owned();
        if file.contains('/') || file.contains('\0') || matches!(file.as_str(), "." | "..") {
            return Err(refused(format!("{FILE} is '{file}'"), "write a name without a directory"));
        }
        let directory = match options.get(DIRECTORY) {
            Some(directory) => PathBuf::from(directory),
            None => dump.program.parent().map(PathBuf::from).unwrap_or_default(),
        };
        if !directory.is_absolute() || !directory.is_dir() {
            let cause = format!("{DIRECTORY} {} is no directory", directory.display());
            return Err(refused(cause, "write where it lies, beginning with /"));
        }
        let mut environment = match options.get(ENVIRONMENT) {
            Some(name) => variables(name, directories)?,
            None => Vec::new(),
        };
        if let Some(password) = &source.password {
            environment.push(("LARDER_PASSWORD".to_owned(), password.clone()));
        }
        Ok(Self {
            dump,
            restore,
            marker: options.get(MARKER).map(str::to_owned),
            minimum: options.number(MINIMUM)?.unwrap_or(1).max(1),
            timeout: options.number(TIMEOUT)?.filter(|seconds| *seconds > 0).map(Duration::from_secs),
            directory,
            file,
            environment,
        })
    }
}

/// Reads a line with a program and its arguments, and sees to it that it may run; `what` is what the line is called.
pub(crate) fn invocation(what: &str, line: &str, directories: &[PathBuf]) -> Result<Invocation, EngineError> {
    let refused = |cause: &str| EngineError::Failed {
        action: format!("reading the {what}"),
        cause: cause.to_owned(),
        remedy: "write a program and its arguments, apart by spaces, those with spaces in quotes".to_owned(),
    };
    let mut words = split(line).ok_or_else(|| refused("a quote in it does not end"))?.into_iter();
    let program = words.next().ok_or_else(|| refused("it is empty"))?;
    Ok(Invocation { program: permitted(what, &program, directories)?, arguments: words.collect() })
}

/// Reads lines of `NAME=value` from a file that only its owner and group may read. It must lie in the same directories:
/// otherwise the API could make Larder read any file to a program.
fn variables(name: &str, directories: &[PathBuf]) -> Result<Vec<(String, Secret)>, EngineError> {
    let path = permitted(ENVIRONMENT, name, directories)?;
    let refused = |cause: String, remedy: &str| EngineError::Failed {
        action: format!("reading {}", path.display()),
        cause,
        remedy: remedy.to_owned(),
    };
    let metadata = path.metadata().map_err(|error| refused(crate::words::plain(error), "check its name"))?;
    if metadata.permissions().mode() & 0o007 != 0 {
        let remedy = format!("run: chmod o-rwx {}", path.display());
        return Err(refused("everybody may read the secrets in it".to_owned(), &remedy));
    }
    if metadata.len() > MOST_SETTINGS {
        return Err(refused("it is too large".to_owned(), "keep nothing but variables in it"));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| {
        refused(crate::words::plain(error), "give the user that Larder runs as the right to read it")
    })?;
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let is_name = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let Some((name, value)) = pair.filter(|(name, _)| is_name(name)) else {
            // The line is not shown: it may hold a secret.
            return Err(refused(format!("line {} is not NAME=value", number + 1), "correct that line"));
        };
        let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        variables.push((name.to_owned(), Secret::new(inner.unwrap_or(value).to_owned())));
    }
    Ok(variables)
}
