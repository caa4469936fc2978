//! Has the vendor's program send the server's files, where they cannot be read: another host's, or no rights.

use super::backup::{Copy, LogPlace, directory};
use super::facts;
use super::lsn::Lsn;
use super::manifest::{self, Files, Needs};
use super::position::{Base, ServerPosition};
use super::tar::{Archive, Member, MemberKind};
use super::{DATA, failed};
use crate::error::EngineError;
use crate::postgresql::backup::{file, tool_for};
use crate::postgresql::failure::explained;
use crate::sink::Sink;
use crate::tool::{CheckedStream, Completeness};
use crate::words::hex;
use larder_model::{Entry, EntryKind, Metadata, Timestamp};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

/// The version that first says what a copy consists of.
const MANIFESTS_SINCE: u32 = 13;

/// What all databases share comes in two pieces, with all the others between; so it waits aside.
const SHARED: &str = "global";

const SENT: Completeness = Completeness { closing_marker: None, opening_marker: None, least_bytes: 1 << 20 };

const REMEDY: &str = "start the backup again";

impl Copy<'_> {
    /// Takes a copy over the connection.
    pub(super) fn stream(
        &mut self,
        sink: &mut dyn Sink,
        name: String,
        position: &ServerPosition,
        previous: Option<&ServerPosition>,
        why: &str,
    ) -> Result<(Base, i64, LogPlace), EngineError> {
        self.refuse_what_cannot_be_sent(why)?;
        let begun = facts::now(&mut self.session)?;
        self.session.ask("SELECT to_jsonb(txid_current()::text)")?;
        sink.enter(directory(&name))?;
        let (size, needs) = self.send(sink)?;
        sink.leave()?;
        if needs.timeline != position.timeline {
            return Err(failed(self.action(), "the server took another timeline meanwhile", REMEDY));
        }
        let stopped = facts::now(&mut self.session)?;
        self.messages.push(format!("the server sent its files itself: {why}"));
        let first =
            previous.map_or_else(|| position.segment_of(needs.start), |previous| previous.segments.1 + 1);
        let last = position.segment_of(Lsn(needs.end.0.saturating_sub(1)));
        let log = self.fetch_log(position, first, last)?;
        let base =
            Base { name, start: needs.start, stop: needs.end, begun, stopped, size, tablespaces: Vec::new() };
        Ok((base, begun, LogPlace::Fetched(log)))
    }

    fn refuse_what_cannot_be_sent(&self, why: &str) -> Result<(), EngineError> {
        let here = "run Larder on the server's own host, as a user that may read its files";
        if !self.facts.tablespaces.is_empty() {
            let cause = format!("it has tablespaces, which cannot be sent in one stream ({why})");
            return Err(failed(self.action(), cause, here));
        }
        if self.facts.major() < MANIFESTS_SINCE {
            let cause = format!("a server of this version does not say what it sends ({why})");
            return Err(failed(self.action(), cause, here));
        }
        Ok(())
    }

    /// Takes everything that the server sends into the copy's directory.
    fn send(&mut self, sink: &mut dyn Sink) -> Result<((u64, u64), Needs), EngineError> {
        let version = crate::tool::Version::new(&[self.facts.major()]);
        let tool = tool_for(self.tools, "pg_basebackup", &version)?;
        let run = self
            .login
            .run(self.login.maintenance(), self.job.cancel)
            .args(["--pgdata=-", "--format=tar", "--wal-method=none", "--checkpoint=fast", "--label=larder"])
            .args(["--manifest-checksums=SHA256", "--no-slot"]);
        let action = self.action();
        let running = tool.start(run).map_err(|failure| explained(failure, &action))?;
        let mut stream = CheckedStream::new(running, SENT);
        let taken = self.take(sink, &mut stream);
        if let Some(failure) = stream.into_failure() {
            return Err(explained(failure, action));
        }
        let Taken { files, manifest, size } = taken?;
        let Some(manifest) = manifest else {
            return Err(failed(action, "the server did not say what it sent", REMEDY));
        };
        let needs = manifest::check(&manifest, &files).map_err(|cause| failed(action, cause, REMEDY))?;
        sink.stream(file(manifest::NAME, manifest.len() as u64), &mut manifest.as_bytes(), None)?;
        Ok((size, needs))
    }

    fn take(&self, sink: &mut dyn Sink, stream: &mut CheckedStream) -> Result<Taken, EngineError> {
        let broken = |error: io::Error| match self.job.cancel.check() {
            Err(canceled) => EngineError::from(canceled),
            Ok(()) => failed(self.action(), error.to_string(), REMEDY),
        };
        let aside = self.job.staging.join(SHARED);
        fs::create_dir_all(&aside).map_err(broken)?;
        let mut taken = Taken::default();
        let mut shared: Vec<(Member, PathBuf)> = Vec::new();
        let mut inside: Vec<String> = Vec::new();
        sink.enter(directory(DATA))?;
        let mut archive = Archive::new(stream);
        while let Some(member) = archive.next().map_err(broken)? {
            if member.path == manifest::NAME {
                let mut text = String::new();
                archive.read_to_string(&mut text).map_err(broken)?;
                taken.manifest = Some(text);
                continue;
            }
            if member.path == SHARED || member.path.starts_with("global/") {
                let path = aside.join(shared.len().to_string());
                let mut hashed = Hashed { inner: &mut archive, hash: Sha256::new(), length: 0 };
                let copied = File::create(&path).and_then(|mut to| io::copy(&mut hashed, &mut to));
                copied.map_err(broken)?;
                if member.kind == MemberKind::File {
                    taken.note(&member.path, hashed);
                }
                shared.push((member, path));
                continue;
            }
            let (parent, name) = member.path.rsplit_once('/').unwrap_or(("", &member.path));
            let parts: Vec<&str> = parent.split('/').filter(|part| !part.is_empty()).collect();
            while inside.len() > parts.len() || inside.iter().zip(&parts).any(|(one, other)| one != other) {
                inside.pop();
                sink.leave()?;
            }
            if inside.len() != parts.len() {
                return Err(failed(
                    self.action(),
                    format!("{} came before its directory", member.path),
                    REMEDY,
                ));
            }
            match member.kind {
                MemberKind::Directory => {
                    sink.enter(entry(name, &member))?;
                    inside.push(name.to_owned());
                }
                MemberKind::File => {
                    let page = is_relation(&member.path)
                        .then(|| u32::try_from(self.facts.page_bytes).ok())
                        .flatten();
                    let mut hashed = Hashed { inner: &mut archive, hash: Sha256::new(), length: 0 };
                    let streamed = sink.stream(entry(name, &member), &mut hashed, page);
                    self.job.cancel.check()?;
                    streamed?;
                    taken.note(&member.path, hashed);
                }
                MemberKind::Other => {
                    return Err(failed(self.action(), format!("{} is a link", member.path), REMEDY));
                }
            }
        }
        for _ in inside {
            sink.leave()?;
        }
        for (member, path) in shared {
            match member.kind {
                MemberKind::Directory => sink.enter(entry(SHARED, &member))?,
                _ => {
                    let name = member.path.rsplit('/').next().unwrap_or_default();
                    let page = is_relation(&member.path)
                        .then(|| u32::try_from(self.facts.page_bytes).ok())
                        .flatten();
                    sink.stream(entry(name, &member), &mut File::open(&path).map_err(broken)?, page)?;
                }
            }
        }
        sink.leave()?;
        sink.leave()?;
        Ok(taken)
    }

    /// Fetches pieces of log, each of them whole.
    fn fetch_log(&self, position: &ServerPosition, first: u64, last: u64) -> Result<PathBuf, EngineError> {
        let log = self.job.staging.join("log");
        let action = format!("fetching the log of {}", self.login.address);
        let remedy = "free space on the volume of Larder's data directory";
        let wrong = |error: io::Error| failed(&action, crate::words::plain(error), remedy);
        fs::create_dir_all(&log).map_err(wrong)?;
        // The program goes on after the last piece that it finds, whatever is in it.
        let before = log.join(position.segment_name(first.saturating_sub(1)));
        File::create(&before).and_then(|file| file.set_len(position.segment_bytes)).map_err(wrong)?;
        let version = crate::tool::Version::new(&[self.facts.major()]);
        let tool = tool_for(self.tools, "pg_receivewal", &version)?;
        let end = Lsn((last + 1) * position.segment_bytes - 1);
        let run = self
            .login
            .run(self.login.maintenance(), self.job.cancel)
            .args(["--no-loop", "--no-sync"])
            .arg(format!("--endpos={end}"))
            .arg("--directory")
            .arg(&log)
            .quiet();
        let ended = tool.start(run).and_then(|mut running| running.finish());
        ended.map_err(|failure| explained(failure, &action))?;
        fs::remove_file(&before).map_err(wrong)?;
        Ok(log)
    }
}

