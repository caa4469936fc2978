//! Lets a private member serve a backup, and asks it what it has.

use super::cluster::number;
use super::{HASH, KEYS, REVISION, check_file, place};
use crate::dump::{compare_file, copy_out, file_failure, only_file, recorded};
use crate::engine::{Comparison, ProofJob};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::{Running, Tool, ToolRun, Tools, Wanted};
use crate::words::count;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

const SERVER: Wanted<'_> = Wanted::any(&["etcd"], "etcd-server");
const CLIENT: Wanted<'_> = Wanted::any(&["etcdctl"], "etcd-client").asked("version");

/// Sockets in the scratch directory, which the programs run in.
const CLIENTS: &str = "unix://client.sock:1";
const PEERS: &str = "unix://peer.sock:1";

const LOOK: Duration = Duration::from_millis(100);

/// How often the member is asked before it is given up; it answers within seconds.
const TRIES: u32 = 300;

pub(super) fn prove(
    tools: &Tools,
    job: &ProofJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    let (server, client, tool) = (tools.find(&SERVER)?, tools.find(&CLIENT)?, place::tool(tools)?);
    let path = job.scratch.join("snapshot.db");
    let listed = only_file(backup)?;
    let failed = |error| file_failure(&path, error);
    let mut file = File::create(&path).map_err(failed)?;
    copy_out(None, job.cancel, backup, &listed.path, &mut |bytes| file.write_all(bytes).map_err(failed))?;
    drop(file);
    let mut differences = compare_file(&path, job.report, job.cancel)?;
    check_file(&path)?;
    let alone = format!("proof={PEERS}");
    let more = ["--name", "proof", "--initial-cluster", &alone, "--initial-advertise-peer-urls", PEERS];
    place::make(&tool, &path, &job.scratch.join("data"), &more, job.cancel)?;
    let run = ToolRun::new(job.cancel)
        .args(["--name", "proof", "--data-dir", "data", "--initial-cluster", &alone])
        .args(["--listen-client-urls", CLIENTS, "--advertise-client-urls", CLIENTS])
        .args(["--listen-peer-urls", PEERS, "--initial-advertise-peer-urls", PEERS])
        .within(job.scratch)
        .quiet();
    let running = server.start(run);
    let mut running =
        running.map_err(|failure| failure.into_error("starting a private etcd", "see what it said"))?;
    let revision = recorded(job.report, REVISION).unwrap_or_default();
    let keys = recorded(job.report, KEYS).unwrap_or_default();
    // All keys are counted, however few are asked for; older tools have no other way to ask.
    let question = ["get", "", "--prefix", "--keys-only", "--limit", "1", "--rev", revision, "-w", "fields"];
    let told = ask(&client, &mut running, &question, job)?;
    let field = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("\"{name}\" : ")));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let is = field("Count");
    if is != keys {
        differences.push(format!("it has {is} keys at revision {revision} instead of {keys}"));
    }
    let mut compared =
        format!("{} at revision {revision}, SHA-256", count(is.parse().unwrap_or(0), "key", "keys"));
    if let Some((hash, compacted)) = recorded(job.report, HASH).and_then(|both| both.split_once('@')) {
        let told = ask(&client, &mut running, &["endpoint", "hashkv", "--rev", revision, "-w", "json"], job)?;
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        let is = number(&told, "/0/HashKV/hash").map(|hash| hash.to_string());
        if told.pointer("/0/HashKV/compact_revision").map(Value::to_string).as_deref() == Some(compacted) {
            if is.as_deref() != Some(hash) {
                differences.push("the hash of all keys is not the one that the cluster gave".to_owned());
            }
            compared.push_str(", the cluster's hash of all keys");
        }
    }
    compared.push_str(&format!(", served by {server}"));
    Ok(Comparison { compared, differences, changed_since: 0 })
}

/// Asks the private member, as soon as it answers.
fn ask(
    client: &Tool,
    running: &mut Running,
    question: &[&str],
    job: &ProofJob<'_>,
) -> Result<String, EngineError> {
    let remedy = "see whether the disk has room, and whether this etcd is older than the cluster's";
    let mut tries = 0;
    loop {
        let run = ToolRun::new(job.cancel)
            .args(["--endpoints", CLIENTS, "--command-timeout", "20s"])
            .args(question.iter().copied())
            .env("ETCDCTL_API", "3")
            .within(job.scratch);
        let failure = match client.ask(run) {
            Ok(told) => return Ok(String::from_utf8_lossy(&told).into_owned()),
            Err(failure) => failure,
        };
        job.cancel.check()?;
        if !running.is_running() {
            let ended = running.broken(io::ErrorKind::BrokenPipe.into());
            return Err(ended.into_error("serving the backup from a private etcd", remedy));
        }
        tries += 1;
        if tries == TRIES {
            return Err(failure.into_error("asking a private etcd for the backup's keys", remedy));
        }
        std::thread::sleep(LOOK);
    }
}
