//! One folder of a server: where it is, how requests to it are sent, and why they are refused.

use super::certificate;
use super::login::Login;
use super::multistatus::{self, Resource};
use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Address, Answer, Attempt, Client, Refusal, encode_path};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use http::uri::Scheme;
use http::{Method, StatusCode};
use larder_model::Secret;
use larder_model::task::WebDavSettings;

/// An answer with the properties of a folder is at most so large: some 100,000 files.
const PROPERTIES_AT_MOST: u64 = 128 << 20;
const DEPTH: HeaderName = HeaderName::from_static("depth");
const PROPERTIES: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/>\
                          <D:getcontentlength/><D:getlastmodified/></D:prop></D:propfind>";
const QUOTA: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/>\
                     <D:quota-available-bytes/></D:prop></D:propfind>";

/// A folder of a server, and what it takes to ask it for something.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    address: Address,
    login: Option<Login>,
    /// The folder's address, for people.
    pub(super) described: String,
}

/// A request that was refused: the error, and the status where an answer came.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: StorageError,
    pub(super) status: Option<StatusCode>,
}

impl Refused {
    pub(super) fn is(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }

    /// Says whether the folder above may be what is missing: most servers say 409 then, some 404.
    pub(super) fn may_lack_folder(&self) -> bool {
        self.is(StatusCode::CONFLICT) || self.is(StatusCode::NOT_FOUND)
    }
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self { error, status: None }
    }
}

impl From<Refused> for StorageError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl Server {
    /// Reads who and where from the settings.
    ///
    /// # Errors
    /// Something is missing, or makes no sense.
    pub(super) fn new(settings: &WebDavSettings, host: &ConnectorSettings) -> Result<Self, StorageError> {
        let invalid = |cause: String| Attempt::new("open", "", "WebDAV").invalid(cause);
        let said =
            |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let url = said(settings.url.as_deref()).ok_or_else(|| invalid("no Url is named".to_owned()))?;
        let address = Address::read(&url).map_err(|cause| invalid(format!("Url: {cause}")))?;
        let further = match said(settings.certificate_as_base64.as_ref().map(Secret::expose)) {
            Some(text) => vec![certificate::read(&text).map_err(invalid)?],
            None => Vec::new(),
        };
        let login = said(settings.user_name.as_deref()).map(|user| {
            let none = Secret::new(String::new());
            Login::new(&user, settings.password.as_ref().unwrap_or(&none), address.scheme == Scheme::HTTPS)
        });
        let described = format!("{}://{}{}", address.scheme, address.authority, address.path);
        Ok(Self { client: Client::trusting(host, &further)?, address, login, described })
    }

    /// Returns the address of a path, as the header `Destination` wants it.
    pub(super) fn whole_address(&self, attempt: &Attempt<'_>, path: &str) -> Result<String, StorageError> {
        let uri = self.address.uri(&target(path)).map_err(|cause| attempt.invalid(cause))?;
        Ok(uri.to_string())
    }

