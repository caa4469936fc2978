//! Finds the databases of a server.

use super::SERVER_LOCATOR;
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
    let found = |name: String| FoundDatabase {
        suggested_name: DatabaseName::from_lossy(&name).as_str().to_owned(),
        locator: locator_of(&name),
    };
    let mut found: Vec<FoundDatabase> = names.into_iter().map(found).collect();
    if login.whole_server {
        let name = format!("{}.server", source.name);
        found.push(FoundDatabase {
            suggested_name: DatabaseName::from_lossy(&name).as_str().to_owned(),
            locator: SERVER_LOCATOR.to_owned(),
        });
    }
    Ok(found)
}

/// Writes a name so that it is not the one that is Larder's own.
pub(super) fn locator_of(name: &str) -> String {
    if name.starts_with(':') { format!(":{name}") } else { name.to_owned() }
}

/// Reads what [`locator_of`] wrote.
pub(super) fn name_of(locator: &str) -> &str {
    if locator.starts_with("::") { locator.get(1..).unwrap_or(locator) } else { locator }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_database_is_taken_for_larders_own() {
        for name in ["shop", ":server", "::server", "a:b", ""] {
            let locator = locator_of(name);
            assert_eq!(name_of(&locator), name);
            assert_ne!(locator, SERVER_LOCATOR);
        }
    }
}
