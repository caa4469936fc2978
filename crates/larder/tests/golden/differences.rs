//! The differences that are meant: `differences.toml`.

use serde::Deserialize;
use std::fmt;

/// One thing in which an answer differs from the captured one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// `7.2.7/swv-bad-json`
    pub exchange: String,
    /// `$.Type is missing`
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exchange, self.what)
    }
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub difference: Vec<Entry>,
}

/// Differences with one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What the difference is about, as `docs/ravendb-compatibility.md` names it.
    pub title: String,
    /// Exchanges, with `*` for any text: `7.2.7/swv-*`.
    pub exchanges: Vec<String>,
    /// What differs there, with `*` for any text.
    pub differs: Vec<String>,
    /// Why.
    pub reason: String,
}

impl Entry {
    pub fn covers(&self, difference: &Difference) -> bool {
        self.exchanges.iter().any(|pattern| matches(pattern, &difference.exchange))
            && self.differs.iter().any(|pattern| matches(pattern, &difference.what))
    }
}

impl Listed {
    /// Reads the list beside this file.
    pub fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/differences.toml");
        toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// Writes the list as `docs/ravendb-compatibility.md` has it.
    pub fn as_markdown(&self) -> String {
        let rows = self.difference.iter().map(|entry| {
            let places: Vec<String> = entry.exchanges.iter().map(|pattern| format!("`{pattern}`")).collect();
            format!("| {} | {} | {} |\n", entry.title, entry.reason, places.join(", "))
        });
        format!("| difference | reason | captured exchanges |\n|---|---|---|\n{}", rows.collect::<String>())
    }

    /// Returns one line for each difference that is not listed, and for each listed pattern that nothing needs.
    pub fn judge(&self, found: &[Difference]) -> Vec<String> {
        let unlisted =
            found.iter().filter(|difference| !self.difference.iter().any(|e| e.covers(difference)));
        let mut complaints: Vec<String> = unlisted.map(ToString::to_string).collect();
        for entry in &self.difference {
            let covered: Vec<_> = found.iter().filter(|difference| entry.covers(difference)).collect();
            for pattern in &entry.exchanges {
                if !covered.iter().any(|difference| matches(pattern, &difference.exchange)) {
                    complaints.push(format!("listed under '{}', but gone: exchange {pattern}", entry.title));
                }
            }
            for pattern in &entry.differs {
                if !covered.iter().any(|difference| matches(pattern, &difference.what)) {
                    complaints.push(format!("listed under '{}', but gone: {pattern}", entry.title));
                }
            }
        }
        complaints
    }
}

/// Tells whether a text is what a pattern describes; `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for piece in pieces {
        if let Some(middle) = last.replace(piece) {
            let Some(at) = rest.find(middle) else { return false };
            rest = &rest[at + middle.len()..];
        }
    }
    last.map_or(rest.is_empty(), |end| rest.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::{Difference, Entry, Listed, matches};

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(
            matches("7.2.7/swv-*", "7.2.7/swv-bad-json") && matches("*", "") && matches("a*b*c", "a12b3c")
        );
        assert!(!matches("7.2.7/swv-*", "7.2.7/pbv-x") && !matches("a", "ab") && !matches("a*b", "ba"));
    }

    #[test]
    fn a_difference_must_be_listed_and_a_listed_one_must_occur() {
        let entry = Entry {
            title: "t".to_owned(),
            exchanges: vec!["7/a".to_owned()],
            differs: vec!["status *".to_owned()],
            reason: "r".to_owned(),
        };
        let listed = Listed { difference: vec![entry] };
        let difference =
            |exchange: &str, what: &str| Difference { exchange: exchange.into(), what: what.into() };
        assert!(listed.judge(&[difference("7/a", "status 402")]).is_empty());
        assert_eq!(listed.judge(&[difference("7/b", "status 402")]).len(), 3);
        assert_eq!(listed.judge(&[]).len(), 2);
    }
}
