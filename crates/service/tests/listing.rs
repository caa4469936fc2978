//! Lists of backups at a destination where every answer takes its time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, Clock};
use larder_service::{BackupChoice, Section, Service};
use larder_testbed::GcsFake;
use serde_json::{Map, Value, json};
use support::{Host, assert_completed, backup};

/// A service that backs a tree up into a bucket, and into a directory beside it where one is named.
async fn with_bucket(host: &Host, cloud: &GcsFake, beside: Option<&std::path::Path>) -> Service {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let task = json!({
        "Name": "N",
        "FullBackupFrequency": "0 2 * * *",
        "RetentionPolicy": { "KeepLast": 9 },
        "GoogleCloudSettings": {
            "BucketName": GcsFake::BUCKET,
            "GoogleCredentialsJson": cloud.credentials(),
            "CustomServerUrl": cloud.url(),
        },
        "LocalSettings": beside.map(|folder| json!({ "FolderPath": folder })),
    });
    let task: Map<String, Value> = task.as_object().unwrap().clone();
    service.put_server_wide(&task).await.unwrap();
    service
}

async fn backups(host: &Host, service: &Service, count: usize) {
    for number in 0..count {
        std::fs::write(host.source_path("web").join("one"), format!("it is the {number}th\n")).unwrap();
        assert_completed(&backup(service, "web", BackupKind::Full).await);
        host.pass(service, 1).await;
    }
}

/// Counts how many snapshots were read since a number of requests.
fn reads(cloud: &GcsFake, since: usize) -> usize {
    let requests = cloud.requests();
    let read = |request: &&String| request.starts_with("GET ") && request.contains("snapshots");
    requests[since..].iter().filter(read).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_read_for_the_first_list_that_shows_it_and_for_no_later_one() {
    let host = Host::new();
    let cloud = GcsFake::start();
    let service = with_bucket(&host, &cloud, None).await;
    backups(&host, &service, 3).await;
    let since = cloud.requests().len();
    let first = service.backups("web", None).await.unwrap();
    assert_eq!((first.len(), reads(&cloud, since)), (3, 3));

    let since = cloud.requests().len();
    assert_eq!(service.backups("web", None).await.unwrap(), first);
    let outlook = service.retention_outlook("web", None, None, None, host.clock.now()).await.unwrap();
    assert_eq!(outlook[0].backups.len(), 3);
    assert_eq!(reads(&cloud, since), 0, "lists and foretelling are made of what is known");

    // Of one that is looked into, only that is read.
    let (latest, all) = (BackupChoice::Latest, Section { start: 0, count: 9 });
    let looked = service.stored_directory("web", None, latest, "".parse().unwrap(), all).await.unwrap();
    assert_eq!((looked.backup.id, reads(&cloud, since)), (first[0].id.clone(), 1));

    backups(&host, &service, 1).await;
    let since = cloud.requests().len();
    let now = service.backups("web", None).await.unwrap();
    assert_eq!((now.len(), reads(&cloud, since)), (4, 1));
    assert_eq!(now[1..], first);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_destination_is_asked_and_one_that_cannot_be_read_is_an_error() {
    let host = Host::new();
    let cloud = GcsFake::start();
    let service = with_bucket(&host, &cloud, Some(&host.backups())).await;
    backups(&host, &service, 2).await;
    let listed = service.backups("web", None).await.unwrap();
    let places: Vec<&str> = listed.iter().map(|point| point.destination.as_str()).collect();
    assert_eq!(places.len(), 4);
    assert!(places.contains(&"Local") && places.iter().any(|place| *place != "Local"), "{places:?}");
    cloud.forbid();
    let refused = service.backups("web", None).await.unwrap_err().to_string();
    assert!(refused.contains("does not have"), "{refused}");
    assert_eq!(service.backups("web", Some("Local")).await.unwrap().len(), 2);
    service.stop().await;
}
