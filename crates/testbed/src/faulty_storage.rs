//! A destination that fails, lies or stalls when a test says so, and counts how often it was asked.

use async_trait::async_trait;
use bytes::Bytes;
use larder_storage::{Availability, Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The calls of [`Storage`] that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Storage::put`].
    Put,
    /// [`Storage::put_new`].
    PutNew,
    /// [`Storage::get`].
    Get,
    /// [`Storage::get_range`].
    GetRange,
    /// [`Storage::stat`].
    Stat,
    /// [`Storage::list`].
    List,
    /// [`Storage::delete`].
    Delete,
    /// [`Storage::free_bytes`].
    FreeBytes,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and nothing happened.
    Fail(StorageErrorKind),
    /// The call does its work and then reports failure, as when an answer is lost on the way.
    FailAfter(StorageErrorKind),
    /// A write or removal reports success, but nothing happened; a listing is empty.
    Lose,
    /// A write keeps only so many bytes, a read gives only so many, a listing only so many objects; all report success.
    Cut(usize),
    /// One bit of what is written or read is flipped; the number picks it.
    FlipBit(usize),
    /// The call takes this long.
    Stall(Duration),
    /// The call never returns.
    Hang,
}

#[derive(Debug)]
struct Rule {
    /// `None` means any call.
    call: Option<Call>,
    /// Only paths that contain this text; empty means all.
    text: String,
    /// How many matching calls are still let through.
    let_through: u64,
    /// How many are to fail after that.
    remaining: u64,
    fault: Fault,
}

/// Wraps a destination; does what it does until a fault is injected.
#[derive(Debug)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<(Call, String)>>,
    hit: Mutex<Option<(Call, String)>>,
}

impl FaultyStorage {
    /// Wraps a destination.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>) -> Arc<Self> {
        Arc::new(Self { inner, rules: Mutex::default(), log: Mutex::default(), hit: Mutex::default() })
    }

    /// Makes the n-th call of a kind from now on go wrong, once; 1 is the next.
    pub fn on_call(&self, call: Call, nth: u64, fault: Fault) {
        self.add(Some(call), "", nth, 1, fault);
    }

    /// Makes the n-th call of whatever kind from now on go wrong, once; 1 is the next.
    pub fn on_any(&self, nth: u64, fault: Fault) {
        self.add(None, "", nth, 1, fault);
    }

    /// Makes every call of a kind whose path contains a text go wrong, until [`FaultyStorage::heal`].
    pub fn always(&self, call: Call, text: &str, fault: Fault) {
        self.add(Some(call), text, 1, u64::MAX, fault);
    }

    /// Makes the n-th call of whatever kind and all after it go wrong, until [`FaultyStorage::heal`]: a destination that goes down.
    pub fn down_from(&self, nth: u64, fault: Fault) {
        self.add(None, "", nth, u64::MAX, fault);
    }

    /// Makes so many calls of a kind whose path contains a text go wrong, then no more.
    pub fn sometimes(&self, call: Call, text: &str, times: u64, fault: Fault) {
        self.add(Some(call), text, 1, times, fault);
    }

    /// Returns the first call that went wrong, with its path.
    #[must_use]
    pub fn hit(&self) -> Option<(Call, String)> {
        self.hit.lock().unwrap().clone()
    }

    /// Takes all faults away; calls that hang stay hanging.
    pub fn heal(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Returns how often a kind of call was made, whether it failed or not.
    #[must_use]
    pub fn count(&self, call: Call) -> usize {
        self.log.lock().unwrap().iter().filter(|(made, _)| *made == call).count()
    }

    /// Returns all calls made so far, in order, with their paths.
    #[must_use]
    pub fn calls(&self) -> Vec<(Call, String)> {
        self.log.lock().unwrap().clone()
    }

    /// Forgets the calls made so far.
    pub fn forget_calls(&self) {
        self.log.lock().unwrap().clear();
    }

    fn add(&self, call: Option<Call>, text: &str, nth: u64, remaining: u64, fault: Fault) {
        let let_through = nth.checked_sub(1).expect("calls are counted from 1");
        self.rules.lock().unwrap().push(Rule { call, text: text.to_owned(), let_through, remaining, fault });
    }

    /// Records a call and finds the fault for it. Waits out a stall; returns the rest for the call itself.
    async fn begin(&self, call: Call, path: &str) -> Result<Option<Fault>, StorageError> {
        self.log.lock().unwrap().push((call, path.to_owned()));
        let fault = self.fault_for(call, path);
        if fault.is_some() {
            self.hit.lock().unwrap().get_or_insert_with(|| (call, path.to_owned()));
        }
        match fault {
            Some(Fault::Fail(kind)) => Err(self.error(kind, path)),
            Some(Fault::Stall(time)) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
            Some(Fault::Hang) => std::future::pending().await,
            other => Ok(other),
        }
    }

    fn fault_for(&self, call: Call, path: &str) -> Option<Fault> {
        let mut chosen = None;
        for rule in self.rules.lock().unwrap().iter_mut() {
            if rule.call.is_some_and(|wanted| wanted != call) || !path.contains(&rule.text) {
                continue;
            }
            if rule.let_through > 0 {
                rule.let_through -= 1;
            } else if rule.remaining > 0 && chosen.is_none() {
                rule.remaining -= 1;
                chosen = Some(rule.fault);
            }
        }
        chosen
    }

    fn error(&self, kind: StorageErrorKind, path: &str) -> StorageError {
        StorageError::new(kind, "use", path, self.inner.describe(), "a fault was injected")
    }

    fn end<T>(&self, fault: Option<Fault>, path: &str, value: T) -> Result<T, StorageError> {
        if let Some(Fault::FailAfter(kind)) = fault { Err(self.error(kind, path)) } else { Ok(value) }
    }
}

fn spoil(fault: Option<Fault>, data: Bytes) -> Bytes {
    match fault {
        Some(Fault::Cut(length)) => data.slice(..length.min(data.len())),
        Some(Fault::Lose) => Bytes::new(),
        Some(Fault::FlipBit(bit)) if !data.is_empty() => {
            let mut bytes = data.to_vec();
            let place = (bit / 8) % bytes.len();
            bytes[place] ^= 1 << (bit % 8);
            bytes.into()
        }
        _ => data,
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let fault = self.begin(Call::Put, path).await?;
        if fault != Some(Fault::Lose) {
            self.inner.put(path, spoil(fault, data)).await?;
        }
        self.end(fault, path, ())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let fault = self.begin(Call::PutNew, path).await?;
        let written = fault == Some(Fault::Lose) || self.inner.put_new(path, spoil(fault, data)).await?;
        self.end(fault, path, written)
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let fault = self.begin(Call::Put, path).await?;
        if fault != Some(Fault::Lose) {
            self.inner.put_cold(path, spoil(fault, data)).await?;
        }
        self.end(fault, path, ())
    }

    async fn protect(&self, path: &str) -> Result<(), StorageError> {
        self.inner.protect(path).await
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        self.inner.availability(path).await
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        self.inner.request(paths).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let fault = self.begin(Call::Get, path).await?;
        let data = self.inner.get(path).await?;
        self.end(fault, path, spoil(fault, data))
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let fault = self.begin(Call::GetRange, path).await?;
        let data = self.inner.get_range(path, range).await?;
        self.end(fault, path, spoil(fault, data))
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        let fault = self.begin(Call::Stat, path).await?;
        let found = self.inner.stat(path).await?;
        self.end(fault, path, if fault == Some(Fault::Lose) { None } else { found })
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let fault = self.begin(Call::List, folder).await?;
        let mut objects = self.inner.list(folder).await?;
        match fault {
            Some(Fault::Lose) => objects.clear(),
            Some(Fault::Cut(length)) => objects.truncate(length),
            _ => {}
        }
        self.end(fault, folder, objects)
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let fault = self.begin(Call::Delete, path).await?;
        if fault != Some(Fault::Lose) {
            self.inner.delete(path).await?;
        }
        self.end(fault, path, ())
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let fault = self.begin(Call::FreeBytes, "").await?;
        let free = self.inner.free_bytes().await?;
        self.end(fault, "", if fault == Some(Fault::Lose) { Some(0) } else { free })
    }
}
