//! Private etcd clusters, from Debian's binaries.

use crate::network::free_port;
use crate::program::installed;
use crate::server::wait_until;
use crate::temporary::TempDir;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is tried again when another program took a port.
const TRIES: usize = 5;

/// Members with data directories of their own, on free ports of `127.0.0.1`; killed when dropped.
#[derive(Debug)]
pub struct EtcdCluster {
    members: Vec<Child>,
    ports: Vec<u16>,
    directory: TempDir,
}

impl EtcdCluster {
    /// Starts a cluster, and waits until it has a leader.
    #[must_use]
    pub fn start(members: usize) -> Self {
        for _ in 0..TRIES {
            let mut cluster = Self::begin(members);
            if cluster.is_ready() {
                return cluster;
            }
            let said = |number| {
                fs::read_to_string(cluster.directory.join(format!("log-{number}"))).unwrap_or_default()
            };
            let said: String = (0..members).map(said).collect();
            assert!(said.contains("address already in use"), "etcd ended:\n{said}");
        }
        panic!("no ports stayed free for etcd");
    }

    /// Starts one member on a data directory that a restore made.
    #[must_use]
    pub fn start_on(data: &Path) -> Self {
        for _ in 0..TRIES {
            let directory = TempDir::new();
            let (port, peer) = (free_port(), free_port());
            let client = format!("http://127.0.0.1:{port}");
            let peer = format!("http://127.0.0.1:{peer}");
            let log = File::create(directory.join("log-0")).expect("a new file");
            let mut command = Command::new(installed("etcd", "etcd-server"));
            command.arg("--data-dir").arg(data);
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args(["--listen-peer-urls", &peer]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let members = vec![command.spawn().expect("etcd starts")];
            let mut cluster = Self { members, ports: vec![port], directory };
            if cluster.is_ready() {
                return cluster;
            }
            let said = fs::read_to_string(cluster.directory.join("log-0")).unwrap_or_default();
            assert!(said.contains("address already in use"), "etcd ended:\n{said}");
        }
        panic!("no ports stayed free for etcd");
    }

    fn begin(members: usize) -> Self {
        let directory = TempDir::new();
        let ports: Vec<(u16, u16)> = (0..members).map(|_| (free_port(), free_port())).collect();
        let peer = |number: usize| format!("http://127.0.0.1:{}", ports[number].1);
        let all: Vec<String> = (0..members).map(|number| format!("m{number}={}", peer(number))).collect();
        let start = |number: usize| {
            let client = format!("http://127.0.0.1:{}", ports[number].0);
            let log = File::create(directory.join(format!("log-{number}"))).expect("a new file");
            let mut command = Command::new(installed("etcd", "etcd-server"));
            command
                .args(["--name", &format!("m{number}"), "--data-dir"])
                .arg(directory.join(format!("m{number}")));
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args([
                "--listen-peer-urls",
                &peer(number),
                "--initial-advertise-peer-urls",
                &peer(number),
            ]);
            command.args(["--initial-cluster", &all.join(",")]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            command.spawn().expect("etcd starts")
        };
        let children = (0..members).map(start).collect();
        Self { members: children, ports: ports.iter().map(|(client, _)| *client).collect(), directory }
    }

    fn is_ready(&mut self) -> bool {
        wait_until("an answer of etcd", PATIENCE, || {
            if self
                .members
                .iter_mut()
                .any(|member| member.try_wait().expect("a child can be asked").is_some())
            {
                return Some(false);
            }
            let answer = self.client().args(["endpoint", "health"]).output().expect("etcdctl starts");
            answer.status.success().then_some(true)
        })
    }

    fn client(&self) -> Command {
        let mut command = Command::new(installed("etcdctl", "etcd-client"));
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.address()]);
        command
    }

    /// Runs `etcdctl` on all members, and returns what it prints; an error fails the test.
    pub fn ctl(&self, words: &[&str]) -> String {
        let answer = self.client().args(words).output().expect("etcdctl starts");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "etcdctl {words:?} ended with {}: {said}", answer.status);
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    /// Returns the addresses of all members, as a source has them.
    #[must_use]
    pub fn address(&self) -> String {
        (0..self.ports.len()).map(|number| self.member(number)).collect::<Vec<_>>().join(",")
    }

    /// Returns the address of one member.
    #[must_use]
    pub fn member(&self, number: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[number])
    }

    /// Kills a member (SIGKILL), as a crash would.
    pub fn kill(&mut self, number: usize) {
        let _ = self.members[number].kill();
        let _ = self.members[number].wait();
    }
}

impl Drop for EtcdCluster {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|number| self.kill(number));
    }
}
