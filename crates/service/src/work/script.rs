//! Programs that say where a destination is.
//!
//! The API alone can never make Larder run a program: only what lies in a directory that the host's administrator
//! named runs, without a shell, with an environment of its own.

use larder_model::Cancel;
use larder_model::task::ConfigurationScript;
use serde_json::{Map, Value};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How much of a script's output is read.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;

/// How much of what a script complains is shown.
const SHOWN_CHARS: usize = 300;

/// How often a running script is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Where a script finds other programs.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a script and returns the settings it printed. Blocking; every error is the middle of a sentence.
pub(crate) fn run(
    script: &ConfigurationScript,
    directories: &[PathBuf],
    cancel: &Cancel,
) -> Result<Map<String, Value>, String> {
    let program = permitted(script.exec.as_deref().unwrap_or_default(), directories)?;
    let shown = program.display();
    let mut command = Command::new(&program);
    command
        .args(split(script.arguments.as_deref().unwrap_or_default()))
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it started ends with it.
        .process_group(0);
    if let Some(directory) = program.parent() {
        command.current_dir(directory);
    }
    let mut child =
        command.spawn().map_err(|error| format!("the script '{shown}' could not be started: {error}"))?;
    let output = child.stdout.take().map(read_apart);
    let complaints = child.stderr.take().map(read_apart);
    let deadline = Instant::now() + Duration::from_millis(script.timeout_ms());
    let ended = wait(&mut child, deadline, cancel);
    let complaint = complaints.map(|reader| shortened(&gathered(&reader))).unwrap_or_default();
    let told = if complaint.is_empty() { String::new() } else { format!(", and said: {complaint}") };
    match ended {
        Ended::Exited(status) if status.success() => {}
        Ended::Exited(status) => return Err(format!("the script '{shown}' failed ({status}){told}")),
        Ended::TooLate => {
            return Err(format!("the script '{shown}' did not end within {} ms{told}", script.timeout_ms()));
        }
        Ended::Canceled => {
            return Err(format!("the script '{shown}' was ended because the backup was aborted"));
        }
        Ended::Lost(cause) => return Err(format!("the script '{shown}' could not be waited for: {cause}")),
    }
    let printed = output.map(|reader| gathered(&reader)).unwrap_or_default();
    serde_json::from_slice(&printed).map_err(|error| {
        format!("the script '{shown}' did not print a JSON object with the settings of the destination: {error}{told}")
    })
}

/// Finds the program, and sees to it that it may run.
fn permitted(exec: &str, directories: &[PathBuf]) -> Result<PathBuf, String> {
    let remedy =
        "name its directory in larder.toml, as in: [scripts] directories = [\"/etc/larder/scripts\"]";
    if !Path::new(exec).is_absolute() {
        return Err(format!("the script '{exec}' is no absolute path; give one, and {remedy}"));
    }
    // Resolved first, so that no link leads out of the directories.
    let program = std::fs::canonicalize(exec)
        .map_err(|error| format!("the script '{exec}' cannot be used: {error}; check its name"))?;
    let allowed = directories
        .iter()
        .filter_map(|directory| std::fs::canonicalize(directory).ok())
        .any(|directory| program.starts_with(directory));
    match allowed {
        true => Ok(program),
        false => Err(format!("the script '{exec}' may not run on this host; to allow it, {remedy}")),
    }
}

/// Splits a text into arguments at white space; double quotes hold one together, and a backslash keeps the character
/// after it.
fn split(text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                quoted = !quoted;
                current.get_or_insert_default();
            }
            '\\' => current.get_or_insert_default().push(characters.next().unwrap_or('\\')),
            c if c.is_whitespace() && !quoted => arguments.extend(current.take()),
            c => current.get_or_insert_default().push(c),
        }
    }
    arguments.extend(current);
    arguments
}

/// Reads a stream on a thread of its own, so that a full pipe does not stop the script.
fn read_apart(stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read before a fault is still worth telling.
        let _ = stream.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// Takes what was read; a stream that something else still holds open is not waited for long.
fn gathered(reader: &mpsc::Receiver<Vec<u8>>) -> Vec<u8> {
    reader.recv_timeout(Duration::from_secs(1)).unwrap_or_default()
}

enum Ended {
    Exited(ExitStatus),
    TooLate,
    Canceled,
    Lost(std::io::Error),
}

fn wait(child: &mut Child, deadline: Instant, cancel: &Cancel) -> Ended {
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ended::Exited(status),
            Ok(None) if cancel.is_canceled() => break Ended::Canceled,
            Ok(None) if Instant::now() >= deadline => break Ended::TooLate,
            Ok(None) => thread::sleep(LOOK),
            Err(error) => break Ended::Lost(error),
        }
    };
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
    ended
}

fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;
    use std::os::unix::fs::PermissionsExt;

    fn script(directory: &TempDir, text: &str) -> ConfigurationScript {
        let path = directory.join("where");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        ConfigurationScript {
            exec: Some(path.display().to_string()),
            arguments: Some("one \"two three\"".to_owned()),
            timeout_in_ms: 5000,
        }
    }

    fn ran(directory: &TempDir, script: &ConfigurationScript) -> Result<Map<String, Value>, String> {
        run(script, &[directory.path().to_owned()], &Cancel::new())
    }

    #[test]
    fn what_a_script_prints_are_the_settings() {
        let directory = TempDir::new();
        let script = script(&directory, r#"[ "$2" = "two three" ] && echo '{"FolderPath": "/'"$1"'"}'"#);
        assert_eq!(ran(&directory, &script).unwrap()["FolderPath"], "/one");
    }

    #[test]
    fn a_script_that_fails_hangs_or_prints_nonsense_is_told_with_what_it_said() {
        let directory = TempDir::new();
        for (text, says) in [
            ("echo no luck today >&2; exit 3", "no luck today"),
            ("echo nonsense", "JSON object"),
            ("echo '[1]'", "JSON object"),
            ("true", "JSON object"),
        ] {
            let message = ran(&directory, &script(&directory, text)).unwrap_err();
            assert!(message.contains(says) && message.contains("/where'"), "{message}");
        }
        let hanging = ConfigurationScript { timeout_in_ms: 50, ..script(&directory, "sleep 60 & sleep 60") };
        let begun = Instant::now();
        assert!(ran(&directory, &hanging).unwrap_err().contains("within 50 ms"));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn only_what_lies_in_a_named_directory_runs() {
        let directory = TempDir::new();
        let elsewhere = TempDir::new();
        let outside = script(&elsewhere, "echo '{}'");
        assert!(ran(&directory, &outside).unwrap_err().contains("may not run"));
        std::os::unix::fs::symlink(elsewhere.join("where"), directory.join("link")).unwrap();
        let link =
            ConfigurationScript { exec: Some(directory.join("link").display().to_string()), ..outside };
        assert!(ran(&directory, &link).unwrap_err().contains("may not run"));
        let relative = ConfigurationScript { exec: Some("sh".to_owned()), ..ConfigurationScript::default() };
        assert!(ran(&directory, &relative).unwrap_err().contains("absolute"));
    }

    #[test]
    fn a_script_sees_nothing_of_the_servers_environment() {
        let directory = TempDir::new();
        let script = script(
            &directory,
            r#"printf '{"N": "%s"}' "$(env | grep -v -e ^PATH -e ^LANG -e ^PWD -e ^SHLVL -e ^_ | wc -l)""#,
        );
        assert_eq!(ran(&directory, &script).unwrap()["N"], "0");
    }
}
