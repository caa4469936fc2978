//! Paths within a backup, as text that can be handed back.

use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A path within a backup, byte for byte: names with `/` between them, empty for the root.
///
/// Names of files need not be text. Written, `%` and every byte that is no part of a printable character stand as `%` and
/// two hexadecimal digits, so that what was written can be read back; what else a reader writes is taken as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub struct BackupPath(Vec<u8>);

impl BackupPath {
    /// Makes a path of its bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the path byte for byte.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parts().next().is_none()
    }

    /// Returns the path of something in the directory that this one names.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let mut joined = self.0.clone();
        if !joined.is_empty() && !joined.ends_with(b"/") {
            joined.push(b'/');
        }
        joined.extend_from_slice(name);
        Self(joined)
    }

    /// Returns the last name, as people read it: what is no text is replaced. Empty for the root.
    #[must_use]
    pub fn name(&self) -> String {
        readable(self.parts().last().unwrap_or_default())
    }

    /// Returns every path on the way from the root to this one, itself included and the root not.
    #[must_use]
    pub fn ancestry(&self) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for part in self.parts() {
            all.push(all.last().cloned().unwrap_or_default().join(part));
        }
        all
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
    }
}

/// Writes a name as people read it: what is no text, and what would move the cursor, is replaced.
#[must_use]
pub fn readable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.replace(char::is_control, "\u{fffd}")
}

impl fmt::Display for BackupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |bytes: &[u8], f: &mut fmt::Formatter<'_>| {
            bytes.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))
        };
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character == '%' || character.is_control() {
                    escape(character.encode_utf8(&mut [0; 4]).as_bytes(), f)?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            escape(chunk.invalid(), f)?;
        }
        Ok(())
    }
}

impl FromStr for BackupPath {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            let (byte, after) = match (first, after) {
                (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => (high * 16 + low, after),
                    _ => (b'%', &rest[1..]),
                },
                (byte, after) => (*byte, after),
            };
            bytes.push(byte);
            rest = after;
        }
        Ok(Self(bytes))
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl From<String> for BackupPath {
    fn from(text: String) -> Self {
        text.parse().unwrap_or_default()
    }
}

impl From<BackupPath> for String {
    fn from(path: BackupPath) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back_as_it_was() {
        let names: [&[u8]; 6] =
            [b"docs/a b.txt", b"caf\xe9", "größe/日本".as_bytes(), b"100%25", b"a\nb\x7f", b""];
        for name in names {
            let path = BackupPath::new(name);
            assert_eq!(path.to_string().parse(), Ok(path.clone()), "{path}");
            assert!(!path.to_string().contains(char::is_control), "{path}");
        }
        assert_eq!(BackupPath::new(*b"caf\xe9").to_string(), "caf%E9");
        assert_eq!(BackupPath::new(*b"50%").to_string(), "50%25");
    }

    #[test]
    fn what_people_write_is_taken_as_it_stands() {
        for text in ["50%", "a%zz", "%", "%f", "größe"] {
            let path: BackupPath = text.parse().unwrap();
            assert_eq!(path.as_bytes(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_path_knows_the_way_to_it() {
        let path: BackupPath = "/docs//deep/./x.bin".parse().unwrap();
        let way: Vec<String> = path.ancestry().iter().map(ToString::to_string).collect();
        assert_eq!(way, ["docs", "docs/deep", "docs/deep/x.bin"]);
        assert_eq!(path.name(), "x.bin");
        assert!(BackupPath::default().is_root() && "/./".parse::<BackupPath>().unwrap().is_root());
    }
}
