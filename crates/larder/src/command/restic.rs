//! `larder restic-env`: the lines with which stock restic opens a repository.

use crate::cli::ResticEnvArguments;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::host::read_secret;
use crate::show::screen::Screen;
use larder_http::KeyAccess;
use larder_model::Secret;
use serde_json::json;

pub(crate) fn run(arguments: &ResticEnvArguments, screen: &Screen) -> Result<Exit, Failure> {
    let path = Path::new(["databases", &arguments.database, "restic-access"])
        .with("destination", arguments.destination.as_deref());
    let access: KeyAccess = Client::new(&arguments.connection)?.get(&path)?;
    let password = match access.password {
        Some(password) => Secret::new(password),
        // The server gives the key to nobody who showed no token; whoever may read its file has it.
        None => read_secret(access.password_file.as_ref(), "key file")?,
    };
    if !access.withheld.is_empty() {
        screen.remark(&format!(
            "restic needs the keys of the destination too, which this server tells nobody who showed no token; set {}",
            access.withheld.join(" and ")
        ));
    }
    let mut variables = access.environment;
    variables.insert("RESTIC_REPOSITORY".to_owned(), access.repository);
    variables.insert("RESTIC_PASSWORD".to_owned(), password.expose().to_owned());
    let lines: Vec<String> =
        variables.iter().map(|(name, value)| format!("export {name}={}", quoted(value))).collect();
    screen.result(&json!(variables), &lines.join("\n"))
}

/// Quotes a text for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["/srv/back ups", "it's", "$(rm -rf)", "a'b'c", ""] {
            let echo = format!("printf %s {}", quoted(text));
            let output = std::process::Command::new("sh").args(["-c", &echo]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
