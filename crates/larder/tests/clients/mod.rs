//! RavenDB's official clients against a running Larder.

// Each test file that has a part in this uses a part of it.
#![allow(dead_code, unreachable_pub)]

use crate::support::{Ended, larder, make_database, run};
use larder_testbed::{Server, TempDir};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server with the databases `Products` and `Customers`, a place for backups and a slow script.
pub struct Shop {
    directory: TempDir,
    server: Server,
}

impl Shop {
    pub fn open() -> Self {
        let directory = TempDir::new();
        for name in ["data", "source", "scripts", "backups"] {
            std::fs::create_dir_all(directory.join(name)).unwrap();
        }
        make_database(&directory.join("source/Products"), 500);
        make_database(&directory.join("source/Customers"), 20);
        let script = directory.join("scripts/slow.sh");
        let folder = directory.join("backups/slow");
        let says = format!("#!/bin/sh\nsleep 3\necho '{{\"FolderPath\": \"{}\"}}'\n", folder.display());
        std::fs::write(&script, says).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A path in Rust's quotes is a text in TOML's.
        let scripts = format!("{:?}", directory.join("scripts").to_str().unwrap());
        let configuration = format!("identifier = \"clients\"\n[scripts]\ndirectories = [{scripts}]\n");
        std::fs::write(directory.join("data/larder.toml"), configuration).unwrap();

        let mut command = larder();
        command.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(directory.join("data"));
        let server = Server::start_command(command);
        let (source, url) = (directory.join("source"), server.url());
        run([
            "source",
            "add",
            source.to_str().unwrap(),
            "--engine",
            "sqlite",
            "--name",
            "shop",
            "--server",
            &url,
        ])
        .expect(0);
        Self { directory, server }
    }

    /// Runs a script of this directory: `program SCRIPT URL BACKUPS SLOW_SCRIPT`.
    pub fn run(&self, program: &Path, script: &str, environment: &[(&str, &Path)]) -> Ended {
        let mut command = Command::new(program);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script));
        command.arg(self.server.url());
        command.arg(self.directory.join("backups")).arg(self.directory.join("scripts/slow.sh"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").envs(environment.iter().copied());
        let ended = Ended::of(&command.output().unwrap());
        assert_eq!(
            ended.code,
            0,
            "{script}:\n{}\n{}\nserver:\n{}",
            ended.said,
            ended.remarked,
            self.server.said()
        );
        ended
    }
}

/// Returns the directory into which `./test` installs the clients; fails the test where they are missing.
pub fn installed(client: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
    let path = directory.join(client);
    assert!(
        path.exists(),
        "this test needs RavenDB's clients: {} is missing; run ./test once",
        path.display()
    );
    directory.canonicalize().unwrap()
}
