//! The new index: what was found is named, what is at fault is named no more, and the outdated objects go last.

use super::packs::Found;
use super::survey::{Survey, read_index};
use super::{Remedy, Repair, RepairReport};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index_writer::IndexWriter;
use crate::layout::ObjectKind;
use crate::prune::pack_bytes;

/// Writes index objects for packs that were found and for sound ones that only outdated objects name; then removes those.
pub(super) fn rebuild(
    repair: &Repair<'_>,
    survey: &Survey,
    found: Found,
    report: &mut RepairReport,
) -> Result<(), RepositoryError> {
    let guarded = &repair.guarded;
    let is_right =
        |number: &u32| survey.is_sound(*number) && !found.contains_key(&survey.packs[*number as usize].id);
    let mut covered = vec![false; survey.packs.len()];
    let mut outdated = Vec::new();
    for (id, packs) in &survey.indexes {
        if packs.iter().all(is_right) {
            packs.iter().for_each(|number| covered[*number as usize] = true);
        } else {
            outdated.push(*id);
        }
    }
    let mut writer = IndexWriter::new(guarded);
    for id in &outdated {
        for pack in read_index(guarded, id)?.packs {
            let Some(number) = survey.numbers.get(&pack.id) else { continue };
            if is_right(number) && !std::mem::replace(&mut covered[*number as usize], true) {
                writer.add(pack)?;
            }
        }
    }
    let mut sizes: Vec<(Id, u64)> = Vec::with_capacity(found.len());
    for (id, pack) in found {
        sizes.push((id, pack_bytes(&pack.blobs)));
        writer.add(pack)?;
    }
    report.indexes_written = writer.finish()?.len() as u64;
    // Before anything goes: what the new index names must be there.
    let listed = guarded.list(ObjectKind::Pack)?;
    if let Some((id, _)) = sizes.iter().find(|(id, bytes)| listed.get(id) != Some(bytes)) {
        let path = ObjectKind::Pack.path(id);
        return Err(
            guarded.doubtful(format!("{path} is not listed in its full size although it was just read"))
        );
    }
    outdated.extend(survey.bad_indexes.iter().map(|(id, _)| *id));
    if outdated.is_empty() {
        return Ok(());
    }
    guarded.remove(ObjectKind::Index, &outdated, || {})?;
    guarded.see_gone(ObjectKind::Index, &outdated)?;
    report.indexes_removed = outdated.len() as u64;
    for (id, cause) in &survey.bad_indexes {
        report.note(ObjectKind::Index, id, cause.clone(), Remedy::Rebuilt);
    }
    Ok(())
}
