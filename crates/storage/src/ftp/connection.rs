//! One connection to an FTP server, logged in and ready.

use super::address::{Address, Security};
use super::failure::Failure;
use super::tls::{Connector, Protected, Trust};
use crate::error::StorageErrorKind;
use std::collections::HashSet;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use suppaftp::types::FileType;
use suppaftp::{FtpError, ImplFtpStream, Mode, Status};

/// How long the server may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to send or take the next bytes, or to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all connections to one destination share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) address: Address,
    pub(super) trust: Option<Trust>,
    /// Whether the server was found to speak nothing older than TLS 1.3.
    pub(super) newest_tls: AtomicBool,
    /// Folders that are known to exist, as paths of the server.
    pub(super) folders: Mutex<HashSet<String>>,
    /// Unfinished uploads that could not be removed yet, as paths of the server.
    pub(super) leftovers: Mutex<Vec<String>>,
}

impl Site {
    /// Says whether a folder is known to exist.
    pub(super) fn knows(&self, folder: &str) -> bool {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
    }

    /// Remembers that a folder exists.
    pub(super) fn remember(&self, folder: &str) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
    }

    /// Forgets which folders exist: somebody may have removed some.
    pub(super) fn forget(&self) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What the server can do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    /// Whether it lists for machines: RFC 3659, 7.
    pub(super) mlsd: bool,
    /// Whether it goes on in the middle of a file: RFC 3659, 5.
    pub(super) restart: bool,
    /// Whether names that begin with a dot must be asked for when it lists for people.
    pub(super) hides_dots: bool,
}

/// One control connection; data connections belong to it.
pub(super) struct Connection {
    pub(super) stream: ImplFtpStream<Protected>,
    pub(super) abilities: Abilities,
    /// The destination's root as a path of the server, without `/` at its end.
    pub(super) root: String,
    /// Whether something went wrong after which nobody can say what the next reply belongs to.
    pub(super) lost: bool,
}

impl Connection {
    /// Connects and logs in.
    pub(super) fn open(site: &Site) -> Result<Self, Failure> {
        let address = &site.address;
        let newest = site.newest_tls.load(Ordering::Relaxed);
        let mut stream = match greet(site, newest) {
            Err(failure) if failure.old_tls && !newest => {
                let stream = greet(site, true)?;
                site.newest_tls.store(true, Ordering::Relaxed);
                stream
            }
            greeted => greeted?,
        };
        stream.set_passive_nat_workaround(true);
        let mut stream = stream.passive_stream_builder(|address| {
            let socket = TcpStream::connect_timeout(&address, CONNECT_PATIENCE);
            socket.and_then(prepared).map_err(FtpError::ConnectionError)
        });
        let password = address.password.as_ref().map_or("", |password| password.expose());
        stream.login(address.user.as_str(), password).map_err(|error| {
            let mut failure = Failure::from(error);
            if !failure.is_crowded() && matches!(failure.code, Some(430 | 530 | 332)) {
                failure.kind = StorageErrorKind::Denied;
                failure.cause = format!(
                    "the server refused the user '{}' or the password; {}",
                    address.user, failure.cause
                );
            }
            failure.lost = true;
            failure
        })?;
        if address.security == Security::Implicit {
            stream.custom_command("PBSZ 0", &[Status::CommandOk])?;
            stream.custom_command("PROT P", &[Status::CommandOk])?;
        }
        stream.transfer_type(FileType::Binary)?;
        let abilities = ask_abilities(&mut stream)?;
        let home = match stream.pwd().map_err(Failure::from) {
            Ok(home) => home,
            Err(failure) if failure.lost => return Err(failure),
            Err(_) => "/".to_owned(),
        };
        let root = match address.folder.as_str() {
            "" => home.trim_end_matches('/').to_owned(),
            absolute if absolute.starts_with('/') => absolute.trim_end_matches('/').to_owned(),
            below => format!("{}/{below}", home.trim_end_matches('/')),
        };
        Ok(Self { stream, abilities, root, lost: false })
    }

    /// Returns the server's path of an object or folder.
    pub(super) fn path(&self, object: &str) -> String {
        match object {
            "" if self.root.is_empty() => "/".to_owned(),
            "" => self.root.clone(),
            object => format!("{}/{object}", self.root),
        }
    }

    /// Takes over a step's outcome, and remembers where the connection is lost.
    pub(super) fn step<T>(&mut self, outcome: Result<T, FtpError>) -> Result<T, Failure> {
        outcome.map_err(|error| {
            let failure = Failure::from(error);
            self.lost |= failure.lost;
            failure
        })
    }

    /// Returns a file's size in bytes, or nothing where there is no such file.
    pub(super) fn size(&mut self, path: &str) -> Result<Option<u64>, Failure> {
        let asked = self.stream.size(path);
        match self.step(asked) {
            Ok(size) => Ok(Some(size as u64)),
            Err(failure) if failure.kind == StorageErrorKind::NotFound => Ok(None),
            Err(failure) if failure.is_unknown_command() => self.size_by_listing(path),
            Err(failure) => Err(failure),
        }
    }

