//! How bytes go to an FTP server and come back.

use super::connection::{Connection, Site};
use super::failure::Failure;
use crate::error::StorageErrorKind;
use crate::pace::{self, Paced, Way};
use crate::unfinished;
use std::io::{ErrorKind, Read, Write};
use std::sync::PoisonError;
use std::time::Duration;
use suppaftp::{DataStream, TransferStream};

use super::tls::Protected;

/// How often an upload that was cut is taken up again before it fails.
const RESUMES: u32 = 4;

/// What is written to a socket at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// Uploads an object under a temporary name and gives it its own once the server has all of it.
pub(super) fn put(
    connection: &mut Connection,
    site: &Site,
    object: &str,
    data: &[u8],
) -> Result<(), Failure> {
    remove_leftovers(connection, site);
    let target = connection.path(object);
    let mut temporary = connection.path(&unfinished::name());
    let outcome = upload_whole(connection, site, &mut temporary, data)
        .and_then(|()| give_name(connection, site, &temporary, &target));
    if outcome.is_err() {
        discard(connection, site, &temporary);
    }
    outcome
}

/// Removes what a failed upload left, as well as that can be done.
fn discard(connection: &mut Connection, site: &Site, temporary: &str) {
    if connection.lost {
        match Connection::open(site) {
            Ok(other) => *connection = other,
            // It is never listed, and goes away with the next upload.
            Err(_) => return leave(site, temporary),
        }
    }
    let removed = connection.stream.rm(temporary);
    if connection.step(removed).is_err_and(|failure| failure.lost) {
        leave(site, temporary);
    }
}

fn leave(site: &Site, temporary: &str) {
    site.leftovers.lock().unwrap_or_else(PoisonError::into_inner).push(temporary.to_owned());
}

fn remove_leftovers(connection: &mut Connection, site: &Site) {
    let names = std::mem::take(&mut *site.leftovers.lock().unwrap_or_else(PoisonError::into_inner));
    for name in names {
        if connection.lost {
            leave(site, &name);
        } else {
            discard(connection, site, &name);
        }
    }
}

/// Uploads until the server says that it has as many bytes as there are.
fn upload_whole(
    connection: &mut Connection,
    site: &Site,
    temporary: &mut String,
    data: &[u8],
) -> Result<(), Failure> {
    let folder = connection.path(unfinished::FOLDER);
    connection.make_folder(site, &folder)?;
    for last in [false, true] {
        upload(connection, site, temporary, data)?;
        let stored = connection.size(temporary)?;
        if stored == Some(data.len() as u64) {
            return Ok(());
        }
        let stored = stored.map_or_else(|| "nothing".to_owned(), |bytes| format!("{bytes} bytes"));
        let said = format!("{} bytes were sent, and the server has {stored}", data.len());
        if last {
            return Err(Failure::new(StorageErrorKind::Damaged, said));
        }
        // Where the server went on writing what an earlier connection had sent, the pieces do not fit: once more, whole.
        tracing::debug!("{said}; sending it again");
        discard(connection, site, temporary);
        *temporary = connection.path(&unfinished::name());
    }
    Ok(())
}

