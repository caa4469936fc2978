//! Folders of an SFTP server: made as needed, listed completely or not at all.

use super::failure::Failure;
use super::packet::{Attributes, Reader, Writer, kind, status};
use super::session::Session;
use super::transfer::{self, Handle};
use crate::error::StorageErrorKind;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Backups are nobody else's business: the mode that restic, too, gives its folders.
const MODE: u32 = 0o700;

/// An entry of a folder.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

/// Lists a folder, with links as what they lead to; nothing where there is no folder of that path.
pub(super) async fn list(session: &Session, path: &str) -> Result<Option<Vec<Item>>, Failure> {
    let handle = match Handle::open_folder(session, path).await {
        Ok(handle) => handle,
        Err(failure) if failure.kind == StorageErrorKind::NotFound => return Ok(None),
        // A file in its place is told in several ways.
        Err(failure) if failure.code.is_some_and(|code| code >= status::FAILURE) => {
            let found = transfer::look_up(session, path).await?;
            return if found.is_some_and(Attributes::is_folder) { Err(failure) } else { Ok(None) };
        }
        Err(failure) => return Err(failure),
    };
    let mut items = Vec::new();
    for mut item in read_all(handle).await? {
        if !item.attributes.is_file() && !item.attributes.is_folder() {
            let inside = format!("{}/{}", path.trim_end_matches('/'), item.name);
            // A link that leads nowhere is nothing.
            let Some(found) = transfer::look_up(session, &inside).await? else { continue };
            item.attributes = found;
        }
        items.push(item);
    }
    Ok(Some(items))
}

async fn read_all(handle: Handle<'_>) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    while let Some(body) = handle.read_folder().await? {
        let mut body = Reader(&body);
        for _ in 0..body.u32().ok_or_else(Failure::nonsense)? {
            let (name, _for_people) = (body.bytes(), body.bytes());
            let (Some(name), Some(attributes)) = (name, body.attributes()) else {
                return Err(Failure::nonsense());
            };
            if name == b"." || name == b".." {
                continue;
            }
            let name = std::str::from_utf8(name).map_err(|_| {
                let cause = "the folder has names that are not UTF-8; move them elsewhere";
                Failure::new(StorageErrorKind::Other, cause)
            })?;
            if name.is_empty() || name.contains('/') {
                return Err(Failure::nonsense());
            }
            items.push(Item { name: name.to_owned(), attributes });
        }
    }
    Ok(items)
}

/// Folders that are known to exist, as paths of the server.
#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<HashSet<String>>);

impl Folders {
    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is known: somebody may have removed some.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// Makes a folder and those above it, where they are not there.
    pub(super) async fn make(&self, session: &Session, path: &str) -> Result<(), Failure> {
        // The deepest first: most often all are there but the last.
        let mut missing = Vec::new();
        let mut folder = path;
        while let Some(failure) = self.make_one(session, folder).await? {
            missing.push(folder);
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            if folder.is_empty() {
                return Err(failure);
            }
        }
        for folder in missing.into_iter().rev() {
            if let Some(failure) = self.make_one(session, folder).await? {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Makes one folder; returns why it could not where it still is not there.
    async fn make_one(&self, session: &Session, folder: &str) -> Result<Option<Failure>, Failure> {
        if folder.is_empty() || folder == "/" || self.known().contains(folder) {
            return Ok(None);
        }
        let fill = |packet: Writer| packet.bytes(folder.as_bytes()).attributes(Some(MODE));
        if let Err(failure) = session.tell(kind::MKDIR, fill).await {
            if failure.lost {
                return Err(failure);
            }
            match transfer::look_up(session, folder).await? {
                None => return Ok(Some(failure)),
                Some(found) if found.is_folder() => {}
                Some(_) => {
                    let cause = format!("'{folder}' is no folder");
                    return Err(Failure::new(StorageErrorKind::Invalid, cause));
                }
            }
        }
        self.known().insert(folder.to_owned());
        Ok(None)
    }
}
