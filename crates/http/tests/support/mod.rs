//! A server with a real service behind it, and what tests ask it with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod fuzz;
pub mod socket;

use jiff::tz::TimeZone;
use larder_http::{HttpSettings, Server};
use larder_model::Secret;
use larder_service::{Service, Settings};
use larder_testbed::{ManualClock, TempDir};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const KEY: &str = "the key of all repositories";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A running server with a service behind it.
pub struct Running {
    pub address: SocketAddr,
    pub directory: TempDir,
    pub service: Service,
    pub clock: Arc<ManualClock>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub fn settings(bind: &str, token: Option<&str>) -> HttpSettings {
    HttpSettings {
        bind: bind.parse().unwrap(),
        token: token.map(|token| Secret::new(token.to_owned())),
        allowed_hosts: Vec::new(),
        time_zone: TimeZone::UTC,
        key_file: "/srv/larder/key".into(),
        public_url: None,
    }
}

impl Running {
    pub async fn start(token: Option<&str>) -> Self {
        Self::start_with(settings("127.0.0.1:0", token)).await
    }

    pub async fn start_with(settings: HttpSettings) -> Self {
        let directory = TempDir::new();
        let state = larder_state::RedbState::open(&directory.join("state.redb")).unwrap();
        let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
        let service = Service::start(
            Settings::new(directory.path()),
            Arc::new(state),
            clock.clone(),
            Secret::new(KEY.to_owned()),
        )
        .await
        .unwrap();
        let server = Server::bind(settings).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(service.clone(), clock.clone(), async move {
            let _ = stopped.await;
        }));
        Self { address, directory, service, clock, stop, task }
    }

    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.service.stop().await;
    }

    /// Sends one request on a connection of its own; returns status, head and body.
    pub async fn send(
        &self,
        request: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> (u16, String, String) {
        let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            write!(text, "Host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        if let Some(body) = body {
            write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
            if !headers.iter().any(|(name, _)| *name == "Content-Type") {
                text.push_str("Content-Type: application/json\r\n");
            }
        }
        write!(text, "\r\n{}", body.unwrap_or_default()).unwrap();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.send(&format!("GET {path}"), &[], None).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }
}

/// An answer to a request in RavenDB's words.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// Returns a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Running {
    /// Asks as RavenDB's clients do: a body comes without saying that it is JSON, as Python's client sends it.
    pub async fn raven(&self, request: &str, body: Option<Value>) -> Answer {
        self.raven_as(request, &[("Content-Type", "")], body).await
    }

    pub async fn raven_as(&self, request: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        let (status, head, text) = self.send(request, headers, body.as_deref()).await;
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }

    /// Adds a tree of a few files as the database `name`.
    pub async fn add_tree(&self, name: &str) {
        let tree = self.directory.path().join("trees").join(name);
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("one.txt"), "the first file").unwrap();
        std::fs::write(tree.join("two.txt"), "the second file").unwrap();
        let source = serde_json::json!({ "Name": name, "Engine": "files", "Path": tree });
        let (status, _, answer) = self.send("POST /api/v1/sources", &[], Some(&source.to_string())).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Returns a directory for backups.
    pub fn backups(&self) -> String {
        self.directory.path().join("backups").display().to_string()
    }
}
