//! The ready configurations of `examples/` can be stored as they are, and say when they run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Server, TempDir};
use std::path::{Path, PathBuf};
use support::{ask, larder, make_database};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Starts a server that has every component the examples speak of.
fn server(directory: &TempDir) -> Server {
    let (databases, trees) = (directory.join("databases"), directory.join("trees"));
    std::fs::create_dir_all(&databases).unwrap();
    for name in
        ["analytics", "console", "credentials", "provisioning", "enstratus_console", "riak", "website"]
    {
        make_database(&databases.join(name), 10);
    }
    let mut command = larder();
    command.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(directory.join("data"));
    let server = Server::start_command(command);
    ask(
        &server,
        &["source", "add", databases.to_str().unwrap(), "--engine", "sqlite", "--name", "databases"],
    )
    .expect(0);
    for name in ["services-api", "services-console", "webroot"] {
        let tree = trees.join(name);
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("a file"), name).unwrap();
        ask(&server, &["source", "add", tree.to_str().unwrap(), "--name", name]).expect(0);
    }
    server
}

/// Copies an example with paths of this test in place of its own.
fn adapted(example: &Path, directory: &TempDir) -> PathBuf {
    let text = std::fs::read_to_string(example).unwrap();
    let copy = directory.join(example.file_name().unwrap());
    std::fs::write(&copy, text.replace("/mnt/", &format!("{}/mnt/", directory.path().display()))).unwrap();
    copy
}

#[test]
fn every_example_is_stored_and_shows_its_next_five_runs() {
    let directory = TempDir::new();
    let server = server(&directory);
    let mut seen = 0;
    for folder in ["components", "website"] {
        for entry in std::fs::read_dir(examples().join(folder)).unwrap() {
            let example = entry.unwrap().path();
            let file = adapted(&example, &directory);
            let file = file.to_str().unwrap();
            let planned = ask(&server, &["task", "next", file, "--json"]).expect(0).json();
            assert_eq!(planned.as_array().map(Vec::len), Some(5), "{}: {planned}", example.display());
            let stored = ask(&server, &["task", "put", file, "--json"]).expect(0).json();
            assert_eq!(
                stored["NextRuns"].as_array().map(Vec::len),
                Some(5),
                "{}: {stored}",
                example.display()
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
}

#[test]
fn the_components_are_backed_up_each_by_its_task() {
    let directory = TempDir::new();
    let server = server(&directory);
    for name in ["databases-4-to-6-hours", "databases-daily", "trees"] {
        let file = adapted(&examples().join("components").join(name).with_extension("toml"), &directory);
        ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    }
    std::fs::write(directory.join("trees/services-api/service.log"), "not kept").unwrap();
    ask(&server, &["backup", "now", "--all", "--wait", "--json"]).expect(0);
    let folder = directory.join("mnt/backups");
    for database in ["analytics", "riak", "console", "credentials"] {
        assert!(folder.join("databases").join(database).join("config").exists(), "{database}");
    }
    assert!(folder.join("services/services-api/config").exists());
    assert!(!folder.join("databases/website").exists() && !folder.join("services/webroot").exists());
    let restored = directory.join("restored");
    ask(&server, &["restore", "services-api", restored.to_str().unwrap()]).expect(0);
    assert!(restored.join("a file").exists() && !restored.join("service.log").exists());
}

#[test]
fn the_website_goes_to_three_regions_in_one_pass_and_again_before_shutdown() {
    let directory = TempDir::new();
    let server = server(&directory);
    let file = adapted(&examples().join("website/webroot-and-database-local.toml"), &directory);
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    let ended = ask(&server, &["backup", "now", "--all", "--periodicity", "shutdown", "--wait", "--json"])
        .expect(0)
        .json();
    assert_eq!(ended.as_array().map(Vec::len), Some(2), "{ended}");
    for region in ["nl-ams-1", "us-southeast-1", "in-maa-1"] {
        for database in ["webroot", "website"] {
            let repository = directory.join("mnt/regions").join(region).join(database);
            assert_eq!(
                std::fs::read_dir(repository.join("snapshots")).unwrap().count(),
                1,
                "{region}/{database}"
            );
        }
    }
}
