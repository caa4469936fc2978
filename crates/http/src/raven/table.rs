//! The table of RavenDB's routes, by subject.

use super::shape::change::Change;
use super::shape::database::{
    DatabaseInfo, DatabasePut, DatabaseRecord, Databases, DatabasesDeleted, DeletionBody, NewDatabase,
};
use super::shape::helper::{Allowed, DataDirectory, NextOccurrence, TestResult};
use super::shape::notification::{Notification, Notifications};
use super::shape::operation::{ListedOperation, NextId, OperationState, Results};
use super::shape::restore::{RestoreBody, RestorePoints};
use super::shape::status::StatusAnswer;
use super::shape::task::{
    BackupStarted, OneTask, OngoingTasks, OperationStarted, RunningNow, ServerWideStored, ServerWideTasks,
    TaskStored, Timers,
};
use super::shape::topology::{BuildVersion, ClusterTopology, Topology};
use super::{
    backup, changes, databases, helper, notifications, operations, records, restore, server_wide, tasks,
    topology, watch,
};
use crate::route::Route;
use larder_model::task::BackupConfiguration;
use larder_model::{PeriodicBackupConfiguration, ServerWideBackupConfiguration, TimeSpan};
use serde_json::Value;

const NUMBER: &str = "The number of the operation.";
const NAME: &str = "The database.";
const TYPE: &str = "The kind of task: Backup.";
const TASK_NUMBER: &str = "The number of the task.";

/// Returns every route of RavenDB's.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = first_questions();
    routes.extend(of_databases());
    routes.extend(of_server_wide_tasks());
    routes.extend(of_tasks());
    routes.extend(of_runs());
    routes.extend(of_operations());
    routes.extend(of_notifications());
    routes.extend(of_forms());
    routes.into_iter().map(Route::of_raven).collect()
}

fn first_questions() -> Vec<Route> {
    vec![
        Route::get("/topology", "raven_topology", "Says where a database is.")
            .needs::<String>("name", "The database.")
            .gives::<Topology>()
            .by(topology::of_database),
        Route::get("/cluster/topology", "raven_cluster_topology", "Shows the cluster, which is this server.")
            .gives::<ClusterTopology>()
            .by(topology::of_cluster),
        Route::get("/build/version", "raven_build_version", "Says which RavenDB this server speaks like.")
            .gives::<BuildVersion>()
            .by(topology::version),
    ]
}

fn of_databases() -> Vec<Route> {
    vec![
        Route::get("/databases", "raven_databases", "Lists databases, or shows one.")
            .asks::<String>("name", "Only this one.")
            .asks::<bool>("namesOnly", "Whether only the names are wanted.")
            .asks::<u64>("start", "How many to pass over.")
            .asks::<u64>("pageSize", "How many at most.")
            .gives::<Databases<DatabaseInfo>>()
            .by(databases::list),
        Route::get("/admin/databases", "raven_database_record", "Shows all that is stored of a database.")
            .needs::<String>("name", NAME)
            .gives::<DatabaseRecord>()
            .by(records::show),
        Route::put("/admin/databases", "raven_create_database", "Makes a database in the embedded source.")
            .asks::<String>("name", "The name, where the body says none.")
            .takes::<NewDatabase>()
            .creates::<DatabasePut>()
            .by(records::create),
        Route::delete(
            "/admin/databases",
            "raven_delete_databases",
            "Deletes databases of the embedded source; their backups stay.",
        )
        .takes::<DeletionBody>()
        .gives::<DatabasesDeleted>()
        .by(records::delete),
        Route::post(
            "/admin/restore/points",
            "raven_restore_points",
            "Lists the backups that lie at a place.",
        )
        .needs::<String>(
            "type",
            "The kind of place, whose settings are the body: Local, S3, Azure, GoogleCloud, FTP, SFTP or WebDAV.",
        )
        .takes::<Value>()
        .gives::<RestorePoints>()
        .by(restore::points),
        Route::post(
            "/admin/restore/database",
            "raven_restore",
            "Makes a database from a backup, under a name that no database has.",
        )
        .takes::<RestoreBody>()
        .gives::<OperationStarted>()
        .by(restore::database),
    ]
}

