//! Gives a running server a whole data set: Larder is its master for as long as that takes.
//!
//! So everything comes back as it was (all databases, expiry times, streams with their groups, functions), the server
//! itself replaces its data in one step, and no program of the vendor is needed.

use super::connection::{Connection, Reply, Trouble, command, line};
use super::position::Info;
use super::rdb::{EXPIRING, KEYS, SERVER, Summary, check};
use crate::dump::{copy_out, file_failure, only_file, recorded};
use crate::engine::{RestoreJob, RestoreReport};
use crate::error::EngineError;
use crate::remote::SILENCE;
use crate::sink::BackupReader;
use crate::words::plain;
use larder_model::{Cancel, Source};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// How long it may take to call back.
const CALL: Duration = Duration::from_secs(30);

/// Restores into a server that has no data, or whose data may be replaced.
pub(super) fn restore(
    job: &RestoreJob<'_>,
    source: &Source,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let mut target = Connection::open(source, job.cancel)?;
    let info = Info::ask(&mut target)?;
    fit(&target, &info, job)?;
    let staged = job.staging.join("dump.rdb");
    let listed = only_file(backup)?;
    let failed = |error| file_failure(&staged, error);
    let mut file = File::create(&staged).map_err(failed)?;
    let carried = copy_out(job.report, job.cancel, backup, &listed.path, &mut |bytes| {
        file.write_all(bytes).map_err(failed)
    })?;
    let summary = sound(&staged)?;
    let (own, peer) =
        target.ends().map_or((Ipv4Addr::LOCALHOST.into(), None), |(own, peer)| (own, Some(peer.ip())));
    let master = Master::listen(own, peer).map_err(|error| broken(&target, &error))?;
    let (host, port) = (master.address.ip().to_string(), master.address.port().to_string());
    target.must("making it a replica for the restore", &["REPLICAOF", &host, &port])?;
    let given = master
        .give(&staged, &carried.sha256, job.cancel)
        .map_err(|error| broken(&target, &error))
        .and_then(|held| await_loaded(&mut target, &master, job.cancel).map(|info| (held, info)))
        .and_then(|(held, info)| compare(&summary, &info).map(|()| held));
    // In any case it shall be its own master again.
    let freed = free(&mut target, source);
    drop(given?);
    freed?;
    let messages = vec![format!("restored {} into Redis {}", summary.in_words(), target.shown())];
    Ok(RestoreReport { files: 1, bytes: carried.bytes, messages })
}

/// Refuses a server that cannot take the data set, or must not.
fn fit(target: &Connection, info: &Info, job: &RestoreJob<'_>) -> Result<(), EngineError> {
    let refuse = |cause: String, remedy: &str| {
        let action = format!("restoring into Redis {}", target.shown());
        Err(EngineError::Failed { action, cause, remedy: remedy.to_owned() })
    };
    if info.get("role") != "master" {
        return refuse("it is a replica".to_owned(), "restore into its master");
    }
    if info.get("cluster_enabled") == "1" {
        return refuse(
            "it is a node of a cluster".to_owned(),
            "restore to a file, and start the node with that as its dump.rdb",
        );
    }
    let wrote = job.report.and_then(|report| recorded(report, SERVER));
    let is = info.get("redis_version");
    if let (Some(wrote), Some(is)) = (wrote.and_then(release), release(is))
        && wrote > is
    {
        return refuse(
            format!("it is version {}.{}, and the backup is from {}.{}", is.0, is.1, wrote.0, wrote.1),
            "restore into a server of that version or a newer one",
        );
    }
    if !info.keys().is_empty() && !job.overwrite {
        return Err(EngineError::TargetNotEmpty { target: format!("Redis {}", target.shown()) });
    }
    Ok(())
}

fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

pub(super) fn sound(path: &Path) -> Result<Summary, EngineError> {
    let opened = File::open(path).map_err(|error| file_failure(path, error))?;
    check(opened).map_err(|cause| EngineError::Failed {
        action: "checking the backup".to_owned(),
        cause,
        remedy: "restore from another backup or destination".to_owned(),
    })
}

