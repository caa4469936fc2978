//! A region that is down for some runs has everything afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, Operation};
use larder_service::Service;
use larder_testbed::{Line, RcloneS3, SlowProxy};
use serde_json::json;
use std::time::{Duration, Instant};
use support::{Host, assert_completed, backup, failure};

async fn timed(host: &Host, service: &Service) -> (Duration, Operation) {
    // Each backup has a moment of its own, by which it is known, and what was left alone after many failures is asked again.
    host.clock.advance(jiff::SignedDuration::from_mins(15));
    let begun = Instant::now();
    let operation = backup(service, "web", BackupKind::Full).await;
    (begun.elapsed(), operation)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_refused_and_one_that_hung_hold_up_nobody_and_are_healed() {
    let servers = [RcloneS3::start("backups"), RcloneS3::start("backups"), RcloneS3::start("backups")];
    let address = |server: &RcloneS3| server.url().trim_start_matches("http://").parse().unwrap();
    let refusing = SlowProxy::start(address(&servers[1]), Line { refused: true, ..Line::default() });
    let hanging = SlowProxy::start(address(&servers[2]), Line { stalled: true, ..Line::default() });
    let urls =
        [servers[0].url(), format!("http://{}", refusing.address()), format!("http://{}", hanging.address())];
    let (access, secret) = servers[0].key();
    let task = json!({
        "Name": "N", "FullBackupFrequency": "0 2 * * *",
        "S3Settings": {
            "BucketName": "backups", "CustomServerUrl": urls.join(":"), "ForcePathStyle": true,
            "AwsAccessKey": access, "AwsSecretKey": secret,
        },
    });
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    service.put_server_wide(task.as_object().unwrap()).await.unwrap();

    let (took, operation) = timed(&host, &service).await;
    failure(&operation);
    let errors: Vec<_> = operation.destinations.iter().map(|one| one.error.as_deref()).collect();
    assert!(errors[0].is_none(), "{errors:?}");
    assert!(errors[1].unwrap().contains("does not answer"), "{errors:?}");
    assert!(errors[2].unwrap().contains("gave no answer"), "{errors:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");

    // The one that did not answer is not trusted to do so now.
    hanging.set_line(Line { refused: true, ..Line::default() });
    hanging.cut();
    std::fs::write(host.source_path("web").join("new"), "new").unwrap();
    let (took, operation) = timed(&host, &service).await;
    failure(&operation);
    assert!(took < Duration::from_secs(6), "{took:?}");

    refusing.set_line(Line::default());
    hanging.set_line(Line::default());
    let (_, operation) = timed(&host, &service).await;
    assert_completed(&operation);
    let healed = operation.messages.iter().filter(|message| message.contains("2 backups that it lacked"));
    assert_eq!(healed.count(), 2, "{:?}", operation.messages);
    for destination in &operation.destinations {
        let there = service.backups("web", Some(&destination.destination)).await.unwrap();
        assert_eq!(there.len(), 3, "{}", destination.destination);
    }
    service.stop().await;
}
