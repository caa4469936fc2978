//! How an object is written: under a temporary name, durably, and then given its own.

use super::failure::Failure;
use super::folder::{self, Folders};
use super::packet::{Attributes, kind, open, status};
use super::ssh::Line;
use super::transfer::{self, Handle};
use crate::error::StorageErrorKind;
use crate::unfinished;
use std::sync::{Mutex, PoisonError};

/// The mode that restic, too, gives its files.
const MODE: u32 = 0o600;

/// Unfinished uploads that could not be removed: the connection was cut, or the caller gave up.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<Vec<String>>);

impl Leftovers {
    fn add(&self, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    /// Removes them, now that there is a connection again.
    pub(super) async fn remove(&self, line: &Line) {
        let names = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for name in names {
            if remove(line, &line.path(&name)).await.is_err_and(|failure| failure.lost) {
                self.add(name);
            }
        }
    }
}

/// An upload's temporary name; where the upload does not come to its end, it is left over.
struct Temporary<'a> {
    leftovers: &'a Leftovers,
    name: Option<String>,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.leftovers.add(name);
        }
    }
}

/// What to do where an object of that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Keep,
}

/// Writes an object; says whether it was written.
pub(super) async fn put(
    line: &Line,
    (folders, leftovers): (&Folders, &Leftovers),
    object: &str,
    data: &[u8],
    existing: Existing,
) -> Result<bool, Failure> {
    leftovers.remove(line).await;
    let name = unfinished::name();
    let (path, target) = (line.path(&name), line.path(object));
    let mut temporary = Temporary { leftovers, name: Some(name) };
    let written = match upload(line, folders, &path, data).await {
        Ok(()) => give_name(line, folders, &path, &target, existing).await,
        Err(failure) => Err(why(line, failure, data.len()).await),
    };
    // What has its name is nothing left over, and nor is what is removed.
    let gone = match &written {
        Ok(true) => true,
        Err(failure) if failure.lost => false,
        _ => remove(line, &path).await.is_ok(),
    };
    if gone {
        temporary.name = None;
    }
    written
}

async fn upload(line: &Line, folders: &Folders, path: &str, data: &[u8]) -> Result<(), Failure> {
    let flags = open::WRITE | open::CREATE | open::EXCLUSIVE;
    let folder = line.path(unfinished::FOLDER);
    folders.make(&line.session, &folder).await?;
    let handle = match Handle::open(&line.session, path, flags, Some(MODE)).await {
        Err(failure) if failure.kind == StorageErrorKind::NotFound => {
            folders.forget();
            folders.make(&line.session, &folder).await?;
            Handle::open(&line.session, path, flags, Some(MODE)).await?
        }
        opened => opened?,
    };
    handle.write(data).await?;
    handle.close_durably().await
}

/// Finds out what the one word "failure" means: OpenSSH has no other for a disk that is full.
async fn why(line: &Line, failure: Failure, needed: usize) -> Failure {
    if failure.code != Some(status::FAILURE) {
        return failure;
    }
    let root = line.path("");
    match transfer::free_bytes(&line.session, &root).await {
        Ok(Some(free)) if free < needed as u64 => Failure {
            kind: StorageErrorKind::Full,
            cause: format!("{} and has {free} bytes left of the {needed} needed", failure.cause),
            ..failure
        },
        _ => failure,
    }
}

async fn give_name(
    line: &Line,
    folders: &Folders,
    path: &str,
    target: &str,
    existing: Existing,
) -> Result<bool, Failure> {
    let folder = target.rsplit_once('/').map_or("", |(folder, _)| folder);
    folders.make(&line.session, folder).await?;
    match name_once(line, path, target, existing).await {
        Err(failure) if failure.kind == StorageErrorKind::NotFound => {
            folders.forget();
            folders.make(&line.session, folder).await?;
            name_once(line, path, target, existing).await
        }
        outcome => outcome,
    }
}

async fn name_once(line: &Line, path: &str, target: &str, existing: Existing) -> Result<bool, Failure> {
    let extensions = line.session.extensions;
    let exists = async || transfer::look_up(&line.session, target).await.map(|found| found.is_some());
    if existing == Existing::Keep {
        if extensions.hardlink {
            match extended(line, b"hardlink@openssh.com", path, target).await {
                // Two names now; the temporary one goes.
                Ok(()) => return remove(line, path).await.map(|()| true),
                Err(failure) if failure.lost || failure.kind == StorageErrorKind::NotFound => {
                    return Err(failure);
                }
                Err(_) if exists().await? => return Ok(false),
                // A file system without hard links: looking first must do.
                Err(_) => {}
            }
        } else if exists().await? {
            return Ok(false);
        }
    }
    if extensions.replacing_rename {
        return extended(line, b"posix-rename@openssh.com", path, target).await.map(|()| true);
    }
    match plain_rename(line, path, target).await {
        Err(failure)
            if !failure.lost
                && transfer::look_up(&line.session, target).await?.is_some_and(Attributes::is_file) =>
        {
            // Version 3 does not replace on renaming: the moment in which the object is not there cannot be helped.
            tracing::debug!("replacing by removing first: {}", failure.cause);
            remove(line, target).await?;
            plain_rename(line, path, target).await.map(|()| true)
        }
        outcome => outcome.map(|()| true),
    }
}

async fn extended(line: &Line, what: &[u8], path: &str, target: &str) -> Result<(), Failure> {
    let fill =
        |packet: super::packet::Writer| packet.bytes(what).bytes(path.as_bytes()).bytes(target.as_bytes());
    line.session.tell(kind::EXTENDED, fill).await
}

async fn plain_rename(line: &Line, path: &str, target: &str) -> Result<(), Failure> {
    line.session.tell(kind::RENAME, |packet| packet.bytes(path.as_bytes()).bytes(target.as_bytes())).await
}

/// Removes a file; one that is not there is as good.
pub(super) async fn remove(line: &Line, path: &str) -> Result<(), Failure> {
    let told = line.session.tell(kind::REMOVE, |packet| packet.bytes(path.as_bytes())).await;
    match told {
        Err(failure) if failure.kind == StorageErrorKind::NotFound => Ok(()),
        Err(failure) if failure.lost => Err(failure),
        Err(failure) => match transfer::look_up(&line.session, path).await? {
            Some(found) if !found.is_folder() => Err(failure),
            _ => Ok(()),
        },
        Ok(()) => Ok(()),
    }
}

/// Removes uploads that nobody has touched for a day. The time is the server's own: that of the youngest file there.
pub(super) async fn sweep(line: &Line) -> Result<(), Failure> {
    let folder = line.path(unfinished::FOLDER);
    let items = folder::list(&line.session, &folder).await?.unwrap_or_default();
    let now = items.iter().filter_map(|item| item.attributes.modified).max().unwrap_or(0);
    for item in items {
        let changed = item.attributes.modified.unwrap_or(now);
        if item.attributes.is_file() && u64::from(now.saturating_sub(changed)) > unfinished::ABANDONED_SECONDS
        {
            remove(line, &format!("{folder}/{}", item.name)).await?;
        }
    }
    Ok(())
}
