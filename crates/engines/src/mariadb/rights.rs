//! What the user of a source may do, and what it lacks.
//!
//! A table that a user may not read is not even listed to it, so a dump would pass over it without a word. Only a right on
//! the whole database, or on everything, proves that all of it is seen.

use super::client::Client;
use super::failure::failed;
use super::quote;
use crate::engine::MissingRight;
use crate::error::EngineError;

/// What a dump of a database needs; without the later ones views, triggers and events are left out in silence.
const TO_DUMP: [(&str, &str); 4] = [
    ("SELECT", "reading the tables"),
    ("SHOW VIEW", "reading the definitions of views"),
    ("TRIGGER", "reading the triggers"),
    ("EVENT", "reading the events"),
];

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    privileges: Vec<String>,
    /// The pattern of the database; `None` for everything.
    database: Option<String>,
    /// Whether it is for all that is in the database.
    is_whole: bool,
}

/// What the user may do.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    grants: Vec<Grant>,
    /// The user as the server knows it, ready for a statement: `` `backup`@`localhost` ``.
    user: String,
}

impl Rights {
    pub(super) fn ask(client: &Client) -> Result<Self, EngineError> {
        let action =
            format!("asking {} what the user {} may do", client.address.shown(), client.address.user);
        let user = client.value(&action, "SELECT CURRENT_USER()")?;
        let grants = client.ask(&action, "SHOW GRANTS")?;
        let role = client.value(&action, "SELECT IFNULL(CURRENT_ROLE(), 'NONE')")?;
        // What a role may do counts only while it is on.
        let counts =
            |line: &&str| role != "NONE" || line.rsplit_once(" TO ").is_some_and(|(_, to)| to.contains('@'));
        let lines = grants.iter().filter_map(|row| row.first()).map(String::as_str).filter(counts);
        let grants = lines.filter_map(read).collect();
        let user = match user.rsplit_once('@') {
            Some((name, host)) => format!("{}@{}", quote::name(name), quote::name(host)),
            None => quote::name(&user),
        };
        Ok(Self { grants, user })
    }

    /// Says whether a right is held on everything; any of several names of it.
    fn has_everywhere(&self, names: &[&str]) -> bool {
        self.grants.iter().any(|grant| grant.database.is_none() && grant.gives(names))
    }

    /// Says whether the log can be fetched.
    pub(super) fn may_read_log(&self) -> bool {
        self.has_everywhere(&["REPLICATION SLAVE"])
    }

    fn has_on(&self, database: &str, name: &str) -> bool {
        self.grants.iter().any(|grant| {
            grant.is_whole
                && grant.gives(&[name])
                && grant.database.as_ref().is_none_or(|pattern| fits(pattern, database))
        })
    }

    /// Fails where the user might not see all of a database.
    pub(super) fn require(&self, client: &Client, database: &str) -> Result<(), EngineError> {
        let lacking: Vec<_> =
            TO_DUMP.iter().filter(|(name, _)| !self.has_on(database, name)).map(|(name, _)| *name).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let lacking = lacking.join(", ");
        Err(failed(
            format!("backing up {database} from {}", client.address.shown()),
            format!(
                "the user {} lacks {lacking} on the whole of it, so parts could be missing without a word",
                self.user
            ),
            format!("run: GRANT {lacking} ON {}.* TO {};", quote::name(database), self.user),
        ))
    }

    /// Lists what is lacking for complete backups of these databases.
    pub(super) fn missing(&self, needs: &Needs<'_>) -> Vec<MissingRight> {
        let mut missing = Vec::new();
        let everywhere = |what: &str, right: &str| MissingRight {
            what: what.to_owned(),
            grant: format!("GRANT {right} ON *.* TO {};", self.user),
        };
        for (name, what) in TO_DUMP {
            if self.has_everywhere(&[name]) {
                continue;
            }
            let lacking = needs.databases.iter().filter(|database| !self.has_on(database, name));
            missing.extend(lacking.map(|database| MissingRight {
                what: format!("{what} of {database}"),
                grant: format!("GRANT {name} ON {}.* TO {};", quote::name(database), self.user),
            }));
        }
        let calling = needs.calling.iter().filter(|database| !self.has_on(database, "EXECUTE"));
        missing.extend(calling.map(|database| MissingRight {
            what: format!("reading views of {database} that call its functions"),
            grant: format!("GRANT EXECUTE ON {}.* TO {};", quote::name(database), self.user),
        }));
        if !self.has_everywhere(&["SELECT"]) {
            missing.push(everywhere(
                "seeing and reading databases that are created later, and the accounts",
                "SELECT, SHOW VIEW, TRIGGER, EVENT",
            ));
        }
        // What cannot be seen yet may need it, too.
        if !(self.has_everywhere(&["SELECT"]) || self.has_everywhere(&["EXECUTE"])) {
            missing.push(everywhere("reading views that call functions", "EXECUTE"));
        }
        let monitor = ["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"];
        if needs.has_log && !self.has_everywhere(&monitor) {
            missing.push(everywhere("noting the position in the binary log", "BINLOG MONITOR"));
        }
        if needs.has_log && !self.has_everywhere(&["REPLICATION SLAVE"]) {
            missing.push(everywhere(
                "reading the binary log, for incrementals and restores to a moment",
                "REPLICATION SLAVE",
            ));
        }
        if (needs.locks && needs.has_log || needs.whole_server) && !self.has_everywhere(&["RELOAD"]) {
            missing.push(everywhere(
                "locking tables that are not transactional, and whole-server backups",
                "RELOAD",
            ));
        }
        if (needs.locks || needs.whole_server) && !self.has_everywhere(&["LOCK TABLES"]) {
            missing.push(everywhere("locking tables that are not transactional", "LOCK TABLES"));
        }
        if needs.whole_server && !self.has_everywhere(&["PROCESS"]) {
            missing.push(everywhere("whole-server backups", "PROCESS"));
        }
        missing
    }
}

