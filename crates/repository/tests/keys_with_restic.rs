//! Stock restic opens what every kind of key made, and we open what restic's key commands leave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Secret};
use larder_repository::{Credentials, KeyLabel, RawKey, Repository};
use larder_storage::Local;
use larder_testbed::{Random, Restic};
use std::fs;
use std::sync::Arc;
use support::Bench;

const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQAAECAwQFBgc=";

fn open(bench: &Bench, name: &str, credentials: &Credentials) -> Repository {
    let storage = Arc::new(Local::open(bench.path(name)).unwrap());
    Repository::open(bench.runtime.handle(), storage, credentials, bench.clock.clone()).unwrap()
}

#[test]
fn restic_opens_a_repository_of_every_kind_of_key() {
    let bench = Bench::new();
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), Random::new(1).bytes(100_000)).unwrap();
    let secret = |text: &str| Secret::new(text.to_owned());
    for (name, credentials, password) in [
        ("password", Credentials::Password(secret("correct horse")), "correct horse"),
        ("key", Credentials::Key(RawKey::from_base64(&secret(KEY)).unwrap()), KEY),
        ("open", Credentials::Open, "larder"),
    ] {
        assert_eq!(credentials.restic_password(), password);
        let storage = Arc::new(Local::create(bench.path(name)).unwrap());
        let repository =
            Repository::create(bench.runtime.handle(), storage, &credentials, bench.clock.clone()).unwrap();
        bench.back_up(std::slice::from_ref(&repository), &source);
        let restic = Restic::new(bench.path(name), password);
        restic.check_read_data();
        restic.backup(&source);
        assert_eq!(open(&bench, name, &credentials).snapshots().unwrap().len(), 2);
    }
}

#[test]
fn keys_are_shared_with_restic() {
    let bench = Bench::new();
    let (repository, restic) = bench.local("repository");
    let label = KeyLabel { username: "operator".to_owned(), hostname: "desk".to_owned() };
    let raw = Credentials::Key(RawKey::from_base64(&Secret::new(KEY.to_owned())).unwrap());
    let added = repository.add_key(&raw, &label, &Cancel::new()).unwrap();
    let listed = restic.run(["key", "list", "--json"]);
    assert!(listed.contains("operator") && listed.contains("desk"), "{listed}");
    let by_key = Restic::new(bench.path("repository"), KEY);
    by_key.run(["snapshots"]);

    fs::write(bench.path("new-password"), "given to restic\n").unwrap();
    let file = bench.path("new-password");
    restic.run(["key", "passwd", "--new-password-file", file.to_str().unwrap()]);
    let given = Credentials::Password(Secret::new("given to restic".to_owned()));
    let reopened = open(&bench, "repository", &given);
    assert_eq!(reopened.keys(&Cancel::new()).unwrap().len(), 2);
    reopened.remove_key(&added, &Cancel::new()).unwrap();
    assert!(!by_key.command(["snapshots"]).output().unwrap().status.success());

    reopened.change_key(&raw, &label, &Cancel::new()).unwrap();
    by_key.check_read_data();
    let gone = Restic::new(bench.path("repository"), "given to restic");
    assert!(!gone.command(["snapshots"]).output().unwrap().status.success());
}
