//! Random requests, made from the server's own OpenAPI document.

use super::Running;
use larder_testbed::Random;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

/// How deep made bodies are nested.
const DEPTH: u32 = 6;

/// Routes that answer only after a while, or go on for ever.
const SLOW: [&str; 2] = ["events", "wait_for_operation"];

/// What a server said to many requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub asked: usize,
    pub done: usize,
    pub declined: usize,
}

/// One route of the document.
struct Target {
    method: String,
    path: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    is_raven: bool,
}

struct Maker {
    random: Random,
    document: Value,
    texts: Vec<String>,
}

/// Counts panics anywhere in this process.
fn panics() -> Arc<AtomicUsize> {
    static HOOK: Once = Once::new();
    static COUNT: std::sync::OnceLock<Arc<AtomicUsize>> = std::sync::OnceLock::new();
    let count = Arc::clone(COUNT.get_or_init(Arc::default));
    HOOK.call_once(|| {
        let count = Arc::clone(&count);
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            count.fetch_add(1, Relaxed);
            earlier(info);
        }));
    });
    count
}

/// Sends so many random requests and says what came of them; fails on any answer that a caller must not get.
pub async fn ask_at_random(requests: usize, seed: u64) -> Tally {
    let panics = panics();
    let server = Running::start(None).await;
    for name in ["alpha", "beta"] {
        server.add_tree(name).await;
    }
    let (_, document) = server.get("/api/v1/openapi.json").await;
    let targets = targets(&document);
    assert!(targets.len() > 80, "the document has only {} routes", targets.len());
    // Paths lie below the test's own directory: what is asked for at random is really done.
    let own = server.directory.path().join("random").display().to_string();
    let mut maker = Maker { random: Random::new(seed), document, texts: texts(&own) };
    let mut tally = Tally::default();
    while tally.asked < requests {
        let target = &targets[maker.below(targets.len())];
        let (request, body) = maker.request(target);
        let headers =
            if target.is_raven { [("Content-Type", "")] } else { [("Content-Type", "application/json")] };
        let (status, _, answer) = server.send(&request, &headers, body.as_deref()).await;
        let said = format!("{request}\n{}\n{status} {answer}", body.as_deref().unwrap_or_default());
        judge(target, status, &answer, &said);
        assert_eq!(panics.load(Relaxed), 0, "the server panicked: {said}");
        tally.asked += 1;
        if status < 400 { tally.done += 1 } else { tally.declined += 1 }
    }
    let (status, _) = server.get("/api/v1/status").await;
    assert_eq!(status, 200, "the server no longer answers");
    server.end().await;
    assert_eq!(panics.load(Relaxed), 0, "the server panicked while it stopped");
    tally
}

fn judge(target: &Target, status: u16, answer: &str, said: &str) {
    if !target.is_raven {
        assert!(status < 500, "{said}");
        return;
    }
    let is_topology = target.path == "/topology";
    match status {
        200..=499 => {}
        503 if is_topology => {}
        500 => {
            let body: Value = serde_json::from_str(answer).unwrap_or_else(|_| panic!("no JSON: {said}"));
            for key in ["Url", "Type", "Message", "Error"] {
                assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "no {key}: {said}");
            }
            // What is the server's own fault has this type.
            assert_ne!(body["Type"], "Raven.Client.Exceptions.RavenException", "{said}");
        }
        _ => panic!("{said}"),
    }
}

fn targets(document: &Value) -> Vec<Target> {
    let mut targets = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, route) in methods.as_object().unwrap() {
            if SLOW.contains(&route["operationId"].as_str().unwrap()) {
                continue;
            }
            targets.push(Target {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: route["parameters"].as_array().cloned().unwrap_or_default(),
                body: route.pointer("/requestBody/content/application~1json/schema").cloned(),
                is_raven: route["tags"][0] == "RavenDB",
            });
        }
    }
    targets
}

