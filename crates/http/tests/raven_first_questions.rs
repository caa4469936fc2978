//! What RavenDB's clients ask before anything else, and how their requests are declined.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_http::HttpSettings;
use serde_json::{Value, json};
use support::{Running, TOKEN, settings};

const VERSION: &str = "7.2.7.72051";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_where_the_client_asked() {
    let server = Running::start(None).await;
    server.add_tree("alpha").await;
    let asked = "GET /topology?name=alpha&first-topology-update&applicationIdentifier=1";
    for host in [server.address.to_string(), format!("localhost:{}", server.address.port())] {
        let answer = server.raven_as(asked, &[("Host", &host)], None).await;
        let url = format!("http://{host}");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("raven-server-version"), Some(VERSION));
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        let node = json!({
            "Url": url, "ClusterTag": "A", "ServerRole": "Member", "Database": "alpha", "ServerVersion": VERSION,
        });
        assert_eq!(answer.body, json!({ "Promotables": [], "Nodes": [node], "Etag": 1 }));
        let cluster = server
            .raven_as("GET /cluster/topology?first-topology-update", &[("Host", &host)], None)
            .await
            .body;
        assert_eq!(cluster["Topology"]["Members"]["A"], url.as_str());
        assert_eq!(cluster["Topology"]["AllNodes"]["A"], url.as_str());
        assert_eq!(cluster["@metadata"]["WebUrl"], url.as_str());
        assert_eq!((&cluster["Leader"], &cluster["NodeTag"]), (&json!("A"), &json!("A")));
        assert_eq!(cluster["CurrentState"], "Leader");
        assert!(cluster["NodeLicenseDetails"]["A"]["NumberOfCores"].as_u64().unwrap() >= 1);
        assert_eq!(cluster["Topology"]["TopologyId"].as_str().unwrap().len(), 36);
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_sent_to_the_public_address_where_there_is_one() {
    let public_url = Some("https://backup.example/".to_owned());
    let server = Running::start_with(HttpSettings { public_url, ..settings("127.0.0.1:0", None) }).await;
    server.add_tree("alpha").await;
    let answer = server.raven("GET /topology?name=alpha", None).await;
    assert_eq!(answer.body["Nodes"][0]["Url"], "https://backup.example");
    let answer = server.raven("GET /cluster/topology", None).await;
    assert_eq!(answer.body["Topology"]["Members"], json!({ "A": "https://backup.example" }));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_no_address_is_never_repeated_as_one() {
    let server = Running::start(Some(TOKEN)).await;
    let bearer = format!("Bearer {TOKEN}");
    for host in ["evil.example/path", "user@evil.example", "evil.example?x", "a b"] {
        let headers = [("Host", host), ("Authorization", bearer.as_str())];
        let answer = server.raven_as("GET /cluster/topology", &headers, None).await;
        if answer.status == 200 {
            let own = format!("http://{}", server.address);
            assert_eq!(answer.body["Topology"]["Members"]["A"], own, "{host}");
        }
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_said_so_in_each_routes_own_way() {
    let server = Running::start(None).await;
    let answer = server.raven("GET /topology?name=nosuch", None).await;
    assert_eq!((answer.status, answer.header("database-missing")), (503, Some("nosuch")));
    assert_eq!(answer.body, json!({ "Type": "Error", "Message": "Database nosuch wasn't found" }));

    let answer = server.raven("GET /databases?name=nosuch", None).await;
    assert_eq!((answer.status, answer.header("database-missing")), (404, Some("nosuch")));
    assert_eq!((answer.header("content-length"), answer.text.as_str()), (Some("0"), ""));

    for path in ["operations/state?id=1", "docs?id=a/1", "operations/next-operation-id", "notifications"] {
        let url = format!("/databases/nosuch/{path}");
        let answer = server.raven(&format!("GET {url}"), None).await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(answer.body["Url"], url.as_str());
        assert_eq!(answer.body["Type"], "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException");
        assert_eq!(answer.body["Message"], "Database 'nosuch' does not exist.");
        assert!(answer.body["Error"].as_str().unwrap().starts_with("Raven.Client.Exceptions.Database."));
        assert_eq!(answer.header("raven-server-version"), None);
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_not_there_is_named() {
    let server = Running::start(None).await;
    server.add_tree("alpha").await;
    for request in ["GET /databases/alpha/docs?id=1", "POST /build/version", "GET /admin/nothing/here"] {
        let answer = server.raven(request, None).await;
        assert_eq!(answer.status, 400, "{request}: {answer:?}");
        assert_eq!(answer.body["Type"], "Raven.Client.Exceptions.Routing.RouteNotFoundException");
        assert_eq!(answer.body["Message"], format!("There is no handler for path: {request}"));
        assert_eq!(answer.header("raven-server-version"), None);
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_the_one_whose_wire_is_spoken() {
    let server = Running::start(None).await;
    let answer = server.raven("GET /build/version", None).await;
    assert_eq!(answer.body["FullVersion"], "7.2.7");
    assert_eq!(answer.body["BuildVersion"], 72051);
    assert_eq!(answer.body["ProductVersion"], "7.2");
    assert_eq!(answer.header("server-startup-time"), Some("2026-03-01T12:00:00.0000000Z"));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_named_and_described() {
    let server = Running::start(None).await;
    for name in ["beta", "alpha", "gamma"] {
        server.add_tree(name).await;
    }
    let names = |answer: support::Answer| answer.body["Databases"].clone();
    let answer = server.raven("GET /databases?start=0&pageSize=25&namesOnly=true", None).await;
    assert_eq!(names(answer), json!(["alpha", "beta", "gamma"]));
    let answer = server.raven("GET /databases?start=1&pageSize=1&namesOnly=true", None).await;
    assert_eq!(names(answer), json!(["beta"]));

    let answer = server.raven("GET /databases?name=alpha", None).await;
    let info = &answer.body["Databases"][0];
    assert_eq!((&info["Name"], &info["LockMode"]), (&json!("alpha"), &json!("Unlock")));
    assert_eq!(info["UpTime"], "00:00:00");
    assert_eq!(info["BackupInfo"]["LastBackup"], Value::Null);
    assert_eq!(info["BackupInfo"]["BackupTaskType"], "Periodic");
    assert_eq!(info["NodesTopology"]["Members"][0]["NodeTag"], "A");
    assert_eq!(info["TotalSize"]["HumaneSize"], "0 Bytes");
    let all = server.raven("GET /databases", None).await;
    assert_eq!(all.body["Databases"].as_array().unwrap().len(), 3);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_gets_its_small_questions_answered() {
    let server = Running::start(None).await;
    server.add_tree("alpha").await;
    let cron = "/studio-tasks/next-cron-expression-occurrence?expression=";
    let answer = server.raven(&format!("GET {cron}0%202%20*%20*%20*"), None).await;
    let expected = json!({
        "IsValid": true, "Utc": "2026-03-02T02:00:00.0000000Z", "ServerTime": "2026-03-02T02:00:00.0000000",
    });
    assert_eq!(answer.body, expected);
    let answer = server.raven(&format!("GET {cron}bad"), None).await;
    assert_eq!((answer.status, &answer.body["IsValid"]), (200, &json!(false)));
    assert!(answer.body["ErrorMessage"].as_str().unwrap().contains("bad"));
    assert_eq!(server.raven(&format!("GET {cron}"), None).await.status, 500);

    let directory = server.directory.path().join("not/there/yet");
    for route in ["/admin/server-wide", "/databases/alpha/admin"] {
        let request = format!("GET {route}/backup-data-directory?path={}", directory.display());
        let answer = server.raven(&request, None).await;
        assert_eq!(answer.body["FullPath"], directory.display().to_string());
        assert!(answer.body["TotalSpaceInBytes"].as_u64().unwrap() > 0, "{answer:?}");
        assert!(answer.body["FreeSpaceHumane"].as_str().unwrap().ends_with("Bytes"), "{answer:?}");
        assert_eq!((&answer.body["NodeTag"], &answer.body["Error"]), (&json!("A"), &Value::Null));
    }
    let allowed = json!({ "LocalRootPath": null, "AllowedAwsRegions": null, "AllowedDestinations": null });
    for route in ["/admin/configuration/server-wide", "/databases/alpha/admin/periodic-backup/config"] {
        assert_eq!(server.raven(&format!("GET {route}"), None).await.body, allowed);
    }
    let tried = "/studio-tasks/periodic-backup/test-credentials";
    let settings = json!({ "BucketName": "b", "AwsSecretKey": "do-not-repeat" });
    let answer = server.raven(&format!("POST {tried}?type=S3"), Some(settings.clone())).await;
    assert_eq!((answer.status, &answer.body["Success"]), (200, &json!(false)));
    assert!(!answer.text.contains("do-not-repeat"));
    assert_eq!(server.raven(&format!("POST {tried}?type=Floppy"), Some(settings)).await.status, 500);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_need_no_media_type_but_must_be_json_of_a_reasonable_size() {
    let server = Running::start(None).await;
    let route = "/studio-tasks/periodic-backup/test-credentials?type=S3";
    for wrong in ["{bad", "", "[]", "7", "null", "{\"a\":"] {
        let headers = [("Content-Type", "")];
        let (status, _, answer) = server.send(&format!("POST {route}"), &headers, Some(wrong)).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &answer["Type"]), (500, &json!("System.IO.InvalidDataException")), "{wrong}");
        assert_eq!(answer["Url"], route);
    }
    let (status, _, answer) =
        server.send(&format!("POST {route}"), &[("Content-Length", "99999999")], None).await;
    assert_eq!(status, 413, "{answer}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_is_refused_as_clients_understand_it() {
    let server = Running::start(Some(TOKEN)).await;
    let answer = server.raven("GET /databases?namesOnly=true", None).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["Type"], "Raven.Client.Exceptions.Security.AuthorizationException");
    assert_eq!(answer.body["Url"], "/databases?namesOnly=true");
    let bearer = format!("Bearer {TOKEN}");
    let answer = server.raven_as("GET /databases?namesOnly=true", &[("Authorization", &bearer)], None).await;
    assert_eq!(answer.status, 200);
    server.end().await;
}
