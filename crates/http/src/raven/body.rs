//! The body of a request in RavenDB's words: JSON, whatever the header says it is.

use super::failure::{Failure, class};
use crate::api::input::{BODY_LIMIT_BYTES, Unread, read_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};

/// A JSON object; Python's client sends it without saying that it is JSON.
#[derive(Debug)]
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Object {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let bytes = read_bytes(request).await.map_err(|unread| match unread {
            Unread::TooLarge => Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                class::BAD_REQUEST,
                format!(
                    "the body was cut short or is larger than {BODY_LIMIT_BYTES} bytes; nothing Larder takes is that large"
                ),
            ),
            Unread::TooSlow => Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                class::TIMEOUT,
                "the body did not arrive within 20 seconds; send it again",
            ),
        })?;
        parse(&bytes).map(Self)
    }
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    // Some clients begin their JSON with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(Failure::server(class::DATA, "the body is empty; send a JSON object"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => {
            let kind = match other {
                Value::Array(_) => "an array",
                Value::String(_) => "a text",
                Value::Null => "null",
                _ => "a single value",
            };
            Err(Failure::server(class::DATA, format!("the body is {kind}, and a JSON object is needed")))
        }
        Err(error) => Err(Failure::server(class::DATA, format!("the body is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_taken_and_everything_else_is_declined_kindly() {
        assert_eq!(parse(b"\xef\xbb\xbf {\"A\":1} ").unwrap()["A"], 1);
        let deep = "[".repeat(100_000);
        for wrong in ["", "  ", "{bad", "[]", "null", "\"x\"", "{\"a\":1", deep.as_str(), "\u{0}"] {
            let failure = parse(wrong.as_bytes()).unwrap_err();
            let (status, class, message) = failure.parts();
            assert_eq!((status, class), (500, class::DATA), "{message}");
        }
        assert!(parse(b"{\"a\":\"\xff\xfe\"}").is_err());
    }
}
