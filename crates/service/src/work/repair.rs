//! A repair that somebody asks for: what is damaged comes from another destination, the index is made anew, and what is lost
//! for good is named, file by file.

use crate::error::ServiceError;
use crate::job::{Done, Verdict};
use crate::request::{DamagedBackups, RepairRequest};
use crate::staging::Staging;
use crate::work::loss_list::LossList;
use crate::work::vault::Vault;
use crate::work::{Order, Place};
use larder_model::Database;
use larder_model::operation::DestinationOutcome;
use larder_repository::{Loss, Remedy, RepairOptions, RepairReport, Repaired, Repository};
use larder_storage::{Local, Storage};
use std::sync::Arc;

/// How many damaged objects are named.
const NAMED: usize = 90;

/// Repositories to be mended.
#[derive(Debug)]
pub(crate) struct Repair {
    pub(crate) database: Arc<Database>,
    /// Those that are to be mended.
    pub(crate) places: Vec<Place>,
    /// Every place of the database.
    pub(crate) all: Vec<Place>,
    pub(crate) request: RepairRequest,
}

/// A repository of the database, as far as it opens.
struct Opened<'a> {
    place: &'a Place,
    vault: Result<Vault, ServiceError>,
    /// What was made anew so that it opens.
    made: Vec<Repaired>,
}

