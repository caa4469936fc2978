//! Why a server refused, read from the body of its answer.
//!
//! Amazon, Azure and Google (its XML interface) write `<Error><Code>…</Code><Message>…</Message>…</Error>`, WebDAV servers
//! `<d:error>` with names of their own, Google's JSON interface `{"error": {"code": 403, "message": …, "errors": [{"reason": …}]}}`,
//! Glacier vaults `{"code": …, "message": …}`. All are read alike: the innermost names and their texts.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads the names and texts of a body; of one that is neither XML nor JSON, none.
pub(crate) fn read(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut fields = BTreeMap::new();
    if text.starts_with('<') {
        read_xml(text, &mut fields);
    } else if let Ok(value) = serde_json::from_str::<Value>(text) {
        read_json("", &value, &mut fields);
    }
    fields
}

/// Reads as far as it makes sense: a body that was cut still has its first lines.
fn read_xml(text: &str, fields: &mut BTreeMap<String, String>) {
    let mut reader = Reader::from_str(text);
    let mut content = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => content.clear(),
            Ok(Event::Text(part)) => content.push_str(&part.xml10_content()),
            Ok(Event::CData(part)) => content.push_str(&part.xml10_content()),
            Ok(Event::GeneralRef(reference)) => {
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    content.push(character);
                } else if let Some(text) = resolve_predefined_entity(&reference) {
                    content.push_str(text);
                }
            }
            Ok(Event::End(end)) => {
                let said = content.trim();
                if !said.is_empty() {
                    fields.entry(end.local_name().as_ref().to_owned()).or_insert_with(|| said.to_owned());
                }
                content.clear();
            }
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn read_json(name: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    let said = match value {
        Value::Object(object) => {
            return object.iter().for_each(|(name, value)| read_json(name, value, fields));
        }
        Value::Array(array) => return array.iter().for_each(|value| read_json(name, value, fields)),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Null => return,
    };
    if !said.is_empty() {
        fields.entry(name.to_owned()).or_insert(said);
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn xml_of_amazon_and_of_webdav_is_understood() {
        let fields = read(
            b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>No &lt;way&gt; &amp; no &#x21;</Message>\
              <Resource>/a</Resource></Error>",
        );
        assert_eq!(fields["Code"], "AccessDenied");
        assert_eq!(fields["Message"], "No <way> & no !");
        let fields = read(b"<d:error xmlns:d=\"DAV:\"><s:exception>X</s:exception><s:message><![CDATA[full]]></s:message></d:error>");
        assert_eq!(fields["message"], "full");
    }

    #[test]
    fn json_of_google_and_of_vaults_is_understood() {
        let fields = read(br#"{"error":{"code":403,"message":"no right","errors":[{"reason":"forbidden","message":"other"}]}}"#);
        assert_eq!((fields["code"].as_str(), fields["reason"].as_str()), ("403", "forbidden"));
        let fields =
            read(br#"{"code":"ResourceNotFoundException","type":"Client","message":"Vault not found"}"#);
        assert_eq!(fields["message"], "Vault not found");
    }

    #[test]
    fn what_is_cut_or_foreign_does_no_harm() {
        assert_eq!(read(b"<Error><Code>SlowDown</Code><Mess")["Code"], "SlowDown");
        assert!(read(b"Bad Gateway").is_empty());
        assert!(read(b"").is_empty());
        assert!(read(b"{\"a\":").is_empty());
    }
}
