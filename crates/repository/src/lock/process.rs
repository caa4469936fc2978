//! Which process of which machine holds a lock, and whether it still runs.

use crate::id::Id;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use std::fs;

/// How much later than its lock a process may seem to have started; clocks are set now and then.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Ticks of `/proc/<pid>/stat` in a second: `USER_HZ`, which is 100 on all that Larder runs on (see proc(5)).
const TICKS_PER_SECOND: i64 = 100;

/// What tells one start of a process from every other; stock restic ignores this part of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    /// A hash of the machine's identifier; host names are not unique.
    machine: String,
    /// The kernel's identifier of the time since it was started.
    boot: String,
    /// The namespace in which the process id counts; each container has its own.
    pid_namespace: String,
    /// When the process was started, in ticks since the kernel was.
    started: u64,
    /// The one lock within the process.
    pub(super) token: String,
}

/// Whether the holder of a lock still runs, as far as can be known from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs, or runs where it cannot be seen.
    Unknown,
    /// It is this very process.
    Own,
    /// It has ended.
    Gone,
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn start_ticks(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything; the start is the 20th field behind it.
    status.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn start_time(pid: u32) -> Option<Timestamp> {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let after = i64::try_from(start_ticks(pid)?).ok()? / TICKS_PER_SECOND;
    Timestamp::from_second(boot.checked_add(after)?).ok()
}

fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // "Not permitted" is the answer for a process of another user: it is there.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

impl Origin {
    /// Returns that of this process.
    pub(super) fn own(token: String) -> Self {
        let machine = line("/etc/machine-id");
        let namespace = fs::read_link("/proc/self/ns/pid");
        Self {
            machine: if machine.is_empty() { machine } else { Id::of(machine.as_bytes()).to_hex() },
            boot: line("/proc/sys/kernel/random/boot_id"),
            pid_namespace: namespace.map(|path| path.display().to_string()).unwrap_or_default(),
            started: start_ticks(std::process::id()).unwrap_or(0),
            token,
        }
    }

    /// Says whether the process `pid` of this origin, on a host of this name, still runs.
    fn life(&self, pid: u32) -> Life {
        let here = Self::own(String::new());
        if self.machine != here.machine || self.boot.is_empty() || here.boot.is_empty() {
            return Life::Unknown;
        }
        if self.boot != here.boot {
            // Without an identifier of the machine, another one of the same name cannot be told from a restart.
            return if self.machine.is_empty() { Life::Unknown } else { Life::Gone };
        }
        if self.pid_namespace != here.pid_namespace {
            return Life::Unknown;
        }
        match start_ticks(pid) {
            Some(started) if started != self.started => Life::Gone,
            Some(_) if pid == std::process::id() => Life::Own,
            None if !exists(pid) => Life::Gone,
            _ => Life::Unknown,
        }
    }
}

/// Says whether a process of a host with this machine's name still runs. `locked` is when it said so last.
pub(super) fn life(pid: u32, origin: Option<&Origin>, locked: Timestamp) -> Life {
    if let Some(origin) = origin {
        return origin.life(pid);
    }
    if !exists(pid) {
        return Life::Gone;
    }
    // The number was given to another process since when that began after the lock was written.
    let began_later = start_time(pid).is_some_and(|started| started.duration_since(locked) > CLOCK_SLACK);
    if began_later { Life::Gone } else { Life::Unknown }
}

/// Returns the name of this host as restic sees it.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the name of the user this process runs as; its number where the system has no name for it.
pub(super) fn username() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|user| {
        let mut fields = user.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    name.unwrap_or(uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_is_known_and_its_earlier_starts_are_gone() {
        let own = Origin::own("t".to_owned());
        assert_eq!(own.life(std::process::id()), Life::Own);
        let earlier = Origin { started: own.started - 1, ..own.clone() };
        assert_eq!(earlier.life(std::process::id()), Life::Gone);
        let contained = Origin { pid_namespace: "pid:[1]".to_owned(), ..own.clone() };
        assert_eq!(contained.life(u32::MAX >> 1), Life::Unknown);
        let elsewhere = Origin { machine: "another".to_owned(), ..own };
        assert_eq!(elsewhere.life(u32::MAX >> 1), Life::Unknown);
    }

    #[test]
    fn a_process_that_ended_is_gone_and_one_that_runs_is_not() {
        let now = Timestamp::now();
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert_eq!(life(pid, None, now), Life::Unknown);
        let long_before_it_began = now.checked_sub(SignedDuration::from_hours(1)).unwrap();
        assert_eq!(life(pid, None, long_before_it_began), Life::Gone);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(life(pid, None, now), Life::Gone);
    }
}
