//! The system's own `ssh` as the way to the server: the user's configuration, agents and jump hosts work as ever.

use super::address::{Address, Place};
use super::failure::Failure;
use super::packet::{Reader, kind};
use super::secrets::PrivateDirectory;
use super::session::{Session, expect};
use super::ssh_words;
use crate::error::StorageErrorKind;
use larder_model::Secret;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};

/// How long `ssh` may take from its start to a server that speaks SFTP.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long it may take to say why it failed, and how much of that is read, in bytes.
const LAST_WORDS: Duration = Duration::from_secs(5);
const LONGEST_WORDS: u64 = 64 * 1024;

/// What is needed to get in.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) program: PathBuf,
    pub(super) address: Address,
    pub(super) password: Option<Secret>,
    pub(super) private_key: Option<Secret>,
    pub(super) known_hosts: Option<String>,
    /// Where secrets lie while `ssh` reads them.
    pub(super) temporary: PathBuf,
}

/// One connection; the program is ended when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) session: Session,
    /// The destination's root as a path of the server, without `/` at its end.
    root: String,
    _program: Child,
}

impl Line {
    /// Returns the server's path of an object or folder.
    pub(super) fn path(&self, object: &str) -> String {
        match object {
            "" if self.root.is_empty() => "/".to_owned(),
            "" => self.root.clone(),
            object => format!("{}/{object}", self.root),
        }
    }
}

impl Door {
    /// Connects, and says hello.
    pub(super) async fn open(&self) -> Result<Line, Failure> {
        let secrets = PrivateDirectory::make(&self.temporary).map_err(|error| {
            Failure::new(StorageErrorKind::Other, format!("no private directory: {error}"))
        })?;
        let mut command = self.command(&secrets)?;
        command.arg("-s").arg("--").arg(&self.address.host).arg("sftp");
        let mut program = self.spawn(&mut command)?;
        let (Some(input), Some(output), Some(words)) =
            (program.stdout.take(), program.stdin.take(), program.stderr.take())
        else {
            return Err(Failure::cut("ssh has no pipes"));
        };
        let listening = tokio::spawn(listen(words));
        let hello = tokio::time::timeout(PATIENCE, Session::start(input, output)).await;
        let session = match hello {
            Ok(Ok(session)) => session,
            Ok(Err(failure)) => {
                // It ends by itself and says why; one that does not has nothing to say.
                let _ = tokio::time::timeout(LAST_WORDS, program.wait()).await;
                let _ = program.start_kill();
                let words = match tokio::time::timeout(LAST_WORDS, listening).await {
                    Ok(Ok(words)) => words,
                    _ => String::new(),
                };
                return Err(self.explain(&words, failure, &secrets).await);
            }
            Err(_) => return Err(Failure::cut("the server did not let anybody in in time")),
        };
        let root = match &self.address.place {
            Place::Absolute(path) => path.clone(),
            Place::Home(below) => {
                let home = home(&session).await?;
                let home = home.trim_end_matches('/');
                if below.is_empty() { home.to_owned() } else { format!("{home}/{below}") }
            }
        };
        Ok(Line { session, root, _program: program })
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A signal from the terminal is meant for the server, which ends its backups in order first.
        command.process_group(0);
        command.spawn().map_err(|error| {
            let cause = format!(
                "the program '{}' did not start: {error}; install the OpenSSH client",
                self.program.display()
            );
            Failure::new(StorageErrorKind::Invalid, cause)
        })
    }

