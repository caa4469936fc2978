//! `larder restore` and `verify`: whether and how data comes back.

use crate::cli::{RestoreArguments, VerifyArguments};
use crate::client::{Client, Path};
use crate::command::{absolute, offline, wait};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use larder_http::{Accepted, RestoreBody, VerifyBody};
use larder_service::{BackupChoice, RestorePointInTime, ShelfRestore};

pub(crate) fn restore(arguments: &RestoreArguments, screen: &Screen) -> Result<Exit, Failure> {
    let choice: BackupChoice = arguments.backup.parse()?;
    let target = arguments.target.as_deref().map(absolute).transpose()?;
    if let Some(shelf) = offline::shelf(&arguments.database, &arguments.place)? {
        // The command line asks for a target wherever there is no server to restore into.
        let target = target.ok_or_else(|| Failure::new("say where to restore to"))?;
        let time = arguments.time.map(RestorePointInTime::Time);
        let until = time.or_else(|| arguments.position.clone().map(RestorePointInTime::Position));
        let staging = offline::staging(&target);
        let asked = ShelfRestore {
            backup: &choice,
            target: &target,
            overwrite: arguments.overwrite,
            until: until.as_ref(),
            staging: &staging,
        };
        return offline::restore(&shelf, &asked, screen);
    }
    let into = arguments.into.as_deref().map(server_target).transpose()?;
    let (target_source, target_database) = into.unzip();
    let body = RestoreBody {
        backup: Some(arguments.backup.clone()),
        destination: arguments.place.destination.clone(),
        target: target.as_deref().map(crate::command::source::text_of).transpose()?,
        target_source,
        target_database,
        until_time: arguments.time,
        until_position: arguments.position.clone(),
        overwrite: arguments.overwrite,
    };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "restore"]), &body)?;
    wait::all(&client, &accepted, screen)
}

/// Reads `SOURCE/NAME`; a source's name has no stroke in it, a database's may have.
fn server_target(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('/') {
        Some((source, name)) if !source.is_empty() && !name.is_empty() => {
            Ok((source.to_owned(), name.to_owned()))
        }
        _ => Err(Failure::new(format!("'{text}' is no place in a server; write SOURCE/NAME"))),
    }
}

pub(crate) fn verify(arguments: &VerifyArguments, screen: &Screen) -> Result<Exit, Failure> {
    let _: BackupChoice = arguments.backup.parse()?;
    let body = VerifyBody { backup: Some(arguments.backup.clone()) };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "verify"]), &body)?;
    wait::all(&client, &accepted, screen)
}
