//! A conversation with a Redis server in its own protocol (RESP 2).

use crate::error::EngineError;
use crate::remote::{Address, CONNECT, Options, SILENCE, TLS_OPTIONS, Tls};
use larder_model::{Cancel, Source};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How often a server that says nothing is looked at, so that an abort is noticed.
const LOOK: Duration = Duration::from_millis(200);

/// The longest answer that is taken, in bytes; the answers to our questions are short.
const MOST_ANSWERED: i64 = 64 << 20;

/// Answers nested deeper are no answers to our questions.
const DEEPEST: usize = 8;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Number(i64),
    List(Vec<Self>),
    Nothing,
}

impl Reply {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::List(_) | Self::Nothing => String::new(),
        }
    }
}

/// What a question came to when it came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server declined, in its own words: `NOPERM this user has no permissions…`.
    Declined(String),
    /// The connection broke.
    Broken(io::Error),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Reads with patience: looks at the flag while nothing comes.
#[derive(Debug)]
pub(super) struct Patient {
    stream: Stream,
    cancel: Cancel,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waited = Duration::ZERO;
        loop {
            self.cancel.check().map_err(io::Error::other)?;
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(buffer),
                Stream::Unix(stream) => stream.read(buffer),
                Stream::Tls(stream) => stream.read(buffer),
            };
            match read {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    waited += LOOK;
                    if waited >= SILENCE {
                        let told = format!("the server said nothing for {} s", SILENCE.as_secs());
                        return Err(io::Error::new(io::ErrorKind::TimedOut, told));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

/// A connection that has signed in.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<Patient>,
    /// The address, for messages.
    shown: String,
    user: Option<String>,
}

impl Connection {
    /// Connects to a source, and signs in.
    pub(super) fn open(source: &Source, cancel: &Cancel) -> Result<Self, EngineError> {
        let options = Options::of(source, &TLS_OPTIONS)?;
        let address = Address::of(source, &["redis", "rediss", "unix"], 6379)?;
        let shown = match address.scheme.as_str() {
            "unix" => address.path.clone(),
            _ => address.place(),
        };
        let failed = |error: io::Error| EngineError::Failed {
            action: format!("connecting to Redis at {shown}"),
            cause: error.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
            remedy: "see whether the server runs, and whether the address is right".to_owned(),
        };
        let stream = match address.scheme.as_str() {
            "unix" => Stream::Unix(UnixStream::connect(&address.path).map_err(failed)?),
            scheme => {
                let stream = connect(&address).map_err(failed)?;
                if scheme == "rediss" {
                    let begun = Tls::of(&options)?.connect(&address.host);
                    let begun = begun.map_err(|error| failed(io::Error::other(error)))?;
                    Stream::Tls(Box::new(StreamOwned::new(begun, stream)))
                } else {
                    Stream::Tcp(stream)
                }
            }
        };
        let mut connection = Self::over(stream, shown.clone(), cancel).map_err(failed)?;
        connection.user.clone_from(&address.user);
        if let Some(password) = &source.password {
            let mut words = vec!["AUTH"];
            words.extend(address.user.as_deref());
            words.push(password.expose());
            connection.ask(&words).map_err(|trouble| connection.explain("signing in", trouble))?;
        }
        Ok(connection)
    }

    /// Connects to a socket in the file system, without signing in.
    pub(super) fn open_socket(path: &Path, cancel: &Cancel) -> io::Result<Self> {
        Self::over(Stream::Unix(UnixStream::connect(path)?), path.display().to_string(), cancel)
    }

    fn over(stream: Stream, shown: String, cancel: &Cancel) -> io::Result<Self> {
        match &stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(LOOK)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(LOOK)),
            Stream::Tls(stream) => stream.sock.set_read_timeout(Some(LOOK)),
        }?;
        match &stream {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(SILENCE)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(SILENCE)),
            Stream::Tls(stream) => stream.sock.set_write_timeout(Some(SILENCE)),
        }?;
        let patient = Patient { stream, cancel: cancel.clone() };
        Ok(Self { stream: BufReader::with_capacity(1 << 18, patient), shown, user: None })
    }

    /// Returns the address, as people know it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the user that signed in; `default` where none is named.
    pub(super) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("default")
    }

    /// Returns the two ends of a connection over the network: ours, and the server's.
    pub(super) fn ends(&self) -> Option<(IpAddr, SocketAddr)> {
        let stream = match &self.stream.get_ref().stream {
            Stream::Tcp(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
            Stream::Unix(_) => return None,
        };
        Some((stream.local_addr().ok()?.ip(), stream.peer_addr().ok()?))
    }

    /// Asks one question.
    pub(super) fn ask(&mut self, words: &[&str]) -> Result<Reply, Trouble> {
        self.send(&command(words)).map_err(Trouble::Broken)?;
        self.reply()
    }

    /// Asks one question; a refusal is an error, too.
    pub(super) fn must(&mut self, action: &str, words: &[&str]) -> Result<Reply, EngineError> {
        self.ask(words).map_err(|trouble| self.explain(action, trouble))
    }

    /// Sends bytes as they are.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream.get_mut().stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Reads one answer.
    pub(super) fn reply(&mut self) -> Result<Reply, Trouble> {
        reply(&mut self.stream, 0)
    }

    /// Reads one line, without its end.
    pub(super) fn line(&mut self) -> io::Result<String> {
        line(&mut self.stream)
    }

    /// Gives what follows as bytes.
    pub(super) fn into_reader(self) -> BufReader<Patient> {
        self.stream
    }

    /// Says what went wrong, and what helps.
    pub(super) fn explain(&self, action: &str, trouble: Trouble) -> EngineError {
        let (cause, remedy) = match trouble {
            Trouble::Broken(error)
                if error.get_ref().is_some_and(|inner| inner.is::<larder_model::Canceled>()) =>
            {
                return larder_model::Canceled.into();
            }
            Trouble::Broken(error) => (error.to_string(), "see whether the server runs"),
            Trouble::Declined(said) => {
                let word = said.split(' ').next().unwrap_or_default();
                let remedy = match word {
                    "WRONGPASS" | "NOAUTH" => "check the user in the address, and the password",
                    "NOPERM" => super::rights::REMEDY,
                    "NOMASTERLINK" => "wait until this replica has found its master, or back up the master",
                    "LOADING" => "wait until the server has loaded its data",
                    _ => "see what the server's own log says",
                };
                (said, remedy)
            }
        };
        EngineError::Failed {
            action: format!("{action} at Redis {}", self.shown),
            cause: cause.split(" (os error").next().unwrap_or_default().trim_end_matches('.').to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host has no address");
    for place in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Writes a question as the protocol wants it.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

pub(super) fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.take(1 << 16).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn reply(stream: &mut impl BufRead, depth: usize) -> Result<Reply, Trouble> {
    let told = line(stream).map_err(Trouble::Broken)?;
    let nonsense = || Trouble::Broken(io::Error::other("the answer is not in Redis's protocol"));
    let kind = told.get(..1).ok_or_else(nonsense)?;
    let rest = told.get(1..).unwrap_or_default();
    let number = || rest.parse::<i64>().map_err(|_| nonsense());
    match kind {
        "+" => Ok(Reply::Text(rest.to_owned())),
        "-" => Err(Trouble::Declined(rest.to_owned())),
        ":" => Ok(Reply::Number(number()?)),
        "$" => match number()? {
            length @ 0..=MOST_ANSWERED => {
                let mut bytes = vec![0; usize::try_from(length).unwrap_or_default() + 2];
                stream.read_exact(&mut bytes).map_err(Trouble::Broken)?;
                bytes.truncate(bytes.len() - 2);
                Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            -1 => Ok(Reply::Nothing),
            _ => Err(nonsense()),
        },
        "*" if depth < DEEPEST => match number()? {
            length @ 0..=MOST_ANSWERED => {
                (0..length).map(|_| reply(stream, depth + 1)).collect::<Result<_, _>>().map(Reply::List)
            }
            -1 => Ok(Reply::Nothing),
            _ => Err(nonsense()),
        },
        _ => Err(nonsense()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_nonsense_is_an_error() {
        let read = |text: &str| reply(&mut text.as_bytes(), 0);
        assert_eq!(read("+OK\r\n").unwrap(), Reply::Text("OK".to_owned()));
        assert_eq!(read("*2\r\n:7\r\n$-1\r\n").unwrap(), Reply::List(vec![Reply::Number(7), Reply::Nothing]));
        assert_eq!(read("$3\r\na\nb\r\n").unwrap().text(), "a\nb");
        for text in ["", "+OK", "$5\r\nab", "$99999999999\r\n", "?\r\n", "\u{fc}\r\n", ":x\r\n"] {
            assert!(matches!(read(text), Err(Trouble::Broken(_))), "{text:?}");
        }
        assert!(matches!(read("-NOPERM no\r\n"), Err(Trouble::Declined(said)) if said == "NOPERM no"));
    }
}
