//! Standard output and standard error: results on one, everything else on the other.

use crate::exit::{Exit, Failure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::human;
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// Where results and remarks go.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
    pub(crate) zone: TimeZone,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, zone: TimeZone::system() }
    }

    /// Says whether results are to be JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Says whether somebody watches: then bars may move.
    pub(crate) fn is_live(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Writes one line of the result; nothing where the result is JSON.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }

    /// Writes a remark on standard error; nothing where the result is JSON.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            remark(text);
        }
    }

    /// Writes the result as JSON, where it is to be.
    pub(crate) fn value<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(value)
                .map_err(|error| Failure::new(format!("the result could not be written as JSON: {error}")))?;
            print(&text);
        }
        Ok(())
    }

    /// Writes a result that a script reads as it is, even where JSON was not asked for.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: &str) -> Result<Exit, Failure> {
        self.line(text);
        self.value(value)?;
        Ok(Exit::Done)
    }

    /// Says why the program ends.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let body = json!({ "Error": { "Kind": failure.kind, "Message": failure.message } });
            print(&format!("{body:#}"));
        } else {
            remark(&format!("larder: {}", failure.message));
        }
    }

    /// Writes a moment as people like it: `3 h ago (2026-03-01 14:00:00 CET)`.
    pub(crate) fn moment(&self, moment: Timestamp) -> String {
        format!("{} ({})", human::relative(moment, Timestamp::now()), human::local(moment, &self.zone))
    }
}

/// Whoever reads may go away in the middle, as `head` does; that is no error.
fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
