//! What a walk leaves out, and what it says about it.

use super::Walk;
use super::listing::Listing;
use super::mounts::{CLOUD_MOUNTS, Mounts, Reason};
use crate::error::EngineError;
use crate::words::count;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The name and the first bytes of the file that marks a directory of things that can be made again, as the Cache
/// Directory Tagging Specification has them.
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// How many examples of what was left out a message names.
const EXAMPLES: usize = 3;

/// What is done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Take,
    /// A directory is taken without what is in it.
    TakeEmpty,
    LeaveOut,
}

#[derive(Debug, Default)]
struct Tally {
    entries: u64,
    examples: Vec<String>,
}

impl Tally {
    fn add(&mut self, relative: &[u8]) {
        self.entries += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(String::from_utf8_lossy(relative).into_owned());
        }
    }

    fn words(&self, one: &str, many: &str) -> Option<String> {
        let more = if self.entries > self.examples.len() as u64 { ", …" } else { "" };
        (self.entries > 0)
            .then(|| format!("{} ({}{more})", count(self.entries, one, many), self.examples.join(", ")))
    }
}

/// What was left out of a walk, in words.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    pub(crate) messages: Vec<String>,
}

/// The rules of one walk, and counts of what they left out.
pub(super) struct Rules {
    patterns: Gitignore,
    defaults: bool,
    /// The file system to stay on.
    only_device: Option<u64>,
    own: HashSet<(u64, u64)>,
    logs: Tally,
    caches: Tally,
    own_found: Tally,
    by_patterns: Tally,
    other_systems: Tally,
    mounts: Mounts,
    remote: Tally,
    kernel: Tally,
    vanished: u64,
}

impl Rules {
    pub(super) fn new(walk: &Walk<'_>, root: &Stat) -> Result<Self, EngineError> {
        // By number, not by name: a link or a bind mount leads to Larder's data under another path.
        let own: HashSet<(u64, u64)> = walk
            .own_directories
            .iter()
            .filter_map(|path| rustix::fs::stat(path).ok())
            .map(|stat| (stat.st_dev, stat.st_ino))
            .collect();
        if own.contains(&(root.st_dev, root.st_ino)) {
            return Err(EngineError::Failed {
                action: format!("reading {}", walk.root.display()),
                cause: "it is where Larder keeps its own data or its backups".to_owned(),
                remedy: "name another directory".to_owned(),
            });
        }
        Ok(Self {
            patterns: patterns(&walk.source.exclude)?,
            defaults: walk.source.default_excludes,
            only_device: walk.source.one_file_system.then_some(root.st_dev),
            own,
            logs: Tally::default(),
            caches: Tally::default(),
            own_found: Tally::default(),
            by_patterns: Tally::default(),
            other_systems: Tally::default(),
            mounts: Mounts::below(walk.root, walk.source.options.get(CLOUD_MOUNTS).map(String::as_str))?,
            remote: Tally::default(),
            kernel: Tally::default(),
            vanished: 0,
        })
    }

    /// Counts an entry that was listed but gone when it was looked at.
    pub(super) const fn note_vanished(&mut self) {
        self.vanished += 1;
    }

    /// Says whether something else is mounted here that is not gone into.
    pub(super) fn is_mounted_elsewhere(&mut self, relative: &[u8]) -> bool {
        let Some((reason, kind)) = self.mounts.at(relative) else { return false };
        let shown = format!("{} is {kind}", String::from_utf8_lossy(relative));
        match reason {
            Reason::Remote => self.remote.add(shown.as_bytes()),
            Reason::Kernel => self.kernel.add(shown.as_bytes()),
        }
        true
    }

    /// Decides about one entry by its path, name and metadata.
    pub(super) fn judge(&mut self, relative: &[u8], name: &[u8], stat: &Stat) -> Verdict {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_directory = kind == FileType::Directory;
        if is_directory && self.defaults && self.own.contains(&(stat.st_dev, stat.st_ino)) {
            self.own_found.add(relative);
            return Verdict::LeaveOut;
        }
        match self.patterns.matched(OsStr::from_bytes(relative), is_directory) {
            Match::Ignore(_) => {
                self.by_patterns.add(relative);
                return Verdict::LeaveOut;
            }
            Match::None if self.defaults && kind == FileType::RegularFile && is_log(name) => {
                self.logs.add(relative);
                return Verdict::LeaveOut;
            }
            Match::None | Match::Whitelist(_) => {}
        }
        if self.only_device.is_some_and(|device| device != stat.st_dev) {
            self.other_systems.add(relative);
            return if is_directory { Verdict::TakeEmpty } else { Verdict::LeaveOut };
        }
        Verdict::Take
    }

