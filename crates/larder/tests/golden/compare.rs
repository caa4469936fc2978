//! Compares an answer with what the fixture says of it.

use super::variables::Variables;
use crate::support::ZONE;
use jiff::Timestamp;
use serde_json::Value;

/// Writes down every difference between an expected body and the one that came.
///
/// Places are written as `$.Results[].TaskId`, whichever element of the list it is.
pub fn compare(
    expected: &Value,
    actual: &Value,
    place: &str,
    variables: &mut Variables,
    found: &mut Vec<String>,
) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                let place = format!("{place}.{key}");
                match actual.get(key) {
                    // Which kind comes next depends on the hour of the replay, not of the capture.
                    Some(Value::Bool(true)) if key == "IsFull" && is_at_two(actual) => {}
                    Some(actual) => compare(value, actual, &place, variables, found),
                    None => found.push(format!("{place} is missing")),
                }
            }
            let more = actual.keys().filter(|key| !expected.contains_key(*key));
            found.extend(more.map(|key| format!("{place}.{key} is more")));
        }
        (Value::Array(expected), Value::Array(actual)) => {
            let place = format!("{place}[]");
            if expected.len() == 1 && expected[0] == "<strings>" {
                if !actual.iter().all(Value::is_string) {
                    found.push(format!("{place} is not all text"));
                }
                return;
            }
            if expected.len() != actual.len() {
                found.push(format!("{place} has {}, not {}", actual.len(), expected.len()));
            }
            for (expected, actual) in pairs(expected, actual, &place, found) {
                compare(expected, actual, &place, variables, found);
            }
        }
        (Value::String(text), _) => {
            if let Err(message) = leaf(text, actual, variables) {
                found.push(format!("{place} {message}"));
            }
        }
        _ if expected == actual => {}
        _ => found.push(format!("{place} is {}, not {}", shown(actual), shown(expected))),
    }
}

/// Says whether a run comes at two o'clock, when every task of the captures makes a full backup.
fn is_at_two(next: &serde_json::Map<String, Value>) -> bool {
    let moment = next.get("DateTime").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let local = moment.and_then(|moment| moment.in_tz(ZONE).ok());
    local.is_some_and(|local| (local.hour(), local.minute()) == (2, 0))
}

/// Puts the elements of two lists side by side: tasks by their names, everything else by its place.
fn pairs<'a>(
    expected: &'a [Value],
    actual: &'a [Value],
    place: &str,
    found: &mut Vec<String>,
) -> Vec<(&'a Value, &'a Value)> {
    let Some(names) = names(expected).filter(|names| names.len() > 1) else {
        return expected.iter().zip(actual).collect();
    };
    let actual_names: Vec<&str> = actual.iter().map(|one| name(one).unwrap_or_default()).collect();
    let common: Vec<&str> = actual_names.iter().copied().filter(|name| names.contains(name)).collect();
    let in_order: Vec<&str> = names.iter().copied().filter(|name| common.contains(name)).collect();
    if common != in_order {
        found.push(format!("{place} is in another order"));
    }
    let missing = names.iter().filter(|name| !common.contains(name));
    found.extend(missing.map(|name| format!("{place} lacks '{name}'")));
    expected
        .iter()
        .filter_map(|one| {
            let at = actual_names.iter().position(|other| name(one) == Some(*other))?;
            Some((one, &actual[at]))
        })
        .collect()
}

fn names(list: &[Value]) -> Option<Vec<&str>> {
    list.iter().map(name).collect()
}

fn name(element: &Value) -> Option<&str> {
    ["TaskName", "Name"].iter().find_map(|key| element.get(key)?.as_str())
}

fn leaf(expected: &str, actual: &Value, variables: &mut Variables) -> Result<(), String> {
    let Some(kind) = expected.strip_prefix('<').and_then(|kind| kind.strip_suffix('>')) else {
        let expected = Value::String(variables.fill_text(expected));
        return if expected == *actual {
            Ok(())
        } else {
            Err(format!("is {}, not {}", shown(actual), shown(&expected)))
        };
    };
    if kind.starts_with("id:") || kind.starts_with("op:") || kind.starts_with("location:") {
        let fits = if kind.starts_with("location:") { actual.is_string() } else { actual.is_u64() };
        if !fits {
            return Err(format!("is {}, not <{kind}>", shown(actual)));
        }
        return variables.agree(kind, actual).map_err(|known| {
            format!("is another <{kind}>: {} before, {} now", shown(&known), shown(actual))
        });
    }
    let fits = match (kind, actual) {
        ("number", value) => value.is_number(),
        ("string" | "there", value) => value.is_string(),
        ("date", Value::String(text)) => text.ends_with('Z') && is_date(text.trim_end_matches('Z')),
        ("local date", Value::String(text)) => is_date(text),
        ("timespan", Value::String(text)) => text.parse::<larder_model::TimeSpan>().is_ok(),
        ("url", Value::String(text)) => text.contains("://"),
        ("path", Value::String(text)) => text.starts_with('/'),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("is {}, not <{kind}>", shown(actual))) }
}

/// Tells whether a text is a date as RavenDB writes it: seven digits after the point.
fn is_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.0000000"
}

/// Shows a value as briefly as a list of differences needs: what varies by its kind, the rest as it is.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "<object>".to_owned(),
        Value::Array(_) => "<array>".to_owned(),
        Value::Number(number) if number.as_i64().is_none_or(|number| number > 0) => "<number>".to_owned(),
        Value::String(text) if is_date(text.trim_end_matches('Z')) => "<date>".to_owned(),
        Value::String(text) if text.len() > 80 || text.starts_with('/') => "<string>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(expected: &Value, actual: &Value) -> Vec<String> {
        let mut found = Vec::new();
        compare(expected, actual, "$", &mut Variables::default(), &mut found);
        found
    }

    #[test]
    fn keys_types_and_fixed_values_are_compared() {
        let expected = json!({ "TaskId": "<id:7>", "Name": "own", "At": "<date>", "Error": null });
        let same = json!({ "TaskId": 3, "Name": "own", "At": "2026-11-21T02:18:39.6196008Z", "Error": null });
        assert_eq!(differences(&expected, &same), Vec::<String>::new());
        let other =
            json!({ "TaskId": "3", "Name": "b", "At": "2026-11-21T02:18:39Z", "Error": 0, "Ours": true });
        assert_eq!(
            differences(&expected, &other),
            [
                "$.At is \"2026-11-21T02:18:39Z\", not <date>",
                "$.Error is 0, not null",
                "$.Name is \"b\", not \"own\"",
                "$.TaskId is \"3\", not <id:7>",
                "$.Ours is more",
            ]
        );
    }

    #[test]
    fn an_id_is_followed_through_a_scenario() {
        let expected = json!([{ "TaskId": "<id:7>" }, { "TaskId": "<id:7>" }]);
        assert!(differences(&expected, &json!([{ "TaskId": 3 }, { "TaskId": 3 }])).is_empty());
        let found = differences(&expected, &json!([{ "TaskId": 3 }, { "TaskId": 4 }]));
        assert_eq!(found, ["$[].TaskId is another <id:7>: <number> before, <number> now"]);
    }
}
