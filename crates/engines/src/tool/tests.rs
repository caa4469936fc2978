//! What running programs promises.

use super::*;
use crate::registry::Host;
use larder_model::{Cancel, Secret};
use larder_testbed::{TempDir, wait_until};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn program(directory: &Path, name: &str, text: &str) -> Tool {
    fs::create_dir_all(directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Tools::new(&Host {
        tool_directories: vec!["/usr/bin".into(), "/bin".into()],
        niceness: 3,
        ..Host::default()
    })
    .at(&path)
}

fn said(tool: &Tool, run: ToolRun) -> Result<String, ToolFailure> {
    tool.ask(run).map(|printed| String::from_utf8(printed).unwrap())
}

fn streamed(text: &str, completeness: Completeness) -> (Vec<u8>, Option<String>) {
    let place = TempDir::new();
    let tool = program(place.path(), "dump", text);
    let mut stream = CheckedStream::new(tool.start(ToolRun::new(&Cancel::new())).unwrap(), completeness);
    let mut bytes = Vec::new();
    let outcome = stream.read_to_end(&mut bytes);
    assert_eq!(stream.length(), bytes.len() as u64);
    // An end that was refused stays refused.
    assert_eq!(stream.read(&mut [0; 9]).is_err(), outcome.is_err());
    let failure = stream.into_failure();
    assert_eq!(failure.is_some(), outcome.is_err());
    (bytes, failure.map(|failure| failure.to_string()))
}

#[test]
fn the_newest_version_that_fits_is_found_and_what_is_missing_is_named() {
    let place = TempDir::new();
    for (directory, version) in [("a", "15.18"), ("b", "16.2"), ("c", "16.2"), ("d", "broken")] {
        program(&place.join(directory), "pg_dump", &format!("echo 'pg_dump (PostgreSQL) {version}'"));
    }
    let directories = ["nowhere", "a", "b", "c", "d"].map(|name| place.join(name)).to_vec();
    let tools = Tools::new(&Host { tool_directories: directories, niceness: 0, ..Host::default() });
    let any = Wanted::any(&["pg_dump"], "postgresql-client");
    let found = tools.find(&any).unwrap();
    assert_eq!((found.path.clone(), found.to_string()), (place.join("b/pg_dump"), "pg_dump 16.2".to_owned()));
    let newer = Wanted {
        at_least: Some(Version::new(&[17])),
        because: "the server is PostgreSQL 17.1",
        ..any.clone()
    };
    let error = tools.find(&newer).unwrap_err().to_string();
    assert!(
        error.contains("16.2") && error.contains("17.1") && error.contains("postgresql-client"),
        "{error}"
    );
    let error = tools.find(&Wanted::any(&["pg_no"], "postgresql-client")).unwrap_err().to_string();
    assert!(error.contains("pg_no") && error.contains("postgresql-client"), "{error}");
    assert!(tools.beside(&found, &Wanted::any(&["psql"], "postgresql-client")).is_err());
}

#[test]
fn a_program_sees_only_the_environment_it_is_given_and_runs_nicely() {
    let place = TempDir::new();
    let tool = program(place.path(), "look", "env | cut -d= -f1 | sort | xargs; nice; pwd");
    let run = ToolRun::new(&Cancel::new()).secret_env("PGPASSWORD", &Secret::new("x".to_owned()));
    let printed = said(&tool, run.within(place.path())).unwrap();
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some("LANG PATH PGPASSWORD PWD TZ"));
    assert_eq!(lines.nth(1), Some(place.path().to_str().unwrap()));
}

#[test]
fn a_failure_names_program_and_status_and_what_it_said_without_secrets() {
    let place = TempDir::new();
    let tool = program(place.path(), "dump", "echo \"no: $SECRET\" >&2; exit 3");
    let secret = Secret::new("open sesame".to_owned());
    let failure = said(&tool, ToolRun::new(&Cancel::new()).secret_env("SECRET", &secret)).unwrap_err();
    assert_eq!(failure.to_string(), "dump ended with the exit status 3, and said: no: ****");
    let error = failure.into_error("dumping shop", "try again").to_string();
    assert_eq!(
        error,
        "dumping shop failed: dump ended with the exit status 3, and said: no: ****; try again"
    );
    let missing = tool.path.with_file_name("missing");
    let failure = said(&Tool { path: missing, ..tool }, ToolRun::new(&Cancel::new())).unwrap_err();
    assert_eq!(failure.to_string(), "missing could not be started: no such file or directory");
}

