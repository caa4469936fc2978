//! What work costs: CPU seconds as the kernel accounts them, and memory.

use crate::Failure;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// What a piece of work cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// CPU seconds in the program.
    pub(crate) user_seconds: f64,
    /// CPU seconds in the kernel.
    pub(crate) system_seconds: f64,
    /// Seconds on the clock.
    pub(crate) wall_seconds: f64,
}

impl Cost {
    pub(crate) fn cpu_seconds(self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

fn seconds(time: TimeVal) -> f64 {
    // Both parts are far below the numbers that a float holds exactly.
    #[allow(clippy::cast_precision_loss, reason = "seconds and microseconds are small numbers")]
    let (whole, part) = (time.tv_sec() as f64, time.tv_usec() as f64);
    whole + part / 1e6
}

/// Does something and returns what the whole process spent meanwhile.
pub(crate) fn of_process<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Cost), Failure> {
    let (before, began) = (getrusage(UsageWho::RUSAGE_SELF)?, Instant::now());
    let value = work()?;
    let after = getrusage(UsageWho::RUSAGE_SELF)?;
    let spent = |of: fn(&Usage) -> TimeVal| seconds(of(&after)) - seconds(of(&before));
    let cost = Cost {
        user_seconds: spent(Usage::user_time),
        system_seconds: spent(Usage::system_time),
        wall_seconds: began.elapsed().as_secs_f64(),
    };
    Ok((value, cost))
}

/// Does something three times on this thread and returns the CPU seconds of the quickest.
pub(crate) fn best_of_three(mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let before = thread_seconds()?;
        work()?;
        best = best.min(thread_seconds()? - before);
    }
    Ok(best)
}

/// The accounting that getrusage(2) shows moves on in ticks of some milliseconds; this clock is exact.
fn thread_seconds() -> Result<f64, Failure> {
    Ok(std::time::Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?).as_secs_f64())
}

/// Returns the largest resident set of this process so far, in MiB.
pub(crate) fn peak_mib() -> Result<f64, Failure> {
    #[allow(clippy::cast_precision_loss, reason = "KiB of memory are a small number")]
    let kib = getrusage(UsageWho::RUSAGE_SELF)?.max_rss() as f64;
    Ok(kib / 1024.0)
}
