//! The real program, run as a user runs it.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

pub mod kills;
pub mod own_host;

use larder_testbed::{Random, Server, TempDir};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The zone in which the program runs.
pub const ZONE: &str = "Europe/Berlin";

/// The program under test.
pub fn larder() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.env_remove("RUST_LOG").env("TZ", ZONE);
    command
}

/// How a run of the program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub said: String,
    pub remarked: String,
}

impl Ended {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&output.stdout).into_owned(),
            remarked: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Reads the one JSON value it printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.said).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// Runs the program to its end.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Ended::of(&larder().args(arguments).output().unwrap())
}

/// A small tree with two SQLite databases, and a data directory beside it.
#[derive(Debug)]
pub struct Site {
    pub directory: TempDir,
}

impl Site {
    pub fn new() -> Self {
        let site = Self { directory: TempDir::new() };
        let tree = site.tree();
        std::fs::create_dir_all(tree.join("docs/deep")).unwrap();
        std::fs::write(tree.join("readme.txt"), "a tree\n").unwrap();
        std::fs::write(tree.join("docs/deep/large.bin"), Random::new(1).bytes(700_000)).unwrap();
        std::os::unix::fs::symlink("docs", tree.join("link")).unwrap();
        make_database(&tree.join("shop.db"), 200);
        make_database(&tree.join("docs/stock.sqlite"), 50);
        site
    }

    pub fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Runs `larder quickstart TREE --once --data DATA` with more arguments.
    pub fn quickstart(&self, more: &[&str]) -> Ended {
        let (tree, data) = (self.tree(), self.data());
        let mut command = larder();
        command.args([OsStr::new("quickstart"), tree.as_ref(), OsStr::new("--data"), data.as_ref()]);
        Ended::of(&command.arg("--once").args(more).output().unwrap())
    }

    /// Starts `larder serve` on this data and waits until it listens.
    pub fn serve(&self) -> Server {
        let mut command = larder();
        command.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(self.data());
        Server::start_command(command)
    }
}

/// Runs a command against a server.
pub fn ask(server: &Server, arguments: &[&str]) -> Ended {
    let url = server.url();
    run(arguments.iter().copied().chain(["--server", &url]))
}

/// Makes a SQLite database with so many rows.
pub fn make_database(path: &Path, rows: u32) {
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch("create table item (id integer primary key, name text not null)").unwrap();
    for row in 0..rows {
        database.execute("insert into item (name) values (?1)", [format!("item {row}")]).unwrap();
    }
    drop(database);
    // What was written a moment ago cannot be proved unchanged; a day later it can.
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(yesterday).unwrap();
}

/// Runs a quickstart as a user whom file modes bind, also where the tests run as root.
pub fn quickstart_without_privilege(site: &Site, more: &[&str]) -> Ended {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let program = site.directory.join("larder");
    std::fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    let mut command = Command::new(&program);
    if rustix::process::geteuid().is_root() {
        let mut pending = vec![site.directory.path().to_owned()];
        while let Some(path) = pending.pop() {
            std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            if path.is_dir() && !path.is_symlink() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .env_remove("RUST_LOG")
        .arg("quickstart")
        .arg(site.tree())
        .arg("--once")
        .arg("--data")
        .arg(site.data());
    Ended::of(&command.args(more).output().unwrap())
}