fn texts(own: &str) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "alpha",
        "beta",
        "nosuch",
        "Nightly",
        "Server Wide Backup, Nightly",
        "Backup",
        "Local",
        "S3",
        "0 2 * * *",
        "*/20 * * * *",
        "* * *",
        "61 * * * *",
        "7.00:00:00",
        "-1.00:00:00",
        "00:00:00.0000001",
        "99999999.23:59:59",
        "bogus",
        "****",
        "true",
        "null",
        "0",
        "1",
        "-1",
        "18446744073709551615",
        "99999999999999999999999",
        "1e999",
        "2026-11-21T02:18:39.6196008Z",
        "every 4h..6h",
        "Daily at 02:30",
        "Europe/Berlin",
        "Nowhere/Land",
        "files",
        "sqlite",
        "Full",
        "latest",
        "a/b",
        "%",
        "%00",
        "\u{0}",
        "\u{202e}x",
        "ÄÖ 😀",
        "' OR 1=1 --",
        "<script>",
        "{\"a\":1}",
        "\r\nX: y",
    ]
    .map(str::to_owned)
    .into();
    texts.push("x".repeat(5_000));
    texts.push(own.to_owned());
    texts.push(format!("{own}/deeper"));
    texts
}

impl Maker {
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(limit).unwrap())).unwrap()
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn text(&mut self) -> String {
        let place = self.below(self.texts.len());
        self.texts[place].clone()
    }

    fn request(&mut self, target: &Target) -> (String, Option<String>) {
        let mut path = target.path.clone();
        let mut query = Vec::new();
        for parameter in &target.parameters {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] == "path" {
                let value = match self.chance(70) {
                    true if name == "id" => self.random.below(20).to_string(),
                    true => "alpha".to_owned(),
                    false => self.text(),
                };
                path = path.replace(&format!("{{{name}}}"), &encoded(&value));
            } else if self.chance(if parameter["required"] == true { 90 } else { 40 }) {
                let value = match self.value(&parameter["schema"], 1) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                query.push(format!("{name}={}", encoded(&value)));
            }
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let body = target.body.as_ref().map(|schema| match self.chance(5) {
            true => self.text(),
            false => self.value(schema, DEPTH).to_string(),
        });
        (format!("{} {path}{query}", target.method), body)
    }

    /// Makes a value of a schema, and now and then one that is not.
    fn value(&mut self, schema: &Value, depth: u32) -> Value {
        if self.chance(6) {
            return self.anything(2);
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let found = self.document.pointer(reference.trim_start_matches('#')).cloned().unwrap();
            return self.value(&found, depth);
        }
        if let Some(choices) = schema["enum"].as_array() {
            let place = self.below(choices.len());
            return choices[place].clone();
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[key].as_array() {
                let place = self.below(choices.len());
                return self.value(&choices[place].clone(), depth);
            }
        }
        match self.kind(schema).as_str() {
            "object" => self.object(schema, depth),
            "array" => {
                let count = if depth == 0 { 0 } else { self.below(4) };
                (0..count).map(|_| self.value(&schema["items"].clone(), depth - 1)).collect()
            }
            "string" => self.text().into(),
            "integer" => match self.chance(80) {
                true => self.random.below(30).into(),
                false => self.random.next().into(),
            },
            "number" => json!(0.5),
            "boolean" => self.chance(50).into(),
            "null" => Value::Null,
            _ => self.anything(depth.min(2)),
        }
    }

    fn kind(&mut self, schema: &Value) -> String {
        match &schema["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => {
                let place = self.below(kinds.len());
                kinds[place].as_str().unwrap().to_owned()
            }
            _ if schema.get("properties").is_some() => "object".to_owned(),
            _ => String::new(),
        }
    }

    fn object(&mut self, schema: &Value, depth: u32) -> Value {
        let mut made = Map::new();
        let parts = schema["allOf"].as_array().cloned().unwrap_or_default();
        for part in parts {
            if let Value::Object(more) = self.value(&part, depth) {
                made.extend(more);
            }
        }
        if depth > 0 {
            for (key, inner) in schema["properties"].as_object().cloned().unwrap_or_default() {
                if self.chance(55) {
                    made.insert(key, self.value(&inner, depth - 1));
                }
            }
            if self.chance(10) {
                made.insert(self.text(), self.anything(1));
            }
        }
        Value::Object(made)
    }

    fn anything(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => self.chance(50).into(),
            2 => self.text().into(),
            3 => self.random.next().into(),
            4 => json!(-1.5e300),
            5 => (0..self.below(3)).map(|_| self.anything(depth - 1)).collect(),
            _ => {
                let keys: Vec<String> = (0..self.below(3)).map(|_| self.text()).collect();
                Value::Object(keys.into_iter().map(|key| (key, self.anything(depth - 1))).collect())
            }
        }
    }
}

/// Writes a text so that it can stand in an address.
fn encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => written.push(char::from(byte)),
            _ => write!(written, "%{byte:02X}").unwrap(),
        }
    }
    written
}