fn broken(target: &Connection, error: &io::Error) -> EngineError {
    if error.get_ref().is_some_and(|inner| inner.is::<larder_model::Canceled>()) {
        return larder_model::Canceled.into();
    }
    let cause =
        if error.raw_os_error().is_some() { plain(io::Error::from(error.kind())) } else { error.to_string() };
    EngineError::Failed {
        action: format!("giving Redis {} its data", target.shown()),
        cause,
        remedy: "see the server's own log; it must be able to connect back to this host, without TLS"
            .to_owned(),
    }
}

/// Waits until the server has taken everything in; returns what it then says.
fn await_loaded(target: &mut Connection, master: &Master, cancel: &Cancel) -> Result<Info, EngineError> {
    loop {
        cancel.check()?;
        let info = Info::ask(target)?;
        if info.get("master_link_status") == "up" && info.get("loading") == "0" {
            return Ok(info);
        }
        if master.call().map_err(|error| broken(target, &error))?.is_some() {
            let told = io::Error::other("the server did not take the data set, and asked for it again");
            return Err(broken(target, &told));
        }
        std::thread::sleep(LOOK);
    }
}

fn compare(summary: &Summary, info: &Info) -> Result<(), EngineError> {
    let Some(wanted) = &summary.keys else { return Ok(()) };
    let wanted: Vec<_> = wanted.iter().map(|(number, keys)| (*number, *keys)).collect();
    if wanted == info.keys() {
        return Ok(());
    }
    Err(EngineError::Failed {
        action: "comparing the restored server with the backup".to_owned(),
        cause: format!("it has {:?} (database, keys) and should have {wanted:?}", info.keys()),
        remedy: "see the server's own log, and restore again".to_owned(),
    })
}

/// Makes the server its own master again; by a new connection where the old one broke.
fn free(target: &mut Connection, source: &Source) -> Result<(), EngineError> {
    const FREE: [&str; 3] = ["REPLICAOF", "NO", "ONE"];
    match target.ask(&FREE) {
        Ok(_) => Ok(()),
        // An abort must not keep it from being freed.
        Err(Trouble::Broken(_)) => {
            Connection::open(source, &Cancel::new())?.must("making it a master again", &FREE).map(drop)
        }
        Err(trouble) => Err(target.explain("making it a master again", trouble)),
    }
}

/// Waits for the calls of one server.
struct Master {
    listener: TcpListener,
    address: SocketAddr,
    /// Nobody else gets the data.
    peer: Option<IpAddr>,
}

impl Master {
    fn listen(own: IpAddr, peer: Option<IpAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((own, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, peer: peer.or(Some(own)) })
    }