fn of_server_wide_tasks() -> Vec<Route> {
    const TASK: &str = "The name of the server-wide task.";
    const STORED: &str = "/admin/configuration/server-wide/backup";
    vec![
        Route::put(STORED, "raven_put_server_wide", "Stores a server-wide task, new or changed.")
            .takes::<ServerWideBackupConfiguration>()
            .creates::<ServerWideStored>()
            .by(server_wide::put),
        Route::get(STORED, "raven_server_wide_legacy", "Lists the server-wide tasks, as older clients ask.")
            .asks::<String>("name", "Only this one.")
            .gives::<Results<ServerWideBackupConfiguration>>()
            .by(server_wide::list_backups),
        Route::delete(
            STORED,
            "raven_delete_server_wide_legacy",
            "Deletes a server-wide task, as older clients ask.",
        )
        .needs::<String>("name", TASK)
        .gives::<ServerWideStored>()
        .by(server_wide::delete_backup),
        Route::get(
            "/admin/configuration/server-wide/tasks",
            "raven_server_wide",
            "Lists the server-wide tasks.",
        )
        .needs::<String>("type", TYPE)
        .asks::<String>("name", "Only this one.")
        .gives::<Results<ServerWideBackupConfiguration>>()
        .by(server_wide::list),
        Route::delete(
            "/admin/configuration/server-wide/task",
            "raven_delete_server_wide",
            "Deletes a server-wide task and what it derived; backups stay.",
        )
        .needs::<String>("type", TYPE)
        .needs::<String>("name", TASK)
        .gives::<ServerWideStored>()
        .by(server_wide::delete),
        Route::post(
            "/admin/configuration/server-wide/state",
            "raven_toggle_server_wide",
            "Lets a server-wide task rest, or wakes it.",
        )
        .needs::<String>("type", TYPE)
        .needs::<String>("name", TASK)
        .needs::<bool>("disable", "Whether it is to rest.")
        .gives::<ServerWideStored>()
        .by(server_wide::toggle),
        Route::get("/admin/server-wide/tasks", "raven_server_wide_overview", "Shows the server-wide tasks.")
            .gives::<ServerWideTasks>()
            .by(server_wide::overview),
    ]
}

fn of_tasks() -> Vec<Route> {
    vec![
        Route::get("/databases/{database}/tasks", "raven_tasks", "Lists the tasks of a database.")
            .gives::<OngoingTasks>()
            .by(tasks::list),
        Route::get("/databases/{database}/task", "raven_task", "Shows a task of a database.")
            .asks::<u64>("key", "Its number.")
            .asks::<String>("taskName", "Its name, instead of the number.")
            .needs::<String>("type", TYPE)
            .gives::<OneTask>()
            .by(tasks::show),
        Route::post(
            "/databases/{database}/admin/periodic-backup",
            "raven_put_task",
            "Stores a task of a database, new or changed.",
        )
        .takes::<PeriodicBackupConfiguration>()
        .gives::<TaskStored>()
        .by(tasks::put),
        Route::post(
            "/databases/{database}/admin/tasks/state",
            "raven_toggle_task",
            "Lets a task of a database rest, or wakes it.",
        )
        .asks::<u64>("key", "Its number.")
        .asks::<String>("taskName", "Its name, instead of the number.")
        .needs::<String>("type", TYPE)
        .needs::<bool>("disable", "Whether it is to rest.")
        .gives::<TaskStored>()
        .by(tasks::toggle),
        Route::delete(
            "/databases/{database}/admin/tasks",
            "raven_delete_task",
            "Deletes a task of a database; its backups stay.",
        )
        .needs::<u64>("id", "Its number.")
        .needs::<String>("type", TYPE)
        .gives::<TaskStored>()
        .by(tasks::delete),
        Route::get("/periodic-backup", "raven_task_configuration", "Shows the configuration of a task.")
            .needs::<String>("name", NAME)
            .needs::<u64>("taskId", TASK_NUMBER)
            .gives::<PeriodicBackupConfiguration>()
            .by(tasks::configuration),
        Route::get(
            "/periodic-backup/status",
            "raven_task_status",
            "Shows what is remembered of a task's runs.",
        )
        .needs::<String>("name", NAME)
        .needs::<u64>("taskId", TASK_NUMBER)
        .gives::<StatusAnswer>()
        .by(tasks::status),
        Route::get(
            "/databases/{database}/admin/debug/periodic-backup/timers",
            "raven_timers",
            "Says when the tasks of a database come next.",
        )
        .gives::<Timers>()
        .by(tasks::timers_of_database),
        Route::get(
            "/admin/debug/periodic-backup/timers",
            "raven_server_timers",
            "Says when the tasks of all databases come next.",
        )
        .gives::<Timers>()
        .by(tasks::timers_of_server),
    ]
}

fn of_runs() -> Vec<Route> {
    vec![
        Route::post(
            "/databases/{database}/admin/backup/database",
            "raven_start_backup",
            "Begins a backup by a task, or names the one that runs.",
        )
        .asks::<bool>("isFullBackup", "Full, or incremental; full where nothing is said.")
        .needs::<u64>("taskId", TASK_NUMBER)
        .gives::<BackupStarted>()
        .by(backup::start),
        Route::post(
            "/databases/{database}/admin/backup",
            "raven_backup_once",
            "Begins a backup that no task is behind.",
        )
        .takes::<BackupConfiguration>()
        .gives::<OperationStarted>()
        .by(backup::once),
        Route::post(
            "/admin/backup-task/delay",
            "raven_delay_backup",
            "Ends a backup that runs or waits, and lets it begin again later.",
        )
        .needs::<u64>("taskId", "The number of the operation, in spite of the name.")
        .needs::<TimeSpan>("duration", "How long: [days.]hours:minutes:seconds.")
        .needs::<String>("database", NAME)
        .gives_nothing()
        .by(backup::delay),
        Route::get(
            "/databases/{database}/admin/backup/running",
            "raven_running_backup",
            "Names the backup that runs by a task.",
        )
        .needs::<u64>("taskId", TASK_NUMBER)
        .gives::<RunningNow>()
        .by(backup::running),
    ]
}

