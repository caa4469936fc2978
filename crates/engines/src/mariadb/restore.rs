//! Gets a database back into a server.

use super::client::Client;
use super::dump::{CODE, Dump, TABLES, VIEWS};
use super::failure::failed;
use super::inventory::Inventory;
use super::layout::{Layout, Logical};
use super::load::{Loader, Unbound};
use super::replay;
use super::scratch::Scratch;
use super::{accounts, quote, whole};
use crate::engine::{RestoreJob, RestoreReport, RestoreTarget};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::Tools;
use crate::words::{count, plain};
use std::io::Read;
use std::path::Path;

/// A table that is there as long as a restored database is not whole.
const UNFINISHED: &str = "larder: not yet restored";

pub(super) fn restore(
    tools: &Tools,
    job: &RestoreJob<'_>,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let layout = Layout::read(backup)?;
    match (&layout, job.target) {
        (Layout::Server(streams), RestoreTarget::Path(path)) => {
            no_point(job)?;
            whole::restore(tools, job, backup, streams, path)
        }
        (Layout::Server(_), RestoreTarget::Server { .. }) => Err(failed(
            "restoring a whole server",
            "its files cannot be brought into a server that runs",
            "name a directory to restore to, and start a server on it",
        )),
        (Layout::Accounts, RestoreTarget::Server { source, .. }) => {
            no_point(job)?;
            accounts::restore(&Client::new(tools, source, job.cancel)?, job.overwrite, backup)
        }
        (Layout::Database(_) | Layout::Accounts, RestoreTarget::Path(path)) => {
            no_point(job)?;
            as_files(job, backup, path)
        }
        (Layout::Database(logical), RestoreTarget::Server { source, name }) => {
            let client = Client::new(tools, source, job.cancel)?;
            let target = Target { client: &client, name, logical };
            target.refuse_what_is_there(job.overwrite)?;
            if logical.segments.is_empty() && job.until.is_none() {
                return target.fill(&Origin::Backup(backup), job.overwrite);
            }
            let scratch = Scratch::start(tools, job.staging, job.cancel)?;
            let mut report = replay::bring_forward(&scratch, job, logical, backup)?;
            let filled = target.fill(&Origin::Scratch(&scratch.client), job.overwrite)?;
            scratch.stop()?;
            report.files = filled.files;
            report.bytes = filled.bytes;
            report.messages.extend(filled.messages);
            Ok(report)
        }
    }
}

fn no_point(job: &RestoreJob<'_>) -> Result<(), EngineError> {
    match job.until {
        None => Ok(()),
        Some(_) => Err(failed(
            "restoring to a moment",
            "only a database of a server can be brought to a moment between backups",
            "leave the moment out, or name a server and a database to restore to",
        )),
    }
}

/// Writes the dump itself into a directory.
fn as_files(
    job: &RestoreJob<'_>,
    backup: &dyn BackupReader,
    path: &Path,
) -> Result<RestoreReport, EngineError> {
    refuse_full_directory(path, job.overwrite)?;
    let extracted = backup.extract(path, job.overwrite)?;
    Ok(RestoreReport { files: extracted.files, bytes: extracted.bytes_written, messages: extracted.warnings })
}

pub(super) fn refuse_full_directory(path: &Path, overwrite: bool) -> Result<(), EngineError> {
    let mut inside = match path.read_dir() {
        Ok(inside) => inside,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(failed(
                format!("restoring to {}", path.display()),
                plain(error),
                "name a directory that Larder may write to",
            ));
        }
    };
    if inside.next().is_some() && !overwrite {
        return Err(EngineError::TargetNotEmpty { target: path.display().to_string() });
    }
    Ok(())
}

