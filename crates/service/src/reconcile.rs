//! What a search of a source changes: new databases, returned ones, and those that are gone.

use crate::derivation::same_name;
use jiff::Timestamp;
use larder_engines::FoundDatabase;
use larder_model::{Database, DatabaseName, Source};
use std::collections::{HashMap, HashSet};

/// Compares what is known of a source with what was found in it, and returns every record that changes.
///
/// A database is the same one while its locator is. A new one gets the suggested name, made permitted and unique
/// among `taken`, upper and lower case counting as the same.
pub(crate) fn reconcile<'a>(
    source: &Source,
    known: impl Iterator<Item = &'a Database>,
    found: &[FoundDatabase],
    taken: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Vec<Database> {
    let mut by_locator: HashMap<&str, &Database> =
        known.map(|database| (database.locator.as_str(), database)).collect();
    let mut names = HashSet::new();
    let mut seen = HashSet::new();
    let mut changed = Vec::new();
    for one in found {
        if !seen.insert(one.locator.as_str()) {
            continue;
        }
        match by_locator.remove(one.locator.as_str()) {
            Some(database) if database.missing_since.is_some() => {
                changed.push(Database { missing_since: None, ..database.clone() });
            }
            Some(_) => {}
            None => {
                let name =
                    unique(&one.suggested_name, &|name| taken(name) || names.contains(&name.to_lowercase()));
                names.insert(name.as_str().to_lowercase());
                changed.push(Database {
                    name,
                    source: source.name.clone(),
                    engine: source.engine,
                    locator: one.locator.clone(),
                    discovered: now,
                    missing_since: None,
                });
            }
        }
    }
    let gone = by_locator.into_values().filter(|database| database.missing_since.is_none());
    changed.extend(gone.map(|database| Database { missing_since: Some(now), ..database.clone() }));
    changed.sort_by(|a, b| a.name.cmp(&b.name));
    changed
}

/// Makes a permitted name that is not taken: `shop`, `shop-2`, `shop-3`, …
fn unique(suggested: &str, taken: &dyn Fn(&str) -> bool) -> DatabaseName {
    let base = DatabaseName::from_lossy(suggested);
    let numbered = (2_u64..).map(|number| DatabaseName::from_lossy(&format!("{base}-{number}")));
    std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name.as_str())).unwrap_or(base)
}

/// Says whether a name is among some, upper and lower case counting as the same.
pub(crate) fn is_among<'a>(name: &str, mut names: impl Iterator<Item = &'a DatabaseName>) -> bool {
    names.any(|other| same_name(other.as_str(), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::EngineKind;

    fn source() -> Source {
        Source::new("shops".parse().unwrap(), EngineKind::Sqlite, "/srv".to_owned())
    }

    fn found(names: &[&str]) -> Vec<FoundDatabase> {
        names
            .iter()
            .map(|name| FoundDatabase {
                suggested_name: (*name).to_owned(),
                locator: format!("/srv/{name}/db"),
            })
            .collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn search(known: &[Database], names: &[&str], second: i64) -> Vec<Database> {
        let taken =
            |name: &str| is_among(name, known.iter().map(|database| &database.name)) || name == "Other";
        reconcile(&source(), known.iter(), &found(names), &taken, at(second))
    }

    #[test]
    fn new_databases_get_permitted_names_of_their_own() {
        let names: Vec<String> =
            search(&[], &["a b", "A-B", "Other", "a_b"], 1).into_iter().map(|d| d.name.to_string()).collect();
        assert_eq!(names, ["A-B-2", "Other-2", "a-b", "a_b"]);
    }

    #[test]
    fn what_is_known_is_not_touched_and_what_is_gone_is_marked_once() {
        let known = search(&[], &["a", "b"], 1);
        assert!(search(&known, &["a", "b"], 2).is_empty());
        let gone = search(&known, &["b"], 3);
        assert_eq!(gone.len(), 1);
        assert_eq!((gone[0].name.as_str(), gone[0].missing_since), ("a", Some(at(3))));
        let known = [gone[0].clone(), known[1].clone()];
        assert!(search(&known, &["b"], 4).is_empty());
        let back = search(&known, &["a", "b"], 5);
        assert_eq!(back.len(), 1);
        assert_eq!((back[0].name.as_str(), back[0].missing_since, back[0].discovered), ("a", None, at(1)));
    }

    #[test]
    fn the_same_place_found_twice_is_one_database() {
        let twice = [found(&["a"]), found(&["a"])].concat();
        assert_eq!(reconcile(&source(), [].iter(), &twice, &|_| false, at(1)).len(), 1);
    }
}
