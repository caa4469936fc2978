//! Puts a database back into a server, under a name that is free there.

use super::body::Documents;
use super::prove::walk;
use super::segment::{Line, contents, files, for_each_line};
use super::server::Server;
use crate::engine::{RestoreJob, RestoreReport, RestoreTarget};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::words::count;
use larder_model::Source;
use std::time::Duration;
use ureq::SendBody;

/// How much text is gathered for one question, in bytes.
const ENOUGH: usize = 1 << 20;

/// How often, and how far apart, it is looked whether a database that was taken back is really gone.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn restore(job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
    match job.target {
        RestoreTarget::Server { source, name } => into_server(job, source, name, backup),
        RestoreTarget::Path(path) => {
            if !job.overwrite && path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(EngineError::TargetNotEmpty { target: path.display().to_string() });
            }
            let done = backup.extract(path, job.overwrite)?;
            let mut messages = done.warnings;
            messages
                .push("these are the documents as files; name a server to get the database back".to_owned());
            Ok(RestoreReport { files: done.files, bytes: done.bytes_written, messages })
        }
    }
}

fn into_server(
    job: &RestoreJob<'_>,
    source: &Source,
    name: &str,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let contents = contents(backup)?;
    let server = Server::of(source)?;
    let is_new = server.make(name)?;
    if !is_new {
        if !job.overwrite {
            return Err(EngineError::TargetNotEmpty { target: format!("{name} at {}", server.shown()) });
        }
        // What is there goes only when the backup is known to be whole.
        walk(backup, job.cancel)?;
        server.remove(name)?;
        server.make(name)?;
    }
    let mut messages = Vec::new();
    let filled = fill(job, &server, name, backup);
    let filled = filled.and_then(|documents| {
        if contents.security != "{}" {
            server.set(name, "_security", &contents.security)?;
        }
        if let Some(limit) = contents.revisions_limit
            && let Err(error) = server.set(name, "_revs_limit", &limit.to_string())
        {
            messages.push(format!("the limit of revisions was not set: {error}"));
        }
        Ok(documents)
    });
    match filled {
        Ok((documents, bytes)) => {
            messages.push(format!("restored {} into {name}", count(documents, "document", "documents")));
            Ok(RestoreReport { files: documents, bytes, messages })
        }
        Err(error) => {
            // Half a database must not be taken for a whole one; this one was made here.
            if is_new {
                take_back(&server, name);
            }
            Err(error)
        }
    }
}

/// Removes a database that was made here.
///
/// A server may still be at work on a question that broke off, and some make the database anew for that: it is looked
/// for a few times.
fn take_back(server: &Server, name: &str) {
    for _ in 0..LOOKS {
        if !matches!(server.about(name), Ok(None)) {
            let _ = server.remove(name);
        }
        std::thread::sleep(LOOK);
    }
}

/// Stores all documents; returns how many, and how much text they had.
fn fill(
    job: &RestoreJob<'_>,
    server: &Server,
    name: &str,
    backup: &dyn BackupReader,
) -> Result<(u64, u64), EngineError> {
    let mut sending =
        Sending { job, server, name, backup, waiting: Documents::default(), documents: 0, bytes: 0 };
    // Design documents can forbid documents of older kinds: they come last.
    let mut designs: Vec<(String, Line)> = Vec::new();
    for file in files(backup)? {
        for_each_line(backup, &file, job.cancel, &mut |line| {
            if line.id.starts_with("_design/") {
                designs.push((file.clone(), line));
                return Ok(());
            }
            sending.add(&file, &line)
        })?;
        // Attachments lie beside the file, and a body reads them when it is sent.
        sending.send()?;
    }
    for (file, line) in &designs {
        sending.add(file, line)?;
    }
    sending.send()?;
    Ok((sending.documents, sending.bytes))
}

struct Sending<'a> {
    job: &'a RestoreJob<'a>,
    server: &'a Server,
    name: &'a str,
    backup: &'a dyn BackupReader,
    waiting: Documents,
    documents: u64,
    bytes: u64,
}

impl Sending<'_> {
    fn add(&mut self, file: &str, line: &Line) -> Result<(), EngineError> {
        let has_attachments = !line.attachments.is_empty();
        // One with attachments may be large: it goes alone.
        if has_attachments {
            self.send()?;
        }
        self.waiting.add(file, line)?;
        self.documents += 1;
        if has_attachments || self.waiting.text_bytes() >= ENOUGH { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), EngineError> {
        self.job.cancel.check()?;
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes += waiting.text_bytes() as u64;
        let mut body = waiting.body(self.backup, self.job.cancel);
        let refused = self.server.store(self.name, SendBody::from_reader(&mut body));
        self.job.cancel.check()?;
        match refused?.first() {
            None => Ok(()),
            Some(first) => Err(EngineError::Failed {
                action: format!("restoring {}", self.name),
                cause: format!("the server did not take the document {first}"),
                remedy: "restore with an administrator of the server".to_owned(),
            }),
        }
    }
}
