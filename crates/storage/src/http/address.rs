//! Addresses: what a configuration says of a server, and how names are written into a path or a query.

use http::Uri;
use http::uri::{Authority, Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 calls unreserved: what signatures of Amazon and Google are made over.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, but the parts of a path stay apart.
const RESERVED_IN_PATH: AsciiSet = RESERVED.remove(b'/');

/// Writes a name so that it can stand for one part of a path, or for a value of a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// Writes a path so that it can stand in an address; its slashes stay.
pub(crate) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, &RESERVED_IN_PATH).to_string()
}

/// Where a server is: `https://host:port/folder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `http` or `https`.
    pub(crate) scheme: Scheme,
    /// The host, and the port where one is named.
    pub(crate) authority: Authority,
    /// The path as it stands in the address, without a slash at its end; empty, or with one at its beginning.
    pub(crate) path: String,
}

impl Address {
    /// Reads an address; `https` is meant where no scheme is named.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri: Uri = full.parse().map_err(|error| format!("'{text}' is no address: {error}"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(format!("'{text}' names no host; an address looks like https://host:port"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(format!(
                "'{text}' begins with {scheme}://; only http:// and https:// are spoken here"
            ));
        }
        if authority.as_str().contains('@') {
            return Err(
                "an address must not contain a user or a password; they have fields of their own".to_owned()
            );
        }
        let path = parts.path_and_query.map(|path| path.path().trim_end_matches('/').to_owned());
        Ok(Self { scheme, authority, path: path.unwrap_or_default() })
    }

    /// Puts a name before the host: a bucket's own host.
    ///
    /// # Errors
    /// The name cannot be a part of a host's name.
    pub(crate) fn below(&self, name: &str) -> Result<Self, String> {
        let authority = format!("{name}.{}", self.authority);
        let authority =
            authority.parse().map_err(|_| format!("'{name}' cannot be a part of a host's name"))?;
        Ok(Self { authority, ..self.clone() })
    }

    /// Returns the address of a path below this one, which is already encoded and begins with a slash; a query may follow.
    ///
    /// # Errors
    /// The path is not encoded.
    pub(crate) fn uri(&self, path_and_query: &str) -> Result<Uri, String> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path_and_query}", self.path))
            .build()
            .map_err(|error| format!("no address can be made of '{path_and_query}': {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_signatures_want_them() {
        assert_eq!(encode_path("data/a b/ü+%~-._(1)'*"), "data/a%20b/%C3%BC%2B%25~-._%281%29%27%2A");
        assert_eq!(encode("a/b=c&d"), "a%2Fb%3Dc%26d");
    }

    #[test]
    fn addresses_are_read_with_and_without_a_scheme() {
        let address = Address::read(" http://127.0.0.1:9000/ ").unwrap();
        assert_eq!(
            (address.scheme.as_str(), address.authority.as_str(), address.path.as_str()),
            ("http", "127.0.0.1:9000", "")
        );
        let address = Address::read("s3.example.net/some/where/").unwrap();
        assert_eq!((address.scheme.as_str(), address.path.as_str()), ("https", "/some/where"));
        assert_eq!(
            address.uri("/x%20y?a=b").unwrap().to_string(),
            "https://s3.example.net/some/where/x%20y?a=b"
        );
        assert_eq!(address.below("bucket").unwrap().authority, "bucket.s3.example.net");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_a_password() {
        for text in ["", "ftp://host", "http://", "https://a b"] {
            assert!(Address::read(text).is_err(), "{text}");
        }
        let error = Address::read("https://me:secret@host").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
