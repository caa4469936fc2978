//! JSON taken apart without being changed.
//!
//! A document's numbers and the order of its fields must come back as they were; so only the outermost level is looked
//! at, and what is inside stays the text that the server sent.

use serde::de::IgnoredAny;

/// Takes an object apart into its names and the texts of their values; `None` where it is none.
pub(super) fn object(text: &str) -> Option<Vec<(String, &str)>> {
    let inner = enclosed(text, '{', '}')?;
    parts(inner)
        .into_iter()
        .map(|part| {
            let end = string_end(part)?;
            let (name, rest) = part.split_at_checked(end)?;
            Some((serde_json::from_str(name).ok()?, rest.trim_start().strip_prefix(':')?.trim()))
        })
        .collect()
}

/// Takes an array apart into the texts of its values; `None` where it is none.
pub(super) fn array(text: &str) -> Option<Vec<&str>> {
    enclosed(text, '[', ']').map(parts)
}

/// Returns the text of one value of an object.
pub(super) fn field<'a>(object: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    object.iter().find(|(is, _)| is == name).map(|(_, value)| *value)
}

/// Writes an object from its parts.
pub(super) fn write(parts: &[(String, &str)]) -> String {
    let mut text = "{".to_owned();
    for (place, (name, value)) in parts.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

/// Writes a string as JSON does.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn enclosed(text: &str, open: char, close: char) -> Option<&str> {
    let text = text.trim();
    // What follows relies on it being JSON.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    text.strip_prefix(open)?.strip_suffix(close)
}

/// Splits at the commas of the outermost level.
fn parts(inner: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    let (mut is_string, mut is_escaped) = (false, false);
    for (place, byte) in inner.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(inner.get(begin..place).unwrap_or_default().trim());
                begin = place + 1;
            }
            _ => {}
        }
    }
    let last = inner.get(begin..).unwrap_or_default().trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// Returns where a string that begins the text ends.
fn string_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let mut bytes = text.bytes().enumerate();
    bytes.next().filter(|(_, byte)| *byte == b'"')?;
    for (place, byte) in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(place + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_the_text_they_were() {
        let text =
            r#" {"b" : 1.50, "a,\"}": [1, {"x": "]"}], "huge": 123456789012345678901234567890, "": ""} "#;
        let parts = object(text).unwrap();
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a,\"}", "huge", ""]);
        assert_eq!(field(&parts, "b"), Some("1.50"));
        assert_eq!(field(&parts, "huge"), Some("123456789012345678901234567890"));
        let inner = array(field(&parts, "a,\"}").unwrap()).unwrap();
        assert_eq!(inner, ["1", r#"{"x": "]"}"#]);
        assert_eq!(object(&write(&parts)).unwrap(), parts);
        assert_eq!((object("{}"), array("[ ]")), (Some(Vec::new()), Some(Vec::new())));
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in ["", "{", "[1,]", "{\"a\":}", "{a:1}", "[1]x"] {
            assert!(object(text).is_none() && array(text).is_none(), "{text}");
        }
        assert!(object("[1]").is_none() && array("{}").is_none());
    }
}
