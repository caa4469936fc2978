//! A vault of Amazon Glacier as a destination.
//!
//! A vault keeps archives without names. What can be read of one is had hours after it was asked for, and a list of all
//! of them, too. So two things are kept in a place that answers at once, the hot place: the catalogue, which says which
//! archive is which object, and every object that more than a restore reads.
//!
//! The vault has all of it nevertheless. Each archive's description names its object, so that the vault's own inventory
//! makes the catalogue anew where the hot place was lost, and the objects that belong there come back out of the vault.

mod archive;
mod catalogue;
mod explain;
mod jobs;
mod place;
mod recovery;
mod service;
mod storage;
mod tree_hash;

pub use storage::Vault;
