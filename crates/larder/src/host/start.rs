//! Puts the rooms together: directory, state, key, port, service.

use crate::cli::HostArguments;
use crate::clock::MachineClock;
use crate::exit::Failure;
use crate::host::config::{self, Config};
use crate::host::data::DataDirectory;
use crate::host::{key, read_secret, tools};
use crate::logging;
use jiff::tz::TimeZone;
use larder_http::{HttpSettings, Server};
use larder_model::{Clock, DatabaseName};
use larder_service::{Host as EngineHost, Service, Settings};
use larder_state::RedbState;
use larder_storage::ConnectorSettings;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

/// Where the server listens unless told otherwise.
const DEFAULT_BIND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8600);

/// More backups at once than this seldom make anything faster: the disk is then what is waited for.
const MOST_CONCURRENT_BACKUPS: usize = 4;

/// Within how many days every stored byte is read, unless told otherwise.
const USUAL_CHECK_DAYS: u32 = 30;

/// A server on this host, started and not yet answering.
pub(crate) struct Host {
    pub(crate) data: DataDirectory,
    pub(crate) service: Service,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) zone: TimeZone,
    /// Holds the port; `None` where none was asked for.
    pub(crate) server: Option<Server>,
}

impl Host {
    /// Opens the data directory, takes the port where `listens` says so, and starts the service.
    ///
    /// Nothing is changed in a directory that another server uses, nor where the configuration makes no sense.
    pub(crate) async fn start(
        arguments: &HostArguments,
        listens: bool,
        verbose: bool,
        level: &str,
    ) -> Result<Self, Failure> {
        let data = DataDirectory::open(&arguments.data)?;
        let config = read_config(arguments, &data)?;
        logging::start(verbose, config.log.as_deref().unwrap_or(level));
        if data.open_to_others() != 0 {
            tracing::warn!(path = %data.root().display(), "others may look into the data directory; chmod 700 it");
        }
        let was_used = data.was_used();
        let state = RedbState::open(&data.state());
        // The state made just now must not make the next start believe that a key was lost.
        let key = key::open(&data, was_used).inspect_err(|_| {
            if !was_used && state.is_ok() {
                let _ = fs::remove_file(data.state());
            }
        });
        let state = state?;
        let key = key?;
        let zone = config.time_zone.clone().unwrap_or_else(TimeZone::system);
        let server = match listens {
            true => Some(Server::bind(http_settings(arguments, &config, &data, &zone)?).await?),
            false => None,
        };
        let clock: Arc<dyn Clock> = Arc::new(MachineClock);
        let settings = service_settings(&config, &data, &zone);
        let service = Service::start(settings, Arc::new(state), Arc::clone(&clock), key).await?;
        Ok(Self { data, service, clock, zone, server })
    }
}

fn read_config(arguments: &HostArguments, data: &DataDirectory) -> Result<Config, Failure> {
    if let Some(path) = &arguments.config {
        return config::read(path);
    }
    let path = data.config();
    let identifier = DatabaseName::from_lossy(&hostname());
    let written = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| {
        file.write_all(config::template(identifier.as_str()).as_bytes())?;
        file.sync_all()
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Failure::new(format!(
            "could not write the configuration '{}': {error}; check the disk and the permissions",
            path.display()
        ))),
        _ => config::read(&path),
    }
}

fn http_settings(
    arguments: &HostArguments,
    config: &Config,
    data: &DataDirectory,
    zone: &TimeZone,
) -> Result<HttpSettings, Failure> {
    let token_file = arguments.token_file.as_deref().or(config.token_file.as_deref());
    Ok(HttpSettings {
        bind: arguments.bind.or(config.bind).unwrap_or(DEFAULT_BIND),
        token: token_file.map(|path: &Path| read_secret(path, "token file")).transpose()?,
        allowed_hosts: config.allowed_hosts.clone(),
        time_zone: zone.clone(),
        key_file: data.key(),
        public_url: config.public_url.clone(),
    })
}

fn service_settings(config: &Config, data: &DataDirectory, zone: &TimeZone) -> Settings {
    let defaults = Settings::new(data.root());
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    Settings {
        staging_directory: data.staging(),
        discovery_interval: config.discovery_interval.unwrap_or(defaults.discovery_interval),
        max_concurrent_backups: config
            .max_concurrent_backups
            .unwrap_or_else(|| cores.clamp(1, MOST_CONCURRENT_BACKUPS)),
        time_zone: zone.clone(),
        hostname: hostname(),
        username: username(),
        identifier: config.identifier.clone().unwrap_or_else(|| defaults.identifier.clone()),
        history_limit: config.history_limit.unwrap_or(defaults.history_limit),
        script_directories: config.script_directories.clone(),
        local_root: config.local_root.clone(),
        allowed_destinations: config.allowed_destinations.clone(),
        allowed_aws_regions: config.allowed_aws_regions.clone(),
        upload_limit: config.upload_limit.clone(),
        download_limit: config.download_limit.clone(),
        staging_limit: config.staging_limit.unwrap_or(defaults.staging_limit),
        check_days: NonZero::new(config.check_days.unwrap_or(USUAL_CHECK_DAYS)),
        prune_grace: config.prune_grace.unwrap_or(defaults.prune_grace),
        connector: ConnectorSettings {
            ssh_program: config.ssh_program.clone(),
            temporary_directory: Some(data.staging()),
            root_certificates: config.root_certificates.clone(),
            ..ConnectorSettings::default()
        },
        host: EngineHost {
            tool_directories: tools::directories(
                &config.tool_directories,
                std::env::var_os("PATH").as_deref(),
            ),
            niceness: config.tool_niceness.unwrap_or(tools::NICENESS),
            idle_disk: config.tool_idle_disk,
            command_directories: config.command_directories.clone(),
            root_certificates: config.root_certificates.clone(),
        },
        ..defaults
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn username() -> String {
    let named =
        ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}