#[test]
fn a_stream_ends_well_only_when_the_program_did_and_all_is_there() {
    let marked =
        Completeness { closing_marker: Some(b"-- complete"), opening_marker: Some(b"--"), least_bytes: 12 };
    for (text, wanted) in [
        ("printf -- '-- first\n-- complete\n'", None),
        ("printf -- '-- first\n-- complete\n'; exit 1", Some("exit status 1")),
        ("printf -- '-- first\n-- complete\n'; kill -9 $$", Some("signal 9")),
        ("printf -- '-- first, and more\n'", Some("lacks the marker")),
        ("printf -- 'x- first\n-- complete\n'", Some("does not begin")),
        ("printf -- '-- comple'", Some("no more than 9 bytes")),
        ("true", Some("printed nothing")),
    ] {
        let (_, failure) = streamed(text, marked);
        match (wanted, failure) {
            (None, None) => {}
            (Some(wanted), Some(failure)) => assert!(failure.contains(wanted), "{text}: {failure}"),
            (_, failure) => panic!("{text}: {failure:?}"),
        }
    }
    // The marker is found though it comes in pieces, and long before the stream is forgotten.
    let (bytes, failure) = streamed(
        "seq 200000; printf -- '-- comp'; printf 'lete\n'",
        Completeness { closing_marker: Some(b"-- complete"), ..Completeness::default() },
    );
    assert_eq!(failure, None);
    assert!(bytes.len() > 1_000_000);
}

#[test]
fn a_program_that_hangs_ends_with_its_children_when_it_is_asked_to() {
    let place = TempDir::new();
    let tool = program(place.path(), "hang", "sleep 600 & echo $!; exec sleep 600");
    let cancel = Cancel::new();
    let mut running = tool.start(ToolRun::new(&cancel)).unwrap();
    let mut line = [0; 32];
    let length = running.read(&mut line).unwrap();
    let grandchild = String::from_utf8_lossy(&line[..length]).trim().to_owned();
    cancel.cancel();
    let failure = running.read(&mut line).map_err(|error| running.broken(error)).unwrap_err();
    assert!(matches!(failure.trouble, ToolTrouble::Canceled), "{failure}");
    let gone = |id: &str| {
        let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    };
    wait_until("the end of the grandchild", Duration::from_secs(10), || gone(&grandchild));
    let run = ToolRun::new(&Cancel::new()).silent_for_at_most(Duration::from_millis(300));
    let failure = said(&tool, run).unwrap_err();
    assert!(failure.to_string().contains("did nothing"), "{failure}");
    let dropped = tool.start(ToolRun::new(&Cancel::new())).unwrap();
    let id = dropped.id().to_string();
    drop(dropped);
    assert!(gone(&id).is_some());
}

#[test]
fn a_program_is_fed_and_its_death_explains_a_broken_pipe() {
    let place = TempDir::new();
    let tool = program(place.path(), "count", "wc -c > \"$1\"");
    let counted = place.join("counted");
    let mut running = tool.start(ToolRun::new(&Cancel::new()).arg(&counted).fed().quiet()).unwrap();
    running.feed(&vec![b'x'; 1 << 20]).unwrap();
    running.finish().unwrap();
    assert_eq!(fs::read_to_string(counted).unwrap().trim(), "1048576");
    let tool = program(place.path(), "refuse", "read line; echo \"no such table\" >&2; exit 4");
    let mut running = tool.start(ToolRun::new(&Cancel::new()).fed().quiet()).unwrap();
    let fed = (0..64).try_for_each(|_| running.feed(&[b'\n'; 1 << 16]));
    assert_eq!(fed.unwrap_err().to_string(), "refuse ended with the exit status 4, and said: no such table");
}

#[test]
fn a_tool_gets_the_disk_only_when_nobody_else_wants_it_where_the_host_says_so() {
    let place = TempDir::new();
    let asks = |idle_disk: bool| {
        let tools = Tools::new(&Host {
            tool_directories: vec!["/usr/bin".into(), "/bin".into()],
            niceness: 0,
            idle_disk,
            ..Host::default()
        });
        let path = program(place.path(), "dump", "ionice -p $$; echo $1").path;
        let tools = [tools.at(&path), tools.in_front().at(&path)];
        tools.map(|tool| said(&tool, ToolRun::new(&Cancel::new()).arg("--as it is")).unwrap())
    };
    let [tool, in_front] = asks(true);
    assert_eq!(tool, "idle\n--as it is\n");
    assert!(in_front.ends_with("\n--as it is\n") && !in_front.starts_with("idle"), "{in_front}");
    assert!(!asks(false)[0].starts_with("idle"));
}
