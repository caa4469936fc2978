//! How a request in RavenDB's words is declined: `{Url, Type, Message, Error}`, mostly with status 500.
//!
//! Clients choose an exception by the last word of `Type`, which is therefore RavenDB's; the sentences are ours.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// The .NET classes that clients know, by what went wrong.
pub(crate) mod class {
    pub(crate) const APPLY: &str = "Raven.Server.Rachis.RachisApplyException";
    pub(crate) const APPLY_OPERATION: &str = "Raven.Server.Rachis.RachisInvalidOperationException";
    pub(crate) const ARGUMENT: &str = "System.ArgumentException";
    pub(crate) const AUTHORIZATION: &str = "Raven.Client.Exceptions.Security.AuthorizationException";
    pub(crate) const BAD_REQUEST: &str = "Raven.Client.Exceptions.BadRequestException";
    pub(crate) const CONCURRENCY: &str = "Raven.Client.Exceptions.ConcurrencyException";
    pub(crate) const CRONTAB: &str = "NCrontab.Advanced.Exceptions.CrontabException";
    pub(crate) const DATA: &str = "System.IO.InvalidDataException";
    pub(crate) const DATABASE: &str = "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException";
    pub(crate) const FORMAT: &str = "System.FormatException";
    pub(crate) const IO: &str = "System.IO.IOException";
    pub(crate) const NOT_SUPPORTED: &str = "System.NotSupportedException";
    pub(crate) const OPERATION: &str = "System.InvalidOperationException";
    pub(crate) const RANGE: &str = "System.ArgumentOutOfRangeException";
    /// What is the server's own fault.
    pub(crate) const RAVEN: &str = "Raven.Client.Exceptions.RavenException";
    pub(crate) const ROUTE: &str = "Raven.Client.Exceptions.Routing.RouteNotFoundException";
    pub(crate) const TIMEOUT: &str = "System.TimeoutException";
}

/// The body of an answer that declines a request in RavenDB's words.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FailureBody {
    /// The path and the query as they came.
    url: String,
    /// The .NET class of the exception that a client raises.
    #[serde(rename = "Type")]
    class: &'static str,
    /// One sentence for people.
    message: String,
    /// The same with its class before it.
    error: String,
}

/// A declined request; the address is added on the way out.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    class: &'static str,
    message: String,
    /// RavenDB leaves its version out where it found no route or no database.
    versioned: bool,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, class: &'static str, message: impl Into<String>) -> Self {
        Self { status, class, message: message.into(), versioned: true }
    }

    /// Declines with status 500, as RavenDB does whatever the fault in a request is.
    pub(crate) fn server(class: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, class, message)
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::server(class::ARGUMENT, message)
    }

    pub(crate) fn database_missing(name: &str) -> Self {
        let mut failure =
            Self::server(class::DATABASE, format!("Database '{}' does not exist.", shown(name)));
        failure.versioned = false;
        failure
    }

    pub(crate) fn no_route(method: &str, url: &str) -> Self {
        let message = format!("There is no handler for path: {method} {}", shown(url));
        let mut failure = Self::new(StatusCode::BAD_REQUEST, class::ROUTE, message);
        failure.versioned = false;
        failure
    }

    /// Tells the version after all: RavenDB does where the database was not named in the path.
    pub(crate) const fn with_version(mut self) -> Self {
        self.versioned = true;
        self
    }

    pub(crate) const fn is_versioned(&self) -> bool {
        self.versioned
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (u16, &'static str, &str) {
        (self.status.as_u16(), self.class, &self.message)
    }

    /// Makes the whole answer, now that the address is known.
    pub(crate) fn answer(self, url: &str) -> Response {
        let error = format!("{}: {}", self.class, self.message);
        let body = FailureBody { url: url.to_owned(), class: self.class, message: self.message, error };
        (self.status, Json(body)).into_response()
    }
}

impl IntoResponse for Failure {
    /// Leaves a note for [`super::frame`], which knows the address.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The body by which `/topology` and `/admin/databases` say that a database is missing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MissingBody {
    #[serde(rename = "Type")]
    class: &'static str,
    message: String,
}

/// Says that a database is missing, in the body and in the header that clients look at.
pub(crate) fn missing(status: StatusCode, name: &str) -> Response {
    let message = format!("Database {} wasn't found", shown(name));
    let mut response = (status, Json(MissingBody { class: "Error", message })).into_response();
    mark_missing(&mut response, name);
    response
}

/// Adds the header by which clients know that a database is missing, where its name can be in one.
pub(crate) fn mark_missing(response: &mut Response, name: &str) {
    if let Ok(value) = HeaderValue::from_str(&shown(name)) {
        response.headers_mut().insert("Database-Missing", value);
    }
}

/// Returns foreign text as it may be repeated: short.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
