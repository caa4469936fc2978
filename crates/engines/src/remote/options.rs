//! What a source says besides its address and password.

use crate::error::EngineError;
use larder_model::Source;

/// The options of a source, all of them known to the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    source: &'a Source,
}

impl<'a> Options<'a> {
    /// Takes a source's options; a name that is not known is refused, with those that are.
    pub(crate) fn of(source: &'a Source, known: &[&str]) -> Result<Self, EngineError> {
        match source.options.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Self { source }),
            Some(unknown) => Err(EngineError::Failed {
                action: format!("reading the options of the source {}", source.name),
                cause: format!("the engine {} has no option '{unknown}'", source.engine),
                remedy: match known {
                    [] => "it has none at all".to_owned(),
                    known => format!("the options are {}", known.join(", ")),
                },
            }),
        }
    }

    /// Returns what an option says; nothing where it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.source.options.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, EngineError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| EngineError::Failed {
            action: format!("reading the options of the source {}", self.source.name),
            cause: format!("{name} is '{value}'"),
            remedy: "write it as a whole number".to_owned(),
        })
    }
}
