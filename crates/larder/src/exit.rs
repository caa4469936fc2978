//! How the program ends, as a number for scripts and a sentence for people.

use std::process::ExitCode;

/// The numbers a script can rely on; `--help` and `docs/cli.md` list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It failed; the message says why.
    Failed = 1,
    /// A backup was kept but is incomplete: something could not be read.
    Incomplete = 3,
    /// No server answers at the address.
    Unreachable = 4,
    /// Ended by Ctrl-C or SIGTERM before it was done.
    Interrupted = 130,
}

/// The table that `--help` ends with. The number 2 is the argument parser's own.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; the message says why and what to do
  2    the command line makes no sense
  3    ended, but a backup is incomplete: something could not be read
  4    no server answers
  130  interrupted by Ctrl-C or SIGTERM before it was done";

impl Exit {
    /// Returns the word that names the code in JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Incomplete => "Incomplete",
            Self::Unreachable => "Unreachable",
            Self::Interrupted => "Interrupted",
        }
    }

    /// Returns the one that a script should rather know of.
    pub(crate) const fn worse(self, other: Self) -> Self {
        const fn rank(exit: Exit) -> u8 {
            match exit {
                Exit::Done => 0,
                Exit::Incomplete => 1,
                Exit::Failed => 2,
                Exit::Unreachable => 3,
                Exit::Interrupted => 4,
            }
        }
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// One word for programs: the server's own, where it declined.
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::with(Exit::Failed, message)
    }

    pub(crate) fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, kind: exit.word().to_owned(), message: message.into() }
    }
}

macro_rules! failure_from {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.to_string())
            }
        })+
    };
}

failure_from!(
    larder_http::HttpError,
    larder_model::InvalidName,
    larder_service::ServiceError,
    larder_state::StateError
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        for exit in [Exit::Done, Exit::Failed, Exit::Incomplete, Exit::Unreachable, Exit::Interrupted] {
            let number = format!("\n  {:<5}", exit as u8);
            assert!(EXIT_CODES.contains(&number), "{exit:?} is missing");
        }
    }

    #[test]
    fn the_worst_ending_counts() {
        assert_eq!(Exit::Done.worse(Exit::Incomplete), Exit::Incomplete);
        assert_eq!(Exit::Failed.worse(Exit::Incomplete), Exit::Failed);
        assert_eq!(Exit::Failed.worse(Exit::Done), Exit::Failed);
    }
}
