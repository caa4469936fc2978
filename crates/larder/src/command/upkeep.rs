//! `larder check`, `repair`, `prune` and `upkeep`: whether repositories are whole, and what keeps them so.

use crate::cli::{CheckArguments, PruneArguments, RepairArguments, UpkeepArguments};
use crate::client::{Client, Path};
use crate::command::{offline, wait};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_http::{Accepted, CheckBody, PruneBody, RepairBody};
use larder_model::Operation;
use larder_service::{CheckDepth, DamagedBackups, ShelfRepair, UpkeepView};

pub(crate) fn check(arguments: &CheckArguments, screen: &Screen) -> Result<Exit, Failure> {
    let read_data = arguments.read_data || arguments.part.is_some();
    if let Some(shelf) = offline::shelf(&arguments.database, &arguments.place)? {
        return offline::check(&shelf, CheckDepth { read_data, part: arguments.part }, screen);
    }
    let body = CheckBody {
        destination: arguments.place.destination.clone(),
        read_data,
        part: arguments.part.map(|part| part.to_string()),
    };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "check"]), &body)?;
    told(&client, &accepted, screen)
}

pub(crate) fn repair(arguments: &RepairArguments, screen: &Screen) -> Result<Exit, Failure> {
    let damaged = DamagedBackups::from(arguments.damaged_backups);
    if let Some(key_file) = &arguments.key_file {
        let shelf = offline::shelf_of(&arguments.database, &arguments.destination, key_file)?;
        let directory = offline::own_directory("larder-repair")?;
        let asked = ShelfRepair {
            read_data: arguments.read_data,
            dry_run: arguments.dry_run,
            damaged_backups: damaged,
            directory: &directory,
        };
        return offline::repair(&shelf, &asked, screen);
    }
    let destination = match arguments.destination.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        _ => {
            return Err(Failure::new(
                "a server is told of one destination, or of none for all; several are named with --key-file",
            ));
        }
    };
    let body = RepairBody {
        destination,
        read_data: arguments.read_data,
        dry_run: arguments.dry_run,
        damaged_backups: damaged,
    };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "repair"]), &body)?;
    told(&client, &accepted, screen)
}

pub(crate) fn prune(arguments: &PruneArguments, screen: &Screen) -> Result<Exit, Failure> {
    let body = PruneBody { destination: arguments.destination.clone(), dry_run: arguments.dry_run };
    let client = Client::new(&arguments.connection)?;
    let accepted: Accepted = client.post(&Path::new(["databases", &arguments.database, "prune"]), &body)?;
    told(&client, &accepted, screen)
}

/// Waits for operations, and prints what they have to say.
fn told(client: &Client, accepted: &Accepted, screen: &Screen) -> Result<Exit, Failure> {
    let exit = wait::all(client, accepted, screen)?;
    if !screen.is_json() {
        for id in &accepted.operations {
            let ended: Operation = client.get(&wait::path(*id))?;
            screen.result(&ended.messages, &ended.messages.join("\n"))?;
        }
    }
    Ok(exit)
}

pub(crate) fn upkeep(arguments: &UpkeepArguments, screen: &Screen) -> Result<Exit, Failure> {
    let path = Path::new(["databases", &arguments.database, "upkeep"]);
    let all: Vec<UpkeepView> = Client::new(&arguments.connection)?.get(&path)?;
    let mut table =
        Table::new(&["destination", "next part", "due", "all read by", "retired packs go", "damage"]);
    let moment = |time: Option<jiff::Timestamp>| time.map_or_else(String::new, |time| screen.moment(time));
    for one in &all {
        let round = one.round.as_ref();
        table.row([
            one.destination.name.clone(),
            round
                .map_or_else(|| "none".to_owned(), |round| format!("{} of {}", round.next_part, round.parts)),
            moment(round.map(|round| round.due)),
            moment(round.and_then(|round| round.round_ended)),
            moment(one.prune_due),
            one.damage.clone().unwrap_or_else(|| "none known".to_owned()),
        ]);
    }
    screen.result(&all, &table.to_string())
}
