//! Addresses of servers, in one line.

use crate::error::EngineError;
use larder_model::Source;

/// The parts of `scheme://user@host:port/path`; never a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Begins with `/` where it is not empty.
    pub(crate) path: String,
}

impl Address {
    /// Reads a source's address; the first scheme is meant where none is written.
    pub(crate) fn of(source: &Source, schemes: &[&str], port: u16) -> Result<Self, EngineError> {
        Self::read(&source.address, schemes, port)
    }

    /// Reads one address.
    pub(crate) fn read(text: &str, schemes: &[&str], port: u16) -> Result<Self, EngineError> {
        Self::parse(text.trim(), schemes, port).map_err(|cause| EngineError::Failed {
            action: "reading the address of the source".to_owned(),
            cause: cause.to_owned(),
            remedy: format!(
                "write it as {}://USER@HOST:{port}, and the password apart",
                schemes.join(":// or ")
            ),
        })
    }

    fn parse(text: &str, schemes: &[&str], port: u16) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").unwrap_or((schemes.first().copied().unwrap_or(""), text));
        if !schemes.contains(&scheme) {
            return Err("it begins with a scheme that this engine does not know");
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains(['?', '#']) {
            return Err("it has a query; options are said apart");
        }
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err("it holds a password"),
            Some((user, place)) => (Some(decode(user).ok_or("its user is not readable")?), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place, port).ok_or("its port is not a number")?;
        if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("its host has white space in it");
        }
        let path = decode(path.trim_end_matches('/')).ok_or("its path is not readable")?;
        let user = user.filter(|user| !user.is_empty());
        Ok(Self { scheme: scheme.to_owned(), user, host: host.to_owned(), port, path })
    }

    /// Returns `host:port`, for a URL and for people.
    pub(crate) fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Takes a host, with or without a port; an IPv6 address stands in brackets where a port follows.
fn split_port(place: &str, default: u16) -> Option<(&str, u16)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => after.is_empty().then_some((host, default)),
        };
    }
    match place.matches(':').count() {
        0 => Some((place, default)),
        1 => place.split_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))),
        _ => Some((place, default)),
    }
}

/// Undoes `%41`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_taken_apart() {
        for (text, user, place, path) in [
            ("redis://backup@127.0.0.1:7000", Some("backup"), "127.0.0.1:7000", ""),
            ("redis://localhost/", None, "localhost:6379", ""),
            ("cache.example.org", None, "cache.example.org:6379", ""),
            ("redis://b%40ck@[::1]:1/x%20y", Some("b@ck"), "[::1]:1", "/x y"),
        ] {
            let address = Address::read(text, &["redis", "rediss"], 6379).unwrap();
            assert_eq!((address.user.as_deref(), address.place().as_str()), (user, place), "{text}");
            assert_eq!(address.path, path);
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_says_what_is_wrong_and_never_shows_a_password() {
        for (text, says) in [
            ("http://x", "scheme"),
            ("redis://u:sesame@x", "password"),
            ("redis://x:no", "port"),
            ("redis://x?a=b", "query"),
        ] {
            let told = Address::read(text, &["redis"], 6379).unwrap_err().to_string();
            assert!(told.contains(says) && !told.contains("sesame"), "{told}");
        }
    }
}
