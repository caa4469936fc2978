//! Questions to a server that speaks CouchDB's protocol.

use super::raw;
use crate::error::EngineError;
use crate::remote::{Address, Answer, Http, Options, TLS_OPTIONS};
use crate::words::hex;
use larder_model::{Cancel, Source};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use ureq::{AsSendBody, SendBody};

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    http: Http,
}

/// One document of the changes feed, with all its revisions that nothing has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) id: String,
    pub(super) leaves: Vec<String>,
}

/// A part of the changes feed.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) changes: Vec<Change>,
    pub(super) last: Value,
    /// How many follow, where the server says so.
    pub(super) pending: Option<u64>,
}

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) sequence: Value,
    pub(super) documents: u64,
    /// When it was made, where the server says so.
    pub(super) born: String,
    /// Who may do what there, as it was sent; and its other settings.
    pub(super) security: String,
    pub(super) revisions_limit: Option<u64>,
}

impl About {
    /// Returns a hash of what the changes feed does not tell.
    pub(super) fn settings(&self) -> String {
        hex(&Sha256::digest(format!("{:?} {}", self.revisions_limit, self.security)))
    }
}

impl Server {
    pub(super) fn of(source: &Source) -> Result<Self, EngineError> {
        let options = Options::of(source, &TLS_OPTIONS)?;
        let schemes = ["http", "https", "couchdb", "couchdbs"];
        let address = Address::of(source, &schemes, 5984)?;
        let mut http = Http::new(&address, &options)?;
        if let (Some(user), Some(password)) = (&address.user, &source.password) {
            http = http.with_basic(user, password);
        }
        Ok(Self { http })
    }

    pub(super) fn shown(&self) -> &str {
        self.http.base()
    }

