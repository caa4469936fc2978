//! What a database consists of, asked of the server's own catalogue.

use super::client::Client;
use super::failure::failed;
use super::quote;
use crate::error::EngineError;
use crate::words::hex;
use sha2::{Digest, Sha256};

/// A table, by its name and the engine that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) engine: String,
    /// Whether its rows are kept with their history.
    pub(super) is_versioned: bool,
}

/// The definitions of a database at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) tables: Vec<Table>,
    pub(super) views: Vec<String>,
    pub(super) events: Vec<String>,
    /// Whether views may call functions, which nobody reads who may not run them.
    pub(super) has_functions: bool,
    /// Other databases that foreign keys lead to: a change there can change rows here without a word in the log.
    pub(super) depends_on: Vec<String>,
    /// Changes with every definition, and with nothing else.
    pub(super) digest: String,
}

impl Inventory {
    /// Asks.
    ///
    /// # Errors
    /// The server cannot be asked; the database does not exist; a table or view of it cannot be read by anybody.
    pub(super) fn take(client: &Client, database: &str) -> Result<Self, EngineError> {
        let action = format!("listing the tables of {database} at {}", client.address.shown());
        let rows = client.ask(&action, &question(database))?;
        let mut found = Self::default();
        let mut hash = Sha256::new();
        let mut exists = false;
        for row in rows {
            for field in &row {
                hash.update((field.len() as u64).to_le_bytes());
                hash.update(field.as_bytes());
            }
            let field = |place: usize| row.get(place).map(String::as_str).unwrap_or_default();
            match field(0) {
                "database" => exists = true,
                "table" => found.add_table(database, field(1), field(2), field(3), field(5))?,
                "routine" => found.has_functions |= field(2) == "FUNCTION",
                "event" => found.events.push(field(1).to_owned()),
                "key" if !field(3).eq_ignore_ascii_case(database) => {
                    found.depends_on.push(field(3).to_owned())
                }
                _ => {}
            }
        }
        if !exists {
            return Err(EngineError::Missing {
                what: format!("the database {database} at {}", client.address.shown()),
                remedy: "see whether it was dropped or renamed, or whether the user of the source may no longer see it; its backups stay".to_owned(),
            });
        }
        found.digest = hex(&hash.finalize());
        Ok(found)
    }

    fn add_table(
        &mut self,
        database: &str,
        name: &str,
        kind: &str,
        engine: &str,
        comment: &str,
    ) -> Result<(), EngineError> {
        if kind == "VIEW" {
            if comment.contains("references invalid") {
                return Err(failed(
                    format!("reading the view {database}.{name}"),
                    comment.trim_end_matches('.'),
                    "repair the view or drop it; where it calls functions, see that the user of the source has EXECUTE on the database",
                ));
            }
            self.views.push(name.to_owned());
        } else if engine == "NULL" && kind != "SEQUENCE" {
            return Err(failed(
                format!("reading the table {database}.{name}"),
                comment.trim_end_matches('.'),
                "repair the table, or drop it: nobody can read it as it is",
            ));
        } else if kind != "SEQUENCE" {
            let is_versioned = kind == "SYSTEM VERSIONED";
            self.tables.push(Table { name: name.to_owned(), engine: engine.to_owned(), is_versioned });
        }
        Ok(())
    }

    /// Returns the tables that a transaction does not keep still.
    pub(super) fn not_transactional(&self) -> Vec<&Table> {
        let kept = ["InnoDB", "ROCKSDB", "TokuDB"];
        let is_kept = |table: &&Table| kept.iter().any(|engine| engine.eq_ignore_ascii_case(&table.engine));
        self.tables.iter().filter(|table| !is_kept(table)).collect()
    }
}

/// Every definition as rows; the first field says of what.
fn question(database: &str) -> String {
    let database = quote::text(database);
    let part = |columns: &str, table: &str, schema: &str, order: &str| {
        format!(
            "SELECT {columns} FROM information_schema.{table} WHERE {schema} = {database} ORDER BY {order};"
        )
    };
    [
        part(
            "'database', DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME",
            "SCHEMATA",
            "SCHEMA_NAME",
            "SCHEMA_NAME",
        ),
        part(
            "'table', TABLE_NAME, TABLE_TYPE, ENGINE, CREATE_TIME, TABLE_COMMENT, CREATE_OPTIONS, TABLE_COLLATION",
            "TABLES",
            "TABLE_SCHEMA",
            "TABLE_NAME",
        ),
        part(
            "'column', TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, COLUMN_DEFAULT, IS_NULLABLE, COLLATION_NAME, EXTRA, COLUMN_COMMENT",
            "COLUMNS",
            "TABLE_SCHEMA",
            "TABLE_NAME, ORDINAL_POSITION",
        ),
        part("'view', TABLE_NAME, VIEW_DEFINITION, DEFINER, SECURITY_TYPE", "VIEWS", "TABLE_SCHEMA", "TABLE_NAME"),
        part(
            "'routine', ROUTINE_NAME, ROUTINE_TYPE, MD5(ROUTINE_DEFINITION), LAST_ALTERED, DEFINER",
            "ROUTINES",
            "ROUTINE_SCHEMA",
            "ROUTINE_TYPE, ROUTINE_NAME",
        ),
        part(
            "'trigger', TRIGGER_NAME, EVENT_OBJECT_TABLE, MD5(ACTION_STATEMENT), CREATED, DEFINER",
            "TRIGGERS",
            "TRIGGER_SCHEMA",
            "TRIGGER_NAME",
        ),
        part("'event', EVENT_NAME, MD5(EVENT_DEFINITION), LAST_ALTERED, STATUS", "EVENTS", "EVENT_SCHEMA", "EVENT_NAME"),
        part(
            "'key', CONSTRAINT_NAME, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, UPDATE_RULE, DELETE_RULE",
            "REFERENTIAL_CONSTRAINTS",
            "CONSTRAINT_SCHEMA",
            "TABLE_NAME, CONSTRAINT_NAME",
        ),
    ]
    .concat()
}
