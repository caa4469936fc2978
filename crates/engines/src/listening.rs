//! Who listens on this host, and where, as the kernel tells in `/proc`: so servers are found wherever they were put.
//!
//! Which process holds a socket only root and the process's own user may see. Whoever may not finds nothing here, and has to
//! try the usual places.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A running program that others can connect to from this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The sockets with names in the file system.
    pub(crate) sockets: BTreeSet<PathBuf>,
    /// The ports that loopback reaches.
    pub(crate) ports: BTreeSet<u16>,
}

/// Looks for running programs with one of these names; each process is one.
pub(crate) fn listeners(programs: &[&str]) -> Vec<Listener> {
    let processes = processes(Path::new("/proc"));
    let wanted = processes.into_iter().filter(|(_, name)| programs.contains(&name.as_str()));
    let held: Vec<BTreeSet<u64>> = wanted.map(|(process, _)| held_sockets(&process)).collect();
    if held.is_empty() {
        return Vec::new();
    }
    let read = |name: &str| fs::read_to_string(Path::new("/proc/net").join(name)).unwrap_or_default();
    let places = Places {
        sockets: named_sockets(&read("unix")),
        ports: [ports(&read("tcp")), ports(&read("tcp6"))].concat().into_iter().collect(),
    };
    let found = held.iter().map(|inodes| places.of(inodes));
    found.filter(|listener| *listener != Listener::default()).collect()
}

/// Where something listens, by the inode of the socket.
struct Places {
    sockets: BTreeMap<u64, PathBuf>,
    ports: BTreeMap<u64, u16>,
}

impl Places {
    fn of(&self, inodes: &BTreeSet<u64>) -> Listener {
        Listener {
            sockets: inodes.iter().filter_map(|inode| self.sockets.get(inode).cloned()).collect(),
            ports: inodes.iter().filter_map(|inode| self.ports.get(inode).copied()).collect(),
        }
    }
}

/// Lists the processes, each with the name of its program.
pub(crate) fn processes(proc: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let numbered = entries.filter(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let named = |entry: fs::DirEntry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((entry.path(), name.trim_end().to_owned()))
    };
    numbered.filter_map(named).collect()
}

/// Lists where the descriptors of a process lead: paths, and `socket:[INODE]`.
pub(crate) fn descriptors(process: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

fn held_sockets(process: &Path) -> BTreeSet<u64> {
    let inode = |path: PathBuf| path.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    descriptors(process).into_iter().filter_map(inode).collect()
}

/// Reads `/proc/net/unix`: the sockets that take connections and have a name.
fn named_sockets(list: &str) -> BTreeMap<u64, PathBuf> {
    const TAKES_CONNECTIONS: u32 = 0x1_0000;
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags = u32::from_str_radix(words.get(3)?, 16).ok()?;
        let path = words.get(7..)?.join(" ");
        let takes = flags & TAKES_CONNECTIONS != 0 && path.starts_with('/');
        takes.then_some((words.get(6)?.parse().ok()?, PathBuf::from(path)))
    };
    list.lines().filter_map(socket).collect()
}

/// Reads `/proc/net/tcp` or `tcp6`: the ports that take connections from loopback, each with the inode of its socket.
fn ports(list: &str) -> Vec<(u64, u16)> {
    const LISTENS: &str = "0A";
    let port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = words.get(1)?.split_once(':')?;
        // Each group of four bytes is written from behind: 127.0.0.1 is 0100007F.
        let is_any = address.bytes().all(|digit| digit == b'0');
        let is_loopback = address.len() == 8 && address.ends_with("7F");
        let taken = *words.get(3)? == LISTENS && (is_any || is_loopback);
        taken.then_some((words.get(9)?.parse().ok()?, u16::from_str_radix(port, 16).ok()?))
    };
    list.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_this_very_process_listens_on_is_found() {
        let directory = TempDir::new();
        let socket = directory.join("a socket");
        let (port, _named) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(&socket).unwrap());
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let found = listeners(&[own.trim_end()]);
        let number = port.local_addr().unwrap().port();
        let has_both = |one: &Listener| one.ports.contains(&number) && one.sockets.contains(&socket);
        assert!(found.iter().any(has_both), "{found:?}");
        assert_eq!(listeners(&["no such program"]), []);
    }

    #[test]
    fn only_what_takes_connections_from_this_host_counts() {
        let list = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 11 1\n\
            1: 00000000:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 12 1\n\
            2: 0100007F:0CEA 0100007F:9C40 01 00000000:00000000 00:00000000 00000000   104        0 13 1\n\
            3: 0200000A:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14 1\n";
        assert_eq!(ports(list), [(11, 3306), (12, 6379)]);
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0: 00000002 00000000 00010000 0001 01 21 /run/mysqld/mysqld.sock\n\
            0: 00000003 00000000 00000000 0001 03 22 /run/mysqld/mysqld.sock\n\
            0: 00000002 00000000 00010000 0001 01 23 @abstract\n";
        assert_eq!(named_sockets(list), BTreeMap::from([(21, "/run/mysqld/mysqld.sock".into())]));
    }
}
