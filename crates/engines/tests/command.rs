//! The engine `command`, with small shell scripts as programs, and with every recipe of `examples/commands/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;
mod servers;

use larder_engines::{BackupReport, EngineError, RestoreTarget};
use larder_model::EngineKind;
use larder_testbed::TempDir;
use memory::MemoryBackup;
use servers::{Bench, Meanwhile, evidence, source, with_option, with_password};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn place(directory: &TempDir, name: &str, text: &str) -> PathBuf {
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

fn with_options(directory: &TempDir, line: &str, options: &[(&str, &str)]) -> Bench {
    let plain = source(EngineKind::Command, line);
    let source = options.iter().fold(plain, |source, (name, value)| with_option(source, name, value));
    Bench::with_commands(source, "output", &[directory.path().to_owned()])
}

fn ran(text: &str, options: &[(&str, &str)]) -> Result<(BackupReport, MemoryBackup), EngineError> {
    let directory = TempDir::new();
    let program = place(&directory, "dump", text);
    with_options(&directory, &program.display().to_string(), options).full()
}

#[test]
fn what_a_program_prints_is_the_backup_and_comes_back_as_a_file() {
    let directory = TempDir::new();
    let program = place(&directory, "dump", "printf '%s|' \"$@\"; echo end");
    let line = format!("{} one 'two three' \"*\"", program.display());
    let bench = with_options(&directory, &line, &[("FileName", "shop.dump"), ("CompletenessMarker", "end")]);
    let found = bench.engine().discover(&bench.source, &[]).unwrap();
    assert_eq!((found[0].suggested_name.as_str(), found[0].locator.as_str()), ("shop", "output"));
    let backup = bench.full().unwrap();
    assert_eq!(backup.1.names(), ["shop.dump"]);
    assert_eq!(backup.1.entries[0].1, b"one|two three|*|end\n");
    assert_eq!(evidence(&backup.0, "Bytes"), "20");
    let path = directory.join("back");
    bench.restore(&backup, RestoreTarget::Path(&path), false).unwrap();
    assert_eq!(fs::read(&path).unwrap(), backup.1.entries[0].1);
    assert_eq!(bench.compare(&backup, RestoreTarget::Path(&path)).differences, [""; 0]);
    assert_eq!(bench.prove(&backup).unwrap().differences, [""; 0]);
    fs::write(&path, "other").unwrap();
    assert_eq!(bench.compare(&backup, RestoreTarget::Path(&path)).differences.len(), 1);
    assert!(
        bench
            .restore(&backup, RestoreTarget::Path(&path), false)
            .unwrap_err()
            .to_string()
            .contains("not empty")
    );
}

#[test]
fn a_program_that_fails_says_nothing_or_not_enough_leaves_no_backup() {
    for (text, options, says) in [
        ("echo half; echo no luck today >&2; exit 3", &[][..], "exit status 3, and said: no luck today"),
        ("echo half; kill -9 $$", &[], "signal 9"),
        ("exit 0", &[], "printed nothing"),
        ("echo half", &[("CompletenessMarker", "complete")], "'complete' is not at the end"),
        ("echo complete; head -c 200000 /dev/zero", &[("CompletenessMarker", "complete")], "not at the end"),
        ("echo half", &[("MinimumBytes", "6")], "only 5 bytes of at least 6"),
        ("echo half; sleep 600 & sleep 600", &[("TimeoutSeconds", "1")], "did not end within 1 s"),
        ("while :; do echo x; done", &[("TimeoutSeconds", "1")], "did not end within 1 s"),
    ] {
        let begun = Instant::now();
        let told = ran(text, options).unwrap_err().to_string();
        assert!(
            told.contains(says) && told.contains("/dump") && told.contains("run it by hand"),
            "{text}: {told}"
        );
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_program_that_gives_no_sign_of_completeness_is_backed_up_with_a_remark() {
    let (report, _) = ran("echo whole", &[]).unwrap();
    assert!(report.messages[0].contains("CompletenessMarker"), "{:?}", report.messages);
    let (report, _) = ran("echo whole; echo complete; echo", &[("CompletenessMarker", "complete")]).unwrap();
    assert_eq!(report.messages, [""; 0]);
}

#[test]
fn an_abort_ends_the_program_and_all_it_started() {
    let directory = TempDir::new();
    let program = place(&directory, "dump", "sh -c 'yes' & wait");
    let bench = with_options(&directory, &program.display().to_string(), &[]);
    let mut sink = Meanwhile::new(1 << 20, || bench.cancel.cancel());
    assert_eq!(bench.take_into(&mut sink, None).unwrap_err().to_string(), "the operation was aborted");
    assert_eq!(sink.inner.names(), [""; 0]);
}

#[test]
fn only_programs_and_settings_in_named_directories_are_used() {
    let (named, other) = (TempDir::new(), TempDir::new());
    let outside = place(&other, "dump", "echo whole");
    let inside = place(&named, "dump", "echo whole");
    let bench = with_options(&named, &outside.display().to_string(), &[]);
    assert!(bench.fails().contains("[commands] directories"), "{}", bench.fails());
    assert_eq!(bench.engine().missing_rights(&bench.source).unwrap().len(), 1);
    for option in ["RestoreCommand", "EnvironmentFile"] {
        let odd = with_options(&named, &inside.display().to_string(), &[(option, outside.to_str().unwrap())]);
        assert!(odd.fails().contains("may not be used"), "{}", odd.fails());
    }
    for (name, value, says) in [
        ("FileName", "../x", "without a directory"),
        ("MinimumBytes", "many", "whole number"),
        ("WorkingDirectory", "x", "no directory"),
        ("Marker", "x", "CompletenessMarker"),
    ] {
        let odd = with_options(&named, &inside.display().to_string(), &[(name, value)]);
        assert!(odd.fails().contains(says), "{}", odd.fails());
    }
    // A shell asks for what no option gives: what the words hold is not expanded.
    let hostile = format!("{} ; touch {}", inside.display(), other.join("proof").display());
    with_options(&named, &hostile, &[]).full().unwrap();
    assert!(!other.join("proof").exists());
}

#[test]
fn secrets_reach_a_program_by_its_environment_and_are_not_told() {
    let directory = TempDir::new();
    let text = "echo \"$TOKEN $LARDER_PASSWORD\"; env | grep -c -v -e ^PATH -e ^LANG -e ^TZ -e ^PWD -e ^SHLVL -e ^_; \
                echo \"$TOKEN\" >&2; exit ${1:-0}";
    let program = place(&directory, "dump", text);
    let settings = directory.join("secrets");
    fs::write(&settings, "# a remark\nTOKEN=\"open sesame\"\n").unwrap();
    let option = [("EnvironmentFile", settings.to_str().unwrap())];
    let bench = |line: &str| {
        let bench = with_options(&directory, line, &option);
        Bench::with_commands(with_password(bench.source, "rosebud"), "output", &[directory.path().to_owned()])
    };
    let line = program.display().to_string();
    fs::set_permissions(&settings, Permissions::from_mode(0o644)).unwrap();
    assert!(bench(&line).fails().contains("chmod o-rwx"));
    fs::set_permissions(&settings, Permissions::from_mode(0o600)).unwrap();
    let (_, backup) = bench(&line).full().unwrap();
    assert_eq!(String::from_utf8_lossy(&backup.entries[0].1), "open sesame rosebud\n2\n");
    let told = bench(&format!("{line} 4")).fails();
    assert!(told.contains("exit status 4") && !told.contains("sesame"), "{told}");
    fs::write(&settings, "TOKEN open sesame\n").unwrap();
    let told = bench(&line).fails();
    assert!(told.contains("line 1") && !told.contains("sesame"), "{told}");
}

#[test]
fn a_restore_command_takes_the_backup_on_its_input() {
    let directory = TempDir::new();
    let dump = place(&directory, "dump", "head -c 3000000 /dev/zero; echo end");
    let restore = place(&directory, "restore", "cat > \"$1/$LARDER_NAME-$LARDER_OVERWRITE\"; echo noise");
    let line = format!("{} {}", restore.display(), directory.path().display());
    let bench = with_options(&directory, &dump.display().to_string(), &[("RestoreCommand", &line)]);
    let backup = bench.full().unwrap();
    let place = RestoreTarget::Server { source: &bench.source, name: "shop" };
    bench.restore(&backup, place, false).unwrap();
    assert_eq!(fs::read(directory.join("shop-no")).unwrap(), backup.1.entries[0].1);
    self::place(&directory, "restore", "head -c 10 >/dev/null; echo no room >&2; exit 1");
    let told = bench.restore(&backup, place, true).unwrap_err().to_string();
    assert!(told.contains("exit status 1") && told.contains("no room"), "{told}");
    let without = with_options(&directory, &dump.display().to_string(), &[]);
    let place = RestoreTarget::Server { source: &without.source, name: "shop" };
    assert!(without.restore(&backup, place, false).unwrap_err().to_string().contains("RestoreCommand"));
}

/// The recipes, each with a stand-in for the vendor's tool, how the stand-in works, and how it fails without saying so.
///
/// The real tools are in no registry that tests may use: this shows that a recipe believes a tool only when it should, not that
/// the tool's backup is a good one.
const RECIPES: [(&str, &str, &str, &str); 5] = [
    ("mongodb", "mongodump", "head -c 5000 /dev/zero", "echo tiny"),
    (
        "clickhouse",
        "clickhouse-client",
        "case \"$*\" in *'SELECT 1'*) echo 1 ;; *'SELECT name'*) echo events; echo 'od`d' ;; *CREATE*) echo CREATE ;; *engine*) echo MergeTree ;; *) echo rows ;; esac",
        "case \"$*\" in *'SELECT 1'*) echo 1 ;; *CREATE*) echo CREATE ;; *'SELECT name'*) echo events ;; *Native*) echo half; exit 1 ;; *engine*) echo MergeTree ;; esac",
    ),
    ("influxdb", "influx", "echo data > \"$2/x.manifest\"", "echo data > \"$2/x.shard\""),
    ("ldap", "slapcat", "echo 'dn: dc=example' > \"$4\"", ": > \"$4\""),
    (
        "ravendb",
        "curl",
        "while [ \"$1\" != --output ]; do shift; done; { echo '{\"Docs\":['; head -c 9000 /dev/urandom | od; printf ']}'; } | gzip > \"$2\"",
        "while [ \"$1\" != --output ]; do shift; done; printf '{\"Docs\":[' | gzip > \"$2\"",
    ),
];

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/commands")
}

/// Copies a recipe, and puts the stand-in before everything else that it may find.
fn recipe(directory: &TempDir, name: &str, tool: &str, stand_in: &str) -> Bench {
    let text = fs::read_to_string(recipes().join(name)).unwrap();
    let text = text.strip_prefix("#!/bin/sh\n").expect("a shell script");
    fs::create_dir_all(directory.join("bin")).unwrap();
    let bin = directory.join("bin");
    fs::write(bin.join(tool), format!("#!/bin/sh\n{stand_in}\n")).unwrap();
    fs::set_permissions(bin.join(tool), Permissions::from_mode(0o755)).unwrap();
    let program = place(directory, name, &format!("PATH={}:$PATH\nexport PATH\n{text}", bin.display()));
    let settings = directory.join("settings");
    fs::write(&settings, "MONGODB_URI=mongodb://x\nINFLUX_TOKEN=x\n").unwrap();
    fs::set_permissions(&settings, Permissions::from_mode(0o600)).unwrap();
    let toml = fs::read_to_string(recipes().join(format!("{name}.toml"))).unwrap();
    let values = |line: &str| {
        let (name, value) = line.split_once(" = ")?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    let lines: Vec<_> = toml.lines().filter(|line| !line.starts_with('#')).filter_map(values).collect();
    let address = lines.iter().find(|(name, _)| name == "Address").expect("an address").1.clone();
    let arguments = address.split_once(' ').map_or("", |(_, arguments)| arguments);
    let mut bench = with_options(directory, &format!("{} {arguments}", program.display()), &[]);
    for (option, value) in lines {
        if !matches!(option.as_str(), "Name" | "Engine" | "Address" | "RestoreCommand" | "EnvironmentFile") {
            bench.source.options.insert(option, value);
        }
    }
    bench.source.options.insert("EnvironmentFile".to_owned(), settings.display().to_string());
    bench
}

#[test]
fn every_recipe_believes_its_tool_only_when_it_should() {
    for (name, tool, works, fails) in RECIPES {
        let directory = TempDir::new();
        let (report, backup) =
            recipe(&directory, name, tool, works).full().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!backup.entries[0].1.is_empty());
        assert_eq!(report.messages, [""; 0], "{name} says how its completeness is known");
        recipe(&directory, name, tool, fails).full().map(|_| ()).expect_err(name);
        let halfway = format!("{works}; exit 1");
        recipe(&directory, name, tool, &halfway).full().map(|_| ()).expect_err(name);
        recipe(&directory, name, tool, &format!("{works}; kill -9 $$")).full().map(|_| ()).expect_err(name);
        recipe(&directory, name, tool, "exit 0").full().map(|_| ()).expect_err(name);
    }
}

#[test]
fn the_hooks_for_riak_fail_where_the_node_does_not_stop() {
    for (stand_in, is_good) in [("[ \"$1\" != ping ]", true), ("exit 0", false), ("exit 1", false)] {
        let directory = TempDir::new();
        place(&directory, "riak", stand_in);
        let run = std::process::Command::new("sh")
            .arg(recipes().join("riak-before"))
            .env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))
            .output()
            .unwrap();
        assert_eq!(run.status.success(), is_good, "{stand_in}");
    }
}
