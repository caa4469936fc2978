//! Makes a new database.

use super::failure::file;
use crate::error::EngineError;
use rusqlite::Connection;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes an empty SQLite database at `target`, by way of `staging`, a directory of the same file system: nobody ever
/// sees half of it.
///
/// # Errors
/// There is something at `target` already, or one of the directories cannot be written to.
pub fn create_sqlite(target: &Path, staging: &Path) -> Result<(), EngineError> {
    let temporary = staging.join("new");
    let made = make(&temporary).and_then(|()| place_sqlite(&temporary, target));
    // It has its final name by now, or none.
    let _ = fs::remove_file(&temporary);
    made
}

fn make(path: &Path) -> Result<(), EngineError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| file("making", path, error))?;
    let refused = |error: rusqlite::Error| EngineError::Failed {
        action: format!("making {}", path.display()),
        cause: error.to_string(),
        remedy: "check the disk it lies on".to_owned(),
    };
    // SQLite leaves a file empty until something is written, and an empty file is no database.
    let connection = Connection::open(path).map_err(refused)?;
    connection.execute_batch("BEGIN; CREATE TABLE t (x); DROP TABLE t; COMMIT; VACUUM;").map_err(refused)?;
    connection.close().map_err(|(_, error)| refused(error))?;
    File::open(path).and_then(|made| made.sync_all()).map_err(|error| file("writing", path, error))
}

/// Gives a finished file of the same file system its final name; unlike a rename, a link never replaces what is there.
///
/// # Errors
/// There is something at `target` already, or one of the directories cannot be written to.
pub fn place_sqlite(temporary: &Path, target: &Path) -> Result<(), EngineError> {
    match fs::hard_link(temporary, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(EngineError::TargetNotEmpty { target: target.display().to_string() });
        }
        other => other.map_err(|error| file("making", target, error))?,
    }
    fs::remove_file(temporary).map_err(|error| file("removing", temporary, error))?;
    let parent = target.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| file("writing", parent, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;

    #[test]
    fn a_new_database_is_empty_whole_and_replaces_nothing() {
        let directory = TempDir::new();
        let target = directory.join("shop");
        create_sqlite(&target, directory.path()).unwrap();
        let connection = Connection::open(&target).unwrap();
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
        assert!(fs::read(&target).unwrap().starts_with(b"SQLite format 3"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let twice = create_sqlite(&target, directory.path()).unwrap_err();
        assert!(matches!(twice, EngineError::TargetNotEmpty { .. }), "{twice}");
    }
}
