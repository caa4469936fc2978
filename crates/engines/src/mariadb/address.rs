//! What a source of this engine says: where the server is, who asks it, and how.

use crate::engine::SourceOption;
use crate::error::EngineError;
use larder_model::{EngineKind, Source};
use std::path::PathBuf;
use std::time::Duration;

/// The port where nothing is said.
const PORT: u16 = 3306;

/// How long a table may be locked by somebody else before a backup gives up, where nothing is said.
const LOCK_SECONDS: u64 = 120;

/// The names that a source's options may have.
pub(super) const OPTIONS: [SourceOption; 4] = [
    SourceOption::new(
        "LockSeconds",
        "for how many seconds a table that somebody locks is waited for; 120 where nothing is said",
    ),
    SourceOption::new("Socket", "the socket that is used instead of host and port"),
    SourceOption::new(
        "TlsAuthority",
        "the file with the certificates that the server's must be signed by; with it nothing is sent in the clear",
    ),
    SourceOption::new(
        "WholeServer",
        "true or false: whether the server as a whole, its files, is a database of its own; false where nothing is said",
    ),
];

/// A server, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The name of the source, for messages.
    pub(super) source: String,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// The socket that is used instead of host and port.
    pub(super) socket: Option<PathBuf>,
    /// The certificates that the server's one must be signed by; with them nothing is sent in the clear.
    pub(super) tls_authority: Option<PathBuf>,
    /// For how long a table may be locked by somebody else before a backup gives up.
    pub(super) lock_patience: Duration,
    /// Whether the server as a whole, its files, is a database of its own.
    pub(super) whole_server: bool,
}

impl Address {
    /// Reads a source.
    ///
    /// # Errors
    /// The address or an option is not understood; the message shows what is.
    pub(super) fn of(source: &Source) -> Result<Self, EngineError> {
        let refused = |cause: String| {
            EngineError::Failed {
            action: format!("reading the source {}", source.name),
            cause,
            remedy: "write its address as mariadb://backup@127.0.0.1:3306, and only the options on the page of the engine mariadb"
                .to_owned(),
        }
        };
        let address = source.address.as_str();
        let rest = ["mariadb://", "mysql://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| refused(format!("'{address}' does not begin with mariadb://")))?;
        let rest = rest.trim_end_matches('/');
        let (user, place) = rest.rsplit_once('@').ok_or_else(|| refused("it names no user".to_owned()))?;
        if user.contains(':') {
            return Err(refused("a password is not part of the address".to_owned()));
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !port.contains(']') => {
                (host, port.parse().map_err(|_| refused(format!("'{port}' is not a port")))?)
            }
            _ => (place, PORT),
        };
        let mut read = Self {
            source: source.name.to_string(),
            user: decoded(user).ok_or_else(|| refused("the user's name is not text".to_owned()))?,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            socket: None,
            tls_authority: None,
            lock_patience: Duration::from_secs(LOCK_SECONDS),
            whole_server: false,
        };
        for (name, value) in &source.options {
            let wrong = |wanted: &str| refused(format!("{name} is '{value}', and not {wanted}"));
            match name.as_str() {
                "Socket" => read.socket = Some(value.into()),
                "TlsAuthority" => read.tls_authority = Some(value.into()),
                "LockSeconds" => {
                    let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
                    read.lock_patience =
                        Duration::from_secs(seconds.ok_or_else(|| wrong("a number of seconds"))?);
                }
                "WholeServer" => {
                    read.whole_server = value.parse().map_err(|_| wrong("true or false"))?;
                }
                _ => {
                    let known = OPTIONS.map(|one| one.name).join(", ");
                    return Err(refused(format!(
                        "'{name}' is not one of the options of {}; the options are {known}",
                        EngineKind::Mariadb
                    )));
                }
            }
        }
        if read.user.is_empty() || (read.host.is_empty() && read.socket.is_none()) {
            return Err(refused(format!("'{address}' lacks a user or a host")));
        }
        Ok(read)
    }

    /// Names the server in messages: `127.0.0.1:3306`.
    pub(super) fn shown(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Writes what the vendor's programs read before anything else.
    pub(super) fn option_file(&self, password: Option<&str>) -> String {
        let mut text = format!("[client]\nuser={}\n", quoted(&self.user));
        // An empty one keeps the programs from looking elsewhere, or asking.
        text.push_str(&format!("password={}\n", quoted(password.unwrap_or_default())));
        match &self.socket {
            Some(socket) => {
                text.push_str(&format!("protocol=SOCKET\nsocket={}\n", quoted(&socket.to_string_lossy())));
            }
            None => {
                text.push_str(&format!("protocol=TCP\nhost={}\nport={}\n", quoted(&self.host), self.port));
            }
        }
        if let Some(authority) = &self.tls_authority {
            let authority = quoted(&authority.to_string_lossy());
            text.push_str(&format!("ssl-ca={authority}\nssl-verify-server-cert\n"));
        }
        text
    }
}

/// Quotes a value for an option file, whose only escapes these are.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Reads a text in which bytes may stand as `%40`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(2..)?;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::DatabaseName;

    fn source(address: &str, options: &[(&str, &str)]) -> Source {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let name = DatabaseName::from_lossy("shop");
        Source { options: options.collect(), ..Source::new(name, EngineKind::Mariadb, address.to_owned()) }
    }

    #[test]
    fn an_address_names_user_host_and_port() {
        for (text, user, shown) in [
            ("mariadb://backup@127.0.0.1:3307", "backup", "127.0.0.1:3307"),
            ("mysql://a%40b@db.example", "a@b", "db.example:3306"),
            ("mariadb://backup@[::1]:3307/", "backup", "::1:3307"),
            ("mariadb://backup@[::1]", "backup", "::1:3306"),
        ] {
            let address = Address::of(&source(text, &[])).unwrap();
            assert_eq!((address.user.as_str(), address.shown().as_str()), (user, shown));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (text, options, named) in [
            ("postgresql://a@b", &[][..], "mariadb://"),
            ("mariadb://localhost", &[], "no user"),
            ("mariadb://a:secret@localhost", &[], "password"),
            ("mariadb://a@b:x", &[], "'x'"),
            ("mariadb://a@b", &[("Sokcet", "/run/s")], "LockSeconds, Socket, TlsAuthority, WholeServer"),
            ("mariadb://a@b", &[("LockSeconds", "0")], "LockSeconds"),
        ] {
            let error = Address::of(&source(text, options)).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_option_file_quotes_what_it_is_given() {
        let address = Address::of(&source("mariadb://a@b", &[("Socket", "/run/s")])).unwrap();
        let text = address.option_file(Some("p#w\\d \"x\"\n"));
        assert!(
            text.contains("password=\"p#w\\\\d \"x\"\\n\"\n") && text.contains("socket=\"/run/s\""),
            "{text}"
        );
    }
}
