//! The stream of events: every change of every operation, as it happens.

use crate::server::App;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use larder_model::Operation;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

/// How often a quiet stream says that it is still there, so that nobody in between closes it.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct Feed {
    /// What ran when the stream was opened, told first.
    first: VecDeque<Operation>,
    changes: broadcast::Receiver<Operation>,
    stopping: watch::Receiver<bool>,
}

impl Feed {
    /// Waits for the next event; `None` when the server stops.
    async fn next(&mut self) -> Option<Event> {
        if let Some(operation) = self.first.pop_front() {
            return Some(operation_event(&operation));
        }
        let change = tokio::select! {
            change = self.changes.recv() => change,
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
        };
        match change {
            Ok(operation) => Some(operation_event(&operation)),
            Err(RecvError::Lagged(_)) => Some(Event::default().event("resync").data("{}")),
            Err(RecvError::Closed) => None,
        }
    }
}

fn operation_event(operation: &Operation) -> Event {
    let event = Event::default().event("operation").id(operation.id.to_string());
    event.json_data(operation).unwrap_or_default()
}

pub(crate) async fn stream(
    State(app): State<App>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    // Subscribed first: what changes while the list is made comes twice rather than never.
    let changes = app.service.subscribe();
    let feed = Feed { first: app.service.overview().running.into(), changes, stopping: app.stopping };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}
