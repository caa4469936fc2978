//! What can be said of a source of each engine.

use larder_model::{EngineKind, Source};
use larder_service::Service;

/// What an address of an engine looks like, what stands there, and what more is to be said.
#[derive(Clone, Copy, Debug)]
struct Words {
    holds: &'static str,
    example: &'static str,
    hint: &'static str,
    /// What the password is called; empty where none is asked for.
    password: &'static str,
}

const TREE: &str = "Everything below it that appears tomorrow is found by itself.";
const RIGHTS: &str = "The user must be allowed to read all that is to be backed up; what is missing is listed once it is added.";

/// The words of each engine, by its name.
const WORDS: &[(EngineKind, Words)] = &[
    (EngineKind::Files, words("the directory is one tree", "/srv/www", TREE, "")),
    (EngineKind::Sqlite, words("every SQLite file below it is a database", "/srv/app/data", TREE, "")),
    (
        EngineKind::Postgresql,
        words("every database of a server", "postgresql://backup@127.0.0.1:5432", RIGHTS, "Password"),
    ),
    (
        EngineKind::Mariadb,
        words(
            "every database of a MariaDB or MySQL server",
            "mariadb://backup@127.0.0.1:3306",
            RIGHTS,
            "Password",
        ),
    ),
    (
        EngineKind::Redis,
        words(
            "a Redis or Valkey server",
            "redis://127.0.0.1:6379",
            "rediss:// for TLS, unix:///run/redis/redis.sock for a socket.",
            "Password",
        ),
    ),
    (
        EngineKind::Couchdb,
        words(
            "every database of a CouchDB server",
            "http://backup@127.0.0.1:5984",
            "https:// for TLS.",
            "Password",
        ),
    ),
    (EngineKind::Etcd, words("an etcd cluster", "http://127.0.0.1:2379", "Any member of it.", "Password")),
    (
        EngineKind::Command,
        words(
            "what a program prints",
            "/etc/larder/commands/ldap 1",
            "The program with its arguments. It must lie in a directory that the administrator named in larder.toml.",
            "Password, which the program finds in LARDER_PASSWORD",
        ),
    ),
];

/// An engine that has no words of its own yet.
const GENERAL: Words = words("what this engine reads", "", "", "Password or secret key");

const fn words(
    holds: &'static str,
    example: &'static str,
    hint: &'static str,
    password: &'static str,
) -> Words {
    Words { holds, example, hint, password }
}

/// One further setting of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) value: String,
}

/// What is asked for an engine.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) engine: &'static str,
    pub(crate) holds: &'static str,
    pub(crate) example: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) password: &'static str,
    pub(crate) settings: Vec<Setting>,
    /// Whether it walks directories, so that patterns may be left out.
    pub(crate) walks: bool,
    pub(crate) chosen: bool,
}

/// A source as its form shows it.
#[derive(Clone, Debug)]
pub(crate) struct SourceForm {
    /// Whether it is stored already.
    pub(crate) is_stored: bool,
    pub(crate) name: String,
    pub(crate) address: String,
    /// What stands for the password that is stored.
    pub(crate) password: &'static str,
    pub(crate) exclude: String,
    pub(crate) default_excludes: bool,
    pub(crate) one_file_system: bool,
    pub(crate) engines: Vec<Asked>,
}

impl SourceForm {
    /// Makes the form of a source, or an empty one.
    pub(crate) fn new(service: &Service, source: Option<&Source>) -> Self {
        let chosen = source.map_or(EngineKind::Files, |source| source.engine);
        let asked = |engine: EngineKind| {
            let words = WORDS.iter().find(|(one, _)| *one == engine).map_or(GENERAL, |(_, words)| *words);
            let value = |name: &str| source.and_then(|source| source.options.get(name)).cloned();
            let settings = service.source_options(engine).iter().map(|option| Setting {
                name: option.name,
                meaning: option.meaning,
                value: value(option.name).unwrap_or_default(),
            });
            Asked {
                engine: engine.as_str(),
                holds: words.holds,
                example: words.example,
                hint: words.hint,
                password: words.password,
                settings: settings.collect(),
                walks: matches!(engine, EngineKind::Files | EngineKind::Sqlite),
                chosen: engine == chosen,
            }
        };
        // A stored source keeps its engine: its backups are of that engine.
        let engines = EngineKind::ALL.into_iter().filter(|engine| source.is_none() || *engine == chosen);
        Self {
            is_stored: source.is_some(),
            name: source.map(|source| source.name.to_string()).unwrap_or_default(),
            address: source.map(|source| source.address.clone()).unwrap_or_default(),
            password: if source.is_some_and(|source| source.password.is_some()) { "****" } else { "" },
            exclude: source.map(|source| source.exclude.join("\n")).unwrap_or_default(),
            default_excludes: source.is_none_or(|source| source.default_excludes),
            one_file_system: source.is_some_and(|source| source.one_file_system),
            engines: engines.map(asked).collect(),
        }
    }
}
