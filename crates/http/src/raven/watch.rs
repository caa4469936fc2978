//! Notifications over a websocket: what stands, and then whatever happens, one JSON object a frame.

use super::databases::Named;
use super::failure::{Failure, class};
use super::notifications::{Scope, alert, changed, dismissal, standing};
use super::shape::notification::Notification;
use crate::server::App;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use larder_model::Operation;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// How often a quiet line gets an empty frame, so that nobody in between closes it.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long a listener may take to accept a frame before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest frame that a listener may send; none is needed but those that the protocol itself has.
const LARGEST_FRAME_BYTES: usize = 16 * 1024;

pub(crate) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Becomes a websocket, where the request asks for one and there is a place for it; `serve` then has the line.
pub(crate) fn upgrade<F, Fut>(app: &App, upgrade: Upgrade, serve: F) -> Result<Response, Failure>
where
    F: FnOnce(WebSocket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let upgrade = upgrade.map_err(|refused| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            class::BAD_REQUEST,
            format!("this route is a websocket, and the request does not ask for one: {refused}"),
        )
    })?;
    let place = Arc::clone(&app.lines).try_acquire_owned().map_err(|_| {
        Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            class::OPERATION,
            "as many websockets are open as this server takes; close some, or poll instead",
        )
    })?;
    let upgrade = upgrade.max_message_size(LARGEST_FRAME_BYTES).max_frame_size(LARGEST_FRAME_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        serve(socket).await;
        drop(place);
    }))
}

pub(crate) async fn of_server(State(app): State<App>, asked: Upgrade) -> Result<Response, Failure> {
    upgrade(&app.clone(), asked, move |socket| tell_all(app, Scope::Server, socket))
}

pub(crate) async fn of_database(
    State(app): State<App>,
    database: Named,
    asked: Upgrade,
) -> Result<Response, Failure> {
    let scope = Scope::Database(database.0);
    upgrade(&app.clone(), asked, move |socket| tell_all(app, scope, socket))
}

/// Tells a listener what happens until it or the server goes away.
async fn tell_all(app: App, scope: Scope, mut socket: WebSocket) {
    // Subscribed first: what changes meanwhile comes twice rather than never.
    let mut changes = app.service.subscribe();
    let mut stopping = app.stopping.clone();
    let now = app.clock.now();
    let running = app.service.overview().running;
    let first = standing(&app, &scope).into_iter().rev();
    let first = first.chain(running.iter().filter(|one| scope.has(one)).map(|one| changed(one, now)));
    for notification in first.collect::<Vec<_>>() {
        if tell(&mut socket, &notification).await.is_none() {
            return;
        }
    }
    let mut heartbeat = heartbeat(HEARTBEAT);
    loop {
        let event = next(&mut changes, &mut socket, &mut heartbeat, &mut stopping).await;
        let told = match event {
            Event::Changed(operation) if scope.has(&operation) => {
                tell_change(&app, &mut socket, &operation).await
            }
            Event::Quiet => send(&mut socket, Message::text("")).await,
            // What was lost was progress, or is found in the list of notifications.
            Event::Changed(_) | Event::Lost | Event::Said(_) => Some(()),
            Event::Over => None,
        };
        if told.is_none() {
            // Where the listener is gone already, nobody needs to be told.
            let _ = send(&mut socket, Message::Close(None)).await;
            return;
        }
    }
}

/// What a line waits for.
pub(crate) enum Event {
    /// An operation changed.
    Changed(Box<Operation>),
    /// Some changes were lost, because the listener was slow.
    Lost,
    /// The listener said something.
    Said(Message),
    /// Nothing happened for a while.
    Quiet,
    /// The listener or the server goes away.
    Over,
}

/// Waits for whatever comes first.
pub(crate) async fn next(
    changes: &mut Receiver<Operation>,
    socket: &mut WebSocket,
    heartbeat: &mut Interval,
    stopping: &mut watch::Receiver<bool>,
) -> Event {
    tokio::select! {
        change = changes.recv() => match change {
            Ok(operation) => Event::Changed(Box::new(operation)),
            Err(RecvError::Lagged(_)) => Event::Lost,
            Err(RecvError::Closed) => Event::Over,
        },
        _ = heartbeat.tick() => Event::Quiet,
        heard = socket.recv() => match heard {
            Some(Ok(Message::Close(_)) | Err(_)) | None => Event::Over,
            Some(Ok(message)) => Event::Said(message),
        },
        _ = stopping.wait_for(|stopping| *stopping) => Event::Over,
    }
}

/// Makes a heartbeat that begins after its first pause.
pub(crate) fn heartbeat(pause: Duration) -> Interval {
    let mut heartbeat = tokio::time::interval_at(Instant::now() + pause, pause);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

async fn tell_change(app: &App, socket: &mut WebSocket, operation: &Operation) -> Option<()> {
    let now = app.clock.now();
    tell(socket, &changed(operation, now)).await?;
    for more in [alert(operation, now), dismissal(app, operation, now)].into_iter().flatten() {
        tell(socket, &more).await?;
    }
    Some(())
}

async fn tell(socket: &mut WebSocket, notification: &Notification) -> Option<()> {
    let text = serde_json::to_string(notification).ok()?;
    send(socket, Message::text(text)).await
}

/// Sends a frame; `None` where the listener is gone or too slow.
pub(crate) async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    tokio::time::timeout(PATIENCE, socket.send(message)).await.ok()?.ok()
}
