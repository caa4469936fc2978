//! A database file with scattered changed pages: how much more than those pages does the next backup store?

use crate::Failure;
use crate::backup;
use crate::cost;
use larder_model::{Cancel, Counters, Entry, EntryKind, Metadata};
use larder_repository::{BackupSummary, BackupWriter, Repository, Seal};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

const PAGE_BYTES: usize = 4096;
const PAGES: usize = 128 << 10;
/// One page in so many changes between the two backups.
const CHANGED_EVERY: usize = 100;

/// Numbers that look random and are the same in every run (xorshift64*, by Vigna).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Fills a page as a table's leaf is filled: rows of a key, a few words, a number and a hash, from the end towards the front.
fn fill(page: &mut [u8], numbers: &mut Numbers) -> Result<(), Failure> {
    const WORDS: [&str; 16] = [
        "alpha", "order", "paid", "open", "Berlin", "Lyon", "invoice", "customer", "shipped", "returned",
        "small", "large", "red", "green", "blue", "express",
    ];
    let word = |bits: u64| WORDS[usize::try_from(bits & 15).unwrap_or(0)];
    let mut rows = Vec::with_capacity(PAGE_BYTES + 200);
    while rows.len() < PAGE_BYTES * 9 / 10 {
        let bits = numbers.next();
        let (a, b, c) = (word(bits), word(bits >> 4), word(bits >> 8));
        write!(rows, "{:08}{a} {b} {c}{:06}{:016x}", bits % 90_000_000, bits % 999_983, numbers.next())?;
    }
    page.fill(0);
    let length = rows.len().min(PAGE_BYTES - 64);
    page[PAGE_BYTES - length..].copy_from_slice(&rows[..length]);
    Ok(())
}

fn back_up(target: &Repository, file: &[u8]) -> Result<BackupSummary, Failure> {
    let counters = Arc::new(Counters::default());
    let targets = std::slice::from_ref(target);
    let mut writer = BackupWriter::start(targets, backup::options(0), Cancel::new(), counters)?;
    let metadata = Metadata { size: file.len() as u64, ..Metadata::default() };
    let entry = Entry { name: b"database.sqlite".to_vec(), kind: EntryKind::File, metadata };
    let page_bytes = u32::try_from(PAGE_BYTES)?;
    writer.stream(entry, &mut &*file, Some(page_bytes))?;
    Ok(writer.finish(Seal::default())?)
}

/// Backs up, changes one page in a hundred, backs up again, and prints what each stored.
pub(crate) fn run(scratch: &Path) -> Result<(), Failure> {
    let runtime = backup::runtime()?;
    let destination = scratch.join("repository");
    let targets = backup::repositories(runtime.handle(), &[&destination.to_string_lossy()])?;
    let Some(target) = targets.first() else { return Ok(()) };
    let mut numbers = Numbers(1);
    let mut file = vec![0; PAGE_BYTES * PAGES];
    for page in file.as_chunks_mut::<PAGE_BYTES>().0 {
        fill(page, &mut numbers)?;
    }
    let first = back_up(target, &file)?;
    let mut changed = std::collections::BTreeSet::new();
    while changed.len() < PAGES / CHANGED_EVERY {
        changed.insert(usize::try_from(numbers.next() % PAGES as u64)?);
    }
    for number in &changed {
        fill(&mut file[number * PAGE_BYTES..][..PAGE_BYTES], &mut numbers)?;
    }
    let second = back_up(target, &file)?;
    let stored =
        |summary: &BackupSummary| summary.targets.iter().map(|target| target.bytes_stored).sum::<u64>();
    println!("pages of {PAGE_BYTES} bytes in the file: {PAGES}, changed: {}", changed.len());
    println!("bytes of the file: {}, of the changed pages: {}", file.len(), changed.len() * PAGE_BYTES);
    println!("first backup: {} blobs, {} bytes stored", first.data_blobs_new, stored(&first));
    println!(
        "second backup: {} blobs of {} bytes new, {} bytes stored",
        second.data_blobs_new,
        second.bytes_new,
        stored(&second)
    );
    println!("peak memory, with {} MiB of the file itself: {:.0} MiB", file.len() >> 20, cost::peak_mib()?);
    fs::remove_dir_all(&destination)?;
    Ok(())
}
