//! What RavenDB's clients ask: its routes, statuses, headers and shapes, answered from Larder's service.
//!
//! Where RavenDB's own answer would harm or mislead, Larder's differs; `docs/ravendb-compatibility.md` lists where.

mod backup;
mod body;
mod caller;
mod changes;
mod client;
mod databases;
mod dress;
pub(crate) mod failure;
pub(crate) mod frame;
mod helper;
mod identity;
mod kinds;
mod notifications;
mod operations;
mod product;
mod query;
mod records;
mod restore;
mod server_wide;
mod shape;
mod state;
mod status;
mod table;
mod tasks;
mod time;
mod topology;
mod watch;

pub(crate) use table::routes;

use crate::error::ApiError;
use crate::server::App;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use failure::{Failure, class};

/// Declines a request that the door did not let in; clients know 403 as a want of rights.
pub(crate) fn refused(refused: &ApiError) -> Response {
    Failure::new(StatusCode::FORBIDDEN, class::AUTHORIZATION, refused.message()).into_response()
}

/// Declines a request for a route that is not there; a database that is not there is said first.
pub(crate) fn no_route(app: &App, method: &Method, uri: &Uri) -> Failure {
    let below = uri.path().strip_prefix("/databases/").and_then(|rest| rest.split_once('/'));
    if let Some((database, _)) = below
        && let Err(missing) = databases::existing(app, database)
    {
        return missing;
    }
    Failure::no_route(method.as_str(), &frame::url(uri))
}