/// Where the statements come from.
pub(super) enum Origin<'a> {
    /// The files of a backup.
    Backup(&'a dyn BackupReader),
    /// A server of our own that holds the database under its old name.
    Scratch(&'a Client),
}

impl<'a> Origin<'a> {
    /// Feeds one of the files to a loader, and returns its length; 0 where there is none.
    fn feed(&self, logical: &Logical, file: &str, loader: &mut Loader<'_>) -> Result<u64, EngineError> {
        match self {
            Self::Backup(_) if !logical.files.contains(&file) => Ok(0),
            Self::Backup(backup) => {
                let stream = backup.open(file.as_bytes())?;
                feed(logical, file, stream, loader)
            }
            Self::Scratch(client) => {
                let inventory = Inventory::take(client, &logical.name)?;
                let dump = Dump::new(client, &logical.name, &inventory, false)?;
                let stream = match file {
                    TABLES => Some(dump.tables()?),
                    CODE => Some(dump.code()?),
                    _ => dump.views()?,
                };
                stream.map_or(Ok(0), |stream| feed(logical, file, stream, loader))
            }
        }
    }
}

fn feed(
    logical: &Logical,
    file: &str,
    mut stream: impl Read,
    loader: &mut Loader<'_>,
) -> Result<u64, EngineError> {
    if file == TABLES {
        return loader.feed_all(&mut Unbound::new(stream, &logical.name));
    }
    loader.feed_all(&mut stream)
}

/// A database that is to come into being.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) name: &'a str,
    pub(super) logical: &'a Logical,
}

