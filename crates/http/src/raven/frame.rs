//! What every answer in RavenDB's words has in common: its headers, and the address in an error.

use super::failure::Failure;
use super::identity;
use super::product::SERVER_VERSION;
use crate::server::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

/// The first parts of RavenDB's paths.
const ROOTS: [&str; 12] = [
    "admin",
    "build",
    "cluster",
    "configuration",
    "databases",
    "info",
    "operations",
    "periodic-backup",
    "server",
    "setup",
    "studio-tasks",
    "topology",
];

/// Says whether a path is one of RavenDB's, known or not.
pub(crate) fn is_raven(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    let first = parts.next().unwrap_or_default();
    ROOTS.contains(&first)
}

/// Returns the database that a path below `/databases` names, as it is written there.
fn database_in(path: &str) -> Option<&str> {
    path.strip_prefix("/databases/")?.split('/').next().filter(|name| !name.is_empty())
}

/// Returns the path and the query as they came.
pub(crate) fn url(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

/// Finishes an answer to a request in RavenDB's words, and lets all others pass.
pub(crate) async fn frame(State(_): State<App>, request: Request, next: Next) -> Response {
    if !is_raven(request.uri().path()) {
        return next.run(request).await;
    }
    let uri = request.uri().clone();
    finish(&uri, next.run(request).await)
}

/// Fills in what only the outside knows: the address in an error, and the headers.
pub(crate) fn finish(uri: &Uri, response: Response) -> Response {
    let mut response = response;
    let mut versioned = true;
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        versioned = failure.is_versioned();
        response = failure.answer(&url(uri));
    }
    let headers = response.headers_mut();
    if versioned {
        headers.insert("Raven-Server-Version", HeaderValue::from_static(SERVER_VERSION));
        add_cluster_id(headers, uri.path());
    }
    if headers.get(header::CONTENT_TYPE).is_some_and(|media| media == "application/json") {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    response
}

fn add_cluster_id(headers: &mut HeaderMap, path: &str) {
    if let Some(name) = database_in(path)
        && let Ok(value) = HeaderValue::from_str(&identity::cluster_transactions(name))
    {
        headers.insert("Database-Cluster-Tx-Id", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_two_families_are_told_apart() {
        for path in ["/databases", "/databases/a/tasks", "/admin/x", "/topology", "/build/version"] {
            assert!(is_raven(path), "{path}");
        }
        for path in ["/", "/api/v1/databases", "/studio/studio.css", "/database", "/databasesx/a"] {
            assert!(!is_raven(path), "{path}");
        }
        assert_eq!(database_in("/databases/alpha/tasks"), Some("alpha"));
        assert_eq!(database_in("/databases"), None);
    }
}
