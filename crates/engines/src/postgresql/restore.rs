//! Gets a database back: into a new database under a temporary name, which gets its own when all is there.

use super::failure::{explained, odd};
use super::login::{Login, literal, quoted};
use super::properties::Properties;
use super::session::{Session, psql};
use super::{DUMP, PROPERTIES};
use crate::engine::{RestoreJob, RestoreReport, RestoreTarget};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::Tools;
use larder_model::{Cancel, Source};
use std::io::Read;

/// How many bytes of properties are read at most.
const MOST_PROPERTIES: u64 = 16 << 20;

pub(super) fn restore(
    tools: &Tools,
    job: &RestoreJob<'_>,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    if job.until.is_some() {
        return Err(EngineError::Failed {
            action: "restoring to a point in time".to_owned(),
            cause: "a dump knows only the moment of its backup".to_owned(),
            remedy: "choose a backup by its id or its time, or restore the server as a whole, which knows the moments of its backups and all between them".to_owned(),
        });
    }
    match job.target {
        RestoreTarget::Path(path) => {
            let extracted = backup.extract(path, job.overwrite)?;
            let (files, bytes) = (extracted.files, extracted.bytes_written + extracted.bytes_kept);
            Ok(RestoreReport { files, bytes, messages: extracted.warnings })
        }
        RestoreTarget::Server { source, name } => {
            let properties = properties(backup)?;
            Restore { tools, job, source, name, properties }.run(backup)
        }
    }
}

/// Reads what the backup says of its database.
pub(super) fn properties(backup: &dyn BackupReader) -> Result<Properties, EngineError> {
    let mut text = Vec::new();
    let read = backup.open(PROPERTIES.as_bytes())?.take(MOST_PROPERTIES).read_to_end(&mut text);
    read.map_err(|error| odd(format!("reading {PROPERTIES} of the backup"), error.to_string()))?;
    serde_json::from_slice(&text)
        .map_err(|error| odd(format!("reading {PROPERTIES} of the backup"), error.to_string()))
}

struct Restore<'a> {
    tools: &'a Tools,
    job: &'a RestoreJob<'a>,
    source: &'a Source,
    name: &'a str,
    properties: Properties,
}

