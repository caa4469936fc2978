//! The engine `bucket` against S3 as moto has it, Azurite, and Google Cloud's emulator and strict stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bucket;
mod memory;

use bucket::{
    KEY, Meddling, Store, Taken, compare, engine, full, incremental, restore, s3_source, take_into,
};
use larder_engines::{ChangeCheck, EngineError, RestoreTarget};
use larder_model::{Cancel, EntryKind, Secret, Source};
use larder_testbed::{CutProxy, Moto, Random, TempDir};
use memory::MemoryBackup;
use std::fs;

/// Keys that are not paths, beside some that are.
const ODD: [&str; 16] = [
    "robots.txt",
    "img/a b.png",
    "img/ünï-数据.png",
    "a//b",
    "a/",
    "b/",
    "b/c",
    "c",
    "c/d",
    "c/d/e",
    "/begins",
    "100%",
    "x%2Fy",
    "q?a=b&c#d+e",
    "back\\slash",
    "*.log",
];
/// Keys with steps up, which clients of HTTP like to walk.
const STEPS: [&str; 4] = ["u/../v", "./w", "../z", "deep/./../x"];

/// Larger than what is written at once.
const LARGE: usize = 20 << 20;

fn files(backup: &MemoryBackup) -> Vec<String> {
    let all = backup.entries.iter().filter(|(listed, _)| listed.entry.kind == EntryKind::File);
    all.map(|(listed, _)| String::from_utf8_lossy(&listed.path).into_owned()).collect()
}

fn changed(source: &Source, taken: &Taken) -> ChangeCheck {
    let database = memory::database(source, &source.address);
    engine(|engine| engine.changed(source, &database, taken.report.position.as_ref().unwrap())).unwrap()
}

/// What every store must be good for.
fn a_bucket_comes_back(store: &Store, keys: &[&str], large_bytes: usize) {
    let source = &store.source;
    for key in keys {
        store.put(key, format!("the bytes of {key}").as_bytes());
    }
    store.put("large", &Random::new(3).bytes(large_bytes));
    store.put("empty", b"");
    let found = engine(|engine| engine.discover(source, &[])).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(engine(|engine| engine.missing_rights(source)).unwrap(), []);

    let first = full(source);
    assert_eq!(first.backup.unreadable, []);
    assert_eq!(files(&first.backup).len(), keys.len() + 2);
    assert_eq!(changed(source, &first), ChangeCheck::Unchanged);

    // Into another bucket, under the very same keys.
    let name = format!("{}/some where/2026", store.other);
    let target = RestoreTarget::Server { source, name: &name };
    restore(&first, target, false).unwrap();
    let mut wanted: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    wanted.extend(["large", "empty"].map(str::to_owned));
    wanted.sort();
    assert_eq!(store.keys(store.other, "some where/2026/"), wanted);
    let comparison = compare(&first, source, target);
    assert_eq!(comparison.differences, [""; 0], "{}", comparison.compared);
    let refused = restore(&first, target, false).unwrap_err();
    assert!(matches!(refused, EngineError::TargetNotEmpty { .. }), "{refused}");
    restore(&first, target, true).unwrap();

    // Into a directory.
    let directory = TempDir::new();
    let path = directory.join("restored");
    restore(&first, RestoreTarget::Path(&path), false).unwrap();
    assert_eq!(compare(&first, source, RestoreTarget::Path(&path)).differences, [""; 0]);
    fs::write(path.join("large"), "something else").unwrap();
    fs::remove_file(path.join("empty")).unwrap();
    let told = compare(&first, source, RestoreTarget::Path(&path)).differences.join("; ");
    assert!(
        told.contains("large: differs from the backup from byte 0") && told.contains("empty: was not"),
        "{told}"
    );

    // An incremental reads what changed and nothing else.
    let before = keys.len() as u64 + 2;
    store.put(keys[0], b"changed");
    store.put("new/one", b"new");
    store.remove(keys[1]);
    assert_eq!(changed(source, &first), ChangeCheck::MaybeChanged);
    let second = incremental(source, first);
    assert_eq!(second.backup.carried, before - 2);
    assert_eq!(changed(source, &second), ChangeCheck::Unchanged);
    let name = format!("{}/second", store.other);
    let target = RestoreTarget::Server { source, name: &name };
    restore(&second, target, false).unwrap();
    assert_eq!(compare(&second, source, target).differences, [""; 0]);
    assert!(!store.keys(store.other, "second/").contains(&keys[1].to_owned()));
}

