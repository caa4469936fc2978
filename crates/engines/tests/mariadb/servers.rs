//! Two private MariaDB servers, as the conformance suite wants them.

use crate::bench::{PASSWORD, host, source};
use crate::conformance::{Bench, Load};
use larder_engines::Host;
use larder_model::{EngineKind, Source};
use larder_testbed::{MariaDb, wait_until};
use std::cell::{OnceCell, RefCell};
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The servers; the second one is started when it is first wanted.
pub(crate) struct Servers {
    first: RefCell<MariaDb>,
    second: OnceCell<MariaDb>,
}

/// Some of everything that a dump holds; no events, which the vendor's program does not dump under every name.
const CONTENT: &str = "
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, born DATE, mood ENUM('sad', 'ok', 'très content'));
INSERT INTO customers (name, born, mood) VALUES ('Ada', '1815-12-10', 'très content'), ('tab\\t and \\\\ and \\n newline', NULL, NULL), ('); --', '0001-01-01', 'sad'), ('', NULL, 'ok');
CREATE TABLE `or\"d'ers; --` (`customer id` INT, n INT UNSIGNED, amount DECIMAL(12, 2) CHECK (amount >= 0), at TIMESTAMP NULL, note BLOB, doc JSON, price DOUBLE,
  doubled DECIMAL(12, 2) AS (amount * 2) STORED, FOREIGN KEY (`customer id`) REFERENCES customers (id) ON DELETE CASCADE, FULLTEXT KEY (doc));
INSERT INTO `or\"d'ers; --` (`customer id`, n, amount, at, note, doc, price) SELECT 1 + seq % 4, seq, seq * 1.01, '2026-03-29 00:59:59' + INTERVAL seq MINUTE,
  UNHEX(SHA2(seq, 256)), JSON_OBJECT('k', seq, 'ü', NULL), 0.1 * seq FROM seq_1_to_500;
CREATE TABLE empty (x INT);
CREATE TABLE parted (day DATE, n INT) PARTITION BY RANGE (TO_DAYS(day)) (PARTITION a VALUES LESS THAN (TO_DAYS('2026-02-01')), PARTITION b VALUES LESS THAN MAXVALUE);
INSERT INTO parted SELECT '2026-01-15' + INTERVAL seq DAY, seq FROM seq_1_to_40;
CREATE VIEW sums AS SELECT `customer id`, SUM(amount) AS total FROM `or\"d'ers; --` GROUP BY 1;
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x;
CREATE TRIGGER touched BEFORE UPDATE ON customers FOR EACH ROW SET NEW.name = CONCAT(NEW.name, '')";

impl Servers {
    pub(crate) fn start() -> Self {
        Self { first: RefCell::new(with_administrator(MariaDb::start())), second: OnceCell::new() }
    }

    fn sql(&self, statements: &str) -> String {
        self.first.borrow().sql(statements)
    }

    fn other(&self) -> &MariaDb {
        self.second.get_or_init(|| with_administrator(MariaDb::start()))
    }

    fn sql_of(&self, of: &Source, statements: &str) -> String {
        let first = self.first.borrow();
        let is_first = of.address.ends_with(&format!(":{}", first.port()));
        if is_first { first.sql(statements) } else { self.other().sql(statements) }
    }

    fn within(&self, name: &str, statements: &str) -> String {
        self.sql(&format!("USE {}; {statements}", quoted(name)))
    }
}

fn with_administrator(server: MariaDb) -> MariaDb {
    server.user("administrator", &PASSWORD.replace('\\', "\\\\"), &[]);
    server.sql("GRANT ALL ON *.* TO administrator WITH GRANT OPTION");
    server
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Moves money between accounts all the time; the sum stays.
struct Movers<'a> {
    servers: &'a Servers,
    name: String,
    child: Child,
}

