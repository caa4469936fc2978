//! Blobs in the order in which a file needs them, fetched and opened ahead of whoever reads them.

use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::gather::{Wanted, gather};
use crate::id::Id;
use crate::sources::Sources;
use crate::unseal::Unsealer;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes of blobs that are fetched together, unless a single one is longer. With what is being opened and what waits, six of
/// these are in memory at the most.
const WINDOW_BYTES: u64 = 4 << 20;
/// Blobs that are fetched together at the most.
const WINDOW_BLOBS: usize = 1024;
const THREADS: usize = 3;

type Answer = Result<Vec<Bytes>, RepositoryError>;

/// Some neighbours of the sequence, and where to bring them.
struct Errand {
    blobs: Vec<Id>,
    answer: SyncSender<Answer>,
}

/// Gives blobs one after another, each checked against its hash.
#[derive(Debug)]
pub(crate) struct BlobStream {
    sources: Arc<Sources>,
    waiting: VecDeque<Id>,
    ready: VecDeque<Bytes>,
    under_way: VecDeque<Receiver<Answer>>,
    errands: Option<Sender<Errand>>,
    threads: Vec<JoinHandle<()>>,
}

impl BlobStream {
    /// Begins a sequence; nothing is fetched yet.
    pub(crate) fn start(sources: &Arc<Sources>, blobs: Vec<Id>) -> Self {
        Self {
            sources: Arc::clone(sources),
            waiting: blobs.into(),
            ready: VecDeque::new(),
            under_way: VecDeque::new(),
            errands: None,
            threads: Vec::new(),
        }
    }

    /// Returns the next blob, or nothing at the end.
    ///
    /// # Errors
    /// Why no destination can give it; [`RepositoryError::Canceled`].
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, RepositoryError> {
        loop {
            if let Some(blob) = self.ready.pop_front() {
                return Ok(Some(blob));
            }
            if self.waiting.is_empty() && self.under_way.is_empty() {
                return Ok(None);
            }
            self.ready = self.next_window()?.into();
        }
    }

    fn next_window(&mut self) -> Answer {
        if self.errands.is_none() {
            let window = self.window();
            if self.waiting.is_empty() {
                // All of it at once: nothing is gained by another thread.
                return open_all(&self.sources, &mut self.sources.unsealer()?, &window);
            }
            let errands = self.start_threads()?;
            self.send(&errands, window)?;
            self.errands = Some(errands);
        }
        let lost = || RepositoryError::Internal { what: "a thread that reads ahead has ended".to_owned() };
        while let Some(errands) = self.errands.clone()
            && self.under_way.len() <= THREADS
            && !self.waiting.is_empty()
        {
            let window = self.window();
            self.send(&errands, window)?;
        }
        self.under_way.pop_front().ok_or_else(lost)?.recv().map_err(|_| lost())?
    }

    fn send(&mut self, errands: &Sender<Errand>, blobs: Vec<Id>) -> Result<(), RepositoryError> {
        let (answer, receiver) = sync_channel(1);
        let ended = |_| RepositoryError::Internal { what: "no thread reads ahead any more".to_owned() };
        errands.send(Errand { blobs, answer }).map_err(ended)?;
        self.under_way.push_back(receiver);
        Ok(())
    }

    fn start_threads(&mut self) -> Result<Sender<Errand>, RepositoryError> {
        let (sender, receiver) = channel::<Errand>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let (receiver, sources) = (Arc::clone(&receiver), Arc::clone(&self.sources));
            let mut unsealer = sources.unsealer()?;
            self.threads.push(std::thread::spawn(move || {
                let next = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(errand) = next() {
                    // Whoever asked may have gone.
                    let _ = errand.answer.send(open_all(&sources, &mut unsealer, &errand.blobs));
                }
            }));
        }
        Ok(sender)
    }

    /// Takes the next blobs that are fetched together.
    fn window(&mut self) -> Vec<Id> {
        let mut bytes = 0;
        let mut blobs = Vec::new();
        while let Some(id) = self.waiting.front().filter(|_| blobs.len() < WINDOW_BLOBS) {
            let place = self.sources.locate(BlobKind::Data, id);
            bytes += place.map_or(0, |(_, location)| u64::from(location.blob.plain_length()));
            if !blobs.is_empty() && bytes > WINDOW_BYTES {
                break;
            }
            blobs.extend(self.waiting.pop_front());
        }
        blobs
    }
}

impl Drop for BlobStream {
    fn drop(&mut self) {
        self.errands = None;
        self.under_way.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Fetches blobs and returns them in their order.
fn open_all(sources: &Sources, unsealer: &mut Unsealer, blobs: &[Id]) -> Answer {
    let mut first = HashMap::new();
    let mut wanted = Vec::new();
    for (tag, id) in blobs.iter().enumerate() {
        if first.contains_key(id) {
            continue;
        }
        let missing = || RepositoryError::Missing {
            object: format!("the data blob {id}"),
            destination: sources.describe(),
            remedy: "run a check to see which backups need it".to_owned(),
        };
        let (source, location) = sources.locate(BlobKind::Data, id).ok_or_else(missing)?;
        first.insert(id, tag);
        wanted.push(Wanted { source, location, tag });
    }
    let mut opened = vec![Bytes::new(); blobs.len()];
    gather(sources, unsealer, wanted, &mut |tag, outcome| {
        let cause = |cause: &str| RepositoryError::Unreadable { cause: cause.to_owned() };
        let plain = Bytes::copy_from_slice(outcome.map_err(cause)?);
        if let Some(place) = opened.get_mut(tag) {
            *place = plain;
        }
        Ok(())
    })?;
    let copies = blobs.iter().map(|id| first.get(id).and_then(|at| opened.get(*at)).cloned());
    Ok(copies.map(Option::unwrap_or_default).collect())
}
