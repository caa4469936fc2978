//! Counts and sums up what a dump holds, while it passes by.
//!
//! A table's rows stand between a line `COPY … FROM stdin;` and a line `\.`, one on each line. Their hashes are added up, so
//! that the order, which nobody promises, makes no difference. What two dumps of the same rows give is the same.

use crate::line_hash::LineHash;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// How much of a line is kept to see what it is.
const KEPT: usize = 64 << 10;

/// How many lines stand between `-- Data for Name: …` and `COPY`, which only `pg_dump` itself writes so.
const BETWEEN: [&[u8]; 2] = [b"--", b""];

/// What stands before the name of each table in a backup's evidence.
pub(super) const TABLE: &str = "Table ";
/// What stands before data that is in no table.
pub(super) const DATA: &str = "Data: ";

/// What the values of sequences and the pieces of large objects are counted as; no table is called so in SQL.
const SEQUENCES: &str = "sequence values";
const LARGE_OBJECTS: &str = "pieces of large objects";

/// Rows of one table, or statements of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// How many.
    pub(super) count: u64,
    /// The sum of their hashes.
    pub(super) sum: u64,
}

impl Rows {
    /// Reads what [`Rows::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (count, sum) = text.split_once(' ')?;
        Some(Self { count: count.parse().ok()?, sum: u64::from_str_radix(sum, 16).ok()? })
    }

    /// Returns the name under which a backup's evidence keeps them.
    pub(super) fn evidence_name(name: &str) -> String {
        let prefix = if [SEQUENCES, LARGE_OBJECTS].contains(&name) { DATA } else { TABLE };
        format!("{prefix}{name}")
    }

    /// Writes the number and the sum.
    pub(super) fn to_text(self) -> String {
        format!("{} {:016x}", self.count, self.sum)
    }
}

/// Reads a dump, and takes note of every row that passes by.
#[derive(Debug)]
pub(super) struct Tally<R> {
    inner: R,
    tables: BTreeMap<String, Rows>,
    /// The table whose rows come.
    table: Option<String>,
    current: Rows,
    /// The beginning of the line.
    line: Vec<u8>,
    /// How many lines ago the rows of a table were announced; `None` where they are not.
    announced: Option<usize>,
    /// The line that names a table, where the names in it go over several lines.
    header: Vec<u8>,
    hash: LineHash,
}

impl<R> Tally<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self {
            inner,
            tables: BTreeMap::new(),
            table: None,
            current: Rows { count: 0, sum: 0 },
            line: Vec::new(),
            announced: None,
            header: Vec::new(),
            hash: LineHash::NEW,
        }
    }

    /// Returns the stream, and every table by its name as SQL spells it.
    pub(super) fn finish(self) -> (R, BTreeMap<String, Rows>) {
        (self.inner, self.tables)
    }

    fn note(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.hash.update(part);
            // Of rows only the shortest are looked at.
            let wanted = if self.table.is_some() { 3 } else { KEPT };
            let missing = wanted.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(part.get(..missing).unwrap_or_default());
            if end.is_some() {
                self.end_of_line();
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
    }

    fn end_of_line(&mut self) {
        if self.table.is_some() && self.hash.length == 2 && self.line == b"\\." {
            if let Some(table) = self.table.take() {
                let rows = self.tables.entry(table).or_default();
                rows.count += self.current.count;
                rows.sum = rows.sum.wrapping_add(self.current.sum);
            }
        } else if self.table.is_some() {
            self.current.count += 1;
            self.current.sum = self.current.sum.wrapping_add(self.hash.finish());
        } else if self.is_header() {
            self.take_header();
        } else if let Some(kind) = kind_of(&self.line) {
            let rows = self.tables.entry(kind.to_owned()).or_default();
            rows.count += 1;
            rows.sum = rows.sum.wrapping_add(self.hash.finish());
        }
        self.line.clear();
        self.hash = LineHash::NEW;
    }

    /// Says whether a line is, or belongs to, the one that names a table whose rows follow. A function's text may hold such
    /// a line too, but it is not announced.
    fn is_header(&mut self) -> bool {
        if !self.header.is_empty() {
            return true;
        }
        let lines = self.announced.take();
        if self.line.starts_with(b"-- Data for Name: ") {
            self.announced = Some(0);
        } else if let Some(next) = lines.filter(|lines| BETWEEN.get(*lines) == Some(&self.line.as_slice())) {
            self.announced = Some(next + 1);
        }
        lines == Some(BETWEEN.len()) && self.line.starts_with(b"COPY ")
    }

    fn take_header(&mut self) {
        if !self.header.is_empty() {
            self.header.push(b'\n');
        }
        self.header.extend_from_slice(&self.line);
        let too_long = self.header.len() >= KEPT;
        if self.header.ends_with(b" FROM stdin;") || too_long {
            let table = copied_table(&self.header);
            self.tables.entry(table.clone()).or_default();
            (self.table, self.current) = (Some(table), Rows::default());
            self.header.clear();
        }
    }
}

