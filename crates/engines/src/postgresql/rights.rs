//! Which rights the user of a source lacks.

use super::SERVER_LOCATOR;
use super::discover::{discover, name_of};
use super::failure::odd;
use super::login::{Login, literal, quoted};
use super::session::{Session, ask};
use crate::engine::MissingRight;
use crate::error::EngineError;
use crate::tool::Tools;
use crate::words::count;
use larder_model::{Cancel, Source};
use serde::Deserialize;

/// How many relations of a database are named one by one.
const NAMED: usize = 50;

#[derive(Deserialize)]
struct User {
    name: String,
    all: bool,
    reads_all: bool,
    has_role: bool,
    reads_passwords: bool,
    connects_not: Vec<String>,
    replicates: bool,
    reads_settings: bool,
    /// Functions that it may not call.
    calls_not: Vec<String>,
}

const USER: &str = "SELECT jsonb_build_object(
    'name', current_user,
    'all', (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
    'reads_all', coalesce((SELECT pg_has_role(r.oid, 'USAGE') FROM pg_catalog.pg_roles r WHERE r.rolname = 'pg_read_all_data'), false),
    'has_role', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_read_all_data'),
    'replicates', (SELECT rolreplication FROM pg_catalog.pg_roles WHERE rolname = current_user),
    'reads_settings', pg_has_role('pg_read_all_settings', 'USAGE'),
    'calls_not', (SELECT coalesce(jsonb_agg(p.oid::regprocedure::text ORDER BY p.proname), '[]') FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND NOT has_function_privilege(p.oid, 'EXECUTE')
            AND p.proname IN ('pg_backup_start', 'pg_backup_stop', 'pg_start_backup', 'pg_stop_backup',
                'pg_control_system', 'pg_control_checkpoint')),
    'reads_passwords', has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
    'connects_not', (SELECT coalesce(jsonb_agg(datname ORDER BY datname), '[]') FROM pg_catalog.pg_database
        WHERE datallowconn AND NOT datistemplate AND NOT has_database_privilege(oid, 'CONNECT')))";

/// Relations that the user may not read, and tables of which it does not see every row.
const UNREADABLE: &str = "SELECT jsonb_build_object(
    'schemas', (SELECT coalesce(jsonb_agg(quote_ident(nspname) ORDER BY nspname), '[]') FROM pg_catalog.pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT has_schema_privilege(oid, 'USAGE')),
    'relations', (SELECT coalesce(jsonb_agg(jsonb_build_array(
            CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', n.nspname, c.relname))
            ORDER BY n.nspname, c.relname), '[]')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END),
    'filtered', (SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND row_security_active(c.oid)),
    'large_objects', (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata
        WHERE current_setting('lo_compat_privileges') <> 'on' AND NOT pg_has_role(lomowner, 'USAGE')
            AND NOT EXISTS (SELECT FROM aclexplode(lomacl) a WHERE a.privilege_type = 'SELECT'
                AND CASE a.grantee WHEN 0 THEN true ELSE pg_has_role(a.grantee, 'USAGE') END)))";

#[derive(Deserialize)]
struct Unreadable {
    schemas: Vec<String>,
    relations: Vec<(String, String)>,
    filtered: Vec<String>,
    large_objects: u64,
}

pub(super) fn missing(tools: &Tools, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
    let login = Login::of(source)?;
    let cancel = Cancel::new();
    let wrong = |error: serde_json::Error| {
        odd(format!("asking for the rights at {}", login.address), error.to_string())
    };
    let user = ask(tools, &login, login.maintenance(), USER, &cancel)?;
    let user: User = serde_json::from_value(user).map_err(wrong)?;
    let mut missing = Vec::new();
    if user.all {
        return Ok(missing);
    }
    let to = quoted(&user.name);
    let mut lacks = |what: String, grant: String| missing.push(MissingRight { what, grant });
    if user.has_role && !user.reads_all {
        lacks(
            "reading every table, those of tomorrow too".to_owned(),
            format!("GRANT pg_read_all_data TO {to};"),
        );
    }
    for database in &user.connects_not {
        let grant = format!("GRANT CONNECT ON DATABASE {} TO {to};", quoted(database));
        lacks(format!("connecting to the database {database} (then ask again, for what lies in it)"), grant);
    }
    if !user.reads_passwords {
        let within = format!("\\c {}", login.maintenance());
        let grant = format!("{within}\nGRANT SELECT ON pg_catalog.pg_authid TO {to};");
        lacks("keeping the passwords of roles".to_owned(), grant);
    }
    if login.whole_server {
        if !user.replicates {
            lacks(
                "keeping the server's log until it is backed up".to_owned(),
                format!("ALTER ROLE {to} REPLICATION;"),
            );
        }
        if !user.reads_settings {
            lacks("finding the server's files".to_owned(), format!("GRANT pg_read_all_settings TO {to};"));
        }
        let within = format!("\\c {}", quoted(login.maintenance()));
        for function in &user.calls_not {
            let grant = format!("{within}\nGRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {to};");
            lacks(format!("calling {function}, which copies of the server's files need"), grant);
        }
    }
    for database in discover(tools, source)? {
        if database.locator == SERVER_LOCATOR {
            continue;
        }
        let database = name_of(&database.locator).to_owned();
        if user.connects_not.contains(&database) {
            continue;
        }
        let mut session = Session::open(tools, &login, &database, &cancel)?;
        let found: Unreadable = serde_json::from_value(session.ask(UNREADABLE)?).map_err(wrong)?;
        session.close()?;
        let within = format!("\\c {}", quoted(&database));
        if !user.reads_all {
            for schema in found.schemas.iter().take(NAMED) {
                let grant = format!("{within}\nGRANT USAGE ON SCHEMA {schema} TO {to};");
                lacks(format!("looking into the schema {schema} of {database}"), grant);
            }
            for (kind, relation) in found.relations.iter().take(NAMED) {
                let grant = format!("{within}\nGRANT SELECT ON {kind} {relation} TO {to};");
                lacks(format!("reading the {} {relation} of {database}", kind.to_lowercase()), grant);
            }
        }
        if found.large_objects > 0 {
            let query = "SELECT format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, ";
            let grant = format!(
                "{within}\n{query}{}) FROM pg_catalog.pg_largeobject_metadata \\gexec",
                literal(&user.name)
            );
            let number = count(found.large_objects, "large object", "large objects");
            lacks(format!("reading {number} of {database}, which every new one needs again"), grant);
        }
        for table in found.filtered.iter().take(NAMED) {
            let grant = format!("ALTER ROLE {to} BYPASSRLS;");
            lacks(format!("seeing every row of the table {table} of {database}"), grant);
        }
    }
    Ok(missing)
}
