//! The settings that a task can have, from the schema that the API publishes of them.

use serde_json::{Map, Value};

/// How alike a misspelt key and a real one must be for the real one to be proposed.
const ALIKE: f64 = 0.7;

/// One step into a value: a key, or the number of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Element(usize),
}

/// A key that no task has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) path: Vec<Step>,
    /// The real key that looks most like it.
    pub(crate) nearest: Option<String>,
}

/// Every setting, with the settings inside it.
pub(crate) struct Keys {
    schema: Value,
}

impl Keys {
    /// Takes the keys of a type from its schema.
    pub(crate) fn of<T: schemars::JsonSchema>() -> Self {
        Self { schema: schemars::schema_for!(T).to_value() }
    }

    /// Finds the first key in a value that the type does not have.
    pub(crate) fn first_unknown(&self, given: &Map<String, Value>) -> Option<Unknown> {
        self.search(&Value::Object(given.clone()), &self.schema, &mut Vec::new())
    }

    fn search(&self, given: &Value, schema: &Value, path: &mut Vec<Step>) -> Option<Unknown> {
        let alternatives = self.alternatives(schema);
        let inner: Vec<(Step, &Value)> = match given {
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, item)| (Step::Element(at), item)).collect()
            }
            _ => return None,
        };
        for (step, value) in inner {
            path.push(step.clone());
            let known = alternatives.iter().find_map(|alternative| member(alternative, &step));
            let found = match (&step, known) {
                (_, Some(schema)) => self.search(value, schema, path),
                (Step::Key(key), None) if alternatives.iter().any(|one| one.contains_key("properties")) => {
                    Some(Unknown { path: path.clone(), nearest: nearest(key, &alternatives) })
                }
                // A value of another kind than the setting takes: reading it says so.
                _ => None,
            };
            if found.is_some() {
                return found;
            }
            path.pop();
        }
        None
    }

    /// Lists what a schema can be, with references followed.
    fn alternatives<'a>(&'a self, schema: &'a Value) -> Vec<&'a Map<String, Value>> {
        let Some(object) = schema.as_object() else { return Vec::new() };
        let mut all = vec![object];
        for word in ["anyOf", "oneOf", "allOf"] {
            let inner = object.get(word).and_then(Value::as_array).into_iter().flatten();
            all.extend(inner.flat_map(|schema| self.alternatives(schema)));
        }
        if let Some(target) = object.get("$ref").and_then(Value::as_str)
            && let Some(schema) = self.schema.pointer(target.trim_start_matches('#'))
        {
            all.extend(self.alternatives(schema));
        }
        all
    }
}

/// Returns the schema of what a step leads to.
fn member<'a>(schema: &'a Map<String, Value>, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => schema
            .get("properties")
            .and_then(|properties| properties.get(key))
            .or_else(|| schema.get("additionalProperties").filter(|more| more.is_object())),
        Step::Element(_) => schema.get("items"),
    }
}

fn nearest(key: &str, alternatives: &[&Map<String, Value>]) -> Option<String> {
    let properties = alternatives.iter().filter_map(|one| one.get("properties")?.as_object());
    let likeness = |name: &&String| strsim::jaro_winkler(&name.to_lowercase(), &key.to_lowercase());
    properties
        .flat_map(Map::keys)
        .filter(|name| likeness(name) >= ALIKE)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .cloned()
}
