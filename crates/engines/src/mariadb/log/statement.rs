//! What a logged statement has to do with a database.
//!
//! Statements are not understood here, only doubted: what might concern the database, but could not be replayed for it
//! alone, makes the next backup a full one.

/// What is to be done about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearing {
    /// It belongs to a transaction: begins, ends, marks.
    Frame,
    /// It has nothing to do with the database.
    Foreign,
    /// It changes this database and nothing else.
    Own,
    /// It may change this database, and something else may matter to it.
    Unclear(&'static str),
}

/// Words that accounts and rights are spoken of with; those are a database of their own.
const ACCOUNT_WORDS: [&str; 14] = [
    "GRANT ",
    "REVOKE ",
    "SET PASSWORD",
    "SET DEFAULT ROLE",
    "CREATE USER",
    "CREATE OR REPLACE USER",
    "ALTER USER",
    "DROP USER",
    "RENAME USER",
    "CREATE ROLE",
    "CREATE OR REPLACE ROLE",
    "DROP ROLE",
    "FLUSH ",
    "CREATE SERVER",
];

/// Judges a statement that was run while `default` was the database in use.
pub(super) fn judge(default: &[u8], statement: &[u8], database: &str, others: &[String]) -> Bearing {
    let text = String::from_utf8_lossy(statement);
    let bare = without_comments(&text).to_uppercase();
    let begins = |word: &str| bare.starts_with(word);
    if matches!(bare.trim_end_matches([';', ' ']), "BEGIN" | "COMMIT" | "ROLLBACK")
        || ["SAVEPOINT ", "ROLLBACK TO", "START TRANSACTION", "RELEASE SAVEPOINT"].into_iter().any(begins)
    {
        return Bearing::Frame;
    }
    if ACCOUNT_WORDS.into_iter().any(begins) {
        return Bearing::Foreign;
    }
    let is_default = String::from_utf8_lossy(default).eq_ignore_ascii_case(database);
    let names = |name: &str| mentions(&text, name);
    if !is_default {
        let named = names(database);
        return if named {
            Bearing::Unclear("a statement given in another database names it")
        } else {
            Bearing::Foreign
        };
    }
    if [
        "CREATE DATABASE",
        "CREATE SCHEMA",
        "CREATE OR REPLACE DATABASE",
        "DROP DATABASE",
        "DROP SCHEMA",
        "ALTER DATABASE",
        "ALTER SCHEMA",
    ]
    .into_iter()
    .any(begins)
    {
        return Bearing::Unclear("it was itself created, altered or dropped");
    }
    if others.iter().any(|other| !other.eq_ignore_ascii_case(database) && names_qualified(&text, other)) {
        return Bearing::Unclear("a statement reads or changes another database, too");
    }
    Bearing::Own
}

/// Leaves out the comments before the first word.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("/*") {
            // The text of a version comment is part of the statement.
            if comment.starts_with('!') || comment.starts_with("M!") {
                let inside = comment.trim_start_matches(|c: char| c == 'M' || c == '!' || c.is_ascii_digit());
                return inside.trim_start();
            }
            comment.split_once("*/").map(|(_, after)| after)
        } else if rest.starts_with("-- ") || rest.starts_with('#') {
            rest.split_once('\n').map(|(_, after)| after)
        } else {
            return rest;
        };
        match after {
            Some(after) => rest = after.trim_start(),
            None => return rest,
        }
    }
}

/// Says whether a name stands anywhere in a text, as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    places(text, name).next().is_some()
}

/// Says whether a name stands in a text with a point after it.
fn names_qualified(text: &str, name: &str) -> bool {
    places(text, name).any(|after| after.trim_start_matches(['`', '"', ' ']).starts_with('.'))
}

/// Yields what follows each place where a name stands as a word of its own.
fn places<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (lower, quoted) = (text.to_lowercase(), name.to_lowercase().replace('`', "``"));
    // Where lower case has another length, every place is taken for one: better too many than too few.
    let is_aligned = lower.len() == text.len();
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    let found: Vec<usize> = lower
        .match_indices(&quoted)
        .filter(|(at, _)| {
            let before = lower.get(..*at).and_then(|text| text.chars().next_back());
            let after = lower.get(at + quoted.len()..).and_then(|text| text.chars().next());
            !(is_word(before) || is_word(after))
        })
        .map(|(at, _)| at + quoted.len())
        .collect();
    found.into_iter().map(move |at| if is_aligned { text.get(at..).unwrap_or(".") } else { "." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_own_foreign_or_doubted() {
        let others = ["crm".to_owned(), "shop".to_owned()];
        let judged = |default: &str, text: &str| judge(default.as_bytes(), text.as_bytes(), "shop", &others);
        for text in ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT `a`"] {
            assert_eq!(judged("shop", text), Bearing::Frame);
        }
        for (default, text) in [
            ("crm", "INSERT INTO t VALUES (1)"),
            ("", "CREATE DATABASE workshop"),
            ("shop", "GRANT SELECT ON shop.* TO x"),
            ("shop", "/* by hand */ CREATE USER x"),
            ("crm", "update shopping set a = 1"),
        ] {
            assert_eq!(judged(default, text), Bearing::Foreign, "{text}");
        }
        for text in [
            "CREATE TABLE crm (a INT)",
            "INSERT INTO `shop`.`t` VALUES (1)",
            "ALTER TABLE t ADD crm INT",
            "/* x */ DROP TABLE t",
        ] {
            assert_eq!(judged("shop", text), Bearing::Own, "{text}");
        }
        for (default, text) in [
            ("", "CREATE TABLE Shop.t (a INT)"),
            ("crm", "INSERT INTO `shop`.t SELECT 1"),
            ("shop", "INSERT INTO t SELECT * FROM crm.t"),
            ("shop", "INSERT INTO t SELECT * FROM `CRM` . t"),
            ("shop", "drop database shop"),
            ("shop", "/*!40000 DROP DATABASE IF EXISTS shop */"),
        ] {
            assert!(matches!(judged(default, text), Bearing::Unclear(_)), "{text}");
        }
    }
}
