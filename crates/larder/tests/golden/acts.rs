//! What happens between two requests: to a database, to a destination.

use larder_testbed::Random;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Does something outside of the API. `name` is a database, or a folder below the backups.
///
/// Returns why it could not be done: what follows then means less.
pub fn act(what: &str, name: &str, data: &Path, backups: &Path) -> Result<(), String> {
    let database = || database(data, name);
    match what {
        "change" => sql(
            &database()?,
            "create table if not exists item (id integer primary key, name text);
             insert into item (name) values ('one more')",
        ),
        "delete" => sql(&database()?, "delete from item where id = (select max(id) from item)"),
        "index" => sql(&database()?, "create index by_name on item (name)"),
        "grow" => grow(&database()?),
        "settle" => settle(&database()?),
        "obstruct" => {
            let _ = std::fs::remove_dir_all(backups.join(name));
            std::fs::write(backups.join(name), "a file where a folder should be")
        }
        .map_err(said),
        "clear" => std::fs::remove_file(backups.join(name)).map_err(said),
        "remove" => std::fs::remove_dir_all(backups.join(name)).map_err(said),
        other => panic!("there is no act '{other}'"),
    }
}

fn said(error: impl std::error::Error) -> String {
    error.to_string()
}

/// Finds the file of a database that was made over the API.
fn database(data: &Path, name: &str) -> Result<PathBuf, String> {
    let files = std::fs::read_dir(data.join("databases")).map_err(said)?;
    files
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name().is_some_and(|file| file == name)
                || path.file_stem().is_some_and(|stem| stem == name)
        })
        .ok_or_else(|| format!("there is no database '{name}'"))
}

fn sql(path: &Path, statements: &str) -> Result<(), String> {
    rusqlite::Connection::open(path).and_then(|database| database.execute_batch(statements)).map_err(said)
}

/// Adds so much that a backup of it takes a moment.
fn grow(path: &Path) -> Result<(), String> {
    sql(path, "create table if not exists large (bytes blob)")?;
    let connection = rusqlite::Connection::open(path).map_err(said)?;
    let mut random = Random::new(1);
    for _ in 0..32 {
        connection.execute("insert into large values (?1)", [random.bytes(1 << 20)]).map_err(said)?;
    }
    Ok(())
}

/// What was written a moment ago cannot be proved unchanged; a day later it can.
fn settle(path: &Path) -> Result<(), String> {
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let file = std::fs::File::options().write(true).open(path).map_err(said)?;
    file.set_modified(yesterday).map_err(said)
}
