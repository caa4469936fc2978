//! `/api/v1`: the table of routes, and the handlers by subject.

mod about;
mod backups;
mod contents;
mod databases;
mod destinations;
pub(crate) mod input;
mod operations;
mod sources;
mod tasks;
mod time;
mod upkeep;

use crate::answer::{
    Accepted, Backups, BackupsBody, CheckBody, DelayBody, HealBody, HealthAnswer, KeyAccess, LackingRight,
    ProposedSource, PruneBody, RepairBody, RestoreBody, RetentionBody, SourceAdded, VerifyBody,
    VersionAnswer,
};
use crate::events;
use crate::route::Route;
use larder_model::task::{BackupConfiguration, Periodicity};
use larder_model::{
    BackupPath, Operation, OperationKind, OperationStatus, PeriodicBackupConfiguration,
    ServerWideBackupConfiguration, Source,
};
use larder_service::{
    BackupDifference, ChangeKind, ComparedDestination, DatabaseView, Decision, DestinationTest,
    DestinationUse, DestinationView, KeptBackup, NextRun, Overview, QueueEntry, RetentionOutlook, Stored,
    StoredDirectory, StoredMatches, TaskView, UpkeepView, Verification,
};
use serde_json::Value;

/// Returns every route below `/api/v1`.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = about_routes();
    routes.extend(source_routes());
    routes.extend(database_routes());
    routes.extend(upkeep_routes());
    routes.extend(content_routes());
    routes.extend(task_routes());
    routes.extend(destination_routes());
    routes.extend(time_routes());
    routes.extend(operation_routes());
    routes
}

fn about_routes() -> Vec<Route> {
    vec![
        Route::get("/health", "health", "Says that the server is there; needs no token.")
            .gives::<HealthAnswer>()
            .by(about::health),
        Route::get("/version", "version", "Says which program answers.")
            .gives::<VersionAnswer>()
            .by(about::version),
        Route::get("/openapi.json", "openapi", "Returns this document.").gives::<Value>().by(about::openapi),
        Route::get("/status", "status", "Shows everything at a glance.")
            .gives::<Overview>()
            .by(about::status),
        Route::get("/next-runs", "next_runs", "Lists the next runs, earliest first.")
            .asks::<String>("task", "Only of this server-wide task.")
            .asks::<usize>("count", "How many; 5 where nothing is said.")
            .gives::<Vec<NextRun>>()
            .by(about::next_runs),
        Route::get(
            "/events",
            "events",
            "Streams every change of every operation, as events named operation; resync says that some were lost.",
        )
        .streams::<Operation>()
        .by(events::stream),
    ]
}

fn source_routes() -> Vec<Route> {
    vec![
        Route::get("/sources", "list_sources", "Lists the sources.").gives::<Vec<Source>>().by(sources::list),
        Route::post("/sources", "add_source", "Adds a source and searches it at once.")
            .takes::<Source>()
            .gives::<SourceAdded>()
            .by(sources::add),
        Route::put(
            "/sources/{name}",
            "change_source",
            "Changes a source and searches it at once; a password of **** stays as it is.",
        )
        .takes::<Source>()
        .gives::<SourceAdded>()
        .by(sources::change),
        Route::get(
            "/sources/{name}/missing-rights",
            "missing_rights",
            "Lists the rights that a source's user lacks for complete backups.",
        )
        .gives::<Vec<LackingRight>>()
        .by(sources::missing_rights),
        Route::get(
            "/found-sources",
            "find_sources",
            "Looks for sources on this host that are not added yet; adds none.",
        )
        .gives::<Vec<ProposedSource>>()
        .by(sources::find),
        Route::delete("/sources/{name}", "remove_source", "Removes a source; its backups stay.")
            .gives_nothing()
            .by(sources::remove),
        Route::post(
            "/discover",
            "discover",
            "Searches every source now; returns the databases that are new.",
        )
        .gives::<SourceAdded>()
        .by(sources::discover),
    ]
}

