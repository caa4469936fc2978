//! What a power cut leaves on a disk: what a real process did to its files is recorded by its system calls, and any moment
//! of that can be played back with everything lost, torn or reordered that was not synced.
//!
//! The rules are those that POSIX gives and no more: bytes of a file are on disk after `fsync` of the file, names in a
//! directory after `fsync` of the directory, and neither vouches for the other. What is not yet synced may be there or not,
//! each change by itself, in any order; a file's unsynced bytes may be cut, zero, or there.

use crate::program::installed;
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls that change files; a new one among them that is not understood fails the test.
const CALLS: &str = "trace=openat,creat,open,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,\
                     rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,\
                     truncate,ftruncate,fallocate,copy_file_range,sendfile";

/// The block by which a disk keeps or loses the bytes of a file.
const BLOCK_BYTES: usize = 4096;

#[derive(Debug)]
enum Change {
    Create(PathBuf),
    Write {
        path: PathBuf,
        offset: Option<usize>,
        bytes: Vec<u8>,
    },
    /// Of a file or a directory.
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeDirectory(PathBuf),
    /// What the process wrote to its standard output.
    Said(String),
}

#[derive(Debug)]
struct Step {
    change: Change,
    began: usize,
    ended: usize,
}

/// Everything that a process did to the files below a directory, in order.
#[derive(Debug)]
pub struct Journal {
    root: PathBuf,
    steps: Vec<Step>,
    moments: usize,
}

/// A file as it was written: its bytes, and until when each part was written and synced.
#[derive(Debug, Default)]
struct Written {
    /// Number of the step, offset, bytes.
    writes: Vec<(usize, usize, usize)>,
    content: Vec<u8>,
}

impl Journal {
    /// Runs a command to its end and records what it does below `root`, a directory.
    #[must_use]
    pub fn record(command: &Command, root: &Path) -> Self {
        let log = root.with_extension("trace");
        let mut traced = Command::new(installed("strace", "strace"));
        traced.args(["-f", "-y", "-xx", "-s", "100000000", "-e", CALLS, "-o"]).arg(&log).arg("--");
        traced.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            traced.env(name, value.unwrap_or_default());
        }
        let output = traced.stdin(Stdio::null()).output().expect("strace starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "the recorded process failed:\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = fs::read_to_string(&log).expect("strace writes text");
        fs::remove_file(log).expect("the recording can be removed");
        Self::parse(root, &text)
    }

