//! Plays the scenarios of a fixture against a real server.

use super::acts::act;
use super::compare::compare;
use super::differences::Difference;
use super::variables::Variables;
use larder_testbed::{Server, TempDir, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use ureq::http::Request;

/// How long an operation may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays every scenario of a fixture, each against a server of its own, and returns what differs.
pub fn replay(fixture: &str, start: impl Fn(&TempDir) -> Server) -> Vec<Difference> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(fixture);
    let fixture: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let version = fixture["server"].as_str().unwrap();
    let mut found = Vec::new();
    for scenario in fixture["scenarios"].as_array().unwrap() {
        let directory = TempDir::new();
        prepare(&directory);
        let server = start(&directory);
        let mut play = Play::new(&server, &directory, version);
        for step in scenario["steps"].as_array().unwrap() {
            play.step(step);
        }
        found.append(&mut play.found);
    }
    found.sort();
    found.dedup();
    found
}

/// Writes the configuration and the slow script that some tasks call.
fn prepare(directory: &TempDir) {
    let (data, scripts) = (directory.join("data"), directory.join("scripts"));
    for path in [&data, &scripts, &directory.join("backups")] {
        std::fs::create_dir_all(path).unwrap();
    }
    let script = scripts.join("slow.sh");
    // What it prints is no JSON, as in the captures: the run ends Faulted after a while.
    std::fs::write(&script, "#!/bin/sh\nsleep 2\necho '{FolderPath:/backups/slow}'\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A path in Rust's quotes is a text in TOML's.
    let scripts = format!("{:?}", scripts.to_str().unwrap());
    let configuration = format!("identifier = \"golden\"\n[scripts]\ndirectories = [{scripts}]\n");
    std::fs::write(data.join("larder.toml"), configuration).unwrap();
}

/// An answer as it came.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

struct Play<'a> {
    agent: ureq::Agent,
    server: &'a Server,
    directory: &'a TempDir,
    version: &'a str,
    variables: Variables,
    found: Vec<Difference>,
}

impl<'a> Play<'a> {
    fn new(server: &'a Server, directory: &'a TempDir, version: &'a str) -> Self {
        let mut variables = Variables::default();
        for name in ["backups", "scripts"] {
            variables.set(name, directory.join(name).to_str().unwrap());
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .build()
            .into();
        Self { agent, server, directory, version, variables, found: Vec::new() }
    }

    fn step(&mut self, step: &Value) {
        if let Some(what) = step["act"].as_str() {
            let name = step["name"].as_str().unwrap();
            let done = act(what, name, &self.directory.join("data"), &self.directory.join("backups"));
            if let Err(why) = done {
                self.differs(&format!("act {what} {name}"), why);
            }
        } else if step["do"].is_object() {
            self.arrange(&step["do"]);
        } else {
            self.exchange(step);
        }
    }

    /// Sends a request of our own; it must succeed for what follows to mean anything.
    fn arrange(&mut self, request: &Value) {
        let answer = self.ask(request, &Value::Null);
        let path = request["path"].as_str().unwrap();
        if !(200..300).contains(&answer.status) {
            self.differs(&format!("arranged {path}"), format!("status {}: {}", answer.status, answer.body));
        }
        for (name, place) in request["binds"].as_object().into_iter().flatten() {
            let pointer = place.as_str().unwrap().replace(['$', '.'], "/").replacen("//", "/", 1);
            if let Some(value) = answer.body.pointer(&pointer) {
                self.variables.set(name.as_str(), value.clone());
            }
        }
    }

    /// Repeats a captured request and compares the answer.
    fn exchange(&mut self, step: &Value) {
        let label = step["label"].as_str().unwrap();
        let expect = &step["expect"];
        let answer = self.ask(step, &expect["body"]["Status"]);
        if u64::from(answer.status) != expect["status"].as_u64().unwrap() {
            let kind =
                answer.body["Type"].as_str().unwrap_or_default().rsplit('.').next().unwrap_or_default();
            self.differs(label, format!("status {} {kind}, not {}", answer.status, expect["status"]));
            return;
        }
        let mut found = Vec::new();
        for (name, value) in expect["headers"].as_object().into_iter().flatten() {
            let came = answer.headers.get(&name.to_lowercase());
            let came = came.map_or(Value::Null, |came| came.split(';').next().unwrap_or_default().into());
            compare(value, &came, &format!("header {name}"), &mut self.variables, &mut found);
        }
        compare(&expect["body"], &answer.body, "$", &mut self.variables, &mut found);
        for what in found {
            self.differs(label, what);
        }
    }

    /// Sends a request; an operation is asked for until it has ended, unless it is expected to run.
    fn ask(&self, request: &Value, expected_status: &Value) -> Answer {
        let polls = request["path"].as_str().unwrap().contains("operations/state");
        if !polls || expected_status == "InProgress" {
            return self.send(request);
        }
        wait_until("an operation's end", PATIENCE, || {
            let answer = self.send(request);
            (answer.body["Status"] != "InProgress").then_some(answer)
        })
    }

    fn send(&self, request: &Value) -> Answer {
        let path = self.variables.fill_text(request["path"].as_str().unwrap()).replace(' ', "%20");
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => self.variables.fill(body).to_string(),
        };
        let message = Request::builder()
            .method(request["method"].as_str().unwrap())
            .uri(format!("{}{path}", self.server.url()))
            .body(body)
            .unwrap();
        let mut response = match self.agent.run(message) {
            Ok(response) => response,
            // Told apart from every status that a server can answer with.
            Err(error) => {
                return Answer { status: 0, headers: BTreeMap::new(), body: error.to_string().into() };
            }
        };
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let text = response.body_mut().read_to_string().unwrap();
        Answer {
            status: response.status().as_u16(),
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    fn differs(&mut self, label: &str, what: String) {
        let what = what.replace(self.directory.path().to_str().unwrap(), "…");
        self.found.push(Difference { exchange: format!("{}/{label}", self.version), what });
    }
}
