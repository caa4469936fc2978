//! Questions to a server, through the vendor's own client.

use super::CLIENT_PACKAGE;
use super::failure::{explained, odd};
use super::login::Login;
use crate::error::EngineError;
use crate::tool::{Running, Tool, Tools, Version, Wanted};
use larder_model::Cancel;
use serde_json::Value;
use std::io::Read;

/// Finds the client.
pub(super) fn psql(tools: &Tools) -> Result<Tool, EngineError> {
    tools.find(&Wanted::any(&["psql"], CLIENT_PACKAGE))
}

/// An open connection to one database: a client that is fed questions and prints one line of JSON for each.
#[derive(Debug)]
pub(super) struct Session {
    running: Running,
    /// What was read and not yet returned.
    rest: Vec<u8>,
    /// What is done with it, for messages.
    action: String,
}

impl Session {
    /// Connects to a database.
    pub(super) fn open(
        tools: &Tools,
        login: &Login,
        database: &str,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let action = format!("asking the database {database} at {}", login.address);
        let run = login
            .run(database, cancel)
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1"])
            .env("PGCLIENTENCODING", "UTF8")
            .fed();
        let running = psql(tools)?.start(run).map_err(|failure| explained(failure, &action))?;
        Ok(Self { running, rest: Vec::new(), action })
    }

    /// Asks a question whose answer is one value of the type `jsonb`.
    pub(super) fn ask(&mut self, query: &str) -> Result<Value, EngineError> {
        self.tell(&format!("{query};\n"))?;
        let line = self.line()?;
        serde_json::from_slice(&line).map_err(|_| {
            odd(&self.action, format!("the answer '{}' is no JSON", String::from_utf8_lossy(&line)))
        })
    }

    /// Has a statement carried out, and waits until it is.
    pub(super) fn run(&mut self, statement: &str) -> Result<(), EngineError> {
        self.ask(&format!("{statement};\nSELECT to_jsonb(true)")).map(|_| ())
    }

    /// Ends the session well.
    pub(super) fn close(mut self) -> Result<(), EngineError> {
        self.running.finish().map_err(|failure| explained(failure, &self.action))
    }

    /// Returns the server's version.
    pub(super) fn version(&mut self) -> Result<Version, EngineError> {
        let number = self.ask("SELECT to_jsonb(current_setting('server_version_num')::int)")?;
        let number = number.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| odd(&self.action, "it does not say its version"))?;
        Ok(Version::new(&[number / 10_000, number % 10_000]))
    }

    fn tell(&mut self, text: &str) -> Result<(), EngineError> {
        self.running.feed(text.as_bytes()).map_err(|failure| explained(failure, &self.action))
    }

    fn line(&mut self) -> Result<Vec<u8>, EngineError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.rest.iter().skip(searched).position(|byte| *byte == b'\n') {
                let line = self.rest.drain(..=searched + end).collect();
                return Ok(line);
            }
            searched = self.rest.len();
            let mut buffer = [0; 16 << 10];
            match self.running.read(&mut buffer) {
                Ok(0) => {
                    let ended = self.running.finish();
                    let failure = ended.map_err(|failure| explained(failure, &self.action));
                    return Err(failure
                        .err()
                        .unwrap_or_else(|| odd(&self.action, "it ended without an answer")));
                }
                Ok(length) => self.rest.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) => return Err(explained(self.running.broken(error), &self.action)),
            }
        }
    }
}

/// Asks one question in a connection of its own.
pub(super) fn ask(
    tools: &Tools,
    login: &Login,
    database: &str,
    query: &str,
    cancel: &Cancel,
) -> Result<Value, EngineError> {
    let mut session = Session::open(tools, login, database, cancel)?;
    let answer = session.ask(query)?;
    session.close()?;
    Ok(answer)
}
