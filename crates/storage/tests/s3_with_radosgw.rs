//! S3 as a strict server speaks it: Ceph's gateway. It takes long to start, so that all share one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use bytes::Bytes;
use larder_model::task::{S3ObjectLockMode, S3Settings, S3StorageClass};
use larder_storage::{Availability, Storage, StorageErrorKind};
use larder_testbed::{RadosGw, Random, storage_suite, wait_until};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use support::s3;

fn open(gateway: &RadosGw, bucket: &str, change: impl FnOnce(&mut S3Settings)) -> Arc<dyn Storage> {
    s3(&gateway.url(), gateway.key(), bucket, change)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_server_finds_nothing_wrong() {
    let gateway = RadosGw::start();
    gateway.boto().make_bucket("backups");
    gateway.boto().make_bucket_with_lock("locked");

    a_bucket_passes_the_suite_and_keeps_preconditions(&gateway).await;
    large_objects_go_up_in_parts(&gateway).await;
    a_hash_that_is_known_is_sent_along_and_held_against_the_bytes(&gateway).await;
    a_hundred_uploads_that_were_cut_off_leave_nothing_behind(&gateway).await;
    a_key_without_rights_is_told_which_right_is_missing(&gateway).await;
    wrong_keys_and_missing_buckets_are_named(&gateway).await;
    classes_that_are_only_names_are_read_without_waiting(&gateway).await;
    what_is_locked_stays_and_its_lock_can_be_extended(&gateway).await;
    a_bucket_without_locks_is_named(&gateway).await;
}

async fn a_bucket_passes_the_suite_and_keeps_preconditions(gateway: &RadosGw) {
    let storage =
        open(gateway, "backups", |settings| settings.remote_folder_name = Some("some/where".to_owned()));
    assert!(!storage.capabilities().conditional_put, "nobody has seen it yet");
    storage_suite::run(&storage).await;
    assert!(storage.capabilities().conditional_put);
}

async fn a_hash_that_is_known_is_sent_along_and_held_against_the_bytes(gateway: &RadosGw) {
    let storage = open(gateway, "backups", |_| {});
    let data: Bytes = Random::new(4).bytes(1 << 20).into();
    let hash = Sha256::digest(&data).into();
    for cold in [false, true] {
        storage.put_hashed("hashed", data.clone(), &hash, cold).await.unwrap();
        assert!(storage.get("hashed").await.unwrap() == data);
        let other = data.slice(1..);
        // The hash is taken as it is: it is the server that finds that it belongs to other bytes.
        assert!(storage.put_hashed("other", other, &hash, cold).await.is_err());
        assert!(storage.stat("other").await.unwrap().is_none());
    }
    storage.delete("hashed").await.unwrap();
}

async fn large_objects_go_up_in_parts(gateway: &RadosGw) {
    for unsigned in [false, true] {
        let storage = open(gateway, "backups", |settings| settings.disable_checksum_validation = unsigned);
        let data: Bytes = Random::new(9).bytes((64 << 20) + 12_345).into();
        storage.put("large", data.clone()).await.unwrap();
        assert_eq!(storage.stat("large").await.unwrap().unwrap().size_bytes, data.len() as u64);
        assert!(storage.get("large").await.unwrap() == data);
        storage.delete("large").await.unwrap();
    }
    assert_eq!(gateway.boto().unfinished_uploads("backups"), 0);
}

async fn a_hundred_uploads_that_were_cut_off_leave_nothing_behind(gateway: &RadosGw) {
    let storage = open(gateway, "backups", |_| {});
    let large = Bytes::from(vec![7; (64 << 20) + 1]);
    let mut written = 0;
    for round in 0..100_u64 {
        // Every second one is small and goes up in one piece.
        let data = if round % 2 == 0 { large.clone() } else { large.slice(..1 << 20) };
        let path = format!("cut/{round}");
        // From the very beginning to beyond the end.
        let patience = Duration::from_millis(round * 7);
        if tokio::time::timeout(patience, storage.put(&path, data)).await.is_ok() {
            written += 1;
        }
    }
    assert!(written < 100, "none was cut off");
    let boto = gateway.boto();
    tokio::task::block_in_place(|| {
        wait_until("a bucket without unfinished uploads", Duration::from_secs(120), || {
            (boto.unfinished_uploads("backups") == 0).then_some(())
        });
    });
    for object in storage.list("cut").await.unwrap() {
        assert!(
            [1 << 20, large.len() as u64].contains(&object.size_bytes),
            "a part of an object: {object:?}"
        );
        storage.delete(&object.path).await.unwrap();
    }
}

async fn a_key_without_rights_is_told_which_right_is_missing(gateway: &RadosGw) {
    let stranger = gateway.make_stranger();
    open(gateway, "backups", |_| {}).put("mine", Bytes::from_static(b"x")).await.unwrap();
    let storage = s3(&gateway.url(), stranger, "backups", |_| {});
    let errors = [
        (storage.put("mine", Bytes::new()).await.unwrap_err(), "s3:PutObject"),
        (storage.get("mine").await.unwrap_err(), "s3:GetObject"),
        (storage.stat("mine").await.unwrap_err(), "s3:GetObject"),
        (storage.list("").await.unwrap_err(), "s3:ListBucket"),
        (storage.delete("mine").await.unwrap_err(), "s3:DeleteObject"),
    ];
    for (error, right) in errors {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        assert!(
            error.to_string().contains(&format!("lacks the right {right} on arn:aws:s3:::backups")),
            "{error}"
        );
    }
}

async fn wrong_keys_and_missing_buckets_are_named(gateway: &RadosGw) {
    let (access, secret) = gateway.key();
    for (key, field) in [(("AKNOBODY", secret), "AwsAccessKey"), ((access, "wrong"), "AwsSecretKey")] {
        let error = s3(&gateway.url(), key, "backups", |_| {}).put("a", Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    let nowhere = open(gateway, "nowhere", |_| {});
    for error in [
        nowhere.stat("a").await.unwrap_err(),
        nowhere.get("a").await.unwrap_err(),
        nowhere.put("a", Bytes::new()).await.unwrap_err(),
        nowhere.list("").await.unwrap_err(),
        nowhere.delete("a").await.unwrap_err(),
    ] {
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("no bucket 'nowhere'"), "{error}");
    }
}

async fn classes_that_are_only_names_are_read_without_waiting(gateway: &RadosGw) {
    let storage = open(gateway, "backups", |settings| settings.storage_class = Some(S3StorageClass::Glacier));
    storage.put_cold("pack", Bytes::from_static(b"a pack")).await.unwrap();
    storage.request(&["pack".to_owned()]).await.unwrap();
    assert_eq!(storage.availability("pack").await.unwrap(), Availability::Ready);
    assert_eq!(storage.get("pack").await.unwrap(), "a pack");
    let unknown = open(gateway, "backups", |settings| {
        settings.storage_class = Some(S3StorageClass::OneZoneInfrequentAccess)
    });
    let error = unknown.put_cold("pack", Bytes::from_static(b"a pack")).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
}

async fn what_is_locked_stays_and_its_lock_can_be_extended(gateway: &RadosGw) {
    let of = |days, mode| {
        open(gateway, "locked", |settings| {
            settings.object_lock_days = Some(days);
            settings.object_lock_mode = Some(mode);
        })
    };
    let storage = of(2, S3ObjectLockMode::Compliance);
    assert!(storage.capabilities().object_lock);
    storage.put("small", Bytes::from_static(b"kept")).await.unwrap();
    storage.put("large", Bytes::from(vec![7; (64 << 20) + 1])).await.unwrap();
    let days = |key: &str| {
        gateway.boto().run(&format!(
            "from datetime import datetime, timezone\n\
             r = s3.get_object_retention(Bucket='locked', Key='{key}')['Retention']\n\
             print(r['Mode'], round((r['RetainUntilDate'] - datetime.now(timezone.utc)).total_seconds() / 86400))"
        ))
    };
    assert_eq!((days("small").as_str(), days("large").as_str()), ("COMPLIANCE 2", "COMPLIANCE 2"));
    of(9, S3ObjectLockMode::Compliance).protect("small").await.unwrap();
    assert_eq!(days("small"), "COMPLIANCE 9");
    // Removing hides it; what was written is still there, and whoever looks for versions gets it back.
    storage.delete("small").await.unwrap();
    assert_eq!(storage.stat("small").await.unwrap(), None);
    let kept = gateway.boto().run(
        "from botocore.exceptions import ClientError\n\
         v = s3.list_object_versions(Bucket='locked', Prefix='small')['Versions'][0]['VersionId']\n\
         try: s3.delete_object(Bucket='locked', Key='small', VersionId=v)\n\
         except ClientError as e: print(e.response['Error']['Code'])\n\
         print(s3.get_object(Bucket='locked', Key='small', VersionId=v)['Body'].read().decode())",
    );
    assert_eq!(kept, "AccessDenied\nkept");
}

async fn a_bucket_without_locks_is_named(gateway: &RadosGw) {
    let storage = open(gateway, "backups", |settings| settings.object_lock_days = Some(1));
    let error = storage.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("was not made with object lock"), "{error}");
}
