//! Why a vendor's program did not do its work.

use crate::error::EngineError;
use crate::words::plain;
use larder_model::Canceled;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a run went wrong.
#[derive(Debug)]
pub(crate) enum ToolTrouble {
    /// Somebody asked for the work to stop.
    Canceled,
    /// It could not be started.
    NotStarted(io::Error),
    /// It ended by itself with a status other than 0, or by a signal.
    Ended(ExitStatus),
    /// It printed nothing, and took nothing, for longer than it may.
    Silent(u64),
    /// It ended well, but what it printed is not complete; says what is missing.
    Incomplete(String),
    /// Its input or output broke.
    Broken(io::Error),
}

/// A run that failed: which program, how, and the end of what it complained about, with secrets masked.
#[derive(Debug)]
pub(crate) struct ToolFailure {
    /// The program with its version: `pg_dump 15.18`.
    pub(crate) tool: String,
    /// How it went wrong.
    pub(crate) trouble: ToolTrouble,
    /// The end of what it wrote to its standard error, in one line; may be empty.
    pub(crate) said: String,
}

impl fmt::Display for ToolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = &self.tool;
        match &self.trouble {
            ToolTrouble::Canceled => write!(f, "{Canceled}")?,
            ToolTrouble::NotStarted(error) => {
                write!(f, "{tool} could not be started: {}", plain_text(error))?
            }
            ToolTrouble::Ended(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "{tool} ended with the exit status {code}")?,
                (None, Some(signal)) => write!(f, "{tool} was ended by the signal {signal}")?,
                (None, None) => write!(f, "{tool} ended ({status})")?,
            },
            ToolTrouble::Silent(seconds) => write!(f, "{tool} did nothing for {seconds} s and was ended")?,
            ToolTrouble::Incomplete(what) => write!(f, "{tool} ended well, but {what}")?,
            ToolTrouble::Broken(error) => write!(f, "the connection to {tool} broke: {}", plain_text(error))?,
        }
        match self.said.is_empty() {
            true => Ok(()),
            false => write!(f, ", and said: {}", self.said),
        }
    }
}

impl std::error::Error for ToolFailure {}

fn plain_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => plain(io::Error::from_raw_os_error(number)),
        None => error.to_string(),
    }
}

impl ToolFailure {
    /// Turns it into the error of an engine: what was attempted, and what the reader can do.
    pub(crate) fn into_error(self, action: impl Into<String>, remedy: impl Into<String>) -> EngineError {
        match self.trouble {
            ToolTrouble::Canceled => Canceled.into(),
            _ => EngineError::Failed {
                action: action.into(),
                cause: self.to_string().trim_end_matches('.').to_owned(),
                remedy: remedy.into(),
            },
        }
    }
}
