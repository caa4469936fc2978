//! The worker threads: each takes files end to end, and chunks of what others read.

use super::chunker::{Chunker, MAX_CHUNK_BYTES};
use super::directory::Directory;
use super::file_reader::ChunkReader;
use super::naming::Naming;
use super::options::FileContent;
use super::queue::Job;
use super::session::{Session, add};
use super::store::store_blob;
use crate::blob::BlobKind;
use crate::compress::{Compression, Compressor};
use crate::error::RepositoryError;
use crate::id::Id;
use larder_model::{Counters, Entry};
use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Chunks shorter than this are not worth handing to another thread.
const SHARED_FROM_BYTES: usize = 64 << 10;

/// How many short chunks that lie beside each other are named together, which takes a quarter less time than one by one.
const NAMED_TOGETHER: usize = 8;

/// A file that was announced and is read by whoever comes to it.
pub(super) struct FileJob {
    pub(super) directory: Arc<Directory>,
    pub(super) entry: Entry,
    pub(super) content: Box<dyn FileContent>,
}

/// A piece of a file that another thread reads.
pub(super) struct ChunkJob {
    file: Arc<SharedFile>,
    number: usize,
    bytes: Vec<u8>,
}

/// A file whose chunks are worked on by several threads.
struct SharedFile {
    directory: Arc<Directory>,
    /// The reader, and each chunk that is on its way. A reader that failed never leaves, so that the file never gets a
    /// node.
    waiting: AtomicUsize,
    state: Mutex<SharedState>,
}

#[derive(Default)]
struct SharedState {
    ids: Vec<(usize, Id)>,
    /// The entry and the bytes read, once the reader is done.
    whole: Option<(Entry, u64)>,
}

/// What a thread needs to work on files; the walking thread has one too.
pub(super) struct Worker {
    session: Arc<Session>,
    compressor: Compressor,
    reader: ChunkReader,
    chunker: Chunker,
    naming: Naming,
}

/// Why a file was not read to its end.
enum Broken {
    Source(std::io::Error),
    Repository(RepositoryError),
}

impl From<RepositoryError> for Broken {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

impl Worker {
    pub(super) fn new(session: Arc<Session>, compression: Compression) -> Result<Self, RepositoryError> {
        let compressor = Compressor::new(compression)
            .map_err(|cause| RepositoryError::Internal { what: format!("zstd failed: {cause}") })?;
        let (reader, chunker) = (ChunkReader::default(), Chunker::by_content());
        Ok(Self { session, compressor, reader, chunker, naming: Naming::default() })
    }

    /// Works until nothing more comes or the backup stops.
    pub(super) fn run(mut self) {
        let guard = StopOnPanic(self.session.clone());
        let session = &guard.0;
        let mut after_file = false;
        while let Some(job) = session.queue.next(&session.signals, after_file) {
            after_file = matches!(job, Job::File(_));
            let outcome = match job {
                Job::Chunk(chunk) => self.chunk(chunk),
                Job::File(file) => self.file(file),
            };
            if let Err(error) = outcome {
                session.signals.fail(error);
            }
        }
        self.settle();
    }

    /// Sends off the pack that waits for its name; nothing more comes from this thread.
    pub(super) fn settle(&mut self) {
        if self.session.check().is_ok() {
            self.naming.settle(&self.session.packers);
        }
    }

    fn file(&mut self, job: FileJob) -> Result<(), RepositoryError> {
        let FileJob { directory, entry, content } = job;
        self.session.check()?;
        let path = content.display_path();
        let chunker = self.chunker;
        let outcome = match content.open() {
            Ok(mut stream) => self.read(&mut *stream, &chunker, &directory, entry, 0),
            Err(error) => Err(Broken::Source(error)),
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(Broken::Repository(error)) => Err(error),
            Err(Broken::Source(error)) => {
                self.session.note_unreadable(path, error.to_string());
                self.release(directory)
            }
        }
    }

