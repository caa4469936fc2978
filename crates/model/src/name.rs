//! Names of databases.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name a database may have, in bytes; with ten hash characters and a folder it stays under every
/// destination's limit.
pub const MAX_NAME_BYTES: usize = 128;

/// The name of a database: letters, digits, `_`, `-` and `.`, not beginning with a dot.
///
/// RavenDB's rule, and a leading dot is refused because `<root>/.larder` is Larder's own. Copies share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(Arc<str>);

/// A name that no database may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "The name '{name}' is not permitted. Only letters, digits and characters ('_', '-', '.') are allowed, \
     at most {MAX_NAME_BYTES} bytes, not beginning with a dot."
)]
pub struct InvalidName {
    /// The name as it was given.
    pub name: String,
}

impl DatabaseName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a permitted name out of any text: what is not permitted becomes `-`.
    ///
    /// An empty result becomes `database`. The caller sees to uniqueness.
    #[must_use]
    pub fn from_lossy(text: &str) -> Self {
        let mut name = String::with_capacity(text.len());
        for c in text.chars() {
            let permitted = c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            if permitted {
                name.push(c);
            } else if !name.ends_with('-') {
                name.push('-');
            }
            if name.len() > MAX_NAME_BYTES - 16 {
                break;
            }
        }
        let name = name.trim_matches(|c| c == '-' || c == '.');
        Self(if name.is_empty() { "database".into() } else { name.into() })
    }
}

impl FromStr for DatabaseName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let permitted = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty()
            || name.len() > MAX_NAME_BYTES
            || name.starts_with('.')
            || !name.chars().all(permitted)
        {
            return Err(InvalidName { name: name.to_owned() });
        }
        Ok(Self(name.into()))
    }
}

impl TryFrom<String> for DatabaseName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<DatabaseName> for String {
    fn from(name: DatabaseName) -> Self {
        name.0.to_string()
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says whether a name matches a pattern in which `*` stands for any characters and `?` for any one; upper and lower
/// case count as the same.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    fn same(a: char, b: char) -> bool {
        a == b || a.to_lowercase().eq(b.to_lowercase())
    }
    let mut pattern = pattern.chars();
    let mut name = name.chars();
    // Where the last star was: what comes after it, and the part of the name that it has not swallowed yet.
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut rest = pattern.clone();
        match (rest.next(), name.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((rest.clone(), name.clone()));
                pattern = rest;
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || same(wanted, found) => {
                pattern = rest;
                name.next();
                continue;
            }
            _ => {}
        }
        let Some((after, swallowed)) = &mut star else { return false };
        if swallowed.next().is_none() {
            return false;
        }
        pattern = after.clone();
        name = swallowed.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permitted_names_are_kept_as_written() {
        for name in ["Products", "web-root", "a.b_c-1", "Überschuss"] {
            assert_eq!(name.parse::<DatabaseName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn other_names_are_refused_with_the_name_in_the_message() {
        for name in ["", "..", ".larder", "a/b", "a b", "a:b", &"x".repeat(129)] {
            let error = name.parse::<DatabaseName>().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn any_text_becomes_a_permitted_name() {
        for (text, name) in [("My Files", "My-Files"), ("/", "database"), ("../x", "x"), ("a//b", "a-b")] {
            let made = DatabaseName::from_lossy(text);
            assert_eq!(made.as_str(), name);
            assert!(made.as_str().parse::<DatabaseName>().is_ok());
        }
    }

    #[test]
    fn patterns_match_whole_names_whatever_their_case() {
        for (pattern, name) in [
            ("shop", "Shop"),
            ("*", "x"),
            ("*", ""),
            ("test-*", "TEST-1"),
            ("*-old", "a-b-old"),
            ("a*b*c", "aXbYbZc"),
            ("db-?", "db-1"),
            ("ÜBER*", "Überschuss"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("shop", "shops"), ("test-*", "a-test-1"), ("db-?", "db-"), ("a*b", "abc"), ("", "x")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
