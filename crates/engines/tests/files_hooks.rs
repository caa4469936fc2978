//! Programs before and after a tree is read, with small shell scripts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use larder_engines::{BackupJob, BackupReport, Content, EngineError, Engines, Host, Sink, SinkError};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, EngineKind, Entry, Secret, Source};
use larder_testbed::TempDir;
use memory::{MemoryBackup, database};
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A tree, and beside it the directory of hooks, in which they write down that they ran.
struct Site {
    directory: TempDir,
    source: Source,
}

impl Site {
    fn new() -> Self {
        let directory = TempDir::new();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["tree", "hooks"] {
            fs::create_dir(directory.join(name)).unwrap();
        }
        fs::write(directory.join("tree/file"), "live").unwrap();
        let source = memory::source(EngineKind::Files, &directory.join("tree"));
        Self { source, directory }
    }

    /// Writes a hook, and names it in the source with an argument that has a space in it.
    fn hook(mut self, option: &str, text: &str) -> Self {
        let path = self.directory.join("hooks").join(option);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        self.source.options.insert(option.to_owned(), format!("{} 'an argument'", path.display()));
        self
    }

    fn engines(&self) -> Engines {
        let tool_directories = vec!["/usr/bin".into(), "/bin".into()];
        let command_directories = vec![self.directory.join("hooks")];
        Engines::new(&Host { tool_directories, command_directories, niceness: 10, ..Host::default() })
    }

    fn run(&self, sink: &mut dyn Sink, cancel: &Cancel) -> Result<BackupReport, EngineError> {
        let counters = Counters::default();
        let job = BackupJob {
            source: &self.source,
            database: &database(&self.source, &self.source.address),
            kind: BackupKind::Full,
            backup_type: BackupType::default(),
            chain: "test",
            previous: None,
            staging: Path::new("/nonexistent"),
            own_directories: &[],
            cancel,
            counters: &counters,
        };
        self.engines().get(EngineKind::Files).backup(&job, sink)
    }

    fn backup(&self) -> Result<MemoryBackup, EngineError> {
        let mut sink = MemoryBackup::default();
        self.run(&mut sink, &Cancel::new()).map(|_| sink)
    }

    fn noted(&self) -> String {
        fs::read_to_string(self.directory.join("hooks/noted")).unwrap_or_default()
    }
}

#[test]
fn hooks_run_before_and_after_the_tree_is_read() {
    let site = Site::new()
        .hook(
            "BeforeBackup",
            "echo \"before $1 $LARDER_DATABASE $(nice)\" >> noted; echo frozen > ../tree/file",
        )
        .hook(
            "AfterBackup",
            "echo \"after $LARDER_OUTCOME $LARDER_PATH\" >> noted; echo live > ../tree/file",
        );
    let backup = site.backup().unwrap();
    assert_eq!(backup.entries[0].1, b"frozen\n");
    // What a hook starts must not be left with the manners of a tool that steps back behind others.
    assert_eq!(site.noted(), format!("before an argument test 0\nafter done {}\n", site.source.address));
}

/// A sink that reads files late, as a repository does on other threads.
#[derive(Default)]
struct Late {
    waiting: Vec<Box<dyn Content>>,
    read: Vec<String>,
}

