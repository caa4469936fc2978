//! WebDAV, against Apache's, and against servers of a few lines for what others do otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{Block, WebDavSettings};
use larder_storage::{Connector, ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{ApacheDav, FakeAnswer, FakeRequest, HttpFake, decode, storage_suite, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn open(settings: &WebDavSettings) -> Arc<dyn Storage> {
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::WebDav(settings)).unwrap()
}

fn at(url: String) -> WebDavSettings {
    WebDavSettings {
        url: Some(url),
        user_name: Some(ApacheDav::USER.to_owned()),
        password: Some(Secret::new(ApacheDav::PASSWORD.to_owned())),
        ..WebDavSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_apache_passes_the_suite() {
    let apache = ApacheDav::start();
    fs::create_dir(apache.files().join("some & where")).unwrap();
    fs::set_permissions(apache.files().join("some & where"), fs::Permissions::from_mode(0o777)).unwrap();
    let storage = open(&at(format!("{}/some%20%26%20where/", apache.url())));
    storage_suite::run(&storage).await;
    assert_eq!(files_in(&apache.files().join("some & where/.tmp")), 0, "an unfinished write was left");
}

#[tokio::test]
async fn a_digest_of_the_password_opens_the_door_and_the_password_is_not_shown() {
    let apache = ApacheDav::with_digest();
    let storage = open(&at(apache.url()));
    for round in 0..3 {
        storage.put(&format!("a b/{round}"), Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(storage.list("").await.unwrap().len(), 3);
    let refused = apache.requests().iter().filter(|line| line.ends_with(" 401")).count();
    assert_eq!(refused, 1, "{:?}", apache.requests());
    let wrong = WebDavSettings { password: Some(Secret::new("wrong".to_owned())), ..at(apache.url()) };
    assert_eq!(open(&wrong).list("").await.unwrap_err().kind, StorageErrorKind::Denied);
}

#[tokio::test]
async fn a_certificate_that_the_server_signed_itself_is_trusted_where_it_is_named() {
    let apache = ApacheDav::with_tls();
    let error = open(&at(apache.url())).list("").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("is not trusted"), "{error}");
    let pem = apache.certificate();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for certificate in [pem, base64] {
        let certificate_as_base64 = Some(Secret::new(certificate));
        let storage = open(&WebDavSettings { certificate_as_base64, ..at(apache.url()) });
        storage.put("a", Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(storage.get("a").await.unwrap(), "x");
    }
    let other = ApacheDav::with_tls();
    let certificate_as_base64 = Some(Secret::new(other.certificate()));
    let error =
        open(&WebDavSettings { certificate_as_base64, ..at(apache.url()) }).list("").await.unwrap_err();
    assert!(error.to_string().contains("is not trusted"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_denied_by_every_call_and_not_repeated() {
    let apache = ApacheDav::start();
    let wrong = WebDavSettings { password: Some(Secret::new("hidden".to_owned())), ..at(apache.url()) };
    let storage = open(&wrong);
    let errors = [
        storage.put("a", Bytes::from_static(b"x")).await.unwrap_err(),
        storage.put_new("a", Bytes::new()).await.unwrap_err(),
        storage.get("a").await.unwrap_err(),
        storage.stat("a").await.unwrap_err(),
        storage.list("").await.unwrap_err(),
        storage.delete("a").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("the UserName or the Password is wrong"), "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let nobody = WebDavSettings { user_name: None, ..wrong };
    let error = open(&nobody).list("").await.unwrap_err();
    assert!(error.to_string().contains("give UserName and Password"), "{error}");
}

#[tokio::test]
async fn a_missing_folder_is_an_error_and_is_not_made() {
    let apache = ApacheDav::start();
    let storage = open(&at(format!("{}/nowhere", apache.url())));
    let errors = [
        storage.put("a/b", Bytes::from_static(b"x")).await.unwrap_err(),
        storage.list("").await.unwrap_err(),
        storage.list("a").await.unwrap_err(),
        storage.free_bytes().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }
    assert!(!apache.files().join("nowhere").exists());
}

#[tokio::test]
async fn a_folder_is_neither_replaced_nor_removed() {
    let apache = ApacheDav::start();
    let storage = open(&at(apache.url()));
    storage.put("folder/object", Bytes::from_static(b"x")).await.unwrap();
    let error = storage.put("folder", Bytes::from_static(b"y")).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(!storage.put_new("folder", Bytes::from_static(b"y")).await.unwrap());
    storage.delete("folder").await.unwrap();
    assert_eq!(storage.get("folder/object").await.unwrap(), "x");
    assert_eq!(files_in(&apache.files().join(".tmp")), 0);
    for path in [".tmp/x", ".tmp"] {
        assert_eq!(storage.put(path, Bytes::new()).await.unwrap_err().kind, StorageErrorKind::Invalid);
    }
}

#[tokio::test]
async fn folders_that_somebody_removed_are_made_again() {
    let apache = ApacheDav::start();
    let storage = open(&at(apache.url()));
    storage.put("data/ab/one", Bytes::from_static(b"x")).await.unwrap();
    fs::remove_dir_all(apache.files().join("data")).unwrap();
    fs::remove_dir_all(apache.files().join(".tmp")).unwrap();
    storage.put("data/ab/two", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(storage.list("data").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_dead_writers_left_is_removed_after_a_day_and_never_listed() {
    let apache = ApacheDav::start();
    let left = apache.files().join(".tmp");
    fs::create_dir(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o777)).unwrap();
    for name in ["old", "young"] {
        fs::write(left.join(name), "half").unwrap();
    }
    let touched = Command::new("touch").args(["-d", "2 days ago"]).arg(left.join("old")).status().unwrap();
    assert!(touched.success());
    let storage = open(&at(apache.url()));
    assert!(storage.list("").await.unwrap().is_empty());
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    assert!(!left.join("old").exists() && left.join("young").exists());
}

#[tokio::test]
async fn no_call_asks_for_more_than_it_needs() {
    let apache = ApacheDav::start();
    let storage = open(&at(apache.url()));
    storage.put("folder/first", Bytes::from_static(b"x")).await.unwrap();
    // The server writes its log after it answered.
    let lines = |wanted: &dyn Fn(&[String]) -> bool| {
        wait_until("the server's log", Duration::from_secs(10), || {
            Some(apache.requests()).filter(|lines| wanted(lines))
        })
    };
    let before =
        lines(&|lines| lines.last().is_some_and(|line| line.starts_with("MOVE") && line.ends_with("201")))
            .len();
    storage.put("folder/a", Bytes::from_static(b"x")).await.unwrap();
    storage.get("folder/a").await.unwrap();
    storage.get_range("folder/a", 0..1).await.unwrap();
    storage.stat("folder/a").await.unwrap();
    storage.list("folder").await.unwrap();
    let after = lines(&|lines| lines.len() >= before + 6);
    let methods: Vec<&str> = after[before..].iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(methods, ["PUT", "MOVE", "GET", "GET", "PROPFIND", "PROPFIND"]);
}

/// A server as Nextcloud is: its answers to a few requests, made by hand after its documentation.
fn cloud(answer: impl Fn(&FakeRequest) -> Option<FakeAnswer> + Send + Sync + 'static) -> HttpFake {
    HttpFake::start(move |request| {
        answer(request).unwrap_or_else(|| match request.method.as_str() {
            "PROPFIND" => {
                multistatus(&format!("{}{}", folder(&request.path), file(&request.path, "a%2bb", 3)))
            }
            "MKCOL" | "PUT" | "MOVE" => FakeAnswer::status(201),
            "DELETE" => FakeAnswer::status(204),
            _ => FakeAnswer::status(200),
        })
    })
}

fn multistatus(responses: &str) -> FakeAnswer {
    let body = format!("<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\">{responses}</d:multistatus>");
    FakeAnswer::status(207).header("Content-Type", "application/xml").body(body)
}

fn folder(path: &str) -> String {
    let path = path.trim_end_matches('/');
    format!(
        "<d:response><d:href>{path}/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>\
         <d:quota-available-bytes>4096</d:quota-available-bytes></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

fn file(folder: &str, name: &str, size_bytes: u64) -> String {
    let folder = folder.trim_end_matches('/');
    format!(
        "<d:response><d:href>{folder}/{name}</d:href><d:propstat><d:prop><d:resourcetype/>\
         <d:getcontentlength>{size_bytes}</d:getcontentlength></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

#[tokio::test]
async fn a_cloud_says_what_is_free_and_names_are_decoded() {
    let server = cloud(|_| None);
    let storage = open(&at(format!("{}/remote.php/dav/files/me", server.url())));
    assert!(!storage.capabilities().free_space);
    assert_eq!(storage.free_bytes().await.unwrap(), Some(4096));
    assert!(storage.capabilities().free_space);
    let listed = storage.list("data").await.unwrap();
    assert_eq!(listed.iter().map(|object| object.path.as_str()).collect::<Vec<_>>(), ["data/a+b"]);
}

#[tokio::test]
async fn a_full_a_locked_and_a_busy_cloud_are_told_apart() {
    for (status, kind) in [
        (507, StorageErrorKind::Full),
        (413, StorageErrorKind::Full),
        (423, StorageErrorKind::Unavailable),
        (503, StorageErrorKind::Unavailable),
        (429, StorageErrorKind::Unavailable),
        (403, StorageErrorKind::Denied),
        (302, StorageErrorKind::Invalid),
    ] {
        let server = cloud(move |request| {
            (request.method == "PUT").then(|| FakeAnswer::status(status).header("Retry-After", "9"))
        });
        let error = open(&at(server.url())).put("a", Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        if kind == StorageErrorKind::Unavailable {
            assert_eq!(error.retry_after, Some(Duration::from_secs(9)), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_its_own_address_is_told_the_path() {
    let server = cloud(|request| {
        let whole = request.header("destination").is_some_and(|destination| destination.contains("://"));
        (request.method == "MOVE" && whole).then(|| FakeAnswer::status(502))
    });
    open(&at(format!("{}/dav", server.url()))).put("a b", Bytes::from_static(b"x")).await.unwrap();
}

#[tokio::test]
async fn a_server_behind_a_proxy_may_call_its_folders_otherwise() {
    let server = cloud(|request| {
        let inside = request.path.replace("/outside", "/inside");
        (request.method == "PROPFIND")
            .then(|| multistatus(&format!("{}{}", folder(&inside), file(&inside, "a", 1))))
    });
    let storage = open(&at(format!("{}/outside", server.url())));
    assert_eq!(storage.list("data").await.unwrap()[0].path, "data/a");
}

#[tokio::test]
async fn a_listing_that_is_not_whole_is_an_error() {
    let broken: [fn(&str) -> FakeAnswer; 6] = [
        |path| multistatus(&format!("{}{}", folder(path), file(path, "a", 1))).cut(),
        |path| multistatus(&format!("{}{}", folder(path), file("/elsewhere", "a", 1))),
        |path| {
            multistatus(&format!(
                "{}{}",
                folder(path),
                file(path, "a", 1).replace("getcontentlength", "other")
            ))
        },
        |path| {
            let failed = "<d:status>HTTP/1.1 500 Internal Server Error</d:status><d:propstat>";
            multistatus(&format!("{}{}", folder(path), file(path, "a", 1).replace("<d:propstat>", failed)))
        },
        |_| multistatus(""),
        |_| FakeAnswer::status(200).body("<html>Sign in</html>"),
    ];
    for (case, answer) in broken.into_iter().enumerate() {
        let server = cloud(move |request| (request.method == "PROPFIND").then(|| answer(&request.path)));
        let outcome = open(&at(server.url())).list("data").await;
        assert!(outcome.is_err(), "case {case}: {outcome:?}");
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_before_anything_is_asked() {
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let good = at("http://127.0.0.1:1/dav".to_owned());
    let certificate_as_base64 = Some(Secret::new("none".to_owned()));
    for (settings, what) in [
        (WebDavSettings { url: None, ..good.clone() }, "no Url"),
        (WebDavSettings { url: Some("ftp://x".to_owned()), ..good.clone() }, "Url"),
        (
            WebDavSettings { url: Some("https://me:hidden@x/".to_owned()), ..good.clone() },
            "fields of their own",
        ),
        (WebDavSettings { certificate_as_base64, ..good.clone() }, "CertificateAsBase64"),
    ] {
        let error = connector.connect(Block::WebDav(&settings)).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(what) && !error.to_string().contains("hidden"), "{error}");
    }
}

#[test]
fn the_fakes_decoding_is_the_inverse_of_what_is_sent() {
    assert_eq!(decode("a%20b%C3%BC%2F+"), "a bü/+");
}

fn files_in(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}
