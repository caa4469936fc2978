//! Operations as RavenDB's clients poll them, list them, end them and are told of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::Running;
use support::socket::{Frame, Socket};

/// A server with the tree `alpha` and a task that backs it up; returns it with the operation of a first backup.
async fn with_backup() -> (Running, u64) {
    let server = Running::start(None).await;
    server.add_tree("alpha").await;
    let task = json!({
        "Name": "Nightly", "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": server.backups() },
    });
    let (status, _, answer) = server.send("PUT /api/v1/tasks", &[], Some(&task.to_string())).await;
    assert_eq!(status, 200, "{answer}");
    let operation = back_up(&server).await;
    (server, operation)
}

/// Makes a full backup and waits for its end.
async fn back_up(server: &Running) -> u64 {
    let (_, _, answer) =
        server.send("POST /api/v1/databases/alpha/backups", &[], Some("{\"Kind\":\"Full\"}")).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let operation = answer["Operations"][0].as_u64().unwrap();
    let (status, answer) = server.get(&format!("/api/v1/operations/{operation}/wait?seconds=60")).await;
    assert_eq!((status, &answer["Status"]), (200, &json!("Completed")), "{answer}");
    operation
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_polled_until_it_ended() {
    let (server, id) = with_backup().await;
    for route in ["/databases/alpha/operations/state", "/operations/state"] {
        let answer = server.raven(&format!("GET {route}?id={id}&nodeTag=A"), None).await;
        let state = answer.body;
        assert_eq!(state["$type"], "Raven.Client.Documents.Operations.OperationState, Raven.Client");
        assert_eq!((&state["Status"], &state["Progress"]), (&json!("Completed"), &Value::Null));
        let result = &state["Result"];
        assert_eq!(result["$type"], "Raven.Client.Documents.Operations.Backups.BackupResult, Raven.Client");
        assert!(result["Documents"]["ReadCount"].as_u64().unwrap() >= 2, "{result}");
        assert!(result["Documents"]["SizeInBytes"].as_u64().unwrap() >= 29, "{result}");
        assert_eq!(result["Documents"]["Attachments"]["Processed"], true);
        assert_eq!(result["Indexes"]["StartTime"], "2026-03-01T12:00:00.0000000Z");
        assert_eq!(
            (&result["S3Backup"]["Skipped"], &result["Indexes"]["ReadCount"]),
            (&json!(true), &json!(0))
        );
        assert_eq!(result["Larder"]["Id"], id);
        assert!(result["Messages"][0].as_str().unwrap().starts_with("[12:00:00 INFO] "), "{result}");
        assert_eq!(result["LocalBackup"]["FileName"].as_str().unwrap().len(), 64, "{result}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_an_empty_404() {
    let (server, id) = with_backup().await;
    server.add_tree("beta").await;
    for path in [
        "/databases/alpha/operations/state?id=99999".to_owned(),
        "/operations/state?id=99999".to_owned(),
        // The operation is another database's.
        format!("/databases/beta/operations/state?id={id}"),
    ] {
        let answer = server.raven(&format!("GET {path}"), None).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, ""), "{path}");
        assert_eq!(answer.header("content-length"), Some("0"), "{path}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_runs_or_waits_can_be_ended() {
    let (server, id) = with_backup().await;
    for number in [id, 987_654] {
        let answer = server.raven(&format!("POST /databases/alpha/operations/kill?id={number}"), None).await;
        assert_eq!((answer.status, &answer.body["Type"]), (500, &json!("System.ArgumentException")));
        assert_eq!(answer.body["Message"], format!("Operation {number} was not registered"));
    }
    let answer = server.raven("POST /admin/operations/kill", None).await;
    assert_eq!(answer.body["Message"], "Query string id is mandatory, but wasn't specified.");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_listed_and_numbered() {
    let (server, id) = with_backup().await;
    let answer = server.raven("GET /databases/alpha/operations", None).await;
    let listed = &answer.body["Results"][0];
    assert_eq!((&listed["Id"], &listed["Killable"]), (&json!(id), &json!(false)));
    assert_eq!(listed["Description"]["TaskType"], "DatabaseBackup");
    assert_eq!(listed["State"]["Status"], "Completed");
    let answer = server.raven("GET /databases/alpha/operations/next-operation-id", None).await;
    assert_eq!(answer.body, json!({ "Id": id + 1, "NodeTag": "A" }));
    let answer = server.raven("GET /admin/operations/next-operation-id", None).await;
    assert_eq!(answer.body, json!({ "Id": id + 1 }));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_kept_until_a_later_run_makes_them_moot() {
    let (server, first) = with_backup().await;
    let second = back_up(&server).await;
    assert!(second > first);
    for route in ["/databases/alpha/notifications", "/admin/server/notifications"] {
        let answer = server.raven(&format!("GET {route}?pageSize=10"), None).await;
        assert_eq!(answer.body["TotalResults"], 1, "{answer:?}");
        let told = &answer.body["Results"][0];
        assert_eq!(told["Id"], format!("OperationChanged/{second}"));
        assert_eq!((&told["Type"], &told["Severity"]), (&json!("OperationChanged"), &json!("Success")));
        assert_eq!((&told["Title"], &told["Database"]), (&json!("Database Backup"), &json!("alpha")));
        assert_eq!(told["State"]["Status"], "Completed");
        assert_eq!(told["IsPersistent"], true);
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_is_told_what_stands_and_then_what_happens() {
    let (server, first) = with_backup().await;
    for route in ["/databases/alpha/notification-center/watch", "/server/notification-center/watch"] {
        let mut socket = Socket::open(&server, route, "").await.unwrap();
        socket.until(|told| told["Type"] == "OperationChanged" && told["OperationId"] != 0).await;
        let operation = back_up(&server).await;
        let ended = |told: &Value| told["OperationId"] == operation && told["State"]["Status"] == "Completed";
        let told = socket.until(ended).await;
        assert_eq!((&told["Severity"], &told["Killable"]), (&json!("Success"), &json!(false)));
        let told = socket.until(|told| told["Type"] == "NotificationUpdated").await;
        assert_eq!(told["UpdateType"], "Dismissed");
        let id = told["NotificationId"].as_str().unwrap().strip_prefix("OperationChanged/").unwrap();
        assert!((first..operation).contains(&id.parse().unwrap()), "{id}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_for_an_operation_over_the_line_of_changes() {
    let (server, first) = with_backup().await;
    let mut socket = Socket::open(&server, "/databases/alpha/changes", "").await.unwrap();
    socket
        .say(&json!({ "CommandId": 1, "Command": "watch-operation", "Param": first.to_string() }).to_string())
        .await;
    let confirmed = socket.until(|_| true).await;
    assert_eq!(confirmed, json!({ "Type": "Confirm", "CommandId": 1 }));
    let told = socket.until(|_| true).await;
    assert_eq!(
        (&told["Type"], &told["Value"]["OperationId"]),
        (&json!("OperationStatusChange"), &json!(first))
    );
    assert_eq!(told["Value"]["State"]["Status"], "Completed");

    socket
        .say("{\"CommandId\":2,\"Command\":\"watch-operations\"} {\"CommandId\":3,\"Command\":\"dance\"}")
        .await;
    assert_eq!(socket.until(|_| true).await, json!({ "Type": "Confirm", "CommandId": 2 }));
    let refused = socket.until(|_| true).await;
    assert_eq!((&refused["Type"], &refused["CommandId"]), (&json!("Error"), &json!(3)));
    socket.say("not json").await;
    assert_eq!(socket.until(|_| true).await["Type"], "Error");
    let operation = back_up(&server).await;
    socket
        .until(|told| {
            told["Value"]["OperationId"] == operation && told["Value"]["State"]["Status"] == "Completed"
        })
        .await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_end_with_the_server_and_are_kept_from_strangers() {
    let (server, _) = with_backup().await;
    let route = "/server/notification-center/watch";
    let refused = Socket::open(&server, route, "Origin: http://elsewhere.example\r\n").await.map(|_| ());
    assert!(refused.unwrap_err().starts_with("HTTP/1.1 403"));
    let missing = Socket::open(&server, "/databases/nosuch/changes", "").await.map(|_| ());
    assert!(missing.unwrap_err().starts_with("HTTP/1.1 500"));
    let answer = server.raven(&format!("GET {route}"), None).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.body["Type"], "Raven.Client.Exceptions.BadRequestException");

    let mut socket = Socket::open(&server, "/databases/alpha/changes", "").await.unwrap();
    server.end().await;
    assert!(matches!(socket.frame().await, Frame::Close));
}
