//! How a directory is listed: completely, or not at all.

use crate::local_file::{Root, TEMPORARY};
use crate::storage::ObjectInfo;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// Lists every object below a folder, sorted by path.
pub(crate) fn list(root: &Root, folder: &str) -> io::Result<Vec<ObjectInfo>> {
    let mut objects = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        list_folder(root, &folder, &mut objects, &mut pending)?;
    }
    // Folders that vanish are passed over, so this must still be the same disk.
    root.check()?;
    objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(objects)
}

fn list_folder(
    root: &Root,
    folder: &str,
    objects: &mut Vec<ObjectInfo>,
    pending: &mut Vec<String>,
) -> io::Result<()> {
    let directory: PathBuf = if folder.is_empty() { root.path().to_owned() } else { root.file(folder) };
    let Some(entries) = unless_gone(fs::read_dir(&directory))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = readable_name(&entry)?;
        // The second is made by mkfs at the top of a volume and belongs to root alone.
        if folder.is_empty() && (name == TEMPORARY || name == "lost+found") {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let Some(metadata) = unless_gone(metadata(&entry))? else { continue };
        if metadata.is_dir() {
            pending.push(path);
        } else if metadata.is_file() {
            objects.push(ObjectInfo { path, size_bytes: metadata.len() });
        }
    }
    Ok(())
}

fn readable_name(entry: &DirEntry) -> io::Result<String> {
    entry.file_name().into_string().map_err(|name| {
        let cause = format!(
            "the file {} was not put there by Larder: its name is not text; move it away",
            Path::new(&name).display()
        );
        io::Error::new(io::ErrorKind::InvalidInput, cause)
    })
}

/// Follows links, as reading an object does.
fn metadata(entry: &DirEntry) -> io::Result<fs::Metadata> {
    let metadata = entry.metadata()?;
    if metadata.is_symlink() { fs::metadata(entry.path()) } else { Ok(metadata) }
}

/// What vanished while it was listed is not there; every other error ends the listing.
fn unless_gone<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
