//! Test support: temporary directories, a clock moved by hand, tree shapes, faulty destinations, and the real
//! programs that judge what Larder writes. Only tests use it.

// Test support fails a test by panicking, as the tests themselves do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apache_dav;
mod azurite;
mod boto;
mod busy_storage;
mod clock;
mod cold_storage;
mod component;
mod drill;
mod faulty_storage;
mod flaky_storage;
mod gcs_emulator;
mod gcs_fake;
mod gcs_key;
mod http_fake;
mod memory_storage;
mod moto;
mod network;
mod paused_clock;
mod power_cut;
mod program;
mod pypi;
mod radosgw;
mod random;
mod rclone_s3;
mod restic;
mod server;
mod slow_proxy;
pub mod storage_suite;
mod temporary;
mod tree_compare;
mod tree_metadata;
mod tree_shape;

pub use apache_dav::ApacheDav;
pub use azurite::Azurite;
pub use boto::Boto;
pub use busy_storage::BusyStorage;
pub use clock::ManualClock;
pub use cold_storage::ColdStorage;
pub use drill::{Ending, kill_after};
pub use faulty_storage::{Call, Fault, FaultyStorage};
pub use flaky_storage::FlakyStorage;
pub use gcs_emulator::GcsEmulator;
pub use gcs_fake::GcsFake;
pub use http_fake::{FakeAnswer, FakeRequest, HttpFake, decode};
pub use memory_storage::MemoryStorage;
pub use moto::Moto;
pub use network::free_port;
pub use paused_clock::PausedClock;
pub use power_cut::Journal;
pub use program::installed;
pub use pypi::from_pypi;
pub use radosgw::RadosGw;
pub use random::Random;
pub use rclone_s3::RcloneS3;
pub use restic::Restic;
pub use server::{Server, wait_until};
pub use slow_proxy::{Line, SlowProxy};
pub use temporary::TempDir;
pub use tree_compare::{compare_trees, compare_trees_restored_by_restic};
pub use tree_metadata::set_modified;
pub use tree_shape::TreeShape;
