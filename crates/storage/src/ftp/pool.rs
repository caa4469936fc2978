//! A few connections, used again and again.

use super::connection::{Connection, Site};
use super::failure::Failure;
use crate::pace;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many connections a destination has at most; servers often allow a user no more than ten.
pub(super) const CONNECTIONS: usize = 6;

/// How long to wait before a server without room is asked once more.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// The connections to one destination.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) site: Arc<Site>,
    /// As many permits as `limit` says; whoever works on a connection, or makes one, has one of them.
    permits: Arc<Semaphore>,
    limit: Arc<AtomicUsize>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// How one attempt to do something ended.
enum Attempt<T> {
    Done(Result<T, Failure>),
    /// The server has no room for one more connection, and others can be waited for.
    Crowded,
}

impl Pool {
    pub(super) fn new(site: Site) -> Self {
        Self {
            site: Arc::new(site),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            limit: Arc::new(AtomicUsize::new(CONNECTIONS)),
            idle: Arc::new(Mutex::new(Vec::new())),
        }
    }

    /// Does something on a connection, on a thread that may wait.
    ///
    /// What is done may be done twice: where a connection had gone while nobody used it, another is taken.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(&mut Connection, &Site) -> Result<T, Failure> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.map_err(|closed| Failure::cut(closed.to_string()))?;
            let (pool, work) = (self.clone(), Arc::clone(&work));
            let attempt = move || {
                let outcome = pool.attempt(work.as_ref());
                match outcome {
                    // The permit goes with the connection that cannot be had: from now on there is one less.
                    Attempt::Crowded => permit.forget(),
                    Attempt::Done(_) => drop(permit),
                }
                outcome
            };
            match tokio::task::spawn_blocking(pace::carried_to_thread(attempt)).await {
                Ok(Attempt::Done(outcome)) => return outcome,
                Ok(Attempt::Crowded) => {}
                Err(stopped) => return Err(Failure::cut(format!("the work was interrupted: {stopped}"))),
            }
        }
    }

    fn attempt<T>(
        &self,
        work: &(impl Fn(&mut Connection, &Site) -> Result<T, Failure> + ?Sized),
    ) -> Attempt<T> {
        if let Some(mut connection) = self.take() {
            let outcome = work(&mut connection, &self.site);
            let stale = connection.lost;
            self.give_back(connection);
            match outcome {
                Err(failure) if stale && failure.lost => {
                    tracing::debug!("connecting again: {}", failure.cause)
                }
                outcome => return Attempt::Done(outcome),
            }
            // If one was closed for idleness, so were those that had been idle longer.
            self.idle().clear();
        }
        let mut connection = match Connection::open(&self.site) {
            Ok(connection) => connection,
            Err(failure) if failure.is_crowded() => {
                if self.shrink() {
                    return Attempt::Crowded;
                }
                // Nobody to wait for; a server often counts a connection for a moment after its end.
                std::thread::sleep(AFTERWARDS);
                match Connection::open(&self.site) {
                    Ok(connection) => connection,
                    Err(failure) => return Attempt::Done(Err(failure)),
                }
            }
            Err(failure) => return Attempt::Done(Err(failure)),
        };
        let outcome = work(&mut connection, &self.site);
        self.give_back(connection);
        Attempt::Done(outcome)
    }

    fn take(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn give_back(&self, connection: Connection) {
        if !connection.lost {
            self.idle().push(connection);
        }
    }

    /// Lowers the limit by one, where somebody else has a connection that can be waited for; never below one.
    fn shrink(&self) -> bool {
        let (free, idle) = (self.permits.available_permits(), !self.idle().is_empty());
        let lower = |limit: usize| (limit > 1 && (idle || limit > free + 1)).then(|| limit - 1);
        self.limit.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lower).is_ok()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