/// Sends the bytes; where the connection is cut, goes on from what the server has.
fn upload(connection: &mut Connection, site: &Site, path: &str, data: &[u8]) -> Result<(), Failure> {
    let mut offset = 0;
    let mut made_folder_again = false;
    let mut cuts = 0;
    loop {
        let failure = match send(connection, path, data, offset) {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        if failure.kind == StorageErrorKind::NotFound && !made_folder_again {
            made_folder_again = true;
            site.forget();
            let folder = connection.path(unfinished::FOLDER);
            connection.make_folder(site, &folder)?;
            continue;
        }
        if failure.kind != StorageErrorKind::Unavailable || cuts == RESUMES {
            return Err(failure.of_writing());
        }
        cuts += 1;
        // A server that has just cut one connection off is often not ready for the next at once.
        std::thread::sleep(Duration::from_millis(200 << cuts));
        if connection.lost {
            *connection = Connection::open(site)?;
        }
        let stored = connection.size(path)?.and_then(|bytes| usize::try_from(bytes).ok());
        offset = stored.filter(|bytes| *bytes <= data.len()).unwrap_or(0);
        tracing::debug!("upload was cut ({}), going on from {offset}", failure.cause);
    }
}

/// Sends the bytes from an offset on, which the server has up to there.
fn send(connection: &mut Connection, path: &str, data: &[u8], offset: usize) -> Result<(), Failure> {
    let opened = if offset == 0 {
        connection.stream.put_with_stream(path)
    } else if connection.abilities.restart {
        connection.stream.resume_transfer(offset).and_then(|()| connection.stream.put_with_stream(path))
    } else {
        connection.stream.append_with_stream(path)
    };
    let mut transfer = match connection.step(opened) {
        Err(failure) if offset > 0 && !failure.lost => return send(connection, path, data, 0),
        opened => opened?,
    };
    if let DataStream::Ssl(protected) = transfer.get_mut() {
        protected.is_upload();
    }
    let mut written = Ok(());
    let chunk = if pace::Pace::current().is_some() { pace::PIECE } else { CHUNK };
    for chunk in data.get(offset..).unwrap_or_default().chunks(chunk) {
        pace::pass_blocking(Way::Up, chunk.len());
        written = transfer.write_all(chunk);
        if written.is_err() {
            break;
        }
    }
    let written = written.and_then(|()| transfer.flush());
    // The server's reply says why it took no more.
    let finished = transfer.finish();
    connection.step(finished)?;
    written.map_err(|error| {
        connection.lost = true;
        Failure::cut(format!("the upload was cut: {error}"))
    })
}

/// Renames an uploaded file to what it is.
fn give_name(connection: &mut Connection, site: &Site, temporary: &str, target: &str) -> Result<(), Failure> {
    let folder = target.rsplit_once('/').map_or("", |(folder, _)| folder);
    connection.make_folder(site, folder)?;
    let renamed = connection.stream.rename(temporary, target);
    let Err(failure) = connection.step(renamed) else { return Ok(()) };
    if failure.lost {
        // The reply is missing, and the connection with it: see on another what came of it.
        *connection = Connection::open(site)?;
        return match connection.size(temporary)? {
            None if connection.size(target)?.is_some() => Ok(()),
            _ => Err(failure),
        };
    }
    if connection.size(target)?.is_some() {
        // A server that does not replace on renaming: the one moment in which the object is not there cannot be helped.
        let removed = connection.stream.rm(target);
        connection.step(removed).map_err(Failure::of_writing)?;
    } else {
        site.forget();
        connection.make_folder(site, folder)?;
    }
    let renamed = connection.stream.rename(temporary, target);
    connection.step(renamed).map_err(Failure::of_writing)
}

/// Reads a whole file.
pub(super) fn get(connection: &mut Connection, object: &str) -> Result<Vec<u8>, Failure> {
    let path = connection.path(object);
    let mut transfer = open(connection, &path, 0)?;
    let mut data = Vec::new();
    let read = Paced(&mut transfer).read_to_end(&mut data);
    let finished = transfer.finish();
    connection.step(finished)?;
    match read {
        Ok(_) => Ok(data),
        // TLS without a goodbye: the reply says that all was sent, and the size is the proof.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            let size = connection.size(&path)?;
            if size == Some(data.len() as u64) { Ok(data) } else { Err(too_short(data.len(), size)) }
        }
        Err(error) => {
            connection.lost = true;
            Err(Failure::cut(format!("the download was cut: {error}")))
        }
    }
}

/// Reads bytes from the middle of a file, exactly as many as are asked for.
pub(super) fn get_range(
    connection: &mut Connection,
    object: &str,
    start: u64,
    length: u64,
) -> Result<Vec<u8>, Failure> {
    let path = connection.path(object);
    let size = connection.size(&path)?;
    let Some(size) = size else { return Err(absent()) };
    let offset = usize::try_from(start).unwrap_or(usize::MAX);
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    if start.checked_add(length).is_none_or(|end| end > size) {
        return Err(Failure::new(
            StorageErrorKind::Damaged,
            format!("bytes up to {} were asked for, and it has {size}", start.saturating_add(length)),
        ));
    }
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let mut transfer = open(connection, &path, offset)?;
    let mut data = Vec::with_capacity(wanted);
    let read = Paced((&mut transfer).take(length)).read_to_end(&mut data);
    let finished = transfer.finish();
    if data.len() == wanted {
        part_is_enough(connection, finished.map_err(Failure::from));
        return Ok(data);
    }
    connection.step(finished)?;
    match read {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
            connection.lost = true;
            Err(Failure::cut(format!("the download was cut: {error}")))
        }
        _ => Err(too_short(data.len(), Some(length))),
    }
}

/// Gets in step again after a download was ended early: some servers answer once, some twice, and with various codes.
fn part_is_enough(connection: &mut Connection, finished: Result<(), Failure>) {
    if finished.is_ok() {
        return;
    }
    let answered = connection.stream.noop();
    if finished.is_err_and(|failure| failure.lost) || answered.is_err() {
        connection.lost = true;
    }
}

fn open(
    connection: &mut Connection,
    path: &str,
    offset: usize,
) -> Result<TransferStream<Protected>, Failure> {
    let opened =
        connection.stream.resume_transfer(offset).and_then(|()| connection.stream.retr_as_stream(path));
    match connection.step(opened) {
        // What is a folder, or lies below a file, is refused with many words and codes; only an object has a size.
        Err(failure)
            if matches!(failure.code, Some(450 | 451 | 501 | 550 | 553))
                && failure.kind != StorageErrorKind::NotFound =>
        {
            if connection.size(path)?.is_none() {
                Err(absent())
            } else {
                Err(failure)
            }
        }
        other => other,
    }
}

fn absent() -> Failure {
    Failure::new(StorageErrorKind::NotFound, "there is no such object")
}

fn too_short(found: usize, wanted: Option<u64>) -> Failure {
    let wanted = wanted.map_or_else(|| "it had".to_owned(), |bytes| bytes.to_string());
    Failure::new(StorageErrorKind::Damaged, format!("only {found} bytes of {wanted} came"))
}

/// Removes a file; one that is not there is as good.
pub(super) fn delete(connection: &mut Connection, object: &str) -> Result<(), Failure> {
    let path = connection.path(object);
    let removed = connection.stream.rm(&path);
    match connection.step(removed) {
        Err(failure) if failure.lost || connection.size(&path)?.is_some() => Err(failure.of_writing()),
        _ => Ok(()),
    }
}