    fn parse(root: &Path, text: &str) -> Self {
        let mut steps = Vec::new();
        let mut unfinished: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        let mut moments = 0;
        for (moment, line) in text.lines().enumerate() {
            moments = moment + 1;
            let (thread, call) = line.split_once(' ').expect("a line of strace begins with the thread");
            let call = call.trim_start();
            if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
                unfinished.insert(thread, (moment, begun));
                continue;
            }
            let mut whole = call.to_owned();
            let mut began = moment;
            if call.starts_with("<... ") {
                let (since, begun) = unfinished.remove(thread).expect("a call that is resumed was begun");
                let rest = call.split_once(" resumed>").expect("strace says 'resumed'").1;
                (whole, began) = (format!("{begun}{rest}"), since);
            }
            let change = change(root, &whole);
            steps.extend(change.map(|change| Step { change, began, ended: moment }));
        }
        Self { root: root.to_owned(), steps, moments }
    }

    /// Returns how many moments there are; a cut can come at each.
    #[must_use]
    pub const fn moments(&self) -> usize {
        self.moments
    }

    /// Returns what the process had written to its standard output before a moment.
    #[must_use]
    pub fn said_before(&self, moment: usize) -> String {
        let said =
            self.steps.iter().filter(|step| step.ended < moment).filter_map(|step| match &step.change {
                Change::Said(text) => Some(text.as_str()),
                _ => None,
            });
        said.collect()
    }

    /// Counts the renames that gave a file its name, for a test to see that there was something to cut.
    #[must_use]
    pub fn renames(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.change, Change::Rename(..))).count()
    }

    /// Says in words which renames were made before the bytes were synced, or were never made durable.
    #[must_use]
    pub fn careless_renames(&self) -> Vec<String> {
        let mut careless = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let Change::Rename(from, to) = &step.change else { continue };
            let last_write = self.steps[..number].iter().rposition(
                |step| matches!(&step.change, Change::Write { path, .. } | Change::Create(path) if path == from),
            );
            let synced = last_write.is_none_or(|write| {
                let after = self.steps[write].ended;
                self.steps.iter().any(|other| {
                    matches!(&other.change, Change::Sync(path) if path == from)
                        && other.began > after
                        && other.ended < step.began
                })
            });
            if !synced {
                careless.push(format!("{} was given its name before its bytes were synced", to.display()));
            }
            if !self.is_synced(to.parent().expect("a file has a directory"), step.ended, self.moments) {
                careless.push(format!("the directory of {} was not synced after", to.display()));
            }
        }
        careless
    }

    /// Says whether a file or directory was synced in full after one moment and before another.
    fn is_synced(&self, path: &Path, after: usize, before: usize) -> bool {
        self.steps.iter().any(|step| {
            matches!(&step.change, Change::Sync(synced) if synced == path)
                && step.began > after
                && step.ended < before
        })
    }

    /// Writes into `place` what a power cut at a moment leaves of the directory. `before` is a copy of what it held when the
    /// recorded process began.
    pub fn play_back(&self, before: &Path, place: &Path, moment: usize, random: &mut Random) {
        // Some cuts lose nearly everything that may be lost, some nearly nothing.
        let survives_of_eight = random.below(9);
        let mut names: BTreeMap<PathBuf, Option<usize>> = BTreeMap::new();
        let mut removed: BTreeSet<PathBuf> = BTreeSet::new();
        // What each name stood for in the eyes of the process, whether or not that was on disk yet.
        let mut seen: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut files: Vec<Written> = Vec::new();
        let mut synced: Vec<Vec<(usize, usize)>> = Vec::new();
        for (number, step) in self.steps.iter().enumerate().filter(|(_, step)| step.began < moment) {
            let done = step.ended < moment;
            let happens = |path: &Path, random: &mut Random| {
                let directory = path.parent().expect("nothing is done to the root");
                (done && self.is_synced(directory, step.ended, moment)) || random.below(8) < survives_of_eight
            };
            match &step.change {
                Change::Create(path) => {
                    files.push(Written::default());
                    synced.push(Vec::new());
                    seen.insert(path.clone(), files.len() - 1);
                    if happens(path, random) {
                        removed.remove(path);
                        names.insert(path.clone(), Some(files.len() - 1));
                    }
                }
                Change::Write { path, offset, bytes } => {
                    let file = seen.get(path).unwrap_or_else(|| panic!("{} was not created", path.display()));
                    let file = &mut files[*file];
                    let from = offset.unwrap_or(file.content.len());
                    let until = from + bytes.len();
                    file.content.resize(file.content.len().max(until), 0);
                    file.content[from..until].copy_from_slice(bytes);
                    file.writes.push((number, from, until));
                }
                Change::Sync(path) if done => {
                    if let Some(file) = seen.get(path) {
                        synced[*file].push((step.began, step.ended));
                    }
                }
                Change::Rename(from, to) | Change::Link(from, to) => {
                    let Some(file) = seen.get(from).copied() else { continue };
                    seen.insert(to.clone(), file);
                    if happens(to, random) {
                        removed.remove(to);
                        names.insert(to.clone(), Some(file));
                    }
                    if matches!(step.change, Change::Rename(..)) {
                        seen.remove(from);
                        if happens(from, random) {
                            names.remove(from);
                        }
                    }
                }
                Change::Remove(path) => {
                    seen.remove(path);
                    if happens(path, random) {
                        names.remove(path);
                        removed.insert(path.clone());
                    }
                }
                Change::MakeDirectory(path) => {
                    if happens(path, random) {
                        names.insert(path.clone(), None);
                    }
                }
                Change::Sync(_) | Change::Said(_) => {}
            }
        }
        copy_without(before, place, &self.root, &removed);
        for (path, file) in &names {
            let below = path.strip_prefix(&self.root).expect("only changes below the root are recorded");
            let target = place.join(below);
            // A name in a directory that is lost is lost with it.
            if !target.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match file {
                None => drop(fs::create_dir(target)),
                Some(file) => {
                    let bytes = self.torn(&files[*file], &synced[*file], random);
                    fs::write(target, bytes).expect("what a cut leaves can be written");
                }
            }
        }
    }

    /// Returns the bytes of a file after a cut: those that were synced, and of the others what chance leaves.
    fn torn(&self, file: &Written, synced: &[(usize, usize)], random: &mut Random) -> Vec<u8> {
        let is_safe = |write: &(usize, usize, usize)| {
            synced.iter().any(|(began, _)| *began > self.steps[write.0].ended)
        };
        if file.writes.iter().all(is_safe) {
            return file.content.clone();
        }
        let mut bytes = file.content.clone();
        let lost: Vec<_> = file.writes.iter().filter(|write| !is_safe(write)).collect();
        match random.below(4) {
            // The length is lost.
            0 => bytes.truncate(lost.iter().map(|write| write.1).min().unwrap_or(0)),
            // A part is there.
            1 => {
                let from = lost.iter().map(|write| write.1).min().unwrap_or(0);
                bytes.truncate(from + random.below((bytes.len() - from) as u64 + 1) as usize);
            }
            // The length is there, but blocks of the bytes are not.
            2 => {
                for (_, from, until) in lost {
                    for block in (*from..*until).step_by(BLOCK_BYTES) {
                        if random.below(2) == 0 {
                            bytes[block..(block + BLOCK_BYTES).min(*until)].fill(0);
                        }
                    }
                }
            }
            _ => {}
        }
        bytes
    }
}

