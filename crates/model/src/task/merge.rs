//! An update and what is stored, as one.

use serde_json::{Map, Value};

/// Puts an update over what is stored: an absent key keeps its value, also inside a block; `null` and what is empty
/// clear it.
///
/// RavenDB replaces the whole configuration, so that a client which does not know a field wipes it.
#[must_use]
pub fn merge(stored: Map<String, Value>, update: Map<String, Value>) -> Map<String, Value> {
    let mut merged = stored;
    for (key, value) in update {
        match (merged.remove(&key), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(old)), Value::Object(new)) if !new.is_empty() => {
                merged.insert(key, Value::Object(merge(old, new)));
            }
            (_, value) => {
                merged.insert(key, value);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(stored: Value, update: Value) -> Value {
        match (stored, update) {
            (Value::Object(stored), Value::Object(update)) => Value::Object(merge(stored, update)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_an_update_does_not_name_stays_also_inside_blocks() {
        let stored = json!({ "Name": "n", "ExcludedDatabases": ["a"], "LocalSettings": { "FolderPath": "/a", "X": 1 } });
        let update = json!({ "Name": "m", "LocalSettings": { "FolderPath": "/b" } });
        assert_eq!(
            merged(stored, update),
            json!({ "Name": "m", "ExcludedDatabases": ["a"], "LocalSettings": { "FolderPath": "/b", "X": 1 } })
        );
    }

    #[test]
    fn null_and_empty_values_clear() {
        let stored = json!({ "A": 1, "B": ["b"], "C": { "D": 1, "E": 2 }, "F": { "G": 1 } });
        let update = json!({ "A": null, "B": [], "C": { "D": null }, "F": {} });
        assert_eq!(merged(stored, update), json!({ "B": [], "C": { "E": 2 }, "F": {} }));
    }
}
