//! A program that runs.

use super::complaint::Complaints;
use super::failure::{ToolFailure, ToolTrouble};
use super::find::Tool;
use super::run::ToolRun;
use larder_model::Cancel;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often a program that says nothing is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How much a program may print before it waits for us. The kernel's usual 64 KiB have both of us wait all the time.
const PIPE_BYTES: usize = 1 << 20;

/// With less than this in the pipe it is worth waiting a moment for more: programs print in pieces of a few KiB, and to
/// take each of them costs more than all else that is done with it.
const GATHERED_BYTES: u64 = 256 << 10;

/// How long is waited for more.
const GATHERING: Duration = Duration::from_millis(1);

/// Takes whatever a program prints at once.
const MOST_PRINTED: u64 = 64 << 20;

/// A child in a process group of its own; the whole group is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    tool: String,
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    complaints: Complaints,
    cancel: Cancel,
    silence: Option<Duration>,
    /// The child was waited for: its number may be somebody else's by now.
    reaped: Option<ExitStatus>,
}

impl Tool {
    /// Starts the program.
    pub(crate) fn start(&self, run: ToolRun) -> Result<Running, ToolFailure> {
        let failed = |trouble| ToolFailure { tool: self.to_string(), trouble, said: String::new() };
        let stream = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
        let mut command = match &self.ionice {
            None => Command::new(&self.path),
            // It becomes the program itself, with the same number; what it cannot set, it leaves (-t).
            Some(ionice) => {
                let mut command = Command::new(ionice);
                command.args(["-t", "-c", "3", "--"]).arg(&self.path);
                command
            }
        };
        command
            .args(&run.arguments)
            .env_clear()
            .env("PATH", &self.search_path)
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(run.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(run.directory.as_deref().unwrap_or(Path::new("/")))
            .stdin(stream(run.is_fed))
            .stdout(stream(!run.is_quiet))
            .stderr(Stdio::piped())
            // What it starts in turn ends with it.
            .process_group(0);
        if let Some(user) = run.run_as {
            command.gid(user.gid).uid(user.uid);
        }
        let mut child = command.spawn().map_err(|error| failed(ToolTrouble::NotStarted(error)))?;
        if self.niceness > 0 {
            // Disk schedulers that know priorities follow it. A refusal is no reason not to go on.
            let _ = rustix::process::setpriority_process(number(&child), self.niceness.into());
        }
        let (input, output) = (child.stdin.take(), child.stdout.take());
        if let Some(output) = &output {
            // Where the host does not allow that much, it stays as it is.
            let _ = rustix::pipe::fcntl_setpipe_size(output, PIPE_BYTES);
        }
        let complaints = match child.stderr.take() {
            Some(pipe) => Complaints::read(pipe, run.secrets),
            None => Complaints::read(io::empty(), Vec::new()),
        };
        let (cancel, silence) = (run.cancel, run.silence);
        let running = Running {
            tool: self.to_string(),
            child,
            input,
            output,
            complaints,
            cancel,
            silence,
            reaped: None,
        };
        if let Some(input) = &running.input {
            // A program that takes nothing must not hold up an abort.
            let ready = rustix::io::ioctl_fionbio(input, true);
            ready.map_err(|error| failed(ToolTrouble::Broken(error.into())))?;
        }
        Ok(running)
    }

    /// Runs the program to its end, and returns what it printed.
    pub(crate) fn ask(&self, run: ToolRun) -> Result<Vec<u8>, ToolFailure> {
        let mut running = self.start(run)?;
        let mut printed = Vec::new();
        let read = running.by_ref().take(MOST_PRINTED).read_to_end(&mut printed);
        match read {
            Ok(_) => running.finish().map(|()| printed),
            Err(error) => Err(running.broken(error)),
        }
    }
}

fn number(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

impl Running {
    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Feeds the program, all of it.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ToolFailure> {
        while !bytes.is_empty() {
            if let Err(trouble) = self.await_ready(false) {
                return Err(self.fail(trouble));
            }
            let Some(input) = self.input.as_mut() else {
                return Err(self.broken(io::ErrorKind::BrokenPipe.into()));
            };
            match input.write(bytes) {
                Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// Waits until the program has ended, and says how. Its input ends here; what it still prints is lost.
    pub(crate) fn finish(&mut self) -> Result<(), ToolFailure> {
        self.input = None;
        if let Err(trouble) = self.await_end() {
            return Err(self.fail(trouble));
        }
        match self.reap() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.fail(ToolTrouble::Ended(status))),
            Err(error) => Err(self.fail(ToolTrouble::Broken(error))),
        }
    }

    /// Says whether the program still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.reaped.is_none() && matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks the program to end; it may take its time.
    pub(crate) fn interrupt(&self, signal: Signal) {
        if let (None, Some(pid)) = (self.reaped, number(&self.child)) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends the program after a fault, and says why it really was: a program that died explains a broken pipe.
    pub(crate) fn broken(&mut self, error: io::Error) -> ToolFailure {
        if self.cancel.is_canceled() {
            return self.fail(ToolTrouble::Canceled);
        }
        if let Some(Idle(seconds)) = error.get_ref().and_then(|inner| inner.downcast_ref::<Idle>()) {
            return self.fail(ToolTrouble::Silent(*seconds));
        }
        // A closed pipe comes a moment before the end that caused it.
        if error.kind() == io::ErrorKind::BrokenPipe
            && self.await_end().is_ok()
            && let Ok(status) = self.reap()
        {
            return self.fail(ToolTrouble::Ended(status));
        }
        self.fail(ToolTrouble::Broken(error))
    }

    fn fail(&mut self, trouble: ToolTrouble) -> ToolFailure {
        self.kill();
        ToolFailure { tool: self.tool.clone(), trouble, said: self.complaints.take() }
    }

    /// Waits until the program printed something, or takes something.
    fn await_ready(&self, reading: bool) -> Result<(), ToolTrouble> {
        let mut idle = Duration::ZERO;
        loop {
            if self.cancel.is_canceled() {
                return Err(ToolTrouble::Canceled);
            }
            let (fd, wanted) = match (reading, &self.output, &self.input) {
                (true, Some(output), _) => (output.as_fd(), PollFlags::IN),
                (false, _, Some(input)) => (input.as_fd(), PollFlags::OUT),
                _ => return Ok(()),
            };
            if is_ready(&mut [PollFd::from_borrowed_fd(fd, wanted)]).map_err(ToolTrouble::Broken)? {
                return Ok(());
            }
            self.count_idle(&mut idle)?;
        }
    }

    /// Waits a moment where what the program printed so far is not worth being taken, unless it has closed its output.
    fn gather(&self, room: usize) {
        let Some(output) = &self.output else { return };
        let worth = GATHERED_BYTES.min(room as u64);
        if rustix::io::ioctl_fionread(output).is_ok_and(|there| there < worth) {
            let moment = Timespec { tv_sec: 0, tv_nsec: GATHERING.subsec_nanos().into() };
            // Asked for nothing, it is told of the other end's closing alone. Whatever comes of it, reading says more.
            let _ = rustix::event::poll(&mut [PollFd::new(output, PollFlags::empty())], Some(&moment));
        }
    }

    fn count_idle(&self, idle: &mut Duration) -> Result<(), ToolTrouble> {
        *idle += LOOK;
        match self.silence {
            Some(silence) if *idle >= silence => Err(ToolTrouble::Silent(silence.as_secs())),
            _ => Ok(()),
        }
    }

    /// Waits for the end of the program without taking notice of it.
    fn await_end(&self) -> Result<(), ToolTrouble> {
        let Some(pid) = number(&self.child).filter(|_| self.reaped.is_none()) else { return Ok(()) };
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(|error| ToolTrouble::Broken(error.into()))?;
        let mut idle = Duration::ZERO;
        loop {
            if self.cancel.is_canceled() {
                return Err(ToolTrouble::Canceled);
            }
            let mut fds = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
            if is_ready(&mut fds).map_err(ToolTrouble::Broken)? {
                return Ok(());
            }
            self.count_idle(&mut idle)?;
        }
    }

    /// Ends what is left of the group, while the leader's number is still its own, and takes notice of its end.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.reaped {
            return Ok(status);
        }
        if let Some(pid) = number(&self.child) {
            // Waits, but leaves the child where it is.
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        let status = self.child.wait()?;
        self.reaped = Some(status);
        Ok(status)
    }

    fn kill(&mut self) {
        if self.reaped.is_some() {
            return;
        }
        if let Some(pid) = number(&self.child) {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        if let Ok(status) = self.child.wait() {
            self.reaped = Some(status);
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Waits for at most [`LOOK`].
fn is_ready(fds: &mut [PollFd<'_>]) -> io::Result<bool> {
    let look = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    match rustix::event::poll(fds, Some(&look)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A program that did nothing for so many seconds, as the cause of a read error.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {0} s")]
struct Idle(u64);

impl Read for Running {
    /// Reads what the program prints. An end says nothing about how the program ended: see [`Running::finish`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.await_ready(true).map_err(|trouble| match trouble {
            ToolTrouble::Canceled => io::Error::other(larder_model::Canceled),
            ToolTrouble::Silent(seconds) => io::Error::other(Idle(seconds)),
            ToolTrouble::Broken(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })?;
        self.gather(buffer.len());
        match self.output.as_mut() {
            Some(output) => output.read(buffer),
            None => Ok(0),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
