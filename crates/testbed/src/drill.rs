//! Killing programs at chosen moments.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whether it had to be killed; false when it ended by itself before its time was up.
    pub was_killed: bool,
    /// What it ended with.
    pub status: ExitStatus,
}

pub(crate) fn process_id(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id is not 0")
}

/// Kills a child with SIGKILL after a time, unless it ends by itself before.
pub fn kill_after(child: &mut Child, time: Duration) -> Ending {
    let handle = pidfd_open(process_id(child), PidfdFlags::empty()).expect("a child can be watched");
    let timeout = Timespec {
        tv_sec: i64::try_from(time.as_secs()).expect("a sensible time"),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    let ended =
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)).expect("a child can be waited for");
    if ended == 0 {
        child.kill().expect("a child can be killed");
    }
    Ending { was_killed: ended == 0, status: child.wait().expect("a child can be waited for") }
}

#[cfg(test)]
mod tests {
    use super::kill_after;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn a_child_that_ends_in_time_is_not_killed_and_one_that_does_not_is() {
        let ending = kill_after(&mut Command::new("true").spawn().unwrap(), Duration::from_secs(30));
        assert!(!ending.was_killed && ending.status.success());
        let ending =
            kill_after(&mut Command::new("sleep").arg("600").spawn().unwrap(), Duration::from_millis(20));
        assert!(ending.was_killed && !ending.status.success());
    }
}
