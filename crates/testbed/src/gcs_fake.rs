//! A strict stand-in for Google Cloud Storage, for what its emulator ignores: who asks, preconditions, the size of pages, the
//! rules of resumable uploads, and being asked to wait. Google publishes no server that could be run here.

use crate::gcs_key::GcsKey;
use crate::http_fake::{FakeAnswer, FakeRequest, HttpFake, decode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

/// A page holds no more, whatever is asked for.
const PAGE: usize = 1000;
/// Parts of a resumable upload but the last are multiples of this.
const STEP: usize = 256 << 10;

/// A running stand-in with one bucket and one service account.
#[derive(Debug)]
pub struct GcsFake {
    server: HttpFake,
    key: Arc<GcsKey>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Object>,
    sessions: Vec<Session>,
    generation: u64,
    tokens: Vec<String>,
    requests: Vec<String>,
    planned: VecDeque<FakeAnswer>,
    loses_half_a_part: bool,
    forbidden: bool,
}

#[derive(Debug)]
struct Object {
    data: Vec<u8>,
    generation: u64,
    class: String,
    /// What its writer said about it.
    said: Value,
}

#[derive(Debug)]
struct Session {
    meta: Value,
    data: Vec<u8>,
    if_generation: Option<u64>,
}

impl GcsFake {
    /// The bucket's name.
    pub const BUCKET: &'static str = "larder";

    /// Starts it, with a key for the account that no other has.
    #[must_use]
    pub fn start() -> Self {
        let key = Arc::new(GcsKey::new());
        let state = Arc::new(Mutex::new(State::default()));
        let (known, shared) = (Arc::clone(&key), Arc::clone(&state));
        let server = HttpFake::start(move |request| shared.lock().unwrap().answer(request, &known));
        Self { server, key, state }
    }

    /// Returns its address, as `CustomServerUrl` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the account's key file; tokens are had from the stand-in itself.
    #[must_use]
    pub fn credentials(&self) -> String {
        self.key.file(&format!("{}/token", self.url()))
    }

    /// Returns every request so far: `GET /storage/v1/b/larder/o`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// Answers the next requests with these, whatever they are.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = FakeAnswer>) {
        self.state().planned.extend(answers);
    }

    /// Keeps only the first half of the next part of a resumable upload, as when a connection is cut.
    pub fn lose_half_a_part(&self) {
        self.state().loses_half_a_part = true;
    }

    /// Takes all rights from the account.
    pub fn forbid(&self) {
        self.state().forbidden = true;
    }

    /// Makes every token worthless.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Returns the class that an object lies in.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<String> {
        self.state().objects.get(name).map(|object| object.class.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, request: &FakeRequest, key: &GcsKey) -> FakeAnswer {
        self.requests.push(format!("{} {}", request.method, request.path));
        if let Some(answer) = self.planned.pop_front() {
            return answer;
        }
        if request.path == "/token" {
            return self.token(request, key);
        }
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if !bearer.is_some_and(|token| self.tokens.iter().any(|known| known == token)) {
            return refusal(401, "Invalid Credentials");
        }
        if self.forbidden {
            let cause = "backup@larder.example does not have storage.objects.create access to the Google Cloud Storage object.";
            return refusal(403, cause);
        }
        let upload = request.path.strip_prefix("/upload/storage/v1/b/");
        let Some(rest) = upload.or_else(|| request.path.strip_prefix("/storage/v1/b/")) else {
            return refusal(404, "Not Found");
        };
        let Some((GcsFake::BUCKET, rest)) = rest.split_once('/') else {
            return refusal(404, "The specified bucket does not exist.");
        };
        let name = rest.strip_prefix("o/").map(decode);
        match (upload.is_some(), request.method.as_str(), name) {
            (true, "POST", None) => self.upload(request),
            (true, "PUT", None) => self.part(request),
            (false, "GET", None) => self.list(request),
            (false, "GET", Some(name)) => self.get(request, &name),
            (false, "DELETE", Some(name)) => match self.objects.remove(&name) {
                Some(_) => FakeAnswer::status(204),
                None => refusal(404, &format!("No such object: larder/{name}")),
            },
            _ => refusal(405, "Method Not Allowed"),
        }
    }

    fn token(&mut self, request: &FakeRequest, key: &GcsKey) -> FakeAnswer {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let form = FakeRequest { query: body, ..FakeRequest::default() };
        let signed = form.value("assertion").is_some_and(|assertion| key.signed(&assertion));
        if !signed {
            let cause = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
            return FakeAnswer::status(400).body(cause.to_string());
        }
        let token = format!("token-{}", self.requests.len());
        self.tokens.push(token.clone());
        answer(&json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
    }

    fn upload(&mut self, request: &FakeRequest) -> FakeAnswer {
        let if_generation = request.value("ifGenerationMatch").and_then(|value| value.parse().ok());
        match request.value("uploadType").as_deref() {
            Some("multipart") => match parts(request) {
                Some((meta, data)) => self.keep(&meta, data.to_vec(), if_generation),
                None => refusal(400, "Malformed multipart body."),
            },
            Some("resumable") => {
                let Ok(meta) = serde_json::from_slice(&request.body) else {
                    return refusal(400, "Parse Error");
                };
                self.sessions.push(Session { meta, data: Vec::new(), if_generation });
                let host = request.header("host").unwrap_or_default();
                let id = self.sessions.len() - 1;
                let location = format!("http://{host}{}?uploadType=resumable&upload_id={id}", request.path);
                FakeAnswer::status(200).header("Location", location)
            }
            _ => refusal(400, "Invalid upload type"),
        }
    }

    fn part(&mut self, request: &FakeRequest) -> FakeAnswer {
        let id = request.value("upload_id").and_then(|id| id.parse::<usize>().ok());
        let loses = std::mem::take(&mut self.loses_half_a_part);
        let Some(session) = id.and_then(|id| self.sessions.get_mut(id)) else {
            return refusal(404, "No such upload");
        };
        let range = request.header("content-range").and_then(|range| range.strip_prefix("bytes "));
        let Some((range, total)) = range.and_then(|range| range.split_once('/')) else {
            return refusal(400, "Failed to parse Content-Range header.");
        };
        let total: usize = total.parse().unwrap();
        if range != "*" {
            let start: usize = range.split('-').next().unwrap().parse().unwrap();
            let whole = start + request.body.len() == total || request.body.len().is_multiple_of(STEP);
            if start != session.data.len() || !whole {
                return refusal(400, "Invalid request. The part does not begin where the upload ends.");
            }
            let kept = if loses { request.body.len() / 2 / STEP * STEP } else { request.body.len() };
            session.data.extend_from_slice(&request.body[..kept]);
        }
        if session.data.len() < total {
            let incomplete = FakeAnswer::status(308);
            return match session.data.len() {
                0 => incomplete,
                some => incomplete.header("Range", format!("bytes=0-{}", some - 1)),
            };
        }
        let (meta, data, condition) =
            (session.meta.clone(), std::mem::take(&mut session.data), session.if_generation);
        self.keep(&meta, data, condition)
    }

    fn keep(&mut self, meta: &Value, data: Vec<u8>, if_generation: Option<u64>) -> FakeAnswer {
        let name = meta["name"].as_str().unwrap_or_default().to_owned();
        let found = self.objects.get(&name).map_or(0, |object| object.generation);
        if if_generation.is_some_and(|wanted| wanted != found) {
            return refusal(412, "At least one of the pre-conditions you specified did not hold.");
        }
        if meta["md5Hash"].as_str().is_some_and(|said| said != md5(&data)) {
            return refusal(400, "Provided MD5 hash doesn't match calculated MD5 hash.");
        }
        self.generation += 1;
        let class = meta["storageClass"].as_str().unwrap_or("STANDARD").to_owned();
        let object = Object { data, generation: self.generation, class, said: meta.clone() };
        let said = describe(&name, &object);
        self.objects.insert(name, object);
        answer(&said)
    }

    fn get(&self, request: &FakeRequest, name: &str) -> FakeAnswer {
        let Some(object) = self.objects.get(name) else {
            return refusal(404, &format!("No such object: larder/{name}"));
        };
        // One generation is asked for, and another is here.
        let asked = request.value("generation").and_then(|asked| asked.parse::<u64>().ok());
        if asked.is_some_and(|asked| asked != object.generation) {
            return refusal(404, &format!("No such object: larder/{name}#{}", asked.unwrap_or_default()));
        }
        if request.value("alt").as_deref() != Some("media") {
            return answer(&describe(name, object));
        }
        let hash = format!("md5={}", md5(&object.data));
        let length = object.data.len();
        let Some(range) = request.header("range").and_then(|range| range.strip_prefix("bytes=")) else {
            return FakeAnswer::status(200).header("x-goog-hash", hash).body(object.data.clone());
        };
        let (start, end) = range.split_once('-').unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap_or(usize::MAX));
        if start >= length {
            return refusal(416, "The requested range cannot be satisfied.");
        }
        let end = end.min(length - 1);
        FakeAnswer::status(206)
            .header("Content-Range", format!("bytes {start}-{end}/{length}"))
            .body(&object.data[start..=end])
    }

    fn list(&self, request: &FakeRequest) -> FakeAnswer {
        let prefix = request.value("prefix").unwrap_or_default();
        let after = request.value("pageToken").unwrap_or_default();
        let size = request.value("maxResults").and_then(|size| size.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let mut all = self.objects.iter().filter(|(name, _)| name.starts_with(&prefix) && **name > after);
        let page: Vec<_> = all.by_ref().take(size).collect();
        let mut said = json!({"kind": "storage#objects"});
        if all.next().is_some() {
            said["nextPageToken"] = json!(page.last().map(|(name, _)| name));
        }
        if !page.is_empty() {
            said["items"] = page.iter().map(|(name, object)| describe(name, object)).collect();
        }
        answer(&said)
    }
}

fn describe(name: &str, object: &Object) -> Value {
    let mut described = json!({
        "kind": "storage#object", "name": name, "bucket": GcsFake::BUCKET, "size": object.data.len().to_string(),
        "generation": object.generation.to_string(), "md5Hash": md5(&object.data), "storageClass": object.class,
    });
    for name in [
        "contentType",
        "cacheControl",
        "contentDisposition",
        "contentEncoding",
        "contentLanguage",
        "metadata",
    ] {
        if !object.said[name].is_null() {
            described[name] = object.said[name].clone();
        }
    }
    described
}

/// Takes a body of two parts (RFC 2387) apart: what is said of the object, and the object.
fn parts(request: &FakeRequest) -> Option<(Value, &[u8])> {
    let boundary = request.header("content-type")?.split_once("boundary=")?.1.trim_matches('"');
    let first = format!("--{boundary}\r\n");
    let between = format!("\r\n--{boundary}\r\n");
    let end = format!("\r\n--{boundary}--");
    let body = request.body.strip_prefix(first.as_bytes())?;
    let middle = find(body, between.as_bytes())?;
    let (head, tail) = (&body[..middle], &body[middle + between.len()..]);
    let meta = serde_json::from_slice(&head[find(head, b"\r\n\r\n")? + 4..]).ok()?;
    let data = &tail[find(tail, b"\r\n\r\n")? + 4..];
    // The end is looked for from behind: the object may hold anything.
    let end = data.windows(end.len()).rposition(|window| window == end.as_bytes())?;
    Some((meta, &data[..end]))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn md5(data: &[u8]) -> String {
    BASE64_STANDARD.encode(Md5::digest(data))
}

fn answer(value: &Value) -> FakeAnswer {
    FakeAnswer::status(200).header("Content-Type", "application/json; charset=UTF-8").body(value.to_string())
}

fn refusal(status: u16, cause: &str) -> FakeAnswer {
    let said = json!({"error": {"code": status, "message": cause, "errors": [{"message": cause, "domain": "global"}]}});
    FakeAnswer::status(status)
        .header("Content-Type", "application/json; charset=UTF-8")
        .body(said.to_string())
}
