//! What a backup holds by its report, so that two backups can be held against each other without reading either.

use crate::engine::BackupReport;

/// What stands before the name of a table in the evidence of SQLite, PostgreSQL and MariaDB.
const TABLES: [&str; 3] = ["Rows of ", "Table ", "table "];

/// What is said of the copy and not of its content: how the root directory of a tree was.
const NOT_CONTENT: [&str; 1] = ["Root"];

/// One thing that was counted or summed up when a backup was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The table by its own name, or what was counted: `Keys of database 0`.
    pub subject: String,
    /// Whether it is a table, so that what is counted are its rows.
    pub is_table: bool,
    /// How many there were, where they were counted.
    pub count: Option<u64>,
    /// A sum or hash of the content, where one was taken: the same for the same content.
    pub content: Option<String>,
}

/// Lists what a report says was in the backup, in its order.
#[must_use]
pub fn measures(report: &BackupReport) -> Vec<Measure> {
    let told = report.evidence.iter().filter(|(name, _)| !NOT_CONTENT.contains(&name.as_str()));
    told.map(|(name, value)| measure(name, value)).collect()
}

fn measure(name: &str, value: &str) -> Measure {
    let table = TABLES.iter().find_map(|prefix| name.strip_prefix(prefix));
    let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
    // Numbers may be grouped in thousands; a hash that begins with digits is no number.
    let count = first.replace(',', "").parse().ok().filter(|_| table.is_some() || rest.is_empty());
    let content = if count.is_some() { rest } else { value };
    Measure {
        subject: table.unwrap_or(name).to_owned(),
        is_table: table.is_some(),
        count,
        content: Some(content.to_owned()).filter(|content| !content.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_sums_of_every_engine_are_read() {
        let evidence = [
            ("Rows of item", "200", ("item", true, Some(200), None)),
            (
                "Table public.orders",
                "12 00ff00ff00ff00ff",
                ("public.orders", true, Some(12), Some("00ff00ff00ff00ff")),
            ),
            (
                "table shop",
                "3 rows, sum 0a, definition 1b",
                ("shop", true, Some(3), Some("rows, sum 0a, definition 1b")),
            ),
            ("Keys of database 0", "41", ("Keys of database 0", false, Some(41), None)),
            ("Functions", "1,200", ("Functions", false, Some(1200), None)),
            ("Sha256", "12ab", ("Sha256", false, None, Some("12ab"))),
        ];
        for (name, value, (subject, is_table, count, content)) in evidence {
            let content = content.map(str::to_owned);
            assert_eq!(
                measure(name, value),
                Measure { subject: subject.to_owned(), is_table, count, content },
                "{name}"
            );
        }
    }
}
