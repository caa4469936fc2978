//! What varies from server to server: ids, paths, ports.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names as the fixture has them (`id:7`, `op:alpha:2`, `backups`), and what they stand for on this server.
#[derive(Debug, Default)]
pub struct Variables {
    values: BTreeMap<String, Value>,
}

impl Variables {
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(name.into(), value.into());
    }

    /// Binds a name at its first sight; afterwards the same value must come again.
    pub fn agree(&mut self, name: &str, value: &Value) -> Result<(), Value> {
        let known = self.values.entry(name.to_owned()).or_insert_with(|| value.clone());
        if known == value { Ok(()) } else { Err(known.clone()) }
    }

    /// Puts the values into a text: `/databases/alpha/task?key={id:7}`.
    ///
    /// A number that no answer gave is sent as it was captured.
    pub fn fill_text(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            match after.split_once('}').and_then(|(name, tail)| Some((self.text_of(name)?, tail))) {
                Some((value, tail)) => {
                    filled.push_str(&value);
                    rest = tail;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled + rest
    }

    /// Puts the values into a body.
    pub fn fill(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => Value::String(self.fill_text(text)),
            Value::Array(list) => list.iter().map(|value| self.fill(value)).collect(),
            Value::Object(fields) => match fields.get("$number").and_then(Value::as_str) {
                Some(name) => self.values.get(name).cloned().unwrap_or_else(|| captured_number(name).into()),
                None => Value::Object(
                    fields.iter().map(|(key, value)| (key.clone(), self.fill(value))).collect::<Map<_, _>>(),
                ),
            },
            other => other.clone(),
        }
    }

    fn text_of(&self, name: &str) -> Option<String> {
        match self.values.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
            None if name.starts_with("id:") || name.starts_with("op:") => {
                Some(captured_number(name).to_string())
            }
            None => None,
        }
    }
}

/// Returns the number that the captured server had for a name such as `id:7`.
fn captured_number(name: &str) -> u64 {
    name.rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
