//! Takes connections and answers on them until told to stop.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// How long a caller may take to send the head of a request; a connection that says nothing is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that the head of a request may take, in bytes.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// How many connections may be open at once; more wait in the system's own queue.
const MAX_CONNECTIONS: u32 = 512;

/// How many websockets may be open at once; they no longer count as connections.
const MAX_LINES: u32 = 256;

/// How long requests under way may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(3);

/// How long to wait after the system could not give a connection, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Makes the places for websockets.
pub(crate) fn lines() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_LINES as usize))
}

pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    lines: Arc<Semaphore>,
    stop: impl Future<Output = ()> + Send,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let (closing, closed) = watch::channel(false);
    tokio::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_LIMIT_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
            // Notifications go over websockets.
            .with_upgrades();
        let mut closed = closed.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                _ = closed.wait_for(|closed| *closed) => None,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            // A caller that goes away in the middle is no concern of anybody's.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    closing.send_replace(true);
    let all_ended = async {
        // Whoever holds every place knows that nobody else is there.
        let _connections = places.acquire_many(MAX_CONNECTIONS).await;
        let _lines = lines.acquire_many(MAX_LINES).await;
    };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        tracing::debug!("some connections were still open when the server stopped");
    }
}