impl Sink for Late {
    fn enter(&mut self, _: Entry) -> Result<(), SinkError> {
        Ok(())
    }
    fn leave(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    fn file(&mut self, _: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        self.waiting.push(content);
        Ok(())
    }
    fn stream(&mut self, _: Entry, _: &mut dyn Read, _: Option<u32>) -> Result<u64, SinkError> {
        Ok(0)
    }
    fn carry(&mut self, _: &[u8]) -> Result<bool, SinkError> {
        Ok(false)
    }
    fn special(&mut self, _: Entry) -> Result<(), SinkError> {
        Ok(())
    }
    fn unreadable(&mut self, _: &str, _: &str) -> Result<(), SinkError> {
        Ok(())
    }
    fn settle(&mut self) -> Result<(), SinkError> {
        for content in self.waiting.drain(..) {
            let mut text = String::new();
            content.open().unwrap().read_to_string(&mut text).unwrap();
            self.read.push(text);
        }
        Ok(())
    }
}

#[test]
fn the_hook_after_waits_until_the_last_file_is_read() {
    let site = Site::new().hook("AfterBackup", "echo thawed > ../tree/file");
    let mut sink = Late::default();
    site.run(&mut sink, &Cancel::new()).unwrap();
    assert_eq!(sink.read, ["live"]);
}

#[test]
fn a_hook_that_fails_fails_the_run_and_says_what_it_printed_without_secrets() {
    let failing =
        "echo \"could not stop with $LARDER_PASSWORD\"; echo complaint $LARDER_PASSWORD >&2; exit 3";
    let mut site =
        Site::new().hook("BeforeBackup", failing).hook("AfterBackup", "echo $LARDER_OUTCOME >> noted");
    site.source.password = Some(Secret::new("sesame".to_owned()));
    let told = site.backup().unwrap_err().to_string();
    for says in
        ["BeforeBackup", "exit status 3", "complaint ****", "could not stop with ****", "run it by hand"]
    {
        assert!(told.contains(says), "{says}: {told}");
    }
    assert!(!told.contains("sesame"), "{told}");
    // It may have stopped half of what it was to stop.
    assert_eq!(site.noted(), "failed\n");
    let site = Site::new().hook("AfterBackup", "exit 4");
    let told = site.backup().unwrap_err().to_string();
    assert!(told.contains("AfterBackup") && told.contains("exit status 4"), "{told}");
}

#[test]
fn the_hook_after_runs_when_the_tree_cannot_be_read_and_when_somebody_aborts() {
    let site = Site::new()
        .hook("BeforeBackup", "rm -r ../tree")
        .hook("AfterBackup", "echo $LARDER_OUTCOME >> noted");
    assert!(matches!(site.backup(), Err(EngineError::Missing { .. })));
    assert_eq!(site.noted(), "failed\n");
    let site = Site::new()
        .hook("BeforeBackup", "touch noted; sleep 60")
        .hook("AfterBackup", "echo $LARDER_OUTCOME >> noted");
    let cancel = Cancel::new();
    let begun = Instant::now();
    let aborted = std::thread::scope(|scope| {
        scope.spawn(|| {
            larder_testbed::wait_until("the first hook", Duration::from_secs(20), || {
                site.directory.join("hooks/noted").exists().then_some(())
            });
            cancel.cancel();
        });
        site.run(&mut MemoryBackup::default(), &cancel)
    });
    assert!(matches!(aborted, Err(EngineError::Canceled(_))), "{aborted:?}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(site.noted(), "canceled\n");
}

#[test]
fn a_hook_that_takes_too_long_is_ended() {
    let mut site = Site::new().hook("BeforeBackup", "sleep 60");
    site.source.options.insert("HookTimeoutSeconds".to_owned(), "1".to_owned());
    let told = site.backup().unwrap_err().to_string();
    assert!(told.contains("did not end within 1 s"), "{told}");
}

#[test]
fn only_what_the_administrator_permits_may_be_a_hook() {
    let mut site = Site::new();
    site.source.options.insert("BeforeBackup".to_owned(), "/bin/true".to_owned());
    let told = site.backup().unwrap_err().to_string();
    assert!(told.contains("BeforeBackup") && told.contains("[commands]"), "{told}");
    let engines = site.engines();
    let files = engines.get(EngineKind::Files);
    assert!(files.discover(&site.source, &[]).is_err());
    assert_eq!(files.missing_rights(&site.source).unwrap().len(), 1);
    site.source.options.clear();
    site.source.options.insert("BeforeBackups".to_owned(), "x".to_owned());
    assert!(site.backup().unwrap_err().to_string().contains("HookTimeoutSeconds"));
}