#[test]
fn s3_objects_of_every_key_come_back() {
    let store = Store::s3();
    a_bucket_comes_back(&store, &[&ODD[..], &STEPS].concat(), LARGE);
}

#[test]
fn azure_blobs_of_every_key_come_back() {
    // The service itself takes a backslash for a slash.
    let keys: Vec<&str> = ODD.into_iter().filter(|key| !key.contains('\\')).collect();
    a_bucket_comes_back(&Store::azure(), &keys, LARGE);
}

#[test]
fn google_objects_come_back_from_the_emulator() {
    // It serves one connection after another, so that a body nobody reads yet would keep all others waiting.
    a_bucket_comes_back(&Store::google(), &ODD, 100 << 10);
}

#[test]
fn google_objects_of_every_key_come_back_from_the_strict_stand_in() {
    a_bucket_comes_back(&Store::strict_google(), &[&ODD[..], &STEPS].concat(), LARGE);
}

#[test]
fn types_and_words_about_an_object_come_back_as_amazons_own_client_sees_them() {
    let moto = Moto::start();
    let boto = moto.boto(KEY.0, KEY.1);
    boto.make_bucket("assets");
    boto.make_bucket("copies");
    let _ = boto.run(
        "s3.put_object(Bucket='assets', Key='a/../page', Body=b'<p>', ContentType='text/html', CacheControl='max-age=60',\n\
         ContentDisposition='inline', ContentLanguage='de', ContentEncoding='gzip', Metadata={'owner': 'me', 'two-words': 'a b'})",
    );
    let source = s3_source(&moto.url());
    let taken = full(&source);
    let target = RestoreTarget::Server { source: &source, name: "s3://copies" };
    restore(&taken, target, false).unwrap();
    let seen = boto.run(
        "o = s3.get_object(Bucket='copies', Key='a/../page')\n\
         print(o['ContentType'], o['CacheControl'], o['ContentDisposition'], o['ContentLanguage'], o['ContentEncoding'],\n\
         sorted(o['Metadata'].items()), o['Body'].read())",
    );
    assert_eq!(seen, "text/html max-age=60 inline de gzip [('owner', 'me'), ('two-words', 'a b')] b'<p>'");
}

#[test]
fn several_pages_are_one_bucket_and_patterns_leave_out_what_they_name() {
    let moto = Moto::start();
    let boto = moto.boto(KEY.0, KEY.1);
    boto.make_bucket("assets");
    let _ = boto.run(
        "for n in range(1100): s3.put_object(Bucket='assets', Key=f'{n % 7}/{n}', Body=str(n).encode())",
    );
    let mut source = s3_source(&moto.url());
    let taken = full(&source);
    assert_eq!(files(&taken.backup).len(), 1100);
    source.exclude = vec!["3/".to_owned(), "*9".to_owned(), "!/4/9".to_owned()];
    let fewer = full(&source);
    let names = files(&fewer.backup);
    assert!(names.iter().all(|name| !name.starts_with("3/") && (!name.ends_with('9') || name == "4/9")));
    assert!(fewer.report.messages.iter().any(|told| told.contains("left out by the patterns")));
    let below = Source { address: "s3://assets/5".to_owned(), exclude: Vec::new(), ..source };
    assert_eq!(files(&full(&below).backup).len(), 157);
}

#[test]
fn what_changes_while_the_bucket_is_read_is_taken_as_it_then_is_and_what_goes_is_counted() {
    let store = Store::s3();
    for number in 0..60 {
        store.put(&format!("{number:02}"), b"before");
    }
    let act = || {
        store.put("50", b"replaced");
        store.remove("51");
    };
    let mut sink = Meddling { inner: MemoryBackup::default(), file: 0, bytes: 0, act: &act };
    let report = take_into(&store.source, None, &mut sink, &Cancel::new()).unwrap();
    let taken = Taken { backup: sink.inner, report };
    assert_eq!(taken.backup.unreadable, []);
    assert_eq!(taken.backup.entries.iter().find(|(listed, _)| listed.path == b"50").unwrap().1, b"replaced");
    assert!(
        taken.report.messages.iter().any(|told| told.contains("1 object was removed")),
        "{:?}",
        taken.report
    );
    let directory = TempDir::new();
    let path = directory.join("restored");
    restore(&taken, RestoreTarget::Path(&path), false).unwrap();
    assert_eq!(compare(&taken, &store.source, RestoreTarget::Path(&path)).differences, [""; 0]);
    // The listing told of others than were read, so that the next run does not believe that nothing changed.
    assert_eq!(changed(&store.source, &taken), ChangeCheck::MaybeChanged);
    assert_eq!(incremental(&store.source, taken).backup.carried, 59);
}

