//! The interface as a caller sees it, with a real service on a state of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_http::{HttpError, Server};
use serde_json::{Value, json};
use support::{KEY, Running, TOKEN, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_route_exists_and_declines_in_the_documented_shape() {
    let server = Running::start(None).await;
    let (status, document) = server.get("/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    for (path, methods) in document["paths"].as_object().unwrap() {
        let asked = path.replace("{name}", "no-such-thing").replace("{id}", "987654");
        for (method, operation) in methods.as_object().unwrap() {
            // RavenDB's routes decline in another shape; see robustness.rs.
            if operation["operationId"] == "events" || operation["tags"][0] == "RavenDB" {
                continue;
            }
            let body = operation.get("requestBody").map(|_| "{\"Target\":\"/nowhere\"}");
            let request = format!("{} {asked}", method.to_uppercase());
            let (status, _, answer) = server.send(&request, &[], body).await;
            let kind = serde_json::from_str::<Value>(&answer).unwrap_or(Value::Null)["Error"]["Kind"].clone();
            assert!(status < 500, "{request}: {status} {answer}");
            assert_ne!(kind, "Method", "{request} is documented and not answered");
            assert!(!answer.contains("there is nothing at"), "{request} is documented and not there");
            if status >= 400 {
                assert!(kind.is_string(), "{request} declined without saying why: {answer}");
            }
        }
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_so_with_a_way_out() {
    let server = Running::start(None).await;
    let (status, answer) = server.get("/api/v2/nothing").await;
    assert_eq!((status, &answer["Error"]["Kind"]), (404, &json!("NotFound")));
    assert!(answer["Error"]["Message"].as_str().unwrap().contains("/api/v1/openapi.json"));
    let (status, _, answer) = server.send("PATCH /api/v1/tasks", &[], None).await;
    assert_eq!(status, 405, "{answer}");
    let (status, answer) = server.get("/api/v1/operations/seven").await;
    assert_eq!((status, &answer["Error"]["Kind"]), (400, &json!("Invalid")));
    let (status, answer) = server.get("/api/v1/operations?colour=red").await;
    assert_eq!(status, 400);
    assert!(answer["Error"]["Message"].as_str().unwrap().contains("colour"), "{answer}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_and_a_task_go_in_and_come_out_again() {
    let server = Running::start(None).await;
    let tree = server.directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let source = json!({ "Name": "tree", "Engine": "files", "Path": tree });
    let (status, _, answer) = server.send("POST /api/v1/sources", &[], Some(&source.to_string())).await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&answer).unwrap()),
        (200, json!({ "Databases": ["tree"] }))
    );
    let (status, _, answer) = server.send("POST /api/v1/sources", &[], Some(&source.to_string())).await;
    assert_eq!(status, 409, "{answer}");

    let task = json!({
        "Name": "Nightly", "FullBackupFrequency": "0 2 * * *",
        "LocalSettings": { "FolderPath": server.directory.path().join("backups") },
    });
    let (status, _, answer) = server.send("PUT /api/v1/tasks", &[], Some(&task.to_string())).await;
    assert_eq!(status, 200, "{answer}");
    let (_, runs) = server.get("/api/v1/next-runs?count=2").await;
    assert_eq!(runs[0]["Time"], "2026-03-02T02:00:00Z", "{runs}");
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let (_, databases) = server.get("/api/v1/databases").await;
    assert_eq!(databases[0]["Tasks"][0]["Task"]["Name"], "Server Wide Backup, Nightly");

    let broken = json!({
        "Name": "Broken", "FullBackupFrequency": "every now and then",
        "LocalSettings": { "FolderPath": server.directory.path().join("backups") },
    });
    let (status, _, answer) = server.send("PUT /api/v1/tasks", &[], Some(&broken.to_string())).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["Error"]["Kind"]), (400, &json!("Invalid")), "{answer}");
    assert_eq!(answer["Error"]["Field"], "FullBackupFrequency", "{answer}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_must_be_json_and_of_a_reasonable_size() {
    let server = Running::start(None).await;
    let (status, _, _) = server
        .send("POST /api/v1/backups", &[("Content-Type", "text/plain")], Some("{\"Kind\":\"Full\"}"))
        .await;
    assert_eq!(status, 415);
    let (status, _, answer) = server.send("POST /api/v1/backups", &[], Some("{\"Kind\":\"Half\"}")).await;
    assert_eq!(status, 400, "{answer}");
    let large = format!("{{\"Task\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        large.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status_line = [0; 12];
    stream.read_exact(&mut status_line).await.unwrap();
    assert_eq!(&status_line, b"HTTP/1.1 413");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_only_callers_of_this_host_are_answered() {
    let server = Running::start(None).await;
    for path in ["/", "/api/v1/status", "/api/v1/health"] {
        let (status, _, _) = server.send(&format!("GET {path}"), &[], None).await;
        assert_eq!(status, 200, "{path}");
        let foreign = [("Host", "rebound.example:8600")];
        let (status, _, answer) = server.send(&format!("GET {path}"), &foreign, None).await;
        assert_eq!(status, 403, "{path}");
        assert!(answer.contains("rebound.example"), "{answer}");
        let origin = [("Origin", "https://elsewhere.example")];
        assert_eq!(server.send(&format!("GET {path}"), &origin, None).await.0, 403, "{path}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_every_route_but_health_asks_for_it() {
    let server = Running::start(Some(TOKEN)).await;
    let (_, _, document) =
        server.send("GET /api/v1/openapi.json", &[("Authorization", &format!("Bearer {TOKEN}"))], None).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let own = ["/", "/studio/studio.js", "/nowhere"].map(|path| (path.to_owned(), false));
    let documented = document["paths"].as_object().unwrap().iter().map(|(path, methods)| {
        let of_raven = methods.as_object().unwrap().values().all(|route| route["tags"][0] == "RavenDB");
        (path.clone(), of_raven)
    });
    let mut of_raven_seen = 0;
    for (path, of_raven) in documented.chain(own) {
        of_raven_seen += usize::from(of_raven);
        // RavenDB's clients know 403 as a want of rights, and 401 not at all.
        let refused = if of_raven { 403 } else { 401 };
        let expected = if path == "/api/v1/health" { 200 } else { refused };
        let (status, head, _) = server.send(&format!("GET {path}"), &[], None).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(
            head.to_lowercase().contains("www-authenticate: bearer"),
            expected == 401,
            "{path}: {head}"
        );
        let wrong = [("Authorization", "Bearer 0123456789abcdef0123456789abcdeX")];
        let (status, _, answer) = server.send(&format!("GET {path}"), &wrong, None).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(answer.contains("AuthorizationException"), of_raven, "{path}: {answer}");
    }
    assert!(of_raven_seen > 40, "only {of_raven_seen} of RavenDB's routes are documented");
    server.end().await;
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_token() {
    let refused = Server::bind(settings("0.0.0.0:0", None)).await.unwrap_err();
    assert!(matches!(refused, HttpError::NoToken { .. }));
    assert!(refused.to_string().contains("--token-file"), "{refused}");
    let weak = Server::bind(settings("0.0.0.0:0", Some("secret"))).await.unwrap_err();
    assert!(matches!(weak, HttpError::WeakToken { characters: 6, .. }), "{weak}");
    Server::bind(settings("0.0.0.0:0", Some(TOKEN))).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = Server::bind(settings("127.0.0.1:0", None)).await.unwrap();
    let again = settings(&first.address().to_string(), None);
    let refused = Server::bind(again).await.unwrap_err();
    assert!(matches!(refused, HttpError::InUse { .. }));
    assert!(refused.to_string().contains(&first.address().to_string()), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_whole_and_asks_nobody_else() {
    let server = Running::start(None).await;
    let (status, head, page) = server.send("GET /", &[], None).await;
    assert_eq!(status, 200);
    assert!(head.to_lowercase().contains("default-src 'none'"), "{head}");
    assert!(page.contains("Nothing is backed up yet.") && page.ends_with("</html>"), "{page}");
    for quoted in page.split("href=\"").skip(1).chain(page.split("src=\"").skip(1)) {
        let address = quoted.split('"').next().unwrap();
        assert!(address.starts_with('/') || address.starts_with('#'), "{address}");
        if let Some(path) = address.strip_prefix('/') {
            assert_eq!(server.send(&format!("GET /{path}"), &[], None).await.0, 200, "{address}");
        }
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_cannot_smuggle_markup_into_the_page() {
    let server = Running::start(None).await;
    let tree = server.directory.path().join("<script>alert(1)</script>");
    std::fs::create_dir_all(&tree).unwrap();
    let source = json!({ "Name": "tree", "Engine": "files", "Path": tree });
    let (status, _, answer) = server.send("POST /api/v1/sources", &[], Some(&source.to_string())).await;
    assert_eq!(status, 200, "{answer}");
    for path in ["/studio/sources", "/studio/databases", "/studio/databases/tree"] {
        let (_, _, page) = server.send(&format!("GET {path}"), &[], None).await;
        assert!(page.contains("alert(1)") && !page.contains("<script>alert"), "{path}: {page}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_given_only_to_callers_who_showed_a_token() {
    for (token, shown) in [(None, false), (Some(TOKEN), true)] {
        let server = Running::start(token).await;
        let tree = server.directory.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", bearer.as_str())];
        let source = json!({ "Name": "tree", "Engine": "files", "Path": tree }).to_string();
        server.send("POST /api/v1/sources", &headers, Some(&source)).await;
        let task = json!({
            "Name": "Nightly", "FullBackupFrequency": "0 2 * * *",
            "LocalSettings": { "FolderPath": server.directory.path().join("backups") },
        });
        server.send("PUT /api/v1/tasks", &headers, Some(&task.to_string())).await;
        let (status, _, answer) =
            server.send("GET /api/v1/databases/tree/restic-access", &headers, None).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer.contains(KEY), shown, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["PasswordFile"], "/srv/larder/key");
        server.end().await;
    }
}
