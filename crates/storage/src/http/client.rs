//! The one client that destinations reached by HTTP share.

use crate::connect::ConnectorSettings;
use crate::error::StorageError;
use crate::http::answer::Answer;
use crate::http::progress::{Progress, Watched};
use crate::http::tls;
use crate::http::trouble::{self, Attempt};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long no byte may move before a connection counts as cut, where nothing else is said.
const STALLED: Duration = Duration::from_secs(30);
/// A connection that rested longer is not used again: many servers close theirs after 20 s or more.
const REST: Duration = Duration::from_secs(15);

/// Sends requests; connections are kept and shared by all clones.
///
/// There is no limit to how long a request may take as a whole, only to how long it may stand still. Redirections are answers
/// like others: what is signed for one address is worth nothing at another. Proxies are not used.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    inner: reqwest::Client,
    patience: Duration,
}

impl Client {
    /// Makes a client that trusts the host's authorities and those of the settings.
    ///
    /// # Errors
    /// A certificate is none.
    pub(crate) fn new(settings: &ConnectorSettings) -> Result<Self, StorageError> {
        Self::trusting(settings, &[])
    }

    /// Makes a client that trusts further certificates, written as PEM, besides.
    ///
    /// # Errors
    /// A certificate is none.
    pub(crate) fn trusting(settings: &ConnectorSettings, further: &[Vec<u8>]) -> Result<Self, StorageError> {
        let attempt = Attempt::new("open", "", "connections");
        let mut certificates = Vec::new();
        for pem in settings.root_certificates.iter().chain(further) {
            certificates.extend(tls::certificates(pem).map_err(|cause| attempt.invalid(cause))?);
        }
        let config = tls::trusting(certificates).map_err(|cause| attempt.invalid(cause))?;
        let patience = settings.stalled_after.unwrap_or(STALLED);
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT.min(patience))
            // Data that nobody acknowledges for so long will not arrive: the kernel sees it where no byte is left to hand over.
            .tcp_user_timeout(patience)
            .tcp_keepalive(patience / 2)
            .pool_idle_timeout(REST)
            .build()
            .map_err(|error| attempt.invalid(format!("the HTTP client cannot be made: {error}")))?;
        Ok(Self { inner, patience })
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// # Errors
    /// No answer came: the server cannot be reached, is not trusted, or stood still for too long.
    pub(crate) async fn send(
        &self,
        attempt: &Attempt<'_>,
        request: http::Request<Bytes>,
    ) -> Result<Answer, StorageError> {
        let server = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let progress = Progress::new(self.patience);
        let (mut parts, body) = request.into_parts();
        if body.is_empty() && matches!(parts.method, Method::PUT | Method::POST | Method::PATCH) {
            // A body that is not announced may be of any length, so that some servers refuse it.
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let body = if body.is_empty() {
            reqwest::Body::default()
        } else {
            reqwest::Body::wrap(Watched::new(body, progress.clone(), self.patience))
        };
        let request =
            reqwest::Request::try_from(http::Request::from_parts(parts, body)).map_err(|error| {
                attempt.invalid(format!("no request can be made of it: {}", error.without_url()))
            })?;
        let sent = self.inner.execute(request);
        tokio::pin!(sent);
        loop {
            let (deadline, patience) = progress.deadline();
            match tokio::time::timeout_at(deadline, &mut sent).await {
                Ok(Ok(response)) => return Ok(Answer::new(response, server, self.patience)),
                Ok(Err(error)) => return Err(trouble::network(attempt, &server, error)),
                Err(_) if progress.deadline().0 > deadline => {}
                Err(_) => return Err(trouble::stalled(attempt, &server, patience)),
            }
        }
    }
}
