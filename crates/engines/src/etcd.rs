//! etcd clusters: the engine `etcd`.
//!
//! A backup is a snapshot as `etcdctl snapshot save` makes it, streamed from one member by the gateway that all of them
//! have: nothing is staged, and no tool is needed. Larder checks the hash at its end before it calls it a backup.

mod cluster;
mod place;
mod prove;
mod snapshot;

use crate::dump::{self, compare_file, recorded};
use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestoreReport, SourceOption,
};
use crate::error::EngineError;
use crate::listening::listeners;
use crate::sink::{BackupReader, Sink};
use crate::tool::{ToolRun, Tools};
use cluster::{Look, Member, number};
use larder_model::{Database, DatabaseName, EngineKind, Source};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The name of the one file in a backup.
const FILE: &str = "snapshot.db";

/// What a cluster keeps is one whole.
const ALL: &str = "all";

/// The names under which a report keeps what the cluster said.
const REVISION: &str = "Revision";
const KEYS: &str = "Keys";
const HASH: &str = "HashKV";

/// Backs up a cluster's whole key space as one database.
#[derive(Clone, Debug, Default)]
pub struct Etcd {
    tools: Tools,
}

impl Etcd {
    pub(crate) const fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

/// What the cluster said before the snapshot was taken.
///
/// The revision runs only with keys; leases, users and members are in the snapshot, too, and run with the log alone.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Position {
    cluster_id: String,
    revision: u64,
    applied: Option<u64>,
}

impl From<&Look> for Position {
    fn from(look: &Look) -> Self {
        Self { cluster_id: look.cluster_id.clone(), revision: look.revision, applied: look.applied }
    }
}

impl Engine for Etcd {
    fn kind(&self) -> EngineKind {
        EngineKind::Etcd
    }