fn database_routes() -> Vec<Route> {
    const DESTINATION: &str = "Only at this destination.";
    vec![
        Route::get("/databases", "list_databases", "Shows every database.")
            .gives::<Vec<DatabaseView>>()
            .by(databases::list),
        Route::get("/databases/{name}", "show_database", "Shows one database.")
            .gives::<DatabaseView>()
            .by(databases::show),
        Route::delete(
            "/databases/{name}",
            "forget_database",
            "Strikes a database that is no longer found from the list; its backups stay.",
        )
        .gives_nothing()
        .by(databases::forget),
        Route::get(
            "/databases/{name}/tasks",
            "list_database_tasks",
            "Lists the tasks of a database, derived and its own, with what is remembered of each.",
        )
        .gives::<Vec<TaskView>>()
        .by(databases::tasks),
        Route::put(
            "/databases/{name}/tasks",
            "put_database_task",
            "Stores a task of one database, new or changed; absent keys keep their value.",
        )
        .takes::<PeriodicBackupConfiguration>()
        .gives::<Stored>()
        .by(databases::put_task),
        Route::delete(
            "/databases/{name}/tasks/{id}",
            "delete_database_task",
            "Deletes a task of one database; its backups stay.",
        )
        .gives_nothing()
        .by(databases::delete_task),
        Route::post(
            "/databases/{name}/tasks/{id}/enable",
            "enable_database_task",
            "Wakes a task for this database.",
        )
        .gives::<Stored>()
        .by(databases::enable_task),
        Route::post(
            "/databases/{name}/tasks/{id}/disable",
            "disable_database_task",
            "Lets a task rest for this database.",
        )
        .gives::<Stored>()
        .by(databases::disable_task),
        Route::get(
            "/databases/{name}/destinations",
            "list_destinations",
            "Lists the places where a database's backups lie.",
        )
        .gives::<Vec<DestinationView>>()
        .by(databases::destinations),
        Route::get(
            "/databases/{name}/restic-access",
            "restic_access",
            "Says how stock restic opens a repository.",
        )
        .asks::<String>("destination", "Which one, where there are several.")
        .gives::<KeyAccess>()
        .by(databases::restic_access),
        Route::get(
            "/databases/{name}/backups",
            "list_backups",
            "Lists a database's backups, the newest first.",
        )
        .asks::<String>("destination", DESTINATION)
        .gives::<Backups>()
        .by(backups::list),
        Route::post("/databases/{name}/backups", "backup_database", "Asks for a backup of a database now.")
            .takes::<BackupsBody>()
            .accepts::<Accepted>()
            .by(backups::make_one),
        Route::post("/backups", "backup_all", "Asks for a backup now of every database that has a task.")
            .asks::<Periodicity>(
                "periodicity",
                "Only by tasks that have a schedule of this periodicity, and kept as such.",
            )
            .takes::<BackupsBody>()
            .accepts::<Accepted>()
            .by(backups::make_all),
        Route::get(
            "/backups/{id}/verification",
            "show_verification",
            "Shows what came of verifying a backup.",
        )
        .gives::<Verification>()
        .by(backups::verification),
        Route::post("/databases/{name}/restore", "restore_database", "Asks for a backup to be restored.")
            .takes::<RestoreBody>()
            .accepts::<Accepted>()
            .by(backups::restore),
        Route::post(
            "/databases/{name}/verify",
            "verify_database",
            "Asks for a backup to be restored into scratch and compared.",
        )
        .takes::<VerifyBody>()
        .accepts::<Accepted>()
        .by(backups::verify),
    ]
}

fn upkeep_routes() -> Vec<Route> {
    vec![
        Route::get(
            "/databases/{name}/upkeep",
            "show_upkeep",
            "Says what the server does by itself for a database's repositories, and when it does it next.",
        )
        .gives::<Vec<UpkeepView>>()
        .by(upkeep::show),
        Route::post("/databases/{name}/check", "check_database", "Asks for a repository to be checked.")
            .takes::<CheckBody>()
            .accepts::<Accepted>()
            .by(upkeep::check),
        Route::post(
            "/databases/{name}/prune",
            "prune_database",
            "Asks for the space to be freed that no backup needs.",
        )
        .takes::<PruneBody>()
        .accepts::<Accepted>()
        .by(upkeep::prune),
        Route::post(
            "/databases/{name}/repair",
            "repair_database",
            "Asks for repositories to be mended: from other destinations, and by an index made anew; names what is lost.",
        )
        .takes::<RepairBody>()
        .accepts::<Accepted>()
        .by(upkeep::repair),
    ]
}

