//! `larder.toml`: what the administrator of the host decides.

use crate::exit::Failure;
use crate::text_place::TextPlace;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use larder_model::task::DestinationKind;
use larder_model::{Bandwidth, DatabaseName};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The shortest time between two searches for new databases.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The most days that the reading of everything may take.
const MOST_DAYS: u32 = 3650;

/// The configuration as read; `None` where nothing is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) bind: Option<SocketAddr>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) time_zone: Option<TimeZone>,
    pub(crate) discovery_interval: Option<Duration>,
    pub(crate) max_concurrent_backups: Option<usize>,
    pub(crate) identifier: Option<String>,
    pub(crate) history_limit: Option<usize>,
    /// Zero reads nothing.
    pub(crate) check_days: Option<u32>,
    pub(crate) prune_grace: Option<Duration>,
    pub(crate) log: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) script_directories: Vec<PathBuf>,
    pub(crate) command_directories: Vec<PathBuf>,
    pub(crate) local_root: Option<PathBuf>,
    pub(crate) allowed_destinations: Option<Vec<DestinationKind>>,
    pub(crate) allowed_aws_regions: Option<Vec<String>>,
    pub(crate) upload_limit: Bandwidth,
    pub(crate) download_limit: Bandwidth,
    /// In bytes; zero puts nothing on the disk.
    pub(crate) staging_limit: Option<u64>,
    pub(crate) ssh_program: Option<PathBuf>,
    /// What lies in the files that are named.
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) tool_directories: Vec<PathBuf>,
    pub(crate) tool_niceness: Option<u8>,
    pub(crate) tool_idle_disk: bool,
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bind: Option<Spanned<String>>,
    token_file: Option<Spanned<String>>,
    #[serde(default)]
    allowed_hosts: Vec<String>,
    time_zone: Option<Spanned<String>>,
    discovery_interval: Option<Spanned<String>>,
    max_concurrent_backups: Option<Spanned<i64>>,
    identifier: Option<Spanned<String>>,
    history_limit: Option<Spanned<i64>>,
    log: Option<Spanned<String>>,
    public_url: Option<Spanned<String>>,
    #[serde(default)]
    scripts: Scripts,
    #[serde(default)]
    commands: Scripts,
    #[serde(default)]
    destinations: Destinations,
    #[serde(default)]
    tools: Tools,
    #[serde(default)]
    upkeep: UpkeepTable,
}

/// What the server does by itself for repositories.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpkeepTable {
    check_days: Option<Spanned<i64>>,
    prune_grace: Option<Spanned<String>>,
}

/// Programs that tasks, or sources, may call.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scripts {
    #[serde(default)]
    directories: Vec<Spanned<String>>,
}

/// The database vendors' programs.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tools {
    #[serde(default)]
    directories: Vec<Spanned<String>>,
    niceness: Option<Spanned<i64>>,
    #[serde(default)]
    idle_disk: bool,
}

/// Where tasks may write.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Destinations {
    local_root: Option<Spanned<String>>,
    allowed: Option<Vec<Spanned<String>>>,
    aws_regions: Option<Vec<String>>,
    upload_limit: Option<Spanned<String>>,
    download_limit: Option<Spanned<String>>,
    staging_gib: Option<Spanned<i64>>,
    ssh_program: Option<Spanned<String>>,
    #[serde(default)]
    root_certificates: Vec<Spanned<String>>,
}

