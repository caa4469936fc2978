//! Compares restored objects with their backup.

use super::backup::{OBJECTS, SUM};
use super::keys::key_of;
use super::place::Place;
use super::properties;
use super::restore::for_each_file;
use super::store::{Bucket, Buckets, Trouble};
use super::sum::Sum;
use crate::engine::{CompareJob, Comparison, RestoreTarget};
use crate::error::EngineError;
use crate::files::{count_files, open_regular};
use crate::sink::{BackupReader, ListedEntry};
use crate::words::{count, grouped, plain};
use larder_model::{Cancel, Source};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// As many differences are named one by one; more are counted.
const NAMED: usize = 100;
const BLOCK_BYTES: usize = 256 << 10;

/// Where restored objects are.
enum Restored<'a> {
    Files(&'a Path),
    Bucket(Place, Bucket),
}

pub(super) fn compare(
    buckets: &Buckets,
    job: &CompareJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    let restored = match job.restored {
        RestoreTarget::Path(path) => Restored::Files(path),
        RestoreTarget::Server { source, name } => open(buckets, source, name, job.cancel)?,
    };
    let mut check =
        Check { restored, cancel: job.cancel, sum: Sum::default(), differences: Vec::new(), unnamed: 0 };
    for_each_file(backup, &mut |listed| check.object(listed, backup))?;
    check.finish(job)
}

fn open<'a>(
    buckets: &Buckets,
    source: &Source,
    name: &str,
    cancel: &Cancel,
) -> Result<Restored<'a>, EngineError> {
    let place = Place::of(source)?.beside(name)?;
    let bucket = buckets.open(source, &place, cancel)?;
    Ok(Restored::Bucket(place, bucket))
}

struct Check<'a> {
    restored: Restored<'a>,
    cancel: &'a Cancel,
    sum: Sum,
    differences: Vec<String>,
    unnamed: u64,
}

impl Check<'_> {
    fn differ(&mut self, what: String) {
        if self.differences.len() < NAMED {
            self.differences.push(what);
        } else {
            self.unnamed += 1;
        }
    }

    fn object(&mut self, listed: &ListedEntry, backup: &dyn BackupReader) -> Result<(), EngineError> {
        self.cancel.check()?;
        let key = key_of(&listed.path);
        let head = properties::head(key.clone(), &listed.entry);
        self.sum.add(&key, &head);
        let restored: Box<dyn Read> = match &self.restored {
            Restored::Files(root) => match open_regular(&root.join(OsStr::from_bytes(&listed.path))) {
                Ok(file) => Box::new(file),
                Err(error) => {
                    self.differ(format!("{key}: was not restored: {}", plain(error)));
                    return Ok(());
                }
            },
            Restored::Bucket(place, bucket) => {
                let mut there = head.clone();
                there.key = format!("{}{key}", place.prefix);
                match bucket.read(&there) {
                    Ok(body) => {
                        if body.head.properties.iter().ne(head.properties.iter()) {
                            self.differ(format!("{key}: has another type, or other words about it"));
                        }
                        Box::new(body)
                    }
                    Err(Trouble::Storage(error)) if error.is_not_found() => {
                        self.differ(format!("{key}: was not restored: {}", error.cause));
                        return Ok(());
                    }
                    Err(trouble) => return Err(place.failed(&format!("reading '{key}' of"), trouble)),
                }
            }
        };
        let stored = backup.open(&listed.path)?;
        match first_difference(restored, stored, self.cancel)? {
            Ok(None) => {}
            Ok(Some(offset)) => {
                self.differ(format!("{key}: differs from the backup from byte {} on", grouped(offset)));
            }
            Err(error) => self.differ(format!("{key}: could not be compared: {error}")),
        }
        Ok(())
    }

    fn finish(mut self, job: &CompareJob<'_>) -> Result<Comparison, EngineError> {
        let there = match &self.restored {
            Restored::Files(root) => count_files(root).map_err(|error| EngineError::Failed {
                action: format!("listing the restored tree {}", root.display()),
                cause: plain(error),
                remedy: "compare again into an empty directory".to_owned(),
            })?,
            Restored::Bucket(place, bucket) => {
                let mut objects = 0;
                bucket.for_each(place, &mut |_| {
                    objects += 1;
                    Ok(())
                })?;
                objects
            }
        };
        if there > self.sum.objects {
            let more = count(there - self.sum.objects, "object", "objects");
            self.differ(format!("there are {more} more than in the backup"));
        }
        // The report tells what the bucket held; so it shows whether the backup has all of it.
        let reported =
            |name: &str| job.report.evidence.iter().find(|(its, _)| its == name).map(|(_, value)| value);
        let is_other = |name: &str, found: &str| reported(name).is_some_and(|wanted| wanted != found);
        if is_other(OBJECTS, &self.sum.objects.to_string()) || is_other(SUM, &self.sum.digits()) {
            self.differ("the backup does not hold the objects that its report names".to_owned());
        }
        if self.unnamed > 0 {
            self.differences.push(format!("{} more differences", grouped(self.unnamed)));
        }
        let compared =
            format!("{}, {} bytes", count(self.sum.objects, "object", "objects"), grouped(self.sum.bytes));
        Ok(Comparison { compared, differences: self.differences, changed_since: 0 })
    }
}

/// Returns where two readers first differ, or nothing where they are the same to the end.
fn first_difference(
    mut left: impl Read,
    mut right: impl Read,
    cancel: &Cancel,
) -> Result<std::io::Result<Option<u64>>, EngineError> {
    let (mut a, mut b) = (Vec::with_capacity(BLOCK_BYTES), Vec::with_capacity(BLOCK_BYTES));
    let mut offset = 0;
    loop {
        cancel.check()?;
        a.clear();
        b.clear();
        let read = left.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut a);
        let read = read.and_then(|_| right.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut b));
        if let Err(error) = read {
            return Ok(Err(error));
        }
        if a != b {
            let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            return Ok(Ok(Some(offset + same as u64)));
        }
        if a.is_empty() {
            return Ok(Ok(None));
        }
        offset += a.len() as u64;
    }
}