    /// Reads a stream to its end on the calling thread; others help with its chunks.
    pub(super) fn stream(
        &mut self,
        directory: &Arc<Directory>,
        entry: Entry,
        stream: &mut dyn Read,
        page_bytes: Option<u32>,
        ahead: usize,
    ) -> Result<u64, RepositoryError> {
        let path = String::from_utf8_lossy(&entry.name).into_owned();
        let size = entry.metadata.size;
        let chunker = page_bytes.map_or(self.chunker, |page_bytes| Chunker::by_pages(page_bytes, size));
        self.read(stream, &chunker, directory, entry, ahead).map_err(|broken| match broken {
            Broken::Repository(error) => error,
            Broken::Source(error) => RepositoryError::Source { path, cause: error.to_string() },
        })
    }

    /// Reads a stream and stores its chunks. Whoever finishes the last chunk adds the node and releases the directory;
    /// after an error nobody does.
    fn read(
        &mut self,
        stream: &mut dyn Read,
        chunker: &Chunker,
        directory: &Arc<Directory>,
        entry: Entry,
        ahead: usize,
    ) -> Result<u64, Broken> {
        let mut ids: Vec<(usize, Id)> = Vec::new();
        let mut shared: Option<Arc<SharedFile>> = None;
        let mut number = 0;
        let mut counted = 0;
        self.reader.begin();
        loop {
            self.session.check()?;
            let Some(chunk) = self.reader.next(stream, chunker).map_err(Broken::Source)? else { break };
            let read = self.reader.read_bytes() - counted;
            counted += read;
            add(&self.session.counters.bytes_read, read);
            add(&self.session.statistics.read_bytes, read);
            if chunk.len() < SHARED_FROM_BYTES {
                number += self.store_short(chunk, chunker, number, &mut ids)?;
                continue;
            }
            add(&self.session.counters.bytes_done, chunk.len() as u64);
            if self.session.queue.wants_chunk(ahead) {
                let file = shared.get_or_insert_with(|| SharedFile::new(directory.clone()));
                file.waiting.fetch_add(1, Ordering::AcqRel);
                let bytes = self.reader.bytes(chunk).to_vec();
                self.session.queue.push_chunk(ChunkJob { file: file.clone(), number, bytes });
            } else {
                let bytes = self.reader.bytes(chunk);
                ids.push((
                    number,
                    store_chunk(&self.session, &mut self.compressor, &mut self.naming, bytes)?,
                ));
            }
            number += 1;
        }
        let size = self.reader.read_bytes();
        if let Some(file) = shared {
            let mut state = file.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ids.append(&mut ids);
            state.whole = Some((entry, size));
            drop(state);
            self.leave(&file)?;
        } else {
            let content: Vec<Id> = ids.into_iter().map(|(_, id)| id).collect();
            self.finish_file(directory, &entry, size, &content)?;
        }
        Ok(size)
    }

    /// Stores a short chunk and those after it that are in the buffer already; returns how many these are.
    fn store_short(
        &mut self,
        first: Range<usize>,
        chunker: &Chunker,
        number: usize,
        ids: &mut Vec<(usize, Id)>,
    ) -> Result<usize, RepositoryError> {
        let Some(second) = self.reader.next_short(chunker, SHARED_FROM_BYTES) else {
            let chunk = self.reader.bytes(first);
            add(&self.session.counters.bytes_done, chunk.len() as u64);
            let id = store_chunk(&self.session, &mut self.compressor, &mut self.naming, chunk)?;
            ids.push((number, id));
            return Ok(1);
        };
        let following = std::iter::from_fn(|| self.reader.next_short(chunker, SHARED_FROM_BYTES));
        let ranges: Vec<Range<usize>> =
            [first, second].into_iter().chain(following.take(NAMED_TOGETHER - 2)).collect();
        let chunks: Vec<&[u8]> = ranges.iter().map(|range| self.reader.bytes(range.clone())).collect();
        let named = self.naming.ids_of(&chunks, &self.session.packers).to_vec();
        for (at, (id, chunk)) in named.iter().zip(&chunks).enumerate() {
            add(&self.session.counters.bytes_done, chunk.len() as u64);
            let (compressor, naming) = (&mut self.compressor, &mut self.naming);
            store_blob(&self.session, compressor, naming, BlobKind::Data, id, chunk)?;
            ids.push((number + at, *id));
        }
        Ok(chunks.len())
    }

