//! The overview: one line in words, the strips of the databases that matter most, what runs and what comes.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::headline::{Headline, headline};
use crate::plot::bars;
use crate::state::{self, Mark, urgency};
use askama::Template;
use axum::extract::State;
use jiff::ToSpan;
use larder_model::human::size;
use larder_model::{OperationKind, OperationStatus};
use larder_service::{DatabaseView, OperationFilter};
use std::collections::HashMap;

/// How many databases are shown with their strips; the others have a page of their own.
const DATABASES: usize = 40;
/// How many coming runs are shown.
const NEXT_RUNS: usize = 8;
/// How many days the plot of what was added shows.
const DAYS: usize = 30;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    headline: Headline,
    shape: &'static str,
    counts: Vec<(Mark, usize)>,
    rows: Vec<Row>,
    hidden: usize,
    next: Vec<Run>,
    added: Option<String>,
    added_total: String,
    source_errors: Vec<(String, String)>,
    /// The last restore that was compared: of which database, when, and its operation.
    proof: Option<(String, Moment, u64)>,
}

struct Row {
    name: String,
    engine: &'static str,
    mark: Mark,
    reason: Option<String>,
    strip: String,
    last_good: Option<Moment>,
    next: Option<Moment>,
}

struct Run {
    database: String,
    kind: String,
    when: Moment,
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let overview = studio.service.overview();
    let face = studio.face();
    let mut views = studio.service.databases();
    // What needs a person comes first; the service has them in the order of names.
    views.sort_by_key(|view| urgency(view.health));
    let headline = headline(&overview);
    let next = studio.service.next_runs(None, NEXT_RUNS).unwrap_or_default();
    let (added, added_total) = added(&studio, &face);
    let mut counts: Vec<_> = overview.databases.iter().filter(|(_, count)| *count > 0).copied().collect();
    counts.sort_by_key(|(health, _)| urgency(*health));
    page(&Overview {
        frame: studio.frame(Here::Overview, headline.text.clone()),
        shape: state::of_health(headline.health).shape,
        counts: counts.into_iter().map(|(health, count)| (state::of_health(health), count)).collect(),
        proof: proof(&studio, &face),
        hidden: views.len().saturating_sub(DATABASES),
        rows: views.iter().take(DATABASES).map(|view| row(view, &studio, &face)).collect(),
        next: next
            .iter()
            .map(|run| Run {
                database: run.database.to_string(),
                kind: run.kind.to_string(),
                when: face.moment(run.begins),
            })
            .collect(),
        added,
        added_total,
        headline,
        source_errors: overview
            .source_errors
            .into_iter()
            .map(|(source, error)| (source.to_string(), error))
            .collect(),
    })
}

/// Finds the last restore that was compared, and was equal.
fn proof(studio: &Studio, face: &Face) -> Option<(String, Moment, u64)> {
    let filter = OperationFilter {
        kind: Some(OperationKind::Verify),
        status: Some(OperationStatus::Completed),
        limit: Some(1),
        ..OperationFilter::default()
    };
    let last = studio.service.operations(&filter).pop()?;
    Some((last.database.to_string(), face.moment(last.ended.unwrap_or(last.created)), last.id))
}

fn row(view: &DatabaseView, studio: &Studio, face: &Face) -> Row {
    Row {
        name: view.database.name.to_string(),
        engine: view.database.engine.as_str(),
        mark: state::of_health(view.health),
        reason: (urgency(view.health) < 4).then(|| view.reason.clone()),
        strip: studio.strip(view, face),
        last_good: view.last_good_backup.as_ref().map(|backup| face.moment(backup.time)),
        next: view.next_run.as_ref().map(|run| face.moment(run.begins)),
    }
}

/// Draws how many bytes were added in each of the last days; `None` where nothing was.
fn added(studio: &Studio, face: &Face) -> (Option<String>, String) {
    let today = face.now.to_zoned(face.zone.clone()).date();
    let days: Vec<_> =
        (0..DAYS).rev().filter_map(|back| today.checked_sub(i64::try_from(back).ok()?.days()).ok()).collect();
    let first = days.first().and_then(|day| day.to_zoned(face.zone.clone()).ok());
    let mut bytes: HashMap<_, u64> = HashMap::new();
    for (moment, added) in studio.service.added_since(first.map_or(face.now, |day| day.timestamp())) {
        *bytes.entry(moment.to_zoned(face.zone.clone()).date()).or_default() += added;
    }
    let of = |day| bytes.get(day).copied().unwrap_or(0);
    let total: u64 = days.iter().map(of).sum();
    if total == 0 {
        return (None, String::new());
    }
    let bars: Vec<bars::Bar> = days
        .iter()
        .map(|day| bars::Bar {
            #[allow(clippy::cast_precision_loss, reason = "a pixel does not need 53 bits")]
            value: of(day) as f64,
            shape: "plain",
            title: format!("{}: {}", day.strftime("%a %d %b"), size(of(day))),
            address: None,
        })
        .collect();
    let most = days.iter().map(of).max().unwrap_or(0);
    let about = format!("bytes added in each of the last {DAYS} days, {} in all", size(total));
    (Some(bars::draw(&bars, &format!("{} on the fullest day", size(most)), &about)), size(total))
}
