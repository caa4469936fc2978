//! Takes connections and answers on them until told to stop.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a caller may take to send the head of a request; a connection that says nothing is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that the head of a request may take, in bytes.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// How many connections may be open at once; more wait in the system's own queue.
const MAX_CONNECTIONS: usize = 512;

/// How long requests under way may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(3);

/// How long to wait after the system could not give a connection, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
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
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A caller that goes away in the middle is no concern of anybody's.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("some connections were still open when the server stopped");
    }
}
