//! What the administrator of the host decided.

use crate::Studio;
use crate::answer::{Page, page};
use crate::frame::{Frame, Here};
use askama::Template;
use axum::extract::State;
use larder_model::human::length;

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    frame: Frame,
    rows: Vec<(&'static str, String)>,
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let settings = studio.service.settings();
    let listed =
        |all: &Option<Vec<String>>| all.as_ref().map_or_else(|| "all".to_owned(), |all| all.join(", "));
    let kinds =
        settings.allowed_destinations.as_ref().map(|all| all.iter().map(ToString::to_string).collect());
    let scripts: Vec<String> =
        settings.script_directories.iter().map(|path| path.display().to_string()).collect();
    let rows = vec![
        ("Data directory", settings.data_directory.display().to_string()),
        ("Staging directory", settings.staging_directory.display().to_string()),
        ("Key file", studio.key_file.display().to_string()),
        ("Identifier", settings.identifier.clone()),
        ("Host", settings.hostname.clone()),
        ("Time zone", studio.face().zone_name().to_owned()),
        ("Sources are searched every", length(settings.discovery_interval.as_secs())),
        ("Backups at the same time", settings.max_concurrent_backups.to_string()),
        ("Starts are spread over", length(settings.start_spread.as_secs())),
        ("Operations kept in the history", settings.history_limit.to_string()),
        ("Kinds of destination allowed", listed(&kinds)),
        ("AWS regions allowed", listed(&settings.allowed_aws_regions)),
        (
            "Local destinations must lie in",
            settings
                .local_root
                .as_ref()
                .map_or_else(|| "any directory".to_owned(), |root| root.display().to_string()),
        ),
        (
            "Programs may be run from",
            if scripts.is_empty() { "nowhere".to_owned() } else { scripts.join(", ") },
        ),
    ];
    page(&Settings { frame: studio.frame(Here::Settings, "Settings"), rows })
}
