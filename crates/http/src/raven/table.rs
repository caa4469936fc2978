//! The table of RavenDB's routes, by subject.

use super::shape::change::Change;
use super::shape::database::{DatabaseInfo, Databases};
use super::shape::helper::{Allowed, DataDirectory, NextOccurrence, TestResult};
use super::shape::notification::{Notification, Notifications};
use super::shape::operation::{ListedOperation, NextId, OperationState, Results};
use super::shape::topology::{BuildVersion, ClusterTopology, Topology};
use super::{changes, databases, helper, notifications, operations, topology, watch};
use crate::route::Route;
use serde_json::Value;

const NUMBER: &str = "The number of the operation.";

/// Returns every route of RavenDB's.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = first_questions();
    routes.extend(of_databases());
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
        .needs::<String>("type", "The kind of destination: S3, Glacier, Azure, GoogleCloud or FTP.")
        .takes::<Value>()
        .gives::<TestResult>()
        .by(helper::test_credentials),
    ]
}
