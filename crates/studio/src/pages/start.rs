//! Getting started: from nothing to a backup that was restored and compared, one step after the other on one page. How far
//! somebody has come is read from what there is, so that the page can be left and opened again at any time.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::form::source::SourceForm;
use crate::frame::{Frame, Here};
use crate::pages::draft::Draft;
use crate::state::{self, Mark, urgency};
use crate::words::Work;
use askama::Template;
use axum::extract::State;
use larder_model::human;
use larder_model::task::RetentionPolicy;
use larder_model::{OperationStatus, ServerWideBackupConfiguration, TimeSpan};
use larder_service::{DatabaseView, Health, OperationFilter};

/// How many databases are listed.
const LISTED: usize = 12;

/// A plan that most can begin with.
struct Plan {
    sentence: &'static str,
    json: String,
}

struct Row {
    name: String,
    mark: Mark,
    reason: Option<String>,
    last: Option<Moment>,
    can_be_proved: bool,
}

#[derive(Template)]
#[template(path = "start.html")]
struct Start {
    frame: Frame,
    sources: Vec<String>,
    errors: Vec<(String, String)>,
    found: String,
    form: SourceForm,
    after: &'static str,
    plans: Vec<Plan>,
    draft: Draft,
    task: Option<String>,
    places: String,
    key_file: String,
    has_begun: bool,
    running: Vec<Work>,
    rows: Vec<Row>,
    hidden: usize,
    /// A database and what of its backup was compared.
    proof: Option<(String, String)>,
}

fn plan(name: &str, full: &str, incremental: &str) -> ServerWideBackupConfiguration {
    let mut task = ServerWideBackupConfiguration::default();
    task.periodic.name = name.to_owned();
    task.periodic.full_backup_frequency = Some(full.to_owned());
    task.periodic.incremental_backup_frequency = Some(incremental.to_owned());
    task.periodic.retention_policy = Some(RetentionPolicy {
        minimum_backup_age_to_keep: Some(TimeSpan::from_days(14)),
        keep_weekly: Some(8),
        keep_monthly: Some(12),
        ..RetentionPolicy::default()
    });
    task
}

fn plans() -> [(&'static str, ServerWideBackupConfiguration); 3] {
    [
        (
            "Every night at 2 what changed, and on Sundays everything anew.",
            plan("Nightly", "0 2 * * 0", "0 2 * * *"),
        ),
        (
            "Every 4 hours what changed, and on Sundays everything anew.",
            plan("Every 4 hours", "0 2 * * 0", "0 */4 * * *"),
        ),
        (
            "Every hour what changed, and on Sundays everything anew.",
            plan("Hourly", "0 2 * * 0", "0 * * * *"),
        ),
    ]
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let face = studio.face();
    let service = &studio.service;
    let mut views = service.databases();
    // What has most in it is worth most as a proof.
    let weight = |view: &DatabaseView| {
        let last = service.ended_backups(&view.database.name, 1).pop();
        last.map_or(0, |operation| operation.progress.bytes_done)
    };
    views.sort_by_cached_key(|view| (urgency(view.health), std::cmp::Reverse(weight(view))));
    let sources: Vec<String> = service.sources().into_iter().map(|source| source.name.to_string()).collect();
    let tasks = service.tasks();
    let unfinished = |status| OperationFilter { status: Some(status), ..OperationFilter::default() };
    let mut running = service.operations(&unfinished(OperationStatus::InProgress));
    running.extend(service.operations(&unfinished(OperationStatus::Queued)));
    let plans = plans();
    page(&Start {
        frame: studio.frame(Here::Elsewhere, "Getting started"),
        found: format!(
            "{} in {}.",
            human::count(views.len(), "database"),
            human::count(sources.len(), "source")
        ),
        errors: service
            .overview()
            .source_errors
            .into_iter()
            .map(|(source, error)| (source.to_string(), error))
            .collect(),
        form: SourceForm::new(service, None),
        after: "/studio/start",
        draft: Draft::of(&studio, &plans[0].1),
        plans: plans
            .into_iter()
            .map(|(sentence, task)| Plan { sentence, json: serde_json::to_string(&task).unwrap_or_default() })
            .collect(),
        task: tasks.first().map(|task| task.periodic.name.clone()),
        places: places(&views),
        key_file: studio.key_file.display().to_string(),
        has_begun: !running.is_empty() || views.iter().any(|view| view.last_operation.is_some()),
        running: running.iter().map(|operation| Work::new(operation, &face)).collect(),
        proof: proof(&studio, &views).await,
        hidden: views.len().saturating_sub(LISTED),
        rows: views
            .iter()
            .take(LISTED)
            .map(|view| Row {
                name: view.database.name.to_string(),
                mark: state::of_health(view.health),
                reason: (urgency(view.health) < 4).then(|| view.reason.clone()),
                last: view.last_good_backup.as_ref().map(|last| face.moment(last.time)),
                can_be_proved: view.health == Health::Good,
            })
            .collect(),
        sources,
    })
}

/// Says where the backups go.
fn places(views: &[DatabaseView]) -> String {
    let first = views.iter().find_map(|view| Some((view, view.destinations.first()?)));
    first.map_or(String::new(), |(view, destination)| {
        let root = destination.address.trim_end_matches(view.database.name.as_str()).trim_end_matches('/');
        format!("They go to {root}.")
    })
}

/// Finds a backup that was restored and compared, the one looked at first.
async fn proof(studio: &Studio, views: &[DatabaseView]) -> Option<(String, String)> {
    let verified = views.iter().find(|view| view.health == Health::Verified)?;
    let last = verified.last_good_backup.as_ref()?;
    let found = studio.service.verification(&last.id).await.ok().flatten()?;
    Some((verified.database.name.to_string(), found.compared))
}
