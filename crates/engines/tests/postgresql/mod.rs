//! Two private PostgreSQL servers, as the conformance suite wants them.

use crate::conformance::{Bench, Load};
use larder_engines::Host;
use larder_model::{DatabaseName, EngineKind, Secret, Source};
use larder_testbed::{Postgresql, wait_until};
use std::cell::{OnceCell, RefCell};
use std::process::Child;
use std::time::Duration;

/// The servers; the second one is started when it is first wanted.
pub(crate) struct Servers {
    pub(crate) first: RefCell<Postgresql>,
    second: OnceCell<Postgresql>,
    pub(crate) host: RefCell<Host>,
}

/// Some of everything that a dump holds.
const CONTENT: &str = r#"
    CREATE SCHEMA "odd ""schema";
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'très content');
    CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, born date, mood mood DEFAULT 'ok');
    CREATE TABLE "odd ""schema"."or'ders; --" (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        "customer id" int REFERENCES customers ON DELETE CASCADE,
        amount numeric(12, 2) CHECK (amount >= 0),
        at timestamptz, note bytea, tags text[], doc jsonb, price double precision, span interval,
        doubled numeric GENERATED ALWAYS AS (amount * 2) STORED);
    CREATE TABLE empty (x int);
    CREATE TABLE none ();
    CREATE UNLOGGED TABLE unlogged AS SELECT 7 AS x;
    CREATE TABLE parted (day date, n int) PARTITION BY RANGE (day);
    CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE parted_b PARTITION OF parted DEFAULT;
    INSERT INTO customers (name, born, mood) VALUES ('Ada', '1815-12-10', 'très content'), ('tab	and \ and
newline', NULL, NULL), ('\.', '-infinity', 'sad'), ('', '4713-01-01 BC', 'ok');
    INSERT INTO "odd ""schema"."or'ders; --" ("customer id", amount, at, note, tags, doc, price, span)
        SELECT 1 + i % 4, i * 1.01, timestamptz '2026-03-29 01:59:59+01' + i * interval '1 second',
            sha256(i::text::bytea), ARRAY['a', NULL, i::text, '"'], jsonb_build_object('k', i, 'ü', NULL),
            CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' ELSE 0.1 * i END, i * interval '1 month 3 hours'
        FROM generate_series(1, 500) AS i;
    INSERT INTO parted SELECT date '2026-01-15' + i, i FROM generate_series(1, 40) AS i;
    CREATE INDEX ON customers (lower(name));
    CREATE VIEW sums AS SELECT "customer id", sum(amount) FROM "odd ""schema"."or'ders; --" GROUP BY 1;
    CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM customers;
    CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS $f$
COPY not_a_table (x) FROM stdin;
SELECT $1 * 2 $f$;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := NEW.name; RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE empty ENABLE ROW LEVEL SECURITY;
    CREATE POLICY few ON empty USING (x > 0);
    COMMENT ON TABLE customers IS 'it''s "them"';
    SELECT lo_from_bytea(0, decode('00ff10', 'hex'));
    CREATE EXTENSION IF NOT EXISTS pgcrypto;
"#;

impl Servers {
    pub(crate) fn start() -> Self {
        let host = Host {
            tool_directories: vec![Postgresql::programs(), "/usr/bin".into(), "/bin".into()],
            niceness: 5,
            ..Host::default()
        };
        let first = RefCell::new(Postgresql::start());
        Self { first, second: OnceCell::new(), host: RefCell::new(host) }
    }

    /// Returns the second server.
    pub(crate) fn other(&self) -> &Postgresql {
        self.second.get_or_init(Postgresql::start)
    }

    fn sql(&self, name: &str, statements: &str) -> String {
        self.first.borrow().sql(name, statements)
    }

    fn sql_of(&self, source: &Source, name: &str, statements: &str) -> String {
        let first = self.first.borrow();
        match source.address == first.address("postgres") {
            true => first.sql(name, statements),
            false => self.other().sql(name, statements),
        }
    }
}

fn source_of(server: &Postgresql, user: &str, password: &str) -> Source {
    let name = DatabaseName::from_lossy("main");
    let password = Some(Secret::new(password.to_owned()));
    Source { password, ..Source::new(name, EngineKind::Postgresql, server.address(user)) }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Moves money between accounts all the time; the sum stays.
struct Movers<'a> {
    servers: &'a Servers,
    name: String,
    child: Child,
}

impl Load for Movers<'_> {
    fn await_progress(&self) {
        let moved = || self.servers.sql(&self.name, "SELECT count(*) FROM moves").parse::<u64>().unwrap();
        let wanted = moved() + 50;
        wait_until("the load", Duration::from_secs(60), || (moved() >= wanted).then_some(()));
    }
}

