//! Opens a repository with rustic's engine, reads every byte of it, and restores every backup in it.
//!
//!     larder-judge-rustic <repository> <target>        the password comes in RESTIC_PASSWORD
//!
//! Each backup is restored into `<target>/<its full name>`. Ends with 0 only where rustic found nothing wrong, not even a
//! warning; whoever calls compares what was restored.

mod directory;

use anyhow::{Context, Result, bail};
use directory::Directory;
use rustic_core::{
    CheckOptions, Credentials, LocalDestination, LsOptions, Repository, RepositoryBackends,
    RepositoryOptions, RestoreOptions,
};
use std::path::Path;
use std::sync::Arc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, target] = arguments.as_slice() else {
        bail!("give the repository and a directory to restore into");
    };
    let password = std::env::var("RESTIC_PASSWORD").context("RESTIC_PASSWORD holds the password")?;
    let backends = RepositoryBackends::new(Arc::new(Directory::new(repository)), None);
    let options = RepositoryOptions::default().no_cache(true);
    let repository = Repository::new(&options, &backends)?.open(&Credentials::password(password))?;

    let found = repository.check(CheckOptions::default().read_data(true))?;
    if !found.0.is_empty() {
        bail!("rustic's check found {:#?}", found.0);
    }
    let repository = repository.to_indexed()?;
    let snapshots = repository.get_all_snapshots()?;
    if snapshots.is_empty() {
        bail!("there is no backup to judge");
    }
    for snapshot in &snapshots {
        let target = Path::new(target).join(snapshot.id.to_string());
        let target = target.to_str().context("the target's path is text")?;
        let root = repository.node_from_snapshot_and_path(snapshot, "")?;
        let destination = LocalDestination::new(target, true, false)?;
        let options = RestoreOptions::default().verify_existing(true);
        let entries = repository.ls(&root, &LsOptions::default())?;
        let plan = repository.prepare_restore(&options, entries.clone(), &destination, false)?;
        repository.restore(plan, &options, entries, &destination)?;
    }
    println!("rustic found nothing wrong and restored {} backups", snapshots.len());
    Ok(())
}