    /// Returns the server's call, where it has called.
    fn call(&self) -> io::Result<Option<TcpStream>> {
        match self.listener.accept() {
            Ok((stream, from)) if self.peer == Some(from.ip()) => {
                stream.set_nonblocking(false)?;
                Ok(Some(stream))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the server to call, and sends it the file; returns the connection, which must stay open.
    fn give(&self, path: &Path, id: &str, cancel: &Cancel) -> io::Result<TcpStream> {
        let mut waited = Duration::ZERO;
        let stream = loop {
            cancel.check().map_err(io::Error::other)?;
            if let Some(stream) = self.call()? {
                break stream;
            }
            if waited >= CALL {
                return Err(io::Error::other("the server did not call back"));
            }
            std::thread::sleep(LOOK);
            waited += LOOK;
        };
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut questions = BufReader::new(stream.try_clone()?);
        let mut answers = stream;
        loop {
            let words = question(&mut questions)?;
            let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
            match name.as_str() {
                "PING" => answers.write_all(b"+PONG\r\n")?,
                "PSYNC" | "SYNC" => break,
                // Whatever it says of itself, and a password meant for another master.
                _ => answers.write_all(b"+OK\r\n")?,
            }
        }
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let id: String = id.chars().chain(std::iter::repeat('0')).take(40).collect();
        answers.write_all(format!("+FULLRESYNC {id} 0\r\n${length}\r\n").as_bytes())?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            cancel.check().map_err(io::Error::other)?;
            match file.read(&mut buffer)? {
                0 => break,
                read => answers.write_all(buffer.get(..read).unwrap_or_default())?,
            }
        }
        // Something to follow shows the server that its master is alive.
        answers.write_all(&command(&["PING"]))?;
        Ok(answers)
    }
}

fn question(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<String>> {
    let nonsense = || io::Error::other("the server asked in another protocol");
    let head = line(stream)?;
    let Some(number) = head.strip_prefix('*') else {
        return Ok(head.split(' ').map(str::to_owned).collect());
    };
    let number: usize = number.parse().ok().filter(|number| *number <= 64).ok_or_else(nonsense)?;
    (0..number)
        .map(|_| {
            let length = line(stream)?;
            let length: usize =
                length.strip_prefix('$').and_then(|length| length.parse().ok()).ok_or_else(nonsense)?;
            if length > 1 << 16 {
                return Err(nonsense());
            }
            let mut word = vec![0; length + 2];
            stream.read_exact(&mut word)?;
            word.truncate(length);
            Ok(String::from_utf8_lossy(&word).into_owned())
        })
        .collect()
}

/// Compares what a running server has with a report; keys that expire may be gone by now.
pub(super) fn compare_server(
    source: &Source,
    report: &crate::engine::BackupReport,
    cancel: &Cancel,
) -> Result<Vec<String>, EngineError> {
    let mut connection = Connection::open(source, cancel)?;
    let info = Info::ask(&mut connection)?;
    let (keys, expiring) = (info.keys(), info.expiring());
    let numbered = |prefix: &str, number: u64| {
        recorded(report, &format!("{prefix}{number}")).and_then(|keys| keys.parse::<u64>().ok()).unwrap_or(0)
    };
    let recorded_numbers =
        report.evidence.iter().filter_map(|(name, _)| name.strip_prefix(KEYS)?.parse::<u64>().ok());
    let mut numbers: Vec<u64> = recorded_numbers.chain(keys.iter().map(|(number, _)| *number)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut differences = Vec::new();
    for number in numbers {
        let count =
            |list: &[(u64, u64)]| list.iter().find(|(is, _)| *is == number).map_or(0, |(_, keys)| *keys);
        let (is, expire) = (count(&keys), count(&expiring));
        let (was, expired) = (numbered(KEYS, number), numbered(EXPIRING, number));
        if is.saturating_sub(expire) != was.saturating_sub(expired) || expire > expired {
            differences.push(format!(
                "the database {number} has {is} keys ({expire} expire) instead of {was} ({expired} expire)"
            ));
        }
    }
    Ok(differences)
}

/// Asks a server for the number of keys of each type in all its databases.
pub(super) fn count_types(
    connection: &mut Connection,
    databases: &[(u64, u64)],
    names: &[&str],
    cancel: &Cancel,
) -> Result<Vec<(String, u64)>, EngineError> {
    let mut counts: Vec<(String, u64)> = names.iter().map(|name| ((*name).to_owned(), 0)).collect();
    for (number, _) in databases {
        connection.must("choosing a database", &["SELECT", &number.to_string()])?;
        for (name, sum) in &mut counts {
            let mut cursor = "0".to_owned();
            loop {
                cancel.check()?;
                let words = ["SCAN", &cursor, "COUNT", "10000", "TYPE", name];
                let Reply::List(told) = connection.must("counting keys", &words)? else { break };
                let mut told = told.into_iter();
                cursor = told.next().map(Reply::text).unwrap_or_default();
                if let Some(Reply::List(keys)) = told.next() {
                    *sum += keys.len() as u64;
                }
                if cursor == "0" || cursor.is_empty() {
                    break;
                }
            }
        }
    }
    Ok(counts)
}