impl Drop for Movers<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench for Servers {
    fn kind(&self) -> EngineKind {
        EngineKind::Postgresql
    }

    fn host(&self) -> Host {
        self.host.borrow().clone()
    }

    fn source(&self) -> Source {
        source_of(&self.first.borrow(), "postgres", Postgresql::PASSWORD)
    }

    fn second(&self) -> Source {
        source_of(self.other(), "postgres", Postgresql::PASSWORD)
    }

    fn make(&self, name: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {}", quoted(name)));
    }

    fn fill(&self, name: &str) {
        self.sql(name, CONTENT);
    }

    fn fill_large(&self, name: &str) {
        self.sql(
            name,
            "CREATE TABLE large AS SELECT i AS id, sha512(i::text::bytea) || sha512((-i)::text::bytea) AS noise
                FROM generate_series(1, 150000) AS i",
        );
    }

    fn change(&self, name: &str) {
        self.sql(name, "UPDATE customers SET name = 'Grace' WHERE id = 1; INSERT INTO empty VALUES (1), (2)");
    }

    fn drop(&self, name: &str) {
        self.sql("postgres", &format!("DROP DATABASE {}", quoted(name)));
    }

    fn rename(&self, from: &str, to: &str) {
        self.sql("postgres", &format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to)));
    }

    fn content(&self, source: &Source, name: &str) -> String {
        // The server itself writes it all as XML, in an order of its own, and the catalog says the rest.
        let rows = "SELECT c.oid::regclass, query_to_xml(format('SELECT t FROM %s t ORDER BY t::text', c.oid::regclass), true, false, '')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'v', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                AND (c.relkind <> 'S' AND c.relname <> 'none') ORDER BY n.nspname, c.relname";
        let rest = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1;
            SELECT indexdef FROM pg_indexes WHERE schemaname !~ '^pg_' ORDER BY 1;
            SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0 ORDER BY conrelid::regclass::text, 2;
            SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
            SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy ORDER BY 1;
            SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2;
            SELECT loid, data FROM pg_largeobject ORDER BY 1;
            SELECT relname, relpersistence, pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1;
            SELECT obj_description('customers'::regclass) WHERE to_regclass('customers') IS NOT NULL";
        let rest = if self.sql_of(source, name, "SELECT to_regclass('customers')").is_empty() {
            rest.rsplit_once(';').unwrap().0
        } else {
            rest
        };
        format!("{}\n{}", self.sql_of(source, name, rows), self.sql_of(source, name, rest))
    }

    fn load(&self, name: &str) -> Box<dyn Load + '_> {
        self.sql(
            name,
            "CREATE TABLE moves (id serial PRIMARY KEY, what text);
             CREATE TABLE giving AS SELECT i AS id, 100 AS amount FROM generate_series(1, 1000) AS i;
             CREATE TABLE taking AS SELECT id, 0 AS amount FROM giving;
             CREATE TABLE ballast AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 20000) AS i",
        );
        let moves = "DO $$ DECLARE one int; BEGIN FOR i IN 1..10000000 LOOP
            one := 1 + i * 7919 % 1000;
            UPDATE giving SET amount = amount - 1 WHERE id = one;
            UPDATE taking SET amount = amount + 1 WHERE id = 1001 - one;
            INSERT INTO moves (what) VALUES ('moved');
            COMMIT; END LOOP; END $$";
        let child = self.first.borrow().client(name).args(["-c", moves]).spawn().unwrap();
        Box::new(Movers { servers: self, name: name.to_owned(), child })
    }

    fn broken_by_load(&self, source: &Source, name: &str) -> Option<String> {
        let sum = "SELECT (SELECT sum(amount) FROM giving) + (SELECT sum(amount) FROM taking),
            (SELECT sum(amount) FROM taking) = (SELECT count(*) FROM moves)";
        let found = self.sql_of(source, name, sum);
        (found != "100000|t").then_some(found)
    }

    fn poor_source(&self) -> Source {
        self.sql(
            "postgres",
            "CREATE ROLE poor LOGIN PASSWORD 'poor'; REVOKE CONNECT ON DATABASE shop FROM PUBLIC",
        );
        source_of(&self.first.borrow(), "poor", "poor")
    }

    fn grant(&self, statement: &str) {
        // The client itself reads it, for a grant may say in which database it holds.
        let mut client = self.first.borrow().client("postgres");
        let script = larder_testbed::TempDir::new();
        std::fs::write(script.join("grant.sql"), statement).unwrap();
        let done = client.arg("-f").arg(script.join("grant.sql")).output().unwrap();
        assert!(done.status.success(), "{statement}: {done:?}");
    }

    fn stop(&self) {
        self.first.borrow_mut().stop();
    }

    fn tool(&self) -> Option<&'static str> {
        Some("psql")
    }
}
