//! S3 with archive classes, as moto imitates them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{S3Settings, S3StorageClass};
use larder_storage::{Availability, Storage, StorageErrorKind};
use larder_testbed::{Moto, storage_suite, wait_until};
use std::sync::Arc;
use std::time::Duration;
use support::s3;

const KEY: (&str, &str) = ("AKMOTO", "SKMOTO");

fn start() -> Moto {
    let moto = Moto::start();
    moto.boto(KEY.0, KEY.1).make_bucket("backups");
    moto
}

fn open(moto: &Moto, change: impl FnOnce(&mut S3Settings)) -> Arc<dyn Storage> {
    s3(&moto.url(), KEY, "backups", change)
}

fn of_class(moto: &Moto, class: S3StorageClass) -> Arc<dyn Storage> {
    open(moto, |settings| settings.storage_class = Some(class))
}

fn class_of(moto: &Moto, key: &str) -> String {
    moto.boto(KEY.0, KEY.1)
        .run(&format!("print(s3.head_object(Bucket='backups', Key='{key}').get('StorageClass', 'STANDARD'))"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_passes_the_suite() {
    let moto = start();
    storage_suite::run(&open(&moto, |_| {})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_archive_class_only_data_is_cold_and_must_be_asked_for() {
    let moto = start();
    for (class, name) in [(S3StorageClass::Glacier, "GLACIER"), (S3StorageClass::DeepArchive, "DEEP_ARCHIVE")]
    {
        let storage = of_class(&moto, class);
        assert!(storage.capabilities().cold);
        let (data, index) = (format!("{name}/data"), format!("{name}/index"));
        storage.put_cold(&data, Bytes::from_static(b"a pack")).await.unwrap();
        storage.put(&index, Bytes::from_static(b"an index")).await.unwrap();
        assert_eq!(
            (class_of(&moto, &data), class_of(&moto, &index)),
            (name.to_owned(), "STANDARD".to_owned())
        );
        assert_eq!(storage.availability(&index).await.unwrap(), Availability::Ready);
        assert_eq!(storage.availability(&data).await.unwrap(), Availability::Cold);
        let error = storage.get(&data).await.unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Cold, "{error}");
        assert_eq!(storage.get_range(&data, 0..2).await.unwrap_err().kind, StorageErrorKind::Cold);
        // What is readable already and what was asked for already are no errors.
        let both = [data.clone(), index.clone()];
        storage.request(&both).await.unwrap();
        storage.request(&both).await.unwrap();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            wait_until("an object that can be read", Duration::from_secs(20), || {
                let found = runtime.block_on(storage.availability(&data)).unwrap();
                assert_ne!(found, Availability::Cold);
                (found == Availability::Ready).then_some(())
            });
        });
        assert_eq!(storage.get(&data).await.unwrap(), "a pack");
        assert_eq!(storage.get(&index).await.unwrap(), "an index");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_and_looking_at_what_is_not_there_says_so() {
    let moto = start();
    let storage = of_class(&moto, S3StorageClass::Glacier);
    assert_eq!(storage.availability("nothing").await.unwrap_err().kind, StorageErrorKind::NotFound);
    assert_eq!(storage.request(&["nothing".to_owned()]).await.unwrap_err().kind, StorageErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_class_takes_everything_but_the_one_that_is_paid_by_the_read() {
    let moto = start();
    let classes = [
        (S3StorageClass::Standard, "STANDARD", "STANDARD"),
        (S3StorageClass::StandardInfrequentAccess, "STANDARD_IA", "STANDARD"),
        (S3StorageClass::OneZoneInfrequentAccess, "ONEZONE_IA", "STANDARD"),
        (S3StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY", "STANDARD"),
        (S3StorageClass::IntelligentTiering, "INTELLIGENT_TIERING", "STANDARD"),
        (S3StorageClass::GlacierInstantRetrieval, "GLACIER_IR", "STANDARD"),
    ];
    for (class, of_data, of_index) in classes {
        let storage = of_class(&moto, class);
        assert!(!storage.capabilities().cold, "{class:?}");
        storage.put_cold("data", Bytes::from_static(b"a pack")).await.unwrap();
        storage.put("index", Bytes::from_static(b"an index")).await.unwrap();
        assert_eq!(
            (class_of(&moto, "data").as_str(), class_of(&moto, "index").as_str()),
            (of_data, of_index)
        );
        assert_eq!(storage.get("data").await.unwrap(), "a pack");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_goes_up_in_parts_in_its_class() {
    let moto = start();
    let storage = of_class(&moto, S3StorageClass::StandardInfrequentAccess);
    let data = Bytes::from(vec![7; (64 << 20) + 1]);
    storage.put_cold("large", data.clone()).await.unwrap();
    assert_eq!(class_of(&moto, "large"), "STANDARD_IA");
    assert!(storage.get("large").await.unwrap() == data);
    assert_eq!(moto.boto(KEY.0, KEY.1).unfinished_uploads("backups"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_costs_more_requests_than_it_needs() {
    let moto = start();
    let storage = open(&moto, |settings| settings.remote_folder_name = Some("db".to_owned()));
    let before = moto.requests().len();
    storage.put("config", Bytes::from_static(b"x")).await.unwrap();
    storage.put_cold("data/ab/one", Bytes::from_static(b"xyz")).await.unwrap();
    storage.get("config").await.unwrap();
    storage.get_range("data/ab/one", 1..3).await.unwrap();
    storage.stat("config").await.unwrap();
    assert_eq!(storage.stat("nothing").await.unwrap(), None);
    storage.list("data").await.unwrap();
    storage.delete("data/ab/one").await.unwrap();
    // The line about a request may come after its answer.
    wait_until("the line about the last request", Duration::from_secs(5), || {
        moto.requests().iter().any(|request| request.starts_with("DELETE")).then_some(())
    });
    let requests = moto.requests().split_off(before);
    let requests: Vec<_> = requests.iter().map(|request| request.trim_end_matches(" HTTP/1.1")).collect();
    assert_eq!(
        requests,
        [
            "PUT /backups/db/config",
            "PUT /backups/db/data/ab/one",
            "GET /backups/db/config",
            "GET /backups/db/data/ab/one",
            "HEAD /backups/db/config",
            "HEAD /backups/db/nothing",
            "GET /backups?encoding-type=url&list-type=2&prefix=db/data/",
            "DELETE /backups/db/data/ab/one",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_named_and_right_ones_taken() {
    let (moto, access, secret) = Moto::start_strict();
    moto.boto(&access, &secret).make_bucket("backups");
    let right = s3(&moto.url(), (&access, &secret), "backups", |_| {});
    right.put("a", Bytes::from_static(b"x")).await.unwrap();
    for (key, field) in
        [(("AKNOBODY", secret.as_str()), "AwsAccessKey"), ((access.as_str(), "wrong"), "AwsSecretKey")]
    {
        let wrong = s3(&moto.url(), key, "backups", |_| {});
        let errors = [
            wrong.put("b", Bytes::new()).await.unwrap_err(),
            wrong.get("a").await.unwrap_err(),
            wrong.list("").await.unwrap_err(),
            wrong.delete("a").await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
            assert!(error.to_string().contains(field), "{error}");
            assert!(!error.to_string().contains(&secret), "{error}");
        }
        assert_eq!(wrong.stat("a").await.unwrap_err().kind, StorageErrorKind::Denied);
    }
    assert_eq!(right.get("a").await.unwrap(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named_by_every_call_and_never_taken_for_a_missing_object() {
    let moto = start();
    let storage = s3(&moto.url(), KEY, "nowhere", |_| {});
    let errors = [
        storage.stat("a").await.unwrap_err(),
        storage.get("a").await.unwrap_err(),
        storage.get_range("a", 0..1).await.unwrap_err(),
        storage.list("").await.unwrap_err(),
        storage.put("a", Bytes::new()).await.unwrap_err(),
        storage.put_new("a", Bytes::new()).await.unwrap_err(),
        storage.delete("a").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("no bucket 'nowhere'"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lent_key_sends_its_token_and_the_servers_own_encryption_is_asked_for() {
    let moto = start();
    let storage = open(&moto, |settings| {
        settings.aws_session_token = Some(Secret::new("lent".to_owned()));
        settings.server_side_encryption = Some("aws:kms".to_owned());
        settings.server_side_encryption_key_id = Some("alias/backups".to_owned());
    });
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    let found = moto.boto(KEY.0, KEY.1).run(
        "h = s3.head_object(Bucket='backups', Key='a')\nprint(h['ServerSideEncryption'], h['SSEKMSKeyId'])",
    );
    assert_eq!(found, "aws:kms alias/backups");
    assert!(!format!("{storage:?}").contains("lent"), "a secret is shown");
}
