//! How a server is reached: what a source says, in the words of the vendor's programs.

use crate::engine::SourceOption;
use crate::error::EngineError;
use crate::tool::{RunAs, ToolRun};
use larder_model::{Cancel, Secret, Source, percent_decoded};
use std::collections::BTreeMap;

/// The options a source may have, with what they mean.
pub(super) const OPTIONS: [SourceOption; 6] = [
    SourceOption::new(
        "MaintenanceDatabase",
        "the database that is asked for the others; postgres where nothing is said",
    ),
    SourceOption::new("SslMode", "as libpq has it: require, verify-full"),
    SourceOption::new("SslRootCertificate", "the file with the certificates that are trusted"),
    SourceOption::new(
        "LockTimeout",
        "for how many seconds a table that somebody locks is waited for; 60 where nothing is said",
    ),
    SourceOption::new(
        "OsUser",
        "the user of this host that the programs run as, for servers that ask for it (peer)",
    ),
    SourceOption::new("WholeServer", "true where the server as a whole is a database, too"),
];

/// For how many seconds a connection is waited for.
const CONNECT_SECONDS: &str = "20";

/// Settings of every session: what is printed must not depend on how server and role are set up, and nothing may end a
/// session that waits for another.
const SESSION: &str = "-c TimeZone=UTC -c bytea_output=hex -c lc_monetary=C -c statement_timeout=0 \
                       -c idle_in_transaction_session_timeout=0";

