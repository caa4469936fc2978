//! Version numbers of programs and servers.

use std::fmt;

/// The parts of a version number: `15.18` is `[15, 18]`. Compared part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version(Vec<u32>);

impl Version {
    /// Makes a version of its parts.
    pub(crate) fn new(parts: &[u32]) -> Self {
        Self(parts.to_vec())
    }

    /// Returns a part; 0 where the number is shorter.
    pub(crate) fn part(&self, place: usize) -> u32 {
        self.0.get(place).copied().unwrap_or_default()
    }

    /// Finds the first number with a point in it in a text such as `pg_dump (PostgreSQL) 15.18 (Debian)`; where there is
    /// none, the first number that stands alone, as in `psql (PostgreSQL) 18beta1`.
    pub(crate) fn in_text(text: &str) -> Option<Self> {
        let words = || text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ':'));
        let read = |word: &str| {
            let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
            let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
            let parts: Vec<u32> = word.get(..end)?.split('.').map_while(|part| part.parse().ok()).collect();
            (!parts.is_empty()).then_some(Self(parts))
        };
        words().filter_map(read).find(|version| version.0.len() > 1).or_else(|| words().find_map(read))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.pad(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (text, found) in [
            ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15.18"),
            ("psql (PostgreSQL) 18beta1", "18"),
            ("redis-cli 7.0.15", "7.0.15"),
            ("Redis server v=7.0.15 sha=00000000:0", "7.0.15"),
            ("etcdctl version: 3.4.23\nAPI version: 3.4", "3.4.23"),
            ("mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)", "11.4.2"),
        ] {
            let text = text.replace("v=", "v= ");
            assert_eq!(Version::in_text(&text).map(|version| version.to_string()).as_deref(), Some(found));
        }
        assert_eq!(Version::in_text("no number at all"), None);
        assert!(Version::new(&[9, 6]) < Version::new(&[15]) && Version::new(&[15]) < Version::new(&[15, 1]));
    }
}
