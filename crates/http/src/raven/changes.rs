//! What a client asks to be told of one database, over a websocket; .NET's client waits for operations so.
//!
//! A client says `{"CommandId":1,"Command":"watch-operation","Param":"7"}` and is told that it was heard, and then
//! every change of that operation. Of documents, indexes and counters it may ask to hear too: nothing ever happens to
//! them here.

use super::databases::Named;
use super::failure::Failure;
use super::query::Query;
use super::shape::change::{Change, StatusChange};
use super::state;
use super::watch::{Event, Upgrade, heartbeat, next, send, upgrade};
use crate::server::App;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket};
use axum::response::Response;
use larder_model::{DatabaseName, Operation, OperationId};
use serde::Deserialize;
use std::collections::HashSet;
use std::time::Duration;

/// How often a quiet line is pinged; Node's client cannot read an empty frame.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The most operations that one client may ask to hear of.
const MOST_WATCHED: usize = 10_000;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Command {
    #[serde(default)]
    command_id: i64,
    command: String,
    #[serde(default)]
    param: Option<String>,
}

/// What a client wants to hear of.
#[derive(Debug, Default)]
struct Wishes {
    all: bool,
    some: HashSet<OperationId>,
}

impl Wishes {
    fn has(&self, id: OperationId) -> bool {
        self.all || self.some.contains(&id)
    }

    /// Does what a command says; returns the operation whose state is told at once, if any.
    fn hear(&mut self, command: &Command) -> Result<Option<OperationId>, String> {
        let number = || {
            let text = command.param.as_deref().unwrap_or_default();
            text.parse::<OperationId>()
                .map_err(|_| format!("'{}' is no number of an operation", super::failure::shown(text)))
        };
        match command.command.as_str() {
            "watch-operations" => self.all = true,
            "unwatch-operations" => self.all = false,
            "watch-operation" => {
                let id = number()?;
                if self.some.len() >= MOST_WATCHED {
                    return Err(format!(
                        "this line hears of {MOST_WATCHED} operations already; ask for all of them"
                    ));
                }
                self.some.insert(id);
                return Ok(Some(id));
            }
            "unwatch-operation" => {
                self.some.remove(&number()?);
            }
            // Nothing ever happens to what else a client may want to hear of.
            other if other.starts_with("watch-") || other.starts_with("unwatch-") => {}
            other => return Err(format!("'{}' is no command", super::failure::shown(other))),
        }
        Ok(None)
    }
}

struct Line {
    app: App,
    database: DatabaseName,
    wishes: Wishes,
    /// Whether every message is put into a list, as the studio of RavenDB asks.
    lists: bool,
    socket: WebSocket,
}

pub(crate) async fn of_database(
    State(app): State<App>,
    database: Named,
    query: Query,
    asked: Upgrade,
) -> Result<Response, Failure> {
    let lists = query.flag("throttleConnection").unwrap_or(false);
    upgrade(&app.clone(), asked, move |socket| async move {
        let line = Line { app, database: database.0, wishes: Wishes::default(), lists, socket };
        line.serve().await;
    })
}

impl Line {
    async fn serve(mut self) {
        let mut changes = self.app.service.subscribe();
        let mut stopping = self.app.stopping.clone();
        let mut heartbeat = heartbeat(HEARTBEAT);
        loop {
            let told = match next(&mut changes, &mut self.socket, &mut heartbeat, &mut stopping).await {
                Event::Changed(operation) => self.tell_of(&operation).await,
                Event::Lost => self.tell_all().await,
                Event::Quiet => send(&mut self.socket, Message::Ping(Bytes::new())).await,
                Event::Said(Message::Text(text)) => self.hear(text.as_bytes()).await,
                Event::Said(Message::Binary(bytes)) => self.hear(&bytes).await,
                Event::Said(_) => Some(()),
                Event::Over => None,
            };
            if told.is_none() {
                let _ = send(&mut self.socket, Message::Close(None)).await;
                return;
            }
        }
    }

    /// Does what a client says; several commands may come in one frame, one after another.
    async fn hear(&mut self, said: &[u8]) -> Option<()> {
        for command in serde_json::Deserializer::from_slice(said).into_iter::<Command>() {
            let command = match command {
                Ok(command) => command,
                Err(error) => {
                    let exception = format!("what was said is no command: {error}");
                    self.tell(&Change::Error { command_id: None, exception }).await?;
                    return Some(());
                }
            };
            match self.wishes.hear(&command) {
                Ok(now) => {
                    self.tell(&Change::Confirm { command_id: command.command_id }).await?;
                    // It may have ended before the client asked to hear of it.
                    if let Some(operation) = now.and_then(|id| self.app.service.operation(id).ok()) {
                        self.tell_of(&operation).await?;
                    }
                }
                Err(exception) => {
                    self.tell(&Change::Error { command_id: Some(command.command_id), exception }).await?;
                }
            }
        }
        Some(())
    }

    async fn tell_of(&mut self, operation: &Operation) -> Option<()> {
        if operation.database != self.database || !self.wishes.has(operation.id) {
            return Some(());
        }
        let value = StatusChange { operation_id: operation.id, state: state::state(operation) };
        self.tell(&Change::Status { value: Box::new(value) }).await
    }

    /// Tells how everything stands that the client hears of, since some changes were lost.
    async fn tell_all(&mut self) -> Option<()> {
        let ids: Vec<OperationId> = self.wishes.some.iter().copied().collect();
        for id in ids {
            if let Ok(operation) = self.app.service.operation(id) {
                self.tell_of(&operation).await?;
            }
        }
        Some(())
    }

    async fn tell(&mut self, change: &Change) -> Option<()> {
        let text = serde_json::to_string(change).ok()?;
        let text = if self.lists { format!("[{text}]") } else { text };
        send(&mut self.socket, Message::text(text)).await
    }
}
