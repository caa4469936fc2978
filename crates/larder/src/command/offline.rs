//! What works with no server: a destination's directory and the key are enough.

use crate::cli::Place;
use crate::clock::MachineClock;
use crate::command::absolute;
use crate::exit::{Exit, Failure};
use crate::host::{read_secret, tools};
use crate::serve;
use crate::show::screen::Screen;
use crate::signals::Interrupt;
use crate::task_file;
use larder_model::task::{DestinationSettings, LocalSettings};
use larder_model::{Cancel, Secret};
use larder_service::{CheckDepth, Host, Shelf, ShelfRepair, ShelfRestore};
use larder_storage::{Connector, ConnectorSettings};
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A database's backups at a destination, and the threads to read them with.
pub(crate) struct OpenShelf {
    shelf: Shelf,
    runtime: tokio::runtime::Runtime,
}

/// Opens a database's backups directly, where a key file says that no server is to be asked: in a directory, or where a
/// file with the block of a task says.
pub(crate) fn shelf(database: &str, place: &Place) -> Result<Option<OpenShelf>, Failure> {
    let (Some(destination), Some(key_file)) = (&place.destination, &place.key_file) else { return Ok(None) };
    let settings = settings(destination)?;
    let Tools { key, runtime, connector, clock, host } = Tools::new(key_file)?;
    let shelf = Shelf::open(settings, connector, database.parse()?, key, clock, runtime.handle(), &host)?;
    Ok(Some(OpenShelf { shelf, runtime }))
}

/// Takes a database's repositories at several destinations, which need not open yet.
pub(crate) fn shelf_of(
    database: &str,
    destinations: &[String],
    key_file: &Path,
) -> Result<OpenShelf, Failure> {
    let settings = destinations.iter().map(|one| settings(one)).collect::<Result<_, _>>()?;
    let Tools { key, runtime, connector, clock, host } = Tools::new(key_file)?;
    let shelf = Shelf::at(settings, connector, database.parse()?, &key, clock, runtime.handle(), &host)?;
    Ok(OpenShelf { shelf, runtime })
}

/// Reads what a destination is: a directory, or a file with the block of a task.
fn settings(destination: &str) -> Result<DestinationSettings, Failure> {
    let path = Path::new(destination);
    if path.is_file() {
        return task_file::only_destination(path);
    }
    let folder_path = Some(absolute(path)?.display().to_string());
    Ok(DestinationSettings::Local(LocalSettings { folder_path, ..LocalSettings::default() }))
}

/// What it takes to open a destination.
struct Tools {
    key: Secret,
    runtime: tokio::runtime::Runtime,
    connector: Connector,
    clock: Arc<MachineClock>,
    host: Host,
}

impl Tools {
    fn new(key_file: &Path) -> Result<Self, Failure> {
        let key = read_secret(key_file, "key file")?;
        let runtime = serve::runtime()?;
        let connector = Connector::new(ConnectorSettings::default())
            .map_err(|error| Failure::new(format!("destinations cannot be opened: {error}")))?;
        let host = Host {
            tool_directories: tools::directories(&[], std::env::var_os("PATH").as_deref()),
            ..Host::default()
        };
        Ok(Self { key, runtime, connector, clock: Arc::new(MachineClock), host })
    }
}

impl OpenShelf {
    /// Lists the backups, the newest first.
    pub(crate) fn backups(&self) -> Result<Vec<larder_model::RestorePoint>, Failure> {
        Ok(self.shelf.backups()?)
    }

    /// Makes a flag that Ctrl-C raises.
    fn cancel(&self) -> Result<Cancel, Failure> {
        let cancel = Cancel::new();
        let raised = cancel.clone();
        let _within = self.runtime.enter();
        let interrupt = Interrupt::listen()?;
        self.runtime.spawn(async move {
            interrupt.wait().await;
            raised.cancel();
        });
        Ok(cancel)
    }
}

/// Says how work ended that Ctrl-C may have stopped.
fn ended<T, E: Into<Failure>>(result: Result<T, E>, cancel: &Cancel) -> Result<T, Failure> {
    result.map_err(|error| match cancel.is_canceled() {
        true => Failure::with(Exit::Interrupted, "it was interrupted before it was done; start it again"),
        false => error.into(),
    })
}

/// Makes a directory for what cannot be streamed: beside the target, where there is room for the data, or where that may
/// not be written to, at the usual place.
pub(crate) fn staging(target: &Path) -> PathBuf {
    let name = format!(".larder-restore-{}", std::process::id());
    let beside = target.with_file_name(&name);
    match std::fs::create_dir(&beside) {
        Ok(()) => beside,
        Err(_) => std::env::temp_dir().join(name),
    }
}

/// Makes a directory at the usual place for temporary ones. One that is there already is not taken: somebody else may have
/// made it, and links in it could lead anywhere.
pub(crate) fn own_directory(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
        let path = path.display();
        Failure::new(format!("could not make the directory '{path}': {error}; set TMPDIR to one of your own"))
    })?;
    Ok(path)
}

pub(crate) fn restore(open: &OpenShelf, asked: &ShelfRestore<'_>, screen: &Screen) -> Result<Exit, Failure> {
    let cancel = open.cancel()?;
    let restored = ended(open.shelf.restore(asked, &cancel), &cancel);
    // Only what is empty goes: nothing of a restore beside this one.
    let _ = std::fs::remove_dir(asked.staging);
    let (restored, target) = (restored?, asked.target);
    for message in &restored.messages {
        screen.remark(message);
    }
    screen.result(
        &json!({ "Backup": restored.backup, "Target": target, "Messages": restored.messages }),
        &format!(
            "Restored backup {} to {}; every byte was checked against its hash.",
            restored.backup.short(),
            target.display()
        ),
    )
}

pub(crate) fn check(open: &OpenShelf, depth: CheckDepth, screen: &Screen) -> Result<Exit, Failure> {
    let cancel = open.cancel()?;
    let problems = ended(open.shelf.check(depth, &cancel), &cancel)?;
    let how = match depth {
        CheckDepth { part: Some(part), .. } => format!("the structure and in part {part}"),
        CheckDepth { read_data: true, .. } => "every byte".to_owned(),
        CheckDepth { .. } => "the structure".to_owned(),
    };
    let text = if problems.is_empty() {
        format!("No problem was found in {how} of the repository.")
    } else {
        problems.join("\n")
    };
    screen.result(&json!({ "Problems": problems, "ReadData": depth.read_data }), &text)?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

pub(crate) fn repair(open: &OpenShelf, asked: &ShelfRepair<'_>, screen: &Screen) -> Result<Exit, Failure> {
    let cancel = open.cancel()?;
    let mended = ended(open.shelf.repair(asked, &cancel), &cancel);
    // Only what is empty goes: a list of what is lost stays.
    let _ = std::fs::remove_dir(asked.directory);
    let mended = mended?;
    screen.result(
        &json!({ "Messages": mended.messages, "Error": mended.fault }),
        &mended.messages.join("\n"),
    )?;
    let Some(fault) = mended.fault else { return Ok(Exit::Done) };
    screen.remark(&fault);
    Ok(Exit::Failed)
}
