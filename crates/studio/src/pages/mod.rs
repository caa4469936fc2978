//! The pages, one file each.

mod assets;
mod browse;
mod compare;
mod database;
mod databases;
mod destinations;
mod operation;
mod operations;
mod overview;
mod points;
mod restore;
mod retention;
mod settings;
mod sources;
mod task;
mod tasks;

use crate::Studio;
use axum::Router;
use axum::routing::get;

/// The pages and what they are made of.
pub fn routes<S: Clone + Send + Sync + 'static>(studio: Studio) -> Router<S> {
    Router::new()
        .route("/", get(overview::show))
        .route("/studio/databases", get(databases::show))
        .route("/studio/databases/{name}", get(database::show))
        .route("/studio/databases/{name}/points", get(points::show))
        .route("/studio/databases/{name}/browse", get(browse::show))
        .route("/studio/databases/{name}/compare", get(compare::show))
        .route("/studio/databases/{name}/retention", get(retention::show))
        .route("/studio/tasks", get(tasks::show))
        .route("/studio/tasks/new", get(task::new))
        .route("/studio/tasks/{name}", get(task::edit))
        .route("/studio/operations", get(operations::show))
        .route("/studio/operations/{id}", get(operation::show))
        .route("/studio/destinations", get(destinations::show))
        .route("/studio/sources", get(sources::show))
        .route("/studio/settings", get(settings::show))
        .route("/studio/recovery", get(settings::recovery))
        .route("/studio/restore", get(restore::show))
        .route("/studio/studio.css", get(assets::style))
        .route("/studio/studio.js", get(assets::script))
        .route("/studio/task.js", get(assets::task_script))
        .route("/studio/favicon.svg", get(assets::icon))
        .with_state(studio)
}
