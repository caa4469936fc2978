//! A bucket of Amazon S3, or of what speaks its protocol.
//!
//! Plain requests: what Larder needs besides reading and writing (a storage class for each object, asking for cold objects,
//! object lock) is a header or one more request. What differs between servers stands in `docs/s3-dialects.md`.

mod bucket;
mod call;
mod class;
mod cold;
mod explain;
#[cfg(test)]
mod explain_tests;
mod list;
mod lock;
mod multipart;
mod objects;
mod place;
mod read;
mod storage;
mod write;

pub(crate) use bucket::credential;
pub(crate) use call::{Hash, hex};
pub(crate) use objects::S3Objects;
pub(crate) use place::said;
pub use storage::S3;
