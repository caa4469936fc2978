//! A private server on a copy of another one's files; both go away afterwards.

use super::place::put;
use super::position::{Base, ServerPosition};
use super::until::End;
use crate::error::EngineError;
use crate::postgresql::SERVER_PACKAGE;
use crate::postgresql::scratch::Scratch;
use crate::sink::BackupReader;
use crate::tool::{RunAs, Tools, Wanted};
use crate::words::plain;
use larder_model::Cancel;
use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;

/// What keeps a copy to itself, whatever the first server was set up for: it archives nothing, waits for nobody, loads no
/// libraries but PostgreSQL's, and lets in who reaches its socket.
const APART: [&str; 13] = [
    "archive_mode=off",
    "hot_standby=off",
    "synchronous_standby_names=",
    "shared_preload_libraries=",
    "session_preload_libraries=",
    "local_preload_libraries=",
    "logging_collector=off",
    "log_destination=stderr",
    "ssl=off",
    "lc_messages=C",
    "huge_pages=off",
    "shared_buffers=128MB",
    "max_wal_size=4GB",
];

/// Puts a copy in place, starts a server of its version on it, and waits until that has replayed the log.
pub(super) fn start(
    tools: &Tools,
    backup: &dyn BackupReader,
    position: &ServerPosition,
    base: &Base,
    end: &End,
    below: &Path,
    cancel: &Cancel,
) -> Result<Scratch, EngineError> {
    let because =
        format!("the files of a server are read by its own version only, which is {}", position.major());
    let wanted = Wanted { because: &because, ..Wanted::any(&["postgres"], SERVER_PACKAGE) };
    let server = tools.find_major(&wanted, position.major())?;
    let mut scratch = Scratch::room(below, &position.first_role)?;
    put(backup, position, base, end, &scratch.data(), cancel)?;
    let wrong = |error: io::Error| EngineError::Failed {
        action: format!("making a private server in {}", scratch.directory().display()),
        cause: plain(error),
        remedy: "check the space and the permissions of the directory".to_owned(),
    };
    let directory = scratch.directory();
    let own = [("larder.conf", ""), ("larder.hba", "local all all trust\n"), ("larder.ident", "")];
    for (name, text) in own {
        fs::write(directory.join(name), text).map_err(wrong)?;
    }
    if let Some(user) = scratch.run_as() {
        give(directory, user).map_err(wrong)?;
    }
    let file = |setting: &str, name: &str| format!("{setting}={}", directory.join(name).display());
    let mut settings = vec![
        file("config_file", "larder.conf"),
        file("hba_file", "larder.hba"),
        file("ident_file", "larder.ident"),
    ];
    settings.extend(APART.map(str::to_owned));
    settings.extend(position.settings.iter().map(|(name, value)| format!("{name}={value}")));
    scratch.launch(&server, &settings, cancel)?;
    scratch.await_ready(tools, None, cancel)?;
    Ok(scratch)
}

/// Gives a directory and all that is in it to the user that the server runs as.
fn give(path: &Path, user: RunAs) -> io::Result<()> {
    lchown(path, Some(user.uid), Some(user.gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in path.read_dir()? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}
