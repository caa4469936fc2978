//! How a folder is listed: one level at a time, completely or not at all.

use super::TEMPORARY;
use super::multistatus::Resource;
use super::server::Server;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::Attempt;
use crate::storage::ObjectInfo;
use http::StatusCode;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many folders are asked for at once.
const AT_ONCE: usize = 8;

/// What lies right in a folder.
struct Level {
    objects: Vec<ObjectInfo>,
    folders: Vec<String>,
    /// Whether the folder is there at all.
    exists: bool,
}

/// Lists every object below a folder, sorted by path. Servers are never asked for all levels at once: many refuse that, and some
/// leave things out.
pub(super) async fn list(server: &Arc<Server>, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
    let attempt = Attempt::new("list", folder, &server.described);
    let mut objects = Vec::new();
    let mut pending = vec![folder.to_owned()];
    let mut asked: JoinSet<Result<Level, StorageError>> = JoinSet::new();
    let mut vanished = false;
    loop {
        while asked.len() < AT_ONCE
            && let Some(folder) = pending.pop()
        {
            let server = Arc::clone(server);
            asked.spawn(async move { level(&server, &folder).await });
        }
        let Some(finished) = asked.join_next().await else { break };
        let level = finished.map_err(|error| {
            attempt.failure(StorageErrorKind::Other, format!("the listing was cut short: {error}"))
        })??;
        vanished |= !level.exists;
        objects.extend(level.objects);
        pending.extend(level.folders);
    }
    if vanished {
        // Folders that are not there have no objects, if the one that all lie in is there.
        server.check(&attempt).await?;
    }
    objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(objects)
}

async fn level(server: &Server, folder: &str) -> Result<Level, StorageError> {
    let attempt = Attempt::new("list", folder, &server.described);
    let resources = match server.properties(&attempt, folder, 1).await {
        Ok((resources, _)) => resources,
        Err(refused) if refused.is(StatusCode::NOT_FOUND) => {
            return Ok(Level { objects: Vec::new(), folders: Vec::new(), exists: false });
        }
        Err(refused) => return Err(refused.error),
    };
    let damaged = |cause: String| attempt.failure(StorageErrorKind::Damaged, cause);
    // The folder itself is among them. Behind a proxy its path may be another than the one that was asked for.
    let own = resources.iter().min_by_key(|resource| resource.path.len()).map(|own| own.path.clone());
    let own = own.ok_or_else(|| damaged("the server's answer is empty".to_owned()))?;
    let within = format!("{}/", own.trim_end_matches('/'));
    let mut level = Level { objects: Vec::new(), folders: Vec::new(), exists: true };
    for Resource { path, is_folder, size_bytes, .. } in resources {
        if path == own {
            if !is_folder {
                break;
            }
            continue;
        }
        let name = path.strip_prefix(&within).filter(|name| !name.is_empty() && !name.contains('/'));
        let Some(name) = name else {
            return Err(damaged(format!("the server listed '{path}', which does not lie in '{own}'")));
        };
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        match (is_folder, size_bytes) {
            (true, _) if path == TEMPORARY => {}
            (true, _) => level.folders.push(path),
            (false, Some(size_bytes)) => level.objects.push(ObjectInfo { path, size_bytes }),
            (false, None) => return Err(damaged(format!("the server did not say how large '{path}' is"))),
        }
    }
    Ok(level)
}