    /// Decides about what is in a directory: of a tagged cache only the tag is taken, so that the program that
    /// keeps the cache finds its directory again.
    pub(super) fn judge_listing(&mut self, relative: &[u8], directory: BorrowedFd<'_>, names: &mut Listing) {
        if self.defaults && names.contains(CACHE_TAG) && has_signature(directory) {
            self.caches.add(relative);
            names.keep_only(CACHE_TAG);
        }
    }

    /// Says what was left out.
    pub(super) fn left_out(self) -> LeftOut {
        let mut messages = Vec::new();
        let defaults: Vec<String> = [
            self.logs.words("log file", "log files"),
            self.caches.words("cache directory", "cache directories"),
            self.own_found.words("directory of Larder's own", "directories of Larder's own"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !defaults.is_empty() {
            messages.push(format!("left out by default: {}", defaults.join(", ")));
        }
        if let Some(words) = self.by_patterns.words("entry", "entries") {
            messages.push(format!("left out by the patterns of the source: {words}"));
        }
        if let Some(words) = self.other_systems.words("entry", "entries") {
            messages.push(format!("left out because it is on another file system: {words}"));
        }
        if let Some(words) = self.remote.words("directory", "directories") {
            messages.push(format!(
                "not backed up, for it is mounted from a bucket or another host: {words}; back it up where it is, or set the option {CLOUD_MOUNTS} to 'read'"
            ));
        }
        if let Some(words) = self.kernel.words("view into the kernel", "views into the kernel") {
            messages.push(format!("left out because it holds nobody's files: {words}"));
        }
        if self.vanished > 0 {
            let words = count(self.vanished, "entry was", "entries were");
            messages.push(format!("{words} removed by somebody while the tree was read"));
        }
        LeftOut { messages }
    }
}

/// Reads exclusion patterns, each a line of a .gitignore file.
pub(crate) fn patterns(lines: &[String]) -> Result<Gitignore, EngineError> {
    let mut builder = GitignoreBuilder::new("");
    let refused = |line: &str, cause: &ignore::Error| EngineError::Failed {
        action: format!("reading the exclusion pattern '{line}'"),
        cause: cause.to_string(),
        remedy: "write it as a line of a .gitignore file".to_owned(),
    };
    for line in lines {
        builder.add_line(None, line).map_err(|error| refused(line, &error))?;
    }
    builder.build().map_err(|error| refused(&lines.join(" "), &error))
}

/// Knows logs and what logrotate makes of them: `a.log`, `a.log.1`, `a.log.2.gz`, `a.log-20260131`, `a.log.gz`.
fn is_log(name: &[u8]) -> bool {
    const MARK: &[u8] = b".log";
    // Longer than the shortest: a hidden file called `.log` has no other name.
    if name.len() <= MARK.len() {
        return false;
    }
    if name.ends_with(MARK) {
        return true;
    }
    name.windows(MARK.len()).enumerate().skip(1).filter(|(_, window)| *window == MARK).any(|(place, _)| {
        let rest = name.get(place + MARK.len()..).unwrap_or_default();
        match rest {
            [b'.' | b'-', digit, ..] if digit.is_ascii_digit() => true,
            [b'.' | b'-', ..] => {
                [&b".gz"[..], b".xz", b".bz2", b".zst"].iter().any(|end| rest.ends_with(end))
            }
            _ => false,
        }
    })
}

fn has_signature(directory: BorrowedFd<'_>) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut found = [0; CACHE_SIGNATURE.len()];
    rustix::fs::openat(directory, CACHE_TAG, flags, Mode::empty())
        .and_then(|tag| rustix::io::read(tag, &mut found))
        .is_ok_and(|length| length == found.len() && found == *CACHE_SIGNATURE)
}

#[cfg(test)]
mod tests {
    use super::is_log;

    #[test]
    fn logs_and_rotated_logs_are_known_by_their_names() {
        for name in
            ["a.log", "a.log.1", "a.log.12.gz", "a.log-20260131", "a.log-20260131.xz", "a.log.gz", "a.b.log"]
        {
            assert!(is_log(name.as_bytes()), "{name}");
        }
        for name in [
            "log",
            ".log",
            "a.logs",
            "catalog",
            "a.log.txt",
            "a.login",
            "a.log2",
            "a.logic.rs",
            "blog",
            "a.log.c",
        ] {
            assert!(!is_log(name.as_bytes()), "{name}");
        }
    }
}
