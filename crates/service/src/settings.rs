//! What the administrator of the host decides once, at start.

use jiff::tz::TimeZone;
use larder_engines::Host;
use larder_model::Bandwidth;
use larder_model::task::DestinationKind;
use larder_storage::ConnectorSettings;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often sources are searched for new databases, unless said otherwise.
pub const DEFAULT_DISCOVERY_INTERVAL: Duration = Duration::from_secs(60);

/// How many finished operations the history keeps, unless said otherwise.
pub const DEFAULT_HISTORY_LIMIT: usize = 10_000;

/// Within which time the backups of a server-wide task with many databases begin, unless said otherwise.
pub const DEFAULT_START_SPREAD: Duration = Duration::from_secs(30 * 60);

/// How many bytes of one backup may wait on disk for slow destinations, unless said otherwise.
pub const DEFAULT_STAGING_LIMIT: u64 = 64 << 30;

/// What the service is told at start; the binary takes it from `larder.toml`, the host and the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Larder's own directory; never part of a backup unless somebody asks for it.
    pub data_directory: PathBuf,
    /// Where what cannot be streamed is put for a moment; emptied at start.
    pub staging_directory: PathBuf,
    /// The longest time until a new database is found.
    pub discovery_interval: Duration,
    /// How many backups run at the same time; at least 1.
    pub max_concurrent_backups: usize,
    /// Within which time after their moment the backups of a server-wide task with many databases begin.
    pub start_spread: Duration,
    /// The zone of schedules that name none.
    pub time_zone: TimeZone,
    /// The host's name, kept on every backup.
    pub hostname: String,
    /// The user's name, kept on every backup.
    pub username: String,
    /// Names this installation, so that several can share a destination; kept on every backup.
    pub identifier: String,
    /// How many finished operations the history keeps.
    pub history_limit: usize,
    /// Where the programs of `GetBackupConfigurationScript` may lie; none run where nothing is said.
    pub script_directories: Vec<PathBuf>,
    /// The directory that local destinations must lie in; anywhere where nothing is said.
    pub local_root: Option<PathBuf>,
    /// The kinds of destination that tasks may have; all where nothing is said, none where the list is empty.
    pub allowed_destinations: Option<Vec<DestinationKind>>,
    /// The AWS regions that tasks may name; all where nothing is said.
    pub allowed_aws_regions: Option<Vec<String>>,
    /// How much may be sent to each destination at other hosts, by the hour, in the zone above.
    pub upload_limit: Bandwidth,
    /// How much may be fetched from each.
    pub download_limit: Bandwidth,
    /// How many bytes of one backup may wait in the staging directory for slow destinations; 0 puts nothing there.
    pub staging_limit: u64,
    /// Within how many days every stored byte is read and checked, a part of it each day; none is where nothing is said.
    pub check_days: Option<NonZeroU32>,
    /// How long packs that no backup needs any more stay, for those who read without a lock; zero removes them at once.
    pub prune_grace: Duration,
    /// What connections to destinations are told of the host.
    pub connector: ConnectorSettings,
    /// What engines are told of this host: where the vendors' programs lie, and how nicely they run.
    pub host: Host,
}

impl Settings {
    /// Makes settings for a data directory, with every other value at its default.
    ///
    /// The default zone is UTC, host and user are empty, the identifier is `larder`, and one backup runs at a time.
    #[must_use]
    pub fn new(data_directory: &Path) -> Self {
        Self {
            data_directory: data_directory.to_owned(),
            staging_directory: data_directory.join("staging"),
            discovery_interval: DEFAULT_DISCOVERY_INTERVAL,
            max_concurrent_backups: 1,
            start_spread: DEFAULT_START_SPREAD,
            time_zone: TimeZone::UTC,
            hostname: String::new(),
            username: String::new(),
            identifier: "larder".to_owned(),
            history_limit: DEFAULT_HISTORY_LIMIT,
            script_directories: Vec::new(),
            local_root: None,
            allowed_destinations: None,
            allowed_aws_regions: None,
            upload_limit: Bandwidth::default(),
            download_limit: Bandwidth::default(),
            staging_limit: DEFAULT_STAGING_LIMIT,
            check_days: None,
            prune_grace: Duration::ZERO,
            connector: ConnectorSettings::default(),
            host: Host::default(),
        }
    }

    /// Returns the directory of the embedded SQLite source, which databases made through the API lie in.
    #[must_use]
    pub fn databases_directory(&self) -> PathBuf {
        self.data_directory.join("databases")
    }
}
