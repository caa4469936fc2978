//! An object store asked by threads that wait, with patience.

use super::body::Body;
use super::place::Place;
use crate::error::EngineError;
use bytes::Bytes;
use larder_model::{Cancel, Source};
use larder_storage::{
    Connector, ConnectorSettings, ObjectHead, ObjectPage, ObjectStore, OpenObject, StorageError,
    StorageErrorKind,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// How often a call is made in all, and how long it is waited before the second; each further pause is twice as long. In all
/// it is half a minute.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How often it is asked where a person waits for the answer.
const HASTY: u32 = 3;

/// Longer no service is left alone on its own word.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often it is looked whether the work is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// So many objects are open at once, each with a connection. More than are asked for ahead and than a sink gathers before it
/// reads any: otherwise those would be waited for that wait themselves.
const OPEN_AT_ONCE: usize = 48;

/// Threads that move bytes between the network and those who wait for them.
const THREADS: usize = 2;

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody asked for the work to stop.
    Canceled,
    /// The store failed.
    Storage(StorageError),
}

/// What all buckets share: connections, and the threads that serve them.
#[derive(Clone, Default)]
pub(crate) struct Buckets {
    root_certificates: Arc<[Vec<u8>]>,
    shared: Arc<Mutex<Option<Arc<Shared>>>>,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

struct Shared {
    connector: Connector,
    /// `None` once it is being dropped.
    runtime: Option<tokio::runtime::Runtime>,
    handle: Handle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops this may be a task itself, which must not wait.
            runtime.shutdown_background();
        }
    }
}

impl Buckets {
    /// Begins without any connection; the certificates are trusted besides the host's own.
    pub(crate) fn new(root_certificates: &[Vec<u8>]) -> Self {
        Self { root_certificates: root_certificates.into(), shared: Arc::default() }
    }

    /// Opens a source's bucket; nothing is asked of it yet.
    pub(super) fn open(
        &self,
        source: &Source,
        place: &Place,
        cancel: &Cancel,
    ) -> Result<Bucket, EngineError> {
        let shared = self.shared().map_err(|cause| EngineError::Failed {
            action: format!("opening {}", place.shown()),
            cause,
            remedy: "raise the limit of threads, or correct the certificates of larder.toml".to_owned(),
        })?;
        let store = place.connect(source, &shared.connector)?;
        Ok(Bucket {
            store,
            shared,
            cancel: cancel.clone(),
            attempts: ATTEMPTS,
            open: Arc::new(Semaphore::new(OPEN_AT_ONCE)),
        })
    }

    fn shared(&self) -> Result<Arc<Shared>, String> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = &*shared {
            return Ok(Arc::clone(shared));
        }
        let settings = ConnectorSettings {
            root_certificates: self.root_certificates.to_vec(),
            ..ConnectorSettings::default()
        };
        let connector = Connector::new(settings).map_err(|error| error.cause)?;
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("buckets").enable_all().build();
        let runtime = runtime.map_err(crate::words::plain)?;
        let handle = runtime.handle().clone();
        let made = Arc::new(Shared { connector, runtime: Some(runtime), handle });
        *shared = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// One bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    shared: Arc<Shared>,
    cancel: Cancel,
    attempts: u32,
    /// Turns to have an object open.
    open: Arc<Semaphore>,
}

/// An open object, and its turn, which others wait for.
pub(super) struct Held {
    open: OpenObject,
    turn: Option<OwnedSemaphorePermit>,
}

/// A call that goes on by itself; it ends when this is dropped.
pub(super) struct Going<T>(JoinHandle<Result<T, StorageError>>);

impl<T> Drop for Going<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Bucket {
    /// Returns the same bucket with less patience.
    pub(super) fn hasty(mut self) -> Self {
        self.attempts = HASTY;
        self
    }

    pub(super) fn page(&self, prefix: &str, next: Option<&str>) -> Result<ObjectPage, Trouble> {
        self.wait(patiently(self.attempts, || self.store.page(prefix, next)))
    }

    /// Calls `visit` with every object whose key begins so, page by page.
    pub(super) fn for_each(
        &self,
        place: &Place,
        visit: &mut dyn FnMut(ObjectHead) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut next: Option<String> = None;
        loop {
            let page = self.page(&place.prefix, next.as_deref());
            let page = page.map_err(|trouble| place.failed("listing", trouble))?;
            page.objects.into_iter().try_for_each(&mut *visit)?;
            if page.next.is_none() {
                return Ok(());
            }
            next = page.next;
        }
    }

