//! Backups of days that are past, written into a repository as the server writes them.

use super::Site;
use jiff::{SignedDuration, Timestamp};
use larder_model::{Cancel, Counters, Entry, EntryKind, Metadata, Secret};
use larder_repository::{BackupOptions, BackupWriter, Credentials, FileContent, Repository, Seal};
use larder_storage::Local;
use larder_testbed::{ManualClock, Random};
use std::io::{self, Cursor, Read};
use std::sync::Arc;

struct Bytes(Vec<u8>);

impl FileContent for Bytes {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0)))
    }

    fn display_path(&self) -> String {
        "made by the test".to_owned()
    }
}

/// Adds a backup of each age, in hours, to what the newest backup of a database says of itself; every seventh is full.
///
/// Blocks, and must not be called on an async thread.
pub(crate) fn write_history(site: &Site, folder: &str, database: &str, ages_hours: &[i64]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let key = std::fs::read_to_string(site.data().join("key")).unwrap();
    let credentials = Credentials::Password(Secret::new(key.trim().to_owned()));
    let storage = Arc::new(Local::open(site.directory.join(folder).join(database)).unwrap());
    let now = Timestamp::now();
    let clock = Arc::new(ManualClock::starting(&now.to_string()));
    let repository = Repository::open(runtime.handle(), storage, &credentials, clock).unwrap();
    let newest = repository.snapshots().unwrap().into_iter().max_by_key(|one| one.time).unwrap();
    let mut random = Random::new(11);
    for (number, hours) in ages_hours.iter().enumerate() {
        let time = now.checked_sub(SignedDuration::from_hours(*hours)).unwrap();
        let mut options = BackupOptions::new(time.to_zoned(jiff::tz::TimeZone::UTC));
        options.hostname.clone_from(&newest.hostname);
        options.paths.clone_from(&newest.paths);
        let kind = if number % 7 == 0 { "kind=full" } else { "kind=incremental" };
        let other =
            newest.tags.iter().filter(|tag| !tag.starts_with("kind=") && !tag.starts_with("operation="));
        options.tags = other.cloned().chain([kind.to_owned()]).collect();
        let mut writer = BackupWriter::start(
            std::slice::from_ref(&repository),
            options,
            Cancel::new(),
            Arc::new(Counters::default()),
        )
        .unwrap();
        let bytes = random.bytes(2_000 + 300 * number);
        let metadata = Metadata { mode: 0o644, size: bytes.len() as u64, links: 1, ..Metadata::default() };
        let entry = Entry { name: b"readme.txt".to_vec(), kind: EntryKind::File, metadata };
        writer.file(entry, Box::new(Bytes(bytes))).unwrap();
        writer.finish(Seal::default()).unwrap();
    }
}
