//! Counts and sums up the rows of a dump while it flows by.
//!
//! The dump is the only thing that saw the rows at its own moment, so what a restored copy is held against is taken from
//! the dump itself: of every table the number of rows, a sum of the rows' hashes that does not depend on their order, and
//! a hash of the definition. A copy is dumped by the same program, and its sums must be the same.

use super::quote;
use crate::words::hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// Longer lines than this, but for rows, are none that mean anything here.
const LINE_BYTES: usize = 1 << 20;

/// What stands before a table's name in the evidence.
pub(super) const TABLE: &str = "table ";

/// What is known of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSum {
    pub(super) rows: u64,
    sum: u128,
    definition: String,
}

impl TableSum {
    /// Writes it as evidence.
    pub(super) fn to_text(&self) -> String {
        format!("{} rows, sum {:032x}, definition {}", self.rows, self.sum, self.definition)
    }

    /// Reads what [`TableSum::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (rows, rest) = text.split_once(" rows, sum ")?;
        let (sum, definition) = rest.split_once(", definition ")?;
        let sum = u128::from_str_radix(sum, 16).ok()?;
        Some(Self { rows: rows.parse().ok()?, sum, definition: definition.to_owned() })
    }

    /// Says how another one differs; nothing where it does not.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self.rows != other.rows {
            Some(format!("has {} rows instead of {}", other.rows, self.rows))
        } else if self.sum != other.sum {
            Some("has other values in its rows".to_owned())
        } else if self.definition != other.definition {
            Some("is defined otherwise".to_owned())
        } else {
            None
        }
    }
}

/// Everything that was seen in a dump.
#[derive(Clone, Debug, Default)]
pub(super) struct DumpSums {
    pub(super) tables: BTreeMap<String, TableSum>,
    /// Where the server's log was when the dump's transaction began: file and offset.
    pub(super) position: Option<(String, u64)>,
}

/// A reader that looks at a dump as it passes.
#[derive(Debug)]
pub(super) struct SumReader<R> {
    inner: R,
    scanner: Scanner,
}

impl<R> SumReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, scanner: Scanner::default() }
    }

    /// Returns the reader and what was seen.
    pub(super) fn finish(self) -> (R, DumpSums) {
        (self.inner, self.scanner.seen)
    }
}

impl<R: Read> Read for SumReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.scanner.take(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In a line that is collected whole.
    #[default]
    Line,
    /// After `INSERT INTO`, before `VALUES`.
    Columns,
    /// Between rows.
    Between,
    /// In a row.
    Row,
    /// In a text within a row.
    Text,
    /// After a backslash in such a text.
    Escaped,
}

#[derive(Debug, Default)]
struct Scanner {
    seen: DumpSums,
    state: State,
    line: Vec<u8>,
    /// The table that lines and rows belong to.
    table: String,
    definition: Option<Sha256>,
    row: Sha256,
    depth: u32,
}

impl Scanner {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Line => self.take_line(bytes),
                State::Columns => self.take_columns(bytes),
                _ => self.take_rows(bytes),
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    fn take_line(&mut self, bytes: &[u8]) -> usize {
        for (place, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                self.end_line();
                return place + 1;
            }
            if self.line.len() < LINE_BYTES {
                self.line.push(*byte);
            }
            // Rows may be many megabytes long: they are never collected.
            if *byte == b' ' && self.line.starts_with(b"INSERT INTO `") && self.begin_rows() {
                return place + 1;
            }
        }
        bytes.len()
    }

    /// Goes over to rows once the name of the table is complete.
    fn begin_rows(&mut self) -> bool {
        let text = String::from_utf8_lossy(&self.line);
        let Some((name, " ")) = text.strip_prefix("INSERT INTO ").and_then(quote::unquoted) else {
            return false;
        };
        self.table = name;
        self.line.clear();
        self.state = State::Columns;
        true
    }

    fn take_columns(&mut self, bytes: &[u8]) -> usize {
        for (place, byte) in bytes.iter().enumerate() {
            self.line.push(*byte);
            let is_quoted = self.line.iter().filter(|byte| **byte == b'`').count() % 2 == 1;
            if !is_quoted && self.line.ends_with(b"VALUES") {
                self.line.clear();
                self.state = State::Between;
                return place + 1;
            }
        }
        bytes.len()
    }

    fn take_rows(&mut self, bytes: &[u8]) -> usize {
        // Where the part begins that is still to be hashed.
        let mut from = 0;
        for (place, byte) in bytes.iter().enumerate() {
            match (self.state, *byte) {
                (State::Between, b'(') => {
                    self.state = State::Row;
                    self.depth = 1;
                    from = place;
                }
                (State::Between, b';') => {
                    self.state = State::Line;
                    return place + 1;
                }
                (State::Row, b'(') => self.depth += 1,
                (State::Row, b')') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.row.update(bytes.get(from..=place).unwrap_or_default());
                        self.end_row();
                        self.state = State::Between;
                    }
                }
                (State::Row, b'\'') => self.state = State::Text,
                (State::Text, b'\'') => self.state = State::Row,
                (State::Text, b'\\') => self.state = State::Escaped,
                (State::Escaped, _) => self.state = State::Text,
                _ => {}
            }
        }
        if self.state != State::Between {
            self.row.update(bytes.get(from..).unwrap_or_default());
        }
        bytes.len()
    }

    fn end_row(&mut self) {
        let hash: [u8; 32] = std::mem::take(&mut self.row).finalize().into();
        let mut half = [0; 16];
        half.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        if !self.seen.tables.contains_key(&self.table) {
            self.seen.tables.insert(self.table.clone(), TableSum::default());
        }
        if let Some(table) = self.seen.tables.get_mut(&self.table) {
            table.rows += 1;
            table.sum = table.sum.wrapping_add(u128::from_be_bytes(half));
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if let Some(hash) = &mut self.definition {
            let text = unbound(without_counter(&text));
            hash.update(text.as_bytes());
            hash.update(b"\n");
            if text.ends_with(';') {
                let hash = self.definition.take().map(|hash| hash.finalize()).unwrap_or_default();
                let hash = hex(hash.get(..8).unwrap_or_default());
                self.seen.tables.entry(self.table.clone()).or_default().definition = hash;
            }
        } else if let Some((name, rest)) = text.strip_prefix("CREATE TABLE ").and_then(quote::unquoted)
            && rest == " ("
        {
            self.table = name;
            self.definition = Some(Sha256::new());
        } else if self.seen.position.is_none() {
            self.seen.position =
                text.strip_prefix("-- CHANGE MASTER TO MASTER_LOG_FILE='").and_then(position);
        }
    }
}