fn of_operations() -> Vec<Route> {
    vec![
        Route::get(
            "/databases/{database}/operations/state",
            "raven_operation_state",
            "Says how an operation of a database stands.",
        )
        .needs::<u64>("id", NUMBER)
        .gives::<OperationState>()
        .by(operations::state_of_database),
        Route::get("/operations/state", "raven_server_operation_state", "Says how an operation stands.")
            .needs::<u64>("id", NUMBER)
            .gives::<OperationState>()
            .by(operations::state_of_server),
        Route::post(
            "/databases/{database}/operations/kill",
            "raven_operation_kill",
            "Asks an operation of a database to end.",
        )
        .needs::<u64>("id", NUMBER)
        .gives_nothing()
        .by(operations::kill_of_database),
        Route::post("/admin/operations/kill", "raven_server_operation_kill", "Asks an operation to end.")
            .needs::<u64>("id", NUMBER)
            .gives_nothing()
            .by(operations::kill_of_server),
        Route::get(
            "/databases/{database}/operations",
            "raven_operations",
            "Lists the operations of a database, the newest first.",
        )
        .asks::<u64>("id", "Only this one.")
        .asks::<u64>("start", "How many to pass over.")
        .asks::<u64>("pageSize", "How many at most.")
        .gives::<Results<ListedOperation>>()
        .by(operations::list),
        Route::get(
            "/databases/{database}/operations/next-operation-id",
            "raven_next_operation",
            "Tells the number that the next operation would have.",
        )
        .gives::<NextId>()
        .by(operations::next_of_database),
        Route::get(
            "/admin/operations/next-operation-id",
            "raven_next_server_operation",
            "Tells the number that the next operation would have.",
        )
        .gives::<NextId>()
        .by(operations::next_of_server),
    ]
}

fn of_notifications() -> Vec<Route> {
    vec![
        Route::get(
            "/databases/{database}/notification-center/watch",
            "raven_watch_database",
            "Tells what happens to a database, over a websocket.",
        )
        .becomes_socket::<Notification>()
        .by(watch::of_database),
        Route::get(
            "/databases/{database}/changes",
            "raven_changes",
            "Tells what a client asks to hear of a database's operations, over a websocket.",
        )
        .asks::<bool>("throttleConnection", "Whether every message is put into a list.")
        .becomes_socket::<Change>()
        .by(changes::of_database),
        Route::get(
            "/server/notification-center/watch",
            "raven_watch_server",
            "Tells what happens, over a websocket.",
        )
        .becomes_socket::<Notification>()
        .by(watch::of_server),
        Route::get(
            "/databases/{database}/notifications",
            "raven_notifications",
            "Lists what happened to a database and still matters.",
        )
        .asks::<u64>("start", "How many to pass over.")
        .asks::<u64>("pageSize", "How many at most.")
        .gives::<Notifications>()
        .by(notifications::of_database),
        Route::get(
            "/admin/server/notifications",
            "raven_server_notifications",
            "Lists what happened and still matters.",
        )
        .asks::<u64>("start", "How many to pass over.")
        .asks::<u64>("pageSize", "How many at most.")
        .gives::<Notifications>()
        .by(notifications::of_server),
    ]
}

fn of_forms() -> Vec<Route> {
    const PATH: &str = "The directory.";
    vec![
        Route::get(
            "/studio-tasks/next-cron-expression-occurrence",
            "raven_next_cron",
            "Says when a cron expression comes next.",
        )
        .needs::<String>("expression", "The expression.")
        .gives::<NextOccurrence>()
        .by(helper::next_occurrence),
        Route::get(
            "/admin/server-wide/backup-data-directory",
            "raven_server_directory",
            "Measures the disk that a directory is on.",
        )
        .asks::<String>("path", PATH)
        .gives::<DataDirectory>()
        .by(helper::directory_of_server),
        Route::get(
            "/databases/{database}/admin/backup-data-directory",
            "raven_database_directory",
            "Measures the disk that a directory is on.",
        )
        .asks::<String>("path", PATH)
        .gives::<DataDirectory>()
        .by(helper::directory_of_database),
        Route::get(
            "/databases/{database}/admin/periodic-backup/config",
            "raven_database_allowed",
            "Says what the administrator of the host allows.",
        )
        .gives::<Allowed>()
        .by(helper::allowed_for_database),
        Route::get(
            "/admin/configuration/server-wide",
            "raven_server_allowed",
            "Says what the administrator of the host allows.",
        )
        .gives::<Allowed>()
        .by(helper::allowed),
        Route::post(
            "/studio-tasks/periodic-backup/test-credentials",
            "raven_test_credentials",
            "Tries the access data of a destination.",
        )
        .needs::<String>(
            "type",
            "The kind of destination: S3, Glacier, Azure, GoogleCloud, FTP, SFTP or WebDAV.",
        )
        .takes::<Value>()
        .gives::<TestResult>()
        .by(helper::test_credentials),
    ]
}