impl Target<'_> {
    fn shown(&self) -> String {
        format!("{} at {}", self.name, self.client.address.shown())
    }

    fn action(&self) -> String {
        format!("restoring to {}", self.shown())
    }

    fn refuse_what_is_there(&self, overwrite: bool) -> Result<(), EngineError> {
        if !overwrite && self.client.has(self.name)? {
            return Err(EngineError::TargetNotEmpty { target: format!("the database {}", self.shown()) });
        }
        Ok(())
    }

    /// Makes the database and fills it; what was begun and failed is removed again.
    pub(super) fn fill(&self, origin: &Origin<'_>, overwrite: bool) -> Result<RestoreReport, EngineError> {
        if overwrite && self.client.has(self.name)? {
            return self.replace(origin);
        }
        self.make(self.name)?;
        let loaded = [TABLES, CODE, VIEWS].into_iter().try_fold((0, 0), |(files, bytes), file| {
            let length = self.load(self.name, origin, file)?;
            Ok((files + u64::from(length > 0), bytes + length))
        });
        let finished = loaded.and_then(|loaded| self.finish(self.name).map(|()| loaded));
        match finished {
            Ok((files, bytes)) => Ok(RestoreReport { files, bytes, messages: self.remarks() }),
            Err(error) => {
                self.drop_own(self.name);
                Err(error)
            }
        }
    }

    /// Puts a new database in the place of one that is there, once all its rows are in the server.
    fn replace(&self, origin: &Origin<'_>) -> Result<RestoreReport, EngineError> {
        let temporary = self.temporary()?;
        let bytes = self.load(&temporary, origin, TABLES).and_then(|bytes| {
            self.refuse_bound_sequences(&temporary)?;
            Ok(bytes)
        });
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                self.drop_own(&temporary);
                return Err(error);
            }
        };
        // From here on the old one is gone; what fails leaves the rows under the temporary name.
        let told = |error: EngineError| match error {
            EngineError::Failed { action, cause, remedy } => EngineError::Failed {
                action,
                cause,
                remedy: format!("{remedy}; the restored tables are in the database {temporary} until then"),
            },
            other => other,
        };
        let swapped = self.swap(&temporary).and_then(|()| {
            let more = self.load(self.name, origin, CODE)? + self.load(self.name, origin, VIEWS)?;
            self.finish(self.name)?;
            Ok(more)
        });
        let more = swapped.map_err(told)?;
        let mut messages = vec![format!("the database {} that was there was replaced", self.shown())];
        messages.extend(self.remarks());
        Ok(RestoreReport { files: self.logical.files.len() as u64, bytes: bytes + more, messages })
    }

    fn temporary(&self) -> Result<String, EngineError> {
        for number in 0..1_000 {
            let name = format!("larder-restoring-{}-{number}", std::process::id());
            if !self.client.has(&name)? {
                self.make(&name)?;
                return Ok(name);
            }
        }
        Err(failed(
            self.action(),
            "no temporary name is free",
            "drop the databases larder-restoring-… that nobody needs",
        ))
    }

    fn make(&self, name: &str) -> Result<(), EngineError> {
        let (database, sentinel) = (quote::name(name), quote::name(UNFINISHED));
        let attributes = &self.logical.attributes;
        let sql = format!(
            "CREATE DATABASE {database} {attributes}; CREATE TABLE {database}.{sentinel} (note INT) COMMENT 'this database is being restored, or its restore was cut off'"
        );
        self.client.ask(&self.action(), &sql).map(drop)
    }

    fn load(&self, name: &str, origin: &Origin<'_>, file: &str) -> Result<u64, EngineError> {
        let mut loader = Loader::start(self.client, Some(name), self.action())?;
        let length = origin.feed(self.logical, file, &mut loader)?;
        loader.finish()?;
        Ok(length)
    }

    fn finish(&self, name: &str) -> Result<(), EngineError> {
        let sql = format!("DROP TABLE {}.{}", quote::name(name), quote::name(UNFINISHED));
        self.client.ask(&self.action(), &sql).map(drop)
    }

    /// Removes what this restore itself made.
    fn drop_own(&self, name: &str) {
        // The job may be stopped; the tidying is not.
        let client = self.client.tidying();
        let marked = format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            quote::text(name),
            quote::text(UNFINISHED)
        );
        if client.value(&self.action(), &marked).is_ok_and(|found| found == "1") {
            let _ = client.try_ask(&format!("DROP DATABASE {}", quote::name(name)));
        }
    }

    fn refuse_bound_sequences(&self, temporary: &str) -> Result<(), EngineError> {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND COLUMN_DEFAULT LIKE 'nextval(%'",
            quote::text(temporary)
        );
        if self.client.value(&self.action(), &sql)? == "0" {
            return Ok(());
        }
        Err(failed(
            self.action(),
            "columns take their default from a sequence, and such a database cannot be exchanged in one step",
            "drop the database that is there first, or restore under another name",
        ))
    }

    fn swap(&self, temporary: &str) -> Result<(), EngineError> {
        let sql = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
            quote::text(temporary)
        );
        let tables = self.client.ask(&self.action(), &sql)?;
        let (from, to) = (quote::name(temporary), quote::name(self.name));
        let renames: Vec<String> = tables
            .iter()
            .filter_map(|row| row.first())
            .map(|table| quote::name(table))
            .map(|table| format!("{from}.{table} TO {to}.{table}"))
            .collect();
        let attributes = &self.logical.attributes;
        let sql = format!(
            "DROP DATABASE {to}; CREATE DATABASE {to} {attributes}; RENAME TABLE {}; DROP DATABASE {from};\n",
            renames.join(", ")
        );
        let mut loader = Loader::start(self.client, None, self.action())?;
        loader.feed(sql.as_bytes())?;
        loader.finish()
    }

    /// Says what a person should know of the copy.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let database = quote::text(self.name);
        let events = format!(
            "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {database} AND STATUS = 'ENABLED'"
        );
        let number = self.client.value("", &events).ok().and_then(|number| number.parse().ok());
        if let Some(number @ 1..) = number {
            let events = count(number, "event is", "events are");
            remarks.push(format!("{events} enabled in {}, and will run there, too", self.name));
        }
        if self.name != self.logical.name {
            remarks.extend(self.bound_to_old_name(&database));
        }
        remarks
    }

    fn bound_to_old_name(&self, database: &str) -> Option<String> {
        let old = format!("{}.", quote::name(&self.logical.name));
        let plain = format!("{}.", self.logical.name);
        let names = |definition: &str| {
            let within = |text: &str| format!("LOCATE({}, {definition}) > 0", quote::text(text));
            format!("({} OR {})", within(&old), within(&plain))
        };
        let sql = format!(
            "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {database} AND {} \
             UNION SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {database} AND {} \
             UNION SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {database} AND {} \
             UNION SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {database} AND {}",
            names("VIEW_DEFINITION"),
            names("ROUTINE_DEFINITION"),
            names("ACTION_STATEMENT"),
            names("EVENT_DEFINITION"),
        );
        let rows = self.client.ask("", &sql).ok()?;
        let found: Vec<&str> = rows.iter().filter_map(|row| row.first()).map(String::as_str).collect();
        (!found.is_empty()).then(|| {
            format!(
                "these name the database {} in their definition, and still mean that one: {}",
                self.logical.name,
                found.join(", ")
            )
        })
    }
}