    /// Sends a request for a path below the folder, and turns an answer that is no success into an error.
    pub(super) async fn ask(
        &self,
        attempt: &Attempt<'_>,
        method: &str,
        path: &str,
        headers: &[(HeaderName, String)],
        body: Bytes,
    ) -> Result<Answer, Refused> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|error| attempt.invalid(error.to_string()))?;
        let known = self.login.as_ref().map_or(0, Login::lessons);
        let mut answer = self.send(attempt, &method, path, headers, body.clone()).await?;
        let asked_for_login = answer.status() == StatusCode::UNAUTHORIZED;
        if asked_for_login && self.login.as_ref().is_some_and(|login| login.learn(answer.headers(), known)) {
            answer = self.send(attempt, &method, path, headers, body).await?;
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        let location = answer.header(LOCATION.as_str()).map(str::to_owned);
        let refusal = answer.refusal(attempt).await;
        let error = self.explain(attempt, &refusal, location.as_deref());
        Err(Refused { error, status: Some(refusal.status) })
    }

    async fn send(
        &self,
        attempt: &Attempt<'_>,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, String)],
        body: Bytes,
    ) -> Result<Answer, StorageError> {
        let uri = self.address.uri(&target(path)).map_err(|cause| attempt.invalid(cause))?;
        let shown = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if let Some(login) = self.login.as_ref().and_then(|login| login.header(method.as_str(), &shown)) {
            builder = builder.header(AUTHORIZATION, login);
        }
        if method == Method::PUT {
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        let request = builder.body(body).map_err(|error| attempt.invalid(error.to_string()))?;
        self.client.send(attempt, request).await
    }

    /// Asks for the properties of a path and, where it is a folder and `depth` is 1, of what lies right in it. With them comes
    /// the server's date.
    pub(super) async fn properties(
        &self,
        attempt: &Attempt<'_>,
        path: &str,
        depth: u8,
    ) -> Result<(Vec<Resource>, Option<String>), Refused> {
        self.find(attempt, path, depth, PROPERTIES).await
    }

    /// Asks how much the folder still takes.
    pub(super) async fn free_bytes(&self, attempt: &Attempt<'_>) -> Result<Option<u64>, Refused> {
        let (resources, _) = self.find(attempt, "", 0, QUOTA).await?;
        // Numbers below zero say that there is no limit, or that nobody knows.
        let free = resources.first().and_then(|folder| folder.free_bytes);
        Ok(free.and_then(|free| u64::try_from(free).ok()))
    }

    async fn find(
        &self,
        attempt: &Attempt<'_>,
        path: &str,
        depth: u8,
        body: &'static str,
    ) -> Result<(Vec<Resource>, Option<String>), Refused> {
        let headers =
            [(DEPTH, depth.to_string()), (CONTENT_TYPE, "application/xml; charset=utf-8".to_owned())];
        let answer =
            self.ask(attempt, "PROPFIND", path, &headers, Bytes::from_static(body.as_bytes())).await?;
        if answer.status() != StatusCode::MULTI_STATUS {
            let cause = "the server did not answer as a WebDAV server does; see that Url is the address of a WebDAV folder";
            return Err(attempt.invalid(cause).into());
        }
        let date = answer.header("date").map(str::to_owned);
        let body = answer.bytes(attempt, PROPERTIES_AT_MOST).await?;
        let resources =
            multistatus::read(&body).map_err(|cause| attempt.failure(StorageErrorKind::Damaged, cause))?;
        Ok((resources, date))
    }

    /// Makes sure that the folder itself is there: it is never made, because a missing one is often a disk of the server that is
    /// not mounted.
    pub(super) async fn check(&self, attempt: &Attempt<'_>) -> Result<(), StorageError> {
        match self.properties(attempt, "", 0).await {
            Ok((resources, _)) if resources.iter().all(|resource| resource.is_folder) => Ok(()),
            Ok(_) => Err(attempt.invalid("the Url names a file; give the address of a folder")),
            Err(refused) if refused.is(StatusCode::NOT_FOUND) => Err(self.missing(attempt)),
            Err(refused) => Err(refused.error),
        }
    }

    /// Makes the error for a folder that is not there.
    pub(super) fn missing(&self, attempt: &Attempt<'_>) -> StorageError {
        let cause = format!("there is no folder {} at the server; make it, or correct Url", self.described);
        attempt.invalid(cause)
    }

    fn explain(&self, attempt: &Attempt<'_>, refusal: &Refusal, location: Option<&str>) -> StorageError {
        use StorageErrorKind as Kind;
        let words = refusal.words();
        let (kind, cause) = match refusal.status.as_u16() {
            300..=399 => {
                let there = location.unwrap_or("another address");
                (
                    Kind::Invalid,
                    format!("the server sends us on to {there}; give that address as Url: {words}"),
                )
            }
            401 if self.login.is_some() => {
                (Kind::Denied, format!("the UserName or the Password is wrong: {words}"))
            }
            401 => (
                Kind::Denied,
                format!("the server wants to know who asks; give UserName and Password: {words}"),
            ),
            403 => {
                let what = match attempt.action {
                    "read" | "look up" | "list" => "to read",
                    "delete" => "to delete",
                    _ => "to write",
                };
                (Kind::Denied, format!("the user has no right {what} here: {words}"))
            }
            404 => (Kind::NotFound, format!("it does not exist: {words}")),
            405 | 501 => (
                Kind::Invalid,
                format!("the server does not speak WebDAV here; see that Url is right: {words}"),
            ),
            409 => (Kind::Other, format!("something else stands in its place: {words}")),
            // Somebody else works on it, or did until a moment ago.
            423 => (Kind::Unavailable, format!("it is locked: {words}")),
            _ => (refusal.kind(), words),
        };
        refusal.error_of(attempt, kind, cause)
    }
}

fn target(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { format!("/{}", encode_path(path)) }
}