/// Copies a directory, but for files that are in a set of paths below `root`.
fn copy_without(from: &Path, to: &Path, root: &Path, without: &BTreeSet<PathBuf>) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a copy can be listed") {
        let entry = entry.expect("a copy can be listed");
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy_without(&path, &to.join(&name), &root.join(&name), without);
        } else if !without.contains(&root.join(&name)) {
            fs::copy(&path, to.join(&name)).expect("a file can be copied");
        }
    }
}

/// Reads one call; `None` for one that failed or does not concern the directory.
fn change(root: &Path, call: &str) -> Option<Change> {
    let (head, result) = call.rsplit_once(") ")?;
    let result = result.trim_start().strip_prefix("= ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let (name, arguments) = head.split_once('(')?;
    let strings: Vec<Vec<u8>> = arguments.split('"').skip(1).step_by(2).map(unhex).collect();
    let path = |number: usize| {
        let path = PathBuf::from(String::from_utf8(strings.get(number)?.clone()).ok()?);
        path.starts_with(root).then_some(path)
    };
    // With -y a descriptor is followed by the path that it is open on.
    let open_on = || {
        let path = arguments.split_once('<')?.1.split_once('>')?.0;
        let path = PathBuf::from(String::from_utf8(unhex(path)).ok()?);
        path.starts_with(root).then_some(path)
    };
    // A call may take less than it was given.
    let written = || {
        let taken = result.split(' ').next()?.parse().ok()?;
        strings.first()?.get(..taken).map(<[u8]>::to_vec)
    };
    let numbers = || arguments.rsplit(", ").next().and_then(|last| last.trim().parse::<usize>().ok());
    match name {
        "openat" | "open" if arguments.contains("O_CREAT") => {
            let path = path(0)?;
            assert!(arguments.contains("O_EXCL"), "{} is opened without O_EXCL", path.display());
            Some(Change::Create(path))
        }
        "openat" | "open" => {
            let writes = arguments.contains("O_WRONLY") || arguments.contains("O_RDWR");
            assert!(!writes || path(0).is_none(), "an existing file is opened for writing: {call}");
            None
        }
        "write" if arguments.starts_with("1<") || arguments.starts_with("1,") => {
            Some(Change::Said(String::from_utf8_lossy(strings.first()?).into_owned()))
        }
        "write" => Some(Change::Write { path: open_on()?, offset: None, bytes: written()? }),
        "pwrite64" => Some(Change::Write { path: open_on()?, offset: numbers(), bytes: written()? }),
        "fsync" => open_on().map(Change::Sync),
        "rename" | "renameat" | "renameat2" => Some(Change::Rename(path(0)?, path(1)?)),
        "link" | "linkat" => Some(Change::Link(path(0)?, path(1)?)),
        "unlink" | "unlinkat" => path(0).map(Change::Remove),
        "mkdir" | "mkdirat" => path(0).map(Change::MakeDirectory),
        // Room that is set aside holds nothing yet; what is then written comes by a call of its own.
        "fallocate" => None,
        other => {
            let concerned = open_on().is_some() || path(0).is_some() || path(1).is_some();
            assert!(!concerned, "the call {other} on {} is not understood", root.display());
            None
        }
    }
}

/// Reads text as strace prints it with -xx: every byte as `\x` and two digits.
fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("two digits follow") as u8;
    let mut bytes = Vec::with_capacity(text.len() / 4);
    for escaped in text.as_bytes().chunks(4) {
        match escaped {
            [b'\\', b'x', high, low] => bytes.push(digit(*high) << 4 | digit(*low)),
            other => bytes.extend_from_slice(other),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporary::TempDir;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    /// A write, its sync, its name and the name's sync, as strace prints them of two threads.
    fn journal() -> Journal {
        let (tmp, name, dir) = (hex("/r/.tmp/1"), hex("/r/a"), hex("/r"));
        let text = format!(
            "7 openat(AT_FDCWD<{dir}>, \"{tmp}\", O_WRONLY|O_CREAT|O_EXCL, 0600) = 3<{tmp}>\n\
             7 write(3<{tmp}>, \"{bytes}\", 5 <unfinished ...>\n\
             8 write(1<pipe:[5]>, \"{said}\", 2) = 2\n\
             7 <... write resumed>) = 5\n\
             7 fsync(3<{tmp}>) = 0\n\
             7 rename(\"{tmp}\", \"{name}\") = 0\n\
             7 fsync(4<{dir}>) = 0\n",
            bytes = hex("bytes"),
            said = hex("ok")
        );
        Journal::parse(Path::new("/r"), &text)
    }

    fn left_at(journal: &Journal, moment: usize, seed: u64) -> Option<Vec<u8>> {
        let (before, place) = (TempDir::new(), TempDir::new());
        fs::create_dir(before.join(".tmp")).unwrap();
        journal.play_back(before.path(), place.path(), moment, &mut Random::new(seed));
        fs::read(place.join("a")).ok()
    }

    #[test]
    fn what_was_synced_stays_and_what_was_not_may_be_lost() {
        let journal = journal();
        assert_eq!((journal.moments(), journal.renames()), (7, 1));
        assert_eq!(journal.careless_renames(), [""; 0]);
        assert_eq!((journal.said_before(2).as_str(), journal.said_before(3).as_str()), ("", "ok"));
        let left: Vec<_> = (0..200).map(|seed| left_at(&journal, 7, seed)).collect();
        assert!(left.iter().all(|bytes| bytes.as_deref() == Some(b"bytes")), "after everything was synced");
        let left: Vec<_> = (0..200).map(|seed| left_at(&journal, 6, seed)).collect();
        assert!(
            left.contains(&None) && left.contains(&Some(b"bytes".to_vec())),
            "before the name was synced"
        );
        assert!(left.iter().flatten().all(|bytes| bytes == b"bytes"));
    }

    #[test]
    fn a_rename_before_the_sync_is_careless_and_can_leave_a_torn_file() {
        let mut journal = journal();
        journal.steps.retain(|step| !matches!(&step.change, Change::Sync(path) if path.ends_with("1")));
        assert_eq!(journal.careless_renames().len(), 1);
        let left: Vec<_> = (0..200).map(|seed| left_at(&journal, 7, seed)).collect();
        assert!(left.iter().flatten().any(|bytes| bytes != b"bytes"));
    }
}