/// Where a server is, and as whom it is asked.
#[derive(Clone, Debug)]
pub(super) struct Login {
    /// As the source has it, for messages.
    pub(super) address: String,
    environment: Vec<(&'static str, String)>,
    password: Option<Secret>,
    maintenance: String,
    /// For how many seconds a locked table is waited for.
    pub(super) lock_seconds: u64,
    run_as: Option<RunAs>,
    /// Whether the server as a whole is a database, too.
    pub(super) whole_server: bool,
}

impl Login {
    /// Reads a source.
    pub(super) fn of(source: &Source) -> Result<Self, EngineError> {
        let wrong = |cause: String, remedy: String| EngineError::Failed {
            action: format!("reading the source {}", source.name),
            cause,
            remedy,
        };
        check_options(&source.options).map_err(|(cause, remedy)| wrong(cause, remedy))?;
        let example = || "write it as postgresql://USER@HOST:PORT".to_owned();
        let address = &source.address;
        let rest = address.strip_prefix("postgresql://").or_else(|| address.strip_prefix("postgres://"));
        let rest =
            rest.ok_or_else(|| wrong(format!("'{address}' is no address of PostgreSQL"), example()))?;
        if rest.contains(['?', '#']) {
            let remedy = "give them as options of the source instead, as SslMode=require".to_owned();
            return Err(wrong(format!("'{address}' holds parameters"), remedy));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = split_port(place);
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(wrong(format!("'{port}' is no port"), example()));
        }
        let mut environment = Vec::new();
        let host = percent_decoded(host.trim_start_matches('[').trim_end_matches(']'));
        let pairs = [
            ("PGHOST", host),
            ("PGPORT", port.to_owned()),
            ("PGUSER", percent_decoded(user)),
            option(source, "PGSSLMODE", "SslMode"),
            option(source, "PGSSLROOTCERT", "SslRootCertificate"),
        ];
        environment.extend(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        let lock = source.options.get("LockTimeout");
        let lock_seconds = match lock.map(|text| text.parse()) {
            None => 60,
            Some(Ok(seconds)) => seconds,
            Some(Err(_)) => {
                return Err(wrong(
                    "the option LockTimeout is no number of seconds".to_owned(),
                    "write LockTimeout=60".to_owned(),
                ));
            }
        };
        let whole = source.options.get("WholeServer").map_or(Ok(false), |text| text.parse());
        let whole_server = whole.map_err(|_| {
            let remedy = "write WholeServer=true, or remove it".to_owned();
            wrong("the option WholeServer is neither true nor false".to_owned(), remedy)
        })?;
        let run_as = source.options.get("OsUser").map(|name| user_of(name)).transpose().map_err(|cause| {
            wrong(cause, "give the option OsUser the name of a user of this host, or remove it".to_owned())
        })?;
        let named = Some(percent_decoded(path)).filter(|path| !path.is_empty());
        Ok(Self {
            address: address.clone(),
            environment,
            password: source.password.clone(),
            maintenance: source
                .options
                .get("MaintenanceDatabase")
                .cloned()
                .or(named)
                .unwrap_or_else(|| "postgres".to_owned()),
            lock_seconds,
            run_as: run_as.flatten(),
            whole_server,
        })
    }

    /// Returns the database that is asked for the others.
    pub(super) fn maintenance(&self) -> &str {
        &self.maintenance
    }

    /// Makes a run of one of the vendor's programs against a database of the server.
    pub(super) fn run(&self, database: &str, cancel: &Cancel) -> ToolRun {
        let mut run = ToolRun::new(cancel)
            // Not as an argument, where it could be taken for a connection string.
            .env("PGDATABASE", database)
            .env("PGCONNECT_TIMEOUT", CONNECT_SECONDS)
            .env("PGAPPNAME", "larder")
            .env("PGOPTIONS", SESSION)
            .arg("--no-password")
            .run_as(self.run_as);
        for (name, value) in &self.environment {
            run = run.env(name, value);
        }
        match &self.password {
            Some(password) => run.secret_env("PGPASSWORD", password),
            None => run,
        }
    }
}

fn option(source: &Source, variable: &'static str, name: &str) -> (&'static str, String) {
    (variable, source.options.get(name).cloned().unwrap_or_default())
}

fn check_options(options: &BTreeMap<String, String>) -> Result<(), (String, String)> {
    match options.keys().find(|name| !OPTIONS.iter().any(|known| known.name == *name)) {
        None => Ok(()),
        Some(unknown) => {
            let known: Vec<String> =
                OPTIONS.iter().map(|one| format!("{} ({})", one.name, one.meaning)).collect();
            Err((format!("it has no option '{unknown}'"), format!("the options are {}", known.join("; "))))
        }
    }
}

fn split_port(place: &str) -> (&str, &str) {
    // An address of IPv6 has colons of its own.
    match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (place, ""),
    }
}

/// Finds a user of this host; `None` where Larder is that user already.
fn user_of(name: &str) -> Result<Option<RunAs>, String> {
    let user = nix::unistd::User::from_name(name).map_err(|error| error.to_string())?;
    let user = user.ok_or_else(|| format!("this host has no user '{name}'"))?;
    if user.uid == nix::unistd::geteuid() {
        return Ok(None);
    }
    Ok(Some(RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// Quotes a name for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for SQL.
pub(super) fn literal(text: &str) -> String {
    // The form with E is read the same whatever the server's settings are.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::{DatabaseName, EngineKind};

    fn login(address: &str) -> Result<Login, EngineError> {
        let name = DatabaseName::from_lossy("main");
        Login::of(&Source::new(name, EngineKind::Postgresql, address.to_owned()))
    }

    #[test]
    fn addresses_are_read_as_libpq_reads_them() {
        for (address, host, port, user) in [
            ("postgresql://backup@db.example.org:5433", "db.example.org", "5433", "backup"),
            ("postgres://backup@[::1]:5432/shop", "::1", "5432", "backup"),
            ("postgresql://%2Frun%2Fpostgresql", "/run/postgresql", "", ""),
            ("postgresql://a%40b@[::1]", "::1", "", "a@b"),
        ] {
            let login = login(address).unwrap();
            let found = |name| login.environment.iter().find(|(key, _)| *key == name);
            let is = |name, value: &str| found(name).map_or("", |(_, found)| found.as_str()) == value;
            assert!(is("PGHOST", host) && is("PGPORT", port) && is("PGUSER", user), "{login:?}");
        }
        for address in ["mysql://a@b", "postgresql://a@b:port", "postgresql://a@b?sslmode=require"] {
            assert!(login(address).is_err(), "{address}");
        }
    }

    #[test]
    fn an_unknown_option_is_answered_with_the_known_ones() {
        let name = DatabaseName::from_lossy("main");
        let mut source = Source::new(name, EngineKind::Postgresql, "postgresql://h".to_owned());
        source.options.insert("Speed".to_owned(), "high".to_owned());
        let error = Login::of(&source).unwrap_err().to_string();
        assert!(error.contains("'Speed'") && error.contains("LockTimeout"), "{error}");
    }

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
        assert_eq!(literal("it's \\"), "E'it''s \\\\'");
    }
}
