//! From a template to an answer, and from an error to a page that says what is safe and what to do.

use crate::Studio;
use crate::frame::{Frame, Here};
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use larder_service::ServiceError;

/// What a page is answered with.
pub(crate) type Page = Result<Html<String>, Trouble>;

/// Renders a page.
pub(crate) fn page(template: &impl Template) -> Page {
    template.render().map(Html).map_err(|error| Trouble::Server(error.to_string()))
}

/// Why a page could not be made.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The service says so.
    Service(Box<Frame>, ServiceError),
    /// The page itself is at fault.
    Server(String),
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage<'a> {
    frame: &'a Frame,
    message: &'a str,
}

impl Studio {
    /// Makes an error of the service into one of a page.
    pub(crate) fn trouble(&self, error: ServiceError) -> Trouble {
        let frame = self.frame(Here::Elsewhere, "Not there");
        Trouble::Service(Box::new(frame), error)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Self::Service(frame, error) => {
                let status = match error {
                    ServiceError::NotFound { .. } => StatusCode::NOT_FOUND,
                    ServiceError::Invalid { .. } => StatusCode::BAD_REQUEST,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                let message = error.to_string();
                let html = TroublePage { frame: &frame, message: &message }.render();
                (
                    status,
                    html.map_or_else(|_| message.clone().into_response(), |html| Html(html).into_response()),
                )
                    .into_response()
            }
            Self::Server(cause) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the page could not be made: {cause}; ask /api/v1/status instead"),
            )
                .into_response(),
        }
    }
}
