//! What lies in a folder of an FTP server: all of it, or an error.

use super::connection::Connection;
use super::failure::Failure;
use super::line::{self, Item, Kind};
use crate::error::StorageErrorKind;
use crate::unfinished;
use std::io::{ErrorKind, Read};
use suppaftp::Status;

/// A listing of one folder may have so many bytes: a million names of usual length.
const LARGEST_LISTING: u64 = 256 << 20;

/// A file or folder, and what kind of thing it is for certain.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// A file and its size in bytes.
    File(String, u64),
    /// A folder.
    Folder(String),
}

impl Connection {
    /// Lists a folder; nothing where there is none.
    pub(super) fn folder(&mut self, path: &str) -> Result<Option<Vec<Found>>, Failure> {
        let Some(items) = self.items(path)? else { return Ok(None) };
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            let inside = format!("{}/{}", path.trim_end_matches('/'), item.name);
            match item.kind {
                Kind::File(Some(size)) => found.push(Found::File(item.name, size)),
                Kind::Folder => found.push(Found::Folder(item.name)),
                // A link is what it leads to; one that leads nowhere is nothing.
                Kind::File(None) | Kind::Unknown => match self.size(&inside)? {
                    Some(size) => found.push(Found::File(item.name, size)),
                    None if item.kind == Kind::Unknown && self.is_folder(&inside)? => {
                        found.push(Found::Folder(item.name));
                    }
                    None => {}
                },
            }
        }
        Ok(Some(found))
    }

    /// Finds a file's size in the listing of its folder, for servers that do not tell it otherwise.
    pub(super) fn size_by_listing(&mut self, path: &str) -> Result<Option<u64>, Failure> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let items = self.items(if folder.is_empty() { "/" } else { folder })?.unwrap_or_default();
        Ok(items.into_iter().find(|item| item.name == name).and_then(|item| match item.kind {
            Kind::File(size) => size,
            _ => None,
        }))
    }

    fn items(&mut self, path: &str) -> Result<Option<Vec<Item>>, Failure> {
        if self.abilities.mlsd {
            match self.lines(&format!("MLSD {path}")) {
                Ok(lines) => return parse(&lines, line::machine).map(Some),
                Err(failure) if failure.is_unknown_command() && failure.code != Some(501) => {
                    self.abilities.mlsd = false;
                }
                Err(failure) => return self.absent_or(path, failure),
            }
        }
        // Many servers take what stands behind LIST for options or a pattern: the folder is entered first.
        let entered = self.stream.cwd(path);
        if let Err(failure) = self.step(entered) {
            return self.absent_or(path, failure);
        }
        match self.lines(if self.abilities.hides_dots { "LIST -a" } else { "LIST" }) {
            Ok(lines) => parse(&lines, line::human).map(Some),
            // So say some of a folder in which there is nothing.
            Err(failure) if !failure.lost && failure.cause.to_lowercase().contains("no files found") => {
                Ok(Some(Vec::new()))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Tells a folder that is not there from one that cannot be read: only a listing of the folder above is proof.
    fn absent_or(&mut self, path: &str, failure: Failure) -> Result<Option<Vec<Item>>, Failure> {
        let refused = matches!(failure.code, Some(450 | 451 | 501 | 550 | 553));
        let (above, name) = match path.trim_end_matches('/').rsplit_once('/') {
            Some((above, name)) if refused && !failure.lost => (above, name),
            _ => return Err(failure),
        };
        let above = self.items(if above.is_empty() { "/" } else { above })?;
        let there = above.and_then(|items| items.into_iter().find(|item| item.name == name));
        match there.map(|item| item.kind) {
            None | Some(Kind::File(_)) => Ok(None),
            Some(Kind::Folder | Kind::Unknown) => Err(Failure { kind: StorageErrorKind::Denied, ..failure }),
        }
    }

    fn lines(&mut self, command: &str) -> Result<Vec<String>, Failure> {
        let opened = self.stream.custom_data_command(command, &[Status::AboutToSend, Status::AlreadyOpen]);
        let (_, mut transfer) = self.step(opened)?;
        let mut bytes = Vec::new();
        let read = (&mut transfer).take(LARGEST_LISTING).read_to_end(&mut bytes);
        let finished = transfer.finish();
        // The reply says whether that was all.
        self.step(finished)?;
        if let Err(error) = read
            && error.kind() != ErrorKind::UnexpectedEof
        {
            self.lost = true;
            return Err(Failure::cut(format!("the listing was cut: {error}")));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::new(
                StorageErrorKind::Other,
                "the listing has names that are not UTF-8; move them elsewhere",
            )
        })?;
        match text.chars().next_back() {
            None | Some('\n') => Ok(text.lines().map(str::to_owned).collect()),
            Some(_) => {
                Err(Failure::new(StorageErrorKind::Unavailable, "the listing ends in the middle of a line"))
            }
        }
    }

    /// Removes uploads that nobody has touched for a day. The time is the server's own: that of the youngest file there.
    pub(super) fn sweep(&mut self) -> Result<(), Failure> {
        if !self.abilities.mlsd {
            return Ok(());
        }
        let folder = self.path(unfinished::FOLDER);
        let items = self.items(&folder)?.unwrap_or_default();
        let now = items.iter().filter_map(|item| seconds(item.modified.as_deref()?)).max().unwrap_or(0);
        for item in items {
            let changed = item.modified.as_deref().and_then(seconds);
            let old =
                changed.is_some_and(|changed| now.saturating_sub(changed) > unfinished::ABANDONED_SECONDS);
            if old && matches!(item.kind, Kind::File(_)) {
                let removed = self.stream.rm(format!("{folder}/{}", item.name));
                self.step(removed)?;
            }
        }
        Ok(())
    }
}

fn parse(lines: &[String], read: fn(&str) -> Result<Option<Item>, String>) -> Result<Vec<Item>, Failure> {
    let lines = lines.iter().filter(|line| !line.is_empty());
    let items = lines.filter_map(|line| read(line).transpose()).collect::<Result<_, _>>();
    items.map_err(|cause| Failure::new(StorageErrorKind::Other, cause))
}

/// Turns `YYYYMMDDHHMMSS` into seconds.
fn seconds(text: &str) -> Option<u64> {
    let moment = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    let zoned = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}