/// What is asked of a user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    pub(super) databases: &'a [String],
    /// Those of them whose views may call functions.
    pub(super) calling: &'a [String],
    pub(super) has_log: bool,
    /// Whether a database has tables that only a lock keeps still.
    pub(super) locks: bool,
    pub(super) whole_server: bool,
}

impl Grant {
    fn gives(&self, names: &[&str]) -> bool {
        let held = |name: &&str| self.privileges.iter().any(|held| held == name || held == "ALL PRIVILEGES");
        names.iter().any(held)
    }
}

/// Reads `GRANT SELECT, SHOW VIEW ON `shop`.* TO …`; a role that is granted is none.
fn read(line: &str) -> Option<Grant> {
    let rest = line.strip_prefix("GRANT ")?;
    let (privileges, rest) = rest.split_once(" ON ")?;
    let privileges = privileges.split(", ").map(|name| name.trim().to_owned()).collect();
    if let Some(rest) = rest.strip_prefix("*.*") {
        return rest.starts_with(" TO ").then_some(Grant { privileges, database: None, is_whole: true });
    }
    let (database, rest) = quote::unquoted(rest)?;
    Some(Grant { privileges, database: Some(database), is_whole: rest.starts_with(".* TO ") })
}

/// Says whether a database fits the pattern of a grant, in which `%` and `_` stand for any characters and any one.
fn fits(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let Some(first) = rest.next() else { return name.is_empty() };
    let mut letters = name.chars();
    match first {
        '%' => {
            let after = rest.as_str();
            fits(after, name) || letters.next().is_some_and(|_| fits(pattern, letters.as_str()))
        }
        '_' => letters.next().is_some() && fits(rest.as_str(), letters.as_str()),
        '\\' => {
            let literal = rest.next();
            literal.is_some() && letters.next() == literal && fits(rest.as_str(), letters.as_str())
        }
        other => letters.next() == Some(other) && fits(rest.as_str(), letters.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(lines: &[&str]) -> Rights {
        Rights { grants: lines.iter().filter_map(|line| read(line)).collect(), user: "`b`@`h`".to_owned() }
    }

    #[test]
    fn a_right_on_single_tables_is_none_on_the_database() {
        let rights = rights(&[
            "GRANT USAGE ON *.* TO `b`@`h`",
            "GRANT SELECT, SHOW VIEW ON `my\\_shop`.* TO `b`@`h`",
            "GRANT SELECT ON `other`.`t` TO `b`@`h`",
            "GRANT SELECT ON `test%`.* TO `b`@`h` WITH GRANT OPTION",
            "GRANT `role` TO `b`@`h`",
        ]);
        assert!(rights.has_on("my_shop", "SELECT") && !rights.has_on("myxshop", "SELECT"));
        assert!(!rights.has_on("other", "SELECT") && rights.has_on("test_1", "SELECT"));
        assert!(!rights.has_on("my_shop", "TRIGGER"));
    }

    #[test]
    fn each_missing_right_comes_with_its_statement() {
        let held = rights(&["GRANT SELECT, SHOW VIEW, TRIGGER ON *.* TO `b`@`h`"]);
        let databases = ["a`b".to_owned()];
        let needs = Needs {
            databases: &databases,
            calling: &databases,
            has_log: true,
            locks: false,
            whole_server: false,
        };
        let grants: Vec<_> = held.missing(&needs).into_iter().map(|missing| missing.grant).collect();
        assert_eq!(
            grants,
            [
                "GRANT EVENT ON `a``b`.* TO `b`@`h`;",
                "GRANT EXECUTE ON `a``b`.* TO `b`@`h`;",
                "GRANT BINLOG MONITOR ON *.* TO `b`@`h`;",
                "GRANT REPLICATION SLAVE ON *.* TO `b`@`h`;",
            ]
        );
        let all = rights(&["GRANT ALL PRIVILEGES ON *.* TO `b`@`h` WITH GRANT OPTION"]);
        assert!(all.missing(&Needs { locks: true, whole_server: true, ..needs }).is_empty());
    }
}
