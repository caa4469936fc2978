//! Test support: temporary directories, a clock moved by hand, tree shapes, faulty destinations, and the real
//! programs that judge what Larder writes. Only tests use it.

// Test support fails a test by panicking, as the tests themselves do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clock;
mod cold_storage;
mod drill;
mod faulty_storage;
mod mariadb;
mod memory_storage;
mod network;
mod postgresql;
mod power_cut;
mod program;
mod random;
mod restic;
mod server;
pub mod storage_suite;
mod temporary;
mod tree_compare;
mod tree_metadata;
mod tree_shape;

pub use clock::ManualClock;
pub use cold_storage::ColdStorage;
pub use drill::{Ending, kill_after};
pub use faulty_storage::{Call, Fault, FaultyStorage};
pub use mariadb::MariaDb;
pub use memory_storage::MemoryStorage;
pub use network::free_port;
pub use postgresql::Postgresql;
pub use power_cut::Journal;
pub use program::installed;
pub use random::Random;
pub use restic::Restic;
pub use server::{Server, wait_until};
pub use temporary::TempDir;
pub use tree_compare::{compare_trees, compare_trees_restored_by_restic};
pub use tree_metadata::set_modified;
pub use tree_shape::TreeShape;