    /// Prepares a call with everything but the server's name.
    fn command(&self, secrets: &PrivateDirectory) -> Result<Command, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(StorageErrorKind::Other, format!("a secret could not be handed to ssh: {error}"))
        };
        let mut command = self.plain_command();
        option(&mut command, "StrictHostKeyChecking=yes");
        if let Some(known) = &self.known_hosts {
            let file = secrets.write("known_hosts", &with_line_end(known)).map_err(failed)?;
            trust_only(&mut command, &file);
        }
        if let Some(key) = &self.private_key {
            let file = secrets.write("key", &with_line_end(key.expose())).map_err(failed)?;
            option(&mut command, &format!("IdentityFile={}", file.display()));
            option(&mut command, "IdentitiesOnly=yes");
        }
        match &self.password {
            None => option(&mut command, "BatchMode=yes"),
            Some(password) => {
                let script = secrets.write_askpass(password.expose()).map_err(failed)?;
                option(&mut command, "BatchMode=no");
                option(&mut command, "NumberOfPasswordPrompts=1");
                let key = if self.private_key.is_some() { "publickey," } else { "" };
                option(&mut command, &format!("PreferredAuthentications={key}password,keyboard-interactive"));
                command.env("SSH_ASKPASS", script).env("SSH_ASKPASS_REQUIRE", "force");
            }
        }
        Ok(command)
    }

    /// Prepares what every call has in common. Options given here win over the user's own configuration.
    fn plain_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for text in [
            "ConnectTimeout=30",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "ControlMaster=no",
            "ControlPath=none",
            "ClearAllForwardings=yes",
            "ForwardAgent=no",
            "ForwardX11=no",
            "PermitLocalCommand=no",
            "RequestTTY=no",
            "UpdateHostKeys=no",
        ] {
            option(&mut command, text);
        }
        // What goes through is encrypted or compressed already.
        option(&mut command, "Compression=no");
        if let Some(port) = self.address.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = &self.address.user {
            command.arg("-l").arg(user);
        }
        command
    }

    /// Puts what `ssh` said into words that tell what to do.
    async fn explain(&self, words: &str, failure: Failure, secrets: &PrivateDirectory) -> Failure {
        if !ssh_words::is_about_host_key(words) {
            return ssh_words::explain(words, failure);
        }
        let line = self.ask_host_key(secrets).await;
        ssh_words::explain_host_key(words, line.as_deref())
    }

    /// Asks which key the server shows, as a line for `KnownHosts`; nobody logs in, and nothing is remembered.
    async fn ask_host_key(&self, secrets: &PrivateDirectory) -> Option<String> {
        let file = secrets.path("found");
        let mut command = self.plain_command();
        trust_only(&mut command, &file);
        for text in [
            "StrictHostKeyChecking=accept-new",
            "HashKnownHosts=no",
            "BatchMode=yes",
            "PreferredAuthentications=none",
            "PubkeyAuthentication=no",
            "PasswordAuthentication=no",
            "KbdInteractiveAuthentication=no",
        ] {
            option(&mut command, text);
        }
        command.arg("--").arg(&self.address.host).arg("true");
        let mut program = self.spawn(&mut command).ok()?;
        drop(program.stdin.take());
        let _ = tokio::time::timeout(PATIENCE, program.wait()).await;
        let found = tokio::fs::read_to_string(&file).await.ok()?;
        found.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }
}

fn option(command: &mut Command, text: &str) {
    command.arg("-o").arg(text);
}

fn trust_only(command: &mut Command, file: &Path) {
    option(command, &format!("UserKnownHostsFile={}", file.display()));
    option(command, "GlobalKnownHostsFile=/dev/null");
    option(command, "VerifyHostKeyDNS=no");
    option(command, "KnownHostsCommand=none");
}

fn with_line_end(text: &str) -> String {
    format!("{}\n", text.replace("\r\n", "\n").trim())
}

/// Reads what the program says, to its end, so that it never waits for a reader; keeps the beginning.
async fn listen(words: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut words = words;
    let _ = (&mut words).take(LONGEST_WORDS).read_to_end(&mut kept).await;
    let mut rest = [0; 4096];
    while matches!(words.read(&mut rest).await, Ok(count) if count > 0) {}
    String::from_utf8_lossy(&kept).into_owned()
}

/// Asks for the folder that the user begins in.
async fn home(session: &Session) -> Result<String, Failure> {
    let answer = session.ask(kind::REALPATH, 64, |packet| packet.bytes(b".")).await?;
    let body = expect(answer, kind::NAME)?;
    let mut body = Reader(&body);
    let name = body.u32().filter(|count| *count > 0).and_then(|_| body.bytes());
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(Failure::nonsense)
}
