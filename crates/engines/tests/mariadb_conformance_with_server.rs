//! What every engine of a server promises, tried on MariaDB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "mariadb/bench.rs"]
mod bench;
mod conformance;
mod memory;
#[path = "mariadb/servers.rs"]
mod servers;

use conformance::conformance;
use servers::Servers;

conformance!(Servers::start);
