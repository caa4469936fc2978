//! What an SFTP address says.

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// Where a folder on the server begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An absolute path, without `/` at its end; empty for the server's root.
    Absolute(String),
    /// A path below the folder that the user begins in; empty for that folder.
    Home(String),
}

/// Where the server is, who the user is, and which folder is meant.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// A name or an address, or a name that the user's own SSH configuration explains.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) place: Place,
}

impl Address {
    /// Reads `sftp://user@host:22/folder` or `sftp://host/~/folder`; the error says what makes no sense.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|error| format!("the address is none: {error}"))?;
        if url.scheme() != "sftp" {
            return Err("the address must begin with sftp://".to_owned());
        }
        if url.password().is_some() {
            return Err("the address holds a password; give it in the field Password instead".to_owned());
        }
        let decode = |part: &str| -> Result<String, String> {
            let text = percent_decode_str(part).decode_utf8().map(|text| text.into_owned());
            let text = text.map_err(|_| "the address holds bytes that are no text".to_owned())?;
            if text.contains('\0') { Err("the address holds a zero byte".to_owned()) } else { Ok(text) }
        };
        let host = decode(url.host_str().unwrap_or_default())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // What begins with a dash would be an option.
        if host.is_empty()
            || host.starts_with('-')
            || host.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err("the address names no server".to_owned());
        }
        let user = match url.username() {
            "" => None,
            user => Some(decode(user)?),
        };
        if user.as_deref().is_some_and(|user| user.starts_with('-')) {
            return Err("the address names no user".to_owned());
        }
        let path = decode(url.path())?;
        let path = path.trim_end_matches('/');
        let place = match path.strip_prefix("/~") {
            Some("") => Place::Home(String::new()),
            Some(below) if below.starts_with('/') => Place::Home(below.trim_matches('/').to_owned()),
            _ if url.path().is_empty() => Place::Home(String::new()),
            _ => Place::Absolute(path.to_owned()),
        };
        Ok(Self { host, port: url.port(), user, place })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sftp://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            write!(f, "{}", self.host)?
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match &self.place {
            Place::Absolute(path) => write!(f, "{path}"),
            Place::Home(path) => write!(f, "/~/{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Place};

    #[test]
    fn addresses_are_read() {
        let full = Address::read("sftp://backup@nas:2222/srv/a%20b/").unwrap();
        assert_eq!(
            (full.user.as_deref(), full.host.as_str(), full.port),
            (Some("backup"), "nas", Some(2222))
        );
        assert_eq!(full.place, Place::Absolute("/srv/a b".to_owned()));
        assert_eq!(full.to_string(), "sftp://backup@nas:2222/srv/a b");
        let home = |text| Address::read(text).unwrap().place;
        assert_eq!(home("sftp://nas/~/x/y"), Place::Home("x/y".to_owned()));
        assert_eq!(home("sftp://nas/~"), Place::Home(String::new()));
        assert_eq!(home("sftp://nas"), Place::Home(String::new()));
        assert_eq!(home("sftp://nas/"), Place::Absolute(String::new()));
        assert_eq!(home("sftp://nas/~other/x"), Place::Absolute("/~other/x".to_owned()));
        assert_eq!(Address::read("sftp://[::1]/x").unwrap().host, "::1");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in
            ["", "ftp://nas/x", "sftp://", "sftp://u:p@nas/", "sftp://-oProxyCommand=x/", "sftp://a%20b/"]
        {
            assert!(Address::read(text).is_err(), "{text}");
        }
    }
}
