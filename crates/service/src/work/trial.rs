//! Whether a destination lets itself be used: tried with one small object.

use crate::connections::random;
use crate::core::Core;
use crate::spot::Spot;
use crate::validation::try_folder;
use crate::view::{DestinationTest, TestStep};
use crate::work::owners::notes;
use crate::work::placing::Aim;
use larder_storage::{Probe, ProbeOutcome, ProbeReport, Storage, StorageError};
use std::sync::Arc;

/// Tries one destination of a task.
pub(crate) async fn aim(core: &Core, aim: Aim) -> DestinationTest {
    match aim.spot {
        Ok(spot) => DestinationTest { name: aim.name, ..of_spot(core, &spot).await },
        Err(cause) => {
            let error = Some(cause);
            DestinationTest { error, ..DestinationTest::new(aim.name, aim.kind, None) }
        }
    }
}

/// Tries a destination. Nothing is repeated that fails: somebody waits for the answer.
pub(crate) async fn of_spot(core: &Core, spot: &Spot) -> DestinationTest {
    let mut test =
        DestinationTest::new(spot.kind().long_name().to_owned(), spot.kind(), Some(spot.address.clone()));
    if let Some(directory) = spot.directory().filter(|directory| !directory.exists()) {
        // The first backup makes it; where one made it before, it is a fault that it is gone.
        let known = core.catalog().known_roots().contains(&spot.address);
        let tried =
            match known {
                true => Err("backups were written there, and now it is gone; check that its disk is mounted"
                    .to_owned()),
                false => try_folder(directory.to_owned()).await,
            };
        test.works = tried.is_ok();
        test.error = tried.err().map(|cause| format!("'{}': {cause}", directory.display()));
        return test;
    }
    let storage: Arc<dyn Storage> = match core.connections.open_impatiently(spot) {
        Ok(storage) => storage,
        Err(error) => return DestinationTest { error: Some(error.to_string()), ..test },
    };
    let report = Probe::new(random()).run(&*storage).await;
    show(&report, &mut test);
    // Only worth asking where listing works; who else is there is no part of the verdict.
    if test.works
        && let Ok(notes) = notes(&*storage).await
    {
        let own = &core.settings.identifier;
        test.other_installations = notes.installations.into_iter().filter(|one| one != own).collect();
    }
    test
}

fn show(report: &ProbeReport, test: &mut DestinationTest) {
    test.works = report.works();
    test.error = (!report.works()).then(|| report.to_string());
    test.missing = report.missing().map(|act| act.right().to_owned()).collect();
    let words = |error: &StorageError| error.to_string();
    test.steps = report
        .steps
        .iter()
        .map(|step| TestStep {
            right: step.act.right().to_owned(),
            works: match step.outcome {
                ProbeOutcome::Works => Some(true),
                ProbeOutcome::Refused(_) | ProbeOutcome::Failed(_) => Some(false),
                ProbeOutcome::NotTried => None,
            },
            error: match &step.outcome {
                ProbeOutcome::Refused(error) | ProbeOutcome::Failed(error) => Some(words(error)),
                ProbeOutcome::Works | ProbeOutcome::NotTried => None,
            },
        })
        .collect();
}
