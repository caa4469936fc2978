//! The rights that a backup needs.

use super::connection::{Connection, Trouble, command};
use crate::engine::MissingRight;
use crate::error::EngineError;

/// What helps where one is missing.
pub(super) const REMEDY: &str = "grant it with: ACL SETUSER USER +info +replconf +psync";

/// Tries each of the commands that a backup needs, without letting it do anything.
pub(super) fn missing(mut connection: Connection) -> Result<Vec<MissingRight>, EngineError> {
    let mut missing = Vec::new();
    let user = connection.user().to_owned();
    let mut note = |command: &str, what: &str| {
        let grant = format!("ACL SETUSER {user} +{command}");
        missing.push(MissingRight { what: what.to_owned(), grant });
    };
    match connection.ask(&["INFO"]) {
        Ok(_) => {}
        Err(Trouble::Declined(said)) if said.starts_with("NOPERM") => {
            note("info", "asking whether anything changed (INFO)");
        }
        Err(trouble) => return Err(connection.explain("asking for INFO", trouble)),
    }
    // Both in one piece: a server with an answer still to send declines PSYNC, but only to those who may use it.
    let both = [command(&["REPLCONF", "capa", "eof"]), command(&["PSYNC", "?", "-1"])].concat();
    let failed = |connection: &Connection, trouble| connection.explain("asking for the rights", trouble);
    if let Err(error) = connection.send(&both) {
        return Err(failed(&connection, Trouble::Broken(error)));
    }
    for (command, what) in [
        ("replconf", "introducing itself as a replica (REPLCONF)"),
        ("psync", "reading the data set (PSYNC)"),
    ] {
        match connection.reply() {
            Err(Trouble::Declined(said)) if said.starts_with("NOPERM") => note(command, what),
            Err(Trouble::Broken(error)) => return Err(failed(&connection, Trouble::Broken(error))),
            _ => {}
        }
    }
    Ok(missing)
}
