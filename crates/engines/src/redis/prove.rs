//! Lets a private server load a backup, and counts what it has.

use super::connection::{Connection, Trouble};
use super::position::Info;
use super::rdb::{KEYS, TYPE};
use super::serve::{count_types, sound};
use crate::dump::{compare_file, copy_out, file_failure, only_file};
use crate::engine::{Comparison, ProofJob};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::{Running, ToolRun, Tools, Wanted};
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);

/// The names that the programs and their packages go by.
const SERVER: Wanted<'_> = Wanted::any(&["redis-server", "valkey-server"], "redis-server");

pub(super) fn prove(
    tools: &Tools,
    job: &ProofJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    let tool = tools.find(&SERVER)?;
    let path = job.scratch.join("dump.rdb");
    let listed = only_file(backup)?;
    let failed = |error| file_failure(&path, error);
    let mut file = File::create(&path).map_err(failed)?;
    copy_out(None, job.cancel, backup, &listed.path, &mut |bytes| file.write_all(bytes).map_err(failed))?;
    drop(file);
    let mut differences = compare_file(&path, job.report, job.cancel)?;
    let summary = sound(&path)?;
    // A master that never answers: only a replica keeps keys that have expired since the backup, so that all can be counted.
    let silent = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
    let port = silent.local_addr().map_err(failed)?.port().to_string();
    let run = ToolRun::new(job.cancel)
        .args(["--port", "0", "--unixsocket", "redis.sock", "--unixsocketperm", "700", "--dir", "."])
        .args(["--dbfilename", "dump.rdb", "--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(["--replicaof", "127.0.0.1", &port, "--logfile", "redis.log"])
        .within(job.scratch)
        .quiet();
    let remedy = "see whether the modules that the data needs are missing, and whether the memory suffices";
    let explain = |failure: crate::tool::ToolFailure| {
        failure.into_error("loading the backup into a private Redis", remedy)
    };
    let mut running = tool.start(run).map_err(explain)?;
    let mut connection = match await_loaded(&mut running, job)? {
        Some(connection) => connection,
        None => {
            let said = std::fs::read_to_string(job.scratch.join("redis.log")).unwrap_or_default();
            let last =
                said.lines().rev().find(|line| line.contains('#')).unwrap_or_default().trim().to_owned();
            return Err(EngineError::Failed {
                action: "loading the backup into a private Redis".to_owned(),
                cause: format!("the server ended, and said: {last}"),
                remedy: remedy.to_owned(),
            });
        }
    };
    let found = Info::ask(&mut connection)?.keys();
    if let Some(recorded) = numbered(job, KEYS) {
        let mut is: Vec<_> = found.iter().map(|(number, keys)| (number.to_string(), *keys)).collect();
        is.sort_unstable();
        compare_counts("database", &recorded, &is, &mut differences);
    }
    let types = numbered(job, TYPE).unwrap_or_default();
    let names: Vec<&str> =
        types.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "module").collect();
    let counted = count_types(&mut connection, &found, &names, job.cancel)?;
    let plain: Vec<_> = types.iter().filter(|(name, _)| name != "module").cloned().collect();
    compare_counts("type", &plain, &counted, &mut differences);
    drop(running);
    let compared = format!("{}, SHA-256, loaded by {tool}", summary.in_words());
    Ok(Comparison { compared, differences, changed_since: 0 })
}

/// Returns what the report says under names that begin so, sorted; `None` where it says nothing of the kind.
fn numbered(job: &ProofJob<'_>, prefix: &str) -> Option<Vec<(String, u64)>> {
    let found = job.report.evidence.iter();
    let found =
        found.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.parse().ok()?)));
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    (!found.is_empty()).then_some(found)
}

fn compare_counts(what: &str, wanted: &[(String, u64)], is: &[(String, u64)], differences: &mut Vec<String>) {
    let count = |list: &[(String, u64)], name: &str| {
        list.iter().find(|(is, _)| is == name).map_or(0, |(_, keys)| *keys)
    };
    for (name, _) in wanted.iter().chain(is.iter().filter(|(name, _)| count(wanted, name) == 0)) {
        let (wanted, is) = (count(wanted, name), count(is, name));
        if wanted != is {
            differences.push(format!("the {what} {name} has {is} keys instead of {wanted}"));
        }
    }
}

/// Waits until the server has loaded everything; `None` where it ended.
fn await_loaded(running: &mut Running, job: &ProofJob<'_>) -> Result<Option<Connection>, EngineError> {
    // The path of a socket may have 107 bytes, and that of a scratch directory more.
    let directory = File::open(job.scratch).map_err(|error| file_failure(job.scratch, error))?;
    let socket = format!("/proc/self/fd/{}/redis.sock", directory.as_raw_fd());
    loop {
        job.cancel.check()?;
        if !running.is_running() {
            return Ok(None);
        }
        if let Ok(mut connection) = Connection::open_socket(socket.as_ref(), job.cancel) {
            match connection.ask(&["PING"]) {
                Ok(_) => return Ok(Some(connection)),
                // It has not answered because its data are not all there, or because it has just died.
                Err(Trouble::Declined(said))
                    if !said.starts_with("LOADING") && !said.starts_with("MASTERDOWN") =>
                {
                    return Err(connection.explain("loading the backup", Trouble::Declined(said)));
                }
                Err(_) => {}
            }
        }
        std::thread::sleep(LOOK);
    }
}