/// Returns the file that is written at the first start: every key, explained, at its default.
pub(crate) fn template(identifier: &str) -> String {
    format!(
        r#"# Larder's configuration. Read at start; the command line wins over it.
# What to back up and when is not here: see larder source and larder task.

# Where the API and the studio are served. Anything but loopback needs token_file.
#bind = "127.0.0.1:8600"

# A file whose one line every caller must show as: Authorization: Bearer ...
#token_file = "/etc/larder/token"

# Names besides localhost under which browsers may call this server.
#allowed_hosts = ["backup.example.org"]

# The zone of schedules that name none, and of the times that are shown (an IANA name).
#time_zone = "Europe/Berlin"

# The longest time until a new database is found.
#discovery_interval = "60s"

# How many backups run at the same time. The default follows from the number of cores.
#max_concurrent_backups = 2

# Names this installation, so that several can share a destination. Kept on every backup: a backup with another
# name is never removed by this one. Do not change it later without need.
identifier = "{identifier}"

# How many finished operations the history keeps.
#history_limit = 10000

# How much is logged on standard error: error, warn, info, debug or trace.
#log = "info"

# The address that RavenDB's clients are told to use. Where nothing is said, they go on with the one they called.
#public_url = "https://backup.example.org"

# Directories whose programs a task may name in GetBackupConfigurationScript. The API alone can never make this
# server run a program: where nothing is listed, no script runs.
#[scripts]
#directories = ["/etc/larder/scripts"]

# Directories whose programs a source of the engine command may name, with the files they get their secrets from. Keep
# nothing else there: where nothing is listed, no such source can be backed up.
#[commands]
#directories = ["/etc/larder/commands"]

# The directory below which every local destination must lie, the kinds of destination that tasks may use, and the
# regions of Amazon's. Where nothing is said, everything is allowed.
#[destinations]
#local_root = "/mnt/backups"
#allowed = ["Local", "S3", "Glacier", "Azure", "GoogleCloud", "FTP", "SFTP", "WebDAV"]
#aws_regions = ["eu-central-1"]
#
# How much may be sent to each destination at another host, and fetched from it: by hours, in the zone above.
#upload_limit = "08:00-18:00 20 MB/s; 22:00-06:00 unlimited; 50 MB/s"
#download_limit = "100 MB/s"
#
# How much of one backup may wait on this machine's disk for destinations at other hosts that are slower than the source, in
# GiB; 0 puts nothing there, and the slowest one holds up the others. Tasks with the upload mode DirectUpload never do.
#staging_gib = 64
#
# The program that opens connections to SFTP servers, and files with certificates (PEM) of authorities that are trusted
# besides the host's own.
#ssh_program = "/usr/bin/ssh"
#root_certificates = ["/etc/larder/authority.pem"]

# Where the database vendors' programs (pg_dump and the like) are looked for besides the usual places, and how much
# they step back behind other programs, 0 to 19, and whether they get the disk only when nobody else wants it (ionice).
#[tools]
#directories = ["/opt/postgresql/bin"]
#niceness = 10
#idle_disk = true

# What the server does by itself for repositories. Within so many days every stored byte at every destination is read and
# checked, a part of it each day; 0 reads none. Clouds bill for what is fetched: 30 days mean once its size a month.
# Packs that no backup needs any more stay so long, for those who read without a lock (restic mount and the like).
#[upkeep]
#check_days = 30
#prune_grace = "0s"
"#
    )
}