    /// Begins to open an object, as soon as not too many are open.
    pub(super) fn begin_read(&self, listed: &ObjectHead) -> Going<Held> {
        let (store, listed, attempts) = (Arc::clone(&self.store), listed.clone(), self.attempts);
        let open = Arc::clone(&self.open);
        Going(self.shared.handle.spawn(async move {
            // It is never closed, so that there is always a turn.
            let turn = open.acquire_owned().await.ok();
            let open = patiently(attempts, || store.open(&listed)).await?;
            Ok(Held { open, turn })
        }))
    }

    /// Waits until an object is open.
    pub(super) fn opened(&self, mut going: Going<Held>) -> Result<Body, Trouble> {
        let held = self.joined(&mut going)?;
        Ok(Body::new(self.clone(), held.open, held.turn))
    }

    /// Opens an object.
    pub(super) fn read(&self, listed: &ObjectHead) -> Result<Body, Trouble> {
        self.opened(self.begin_read(listed))
    }

    /// Takes up reading an object from an offset on.
    pub(super) fn resume(
        &self,
        head: &ObjectHead,
        offset: u64,
    ) -> Result<larder_storage::ObjectBytes, Trouble> {
        self.wait(patiently(self.attempts, || self.store.resume(head, offset)))
    }

    /// Begins to write an object.
    pub(super) fn begin_write(&self, head: ObjectHead, data: Bytes) -> Going<()> {
        let (store, attempts) = (Arc::clone(&self.store), self.attempts);
        Going(
            self.shared
                .handle
                .spawn(async move { patiently(attempts, || store.write(&head, data.clone())).await }),
        )
    }

    /// Waits until a call has ended.
    pub(super) fn joined<T>(&self, going: &mut Going<T>) -> Result<T, Trouble> {
        let place = self.store.describe();
        let stopped = |error: tokio::task::JoinError| {
            StorageError::new(
                StorageErrorKind::Other,
                "ask",
                "",
                place,
                format!("the work was interrupted: {error}"),
            )
        };
        self.wait(async { (&mut going.0).await.unwrap_or_else(|error| Err(stopped(error))) })
    }

    /// Writes an object in parts that `next` gives, the last of which is shorter or followed by nothing.
    pub(super) fn write_in_parts(
        &self,
        head: &ObjectHead,
        next: &mut dyn FnMut() -> Result<Option<Bytes>, EngineError>,
        failed: &dyn Fn(Trouble) -> EngineError,
    ) -> Result<(), EngineError> {
        let begun = self.wait(patiently(self.attempts, || self.store.begin(head)));
        let mut upload = begun.map_err(failed)?;
        let sent = (|| {
            while let Some(part) = next()? {
                let (mut pause, mut made) = (FIRST_PAUSE, 1);
                loop {
                    match self.wait(upload.part(part.clone())) {
                        Err(Trouble::Storage(error)) if error.is_retryable() && made < self.attempts => {
                            let waited = self.wait(async {
                                tokio::time::sleep(pause).await;
                                Ok(())
                            });
                            waited.map_err(failed)?;
                            (made, pause) = (made + 1, pause * 2);
                        }
                        outcome => break outcome.map_err(failed)?,
                    }
                }
            }
            self.wait(upload.finish()).map_err(failed)
        })();
        if sent.is_err() {
            self.shared.handle.block_on(upload.abort());
        }
        sent
    }

    /// Removes an object, whether or not the work is to stop.
    pub(super) fn remove(&self, key: &str) -> Result<(), StorageError> {
        self.shared.handle.block_on(patiently(self.attempts, || self.store.remove(key)))
    }

    /// Waits for a call, unless the work is to stop.
    pub(super) fn wait<T>(&self, call: impl Future<Output = Result<T, StorageError>>) -> Result<T, Trouble> {
        let stop = async {
            while !self.cancel.is_canceled() {
                tokio::time::sleep(LOOK).await;
            }
        };
        self.shared.handle.block_on(async {
            tokio::select! {
                biased;
                outcome = call => outcome.map_err(Trouble::Storage),
                () = stop => Err(Trouble::Canceled),
            }
        })
    }
}

/// Makes a call until it succeeds, cannot succeed, or was made often enough.
async fn patiently<T, F: Future<Output = Result<T, StorageError>>>(
    attempts: u32,
    call: impl Fn() -> F,
) -> Result<T, StorageError> {
    let mut pause = FIRST_PAUSE;
    let mut made = 1;
    loop {
        match call().await {
            Err(error) if error.is_retryable() && made < attempts => {
                let asked = error.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
                tokio::time::sleep(pause.max(asked)).await;
                (made, pause) = (made + 1, pause * 2);
            }
            outcome => return outcome,
        }
    }
}
