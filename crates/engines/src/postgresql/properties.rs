//! What a database is besides what is in it, and what a dump of it leaves to the server.

use super::failure::odd;
use super::session::Session;
use crate::error::EngineError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `CREATE DATABASE` and the statements after it need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Properties {
    /// The name.
    pub(super) name: String,
    /// The server's version number, such as 150018.
    pub(super) server: u32,
    /// The encoding's name.
    pub(super) encoding: String,
    /// The collation.
    pub(super) collate: String,
    /// The character classes.
    pub(super) character_type: String,
    /// The owner.
    pub(super) owner: String,
    /// The comment.
    pub(super) comment: Option<String>,
    /// How many connections are allowed; -1 for any number.
    pub(super) connection_limit: i64,
    /// Settings: the role they are for, empty for all, and `name=value`.
    pub(super) settings: Vec<(String, String)>,
    /// Rights on the database: grantee (empty for everybody), right, and whether it may be passed on. `None` for the usual.
    pub(super) rights: Option<Vec<(String, String, bool)>>,
    /// The name of the server's first role, which owns what nobody else does.
    pub(super) first_role: String,
    /// Every role that something in the database belongs to or is granted to.
    pub(super) roles: Vec<String>,
    /// How many objects of which kind there are.
    pub(super) objects: BTreeMap<String, u64>,
}

const PROPERTIES: &str = "SELECT jsonb_build_object(
    'Name', d.datname,
    'Server', current_setting('server_version_num')::int,
    'Encoding', pg_encoding_to_char(d.encoding),
    'Collate', d.datcollate,
    'CharacterType', d.datctype,
    'Owner', pg_get_userbyid(d.datdba),
    'Comment', shobj_description(d.oid, 'pg_database'),
    'ConnectionLimit', d.datconnlimit,
    'Settings', (SELECT coalesce(jsonb_agg(jsonb_build_array(
            CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END, c) ORDER BY s.setrole, c), '[]')
        FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = d.oid),
    'Rights', (SELECT jsonb_agg(jsonb_build_array(
            CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END,
            a.privilege_type, a.is_grantable)) FROM aclexplode(d.datacl) a),
    'FirstRole', pg_get_userbyid(10),
    'Roles', (SELECT coalesce(jsonb_agg(r.rolname ORDER BY r.rolname), '[]') FROM pg_catalog.pg_roles r
        WHERE r.oid = d.datdba OR r.oid IN (SELECT refobjid FROM pg_catalog.pg_shdepend
            WHERE refclassid = 'pg_catalog.pg_authid'::regclass
                AND (dbid = d.oid OR (dbid = 0 AND classid = 'pg_catalog.pg_database'::regclass AND objid = d.oid)))),
    'Objects', (SELECT jsonb_object_agg(kind, number) FROM (
        SELECT 'relations of the kind ' || c.relkind::text AS kind, count(*) AS number FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' GROUP BY 1
        UNION ALL SELECT 'constraints', count(*) FROM pg_catalog.pg_constraint c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.contype <> 'n'
        UNION ALL SELECT 'functions', count(*) FROM pg_catalog.pg_proc p
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        UNION ALL SELECT 'triggers', count(*) FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'row security policies', count(*) FROM pg_catalog.pg_policy
        UNION ALL SELECT 'extensions', count(*) FROM pg_catalog.pg_extension
        UNION ALL SELECT 'large objects', count(*) FROM pg_catalog.pg_largeobject_metadata) o))
    FROM pg_catalog.pg_database d WHERE d.datname = current_database()";

impl Properties {
    /// Asks the database that a session is connected to.
    pub(super) fn ask(session: &mut Session) -> Result<Self, EngineError> {
        let answer = session.ask(PROPERTIES)?;
        serde_json::from_value(answer)
            .map_err(|error| odd("asking for the properties of the database", error.to_string()))
    }

    /// Returns the number of the server's version that dumps and servers go by.
    pub(super) const fn major(&self) -> u32 {
        self.server / 10_000
    }
}
