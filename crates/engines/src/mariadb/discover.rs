//! Finds the databases of a server, and servers on this host.

use super::client::Client;
use super::{ACCOUNTS_LOCATOR, SERVER_LOCATOR};
use crate::engine::{FoundDatabase, FoundSource};
use crate::error::EngineError;
use crate::listening::listeners;
use larder_model::{DatabaseName, EngineKind, Source};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// What belongs to the server itself.
pub(super) const SYSTEM: [&str; 5] =
    ["information_schema", "performance_schema", "mysql", "sys", "#mysql50#lost+found"];

/// Where packages put the socket.
const SOCKETS: [&str; 3] =
    ["/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock"];

/// How long a port may take to answer.
const PATIENCE: Duration = Duration::from_millis(300);

pub(super) fn discover(client: &Client, source: &Source) -> Result<Vec<FoundDatabase>, EngineError> {
    let names = names(client)?;
    let of_server = |what: &str, locator: &str| FoundDatabase {
        suggested_name: DatabaseName::from_lossy(&format!("{}.{what}", source.name)).to_string(),
        locator: locator.to_owned(),
    };
    let mut found: Vec<FoundDatabase> = names
        .into_iter()
        .map(|name| FoundDatabase {
            suggested_name: DatabaseName::from_lossy(&name).to_string(),
            locator: locator_of(&name),
        })
        .collect();
    found.push(of_server("accounts", ACCOUNTS_LOCATOR));
    if client.address.whole_server {
        found.push(of_server("server", SERVER_LOCATOR));
    }
    Ok(found)
}

/// Lists the databases that people made.
pub(super) fn names(client: &Client) -> Result<Vec<String>, EngineError> {
    let mut names = everything(client)?;
    names.retain(|name| !SYSTEM.iter().any(|system| system.eq_ignore_ascii_case(name)));
    Ok(names)
}

/// Lists all databases, the server's own among them.
pub(super) fn everything(client: &Client) -> Result<Vec<String>, EngineError> {
    let action = format!("looking for databases at {}", client.address.shown());
    let rows =
        client.ask(&action, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
}

/// Writes a name so that it is none of the two that are Larder's own.
pub(super) fn locator_of(name: &str) -> String {
    if name.starts_with(':') { format!(":{name}") } else { name.to_owned() }
}

/// Reads what [`locator_of`] wrote.
pub(super) fn name_of(locator: &str) -> &str {
    if locator.starts_with("::") { locator.get(1..).unwrap_or(locator) } else { locator }
}

/// Looks where servers of this kind usually are on this host.
pub(super) fn find() -> Vec<FoundSource> {
    let found = |address: &str, options: BTreeMap<String, String>, reason: String| FoundSource {
        source: Source {
            options,
            ..Source::new(DatabaseName::from_lossy("mariadb"), EngineKind::Mariadb, address.to_owned())
        },
        reason,
    };
    let at_socket = |socket: &str| {
        let options = BTreeMap::from([("Socket".to_owned(), socket.to_owned())]);
        found("mariadb://root@localhost", options, format!("listens on {socket}"))
    };
    // Wherever they were put; root alone sees that.
    let running = listeners(&["mariadbd", "mysqld"]).into_iter().filter_map(|listener| {
        // The protocol of the second is another.
        let mut sockets = listener.sockets.iter().filter_map(|path| path.to_str());
        if let Some(socket) = sockets.find(|path| !path.ends_with("mysqlx.sock")) {
            return Some(at_socket(socket));
        }
        let port = SocketAddr::from((Ipv4Addr::LOCALHOST, *listener.ports.first()?));
        Some(found(&format!("mariadb://root@{port}"), BTreeMap::new(), format!("listens on {port}")))
    });
    let running: Vec<FoundSource> = running.collect();
    if !running.is_empty() {
        return running;
    }
    if let Some(socket) = SOCKETS.iter().find(|socket| is_socket(Path::new(socket))) {
        return vec![at_socket(socket)];
    }
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, 3306));
    if TcpStream::connect_timeout(&port, PATIENCE).is_ok() {
        let reason = format!("listens on {port}");
        return vec![found(&format!("mariadb://root@{port}"), BTreeMap::new(), reason)];
    }
    Vec::new()
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_database_is_taken_for_larders_own() {
        for name in ["shop", ":accounts", "::server", "a:b", ""] {
            let locator = locator_of(name);
            assert_eq!(name_of(&locator), name);
            assert!(locator != ACCOUNTS_LOCATOR && locator != SERVER_LOCATOR);
        }
    }
}
