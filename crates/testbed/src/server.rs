//! The `larder` program as a child of a test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a server may take to say that it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a program and waits until it prints a line with the address it listens on, as `http://127.0.0.1:8600`.
    ///
    /// Give it `--bind 127.0.0.1:0` so that the system picks a port that is free.
    pub fn start<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(command)
    }

    /// Starts a prepared command, and waits in the same way.
    #[must_use]
    pub fn start_command(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("could not start {command:?}: {error}"));
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, receiver) = mpsc::channel();
        listen(child.stdout.take().expect("a pipe"), &said, sender.clone());
        listen(child.stderr.take().expect("a pipe"), &said, sender);
        match receiver.recv_timeout(PATIENCE) {
            Ok(address) => Self { child, address, said },
            Err(ending) => {
                let _ = child.kill();
                let status = child.wait();
                let why =
                    if ending == RecvTimeoutError::Timeout { "said no address in time" } else { "ended" };
                panic!("{command:?} {why} ({status:?}); it said:\n{}", said.lock().unwrap());
            }
        }
    }

    /// Returns the address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the beginning of every URL of it: `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns everything it printed so far, on both channels.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGTERM) and waits until it did.
    pub fn stop(mut self) -> ExitStatus {
        rustix::process::kill_process(crate::drill::process_id(&self.child), rustix::process::Signal::TERM)
            .expect("a child can be sent a signal");
        let ending = crate::drill::kill_after(&mut self.child, PATIENCE);
        assert!(!ending.was_killed, "the server did not end when asked to; it said:\n{}", self.said());
        ending.status
    }

    /// Kills it (SIGKILL), as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(pipe: impl Read + Send + 'static, said: &Arc<Mutex<String>>, found: Sender<SocketAddr>) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some(address) = address_in(&line)
                && let Some(sender) = found.take()
            {
                let _ = sender.send(address);
            }
            let mut said = said.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    });
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://").or_else(|| line.split_once("https://"))?;
    let end = rest
        .find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']')))
        .unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

/// Repeats a question until it is answered with something, for at most a given time; fails the test after that.
///
/// For states that only polling can see, such as an operation's status asked over HTTP.
pub fn wait_until<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + at_most;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come true within {at_most:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::{Server, address_in};
    use std::process::Command;

    #[test]
    fn the_address_is_found_in_a_line() {
        let found = |line| address_in(line).map(|address| address.to_string());
        assert_eq!(found("Listening on http://127.0.0.1:8600"), Some("127.0.0.1:8600".to_owned()));
        assert_eq!(found("see http://127.0.0.1:40001/status."), Some("127.0.0.1:40001".to_owned()));
        assert_eq!(found("see http://[::1]:4000."), Some("[::1]:4000".to_owned()));
        assert_eq!(found("see http://example.org/"), None);
    }

    #[test]
    fn a_server_is_ready_when_it_says_so_and_ends_when_asked() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo starting; echo http://127.0.0.1:9; trap 'exit 7' TERM; while :; do read x </dev/zero; done",
        ]);
        let server = Server::start_command(command);
        assert_eq!(server.url(), "http://127.0.0.1:9");
        drop(server);
    }

    #[test]
    #[should_panic(expected = "no luck today")]
    fn a_server_that_ends_at_once_fails_the_test_with_its_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no luck today; exit 3"]);
        let _ = Server::start_command(command);
    }
}