/// Returns the table whose rows follow a line, as SQL spells it.
fn copied_table(line: &[u8]) -> String {
    let rest = line.strip_prefix(b"COPY ").unwrap_or(line);
    let mut quoted = false;
    let end = rest.iter().position(|byte| {
        quoted ^= *byte == b'"';
        !quoted && *byte == b' '
    });
    String::from_utf8_lossy(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()).into_owned()
}

/// Returns what data a line holds that is no row of a table.
fn kind_of(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(b"SELECT pg_catalog.setval(") {
        Some(SEQUENCES)
    } else if line.starts_with(b"SELECT pg_catalog.lowrite(") {
        Some(LARGE_OBJECTS)
    } else {
        None
    }
}

impl<R: Read> Read for Tally<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.note(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            let (now, rest) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = rest;
            Ok(length)
        }
    }

    fn tallied(dump: &str, step: usize) -> BTreeMap<String, Rows> {
        let mut tally = Tally::new(Dribble(dump.as_bytes(), step));
        io::copy(&mut tally, &mut io::sink()).unwrap();
        tally.finish().1
    }

    const DUMP: &str = "-- a dump\nCREATE TABLE x ();\nCOPY in_a_function (x) FROM stdin;\n\
        -- Data for Name: or; Type: TABLE DATA\n--\n\n\
        COPY public.\"or \"\"ders\" (id, name) FROM stdin;\n1\tone\n2\t\\\\.\n\\.\n\n\
        -- Data for Name: empty\n--\n\n\
        COPY public.empty (id, \"two\nlines\") FROM stdin;\n\\.\n\
        -- Data for Name: none\n--\n\n\
        COPY s.none FROM stdin;\n\n\n\\.\n\
        SELECT pg_catalog.setval('s', 7, true);\n-- done\n";

    #[test]
    fn rows_are_counted_by_table_however_they_are_read() {
        let tables = tallied(DUMP, 1);
        let counts: Vec<_> = tables.iter().map(|(name, rows)| (name.as_str(), rows.count)).collect();
        assert_eq!(
            counts,
            [("public.\"or \"\"ders\"", 2), ("public.empty", 0), ("s.none", 2), ("sequence values", 1)]
        );
        for step in [2, 3, 7, 1000] {
            assert_eq!(tallied(DUMP, step), tables);
        }
    }

    #[test]
    fn the_order_of_rows_makes_no_difference_and_every_change_does() {
        let dump = |rows: &str| {
            tallied(&format!("-- Data for Name: t\n--\n\nCOPY t (a) FROM stdin;\n{rows}\\.\n"), 1000)
        };
        assert_eq!(dump("1\n2\n3\n"), dump("3\n1\n2\n"));
        for other in ["1\n2\n", "1\n2\n4\n", "1\n2\n33\n", "1\n1\n3\n", "12\n\n3\n"] {
            assert_ne!(dump("1\n2\n3\n"), dump(other), "{other:?}");
        }
        let rows = dump("1\n")["t"];
        assert_eq!(Rows::from_text(&rows.to_text()), Some(rows));
    }
}
