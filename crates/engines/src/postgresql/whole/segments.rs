//! Takes pieces of the server's log into a backup.

use super::backup::{Copy, LogPlace, log_directory};
use super::facts::place;
use super::failed;
use super::log::{Piece, Points, check};
use super::lsn::Lsn;
use super::position::ServerPosition;
use crate::error::EngineError;
use crate::postgresql::backup::file;
use crate::sink::Sink;
use std::fs::File;
use std::io::{self, Read};

/// What helps where a piece is missing.
const REMEDY: &str =
    "make a full backup; a larger max_slot_wal_keep_size lets the server keep more of its log";

impl Copy<'_> {
    /// Says what is missing of the log since the last backup; nothing where all is there up to now.
    pub(super) fn gap(&mut self, previous: &ServerPosition) -> Result<Option<String>, EngineError> {
        let now = place(&self.session.ask("SELECT to_jsonb(pg_current_wal_flush_lsn()::text)")?)?;
        if now < previous.end {
            return Ok(Some(format!(
                "the server's log ends at {now}, before the last backup's end at {}: its files are older than that",
                previous.end
            )));
        }
        let next = previous.segments.1 + 1;
        for number in next..=previous.segment_of(Lsn(now.0.saturating_sub(1))) {
            let name = previous.segment_name(number);
            let path = self.facts.data_directory.join("pg_wal").join(&name);
            let mut head = vec![0; super::log::PAGE_BYTES];
            let read = File::open(&path).and_then(|mut file| file.read_exact(&mut head));
            let looked = match read {
                Ok(()) => check(&head, previous, Lsn(number * previous.segment_bytes), true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err("it is not there any more".to_owned())
                }
                Err(error) => Err(crate::words::plain(error)),
            };
            if let Err(cause) = looked {
                return Ok(Some(format!("the piece {name} of the server's log is missing ({cause})")));
            }
        }
        Ok(None)
    }

    /// Writes the pieces of log of the earlier backups of the chain and the new ones; says how many are new.
    pub(super) fn write_log(
        &mut self,
        sink: &mut dyn Sink,
        position: &mut ServerPosition,
        previous: Option<&ServerPosition>,
        from: &LogPlace,
    ) -> Result<u64, EngineError> {
        let (LogPlace::Server(directory) | LogPlace::Fetched(directory)) = from;
        let (first, last) = position.segments;
        let mut next = first;
        sink.enter(log_directory())?;
        if let Some(previous) = previous {
            for number in first..=previous.segments.1 {
                let name = position.segment_name(number);
                if !sink.carry(name.as_bytes())? {
                    return Err(failed(
                        self.action(),
                        format!("the last backup lacks {name}"),
                        "make a full backup",
                    ));
                }
            }
            next = previous.segments.1 + 1;
        }
        let mut points = Points::default();
        for number in next..=last {
            self.job.cancel.check()?;
            let name = position.segment_name(number);
            self.job.counters.set_current(&name);
            let path = directory.join(&name);
            let action = format!("reading the server's log {}", path.display());
            let mut opened =
                File::open(&path).map_err(|error| failed(&action, crate::words::plain(error), REMEDY))?;
            let mut piece = Piece::new(&mut opened, position, number, &mut points);
            let mut kept = Kept { inner: &mut piece, broken: None };
            let taken = sink.stream(file(&name, position.segment_bytes), &mut kept, None);
            if let Some(error) = kept.broken {
                return Err(failed(&action, error, REMEDY));
            }
            taken?;
        }
        sink.leave()?;
        position.restore_points.extend(points.found);
        Ok((last + 1).saturating_sub(next))
    }
}

/// Remembers why a piece is none.
struct Kept<'a, 'b> {
    inner: &'a mut Piece<'b>,
    broken: Option<String>,
}

impl Read for Kept<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| self.broken = Some(error.to_string()))
    }
}