impl Load for Movers<'_> {
    fn await_progress(&self) {
        let moved =
            || self.servers.within(&self.name, "SELECT COUNT(*) FROM moves").trim().parse::<u64>().unwrap();
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
        EngineKind::Mariadb
    }

    fn host(&self) -> Host {
        host()
    }

    fn source(&self) -> Source {
        source(&self.first.borrow(), "administrator")
    }

    fn second(&self) -> Source {
        source(self.other(), "administrator")
    }

    fn make(&self, name: &str) {
        self.sql(&format!("CREATE DATABASE {} CHARACTER SET utf8mb4", quoted(name)));
    }

    fn fill(&self, name: &str) {
        self.within(name, CONTENT);
    }

    fn fill_large(&self, name: &str) {
        self.within(
            name,
            "CREATE TABLE large AS SELECT seq AS id, CONCAT(SHA2(seq, 512), SHA2(-seq, 512)) AS noise FROM seq_1_to_150000",
        );
    }

    fn change(&self, name: &str) {
        self.within(
            name,
            "UPDATE customers SET name = 'Grace' WHERE id = 1; INSERT INTO empty VALUES (1), (2)",
        );
    }

    fn drop(&self, name: &str) {
        self.sql(&format!("DROP DATABASE {}", quoted(name)));
    }

    fn rename(&self, from: &str, to: &str) {
        // The server knows no other way than a new database that takes the tables over.
        self.make(to);
        let tables = format!("SHOW FULL TABLES FROM {} WHERE Table_type = 'BASE TABLE'", quoted(from));
        for table in self.sql(&tables).lines().filter_map(|line| line.split('\t').next()) {
            self.within(from, "DROP TRIGGER IF EXISTS touched");
            let (from, to, table) = (quoted(from), quoted(to), quoted(table));
            self.sql(&format!("RENAME TABLE {from}.{table} TO {to}.{table}"));
        }
        self.drop(from);
    }

    fn content(&self, source: &Source, name: &str) -> String {
        let within = |statements: &str| self.sql_of(source, &format!("USE {}; {statements}", quoted(name)));
        let mut content = within("SHOW VARIABLES LIKE 'collation_database'");
        for line in within("SHOW FULL TABLES").lines() {
            let (table, kind) = line.split_once('\t').unwrap();
            content.push_str(line);
            content.push_str(&within(&format!("SHOW CREATE TABLE {}", quoted(table))));
            if kind == "BASE TABLE" {
                content.push_str(
                    &within(&format!("CHECKSUM TABLE {} EXTENDED", quoted(table))).replace(name, ""),
                );
            }
        }
        content.push_str(&within("SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"));
        content.push_str(&within("SELECT ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()"));
        content
    }

    fn load(&self, name: &str) -> Box<dyn Load + '_> {
        self.within(
            name,
            "CREATE TABLE moves (id INT PRIMARY KEY AUTO_INCREMENT, what TEXT);
             CREATE TABLE giving (id INT PRIMARY KEY, amount INT); INSERT INTO giving SELECT seq, 100 FROM seq_1_to_1000;
             CREATE TABLE taking (id INT PRIMARY KEY, amount INT); INSERT INTO taking SELECT seq, 0 FROM seq_1_to_1000;
             CREATE TABLE ballast AS SELECT seq, REPEAT(MD5(seq), 20) AS t FROM seq_1_to_20000",
        );
        let moves = "DELIMITER //\nBEGIN NOT ATOMIC DECLARE i INT DEFAULT 0; WHILE TRUE DO SET i = i + 1; START TRANSACTION;
             UPDATE giving SET amount = amount - 1 WHERE id = 1 + i % 1000; UPDATE taking SET amount = amount + 1 WHERE id = 1000 - i % 1000;
             INSERT INTO moves (what) VALUES ('moved'); COMMIT; DO SLEEP(0.002); END WHILE; END//\n";
        let mut client = self.first.borrow().client();
        client.arg(format!("--database={name}")).stdin(Stdio::piped());
        let mut child = client.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(moves.as_bytes()).unwrap();
        drop(child.stdin.take());
        Box::new(Movers { servers: self, name: name.to_owned(), child })
    }

    fn broken_by_load(&self, source: &Source, name: &str) -> Option<String> {
        let sums = "SELECT (SELECT SUM(amount) FROM giving) + (SELECT SUM(amount) FROM taking), \
                    (SELECT SUM(amount) FROM taking) = (SELECT COUNT(*) FROM moves)";
        let found = self.sql_of(source, &format!("USE {}; {sums}", quoted(name)));
        (found != "100000\t1\n").then_some(found)
    }

    fn poor_source(&self) -> Source {
        let server = self.first.borrow();
        server.user("poor", &PASSWORD.replace('\\', "\\\\"), &[]);
        source(&server, "poor")
    }

    fn grant(&self, statement: &str) {
        self.sql(statement);
    }

    fn stop(&self) {
        self.first.borrow_mut().kill();
    }

    fn tool(&self) -> Option<&'static str> {
        Some("mariadb")
    }

    /// The server goes on tidying up for a while after it was written to, and nothing is proved in that time; what is proved
    /// once it rests has a test of its own.
    fn proves_unchanged(&self) -> bool {
        false
    }
}
