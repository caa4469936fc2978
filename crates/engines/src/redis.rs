//! Redis and Valkey servers: the engine `redis`.
//!
//! A backup is what the server sends to a new replica: one RDB file of one moment, all databases of the instance. It is
//! streamed as it comes, without a copy on our disk, and on the server's only where it is told to.

mod connection;
mod crc64;
mod position;
mod prove;
mod rdb;
mod rights;
mod serve;
mod transfer;

use crate::dump::{self, compare_file};
use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestoreReport, RestoreTarget, SourceOption,
};
use crate::error::EngineError;
use crate::listening::listeners;
use crate::sink::{BackupReader, Sink};
use crate::tool::Tools;
use connection::Connection;
use larder_model::{Cancel, Database, DatabaseName, EngineKind, Source};
use position::{Info, Position};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The name of the one file in a backup.
const FILE: &str = "dump.rdb";

/// Where an instance keeps all its databases: they are saved and restored together.
const ALL: &str = "all";

/// Backs up a whole instance as one database.
#[derive(Clone, Debug, Default)]
pub struct Redis {
    tools: Tools,
}

impl Redis {
    pub(crate) const fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

impl Engine for Redis {
    fn kind(&self) -> EngineKind {
        EngineKind::Redis
    }

    fn options(&self) -> &'static [SourceOption] {
        &crate::remote::TLS_MEANINGS
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            detects_unchanged: true,
            restores_into_server: true,
            ..EngineCapabilities::default()
        }
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        let mut connection = Connection::open(source, &Cancel::new())?;
        Info::ask(&mut connection)?;
        Ok(vec![FoundDatabase { suggested_name: source.name.as_str().to_owned(), locator: ALL.to_owned() }])
    }

    fn find(&self) -> Vec<FoundSource> {
        let mut found = Vec::new();
        // Wherever they were put; root alone sees that.
        for listener in listeners(&["redis-server", "valkey-server", "keydb-server"]) {
            if let Some(port) = listener.ports.iter().find(|port| answers_at(**port)) {
                let address = format!("redis://127.0.0.1:{port}");
                found.push(found_source(address, format!("a Redis server answers on 127.0.0.1:{port}")));
            } else if let Some(path) = listener.sockets.iter().find_map(|path| path.to_str()) {
                found.push(found_source(
                    format!("unix://{path}"),
                    format!("a Redis server has the socket {path}"),
                ));
            }
        }
        if !found.is_empty() {
            return found;
        }
        if answers_at(6379) {
            let address = "redis://127.0.0.1:6379".to_owned();
            found.push(found_source(address, "a Redis server answers on 127.0.0.1:6379".to_owned()));
        } else {
            for path in ["/run/redis/redis-server.sock", "/run/redis/redis.sock", "/run/valkey/valkey.sock"] {
                if Path::new(path).exists() {
                    let reason = format!("a Redis server has the socket {path}");
                    found.push(found_source(format!("unix://{path}"), reason));
                }
            }
        }
        found
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        rights::missing(Connection::open(source, &Cancel::new())?)
    }

    fn changed(&self, source: &Source, _: &Database, position: &str) -> Result<ChangeCheck, EngineError> {
        let Some(before) = Position::from_text(position) else { return Ok(ChangeCheck::MaybeChanged) };
        let now = Position::of(&Info::ask(&mut Connection::open(source, &Cancel::new())?)?);
        Ok(match now {
            Some(now) if before.proves_unchanged(&now) => ChangeCheck::Unchanged,
            _ => ChangeCheck::MaybeChanged,
        })
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        job.counters.set_current(FILE);
        let before = Info::ask(&mut Connection::open(job.source, job.cancel)?)?;
        let connection = Connection::open(job.source, job.cancel)?;
        let action = format!("reading the data set of Redis {}", connection.shown());
        let (begun, rdb) = transfer::begin(connection)?;
        job.counters.bytes_total.store(rdb.length().unwrap_or_default(), Ordering::Relaxed);
        let failed = |cause: &str| EngineError::Failed {
            action: action.clone(),
            cause: cause.to_owned(),
            remedy: "start the backup again".to_owned(),
        };
        let mut checked = transfer::Checked::new(rdb).map_err(|error| failed(&error.to_string()))?;
        let carried = dump::stream(job, FILE, sink, &mut checked, &action)?;
        let summary = checked.into_summary().ok_or_else(|| failed("it was not read to its end"))?;
        let after = Info::ask(&mut Connection::open(job.source, job.cancel)?)?;
        let position = Position::choose(&before, &after, &begun).and_then(|position| position.to_text());
        let mut messages = Vec::new();
        if summary.keys.is_none() {
            messages.push(
                "the data holds a type that is new to Larder: the bytes were checked, the keys not counted"
                    .to_owned(),
            );
        }
        if !summary.has_checksum {
            messages.push(
                "the server writes no checksums (rdbchecksum no): the structure alone was checked".to_owned(),
            );
        }
        if after.get("cluster_enabled") == "1" {
            messages
                .push("this is one node of a cluster, with its own slots; back up every master".to_owned());
        }
        Ok(BackupReport { position, evidence: [carried.evidence(), summary.evidence()].concat(), messages })
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        let target = match job.target {
            RestoreTarget::Path(path) => path,
            RestoreTarget::Server { source, .. } => return serve::restore(job, source, backup),
        };
        let carried = dump::restore_file(job, target, backup, &|path| serve::sound(path).map(drop))?;
        let messages = vec![format!(
            "stop the server, put {} in place of its dump.rdb, switch appendonly off for that start, and start it",
            target.display()
        )];
        Ok(RestoreReport { files: 1, bytes: carried.bytes, messages })
    }

    fn compare(&self, job: &CompareJob<'_>, _: &dyn BackupReader) -> Result<Comparison, EngineError> {
        match job.restored {
            RestoreTarget::Path(path) => {
                let differences = compare_file(path, job.report, job.cancel)?;
                let compared = format!("{}, SHA-256", serve::sound(path)?.in_words());
                Ok(Comparison { compared, differences, changed_since: 0 })
            }
            RestoreTarget::Server { source, .. } => {
                let differences = serve::compare_server(source, job.report, job.cancel)?;
                let compared = "the number of keys in each database".to_owned();
                Ok(Comparison { compared, differences, changed_since: 0 })
            }
        }
    }

    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        prove::prove(&self.tools, job, backup)
    }
}

fn found_source(address: String, reason: String) -> FoundSource {
    let source = Source {
        name: DatabaseName::from_lossy("redis"),
        engine: EngineKind::Redis,
        address,
        password: None,
        options: BTreeMap::new(),
        exclude: Vec::new(),
        default_excludes: true,
        one_file_system: false,
    };
    FoundSource { source, reason }
}

/// Says whether something on this host answers as Redis does, be it with a refusal.
fn answers_at(port: u16) -> bool {
    const QUICK: Duration = Duration::from_millis(500);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let asked = TcpStream::connect_timeout(&address, QUICK).and_then(|mut stream| {
        stream.set_read_timeout(Some(QUICK))?;
        stream.write_all(b"PING\r\n")?;
        let mut told = [0; 5];
        stream.read_exact(&mut told).map(|()| told)
    });
    asked.is_ok_and(|told| matches!(&told, b"+PONG" | b"-NOAU" | b"-DENI" | b"-LOAD" | b"-NOPE"))
}
