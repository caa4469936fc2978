//! Databases made and deleted, restore points and restores, as RavenDB's clients ask for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::Running;

async fn create(server: &Running, name: &str) -> support::Answer {
    let request = format!("PUT /admin/databases?name={name}&replicationFactor=1&?raft-request-id=1");
    server.raven(&request, Some(json!({ "DatabaseName": name, "Settings": {}, "Disabled": false }))).await
}

async fn names(server: &Running) -> Value {
    server.raven("GET /databases?namesOnly=true", None).await.body["Databases"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_gets_its_derived_task_and_is_deleted() {
    let server = Running::start(None).await;
    let task = json!({
        "Name": "Nightly", "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": server.backups() },
    });
    server.raven("PUT /admin/configuration/server-wide/backup", Some(task)).await;
    let answer = create(&server, "Products").await;
    assert_eq!((answer.status, &answer.body["Name"]), (201, &json!("Products")), "{answer:?}");
    assert_eq!(answer.body["Topology"]["Members"], json!(["A"]));
    assert_eq!(answer.body["NodesAddedTo"], json!([format!("http://{}", server.address)]));
    assert_eq!(
        (&answer.body["ShardsDefined"], &answer.body["Topology"]["ReplicationFactor"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(names(&server).await, json!(["Products"]));
    let tasks = server.raven("GET /databases/Products/tasks", None).await.body;
    assert_eq!(tasks["OngoingTasks"][0]["TaskName"], "Server Wide Backup, Nightly");

    let again = create(&server, "Products").await;
    assert_eq!(
        (again.status, &again.body["Type"]),
        (409, &json!("Raven.Client.Exceptions.ConcurrencyException"))
    );
    assert_eq!(again.body["Message"], "Database 'Products' already exists!");
    let request = "PUT /admin/databases?name=bad%20name*&replicationFactor=1";
    let bad = server.raven(request, Some(json!({ "DatabaseName": "bad name*" }))).await;
    assert_eq!((bad.status, &bad.body["Type"]), (400, &json!("Raven.Client.Exceptions.BadRequestException")));
    let other = server.raven("PUT /admin/databases?name=x", Some(json!({ "DatabaseName": "y" }))).await;
    assert_eq!(other.body["Name"], "y", "the name in the body wins");

    let delete = |names: Value| json!({ "DatabaseNames": names, "HardDelete": true, "FromNodes": null });
    let answer = server.raven("DELETE /admin/databases", Some(delete(json!(["nosuch"])))).await;
    assert_eq!((answer.status, answer.body), (200, json!({ "RaftCommandIndex": -1, "PendingDeletes": [] })));
    let answer = server.raven("DELETE /admin/databases", Some(delete(json!(["Products", "y"])))).await;
    assert_eq!((answer.status, &answer.body["PendingDeletes"]), (200, &json!([])), "{answer:?}");
    assert!(answer.body["RaftCommandIndex"].as_i64().unwrap() > 0);
    assert_eq!(names(&server).await, json!([]));
    let missing = server.raven("GET /admin/databases?name=Products", None).await;
    assert_eq!((missing.status, missing.header("database-missing")), (404, Some("Products")));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_other_sources_are_not_deleted() {
    let server = Running::start(None).await;
    server.add_tree("alpha").await;
    let body = json!({ "DatabaseNames": ["alpha"], "HardDelete": true });
    let answer = server.raven("DELETE /admin/databases", Some(body)).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(names(&server).await, json!(["alpha"]));
    assert!(server.directory.path().join("trees/alpha/one.txt").exists());
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_found_at_its_place_and_restored_under_a_new_name_only() {
    let server = Running::start(None).await;
    create(&server, "Products").await;
    let once = json!({ "BackupType": "Backup", "LocalSettings": { "FolderPath": server.backups() } });
    let answer = server.raven("POST /databases/Products/admin/backup", Some(once)).await;
    let id = answer.body["OperationId"].clone();
    let (_, ended) = server.get(&format!("/api/v1/operations/{id}/wait?seconds=60")).await;
    assert_eq!(ended["Status"], "Completed", "{ended}");

    let settings = json!({ "FolderPath": server.backups() });
    let answer = server.raven("POST /admin/restore/points?type=Local", Some(settings)).await;
    let point = &answer.body["List"][0];
    assert_eq!((answer.status, &point["DatabaseName"]), (200, &json!("Products")), "{answer:?}");
    assert_eq!((&point["IsIncremental"], &point["NodeTag"]), (&json!(false), &json!("A")));
    assert_eq!(point["DateTime"], "2026-03-01T12:00:00.0000000");
    let location = point["Location"].as_str().unwrap().to_owned();
    let nowhere = json!({ "FolderPath": format!("{}/nope", server.backups()) });
    let answer = server.raven("POST /admin/restore/points?type=Local", Some(nowhere)).await;
    assert_eq!(answer.status, 500, "{answer:?}");

    let restore =
        |name: &str, place: &str| json!({ "Type": "Local", "DatabaseName": name, "BackupLocation": place });
    let answer = server.raven("POST /admin/restore/database", Some(restore("Copy", &location))).await;
    assert_eq!((answer.status, &answer.body["OperationNodeTag"]), (200, &json!("A")), "{answer:?}");
    let id = answer.body["OperationId"].clone();
    server.get(&format!("/api/v1/operations/{id}/wait?seconds=60")).await;
    let state = server.raven(&format!("GET /operations/state?id={id}"), None).await.body;
    assert_eq!(state["Status"], "Completed", "{state}");
    assert_eq!(state["Result"]["$type"], "Raven.Client.ServerWide.Operations.RestoreResult, Raven.Client");
    assert_eq!(names(&server).await, json!(["Copy", "Products"]));

    let answer = server.raven("POST /admin/restore/database", Some(restore("Products", &location))).await;
    if answer.status == 200 {
        let id = answer.body["OperationId"].clone();
        server.get(&format!("/api/v1/operations/{id}/wait?seconds=60")).await;
        let state = server.raven(&format!("GET /operations/state?id={id}"), None).await.body;
        assert_eq!(state["Status"], "Faulted", "{state}");
    }
    assert_eq!(names(&server).await, json!(["Copy", "Products"]), "a refused restore deletes nothing");
    let nowhere = restore("Other", &format!("{}/nope", server.backups()));
    let answer = server.raven("POST /admin/restore/database", Some(nowhere)).await;
    assert_eq!(
        (answer.status, &answer.body["Type"]),
        (500, &json!("System.ArgumentException")),
        "{answer:?}"
    );
    server.end().await;
}
