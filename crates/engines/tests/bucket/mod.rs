//! Buckets of private stores, and what is in them.

use crate::memory::{MemoryBackup, database, source as source_at};
use larder_engines::{
    BackupJob, BackupReport, CompareJob, Comparison, Content, Engine, EngineError, Engines, Host, RestoreJob,
    RestoreReport, RestoreTarget, Sink, SinkError,
};
use larder_model::task::{AzureSettings, BackupType, Block, GoogleCloudSettings, S3Settings};
use larder_model::{BackupKind, Cancel, Counters, EngineKind, Entry, Secret, Source};
use larder_storage::{Connector, ConnectorSettings, ObjectHead, ObjectStore};
use larder_testbed::{Azurite, GcsEmulator, GcsFake, Moto, TempDir};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

pub(crate) const KEY: (&str, &str) = ("AKMOTO", "SKMOTO");

/// A store with one bucket that is backed up, and one that is restored to.
pub(crate) struct Store {
    /// Ends the store when it is dropped.
    _running: Box<dyn Any>,
    pub(crate) source: Source,
    pub(crate) other: &'static str,
    objects: BTreeMap<&'static str, Arc<dyn ObjectStore>>,
    runtime: tokio::runtime::Runtime,
}

fn source(address: &str, password: Option<&str>, options: &[(&str, &str)]) -> Source {
    let mut source = source_at(EngineKind::Bucket, Path::new(address));
    source.password = password.map(|password| Secret::new(password.to_owned()));
    source.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    source
}

impl Store {
    fn new(
        running: impl Any,
        source: Source,
        buckets: [&'static str; 2],
        block: impl Fn(&str) -> Opened,
    ) -> Self {
        let connector = Connector::new(ConnectorSettings::default()).unwrap();
        let objects = buckets
            .map(|bucket| {
                let opened = match block(bucket) {
                    Opened::S3(settings) => connector.objects(Block::S3(&settings)),
                    Opened::Azure(settings) => connector.objects(Block::Azure(&settings)),
                    Opened::Google(settings) => connector.objects(Block::GoogleCloud(&settings)),
                };
                (bucket, opened.unwrap())
            })
            .into();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { _running: Box::new(running), source, other: buckets[1], objects, runtime }
    }

    pub(crate) fn s3() -> Self {
        let moto = Moto::start();
        moto.boto(KEY.0, KEY.1).make_bucket("assets");
        moto.boto(KEY.0, KEY.1).make_bucket("copies");
        let url = moto.url();
        let source = s3_source(&url);
        Self::new(moto, source, ["assets", "copies"], |bucket| {
            Opened::S3(Box::new(S3Settings {
                bucket_name: Some(bucket.to_owned()),
                aws_access_key: Some(KEY.0.to_owned()),
                aws_secret_key: Some(Secret::new(KEY.1.to_owned())),
                custom_server_url: Some(url.clone()),
                ..S3Settings::default()
            }))
        })
    }

    pub(crate) fn azure() -> Self {
        let azurite = Azurite::start();
        azurite.make_container("assets");
        azurite.make_container("copies");
        let url = azurite.url();
        let options = [("AccountName", Azurite::ACCOUNT), ("CustomServerUrl", url.as_str())];
        let source = source("azure://assets", Some(Azurite::KEY), &options);
        Self::new(azurite, source, ["assets", "copies"], |bucket| {
            Opened::Azure(AzureSettings {
                storage_container: Some(bucket.to_owned()),
                account_name: Some(Azurite::ACCOUNT.to_owned()),
                account_key: Some(Secret::new(Azurite::KEY.to_owned())),
                custom_server_url: Some(url.clone()),
                ..AzureSettings::default()
            })
        })
    }

    /// The emulator knows one bucket: what is restored goes beside what is backed up.
    pub(crate) fn google() -> Self {
        let emulator = GcsEmulator::start();
        let url = emulator.url();
        Self::google_at(emulator, &url, None)
    }

    /// The strict stand-in, which insists on a token.
    pub(crate) fn strict_google() -> Self {
        let fake = GcsFake::start();
        let (url, credentials) = (fake.url(), fake.credentials());
        Self::google_at(fake, &url, Some(credentials))
    }

    fn google_at(running: impl Any, url: &str, credentials: Option<String>) -> Self {
        let source = source("gcs://larder/assets", credentials.as_deref(), &[("CustomServerUrl", url)]);
        Self::new(running, source, ["larder", "larder"], |bucket| {
            Opened::Google(GoogleCloudSettings {
                bucket_name: Some(bucket.to_owned()),
                google_credentials_json: credentials.clone().map(Secret::new),
                custom_server_url: Some(url.to_owned()),
                ..GoogleCloudSettings::default()
            })
        })
    }

    /// Returns the bucket and the beginning of the keys that the source names.
    fn place(&self) -> (&str, String) {
        let rest = self.source.address.split_once("://").unwrap().1;
        match rest.split_once('/') {
            Some((bucket, prefix)) => (bucket, format!("{prefix}/")),
            None => (rest, String::new()),
        }
    }

    /// Writes an object of the source, with a type and a word of its owner's.
    pub(crate) fn put(&self, key: &str, data: &[u8]) {
        let (bucket, prefix) = self.place();
        let head = ObjectHead {
            key: format!("{prefix}{key}"),
            size_bytes: data.len() as u64,
            modified: jiff::Timestamp::UNIX_EPOCH,
            tag: String::new(),
            properties: BTreeMap::from([
                ("content-type".to_owned(), "image/png".to_owned()),
                ("meta.owner".to_owned(), "somebody".to_owned()),
            ]),
        };
        self.runtime.block_on(self.objects[bucket].write(&head, data.to_vec().into())).unwrap();
    }

    pub(crate) fn remove(&self, key: &str) {
        let (bucket, prefix) = self.place();
        self.runtime.block_on(self.objects[bucket].remove(&format!("{prefix}{key}"))).unwrap();
    }

    /// Lists the keys of a bucket that begin so, without that beginning.
    pub(crate) fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let (mut keys, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = self.runtime.block_on(self.objects[bucket].page(prefix, next.as_deref())).unwrap();
            keys.extend(page.objects.into_iter().map(|object| object.key[prefix.len()..].to_owned()));
            next = page.next;
            if next.is_none() {
                keys.sort();
                return keys;
            }
        }
    }
}

