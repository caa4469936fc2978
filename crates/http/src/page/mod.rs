//! The status page: whole HTML, readable without JavaScript, kept up to date by a few lines of it.

mod headline;
mod row;

pub use headline::{Headline, headline};

use crate::error::ApiError;
use crate::server::App;
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::Html;
use axum::routing::get;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::human;
use larder_service::OperationFilter;
use row::{DatabaseRow, OperationRow, RunRow, Shown};

/// How many ended operations the page shows.
const LAST_OPERATIONS: usize = 15;

/// How many coming runs the page shows.
const NEXT_RUNS: usize = 8;

/// How many databases the page shows; the rest is in `/api/v1/databases`.
const DATABASES: usize = 500;

/// The pages and what they are made of.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(status))
        .route("/larder.css", get(style))
        .route("/larder.js", get(script))
        .route("/favicon.svg", get(icon))
}

type Asset = ([(HeaderName, &'static str); 2], &'static str);

/// Browsers ask again after a minute: a new version brings new ones.
const fn asset(media: &'static str, text: &'static str) -> Asset {
    ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "max-age=60")], text)
}

async fn style() -> Asset {
    asset("text/css; charset=utf-8", include_str!("../../assets/larder.css"))
}

async fn script() -> Asset {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/larder.js"))
}

async fn icon() -> Asset {
    asset("image/svg+xml", include_str!("../../assets/favicon.svg"))
}

async fn status(State(app): State<App>) -> Result<Html<String>, ApiError> {
    let page = Page::make(&app)?;
    page.render().map(Html).map_err(|error| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Server",
            format!("the page could not be made: {error}; ask /api/v1/status instead"),
        )
    })
}

/// Says moments as the page shows them: the words, and the exact local time for the hover.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    now: Timestamp,
    zone: TimeZone,
}

/// A moment in words, with the exact one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    words: String,
    exact: String,
    iso: String,
}

impl Face {
    fn moment(&self, moment: Timestamp) -> Moment {
        Moment {
            words: human::relative(moment, self.now),
            exact: human::local(moment, &self.zone),
            iso: moment.to_string(),
        }
    }
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    version: &'static str,
    zone: String,
    made: String,
    headline: Headline,
    databases: Vec<DatabaseRow>,
    hidden_databases: usize,
    running: Vec<OperationRow>,
    next: Vec<RunRow>,
    last: Vec<OperationRow>,
    source_errors: Vec<(String, String)>,
}

impl Page {
    fn make(app: &App) -> Result<Self, ApiError> {
        let overview = app.service.overview();
        let face = Face { now: app.clock.now(), zone: app.zone.clone() };
        let mut views = app.service.databases();
        // What needs a person comes first; the service has them in the order of names.
        views.sort_by_key(|view| row::urgency(view.health));
        let hidden_databases = views.len().saturating_sub(DATABASES);
        let limit = LAST_OPERATIONS + overview.running.len();
        let filter = OperationFilter { limit: Some(limit), ..OperationFilter::default() };
        let last = app.service.operations(&filter);
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            zone: app.zone.iana_name().unwrap_or("UTC").to_owned(),
            made: human::local(face.now, &face.zone),
            headline: headline(&overview),
            databases: views.iter().take(DATABASES).map(|view| DatabaseRow::new(view, &face)).collect(),
            hidden_databases,
            running: overview.running.iter().map(|operation| OperationRow::new(operation, &face)).collect(),
            next: app.service.next_runs(None, NEXT_RUNS)?.iter().map(|run| RunRow::new(run, &face)).collect(),
            last: last
                .iter()
                .filter(|operation| operation.status.is_final())
                .take(LAST_OPERATIONS)
                .map(|operation| OperationRow::new(operation, &face))
                .collect(),
            source_errors: overview
                .source_errors
                .into_iter()
                .map(|(source, error)| (source.to_string(), error))
                .collect(),
        })
    }
}