impl Restore<'_> {
    fn run(&self, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        let login = Login::of(self.source)?;
        // What is cleaned up is cleaned up even after an abort.
        let calm = Cancel::new();
        let mut server = Session::open(self.tools, &login, login.maintenance(), &calm)?;
        let exists = self.exists(&mut server, self.name)?;
        if exists && !self.job.overwrite {
            let target = format!("the database {} at {}", self.name, login.address);
            return Err(EngineError::TargetNotEmpty { target });
        }
        let mut messages = Vec::new();
        self.make_roles(&mut server, &mut messages)?;
        let temporary = self.free_name(&mut server, "restoring")?;
        self.create(&mut server, &temporary, &mut messages)?;
        server.close()?;
        let filled = self.fill(&login, &temporary, backup).and_then(|bytes| {
            let mut server = Session::open(self.tools, &login, login.maintenance(), &calm)?;
            self.dress(&mut server, &temporary)?;
            self.job.cancel.check()?;
            self.put_in_place(&mut server, &temporary, exists, &mut messages)?;
            server.close()?;
            Ok(bytes)
        });
        match filled {
            Ok(bytes) => Ok(RestoreReport { files: 0, bytes, messages }),
            Err(error) => {
                // Only what was made here goes. The first error is the one worth telling.
                if let Ok(mut server) = Session::open(self.tools, &login, login.maintenance(), &calm) {
                    let _ =
                        server.run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&temporary)));
                }
                Err(error)
            }
        }
    }

    fn exists(&self, server: &mut Session, name: &str) -> Result<bool, EngineError> {
        let query = "SELECT to_jsonb(count(*) > 0) FROM pg_catalog.pg_database WHERE datname = ";
        Ok(server.ask(&format!("{query}{}", literal(name)))?.as_bool() == Some(true))
    }

    /// Makes a name that no database has, within the 63 bytes that names have.
    fn free_name(&self, server: &mut Session, what: &str) -> Result<String, EngineError> {
        let mut short = self.name;
        while short.len() > 30 {
            short = short.char_indices().next_back().map_or("", |(end, _)| &short[..end]);
        }
        for number in 0..1_000 {
            let name = format!("{short}.{what}-{}-{number}", std::process::id());
            if !self.exists(server, &name)? {
                return Ok(name);
            }
        }
        Err(odd(format!("restoring to the database {}", self.name), "no temporary name is free"))
    }

    /// The dump gives things to their owners, who must be there.
    fn make_roles(&self, server: &mut Session, messages: &mut Vec<String>) -> Result<(), EngineError> {
        let wanted = self.properties.roles.iter().chain([&self.properties.first_role]);
        let wanted: Vec<String> = wanted.map(|role| literal(role)).collect();
        let query = format!(
            "SELECT coalesce(jsonb_agg(DISTINCT w), '[]') FROM unnest(ARRAY[{}]) AS w
             WHERE w NOT IN (SELECT rolname FROM pg_catalog.pg_roles)",
            wanted.join(", ")
        );
        let lacking: Vec<String> = serde_json::from_value(server.ask(&query)?).unwrap_or_default();
        for role in lacking {
            server.run(&format!("CREATE ROLE {} NOLOGIN", quoted(&role)))?;
            messages.push(format!(
                "the role {role} was not there and was made, without the right to log in; its own settings are in globals.sql of the backup"
            ));
        }
        Ok(())
    }

    fn create(
        &self,
        server: &mut Session,
        name: &str,
        messages: &mut Vec<String>,
    ) -> Result<(), EngineError> {
        let Properties { encoding, collate, character_type, .. } = &self.properties;
        // Asked first, because a statement that fails ends the session.
        let known = server.ask(&format!(
            "SELECT to_jsonb((SELECT count(*) FROM (VALUES ({}), ({})) AS w (l)
                WHERE l IN ('C', 'POSIX') OR EXISTS (SELECT FROM pg_catalog.pg_database WHERE datcollate = l)
                    OR EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collcollate = l OR
                        lower(replace(collname, '-', '')) = lower(replace(l, '-', ''))) ) = 2)",
            literal(collate),
            literal(character_type)
        ))?;
        let locale = if known.as_bool() == Some(true) {
            format!("LC_COLLATE {} LC_CTYPE {}", literal(collate), literal(character_type))
        } else {
            messages.push(format!(
                "the server has no locale {collate}, so the copy sorts as C does; install the locale there and restore again for the same order"
            ));
            "LC_COLLATE 'C' LC_CTYPE 'C'".to_owned()
        };
        server.run(&format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} {locale}",
            quoted(name),
            literal(encoding)
        ))
    }

    /// Has the dump carried out in one transaction, which the first error undoes.
    fn fill(&self, login: &Login, name: &str, backup: &dyn BackupReader) -> Result<u64, EngineError> {
        let action = format!("restoring to the database {} at {}", self.name, login.address);
        let run = login
            .run(name, self.job.cancel)
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file=-"])
            .fed()
            .quiet();
        let mut running = psql(self.tools)?.start(run).map_err(|failure| explained(failure, &action))?;
        let mut dump = backup.open(DUMP.as_bytes())?;
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            self.job.cancel.check()?;
            let length = dump.read(&mut buffer).map_err(|error| EngineError::Failed {
                action: "reading the backup".to_owned(),
                cause: error.to_string(),
                remedy: "check the repository, or restore from another destination".to_owned(),
            })?;
            if length == 0 {
                break;
            }
            let fed = running.feed(buffer.get(..length).unwrap_or_default());
            fed.map_err(|failure| explained(failure, &action))?;
            bytes += length as u64;
        }
        running.finish().map_err(|failure| explained(failure, &action))?;
        let mut session = Session::open(self.tools, login, name, self.job.cancel)?;
        // Without it the first questions would be answered by guesses.
        session.run("ANALYZE")?;
        session.close()?;
        Ok(bytes)
    }

    /// Gives the database the owner, rights and settings that the dump does not hold.
    fn dress(&self, server: &mut Session, name: &str) -> Result<(), EngineError> {
        let Properties { owner, comment, connection_limit, settings, rights, .. } = &self.properties;
        let name = quoted(name);
        server.run(&format!("ALTER DATABASE {name} OWNER TO {}", quoted(owner)))?;
        if *connection_limit >= 0 {
            server.run(&format!("ALTER DATABASE {name} CONNECTION LIMIT {connection_limit}"))?;
        }
        if let Some(comment) = comment {
            server.run(&format!("COMMENT ON DATABASE {name} IS {}", literal(comment)))?;
        }
        for (role, setting) in settings {
            let Some((key, value)) = setting.split_once('=') else { continue };
            let whose = match role.is_empty() {
                true => format!("DATABASE {name}"),
                false => format!("ROLE {} IN DATABASE {name}", quoted(role)),
            };
            let lists =
                ["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];
            // A list is kept as SQL spells it, everything else as it is.
            let value =
                if lists.contains(&key.to_lowercase().as_str()) { value.to_owned() } else { literal(value) };
            let value = if value.is_empty() { "''".to_owned() } else { value };
            let key: Vec<String> = key.split('.').map(quoted).collect();
            server.run(&format!("ALTER {whose} SET {} TO {value}", key.join(".")))?;
        }
        if let Some(rights) = rights {
            server.run(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"))?;
            for (role, right, may_grant) in rights {
                let role = if role.is_empty() { "PUBLIC".to_owned() } else { quoted(role) };
                let option = if *may_grant { " WITH GRANT OPTION" } else { "" };
                server.run(&format!("GRANT {right} ON DATABASE {name} TO {role}{option}"))?;
            }
        }
        Ok(())
    }

    fn put_in_place(
        &self,
        server: &mut Session,
        temporary: &str,
        exists: bool,
        messages: &mut Vec<String>,
    ) -> Result<(), EngineError> {
        let rename =
            |from: &str, to: &str| format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to));
        if !exists {
            return server.run(&rename(temporary, self.name));
        }
        let aside = self.free_name(server, "replaced")?;
        // Both or none: names are changed in one transaction.
        let both = format!("{};\n{}", rename(self.name, &aside), rename(temporary, self.name));
        server.run(&format!("BEGIN;\n{both};\nCOMMIT"))?;
        if server.run(&format!("DROP DATABASE {}", quoted(&aside))).is_err() {
            messages.push(format!(
                "the database that was there before is now called {aside}; drop it when nobody uses it"
            ));
        }
        Ok(())
    }
}
