//! A bucket backed up, proved and got back with the program as a person uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Moto, Restic, TempDir};
use serde_json::json;
use std::fs;
use support::{Site, ask};

#[test]
fn a_bucket_is_added_backed_up_proved_and_restored_into_another() {
    let moto = Moto::start();
    let boto = moto.boto("AKMOTO", "SKMOTO");
    boto.make_bucket("assets");
    boto.make_bucket("copies");
    let _ = boto.run(
        "for n in range(300): s3.put_object(Bucket='assets', Key=f'img/{n % 9}/{n}.png', Body=str(n).encode() * 50, ContentType='image/png')\n\
         s3.put_object(Bucket='assets', Key='img/a//b/../', Body=b'odd')\n\
         s3.put_object(Bucket='assets', Key='img/large', Body=os.urandom(12 << 20))",
    );
    let site = Site::new();
    fs::create_dir_all(site.data()).unwrap();
    let larder = site.serve();
    let run = |arguments: &[&str]| ask(&larder, arguments).expect(0).said;
    let folder = site.directory.join("backups");
    let task = json!({ "Name": "All", "FullBackupFrequency": "0 2 1 1 *", "LocalSettings": { "FolderPath": folder } });
    let file = site.directory.join("task.json");
    fs::write(&file, task.to_string()).unwrap();
    run(&["task", "put", file.to_str().unwrap()]);
    let secret = site.directory.join("secret");
    fs::write(&secret, "SKMOTO").unwrap();
    let server = format!("CustomServerUrl={}", moto.url());
    let added = run(&[
        "source",
        "add",
        "s3://assets/img",
        "--name",
        "assets",
        "--password-file",
        secret.to_str().unwrap(),
        "--option",
        "AwsAccessKey=AKMOTO",
        "--option",
        &server,
    ]);
    assert!(added.contains("assets"), "{added}");
    assert!(run(&["source", "check", "assets"]).contains("every right"));
    run(&["backup", "now", "assets", "--full", "--wait"]);
    run(&["verify", "assets"]);
    let proved = run(&["operation", "list", "--kind", "verify", "--json"]);
    assert!(proved.contains("302 objects"), "{proved}");
    run(&["backup", "now", "assets", "--wait"]);
    let operations = run(&["operation", "list", "--kind", "backup", "--json"]);
    assert!(operations.contains("nothing changed since the last backup"), "{operations}");
    // What is not read again keeps its type.
    let before = moto.requests().len();
    let _ = boto
        .run("s3.put_object(Bucket='assets', Key='img/0/0.png', Body=b'changed', ContentType='image/webp')");
    run(&["backup", "now", "assets", "--wait"]);
    let read: Vec<String> = moto.requests().split_off(before);
    let read: Vec<&String> =
        read.iter().filter(|one| one.starts_with("GET") && one.contains(".png")).collect();
    assert_eq!(read.len(), 1, "{read:?}");
    run(&["restore", "assets", "--into", "assets/copies/2026"]);
    let seen = boto.run(
        "kept = s3.get_object(Bucket='copies', Key='2026/5/5.png')\n\
         new = s3.get_object(Bucket='copies', Key='2026/0/0.png')\n\
         pages = s3.get_paginator('list_objects_v2').paginate(Bucket='copies')\n\
         same = s3.get_object(Bucket='copies', Key='2026/large')['Body'].read() == s3.get_object(Bucket='assets', Key='img/large')['Body'].read()\n\
         odd = [o['Key'] for page in pages for o in page['Contents'] if o['Key'].endswith('/')]\n\
         print(kept['ContentType'], new['ContentType'], new['Body'].read(), same, odd)",
    );
    assert_eq!(seen, "image/png image/webp b'changed' True ['2026/a//b/../']");
    run(&["verify", "assets"]);
    // Without Larder there are files, with names that can be read.
    let key = fs::read_to_string(site.data().join("key")).unwrap();
    let restic = Restic::new(folder.join("assets"), key.trim());
    restic.check_read_data();
    let target = TempDir::new();
    restic.restore("latest", target.path());
    assert_eq!(fs::read(target.join("0/0.png")).unwrap(), b"changed");
    assert_eq!(fs::read(target.join("a/%/b/%2E%2E/%")).unwrap(), b"odd");
}
