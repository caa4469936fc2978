//! `larder status`: how everything stands.

use crate::cli::Connection;
use crate::client::{Client, Path};
use crate::command::{database, operation};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use larder_http::headline;
use larder_service::{DatabaseView, Overview};

pub(crate) fn run(connection: &Connection, screen: &Screen) -> Result<Exit, Failure> {
    let client = Client::new(connection)?;
    let overview: Overview = client.get(&Path::new(["status"]))?;
    if screen.is_json() {
        screen.value(&overview)?;
        return Ok(Exit::Done);
    }
    let headline = headline(&overview);
    screen.line(headline.text.as_str());
    if !headline.detail.is_empty() {
        screen.line(&headline.detail);
    }
    for (source, error) in &overview.source_errors {
        screen.line(&format!("Source {source}: {error}"));
    }
    let views: Vec<DatabaseView> = client.get(&Path::new(["databases"]))?;
    if !views.is_empty() {
        screen.line(&format!("\n{}", database::table(&views, screen)));
    }
    for view in views
        .iter()
        .filter(|view| matches!(view.health, larder_service::Health::Failed | larder_service::Health::Late))
    {
        screen.line(&format!("\n{}: {}", view.database.name, view.reason));
    }
    if !overview.running.is_empty() {
        screen.line(&format!("\n{}", operation::table(&overview.running, screen)));
    }
    Ok(Exit::Done)
}