pub(crate) fn s3_source(url: &str) -> Source {
    source("s3://assets", Some(KEY.1), &[("AwsAccessKey", KEY.0), ("CustomServerUrl", url)])
}

enum Opened {
    S3(Box<S3Settings>),
    Azure(AzureSettings),
    Google(GoogleCloudSettings),
}

/// A backup that was made.
pub(crate) struct Taken {
    pub(crate) backup: MemoryBackup,
    pub(crate) report: BackupReport,
}

pub(crate) fn engine<T>(work: impl FnOnce(&dyn Engine) -> T) -> T {
    work(Engines::new(&Host::default()).get(EngineKind::Bucket))
}

pub(crate) fn take_into(
    source: &Source,
    before: Option<&BackupReport>,
    sink: &mut dyn Sink,
    cancel: &Cancel,
) -> Result<BackupReport, EngineError> {
    let (staging, counters) = (TempDir::new(), Counters::default());
    let job = BackupJob {
        source,
        database: &database(source, &source.address),
        kind: if before.is_some() { BackupKind::Incremental } else { BackupKind::Full },
        backup_type: BackupType::Backup,
        chain: "test",
        previous: before,
        staging: staging.path(),
        own_directories: &[],
        cancel,
        counters: &counters,
    };
    engine(|engine| engine.backup(&job, sink))
}

pub(crate) fn full(source: &Source) -> Taken {
    let mut backup = MemoryBackup::default();
    let report = take_into(source, None, &mut backup, &Cancel::new()).unwrap();
    Taken { backup, report }
}

pub(crate) fn incremental(source: &Source, before: Taken) -> Taken {
    let mut backup = MemoryBackup::after(before.backup);
    let report = take_into(source, Some(&before.report), &mut backup, &Cancel::new()).unwrap();
    Taken { backup, report }
}

pub(crate) fn restore(
    taken: &Taken,
    target: RestoreTarget<'_>,
    overwrite: bool,
) -> Result<RestoreReport, EngineError> {
    let (staging, cancel) = (TempDir::new(), Cancel::new());
    let job = RestoreJob {
        target,
        overwrite,
        until: None,
        staging: staging.path(),
        report: Some(&taken.report),
        cancel: &cancel,
    };
    engine(|engine| engine.restore(&job, &taken.backup))
}

pub(crate) fn compare(taken: &Taken, source: &Source, restored: RestoreTarget<'_>) -> Comparison {
    let job = CompareJob {
        source: Some(source),
        database: &database(source, &source.address),
        report: &taken.report,
        restored,
        cancel: &Cancel::new(),
    };
    engine(|engine| engine.compare(&job, &taken.backup)).unwrap()
}

/// A sink that does something once, before it has read so many bytes of so manieth file.
pub(crate) struct Meddling<'a> {
    pub(crate) inner: MemoryBackup,
    pub(crate) file: usize,
    pub(crate) bytes: usize,
    pub(crate) act: &'a dyn Fn(),
}

struct Meddled<'a> {
    content: Box<dyn Read + Send>,
    bytes: Option<usize>,
    act: &'a dyn Fn(),
}

impl Read for Meddled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        if let Some(left) = self.bytes {
            self.bytes = left.checked_sub(length);
            if self.bytes.is_none() {
                (self.act)();
            }
        }
        Ok(length)
    }
}

struct Bytes(Vec<u8>, String);

impl Content for Bytes {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.0)))
    }
    fn display_path(&self) -> String {
        self.1.clone()
    }
}

impl Sink for Meddling<'_> {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        self.inner.enter(directory)
    }
    fn leave(&mut self) -> Result<(), SinkError> {
        self.inner.leave()
    }
    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        let path = content.display_path();
        let now = self.file == 0;
        self.file = self.file.wrapping_sub(1);
        if !now {
            return self.inner.file(entry, content);
        }
        let mut read = Vec::new();
        let opened =
            content.open().map(|content| Meddled { content, bytes: Some(self.bytes), act: self.act });
        match opened.and_then(|mut content| content.read_to_end(&mut read)) {
            Ok(_) => self.inner.file(entry, Box::new(Bytes(read, path))),
            Err(error) => self.inner.unreadable(&path, &error.to_string()),
        }
    }
    fn stream(&mut self, entry: Entry, bytes: &mut dyn Read, page: Option<u32>) -> Result<u64, SinkError> {
        self.inner.stream(entry, bytes, page)
    }
    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        self.inner.carry(name)
    }
    fn carry_same(&mut self, entry: &Entry) -> Result<bool, SinkError> {
        self.inner.carry_same(entry)
    }
    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        self.inner.special(entry)
    }
    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.inner.unreadable(path, cause)
    }
}
