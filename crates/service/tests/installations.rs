//! Destinations that several installations share, that lack something, or that the administrator no longer allows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::task::{DestinationKind, RetentionPolicy};
use larder_model::{BackupKind, OperationStatus};
use support::{Host, assert_completed, backup, ended, failure, put, with_second};

#[tokio::test(flavor = "multi_thread")]
async fn what_another_installation_wrote_is_said_and_never_pruned() {
    let mut first = Host::new();
    first.settings.identifier = "first".to_owned();
    let shared = first.directory.join("shared");
    let mut task = support::task("Shared", &shared);
    task.periodic.minimum_backups_to_keep = Some(1);
    task.periodic.retention_policy = Some(RetentionPolicy { keep_last: Some(1), ..Default::default() });
    let service = first.start().await;
    service.add_source(first.tree("web")).await.unwrap();
    put(&service, task.clone()).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    service.stop().await;
    drop(service);

    let mut second = Host::new();
    second.settings.identifier = "second".to_owned();
    let service = second.start().await;
    service.add_source(second.tree("web")).await.unwrap();
    put(&service, task).await.unwrap();
    let mut freed = Vec::new();
    for round in 0..3 {
        std::fs::write(second.source_path("web").join("one"), format!("round {round}\n")).unwrap();
        second.pass(&service, 7).await;
        let operation = backup(&service, "web", BackupKind::Full).await;
        assert_completed(&operation);
        let told = operation.messages.join("\n");
        assert!(told.contains("another installation (first)"), "{told}");
        freed.extend(operation.messages.into_iter().filter(|message| message.contains("bytes freed")));
    }
    assert_eq!(freed, Vec::<String>::new());
    let compared = service.compare_destinations("web").await.unwrap();
    assert_eq!(compared[0].other_installations, ["first"]);
    assert_eq!(compared[0].backups, 2, "the other one's, and the last of this one");
    let tested = service.test_task(None, "Shared", None).await.unwrap();
    assert!(tested[0].works && tested[0].other_installations == ["first"], "{tested:#?}");
    service.stop().await;

    let service = first.start().await;
    let operation =
        service.check("web", None, larder_service::CheckDepth { read_data: true, part: None }).await.unwrap();
    assert_completed(&ended(&service, operation).await);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_lacks_is_said_and_brought_when_somebody_asks() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let second = host.directory.join("second");
    put(&service, with_second(host.nightly(), "second", &second)).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let away = host.directory.join("away");
    std::fs::rename(&second, &away).unwrap();
    std::fs::write(host.source_path("web").join("new"), "new").unwrap();
    let partial = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&partial).contains("second"), "{:?}", partial.error);
    std::fs::rename(&away, &second).unwrap();

    let compared = service.compare_destinations("web").await.unwrap();
    let lacking: Vec<_> =
        compared.iter().map(|one| (one.destination.name.as_str(), one.lacking.len())).collect();
    assert_eq!(lacking, [("Local", 0), ("second", 1)]);
    assert!(compared[1].lacking_objects > 0 && compared[1].lacking_bytes > 0, "{compared:#?}");
    let unknown = service.heal("web", Some("third")).await.unwrap_err();
    assert!(unknown.to_string().contains("Local, second"), "{unknown}");
    let id = service.heal("web", Some("second")).await.unwrap();
    let healed = ended(&service, id).await;
    assert_completed(&healed);
    assert!(healed.messages.iter().any(|message| message.contains("1 backup that it lacked")), "{healed:#?}");
    let compared = service.compare_destinations("web").await.unwrap();
    assert!(compared.iter().all(|one| one.is_complete()), "{compared:#?}");
    let again = service.heal("web", None).await.unwrap();
    assert_completed(&ended(&service, again).await);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_administrator_no_longer_allows_fails_at_the_next_run() {
    let mut host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    put(&service, host.nightly()).await.unwrap();
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    service.stop().await;
    drop(service);
    host.settings.allowed_destinations = Some(vec![DestinationKind::S3]);
    let service = host.start().await;
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&operation).contains("not allowed"), "{:?}", operation.error);
    service.stop().await;
    drop(service);
    host.settings.allowed_destinations = None;
    host.settings.local_root = Some(host.directory.join("elsewhere"));
    let service = host.start().await;
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&operation).contains("only below"), "{:?}", operation.error);
    assert_eq!(operation.status, OperationStatus::Faulted);
    service.stop().await;
}
