//! One database: how it stands, what can be done, what it looked like, and why its tasks run or do not.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::plot::bars::{self, Bar};
use crate::sentences::schedule;
use crate::state::{self, Mark};
use crate::words::{Work, lasted, lasting};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Html;
use larder_model::Operation;
use larder_model::human::size;
use larder_service::{Decision, OperationFilter, TaskView};

/// How many backups the plots show.
const PLOTTED: usize = 60;
/// How many operations are listed.
const OPERATIONS: usize = 20;
/// How many decisions of each task are told.
const DECISIONS: usize = 12;

#[derive(Template)]
#[template(path = "database.html")]
struct Database {
    frame: Frame,
    name: String,
    engine: &'static str,
    source: String,
    locator: String,
    mark: Mark,
    reason: String,
    is_missing: bool,
    running: Option<u64>,
    tasks: Vec<Task>,
    stored: Option<String>,
    took: Option<String>,
    operations: Vec<Work>,
    decisions: Vec<Told>,
    destinations: Vec<(String, String)>,
}

struct Task {
    id: u64,
    name: String,
    server_wide: Option<String>,
    disabled: bool,
    schedule: String,
    next: Option<Moment>,
    delayed: bool,
    error: Option<String>,
}

struct Told {
    at: Moment,
    mark: Mark,
    reason: String,
    operation: Option<u64>,
}

pub(super) async fn show(State(studio): State<Studio>, Path(name): Path<String>) -> Page {
    let face = studio.face();
    let view = studio.service.database(&name).map_err(|error| studio.trouble(error))?;
    let name = view.database.name.to_string();
    let filter = OperationFilter {
        database: Some(name.clone()),
        limit: Some(OPERATIONS),
        ..OperationFilter::default()
    };
    let operations = studio.service.operations(&filter);
    let backups = studio.service.ended_backups(&view.database.name, PLOTTED);
    let proofs = studio.service.proofs(&backups);
    let marked = |(backup, proof)| {
        let mark = state::of_backup(&backup, proof);
        (backup, mark)
    };
    let backups: Vec<(Operation, Mark)> = backups.into_iter().zip(proofs).map(marked).collect();
    let mut decisions = Vec::new();
    for task in &view.tasks {
        // A task that went away in this moment has nothing to tell.
        let told = studio.service.decisions(&name, Some(&task.task.name), DECISIONS).await;
        decisions.extend(told.unwrap_or_default());
    }
    decisions.sort_by_key(|decision| std::cmp::Reverse(decision.at));
    page(&Database {
        frame: studio.frame(Here::Databases, name.clone()),
        engine: view.database.engine.as_str(),
        source: view.database.source.to_string(),
        locator: view.database.locator.clone(),
        mark: state::of_health(view.health),
        reason: view.reason.clone(),
        is_missing: view.database.missing_since.is_some(),
        running: view.running,
        tasks: view.tasks.iter().map(|task| told_task(task, &face)).collect(),
        stored: plot(&backups, &face, "bytes added", |operation| operation.progress.bytes_stored, size),
        took: plot(&backups, &face, "duration", |operation| lasted(operation, face.now), lasting),
        operations: operations.iter().map(|operation| Work::new(operation, &face)).collect(),
        decisions: decisions.iter().take(DECISIONS * 2).map(|one| told(one, &face)).collect(),
        destinations: view.destinations.into_iter().map(|one| (one.name, one.address)).collect(),
        name,
    })
}

/// The strip of a database with its words, for those who point at it.
pub(super) async fn strip(State(studio): State<Studio>, Path(name): Path<String>) -> Page {
    let view = studio.service.database(&name).map_err(|error| studio.trouble(error))?;
    Ok(Html(studio.told_strip(&view, &studio.face())))
}

fn told_task(view: &TaskView, face: &Face) -> Task {
    Task {
        id: view.task.task_id,
        name: view.task.name.clone(),
        server_wide: view.server_wide.clone(),
        disabled: view.task.disabled,
        schedule: schedule(&view.task),
        next: view.next_run.as_ref().map(|run| face.moment(run.begins)),
        delayed: view.next_run.as_ref().is_some_and(|run| run.original.is_some()),
        error: view.status.error.as_ref().map(|error| error.message.clone()),
    }
}

fn told(decision: &Decision, face: &Face) -> Told {
    Told {
        at: face.moment(decision.at),
        mark: state::of_verdict(decision.decision),
        reason: decision.reason.clone(),
        operation: decision.operation,
    }
}

/// Draws a value of the last backups; `None` where there are none.
fn plot(
    backups: &[(Operation, Mark)],
    face: &Face,
    about: &str,
    value: impl Fn(&Operation) -> u64,
    words: impl Fn(u64) -> String,
) -> Option<String> {
    let most = backups.iter().map(|(operation, _)| value(operation)).max()?;
    let bars: Vec<Bar> = backups
        .iter()
        .map(|(operation, mark)| {
            let when = face.short(operation.started.unwrap_or(operation.created));
            let kind = operation.backup_kind.map_or(String::new(), |kind| format!(" {kind}"));
            Bar {
                #[allow(clippy::cast_precision_loss, reason = "a pixel does not need 53 bits")]
                value: value(operation) as f64,
                shape: mark.shape,
                title: format!("{when}{kind}: {}, {}", words(value(operation)), mark.word),
                address: Some(format!("/studio/operations/{}", operation.id)),
            }
        })
        .collect();
    let about = format!("{about} of the last {} backups, at most {}", bars.len(), words(most));
    Some(bars::draw(&bars, &format!("{} at most", words(most)), &about))
}
