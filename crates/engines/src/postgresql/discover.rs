//! Finds the databases of a server.

use super::failure::odd;
use super::login::Login;
use super::session::ask;
use crate::engine::FoundDatabase;
use crate::error::EngineError;
use crate::tool::Tools;
use larder_model::{Cancel, DatabaseName, Source};

/// Every database that takes connections and is no template.
const DATABASES: &str = "SELECT coalesce(jsonb_agg(datname ORDER BY datname), '[]') \
                         FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate";

pub(super) fn discover(tools: &Tools, source: &Source) -> Result<Vec<FoundDatabase>, EngineError> {
    let login = Login::of(source)?;
    let names = ask(tools, &login, login.maintenance(), DATABASES, &Cancel::new())?;
    let names: Vec<String> = serde_json::from_value(names)
        .map_err(|error| odd(format!("listing the databases of {}", login.address), error.to_string()))?;
    let found = |locator: String| FoundDatabase {
        suggested_name: DatabaseName::from_lossy(&locator).as_str().to_owned(),
        locator,
    };
    Ok(names.into_iter().map(found).collect())
}
