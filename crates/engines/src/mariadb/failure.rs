//! What goes wrong with a server, in sentences.

use super::address::Address;
use crate::error::EngineError;
use crate::tool::{ToolFailure, ToolTrouble};

/// Says why one of the vendor's programs failed, with what to do about it.
pub(super) fn explain(failure: ToolFailure, action: &str, address: &Address) -> EngineError {
    let remedy = remedy(&failure, address);
    failure.into_error(action, remedy)
}

fn remedy(failure: &ToolFailure, address: &Address) -> String {
    let source = &address.source;
    let code = code(&failure.said);
    let fixed = match (&failure.trouble, code) {
        (_, Some(1045 | 1698)) => {
            return format!("check the user {} and the password of the source {source}", address.user);
        }
        (_, Some(1044 | 1142 | 1143 | 1227 | 1370)) => {
            return format!("run 'larder source check {source}', and grant what it names");
        }
        (_, Some(2002 | 2003 | 2005)) => {
            return format!(
                "see whether the server at {} runs and can be reached from here",
                address.shown()
            );
        }
        (_, Some(1049)) => "see whether the database was dropped or renamed; its backups stay",
        (_, Some(1051 | 1109 | 1146)) => {
            "a table was dropped meanwhile; start the backup again when nobody changes the tables"
        }
        (_, Some(1412)) => {
            "a table was altered meanwhile; start the backup again when nobody changes the tables"
        }
        (_, Some(1205)) => "end the transaction that keeps the table locked, and start again",
        (_, Some(1969 | 3024)) => "give the user of the source a max_statement_time of 0",
        (_, Some(1356 | 1449)) => "repair that view (or drop it): what it refers to, or its definer, is gone",
        (_, Some(126 | 127 | 144 | 145 | 1034 | 1194 | 1195)) => "repair that table with REPAIR TABLE",
        (_, Some(1133)) => "drop the account it names: with skip_name_resolve nobody can use it",
        (_, Some(1153 | 2020)) => "raise max_allowed_packet of the server",
        (_, Some(1021 | 1114)) => "free space on the volume of the server",
        (_, Some(1053 | 1317 | 1927 | 2006 | 2013 | 2026)) => {
            "see in the server's log why the connection ended, and start again"
        }
        (ToolTrouble::NotStarted(_), _) => "see whether the program is whole: install its package again",
        (ToolTrouble::Silent(_), _) => "see what the server waits for with SHOW PROCESSLIST",
        (ToolTrouble::Ended(_), None) => "see in the logs of this host what ended it, and start again",
        _ => "see what the server's log says about it",
    };
    fixed.to_owned()
}

/// Finds the number of the server's error in what a program said.
pub(super) fn code(said: &str) -> Option<u32> {
    ["ERROR ", "error: ", "Error ", "errno: ", "Error: ", "error "]
        .iter()
        .find_map(|word| {
            said.match_indices(word).find_map(|(at, _)| {
                let rest = said.get(at + word.len()..)?;
                let end = rest.find(|c: char| !c.is_ascii_digit())?;
                rest.get(..end)?.parse().ok().filter(|code| *code > 100)
            })
        })
        .or_else(|| said.rsplit_once('(')?.1.split_once(')')?.0.parse().ok())
}

/// Makes the error for what no program said.
pub(super) fn failed(
    action: impl Into<String>,
    cause: impl Into<String>,
    remedy: impl Into<String>,
) -> EngineError {
    EngineError::Failed { action: action.into(), cause: cause.into(), remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn the_servers_number_is_found() {
        for (said, number) in [
            ("ERROR 1045 (28000): Access denied", Some(1045)),
            ("mariadb-dump: Got error: 1049: \"Unknown database 'x'\"", Some(1049)),
            ("mariadb-dump: Error 1412: Table definition has changed", Some(1412)),
            (
                "mariadb-dump: Couldn't execute 'SHOW CREATE USER 'a'@'b'': Can't find any row (1133)",
                Some(1133),
            ),
            ("Lost connection", None),
        ] {
            assert_eq!(code(said), number, "{said}");
        }
    }
}
