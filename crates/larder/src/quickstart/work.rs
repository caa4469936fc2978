//! Backs up each database, restores it into scratch and compares.

use crate::exit::Failure;
use crate::host::Host;
use crate::quickstart::plan::{Plan, TASK};
use crate::quickstart::report::{Report, Row};
use crate::show::progress::{Bars, announce};
use crate::show::screen::Screen;
use larder_model::{BackupKind, Operation, OperationId, OperationStatus};
use larder_service::BackupChoice;
use std::collections::BTreeMap;
use tokio::sync::broadcast::error::RecvError;

/// Backs up and verifies; every database gets a row, however it went.
pub(crate) async fn run(host: &Host, plan: Plan, screen: &Screen) -> Result<Report, Failure> {
    let databases = plan.databases;
    screen.remark(&announce(databases.len()));
    let mut bars = Bars::new(screen);
    let mut backups = Vec::new();
    for view in &databases {
        let kind = if view.last_good_backup.is_some() { BackupKind::Incremental } else { BackupKind::Full };
        backups.push(host.service.backup_now(view.database.name.as_str(), Some(TASK), kind).await?);
    }
    let made = wait(host, &backups, &mut bars).await?;
    let mut proofs = BTreeMap::new();
    for (view, id) in databases.iter().zip(&backups) {
        if made.get(id).is_some_and(|operation| operation.status == OperationStatus::Completed) {
            let proof = host.service.verify(view.database.name.as_str(), BackupChoice::Latest).await?;
            proofs.insert(*id, proof);
        }
    }
    let asked: Vec<OperationId> = proofs.values().copied().collect();
    let proved = wait(host, &asked, &mut bars).await?;
    let rows = databases.iter().zip(&backups).filter_map(|(view, id)| {
        let backup = made.get(id)?;
        let proof = proofs.get(id).and_then(|proof| proved.get(proof));
        Some(Row::new(view.database.engine, backup, proof))
    });
    Ok(Report::new(rows.collect(), plan.unsearched))
}

/// Waits until all have ended, and shows how far they are.
async fn wait(
    host: &Host,
    ids: &[OperationId],
    bars: &mut Bars<'_>,
) -> Result<BTreeMap<OperationId, Operation>, Failure> {
    let mut changes = host.service.subscribe();
    let mut ended = BTreeMap::new();
    for id in ids {
        let waiting = host.service.wait(*id);
        tokio::pin!(waiting);
        let operation = loop {
            tokio::select! {
                operation = &mut waiting => break operation?,
                change = changes.recv() => match change {
                    Ok(operation) if ids.contains(&operation.id) => bars.update(&operation),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break waiting.await?,
                },
            }
        };
        bars.update(&operation);
        ended.insert(*id, operation);
    }
    Ok(ended)
}