/// Reads a configuration. Every error names the file, the line and the column, and shows the line.
pub(crate) fn read(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!(
            "could not read the configuration '{}': {error}; check its name and its permissions",
            path.display()
        ))
    })?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Config, Failure> {
    let place = Place(TextPlace { text, path });
    let file: File = toml::from_str(text)
        .map_err(|error| place.failure(error.span().unwrap_or(0..0), &error.message().replace('\n', ", ")))?;
    Ok(Config {
        bind: place.read(file.bind, |text| {
            text.parse().map_err(|_| "it is not an address with a port, such as 127.0.0.1:8600".to_owned())
        })?,
        token_file: place.read(file.token_file, |text| match text.is_empty() {
            true => Err("it names no file".to_owned()),
            // Relative to the file that names it, wherever the server is started.
            false => Ok(path.parent().unwrap_or(Path::new("")).join(text)),
        })?,
        allowed_hosts: file.allowed_hosts,
        time_zone: place.read(file.time_zone, |name| {
            TimeZone::get(name)
                .map_err(|_| "there is no such zone; use an IANA name such as Europe/Berlin".to_owned())
        })?,
        discovery_interval: place.read(file.discovery_interval, |text| interval(text))?,
        max_concurrent_backups: place.read(file.max_concurrent_backups, |count| at_least(*count, 1))?,
        identifier: place.read(file.identifier, |name| {
            let name = name.parse::<DatabaseName>();
            name.map(|name| name.to_string())
                .map_err(|_| "only letters, digits, '_', '-' and '.' may be used".to_owned())
        })?,
        history_limit: place.read(file.history_limit, |count| at_least(*count, 1))?,
        check_days: place.read(file.upkeep.check_days, |days| {
            u32::try_from(*days)
                .ok()
                .filter(|days| *days <= MOST_DAYS)
                .ok_or_else(|| format!("it must be from 0, which reads nothing, to {MOST_DAYS}"))
        })?,
        prune_grace: place.read(file.upkeep.prune_grace, |text| grace(text))?,
        log: place.read(file.log, |level| {
            tracing_subscriber::EnvFilter::try_new(level)
                .map(|_| level.clone())
                .map_err(|error| error.to_string())
        })?,
        public_url: place.read(file.public_url, |url| public_url(url))?,
        script_directories: place.directories(file.scripts.directories)?,
        command_directories: place.directories(file.commands.directories)?,
        local_root: place.directories(file.destinations.local_root.into_iter().collect())?.pop(),
        allowed_destinations: file.destinations.allowed.map(|kinds| place.kinds(kinds)).transpose()?,
        allowed_aws_regions: file.destinations.aws_regions,
        upload_limit: place.bandwidth(file.destinations.upload_limit)?,
        download_limit: place.bandwidth(file.destinations.download_limit)?,
        staging_limit: place.read(file.destinations.staging_gib, |gib| {
            let bytes = u64::try_from(*gib).ok().and_then(|gib| gib.checked_mul(1 << 30));
            bytes.ok_or_else(|| "it must be 0, which puts nothing there, or a number of GiB".to_owned())
        })?,
        ssh_program: place.directories(file.destinations.ssh_program.into_iter().collect())?.pop(),
        root_certificates: place.certificates(file.destinations.root_certificates)?,
        tool_idle_disk: file.tools.idle_disk,
        tool_directories: place.directories(file.tools.directories)?,
        tool_niceness: place.read(file.tools.niceness, |niceness| {
            u8::try_from(*niceness)
                .ok()
                .filter(|niceness| *niceness < 20)
                .ok_or_else(|| "it must be from 0 to 19".to_owned())
        })?,
    })
}

fn public_url(url: &str) -> Result<String, String> {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#', ' ']) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => Err("it is no address such as https://backup.example.org".to_owned()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    match parsed {
        Some(duration) if duration >= SHORTEST_INTERVAL => Ok(duration),
        Some(_) => Err("it is shorter than one second".to_owned()),
        None => Err("it is no length of time; write for example 60s, 5m or 1h".to_owned()),
    }
}

fn grace(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "it is no length of time; write for example 0s, 12h or 72h".to_owned())
}

fn at_least(count: i64, least: usize) -> Result<usize, String> {
    usize::try_from(count)
        .ok()
        .filter(|count| *count >= least)
        .ok_or_else(|| format!("it must be at least {least}"))
}

/// The text of the configuration, for messages.
struct Place<'a>(TextPlace<'a>);

