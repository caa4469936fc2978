//! `larder restore`, `check` and `verify`: whether and how data comes back.

use crate::cli::{CheckArguments, RestoreArguments, VerifyArguments};
use crate::client::{Client, Path};
use crate::command::{absolute, offline, wait};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use larder_http::{Accepted, CheckBody, RestoreBody, VerifyBody};
use larder_service::BackupChoice;

pub(crate) fn restore(arguments: &RestoreArguments, screen: &Screen) -> Result<Exit, Failure> {
    let choice: BackupChoice = arguments.backup.parse()?;
    let target = absolute(&arguments.target)?;
    if let Some(shelf) = offline::shelf(&arguments.database, &arguments.place)? {
        return offline::restore(&shelf, &choice, &target, arguments.overwrite, screen);
    }
    let body = RestoreBody {
        backup: Some(arguments.backup.clone()),
        destination: arguments.place.destination.clone(),
        target: crate::command::source::text_of(&target)?,
        overwrite: arguments.overwrite,
    };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "restore"]), &body)?;
    wait::all(&client, &accepted, screen)
}

pub(crate) fn check(arguments: &CheckArguments, screen: &Screen) -> Result<Exit, Failure> {
    if let Some(shelf) = offline::shelf(&arguments.database, &arguments.place)? {
        return offline::check(&shelf, arguments.read_data, screen);
    }
    let body = CheckBody { destination: arguments.place.destination.clone(), read_data: arguments.read_data };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "check"]), &body)?;
    wait::all(&client, &accepted, screen)
}

pub(crate) fn verify(arguments: &VerifyArguments, screen: &Screen) -> Result<Exit, Failure> {
    let _: BackupChoice = arguments.backup.parse()?;
    let body = VerifyBody { backup: Some(arguments.backup.clone()) };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "verify"]), &body)?;
    wait::all(&client, &accepted, screen)
}