fn content_routes() -> Vec<Route> {
    const DESTINATION: &str = "Only at this destination.";
    const START: &str = "How many are passed over; none where nothing is said.";
    const LIMIT: &str = "How many at most; 1000 where nothing is said, 10000 at the most.";
    vec![
        Route::get(
            "/databases/{name}/backups/{id}/files",
            "list_stored_files",
            "Lists a directory of a backup: directories first, each kind in the order of names.",
        )
        .asks::<BackupPath>("path", "The directory; the root where nothing is said.")
        .asks::<usize>("start", START)
        .asks::<usize>("limit", LIMIT)
        .asks::<String>("destination", DESTINATION)
        .gives::<StoredDirectory>()
        .by(contents::directory),
        Route::get(
            "/databases/{name}/backups/{id}/search",
            "search_backup",
            "Finds what lies in a backup by its name.",
        )
        .needs::<String>("text", "Words that must be in the name; one with a stroke, in the path.")
        .asks::<usize>("start", START)
        .asks::<usize>("limit", LIMIT)
        .asks::<String>("destination", DESTINATION)
        .gives::<StoredMatches>()
        .by(contents::search),
        Route::get(
            "/databases/{name}/backups/{id}/file",
            "download_file",
            "Downloads a file of a backup; an answer that breaks off is not whole.",
        )
        .needs::<BackupPath>("path", "The file.")
        .asks::<String>("destination", DESTINATION)
        .downloads("application/octet-stream")
        .by(contents::file),
        Route::get(
            "/databases/{name}/backups/{id}/archive",
            "download_archive",
            "Downloads a directory of a backup, or all of it, as a tar archive; one that breaks off is not whole.",
        )
        .asks::<BackupPath>("path", "What is wanted; everything where nothing is said.")
        .asks::<String>("destination", DESTINATION)
        .downloads("application/x-tar")
        .by(contents::archive),
        Route::get(
            "/databases/{name}/compare",
            "compare_backups",
            "Says what differs between two backups: entries, and what the engine counted in both.",
        )
        .needs::<String>("before", "The first backup: an id or its first characters, or a moment.")
        .asks::<String>("after", "The second; the latest where nothing is said.")
        .asks::<ChangeKind>("kind", "Only entries that differ so.")
        .asks::<usize>("start", START)
        .asks::<usize>("limit", LIMIT)
        .asks::<String>("destination", DESTINATION)
        .gives::<BackupDifference>()
        .by(contents::compare),
    ]
}

fn task_routes() -> Vec<Route> {
    vec![
        Route::get("/tasks", "list_tasks", "Lists the server-wide tasks.")
            .gives::<Vec<ServerWideBackupConfiguration>>()
            .by(tasks::list),
        Route::put("/tasks", "put_task", "Stores a server-wide task, new or changed.")
            .takes::<ServerWideBackupConfiguration>()
            .gives::<ServerWideBackupConfiguration>()
            .by(tasks::put),
        Route::post("/tasks/preview", "preview_task", "Says when a task that is not stored yet would run.")
            .asks::<usize>("count", "How many runs; 5 where nothing is said.")
            .takes::<ServerWideBackupConfiguration>()
            .gives::<Vec<tasks::PlannedRun>>()
            .by(tasks::preview),
        Route::get("/tasks/{name}", "show_task", "Shows one server-wide task.")
            .gives::<ServerWideBackupConfiguration>()
            .by(tasks::show),
        Route::delete(
            "/tasks/{name}",
            "delete_task",
            "Deletes a server-wide task and what it derived; backups stay.",
        )
        .gives_nothing()
        .by(tasks::delete),
        Route::post("/tasks/{name}/enable", "enable_task", "Wakes a server-wide task.")
            .gives::<ServerWideBackupConfiguration>()
            .by(tasks::enable),
        Route::post("/tasks/{name}/disable", "disable_task", "Lets a server-wide task rest.")
            .gives::<ServerWideBackupConfiguration>()
            .by(tasks::disable),
    ]
}

