//! What a program writes to its standard error: read all the time, kept at its end only.

use larder_model::Secret;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How much of it is kept.
const KEPT_BYTES: usize = 8 << 10;

/// How much of it is shown.
const SHOWN_CHARS: usize = 800;

/// How long the end is waited for when the program has ended but something it left behind holds the pipe open.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads one program's complaints on a thread of its own, so that a full pipe never stops the program.
#[derive(Debug)]
pub(super) struct Complaints {
    tail: mpsc::Receiver<Vec<u8>>,
    secrets: Vec<Secret>,
}

impl Complaints {
    pub(super) fn read(pipe: impl Read + Send + 'static, secrets: Vec<Secret>) -> Self {
        let (sender, tail) = mpsc::channel();
        thread::spawn(move || {
            let _ = sender.send(tail_of(pipe));
        });
        Self { tail, secrets }
    }

    /// Takes the end of them as one line, once the program has ended; empty when taken before.
    pub(super) fn take(&self) -> String {
        let tail = self.tail.recv_timeout(PATIENCE).unwrap_or_default();
        told(&tail, &self.secrets)
    }
}

fn tail_of(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = VecDeque::with_capacity(KEPT_BYTES);
    let mut buffer = [0; 4096];
    // What was said before a fault is still worth telling.
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let new = buffer.get(..length).unwrap_or_default();
        let excess = (kept.len() + new.len()).saturating_sub(KEPT_BYTES).min(kept.len());
        kept.drain(..excess);
        kept.extend(new);
    }
    kept.into()
}

/// Writes complaints as one line, without the secrets.
pub(crate) fn told(tail: &[u8], secrets: &[Secret]) -> String {
    let mut text = String::from_utf8_lossy(tail).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        text = text.replace(secret.expose(), "****");
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" / ");
    let excess = line.chars().count().saturating_sub(SHOWN_CHARS);
    match line.char_indices().nth(excess) {
        Some((from, _)) if excess > 0 => format!("…{}", &line[from..]),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_in_one_line_without_secrets() {
        let secrets = [Secret::new("open sesame".to_owned()), Secret::new(String::new())];
        assert_eq!(told(b"error: no\n\n  'open sesame' is wrong\n", &secrets), "error: no / '****' is wrong");
        let long = [b"x\n".repeat(9_000), b"the end\n".to_vec()].concat();
        let kept = tail_of(long.as_slice());
        assert_eq!(kept.len(), KEPT_BYTES);
        let told = told(&kept, &[]);
        assert!(told.ends_with("x / the end") && told.starts_with('…'));
        assert_eq!(told.chars().count(), SHOWN_CHARS + 1);
    }
}
