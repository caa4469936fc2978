//! Fetches the server's log from a place on, up to now.

use super::scan::{Scan, Subject, scan};
use crate::error::EngineError;
use crate::mariadb::client::Client;
use crate::mariadb::failure::{self, failed};
use crate::mariadb::position::LogPoint;
use crate::mariadb::scratch::directory;
use crate::tool::{Version, Wanted};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The program that reads logs.
pub(crate) const READER: Wanted<'static> = Wanted {
    names: &["mariadb-binlog", "mysqlbinlog"],
    package: "mariadb-client",
    at_least: None,
    because: "",
    read: Version::in_text,
    question: "--version",
};

/// A file of log that was fetched.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// Its name at the server.
    pub(crate) name: String,
    /// Where it lies now.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) scan: Scan,
}

/// Why a log cannot be gone on with.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What is needed is not in the server's log any more, or is not what it was: only a full backup helps.
    Gap(String),
    /// The server could not be asked.
    Error(EngineError),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self::Error(error)
    }
}

/// Fetches everything since a place. The last file ends where the next backup goes on.
pub(crate) fn fetch(
    client: &Client,
    file: &str,
    offset: u64,
    staging: &Path,
    subject: Subject<'_>,
) -> Result<Vec<Fetched>, Refusal> {
    let action = format!("reading the binary log of {} from {file}:{offset} on", client.address.shown());
    // What an earlier try of the same job fetched is no part of this one.
    let _ = std::fs::remove_dir_all(staging.join("log"));
    let below = directory(staging, "log")?;
    let tool = client.tools.find(&READER)?;
    let prefix = below.join("raw-");
    let run = client
        .run()
        .args(["--read-from-remote-server", "--raw", "--to-last-log"])
        .arg(format!("--start-position={offset}"))
        .arg(format!("--result-file={}", prefix.display()))
        .arg(file)
        .quiet();
    let ended = tool.start(run).and_then(|mut running| running.finish());
    if let Err(failure) = ended {
        // Error 1236, in words: the server does not have that file or that place.
        let gone =
            ["Could not find first log file", "impossible position", "could not find", "bogus data in log"];
        if gone.iter().any(|words| failure.said.contains(words)) {
            return Err(Refusal::Gap(format!(
                "the server has no {file}:{offset} in its log any more ({})",
                failure.said
            )));
        }
        return Err(failure::explain(failure, &action, &client.address).into());
    }
    let mut fetched: Vec<Fetched> = Vec::new();
    let mut name = file.to_owned();
    loop {
        client.cancel.check().map_err(EngineError::from)?;
        let path = below.join(format!("raw-{name}"));
        let opened = match File::open(&path) {
            Ok(opened) => opened,
            Err(error) => {
                return Err(failed(action, format!("{name}: {error}"), "start the backup again").into());
            }
        };
        let from = if fetched.is_empty() { offset } else { 4 };
        let scan = scan(BufReader::with_capacity(1 << 18, opened), Some(from), subject)
            .map_err(|error| Refusal::Gap(format!("the log {name} is not whole: {error}")))?;
        let next = scan.next.clone();
        fetched.push(Fetched { name, path, scan });
        match next {
            Some(next) if below.join(format!("raw-{next}")).exists() => name = next,
            _ => break,
        }
    }
    let files = below.read_dir().map_or(0, |inside| inside.flatten().count());
    if files != fetched.len() {
        return Err(Refusal::Gap("the files of the log do not follow each other".to_owned()));
    }
    Ok(fetched)
}

/// Says why a place is not what it was, where it is not: the log was begun anew, or is another server's.
pub(crate) fn check_same(client: &Client, point: &LogPoint) -> Result<(), Refusal> {
    let action = format!("asking {} for its binary log", client.address.shown());
    let sql = format!(
        "SELECT @@server_id, IFNULL(BINLOG_GTID_POS({}, {}), '')",
        crate::mariadb::quote::text(&point.file),
        point.offset
    );
    let rows = client.ask(&action, &sql)?;
    let row = rows.first().map(Vec::as_slice).unwrap_or_default();
    let field = |place: usize| row.get(place).map(String::as_str).unwrap_or_default();
    if field(0) != point.server.to_string() {
        return Err(Refusal::Gap(format!(
            "the server is number {} and was number {}",
            field(0),
            point.server
        )));
    }
    if field(1) != point.gtid {
        return Err(Refusal::Gap(format!(
            "the log has other changes before {}:{} than it had; it was begun anew, or part of it was removed",
            point.file, point.offset
        )));
    }
    Ok(())
}
