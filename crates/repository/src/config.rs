//! A repository's configuration: which format it has and how it is called.

use crate::crypto::{NoRandomness, fill_random};
use crate::id::Id;
use crate::polynomial::Polynomial;
use serde::{Deserialize, Serialize};

/// The format version written and read.
pub const FORMAT_VERSION: u32 = 2;

/// What the object `config` holds, encrypted and never compressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The format version.
    pub version: u32,
    /// A random name of the repository.
    pub id: Id,
    /// The polynomial of restic's own chunker, in hexadecimal.
    pub chunker_polynomial: String,
}

impl Config {
    /// Makes the configuration of a new repository.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut id = [0; 32];
        fill_random(&mut id)?;
        let polynomial = Polynomial::random_irreducible()?;
        Ok(Self {
            version: FORMAT_VERSION,
            id: Id::from_bytes(id),
            chunker_polynomial: format!("{:x}", polynomial.0),
        })
    }
}