impl Repair {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let mut done = Done::default();
        let mut failed = Vec::new();
        let staging = match self.staging(order) {
            Ok(staging) => staging,
            Err(error) => return Done { verdict: Verdict::Faulted(error.to_string()), ..done },
        };
        let open = self.open(order, staging.as_ref());
        for place in &self.places {
            let destination = place.destination.name.clone();
            let mended = self.mend(order, place, &open, staging.as_ref(), &mut done);
            if order.live.cancel.is_canceled() {
                return Done { verdict: Verdict::Canceled, ..done };
            }
            let error = mended.err().map(|error| error.to_string());
            failed.extend(error.iter().map(|error| format!("{destination}: {error}")));
            done.destinations.push(DestinationOutcome {
                destination,
                error,
                ..DestinationOutcome::default()
            });
        }
        done.verdict = match failed.is_empty() {
            true => Verdict::Completed,
            false => {
                let name = &self.database.name;
                Verdict::Faulted(format!("the repair of {name} is not complete: {}", failed.join("; ")))
            }
        };
        done
    }

    /// Makes the directory for what a dry run would write; it is gone at the end.
    fn staging(&self, order: &Order) -> Result<Option<Staging>, ServiceError> {
        match self.request.dry_run {
            true => Staging::create(&order.site.staging, order.id).map(Some),
            false => Ok(None),
        }
    }

    /// Opens every repository that can be opened; where one that is to be mended lacks what it takes, that is made anew.
    fn open(&self, order: &Order, staging: Option<&Staging>) -> Vec<Opened<'_>> {
        let first = |place| Opened { place, vault: order.site.open(place, &self.database), made: Vec::new() };
        let mut open: Vec<Opened<'_>> = self.all.iter().map(first).collect();
        // In the second round those help that were revived in the first.
        for round in 0..2 {
            for at in 0..open.len() {
                let place = open[at].place;
                let is_meant = self.places.iter().any(|meant| meant.destination == place.destination);
                if !is_meant || (round > 0 && open[at].vault.is_ok()) {
                    continue;
                }
                let others: Vec<&Vault> = open.iter().filter_map(|other| other.vault.as_ref().ok()).collect();
                let revived = scratch(staging, &format!("open-{at}-{round}")).and_then(|scratch| {
                    let cancel = &order.live.cancel;
                    order.site.open_or_revive(place, &self.database, &others, scratch, cancel)
                });
                match revived {
                    Ok((vault, made)) => open[at] = Opened { place, vault: Ok(vault), made },
                    Err(error) => open[at].vault = Err(error),
                }
            }
        }
        open
    }

    fn mend(
        &self,
        order: &Order,
        place: &Place,
        open: &[Opened<'_>],
        staging: Option<&Staging>,
        done: &mut Done,
    ) -> Result<(), ServiceError> {
        let name = &place.destination.name;
        let (own, others): (Vec<&Opened<'_>>, Vec<&Opened<'_>>) =
            open.iter().partition(|opened| opened.place.destination == place.destination);
        let (vault, made) = match own.first() {
            Some(Opened { vault: Ok(vault), made, .. }) => (vault, made.clone()),
            Some(Opened { vault: Err(error), .. }) => return Err(ServiceError::conflict(error.to_string())),
            None => {
                return Err(ServiceError::not_found("destination", name.clone(), "list the destinations"));
            }
        };
        if self.drops() {
            self.expect_own(order, vault)?;
        }
        let mut twins: Vec<Repository> = Vec::new();
        for opened in others {
            let other = &opened.place.destination;
            match &opened.vault {
                Ok(twin) if twin.repository.is_twin_of(&vault.repository) => {
                    twins.push(twin.repository.clone());
                }
                Ok(_) => done.messages.push(format!(
                    "{name}: nothing can be taken from {}, because it has another master key",
                    other.name
                )),
                Err(_) if !self.is_known(&other.spot.address) => {}
                Err(error) if self.drops() => {
                    return Err(ServiceError::conflict(format!(
                        "{} cannot be read, and what is lost here may be intact there, so nothing was dropped: {error}",
                        other.name
                    )));
                }
                Err(error) => {
                    done.messages.push(format!("{name}: nothing was taken from {}: {error}", other.name));
                }
            }
        }
        let options = RepairOptions {
            read_data: self.request.read_data,
            damaged_backups: match self.request.damaged_backups {
                DamagedBackups::Keep => larder_repository::DamagedBackups::Keep,
                DamagedBackups::Supplement => larder_repository::DamagedBackups::Supplement,
                DamagedBackups::Replace => larder_repository::DamagedBackups::Replace,
            },
            ..RepairOptions::default()
        };
        let mut losses = LossList::new(&order.site.reports.join(format!("repair-{}.txt", order.id)));
        let mut note = |loss| losses.add(name, loss);
        let (repository, cancel, counters) = (&vault.repository, &order.live.cancel, &order.live.counters);
        let mut report = match scratch(staging, &format!("repair-{}", done.destinations.len()))? {
            Some(scratch) => {
                repository.rehearse_repair(scratch, &twins, &options, &mut note, cancel, counters)?
            }
            None => repository.repair(&twins, &options, &mut note, cancel, counters)?,
        };
        report.objects.splice(..0, made);
        self.tell(name, &report, &losses.named, &mut done.messages);
        done.messages.extend(losses.finish().map(|told| format!("{name}: {told}")));
        if !self.request.dry_run {
            done.removed.extend(report.removed.iter().cloned());
        }
        let (keeps, wrong) = (self.request.damaged_backups == DamagedBackups::Keep, left(&report));
        if report.losses > 0 && keeps {
            return Err(ServiceError::conflict(format!(
                "{} of {} lost for good, as the operation's messages list; make a full backup, and have the damaged backups replaced by what is left of them once nobody needs them as they are",
                match report.losses {
                    1 => "1 file or directory".to_owned(),
                    count => format!("{count} files and directories"),
                },
                match report.damaged_backups.len() {
                    1 => "1 backup is".to_owned(),
                    count => format!("{count} backups are"),
                },
            )));
        }
        if let Some(object) = wrong {
            return Err(ServiceError::conflict(format!(
                "{object} stays damaged, because no destination has it intact; no file is lost with it where none is named"
            )));
        }
        if !self.request.dry_run {
            done.mended.push(place.destination.spot.address.clone());
        }
        Ok(())
    }

    /// Refuses to remove backups where another installation writes, too: they may be its own.
    fn expect_own(&self, order: &Order, vault: &Vault) -> Result<(), ServiceError> {
        let root = order.site.connections.open(&vault.place.destination.spot)?;
        let writers = order.site.writers(&*root, &self.database.name)?;
        let (found, _) = vault.readable_snapshots(&order.site, &order.live.cancel)?;
        if writers.others.is_empty() && !found.iter().any(|found| order.site.is_others(found)) {
            return Ok(());
        }
        Err(ServiceError::conflict(
            "another installation writes to the same repository, so no backup is removed there; repair it without replacing damaged backups",
        ))
    }

    fn is_known(&self, address: &str) -> bool {
        self.all.iter().any(|place| place.destination.spot.address == address && place.database_known)
    }

    /// Says whether something may be gone for good afterwards.
    fn drops(&self) -> bool {
        self.request.damaged_backups == DamagedBackups::Replace && !self.request.dry_run
    }

    /// Says what was done, or would be.
    fn tell(&self, name: &str, report: &RepairReport, losses: &[Loss], messages: &mut Vec<String>) {
        if *report == RepairReport::default() {
            messages.push(format!("{name}: nothing is damaged, so nothing was changed"));
            return;
        }
        let (was, were) = if self.request.dry_run { ("would be", "would be") } else { ("was", "were") };
        for object in report.objects.iter().take(NAMED) {
            messages.push(format!(
                "{name}: {}: {}; {}",
                object.object,
                object.cause,
                remedy(object, was, were)
            ));
        }
        let more = report.objects.len().saturating_sub(NAMED);
        if more > 0 {
            messages.push(format!("{name}: … and {more} more damaged objects"));
        }
        for (count, what) in [
            (report.packs_fetched, "packs that no index named any more {} brought from another destination"),
            (report.packs_found, "packs that no index named {} named again"),
            (report.packs_written, "packs {} written with what was saved"),
            (report.indexes_written, "index objects {} written anew"),
            (report.indexes_removed, "outdated index objects {} removed"),
        ] {
            if count > 0 {
                messages.push(format!("{name}: {count} {}", what.replace("{}", were)));
            }
        }
        for loss in losses {
            messages.push(format!("{name}: lost of backup {}: {}", loss.snapshot.short(), loss.path));
        }
        let more = report.losses.saturating_sub(losses.len() as u64);
        if more > 0 {
            messages.push(format!("{name}: … and {more} more lost files and directories"));
        }
        for (old, new) in &report.rewritten {
            let new = new.short();
            messages.push(format!("{name}: what is left of backup {} {was} kept as {new}", old.short()));
        }
        for removed in &report.removed {
            messages.push(format!("{name}: the damaged backup {} {was} removed", removed.short()));
        }
    }
}