/// Reads what the dump says of the log: `mysql-bin.000001', MASTER_LOG_POS=5079;`.
fn position(text: &str) -> Option<(String, u64)> {
    let (file, rest) = text.split_once("', MASTER_LOG_POS=")?;
    Some((file.to_owned(), rest.trim_end_matches(';').parse().ok()?))
}

/// Leaves out the next automatic number: it says nothing of the rows that are there.
fn without_counter(line: &str) -> String {
    let Some((before, after)) = line.split_once(" AUTO_INCREMENT=") else { return line.to_owned() };
    if !before.starts_with(')') {
        return line.to_owned();
    }
    format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Leaves out the database of a sequence that a default counts with: it is always the table's own.
fn unbound(line: String) -> String {
    let Some((before, after)) = line.split_once("nextval(") else { return line };
    match quote::unquoted(after) {
        Some((_, rest)) if rest.starts_with(".`") => {
            format!("{before}nextval({}", rest.trim_start_matches('.'))
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "-- CHANGE MASTER TO MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=5079;\n\
        CREATE TABLE `a``b` (\n  `x` int(11) COMMENT ' AUTO_INCREMENT=3'\n) ENGINE=InnoDB AUTO_INCREMENT=4;\n\
        INSERT INTO `a``b` VALUES\n(1,'x),(\\'',NULL),\n(2,'it''s \\\\',(3));\n\
        CREATE TABLE `v` (\n  `x` int(11)\n) ENGINE=InnoDB;\n\
        INSERT INTO `v` (`VALUES (`, row_end) VALUES (2,'a'),\n(1,'b');\nINSERT INTO `v` VALUES (3,'c');\n";

    fn sums(text: &str, piece: usize) -> DumpSums {
        let mut scanner = Scanner::default();
        text.as_bytes().chunks(piece).for_each(|piece| scanner.take(piece));
        scanner.seen
    }

    #[test]
    fn rows_are_counted_however_the_dump_is_cut() {
        let whole = sums(DUMP, DUMP.len());
        assert_eq!(whole.position, Some(("bin.000001".to_owned(), 5079)));
        assert_eq!(
            whole.tables.iter().map(|(name, sum)| (name.as_str(), sum.rows)).collect::<Vec<_>>(),
            [("a`b", 2), ("v", 3)]
        );
        for piece in 1..40 {
            assert_eq!(sums(DUMP, piece).tables, whole.tables);
        }
    }

    #[test]
    fn a_sequence_is_the_same_in_a_database_of_another_name() {
        let dump = |name: &str| {
            format!(
                "CREATE TABLE `t` (\n  `id` int(11) DEFAULT nextval(`{name}`.`s`),\n  `x` int(11)\n) ENGINE=InnoDB;\n"
            )
        };
        assert_eq!(sums(&dump("shop"), 999).tables, sums(&dump("we``ird ("), 999).tables);
    }

    #[test]
    fn order_and_the_next_number_do_not_count_but_values_do() {
        let whole = sums(DUMP, 1000).tables;
        let moved = DUMP.replace("(2,'a'),\n(1,'b')", "(1,'b'),\n(2,'a')").replace("ENT=4", "ENT=400");
        assert_eq!(sums(&moved, 1000).tables, whole);
        for (from, to, what) in [
            ("'c'", "'d'", "values"),
            ("ENGINE=InnoDB;\nINSERT INTO `v`", "ENGINE=Aria;\nINSERT INTO `v`", "defined"),
            ("INSERT INTO `v` VALUES (3,'c');\n", "", "2 rows instead of 3"),
        ] {
            let changed = sums(&DUMP.replace(from, to), 1000).tables;
            let told = whole["v"].difference(&changed["v"]).unwrap();
            assert!(told.contains(what), "{told}");
        }
        let sum = &whole["v"];
        assert_eq!(TableSum::from_text(&sum.to_text()).as_ref(), Some(sum));
    }
}
