//! The sheet that brings everything back: printed, and kept away from the server.

use crate::Studio;
use crate::answer::{Page, page};
use crate::frame::{Frame, Here};
use askama::Template;
use axum::extract::State;
use larder_model::task::EncryptionMode;
use larder_service::{DatabaseView, OPEN_PASSWORD, ServiceError};

/// One place where backups of a database lie.
struct Place {
    address: String,
    /// How stock restic is told of it, and the variables that it needs besides the key.
    restic: Result<(String, Vec<String>), String>,
}

struct Kept {
    database: String,
    engine: &'static str,
    places: Vec<Place>,
    /// What opens it, where that is not the server's key.
    other_keys: Vec<String>,
}

#[derive(Template)]
#[template(path = "recovery.html")]
struct Recovery {
    frame: Frame,
    key_file: String,
    identifier: String,
    host: String,
    databases: Vec<Kept>,
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let settings = studio.service.settings();
    let databases = studio.service.databases().into_iter().filter(|view| !view.destinations.is_empty());
    page(&Recovery {
        frame: studio.frame(Here::Settings, "Recovery sheet"),
        key_file: studio.key_file.display().to_string(),
        identifier: settings.identifier.clone(),
        host: settings.hostname.clone(),
        databases: databases.map(|view| Kept::of(&studio, &view)).collect(),
    })
}

impl Kept {
    fn of(studio: &Studio, view: &DatabaseView) -> Self {
        let database = view.database.name.to_string();
        let place = |address: &str, name: &str| Place {
            address: address.to_owned(),
            restic: restic(studio, &database, name).map_err(|error| error.to_string()),
        };
        Self {
            engine: view.database.engine.as_str(),
            places: view.destinations.iter().map(|one| place(&one.address, &one.name)).collect(),
            other_keys: other_keys(view),
            database,
        }
    }
}

fn restic(studio: &Studio, database: &str, place: &str) -> Result<(String, Vec<String>), ServiceError> {
    let access = studio.service.restic_access(database, Some(place))?;
    let names = access.environment.into_keys().chain(access.secrets.into_keys());
    Ok((access.repository, names.collect()))
}

/// Says what opens the backups of tasks that do not use the server's key.
fn other_keys(view: &DatabaseView) -> Vec<String> {
    let tasks = view.tasks.iter().filter_map(|task| {
        let mode = task.task.backup.backup_encryption_settings.as_ref()?.encryption_mode?;
        let name = task.server_wide.as_ref().unwrap_or(&task.task.name);
        match mode {
            EncryptionMode::UseDatabaseKey => None,
            EncryptionMode::UseProvidedKey => {
                Some(format!("What the task {name} made opens with the key that was given to that task."))
            }
            EncryptionMode::None => Some(format!(
                "What the task {name} made is not encrypted; its key is the word {OPEN_PASSWORD}."
            )),
        }
    });
    tasks.collect()
}
