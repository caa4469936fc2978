//! After a backup: the locks of what backups need are extended before they end, where the destination locks what is written.

use crate::work::Order;
use crate::work::part::Part;
use larder_model::Counters;
use std::time::Duration;

/// A lock must last for this time at least, however often backups are made: a server may be down for a while.
const LEAST: Duration = Duration::from_secs(3 * 24 * 3600);

/// Extends what may end before the next backup but one, whatever came of this one: those before it are needed. What goes
/// wrong takes nothing from the backup just made: it is told, and tried again after the next one.
pub(crate) fn apply(order: &Order, parts: &[Part], messages: &mut Vec<String>) {
    let parts = parts.iter().take_while(|_| !order.live.cancel.is_canceled());
    parts.for_each(|part| extend(order, part, messages));
}

fn extend(order: &Order, part: &Part, messages: &mut Vec<String>) {
    let place = &part.vault.place.destination.name;
    // The time between backups is what it was between the last two.
    let gap = part.last_good(order).map_or(Duration::ZERO, |found| {
        Duration::try_from(order.started.duration_since(found.snapshot.time)).unwrap_or(Duration::ZERO)
    });
    let next = gap.saturating_mul(2).max(LEAST);
    // Counters of its own: this is no progress of the backup.
    match part.vault.repository.protect(next, &order.live.cancel, &Counters::default()) {
        Ok(protection) if protection.extended == 0 => {}
        Ok(protection) => {
            let until = protection.until.map(|until| format!(", until {until}")).unwrap_or_default();
            messages.push(format!("{place}: {} locks extended{until}", protection.extended));
        }
        Err(error) => messages.push(format!("{place}: locks could not be extended yet: {error}")),
    }
}