fn destination_routes() -> Vec<Route> {
    vec![
        Route::get(
            "/destinations",
            "list_all_destinations",
            "Lists every destination that a task writes to or that holds backups.",
        )
        .gives::<Vec<DestinationUse>>()
        .by(destinations::list),
        Route::post(
            "/destinations/test",
            "test_destinations",
            "Tries destinations that no task has: writes, lists, reads and deletes a small object at each.",
        )
        .takes::<BackupConfiguration>()
        .gives::<Vec<DestinationTest>>()
        .by(destinations::test),
        Route::post("/tasks/{name}/test", "test_task", "Tries the destinations of a task in the same way.")
            .asks::<String>(
                "database",
                "The database whose task it is; a server-wide one where nothing is said.",
            )
            .asks::<String>("destination", "Only this destination.")
            .gives::<Vec<DestinationTest>>()
            .by(destinations::test_task),
        Route::get(
            "/databases/{name}/destinations/compare",
            "compare_destinations",
            "Says what each destination of a database lacks of what the others have.",
        )
        .gives::<Vec<ComparedDestination>>()
        .by(destinations::compare),
        Route::post(
            "/databases/{name}/heal",
            "heal_database",
            "Asks for destinations to be brought what they lack, out of the others.",
        )
        .takes::<HealBody>()
        .accepts::<Accepted>()
        .by(destinations::heal),
    ]
}

fn time_routes() -> Vec<Route> {
    vec![
        Route::get("/queue", "queue", "Lists what waits for its turn and why, in the order in which it will start.")
            .gives::<Vec<QueueEntry>>()
            .by(time::queue),
        Route::get(
            "/databases/{name}/decisions",
            "decisions",
            "Says why a task of a database runs or does not: how it stands now, then what was decided before.",
        )
        .asks::<String>("task", "Which task, where there are several.")
        .asks::<usize>("limit", "How many at most; 50 where nothing is said.")
        .gives::<Vec<Decision>>()
        .by(time::decisions),
        Route::post(
            "/databases/{name}/retention",
            "simulate_retention",
            "Says for each backup which rules would keep it; removes nothing.",
        )
        .takes::<RetentionBody>()
        .gives::<Vec<KeptBackup>>()
        .by(time::retention),
        Route::post(
            "/databases/{name}/retention/outlook",
            "foresee_retention",
            "Says how a task's backups will stand in some days, and what goes until then; removes nothing.",
        )
        .asks::<u32>("days", "How many days; 7 where nothing is said, 3660 at the most.")
        .takes::<RetentionBody>()
        .gives::<Vec<RetentionOutlook>>()
        .by(time::outlook),
        Route::post(
            "/operations/{id}/delay",
            "delay_operation",
            "Ends a backup that runs or waits, and lets it begin again later.",
        )
        .takes::<DelayBody>()
        .accepts::<Operation>()
        .by(time::delay),
    ]
}

fn operation_routes() -> Vec<Route> {
    vec![
        Route::get("/operations", "list_operations", "Lists operations, the newest first.")
            .asks::<String>("database", "Only of this database.")
            .asks::<OperationKind>("kind", "Only of this kind.")
            .asks::<OperationStatus>("status", "Only those that stand so.")
            .asks::<usize>("limit", "At most so many; 100 where nothing is said.")
            .gives::<Vec<Operation>>()
            .by(operations::list),
        Route::get("/operations/{id}", "show_operation", "Shows an operation as it stands.")
            .gives::<Operation>()
            .by(operations::show),
        Route::get(
            "/operations/{id}/wait",
            "wait_for_operation",
            "Answers when an operation has ended, or after some seconds as it then stands.",
        )
        .asks::<u64>("seconds", "How long to wait at most: 1 to 60; 30 where nothing is said.")
        .gives::<Operation>()
        .by(operations::wait),
        Route::post("/operations/{id}/abort", "abort_operation", "Asks an operation to end.")
            .accepts::<Operation>()
            .by(operations::abort),
    ]
}
