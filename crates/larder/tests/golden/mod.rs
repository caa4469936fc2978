//! Golden replay: exchanges captured from a RavenDB server, asked of Larder again.
//!
//! `derive.py` makes the fixtures; `differences.toml` lists where Larder answers otherwise, and why.

// Each test file that has a part in this uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod acts;
pub mod compare;
pub mod differences;
pub mod replay;
pub mod variables;
