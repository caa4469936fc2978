//! Looks for servers on this host: by the sockets that something listens on, and by the usual port.

use crate::engine::FoundSource;
use larder_model::{DatabaseName, EngineKind, Source};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Every socket of this host with a name.
const SOCKETS: &str = "/proc/net/unix";

/// How the name of a server's socket begins; its port follows.
const PREFIX: &str = ".s.PGSQL.";

const PORT: u16 = 5432;

/// How long a port may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) fn find() -> Vec<FoundSource> {
    // Where it cannot be read there is nothing to propose.
    let sockets = std::fs::read_to_string(SOCKETS).unwrap_or_default();
    let sockets = listening(&sockets);
    let mut found: Vec<FoundSource> = sockets.iter().filter_map(|path| at_socket(path)).collect();
    let port_is_known = sockets.iter().any(|path| path.ends_with(&format!("{PREFIX}{PORT}")));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    if !port_is_known && TcpStream::connect_timeout(&address, PATIENCE).is_ok() {
        found.push(proposed(
            format!("postgresql://postgres@{address}"),
            format!("something listens on {address}"),
        ));
    }
    found
}

/// Returns the sockets of servers in the system's list.
fn listening(list: &str) -> BTreeSet<String> {
    let paths = list.lines().filter_map(|line| line.split_whitespace().nth(7));
    let is_server = |path: &&str| {
        let name = path.rsplit_once('/').map_or("", |(_, name)| name);
        let port = name.strip_prefix(PREFIX).unwrap_or_default();
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    paths.filter(is_server).map(str::to_owned).collect()
}

fn at_socket(path: &str) -> Option<FoundSource> {
    let (directory, name) = path.rsplit_once('/')?;
    let port = name.strip_prefix(PREFIX)?;
    let owner = Path::new(path).metadata().ok()?.uid();
    let owner = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(owner)).ok().flatten();
    let encoded = directory.replace('%', "%25").replace('/', "%2F").replace('@', "%40").replace(':', "%3A");
    let mut found = proposed(format!("postgresql://postgres@{encoded}:{port}"), format!("listens on {path}"));
    // Servers of Debian's let in whoever has the same name on the host, and nobody without a password.
    if let Some(owner) = owner.filter(|_| nix::unistd::geteuid().is_root()) {
        found.source.options.insert("OsUser".to_owned(), owner.name);
    }
    Some(found)
}

fn proposed(address: String, reason: String) -> FoundSource {
    let name = DatabaseName::from_lossy("postgresql");
    FoundSource { source: Source::new(name, EngineKind::Postgresql, address), reason }
}

#[cfg(test)]
mod tests {
    use super::listening;

    #[test]
    fn only_sockets_of_servers_are_taken() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000: 00000002 00000000 00010000 0001 01 1 /var/run/postgresql/.s.PGSQL.5432\n\
            0000: 00000003 00000000 00000000 0001 03 2 /var/run/postgresql/.s.PGSQL.5432\n\
            0000: 00000002 00000000 00010000 0001 01 3 /run/mysqld/mysqld.sock\n\
            0000: 00000002 00000000 00010000 0001 01 4 @/tmp/.s.PGSQL.x\n\
            0000: 00000002 00000000 00010000 0001 01 5\n";
        let found: Vec<String> = listening(list).into_iter().collect();
        assert_eq!(found, ["/var/run/postgresql/.s.PGSQL.5432"]);
    }
}
