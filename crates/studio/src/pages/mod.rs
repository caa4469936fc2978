//! The pages, one file each.

mod assets;
mod browse;
mod compare;
mod database;
mod databases;
mod destinations;
mod draft;
mod operation;
mod operations;
mod overview;
mod points;
mod recovery;
mod restore;
mod retention;
mod settings;
mod source;
mod sources;
mod start;
mod task;
mod tasks;

use crate::Studio;
use axum::Router;
use axum::routing::{get, post};

/// The pages and what they are made of.
pub fn routes<S: Clone + Send + Sync + 'static>(studio: Studio) -> Router<S> {
    Router::new()
        .route("/", get(overview::show))
        .route("/studio/databases", get(databases::show))
        .route("/studio/databases/{name}", get(database::show))
        .route("/studio/databases/{name}/points", get(points::show))
        .route("/studio/databases/{name}/strip", get(database::strip))
        .route("/studio/databases/{name}/browse", get(browse::show))
        .route("/studio/databases/{name}/compare", get(compare::show))
        .route("/studio/databases/{name}/retention", get(retention::show))
        .route("/studio/tasks", get(tasks::show))
        .route("/studio/start", get(start::show))
        .route("/studio/tasks/new", get(task::new))
        .route("/studio/tasks/draft", post(draft::show))
        .route("/studio/tasks/{name}", get(task::edit))
        .route("/studio/operations", get(operations::show))
        .route("/studio/operations/{id}", get(operation::show))
        .route("/studio/destinations", get(destinations::show))
        .route("/studio/destinations/test", post(destinations::test))
        .route("/studio/sources", get(sources::show))
        .route("/studio/sources/{name}", get(source::show))
        .route("/studio/sources/{name}/rights", get(source::rights))
        .route("/studio/found-sources", get(sources::found))
        .route("/studio/settings", get(settings::show))
        .route("/studio/recovery", get(recovery::show))
        .route("/studio/restore", get(restore::show))
        .route("/studio/studio.css", get(assets::style))
        .route("/studio/studio.js", get(assets::script))
        .route("/studio/task.js", get(assets::task_script))
        .route("/studio/sources.js", get(assets::sources_script))
        .route("/studio/start.js", get(assets::start_script))
        .route("/studio/favicon.svg", get(assets::icon))
        .with_state(studio)
}
