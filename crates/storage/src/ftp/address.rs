//! What an FTP address says.

use larder_model::Secret;
use larder_model::task::FtpSettings;
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Not at all.
    Plain,
    /// The client asks for TLS with `AUTH TLS` before it says who it is: RFC 4217.
    Explicit,
    /// TLS from the first byte on, as servers on port 990 expect it.
    Implicit,
}

/// The port on which TLS is spoken from the first byte on.
const IMPLICIT_PORT: u16 = 990;

/// Where the server is, who the user is, and which folder is meant.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) security: Security,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    /// The folder: absolute where it begins with `/`, else below the folder that the user begins in. No `/` at its end.
    pub(super) folder: String,
}

impl Address {
    /// Reads the settings; the error says what makes no sense, without secrets.
    pub(super) fn read(settings: &FtpSettings) -> Result<Self, String> {
        let text = settings.url.as_deref().unwrap_or_default().trim();
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ftp") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ftps") => (true, rest),
            Some(_) => return Err("the address must begin with ftp:// or ftps://".to_owned()),
            // Older clients leave the scheme out.
            None => (false, text),
        };
        let url =
            Url::parse(&format!("ftp://{rest}")).map_err(|error| format!("the address is none: {error}"))?;
        if url.password().is_some() {
            return Err("the address holds a password; give it in the field Password instead".to_owned());
        }
        let host =
            url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("the address names no server".to_owned());
        }
        let said = settings.port.filter(|port| *port != 0);
        let port = url.port().or(said).unwrap_or(21);
        let security = match (secure, port) {
            (false, _) => Security::Plain,
            (true, IMPLICIT_PORT) => Security::Implicit,
            (true, _) => Security::Explicit,
        };
        let decode = |part: &str| {
            let text = percent_decode_str(part).decode_utf8().map(|text| text.into_owned());
            text.map_err(|_| "the address holds bytes that are no text".to_owned())
        };
        let path = url.path();
        let folder = decode(path.strip_prefix('/').unwrap_or(path))?;
        if folder.contains(['\r', '\n', '\0']) {
            return Err("the folder's name holds a line break".to_owned());
        }
        let user = match settings.user_name.as_deref().filter(|user| !user.is_empty()) {
            Some(user) => user.to_owned(),
            None if !url.username().is_empty() => decode(url.username())?,
            None => "anonymous".to_owned(),
        };
        let absolute = folder.starts_with('/');
        let folder = folder.trim_matches('/');
        let folder = if absolute { format!("/{folder}") } else { folder.to_owned() };
        Ok(Self { security, host, port, user, password: settings.password.clone(), folder })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.security == Security::Plain { "ftp" } else { "ftps" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}")?;
        if self.port != 21 {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Security};
    use larder_model::task::FtpSettings;

    fn read(url: &str, port: Option<u16>) -> Result<Address, String> {
        Address::read(&FtpSettings { url: Some(url.to_owned()), port, ..FtpSettings::default() })
    }

    #[test]
    fn addresses_are_read() {
        let plain = read("ftp://backup@nas/a%20b/c/", None).unwrap();
        assert_eq!((plain.security, plain.port), (Security::Plain, 21));
        assert_eq!((plain.user.as_str(), plain.folder.as_str()), ("backup", "a b/c"));
        assert_eq!(plain.to_string(), "ftp://nas/a b/c");
        let secure = read("FTPS://[::1]:2121/%2Fsrv/x", Some(9)).unwrap();
        assert_eq!((secure.security, secure.port), (Security::Explicit, 2121));
        assert_eq!((secure.host.as_str(), secure.folder.as_str()), ("::1", "/srv/x"));
        assert_eq!(read("ftps://nas:990", None).unwrap().security, Security::Implicit);
        let old = read("nas/folder", Some(2121)).unwrap();
        assert_eq!((old.host.as_str(), old.port, old.user.as_str()), ("nas", 2121, "anonymous"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for url in ["", "http://nas/x", "ftp://", "ftp://u:p@nas/x", "ftp://nas/a%0d%0aDELE%20x"] {
            assert!(read(url, None).is_err(), "{url}");
        }
    }
}