    /// Lists all databases, those of the server itself, too.
    pub(super) fn databases(&self) -> Result<Vec<String>, EngineError> {
        let told = self.http.get("/_all_dbs")?;
        let names =
            told.as_array().map(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        names.flatten().ok_or_else(|| self.nonsense("/_all_dbs"))
    }

    /// Returns the roles of whoever asks.
    pub(super) fn roles(&self) -> Result<Vec<String>, EngineError> {
        let told = self.http.get("/_session")?;
        let roles = told.pointer("/userCtx/roles").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(roles.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Says whether whoever asks may read a database.
    pub(super) fn may_read(&self, database: &str) -> Result<bool, EngineError> {
        let answer = self.http.send("GET", &format!("/{}", encode(database)), SendBody::none())?;
        match answer.status {
            401 | 403 => Ok(false),
            // It may have gone since it was listed.
            404 => Ok(true),
            _ => answer.good().map(|_| true),
        }
    }

    /// Asks what a database is; `None` where it is not there.
    pub(super) fn about(&self, database: &str) -> Result<Option<About>, EngineError> {
        let path = format!("/{}", encode(database));
        let answer = self.http.send("GET", &path, SendBody::none())?;
        if answer.status == 404 {
            return Ok(None);
        }
        let told = answer.good()?.json()?;
        let sequence = told.get("update_seq").cloned().ok_or_else(|| self.nonsense(&path))?;
        let born = match told.get("instance_start_time") {
            // Releases 2.x write a constant.
            Some(Value::String(text)) if text != "0" => text.clone(),
            _ => String::new(),
        };
        let security =
            self.http.send("GET", &format!("{path}/_security"), SendBody::none())?.good()?.text()?;
        let limit = self.http.send("GET", &format!("{path}/_revs_limit"), SendBody::none())?;
        let revisions_limit = if limit.status == 200 { limit.json()?.as_u64() } else { None };
        let documents = told.get("doc_count").and_then(Value::as_u64).unwrap_or_default();
        Ok(Some(About { sequence, documents, born, security: security.trim().to_owned(), revisions_limit }))
    }

    /// Reads the changes feed behind a sequence.
    pub(super) fn changes(&self, database: &str, since: &Value, limit: usize) -> Result<Page, EngineError> {
        let since = since.as_str().map_or_else(|| since.to_string(), str::to_owned);
        let path =
            format!("/{}/_changes?style=all_docs&limit={limit}&since={}", encode(database), encode(&since));
        let told = self.http.get(&path)?;
        let change = |row: &Value| {
            let revision = |change: &Value| Some(change.get("rev")?.as_str()?.to_owned());
            let leaves = row.get("changes")?.as_array()?.iter().map(revision).collect::<Option<Vec<_>>>()?;
            Some(Change { id: row.get("id")?.as_str()?.to_owned(), leaves })
        };
        let rows = told.get("results").and_then(Value::as_array);
        let changes = rows.and_then(|rows| rows.iter().map(change).collect::<Option<Vec<_>>>());
        match (changes, told.get("last_seq")) {
            (Some(changes), Some(last)) => {
                Ok(Page { changes, last: last.clone(), pending: told.get("pending").and_then(Value::as_u64) })
            }
            _ => Err(self.nonsense(&path)),
        }
    }

    /// Reads documents, each with the revisions asked for and their histories, as the texts that the server sent. A
    /// revision that is gone is left out. `None` where that is more than can be answered at once.
    fn documents(&self, database: &str, wanted: &[Change]) -> Result<Option<Vec<Vec<String>>>, EngineError> {
        let path = format!("/{}/_bulk_get?revs=true", encode(database));
        let one = |change: &Change, revision: &String| json!({"id": change.id, "rev": revision});
        let asked: Vec<Value> = wanted
            .iter()
            .flat_map(|change| change.leaves.iter().map(move |revision| one(change, revision)))
            .collect();
        let answer = self.http.send_json("POST", &path, &json!({"docs": asked}))?;
        if answer.status == 413 {
            return Ok(None);
        }
        let Some(told) = answer.good()?.text_unless_large()? else { return Ok(None) };
        let found = documents_in(&told).ok_or_else(|| self.nonsense(&path))?;
        // Servers give one result for each question, or one for each document.
        let mut by_document: Vec<Vec<String>> = vec![Vec::new(); wanted.len()];
        let places: std::collections::HashMap<&str, usize> =
            wanted.iter().enumerate().map(|(place, change)| (change.id.as_str(), place)).collect();
        for (id, text) in found {
            if let Some(place) = places.get(id.as_str()).and_then(|place| by_document.get_mut(*place)) {
                place.push(text);
            }
        }
        Ok(Some(by_document))
    }

    /// Does the same, in smaller parts where it is too much at once.
    pub(super) fn documents_in_parts(
        &self,
        database: &str,
        wanted: &[Change],
        cancel: &Cancel,
    ) -> Result<Vec<Vec<String>>, EngineError> {
        cancel.check()?;
        if let Some(found) = self.documents(database, wanted)? {
            return Ok(found);
        }
        if wanted.len() < 2 {
            return Err(EngineError::Failed {
                action: format!("reading a document of {database} at {}", self.shown()),
                cause: wanted.first().map_or_else(String::new, |one| format!("{} is too large", one.id)),
                remedy: "keep what is in it in attachments".to_owned(),
            });
        }
        let (left, right) = wanted.split_at(wanted.len() / 2);
        let mut found = self.documents_in_parts(database, left, cancel)?;
        found.extend(self.documents_in_parts(database, right, cancel)?);
        Ok(found)
    }

    /// Asks which revisions of a document nothing has replaced now; none where it is gone.
    pub(super) fn leaves(&self, database: &str, id: &str) -> Result<Vec<String>, EngineError> {
        let path = format!("/{}/{}?open_revs=all", encode(database), encode_id(id));
        let answer = self.http.send("GET", &path, SendBody::none())?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        let told = answer.good()?.json()?;
        let revision = |leaf: &Value| leaf.pointer("/ok/_rev")?.as_str().map(str::to_owned);
        Ok(told.as_array().map(|leaves| leaves.iter().filter_map(revision).collect()).unwrap_or_default())
    }

    /// Opens an attachment; `None` where that revision is gone.
    pub(super) fn attachment(
        &self,
        database: &str,
        id: &str,
        name: &str,
        revision: &str,
    ) -> Result<Option<Answer>, EngineError> {
        let (id, name, revision) = (encode_id(id), encode(name), encode(revision));
        let path = format!("/{}/{id}/{name}?rev={revision}", encode(database));
        let answer = self.http.send("GET", &path, SendBody::none())?;
        if answer.status == 404 { Ok(None) } else { answer.good().map(Some) }
    }

    /// Makes a database; says whether it was not there before.
    pub(super) fn make(&self, database: &str) -> Result<bool, EngineError> {
        let answer = self.http.send("PUT", &format!("/{}", encode(database)), SendBody::none())?;
        match answer.status {
            412 => Ok(false),
            _ => answer.good().map(|_| true),
        }
    }

    pub(super) fn remove(&self, database: &str) -> Result<(), EngineError> {
        self.http.send("DELETE", &format!("/{}", encode(database)), SendBody::none())?.good().map(drop)
    }

    /// Sets what a database says of itself besides its documents.
    pub(super) fn set(&self, database: &str, name: &str, value: &str) -> Result<(), EngineError> {
        let mut value = value;
        let path = format!("/{}/{name}", encode(database));
        self.http.send("PUT", &path, value.as_body())?.good().map(drop)
    }

    /// Stores documents as they were, revisions and all; returns what the server did not take.
    pub(super) fn store(&self, database: &str, body: SendBody<'_>) -> Result<Vec<String>, EngineError> {
        let path = format!("/{}/_bulk_docs", encode(database));
        let told = self.http.send("POST", &path, body)?.good()?.json()?;
        let refused = told.as_array().into_iter().flatten().filter(|row| row.get("error").is_some());
        let words = |row: &Value| {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
            format!("{}: {}", text("id"), text("reason"))
        };
        Ok(refused.map(words).collect())
    }

    /// Asks which of these revisions a database has never had.
    pub(super) fn missing(&self, database: &str, known: &[Change]) -> Result<Vec<String>, EngineError> {
        let asked: serde_json::Map<String, Value> =
            known.iter().map(|change| (change.id.clone(), json!(change.leaves))).collect();
        let told = self.http.post(&format!("/{}/_revs_diff", encode(database)), &Value::Object(asked))?;
        Ok(told.as_object().map(|missing| missing.keys().cloned().collect()).unwrap_or_default())
    }

    fn nonsense(&self, path: &str) -> EngineError {
        EngineError::Failed {
            action: format!("asking {}{path}", self.shown()),
            cause: "the answer is not in CouchDB's protocol".to_owned(),
            remedy: "see whether the address is that of such a server".to_owned(),
        }
    }
}

/// Finds each document in an answer to `_bulk_get`, with its id.
fn documents_in(told: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for result in raw::array(raw::field(&raw::object(told)?, "results")?)? {
        let result = raw::object(result)?;
        let id: String = serde_json::from_str(raw::field(&result, "id")?).ok()?;
        for document in raw::array(raw::field(&result, "docs")?)? {
            if let Some(text) = raw::field(&raw::object(document)?, "ok") {
                found.push((id.clone(), text.to_owned()));
            }
        }
    }
    Some(found)
}

/// Writes a name as part of a URL.
pub(super) fn encode(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte))
            }
            other => {
                let _ = write!(text, "%{other:02X}");
            }
        }
        text
    })
}

