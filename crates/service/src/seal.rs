//! Secrets at rest: what tasks know of passwords and keys is stored encrypted under the key file.

use crate::error::ServiceError;
use larder_model::Secret;
use larder_repository::MasterKey;
use sha2::{Digest, Sha512};
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// Separates this use of the key from every other.
const DOMAIN: &[u8] = b"larder state secrets 1\0";

/// Seals and opens with a key that follows from the key file: AES-256 in counter mode with Poly1305-AES, as in the
/// repositories.
///
/// The key file holds 256 random bits, so one hash is enough to derive from it.
#[derive(Clone, Debug)]
pub(crate) struct Sealer(MasterKey);

impl Sealer {
    pub(crate) fn new(key: &Secret) -> Self {
        let mut bytes: [u8; 64] =
            Sha512::new().chain_update(DOMAIN).chain_update(key.expose().as_bytes()).finalize().into();
        let sealer = Self(MasterKey::from_bytes(&bytes));
        bytes.zeroize();
        sealer
    }

    /// Seals secrets, each under its path; `place` binds them to where they are stored.
    pub(crate) fn seal(
        &self,
        place: &str,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Vec<u8>, ServiceError> {
        let mut plain: BTreeMap<&str, &str> =
            secrets.iter().map(|(path, secret)| (path.as_str(), secret.expose())).collect();
        plain.insert("", place);
        let failed = |cause: String| ServiceError::Record { key: place.to_owned(), cause };
        let mut json = serde_json::to_vec(&plain).map_err(|error| failed(error.to_string()))?;
        let sealed = self.0.seal_copy(&json).map_err(|error| failed(error.to_string()));
        json.zeroize();
        sealed
    }

    /// Opens what [`Sealer::seal`] made for the same place.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Result<BTreeMap<String, Secret>, ServiceError> {
        let failed = |cause: &str| ServiceError::Record { key: place.to_owned(), cause: cause.to_owned() };
        let wrong = "it was not sealed with this key file; put the right key back";
        let mut json = self.0.open_copy(sealed).map_err(|_| failed(wrong))?;
        let read = serde_json::from_slice::<BTreeMap<String, String>>(&json);
        json.zeroize();
        let mut plain = read.map_err(|_| failed("it is not what Larder wrote"))?;
        if plain.remove("").as_deref() != Some(place) {
            return Err(failed("it belongs elsewhere"));
        }
        Ok(plain.into_iter().map(|(path, secret)| (path, Secret::new(secret))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(key: &str) -> Sealer {
        Sealer::new(&Secret::new(key.to_owned()))
    }

    #[test]
    fn what_is_sealed_shows_nothing_and_opens_with_the_same_key_at_the_same_place_only() {
        let secrets =
            BTreeMap::from([("S3Settings.AwsSecretKey".to_owned(), Secret::new("open sesame".to_owned()))]);
        let sealed = sealer("key").seal("task/1", &secrets).unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"sesame" || bytes == b"Secret"));
        assert_eq!(sealer("key").open("task/1", &sealed).unwrap(), secrets);
        assert!(sealer("other").open("task/1", &sealed).is_err());
        assert!(sealer("key").open("task/2", &sealed).is_err());
        let mut flipped = sealed.clone();
        flipped[20] ^= 1;
        assert!(sealer("key").open("task/1", &flipped).is_err());
    }
}
