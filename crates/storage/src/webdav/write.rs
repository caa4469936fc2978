//! How an object is written: under a temporary name, and then moved into place.

use super::TEMPORARY;
use super::server::{Refused, Server};
use crate::error::StorageError;
use crate::http::Attempt;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName};
use jiff::fmt::rfc2822;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

const DESTINATION: HeaderName = HeaderName::from_static("destination");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");
/// An unfinished write that is older was left by somebody who died.
const ABANDONED_SECONDS: i64 = 24 * 60 * 60;

/// What to do where an object of that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Keep,
}

impl Server {
    /// Writes an object; says whether it was written, which it is not where one was to be kept.
    pub(super) async fn write(
        &self,
        attempt: &Attempt<'_>,
        data: Bytes,
        existing: Existing,
    ) -> Result<bool, StorageError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        // Others may write to the same folder, from other machines: a number that nobody else draws.
        let drawn = RandomState::new().hash_one(serial);
        let temporary = format!("{TEMPORARY}/{drawn:016x}-{serial}");
        let written = self.send_object(attempt, &temporary, data.clone()).await;
        let placed = match written {
            Ok(()) => self.place(attempt, &temporary).await,
            Err(error) => Err(error),
        };
        if !matches!(placed, Ok(true)) {
            // What stays here is removed by the first write of a later day.
            let _ = self.ask(attempt, "DELETE", &temporary, &[], Bytes::new()).await;
        }
        if placed? {
            return Ok(true);
        }
        if existing == Existing::Replace {
            self.replace(attempt, data).await?;
        }
        Ok(existing == Existing::Replace)
    }

    /// Replaces an object by sending the new one to its name. To move one over it would do with a moment in between in which there
    /// is none: Apache and the servers made with sabre, as Nextcloud, remove the old one first. These and nginx keep what is
    /// sent aside until it is whole.
    async fn replace(&self, attempt: &Attempt<'_>, data: Bytes) -> Result<(), StorageError> {
        if self.is_folder(attempt, attempt.path).await {
            return Err(attempt.invalid("a folder of that name exists"));
        }
        self.send_object(attempt, attempt.path, data).await
    }

    async fn send_object(&self, attempt: &Attempt<'_>, name: &str, data: Bytes) -> Result<(), StorageError> {
        let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned())];
        match self.ask(attempt, "PUT", name, &headers, data.clone()).await {
            Err(refused) if refused.may_lack_folder() => {
                let folder = name.rsplit_once('/').map_or(TEMPORARY, |(folder, _)| folder);
                self.make_folders(attempt, folder).await?;
                self.ask(attempt, "PUT", name, &headers, data).await?;
            }
            outcome => drop(outcome?),
        }
        Ok(())
    }

    /// Moves an object to its name; says whether it did, which it does not where something of that name exists.
    async fn place(&self, attempt: &Attempt<'_>, temporary: &str) -> Result<bool, StorageError> {
        let mut outcome = self.rename(attempt, temporary).await;
        let folder = attempt.path.rsplit_once('/').map(|(folder, _)| folder);
        if let (Err(refused), Some(folder)) = (&outcome, folder)
            // Apache says 500 where the folder is missing.
            && (refused.may_lack_folder() || refused.is(StatusCode::INTERNAL_SERVER_ERROR))
        {
            self.make_folders(attempt, folder).await?;
            outcome = self.rename(attempt, temporary).await;
        }
        match outcome {
            Ok(()) => Ok(true),
            Err(refused) if refused.is(StatusCode::PRECONDITION_FAILED) => Ok(false),
            Err(refused) => Err(refused.error),
        }
    }

    async fn rename(&self, attempt: &Attempt<'_>, from: &str) -> Result<(), Refused> {
        let whole = self.whole_address(attempt, attempt.path)?;
        let headers = [(DESTINATION, whole.clone()), (OVERWRITE, "F".to_owned())];
        match self.ask(attempt, "MOVE", from, &headers, Bytes::new()).await {
            // Behind a proxy a server may not know the address that it is called by; it knows its paths.
            Err(refused) if refused.is(StatusCode::BAD_GATEWAY) => {
                let path = whole.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
                let path = path.map_or_else(|| "/".to_owned(), |(_, path)| format!("/{path}"));
                let headers = [(DESTINATION, path), (OVERWRITE, "F".to_owned())];
                self.ask(attempt, "MOVE", from, &headers, Bytes::new()).await?;
            }
            outcome => drop(outcome?),
        }
        Ok(())
    }

    /// Makes a folder and those above it, but not the one that the address names. That another writer is faster is no error.
    async fn make_folders(&self, attempt: &Attempt<'_>, folder: &str) -> Result<(), StorageError> {
        let mut missing = vec![folder];
        let mut climbs = true;
        while let Some(folder) = missing.last().copied() {
            match self.ask(attempt, "MKCOL", folder, &[], Bytes::new()).await {
                // It is made, or exists.
                Ok(_) => drop(missing.pop()),
                Err(refused) if refused.is(StatusCode::METHOD_NOT_ALLOWED) => drop(missing.pop()),
                Err(refused) if refused.may_lack_folder() && climbs => match folder.rsplit_once('/') {
                    Some((above, _)) => {
                        missing.push(above);
                        continue;
                    }
                    None => return Err(self.missing(attempt)),
                },
                // Two who make the same folder at the same moment get all kinds of answers.
                Err(_) if self.is_folder(attempt, folder).await => drop(missing.pop()),
                Err(refused) => return Err(refused.error),
            }
            climbs = false;
        }
        Ok(())
    }

    async fn is_folder(&self, attempt: &Attempt<'_>, path: &str) -> bool {
        let found = self.properties(attempt, path, 0).await;
        found.is_ok_and(|(resources, _)| resources.first().is_some_and(|resource| resource.is_folder))
    }

    /// Removes what writers left that died long ago, by the server's own clock. That it fails changes nothing.
    pub(super) async fn remove_abandoned(&self) {
        let attempt = Attempt::new("list", TEMPORARY, &self.described);
        let Ok((resources, Some(date))) = self.properties(&attempt, TEMPORARY, 1).await else { return };
        let seconds = |date: &str| rfc2822::parse(date).map(|date| date.timestamp().as_second()).ok();
        let Some(now) = seconds(&date) else { return };
        for resource in resources.into_iter().filter(|resource| !resource.is_folder) {
            let name = resource.path.rsplit('/').next().unwrap_or_default();
            let age = resource.modified.as_deref().and_then(seconds).map_or(0, |modified| now - modified);
            if age > ABANDONED_SECONDS {
                let _ = self.ask(&attempt, "DELETE", &format!("{TEMPORARY}/{name}"), &[], Bytes::new()).await;
            }
        }
    }
}