impl Place<'_> {
    fn read<T, U>(
        &self,
        value: Option<Spanned<T>>,
        convert: impl Fn(&T) -> Result<U, String>,
    ) -> Result<Option<U>, Failure> {
        value
            .map(|value| convert(value.get_ref()).map_err(|message| self.failure(value.span(), &message)))
            .transpose()
    }

    /// Reads directories; each must be absolute, so that it means the same wherever the server is started.
    fn directories(&self, given: Vec<Spanned<String>>) -> Result<Vec<PathBuf>, Failure> {
        let absolute = |path: Spanned<String>| {
            let directory = PathBuf::from(path.get_ref());
            match directory.is_absolute() {
                true => Ok(directory),
                false => {
                    Err(self.failure(path.span(), "it is not an absolute path, such as /etc/larder/scripts"))
                }
            }
        };
        given.into_iter().map(absolute).collect()
    }

    fn bandwidth(&self, given: Option<Spanned<String>>) -> Result<Bandwidth, Failure> {
        let read = self.read(given, |text| text.parse::<Bandwidth>().map_err(|error| error.to_string()))?;
        Ok(read.unwrap_or_default())
    }

    /// Reads files with certificates.
    fn certificates(&self, given: Vec<Spanned<String>>) -> Result<Vec<Vec<u8>>, Failure> {
        let bytes = |path: Spanned<String>| {
            std::fs::read(path.get_ref()).map_err(|error| {
                self.failure(path.span(), &format!("the certificate cannot be read: {error}"))
            })
        };
        given.into_iter().map(bytes).collect()
    }

    fn kinds(&self, given: Vec<Spanned<String>>) -> Result<Vec<DestinationKind>, Failure> {
        let kind = |word: Spanned<String>| {
            let named = word.get_ref().clone().into_deserializer();
            let kind: Result<DestinationKind, serde::de::value::Error> = DestinationKind::deserialize(named);
            kind.map_err(|error| self.failure(word.span(), &error.to_string()))
        };
        given.into_iter().map(kind).collect()
    }

    fn failure(&self, span: Range<usize>, message: &str) -> Failure {
        Failure::new(self.0.at(&span, &format!("{message}; correct it and start again")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_service::Settings;

    fn failure(text: &str) -> String {
        parse(text, Path::new("larder.toml")).unwrap_err().message
    }

    #[test]
    fn the_template_is_a_valid_configuration_with_or_without_its_comments() {
        let template = template("here");
        let config = parse(&template, Path::new("larder.toml")).unwrap();
        assert_eq!((config.identifier.as_deref(), config.bind), (Some("here"), None));
        let every_key: String = template
            .lines()
            // The file that it names is not there.
            .filter(|line| !line.starts_with("# ") && !line.contains("root_certificates"))
            .map(|line| format!("{}\n", line.trim_start_matches('#')))
            .collect();
        let config = parse(&every_key, Path::new("/etc/larder/larder.toml")).unwrap();
        assert_eq!(config.discovery_interval, Some(Duration::from_secs(60)));
        assert_eq!(config.max_concurrent_backups, Some(2));
        assert_eq!(config.script_directories, [Path::new("/etc/larder/scripts")]);
        assert_eq!(config.command_directories, [Path::new("/etc/larder/commands")]);
        assert_eq!(config.local_root.as_deref(), Some(Path::new("/mnt/backups")));
        assert_eq!(config.allowed_destinations.map(|kinds| kinds.len()), Some(DestinationKind::ALL.len()));
        assert_eq!(config.tool_directories, [Path::new("/opt/postgresql/bin")]);
        assert_eq!((config.tool_niceness, config.tool_idle_disk), (Some(10), true));
        assert_eq!((config.check_days, config.prune_grace), (Some(30), Some(Duration::ZERO)));
        assert_eq!(config.public_url.as_deref(), Some("https://backup.example.org"));
        assert_eq!(config.staging_limit, Some(Settings::new(Path::new("/")).staging_limit));
        assert!(config.time_zone.is_some() && config.log.is_some() && config.token_file.is_some());
    }

    #[test]
    fn an_error_names_the_line_and_the_column_and_shows_the_line() {
        let message = failure("bind = \"127.0.0.1:8600\"\nhistory_limit = lots\n");
        assert!(message.starts_with("larder.toml, line 2, column 17: "), "{message}");
        assert!(message.contains("\n    history_limit = lots\n                    ^"), "{message}");
    }

    #[test]
    fn values_that_make_no_sense_are_shown_where_they_stand() {
        for (text, says) in [
            ("bind = \"everywhere\"", "address with a port"),
            ("time_zone = \"Mars/Olympus\"", "IANA"),
            ("discovery_interval = \"often\"", "60s"),
            ("discovery_interval = \"5ms\"", "shorter than one second"),
            ("max_concurrent_backups = 0", "at least 1"),
            ("identifier = \"a,b\"", "letters"),
            ("public_url = \"backup.example.org\"", "https://"),
            ("destinations = { allowed = [\"Tape\"] }", "Tape"),
            ("tools = { niceness = 20 }", "0 to 19"),
            ("scripts = { directories = [\"scripts\"] }", "absolute"),
            ("destinations = { upload_limit = \"fast\" }", "20 MB/s"),
            ("destinations = { staging_gib = -1 }", "puts nothing there"),
            ("destinations = { root_certificates = [\"/nope.pem\"] }", "cannot be read"),
            ("commands = { directories = [\"commands\"] }", "absolute"),
            ("upkeep = { check_days = -1 }", "reads nothing"),
            ("upkeep = { prune_grace = \"soon\" }", "72h"),
        ] {
            let message = failure(text);
            assert!(message.contains("line 1, column ") && message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_where_it_stands() {
        let message = failure("# mine\nmax_backups = 3\n");
        assert!(
            message.starts_with("larder.toml, line 2, column 1: ") && message.contains("max_backups"),
            "{message}"
        );
    }
}