/// What came.
#[derive(Default)]
struct Taken {
    files: Files,
    manifest: Option<String>,
    size: (u64, u64),
}

impl Taken {
    fn note(&mut self, path: &str, hashed: Hashed<'_, '_>) {
        self.size = (self.size.0 + 1, self.size.1 + hashed.length);
        self.files.insert(path.to_owned(), (hashed.length, hex(&hashed.hash.finalize())));
    }
}

/// Hashes the bytes of an entry.
struct Hashed<'a, 'b> {
    inner: &'a mut Archive<'b>,
    hash: Sha256,
    length: u64,
}

impl Read for Hashed<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        self.length += length as u64;
        Ok(length)
    }
}

/// Says whether a file is made of pages: those of databases and of what they share, whose names begin with a number.
fn is_relation(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    (path.starts_with("base/") || path.starts_with("global/"))
        && name.starts_with(|first: char| first.is_ascii_digit())
}

fn entry(name: &str, member: &Member) -> Entry {
    let modified = Timestamp { seconds: member.modified, nanoseconds: 0 };
    let metadata = Metadata {
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        modified,
        accessed: modified,
        changed: modified,
        links: 1,
        size: member.size,
        ..Metadata::default()
    };
    let kind = if member.kind == MemberKind::Directory { EntryKind::Directory } else { EntryKind::File };
    Entry { name: name.into(), kind, metadata }
}
