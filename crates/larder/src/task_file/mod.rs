//! A task as a file: TOML or JSON, with every mistake shown where it stands.

mod keys;

use crate::exit::Failure;
use crate::text_place::TextPlace;
use keys::{Keys, Step, Unknown};
use larder_model::task::{DestinationSettings, ServerWideBackupConfiguration, WrongValue, read as read_task};
use serde_json::{Map, Value};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Reads a task; `-` is JSON on standard input.
///
/// A key that no task has is refused: a misspelt one would silently do nothing.
pub(crate) fn read(file: &Path) -> Result<Map<String, Value>, Failure> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| {
        Failure::new(format!("could not read '{}': {error}; check its name", file.display()))
    })?;
    let is_toml = file.extension().is_some_and(|extension| extension == "toml");
    parse(&text, file, is_toml).map_err(Failure::new)
}

/// Reads the one destination of a task's file, or of a file that holds nothing else.
pub(crate) fn only_destination(file: &Path) -> Result<DestinationSettings, Failure> {
    let task: ServerWideBackupConfiguration =
        read_task(&read(file)?).map_err(|error| Failure::new(error.to_string()))?;
    let backup = &task.periodic.backup;
    let place = file.display();
    match backup.live().as_slice() {
        [(_, block)] => Ok(DestinationSettings::from(*block)),
        [] => Err(Failure::new(format!(
            "'{place}' names no destination; write a block into it such as [S3Settings] with its BucketName"
        ))),
        several => Err(Failure::new(format!(
            "'{place}' names {} destinations; leave only the one to read from in it",
            several.len()
        ))),
    }
}

fn parse(text: &str, path: &Path, is_toml: bool) -> Result<Map<String, Value>, String> {
    let place = TextPlace { text, path };
    let given: Value = if is_toml {
        toml::from_str(text).map_err(|error| {
            let message = error.message().replace('\n', ", ");
            place.at(&error.span().unwrap_or(0..0), &message)
        })?
    } else {
        serde_json::from_str(text).map_err(|error| format!("{} is no JSON: {error}", path.display()))?
    };
    // Mistakes in TOML are shown with their line; JSON is written by programs and its keys are named.
    let says = |steps: &[Step], message: &str| {
        let span = if is_toml { span_of(text, steps) } else { None };
        match span {
            Some(span) => place.at(&span, message),
            None => format!("{}: {message}", path.display()),
        }
    };
    let Value::Object(task) = given else {
        return Err(format!("{} is no task: it must be an object with a Name", path.display()));
    };
    if let Some(unknown) = Keys::of::<ServerWideBackupConfiguration>().first_unknown(&task) {
        return Err(says(&unknown.path, &unknown_key(&unknown)));
    }
    read_task::<ServerWideBackupConfiguration>(&task).map_err(|wrong: WrongValue| {
        let steps: Vec<Step> = wrong.key.split('.').map(|key| Step::Key(key.to_owned())).collect();
        says(&steps, &format!("{wrong}; see docs/cli.md for an example"))
    })?;
    Ok(task)
}

fn unknown_key(unknown: &Unknown) -> String {
    let keys: Vec<&str> = unknown
        .path
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Element(_) => None,
        })
        .collect();
    let name = keys.join(".");
    match &unknown.nearest {
        Some(nearest) => format!("there is no setting '{name}'; did you mean '{nearest}'?"),
        None => format!("there is no setting '{name}'; docs/cli.md lists them"),
    }
}

/// Finds where the last key of a path stands in a TOML text; where a part of it is not there, the part before.
fn span_of(text: &str, path: &[Step]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut value: Option<&DeValue<'_>> = None;
    for step in path {
        let inner = match (step, value) {
            (Step::Key(key), None) => table.get_ref().get_key_value(key.as_str()),
            (Step::Key(key), Some(DeValue::Table(table))) => table.get_key_value(key.as_str()),
            (Step::Element(at), Some(DeValue::Array(array))) => {
                value = Some(array.get(*at)?.get_ref());
                continue;
            }
            _ => None,
        };
        let Some((key, inner)) = inner else { break };
        found = Some(key.span());
        value = Some(inner.get_ref());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = r#"
Name = "Nightly"
FullBackupFrequency = "0 2 * * *"
ExcludedDatabases = ["scratch"]
[RetentionPolicy]
MinimumBackupAgeToKeep = "7.00:00:00"
[RetentionPolicy.PerPeriodicity]
Daily = 7
[LocalSettings]
FolderPath = "/srv/backups"
[[Schedules]]
When = "Daily"
[[Schedules]]
When = "every 4h..6h"
[Selector]
Engines = ["sqlite"]
"#;

    fn mistake(text: &str) -> String {
        parse(text, Path::new("nightly.toml"), true).unwrap_err()
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let from_toml = parse(NIGHTLY, Path::new("n.toml"), true).unwrap();
        let json = serde_json::to_string(&from_toml).unwrap();
        assert_eq!(parse(&json, Path::new("n.json"), false).unwrap(), from_toml);
        assert_eq!(from_toml["RetentionPolicy"]["MinimumBackupAgeToKeep"], "7.00:00:00");
    }

    #[test]
    fn a_misspelt_setting_is_shown_where_it_stands_with_the_one_that_was_meant() {
        let message = mistake(&NIGHTLY.replace("FullBackupFrequency", "FullBackupFrequncy"));
        assert!(message.starts_with("nightly.toml, line 3, column 1: "), "{message}");
        assert!(message.contains("did you mean 'FullBackupFrequency'?"), "{message}");
        let inner = mistake(&NIGHTLY.replace("FolderPath", "Folder"));
        assert!(inner.contains("line 10") && inner.contains("'LocalSettings.Folder'"), "{inner}");
        assert!(inner.contains("did you mean 'FolderPath'?"), "{inner}");
        let second = mistake(&NIGHTLY.replace("When = \"every", "Wenn = \"every"));
        assert!(second.contains("line 14") && second.contains("did you mean 'When'?"), "{second}");
    }

    #[test]
    fn a_name_that_resembles_nothing_is_refused_without_a_guess() {
        let message = mistake("Name = \"n\"\nXyzzy = 1\n");
        assert!(message.contains("line 2") && !message.contains("did you mean"), "{message}");
    }

    #[test]
    fn a_wrong_value_is_shown_where_it_stands() {
        let message = mistake(&NIGHTLY.replace("7.00:00:00", "a week"));
        assert!(message.starts_with("nightly.toml, line 6, column 1: "), "{message}");
        assert!(message.contains("'a week'"), "{message}");
    }

    #[test]
    fn broken_toml_shows_the_line() {
        let message = mistake("Name = \"Nightly\"\nDisabled = maybe\n");
        assert!(message.contains("line 2") && message.contains("Disabled = maybe"), "{message}");
    }
}
