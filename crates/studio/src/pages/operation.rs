//! One operation, from beginning to end.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::words::Work;
use askama::Template;
use axum::extract::{Path, State};
use larder_model::{Operation, OperationKind, OperationStatus};
use larder_service::Verification;

/// What was proved of a backup.
struct Proof {
    compared: String,
    changed_since: u64,
    differences: Vec<String>,
}

impl Proof {
    fn of(verification: Verification) -> Self {
        Self {
            compared: verification.compared,
            changed_since: verification.changed_since,
            differences: verification.differences,
        }
    }
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage {
    frame: Frame,
    work: Work,
    asked: Moment,
    proof: Option<Proof>,
    /// What is not lost, where it failed.
    safe: Option<String>,
    /// A restore that went well can be followed by a proof of the backup.
    offers_proof: Option<String>,
}

pub(super) async fn show(State(studio): State<Studio>, Path(id): Path<u64>) -> Page {
    let face = studio.face();
    let operation = studio.service.operation(id).map_err(|error| studio.trouble(error))?;
    let work = Work::new(&operation, &face);
    let backup = operation.destinations.iter().find_map(|outcome| outcome.backup.clone());
    let mut proof = None;
    if let (OperationKind::Verify, Some(backup)) = (operation.kind, &backup) {
        let found = studio.service.verification(backup).await.map_err(|error| studio.trouble(error))?;
        proof = found.filter(|found| found.operation == id).map(Proof::of);
    }
    let done = operation.status == OperationStatus::Completed;
    let provable = matches!(operation.kind, OperationKind::Backup | OperationKind::Restore);
    page(&OperationPage {
        frame: studio.frame(Here::Operations, format!("{} of {}", work.what, work.database)),
        asked: face.moment(operation.created),
        safe: safe(&studio, &operation, &face),
        proof,
        offers_proof: backup.filter(|_| done && provable).map(|backup| backup.to_string()),
        work,
    })
}

/// Says what is still to be had where an operation did not come to its end.
fn safe(studio: &Studio, operation: &Operation, face: &Face) -> Option<String> {
    if !matches!(operation.status, OperationStatus::Faulted | OperationStatus::Canceled) {
        return None;
    }
    let view = studio.service.database(operation.database.as_str()).ok()?;
    Some(match view.last_good_backup {
        Some(last) => {
            let made = face.moment(last.time);
            format!(
                "What was stored before is as it was: the last good backup is of {} ({}).",
                made.exact, made.words
            )
        }
        None => "There is no good backup of this database yet.".to_owned(),
    })
}
