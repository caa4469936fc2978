//! Ctrl-C, SIGTERM, and a terminal that was closed.

use crate::exit::{Exit, Failure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells whether somebody asked the program to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Begins to listen. The second request ends the program at once.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (sender, asked) = watch::channel(false);
        let failed = |error: std::io::Error| {
            Failure::new(format!("could not listen for Ctrl-C: {error}; start it again"))
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let had_terminal = has_terminal();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    // Only a terminal that was closed ends the program: `restic unlock` sends the owner of a lock
                    // this signal just to see whether it lives.
                    _ = hangup.recv() => if !had_terminal || has_terminal() { continue },
                }
                if sender.send_replace(true) {
                    std::process::exit(Exit::Interrupted as i32);
                }
            }
        });
        Ok(Self { asked })
    }

    /// Waits until somebody asks.
    pub(crate) async fn wait(&self) {
        let mut asked = self.asked.clone();
        // The sender lives as long as the runtime; were it gone, the program would be ending anyway.
        let _ = asked.wait_for(|asked| *asked).await;
    }
}

/// Says whether this program has a terminal that it belongs to.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}