    /// Makes a folder and those above it, where they are not there.
    pub(super) fn make_folder(&mut self, site: &Site, path: &str) -> Result<(), Failure> {
        if path.is_empty() || path == "/" || site.knows(path) {
            return Ok(());
        }
        let made = self.stream.mkdir(path);
        if let Err(failure) = self.step(made) {
            if failure.lost {
                return Err(failure);
            }
            // It is there, or one above it is not: servers say both with the same code.
            if !self.is_folder(path)? {
                if let Some((above, _)) = path.rsplit_once('/') {
                    self.make_folder(site, above)?;
                }
                let made = self.stream.mkdir(path);
                if let Err(failure) = self.step(made)
                    && (failure.lost || !self.is_folder(path)?)
                {
                    return Err(failure.of_writing());
                }
            }
        }
        site.remember(path);
        Ok(())
    }

    /// Says whether there is a folder of that path that can be entered.
    pub(super) fn is_folder(&mut self, path: &str) -> Result<bool, Failure> {
        let entered = self.stream.cwd(path);
        match self.step(entered) {
            Ok(()) => Ok(true),
            Err(failure) if failure.lost => Err(failure),
            Err(_) => Ok(false),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("root", &self.root)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// Connects and, where it is asked for, protects the connection.
fn greet(site: &Site, newest: bool) -> Result<ImplFtpStream<Protected>, Failure> {
    let address = &site.address;
    let connector = || -> Result<Connector, Failure> {
        let none = || Failure::new(StorageErrorKind::Invalid, "nobody is trusted");
        let trust = site.trust.as_ref().ok_or_else(none)?;
        trust.connector(newest, PATIENCE).map_err(|cause| Failure::new(StorageErrorKind::Invalid, cause))
    };
    let socket = reach(address)?;
    if address.security == Security::Implicit {
        let to = socket.peer_addr().map_err(|error| Failure::cut(error.to_string()))?;
        drop(socket);
        return Ok(ImplFtpStream::connect_secure_implicit(to, connector()?, &address.host)?);
    }
    let stream = ImplFtpStream::connect_with_stream(socket).map_err(|error| {
        let mut failure = Failure::from(error);
        if matches!(failure.code, Some(530)) && !failure.is_crowded() {
            failure.kind = StorageErrorKind::Denied;
        }
        failure
    })?;
    if address.security == Security::Plain {
        return Ok(stream);
    }
    stream.into_secure(connector()?, &address.host).map_err(|error| {
        let mut failure = Failure::from(error);
        if failure.code.is_some_and(|code| code >= 500) {
            failure.kind = StorageErrorKind::Invalid;
            failure.cause = format!("the server offers no TLS (ftps://); {}", failure.cause);
        }
        failure
    })
}

/// Connects to the first address of the server that answers.
fn reach(address: &Address) -> Result<TcpStream, Failure> {
    let resolved = (address.host.as_str(), address.port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = resolved
        .map_err(|error| Failure::cut(format!("the server '{}' was not found: {error}", address.host)))?
        .collect();
    let mut cause = format!("the server '{}' has no address", address.host);
    for candidate in addresses {
        match TcpStream::connect_timeout(&candidate, CONNECT_PATIENCE).and_then(prepared) {
            Ok(socket) => return Ok(socket),
            Err(error) => cause = format!("no connection to {candidate}: {error}"),
        }
    }
    Err(Failure::cut(cause))
}

fn prepared(socket: TcpStream) -> std::io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Asks what the server can do, and chooses the kind of data connection.
fn ask_abilities(stream: &mut ImplFtpStream<Protected>) -> Result<Abilities, Failure> {
    let features = match stream.feat() {
        Ok(features) => features,
        // Some answer in a form of their own; what they can is then tried.
        Err(FtpError::BadResponse) => Default::default(),
        Err(error) => match Failure::from(error) {
            failure if failure.lost => return Err(failure),
            _ => Default::default(),
        },
    };
    let has = |name: &str| features.keys().any(|key| key.eq_ignore_ascii_case(name));
    if has("UTF8") {
        // Most have it on anyway, and then may refuse to be told.
        refused_is_fine(stream.custom_command("OPTS UTF8 ON", &[Status::CommandOk]))?;
    }
    let extended = match stream.custom_command("EPSV", &[Status::ExtendedPassiveMode]) {
        Ok(_) => true,
        other => refused_is_fine(other).map(|_| false)?,
    };
    stream.set_mode(if extended { Mode::ExtendedPassive } else { Mode::Passive });
    let mlsd = has("MLSD") || has("MLST");
    let system = if mlsd { None } else { refused_is_fine(stream.custom_command("SYST", &[Status::Name]))? };
    let windows = system.is_some_and(|reply| String::from_utf8_lossy(&reply.body).contains("Windows"));
    let restart = features.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("REST")
            && value.as_deref().is_some_and(|value| value.trim().eq_ignore_ascii_case("STREAM"))
    });
    Ok(Abilities { mlsd, restart, hides_dots: !windows })
}

fn refused_is_fine<T>(outcome: Result<T, FtpError>) -> Result<Option<T>, Failure> {
    match outcome.map_err(Failure::from) {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.lost => Err(failure),
        Err(_) => Ok(None),
    }
}