#[test]
fn a_connection_that_breaks_midway_is_taken_up_again_unless_the_object_was_replaced() {
    let store = Store::s3();
    let data = Random::new(9).bytes(12 << 20);
    store.put("large", &data);
    let server = store.source.options["CustomServerUrl"].trim_start_matches("http://").to_owned();
    let proxy = CutProxy::start(server.parse().unwrap());
    let source = s3_source(&format!("http://{}", proxy.address()));
    let cut = || proxy.cut();
    let mut sink = Meddling { inner: MemoryBackup::default(), file: 0, bytes: 1 << 20, act: &cut };
    take_into(&source, None, &mut sink, &Cancel::new()).unwrap();
    assert_eq!(sink.inner.unreadable, []);
    assert!(sink.inner.entries[0].1 == data, "the bytes are whole");
    let replace = || {
        store.put("large", &Random::new(10).bytes(12 << 20));
        proxy.cut();
    };
    let mut sink = Meddling { inner: MemoryBackup::default(), file: 0, bytes: 1 << 20, act: &replace };
    take_into(&source, None, &mut sink, &Cancel::new()).unwrap();
    // Half of one and half of another is never stored: it is named, which makes the backup incomplete.
    let (path, cause) = &sink.inner.unreadable[0];
    assert!(path.ends_with("assets/large") && cause.contains("replaced"), "{path}: {cause}");
    assert!(sink.inner.entries.is_empty());
}

#[test]
fn a_bucket_that_cannot_be_read_is_an_error_that_says_what_to_do() {
    let (moto, access, secret) = Moto::start_strict();
    let boto = moto.boto(&access, &secret);
    boto.make_bucket("assets");
    let _ = boto.run("s3.put_object(Bucket='assets', Key='a', Body=b'1')");
    let mut source = s3_source(&moto.url());
    source.options.insert("AwsAccessKey".to_owned(), access);
    let try_full = |source: &Source| {
        let mut sink = MemoryBackup::default();
        take_into(source, None, &mut sink, &Cancel::new()).map(|_| sink)
    };
    source.password = Some(Secret::new("open sesame".to_owned()));
    let told = try_full(&source).unwrap_err().to_string();
    assert!(told.contains("s3://assets") && told.contains("s3:ListBucket"), "{told}");
    assert!(!told.contains("sesame"), "{told}");
    assert!(!engine(|engine| engine.missing_rights(&source)).unwrap().is_empty());
    source.password = Some(Secret::new(secret));
    assert_eq!(files(&try_full(&source).unwrap()), ["a"]);
    let none = Source { address: "s3://none".to_owned(), ..source.clone() };
    assert!(try_full(&none).unwrap_err().to_string().contains("no bucket 'none'"));
    let told = engine(|engine| engine.discover(&none, &[])).unwrap_err().to_string();
    assert!(told.contains("none"), "{told}");
    let mut odd = source.clone();
    odd.options.insert("Region".to_owned(), "x".to_owned());
    assert!(try_full(&odd).unwrap_err().to_string().contains("AwsRegionName"));
    let nowhere = Source { password: None, ..source };
    assert!(try_full(&nowhere).unwrap_err().to_string().contains("password"));
}

#[test]
fn a_restore_that_breaks_leaves_nothing_behind() {
    let store = Store::s3();
    for number in 0..40 {
        store.put(&format!("{number:02}"), b"some bytes");
    }
    let mut taken = full(&store.source);
    // The last object of the backup says something that no server takes.
    let last = &mut taken.backup.entries.last_mut().unwrap().0.entry.metadata.xattrs;
    last.push((b"user.bucket.meta.a b".to_vec(), b"x".to_vec()));
    let target = RestoreTarget::Server { source: &store.source, name: "copies/x" };
    let told = restore(&taken, target, false).unwrap_err().to_string();
    assert!(told.contains("meta.a b") && told.contains("39"), "{told}");
    assert_eq!(store.keys("copies", ""), [""; 0]);
}

#[test]
fn an_aborted_backup_ends_and_is_none() {
    let store = Store::s3();
    for number in 0..40 {
        store.put(&format!("{number:02}"), b"some bytes");
    }
    let cancel = Cancel::new();
    let act = || cancel.cancel();
    let mut sink = Meddling { inner: MemoryBackup::default(), file: 3, bytes: 0, act: &act };
    let aborted = take_into(&store.source, None, &mut sink, &cancel);
    assert!(matches!(aborted, Err(EngineError::Canceled(_))), "{aborted:?}");
}