    /// Ends one thread's part in a shared file; the last one adds the node.
    fn leave(&mut self, file: &SharedFile) -> Result<(), RepositoryError> {
        if file.waiting.fetch_sub(1, Ordering::AcqRel) != 1 {
            return Ok(());
        }
        let mut state = std::mem::take(&mut *file.state.lock().unwrap_or_else(PoisonError::into_inner));
        state.ids.sort_unstable();
        let content: Vec<Id> = state.ids.into_iter().map(|(_, id)| id).collect();
        let Some((entry, size)) = state.whole else { return Ok(()) };
        self.finish_file(&file.directory, &entry, size, &content)
    }

    fn finish_file(
        &mut self,
        directory: &Arc<Directory>,
        entry: &Entry,
        size: u64,
        content: &[Id],
    ) -> Result<(), RepositoryError> {
        directory.add(entry, size, content, None);
        add(&self.session.statistics.files, 1);
        add(&self.session.statistics.processed_bytes, size);
        Counters::add(&self.session.counters.items_done, 1);
        self.release(directory.clone())
    }

    fn chunk(&mut self, job: ChunkJob) -> Result<(), RepositoryError> {
        let ChunkJob { file, number, bytes } = job;
        self.session.check()?;
        let id = store_chunk(&self.session, &mut self.compressor, &mut self.naming, &bytes)?;
        drop(bytes);
        file.state.lock().unwrap_or_else(PoisonError::into_inner).ids.push((number, id));
        self.leave(&file)
    }

    /// Ends the wait of a directory for one entry. Where that was the last, its tree is stored, and so on upwards.
    pub(super) fn release(&mut self, mut directory: Arc<Directory>) -> Result<(), RepositoryError> {
        while directory.release() {
            let tree = directory.take_tree().map_err(|same| RepositoryError::Internal {
                what: format!("two entries of one directory are named '{}'", same.0),
            })?;
            let id = Id::of(&tree);
            let new = store_blob(
                &self.session,
                &mut self.compressor,
                &mut self.naming,
                BlobKind::Tree,
                &id,
                &tree,
            )?;
            if !new {
                add(&self.session.statistics.directories_known, 1);
            }
            let Some((entry, parent)) = directory.place() else {
                *self.session.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
                return Ok(());
            };
            parent.add(entry, 0, &[], Some(&id));
            Counters::add(&self.session.counters.items_done, 1);
            let parent = parent.clone();
            directory = parent;
        }
        Ok(())
    }
}

impl SharedFile {
    fn new(directory: Arc<Directory>) -> Arc<Self> {
        Arc::new(Self { directory, waiting: AtomicUsize::new(1), state: Mutex::default() })
    }
}

fn store_chunk(
    session: &Session,
    compressor: &mut Compressor,
    naming: &mut Naming,
    chunk: &[u8],
) -> Result<Id, RepositoryError> {
    let id = chunk_id(chunk, || naming.id_of(chunk, &session.packers));
    store_blob(session, compressor, naming, BlobKind::Data, &id, chunk)?;
    Ok(id)
}

/// Names a chunk; the longest chunk of zeros, of which sparse files are full, is named only once.
fn chunk_id(chunk: &[u8], id_of: impl FnOnce() -> Id) -> Id {
    static ZEROS: OnceLock<Id> = OnceLock::new();
    if chunk.len() == MAX_CHUNK_BYTES && chunk.iter().all(|byte| *byte == 0) {
        return *ZEROS.get_or_init(|| Id::of(chunk));
    }
    id_of()
}

/// Stops the backup when a thread panics, so that nobody waits for it.
struct StopOnPanic(Arc<Session>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .signals
                .fail(RepositoryError::Internal { what: "a worker thread ended unexpectedly".to_owned() });
        }
    }
}