    fn options(&self) -> &'static [SourceOption] {
        &crate::remote::TLS_MEANINGS
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities { detects_unchanged: true, ..EngineCapabilities::default() }
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        Member::of(source)?;
        Ok(vec![FoundDatabase { suggested_name: source.name.as_str().to_owned(), locator: ALL.to_owned() }])
    }

    fn find(&self) -> Vec<FoundSource> {
        // Wherever a member was put; root alone sees that.
        let mut ports: Vec<BTreeSet<u16>> = listeners(&["etcd"]).into_iter().map(|one| one.ports).collect();
        if ports.is_empty() {
            ports.push(BTreeSet::from([2379]));
        }
        ports.iter().filter_map(|ports| ports.iter().find_map(|port| found_at(*port))).collect()
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        let (member, _) = Member::of(source)?;
        match &member.user {
            Some(user) if source.password.is_some() && !member.is_root(user)? => Ok(vec![MissingRight {
                what: "reading a snapshot, which only the role root may".to_owned(),
                grant: format!("etcdctl user grant-role {user} root"),
            }]),
            _ => Ok(Vec::new()),
        }
    }

    fn changed(&self, source: &Source, _: &Database, position: &str) -> Result<ChangeCheck, EngineError> {
        let (_, look) = Member::of(source)?;
        // Signing in is itself written to the log, so that with users nothing can be proved.
        let is_same = look.applied.is_some()
            && source.password.is_none()
            && serde_json::from_str::<Position>(position).is_ok_and(|before| before == Position::from(&look));
        Ok(if is_same { ChangeCheck::Unchanged } else { ChangeCheck::MaybeChanged })
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        job.counters.set_current(FILE);
        let (member, before) = Member::of(job.source)?;
        let hash = member.hash(before.revision);
        let action = format!("reading a snapshot of the etcd member {}", member.shown());
        let mut snapshot = snapshot::Snapshot::new(member.snapshot()?);
        let carried = dump::stream(job, FILE, sink, &mut snapshot, &action)?;
        let mut evidence = carried.evidence();
        evidence.push((REVISION.to_owned(), before.revision.to_string()));
        evidence.push((KEYS.to_owned(), before.keys.to_string()));
        evidence.push(("Version".to_owned(), before.version.clone()));
        // A compaction meanwhile would give another hash for the same keys.
        if let Some((hash, compacted)) = hash.filter(|hash| member.hash(before.revision) == Some(*hash)) {
            evidence.push((HASH.to_owned(), format!("{hash}@{compacted}")));
        }
        let position = serde_json::to_string(&Position::from(&before)).ok();
        Ok(BackupReport { position, evidence, messages: Vec::new() })
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        let target = job.target.path(self.kind())?;
        if target.extension().is_some_and(|extension| extension == "db") {
            let carried = dump::restore_file(job, target, backup, &check_file)?;
            let messages = vec![format!(
                "make each member's data directory with: etcdctl snapshot restore {} --data-dir DIRECTORY",
                target.display()
            )];
            return Ok(RestoreReport { files: 1, bytes: carried.bytes, messages });
        }
        let tool = place::tool(&self.tools)?;
        let staged = job.staging.join(FILE);
        let carried = dump::restore_file(job, &staged, backup, &check_file)?;
        place::put(&tool, &staged, target, job.overwrite, job.cancel)?;
        let messages = vec![
            "this is the data directory of a new cluster with one member; for several, restore to a file that ends \
             in .db, and make each member's directory of it with etcdctl"
                .to_owned(),
        ];
        Ok(RestoreReport { files: 1, bytes: carried.bytes, messages })
    }

    fn compare(&self, job: &CompareJob<'_>, _: &dyn BackupReader) -> Result<Comparison, EngineError> {
        let path = job.restored.path(self.kind())?;
        if !path.is_dir() {
            let differences = compare_file(path, job.report, job.cancel)?;
            check_file(path)?;
            let compared = "SHA-256, the snapshot's own hash".to_owned();
            return Ok(Comparison { compared, differences, changed_since: 0 });
        }
        let tool = place::tool(&self.tools)?;
        let run = ToolRun::new(job.cancel)
            .args(["snapshot", "status", "-w", "json"])
            .arg(path.join("member/snap/db"))
            .env("ETCDCTL_API", "3");
        let told = tool.ask(run).map_err(|failure| {
            failure.into_error(format!("reading {}", path.display()), "see whether the directory is complete")
        })?;
        let is = serde_json::from_slice::<Value>(&told).ok().and_then(|told| number(&told, "/revision"));
        let wanted = recorded(job.report, REVISION).and_then(|revision| revision.parse::<u64>().ok());
        let differences = match (is, wanted) {
            (Some(is), Some(wanted)) if is >= wanted => Vec::new(),
            _ => vec![format!("it is at revision {is:?} instead of {wanted:?}")],
        };
        Ok(Comparison { compared: "the revision".to_owned(), differences, changed_since: 0 })
    }

    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        prove::prove(&self.tools, job, backup)
    }
}

/// Checks the hash at the end of a file.
fn check_file(path: &Path) -> Result<(), EngineError> {
    let failed = |cause: String| EngineError::Failed {
        action: "checking the snapshot".to_owned(),
        cause,
        remedy: "restore from another backup or destination".to_owned(),
    };
    let mut file = File::open(path).map_err(|error| failed(crate::words::plain(error)))?;
    let mut check = snapshot::Check::default();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(|error| failed(crate::words::plain(error)))? {
            0 => return check.finish().map_err(|cause| failed(cause.to_owned())),
            length => check.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// Asks whether a member answers clients at a port.
fn found_at(port: u16) -> Option<FoundSource> {
    let place = format!("127.0.0.1:{port}");
    // The version is told to everybody, whether users must sign in or not; but members tell it one another, too.
    let told = crate::remote::quick_get(&place, "/version")?;
    let version = told.get("etcdserver").and_then(Value::as_str)?;
    crate::remote::quick_get(&place, "/health")?;
    let name = DatabaseName::from_lossy("etcd");
    let source = Source::new(name, EngineKind::Etcd, format!("http://{place}"));
    Some(FoundSource { source, reason: format!("etcd {version} answers on {place}") })
}
