//! The server: what it is told, how its parts are put together, and how it starts.

use crate::door::{Door, MINIMUM_TOKEN_CHARACTERS};
use crate::error::{ApiError, HttpError};
use crate::openapi::BASE;
use crate::raven::frame;
use crate::{listen, openapi, raven};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::{Clock, Secret};
use larder_service::Service;
use larder_studio::Studio;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// What the server is told at start.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where to listen; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// What every caller must show; needed where others than this host can reach the address.
    pub token: Option<Secret>,
    /// Names besides `localhost` under which a browser may call the server.
    pub allowed_hosts: Vec<String>,
    /// The zone that pages show times in.
    pub time_zone: TimeZone,
    /// Where the key of the repositories lies, for whoever may read it.
    pub key_file: PathBuf,
    /// The address that RavenDB's clients are told to use, such as `https://backup.example`; the one they called
    /// where nothing is said.
    pub public_url: Option<String>,
}

/// What every request may use.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) service: Service,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) zone: TimeZone,
    pub(crate) key_file: Arc<PathBuf>,
    pub(crate) door: Arc<Door>,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    pub(crate) public_url: Option<Arc<str>>,
    /// When the server began to answer.
    pub(crate) started: Timestamp,
    /// Names the installation, alike after every restart.
    pub(crate) installation: Arc<str>,
    /// The places for websockets.
    pub(crate) lines: Arc<Semaphore>,
    /// Becomes true when the server stops, so that streams end.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A server that holds its port and has not answered anybody yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: HttpSettings,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// The address can be reached from other machines and there is no token, the token is too short, the port is
    /// taken, or the system refuses the address.
    pub async fn bind(settings: HttpSettings) -> Result<Self, HttpError> {
        let address = settings.bind;
        match &settings.token {
            None if !address.ip().to_canonical().is_loopback() => return Err(HttpError::NoToken { address }),
            Some(token) if token.expose().chars().count() < MINIMUM_TOKEN_CHARACTERS => {
                let characters = token.expose().chars().count();
                return Err(HttpError::WeakToken { characters, minimum: MINIMUM_TOKEN_CHARACTERS });
            }
            _ => {}
        }
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::AddrInUse => HttpError::InUse { address },
            _ => HttpError::Bind { address, cause: error.to_string() },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, settings })
    }

    /// Returns the address it listens on, with the port that the system chose where it was to choose one.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is done; then takes no new requests and gives those under way a few seconds.
    pub async fn run(self, service: Service, clock: Arc<dyn Clock>, stop: impl Future<Output = ()> + Send) {
        let (stopping, seen) = watch::channel(false);
        let installation = self.settings.key_file.display().to_string();
        let lines = listen::lines();
        let app = App {
            lines: Arc::clone(&lines),
            address: self.address,
            public_url: self.settings.public_url.map(Arc::from),
            started: clock.now(),
            installation: installation.into(),
            service,
            clock,
            zone: self.settings.time_zone,
            key_file: Arc::new(self.settings.key_file),
            door: Arc::new(Door::new(self.settings.token, &self.settings.allowed_hosts)),
            stopping: seen,
        };
        let stop = async move {
            stop.await;
            stopping.send_replace(true);
        };
        listen::serve(self.listener, router(app), lines, stop).await;
    }
}

/// Puts the table of routes, the pages and the door together.
pub(crate) fn router(app: App) -> Router {
    let api = openapi::routes()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(&route.address(), route.handler));
    let studio = Studio {
        service: app.service.clone(),
        clock: Arc::clone(&app.clock),
        zone: app.zone.clone(),
        key_file: Arc::clone(&app.key_file),
    };
    api.merge(larder_studio::routes(studio))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), frame::frame))
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

/// Asks the door, and says to browsers what they may do with the answer.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let is_health = uri.path() == "/api/v1/health";
    let mut response = match app.door.admit(request.headers(), is_health) {
        Ok(()) => next.run(request).await,
        Err(refused) if frame::is_raven(uri.path()) => frame::finish(&uri, raven::refused(&refused)),
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn nothing_here(State(app): State<App>, method: Method, uri: Uri) -> Response {
    if frame::is_raven(uri.path()) {
        return raven::no_route(&app, &method, &uri).into_response();
    }
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "NotFound",
        format!("there is nothing at {path}; every route is listed at {BASE}/openapi.json"),
    )
    .into_response()
}

async fn wrong_method(State(app): State<App>, method: Method, uri: Uri) -> Response {
    if frame::is_raven(uri.path()) {
        return raven::no_route(&app, &method, &uri).into_response();
    }
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Method",
        format!("{path} does not answer {method}; its methods are listed at {BASE}/openapi.json"),
    )
    .into_response()
}
