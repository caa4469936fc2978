//! One field of a form: what it asks, and what stands in it.

use serde_json::Value;

/// How a field is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// One line.
    Text,
    /// One line that is not shown; a mask stands for what is stored.
    Secret,
    /// Several lines.
    Area,
    /// A list, an entry a line.
    Lines,
    /// A whole number.
    Number,
    /// Yes or no.
    Check,
    /// One of these: what is stored, and what is shown. The first is what is meant where nothing is said.
    Choice(&'static [(&'static str, &'static str)]),
}

/// What a field asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// The key of the value.
    pub(crate) key: &'static str,
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) example: &'static str,
    pub(crate) input: Input,
    /// Whether few need it, so that it is folded away.
    pub(crate) rare: bool,
}

impl Field {
    pub(crate) const fn new(key: &'static str, label: &'static str, input: Input) -> Self {
        Self { key, label, hint: "", example: "", input, rare: false }
    }

    pub(crate) const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    pub(crate) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    pub(crate) const fn rare(self) -> Self {
        Self { rare: true, ..self }
    }
}

/// A field with what stands in it.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    /// Unique on the page.
    pub(crate) id: String,
    pub(crate) field: &'static Field,
    pub(crate) value: String,
}

/// One entry of a choice.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) value: &'static str,
    pub(crate) name: &'static str,
    pub(crate) chosen: bool,
}

impl Filled {
    /// Fills a field from the object that holds its value.
    pub(crate) fn of(field: &'static Field, prefix: &str, object: &Value) -> Self {
        Self {
            id: format!("{prefix}-{}", field.key.to_lowercase()),
            field,
            value: object.get(field.key).map(written).unwrap_or_default(),
        }
    }

    /// How the script reads it.
    pub(crate) const fn form(&self) -> &'static str {
        match self.field.input {
            Input::Text => "text",
            Input::Secret => "secret",
            Input::Area => "area",
            Input::Lines => "lines",
            Input::Number => "number",
            Input::Check => "check",
            Input::Choice(_) => "choice",
        }
    }

    /// Whether anything is said.
    pub(crate) fn is_said(&self) -> bool {
        !self.value.is_empty() && self.value != "false"
    }

    pub(crate) fn choices(&self) -> Vec<Choice> {
        let Input::Choice(all) = self.field.input else { return Vec::new() };
        all.iter().map(|(value, name)| Choice { value, name, chosen: *value == self.value }).collect()
    }
}

/// Writes a value as it stands in a field.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(all) => all.iter().map(written).collect::<Vec<_>>().join("\n"),
        Value::Null | Value::Object(_) => String::new(),
    }
}