/// Makes a place for what a dry run would write.
fn scratch(staging: Option<&Staging>, folder: &str) -> Result<Option<Arc<dyn Storage>>, ServiceError> {
    match staging {
        Some(staging) => Ok(Some(Arc::new(Local::create(staging.path().join(folder))?))),
        None => Ok(None),
    }
}

fn remedy(object: &Repaired, was: &str, were: &str) -> String {
    match &object.remedy {
        Remedy::Refetched { from } => format!("it {was} fetched again from {from}"),
        Remedy::Salvaged { kept_blobs, lost_blobs: 0 } => {
            format!("all {kept_blobs} blobs of it {were} saved")
        }
        Remedy::Salvaged { kept_blobs, lost_blobs } => {
            format!("{kept_blobs} blobs of it {were} saved, and {lost_blobs} are lost")
        }
        Remedy::Rebuilt => format!("what it said {was} read from the packs"),
        Remedy::Remade => format!("it {was} made anew"),
        Remedy::Removed => format!("another one opens the repository, so it {was} removed"),
        Remedy::None => "nobody has it intact, so it stays as it is".to_owned(),
    }
}

/// Returns a snapshot that is damaged and that nobody has intact; a pack that stays so is waste for the next prune.
fn left(report: &RepairReport) -> Option<&str> {
    let stays =
        report.objects.iter().find(|one| one.remedy == Remedy::None && !one.object.starts_with("data/"));
    stays.map(|one| one.object.as_str())
}