/// Writes the id of a document as part of a URL; the two kinds of special ones keep their slash.
fn encode_id(id: &str) -> String {
    for kind in ["_design/", "_local/"] {
        if let Some(rest) = id.strip_prefix(kind) {
            return format!("{kind}{}", encode(rest));
        }
    }
    encode(id)
}

/// Returns the number that a sequence begins with: how many changes there were.
pub(super) fn sequence_number(sequence: &Value) -> Option<u64> {
    sequence.as_u64().or_else(|| sequence.as_str()?.split('-').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_for_urls() {
        assert_eq!(encode("a/b ü+"), "a%2Fb%20%C3%BC%2B");
        assert_eq!(encode_id("_design/a/b"), "_design/a%2Fb");
    }

    #[test]
    fn sequences_of_all_releases_have_a_number() {
        assert_eq!(sequence_number(&json!(12)), Some(12));
        assert_eq!(sequence_number(&json!("345-g1AAAA")), Some(345));
        assert_eq!(sequence_number(&json!(null)), None);
    }

    #[test]
    fn documents_are_found_in_both_forms_of_the_answer() {
        let told = r#"{"results":[{"id":"a","docs":[{"ok":{"_id":"a","n":1.0}},{"missing":"2-x"}]},
            {"id":"a","docs":[{"ok":{"_id":"a"}}]},{"id":"b","docs":[{"error":{"id":"b"}}]}]}"#;
        let found = documents_in(told).unwrap();
        let texts: Vec<_> = found.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        assert_eq!(texts, [("a", r#"{"_id":"a","n":1.0}"#), ("a", r#"{"_id":"a"}"#)]);
        assert!(documents_in("{}").is_none());
    }
}
