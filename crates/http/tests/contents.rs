//! Backups looked into over the interface: what a caller gets, and what is declined.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::Random;
use serde_json::{Value, json};
use std::os::unix::ffi::OsStrExt;
use support::{Running, TOKEN};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server with one tree that was backed up, and the path of the tree.
async fn with_backup(token: Option<&str>) -> (Running, std::path::PathBuf) {
    let server = Running::start(token).await;
    let tree = server.directory.path().join("web");
    std::fs::create_dir_all(tree.join("docs")).unwrap();
    std::fs::write(tree.join("docs/\"odd\";\n\u{fc}.txt"), "odd").unwrap();
    std::fs::write(tree.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
    std::fs::write(tree.join("large"), Random::new(3).bytes(3_000_000)).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let source = json!({ "Name": "web", "Engine": "files", "Path": tree }).to_string();
    assert_eq!(server.send("POST /api/v1/sources", &headers, Some(&source)).await.0, 200);
    let task = json!({
        "Name": "Nightly", "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": server.backups() },
    });
    assert_eq!(server.send("PUT /api/v1/tasks", &headers, Some(&task.to_string())).await.0, 200);
    let (status, _, answer) = server.send("POST /api/v1/databases/web/backups", &headers, Some("{}")).await;
    assert_eq!(status, 202, "{answer}");
    let id = serde_json::from_str::<Value>(&answer).unwrap()["Operations"][0].as_u64().unwrap();
    server.service.wait(id).await.unwrap();
    (server, tree)
}

/// Sends a request and returns the head and the bytes behind it.
async fn fetch(server: &Running, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

const BACKUP: &str = "/api/v1/databases/web/backups/latest";

#[tokio::test(flavor = "multi_thread")]
async fn every_name_can_be_listed_and_fetched_by_the_path_that_was_told() {
    let (server, tree) = with_backup(None).await;
    let (status, root) = server.get(&format!("{BACKUP}/files")).await;
    assert_eq!(status, 200, "{root}");
    let names: Vec<&str> =
        root["Entries"].as_array().unwrap().iter().map(|one| one["Path"].as_str().unwrap()).collect();
    assert_eq!(names, ["docs", "caf%E9", "large"]);
    let (_, docs) = server.get(&format!("{BACKUP}/files?path=docs&limit=5")).await;
    assert_eq!(docs["Entries"][0]["Path"], "docs/\"odd\";%0A\u{fc}.txt", "{docs}");

    let (head, body) = fetch(&server, &format!("{BACKUP}/file?path=caf%25E9")).await;
    assert!(head.starts_with("HTTP/1.1 200") && body == b"latin", "{head}");
    let (head, body) = fetch(&server, &format!("{BACKUP}/file?path=docs/%22odd%22;%250A%C3%BC.txt")).await;
    assert_eq!(body, b"odd", "{head}");
    let head = head.to_lowercase();
    assert!(
        head.contains("content-disposition: attachment; filename=\"_odd____.txt\"; filename*=utf-8''"),
        "{head}"
    );
    assert!(head.contains("content-type: application/octet-stream") && head.contains("nosniff"), "{head}");
    assert!(head.contains("content-length: 3"), "{head}");

    let (head, body) = fetch(&server, &format!("{BACKUP}/file?path=large")).await;
    assert!(head.to_lowercase().contains("content-length: 3000000"), "{head}");
    assert!(body == std::fs::read(tree.join("large")).unwrap());
    let (head, body) = fetch(&server, &format!("{BACKUP}/archive")).await;
    let head = head.to_lowercase();
    assert!(
        head.contains("application/x-tar") && head.contains("filename=\"web-2026-03-01-1200.tar\""),
        "{head}"
    );
    assert!(body.len() > 3_000_000 && body.ends_with(b"\r\n0\r\n\r\n"));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_makes_no_sense_is_declined_in_words() {
    let (server, _) = with_backup(None).await;
    for (path, status, kind) in [
        (format!("{BACKUP}/files?path=nothing"), 404, "NotFound"),
        (format!("{BACKUP}/files?path=../.."), 404, "NotFound"),
        (format!("{BACKUP}/file?path=docs"), 400, "Invalid"),
        (format!("{BACKUP}/file"), 400, "Invalid"),
        (format!("{BACKUP}/search?text="), 400, "Invalid"),
        ("/api/v1/databases/web/backups/00000000/files".to_owned(), 404, "NotFound"),
        ("/api/v1/databases/web/backups/odd%20name/files".to_owned(), 400, "Invalid"),
        ("/api/v1/databases/web/compare".to_owned(), 400, "Invalid"),
        ("/api/v1/databases/nothing/compare?before=latest".to_owned(), 404, "NotFound"),
    ] {
        let (found, answer) = server.get(&path).await;
        assert_eq!((found, answer["Error"]["Kind"].as_str()), (status, Some(kind)), "{path}: {answer}");
    }
    let (status, same) = server.get("/api/v1/databases/web/compare?before=latest").await;
    assert_eq!((status, &same["Total"]), (200, &json!(0)), "{same}");
    let (_, found) = server.get(&format!("{BACKUP}/search?text=ODD")).await;
    assert_eq!(found["Entries"].as_array().unwrap().len(), 1, "{found}");
    for page in ["browse", "compare", "retention", "browse?find=odd", "browse?path=docs", "points"] {
        let (status, _, text) = server.send(&format!("GET /studio/databases/web/{page}"), &[], None).await;
        assert!(status == 200 && text.ends_with("</html>"), "{page}: {status} {text}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_gets_no_byte() {
    let (server, _) = with_backup(Some(TOKEN)).await;
    for what in ["files", "file?path=large", "archive", "search?text=o"] {
        let (head, body) = fetch(&server, &format!("{BACKUP}/{what}")).await;
        assert!(head.starts_with("HTTP/1.1 401") && body.len() < 500, "{what}: {head}");
    }
    let (head, _) = fetch(&server, "/studio/databases/web/browse").await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_is_no_whole_answer() {
    let (server, _) = with_backup(None).await;
    let repository = server.directory.path().join("backups/web/data");
    let mut damaged = 0;
    for folder in std::fs::read_dir(repository).unwrap() {
        for pack in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let pack = pack.unwrap().path();
            let mut bytes = std::fs::read(&pack).unwrap();
            // The trees lie in small packs of their own and stay as they are.
            if bytes.len() > 1_000_000 {
                let middle = bytes.len() - 500_000;
                bytes[middle] ^= 1;
                std::fs::remove_file(&pack).unwrap();
                std::fs::write(&pack, bytes).unwrap();
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 1);
    let (head, body) = fetch(&server, &format!("{BACKUP}/file?path=large")).await;
    assert!(!head.starts_with("HTTP/1.1 200") || body.len() < 3_000_000, "{head}");
    let (head, body) = fetch(&server, &format!("{BACKUP}/archive")).await;
    // A chunked answer that is whole ends with an empty chunk.
    assert!(head.starts_with("HTTP/1.1 200") && !body.ends_with(b"0\r\n\r\n"), "{head}");
    server.end().await;
}
