//! Key files: the master key, encrypted under a password by way of scrypt.

use crate::credentials::{Credentials, Stretch};
use crate::crypto::{MasterKey, NoRandomness, OVERHEAD_BYTES, fill_random};
use crate::key_ring::{KeyRing, name_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_model::Clock;
use scrypt::{Params, scrypt};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The parameters with which new key files are made, in the region of restic's own calibration.
const LOG_N: u8 = 15;
/// The same where stretching gains nothing: see [`Stretch::Light`]. A thousandth of a second or so.
const LIGHT_LOG_N: u8 = 10;
const R: u32 = 8;
const P: u32 = 1;
/// restic refuses any other length.
const SALT_BYTES: usize = 64;
/// A key file that asks for more memory than this is taken as damaged rather than obeyed: 128 * N * r bytes.
const MOST_SCRYPT_BYTES: u64 = 1 << 30;
/// The most work taken on for one key file; restic's own files have p = 1 or a little more.
const MOST_P: u32 = 64;

/// What an object below `keys/` holds, as plain JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyFile {
    /// When it was made, as RFC 3339.
    pub created: String,
    /// Who made it.
    #[serde(default)]
    pub username: String,
    /// Where it was made.
    #[serde(default)]
    pub hostname: String,
    /// The key derivation; always `scrypt`.
    pub kdf: String,
    /// scrypt's cost.
    #[serde(rename = "N")]
    pub n: u64,
    /// scrypt's block size.
    pub r: u32,
    /// scrypt's parallelism.
    pub p: u32,
    /// The salt, in Base64.
    pub salt: String,
    /// The sealed master key, in Base64.
    pub data: String,
}

/// Who a key is for, in words of its owner's choice; anybody can read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLabel {
    /// The user.
    pub username: String,
    /// The host.
    pub hostname: String,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredMac {
    k: String,
    r: String,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredKey {
    mac: StoredMac,
    encrypt: String,
}

/// Why a key file did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is for another password.
    #[error("it is for another key")]
    WrongPassword,
    /// It is not a key file.
    #[error("{0}")]
    Malformed(String),
}

fn derive(password: &[u8], salt: &[u8], params: &Params) -> Result<MasterKey, KeyError> {
    let mut bytes = [0; 64];
    scrypt(password, salt, params, &mut bytes).map_err(|e| KeyError::Malformed(e.to_string()))?;
    let key = MasterKey::from_bytes(&bytes);
    bytes.zeroize();
    Ok(key)
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    let mut bytes =
        STANDARD.decode(text).map_err(|_| KeyError::Malformed("it holds no valid Base64".to_owned()))?;
    let array = bytes.as_slice().try_into();
    let array = array.map_err(|_| KeyError::Malformed("it holds a key of the wrong length".to_owned()));
    bytes.zeroize();
    array
}

impl KeyFile {
    /// Encrypts a master key under a password.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none.
    pub fn create(
        master: &MasterKey,
        credentials: &Credentials,
        clock: &dyn Clock,
    ) -> Result<Self, NoRandomness> {
        Self::create_with(master, credentials, &KeyLabel::default(), &KeyRing::new(), clock)
    }

    /// Encrypts a master key under a password; the ring tells the salt that this password has in other repositories.
    pub(crate) fn create_with(
        master: &MasterKey,
        credentials: &Credentials,
        label: &KeyLabel,
        ring: &KeyRing,
        clock: &dyn Clock,
    ) -> Result<Self, NoRandomness> {
        let password = credentials.restic_password().as_bytes();
        let full = credentials.stretch() == Stretch::Full;
        let log_n = if full { LOG_N } else { LIGHT_LOG_N };
        let salt = match ring.salt(password).filter(|salt| full && salt.len() == SALT_BYTES) {
            Some(salt) => salt,
            None => {
                let mut salt = vec![0; SALT_BYTES];
                fill_random(&mut salt)?;
                salt
            }
        };
        let (encrypt, mac_k, mac_r) = master.parts();
        let stored = StoredKey {
            mac: StoredMac { k: STANDARD.encode(mac_k), r: STANDARD.encode(mac_r) },
            encrypt: STANDARD.encode(encrypt),
        };
        let mut json = serde_json::to_vec(&stored).map_err(|_| NoRandomness)?;
        let params = Params::new(log_n, R, P).map_err(|_| NoRandomness)?;
        let n = 1 << log_n;
        let key = ring.derive(name_of(password, &salt, (n, R, P)), || derive(password, &salt, &params));
        let data = key.map_err(|_: KeyError| NoRandomness)?.seal_copy(&json)?;
        json.zeroize();
        if full {
            ring.note_salt(password, &salt);
        }
        Ok(Self {
            created: clock.now().to_string(),
            username: label.username.clone(),
            hostname: label.hostname.clone(),
            kdf: "scrypt".to_owned(),
            n,
            r: R,
            p: P,
            salt: STANDARD.encode(salt),
            data: STANDARD.encode(data),
        })
    }

    /// Decrypts the master key.
    ///
    /// # Errors
    /// [`KeyError::WrongPassword`] where it is for another password, otherwise what is wrong with the file.
    pub fn open(&self, credentials: &Credentials) -> Result<MasterKey, KeyError> {
        self.open_with(credentials, &KeyRing::new())
    }

    /// Decrypts the master key; scrypt is run only where the ring does not know its outcome.
    pub(crate) fn open_with(&self, credentials: &Credentials, ring: &KeyRing) -> Result<MasterKey, KeyError> {
        let params = self.params()?;
        let salt = STANDARD
            .decode(&self.salt)
            .map_err(|_| KeyError::Malformed("its salt is no Base64".to_owned()))?;
        let data = STANDARD
            .decode(&self.data)
            .map_err(|_| KeyError::Malformed("its data is no Base64".to_owned()))?;
        if data.len() <= OVERHEAD_BYTES {
            return Err(KeyError::Malformed("its data is too short".to_owned()));
        }
        let password = credentials.restic_password().as_bytes();
        let name = name_of(password, &salt, (self.n, self.r, self.p));
        let key = ring.derive(name, || derive(password, &salt, &params))?;
        let mut json = key.open_copy(&data).map_err(|_| KeyError::WrongPassword)?;
        let stored: Result<StoredKey, _> = serde_json::from_slice(&json);
        json.zeroize();
        let stored = stored.map_err(|_| KeyError::Malformed("it holds no master key".to_owned()))?;
        let master =
            MasterKey::from_parts(decode(&stored.encrypt)?, decode(&stored.mac.k)?, decode(&stored.mac.r)?);
        if (self.n, self.r, self.p) == (1 << LOG_N, R, P) {
            ring.note_salt(password, &salt);
        }
        Ok(master)
    }

    fn params(&self) -> Result<Params, KeyError> {
        let malformed = |what: &str| Err(KeyError::Malformed(what.to_owned()));
        if self.kdf != "scrypt" {
            return malformed("its key derivation is not scrypt");
        }
        if !self.n.is_power_of_two() || self.n < 2 || self.r == 0 || self.p == 0 || self.p > MOST_P {
            return malformed("its scrypt parameters make no sense");
        }
        if self.n.saturating_mul(u64::from(self.r)).saturating_mul(128) > MOST_SCRYPT_BYTES {
            return malformed("its scrypt parameters ask for more than 1 GiB of memory");
        }
        let log_n = u8::try_from(self.n.trailing_zeros()).unwrap_or(u8::MAX);
        Params::new(log_n, self.r, self.p).or_else(|_| malformed("its scrypt parameters make no sense"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::Secret;

    #[derive(Debug)]
    struct Epoch;
    impl Clock for Epoch {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    fn password(text: &str) -> Credentials {
        Credentials::Password(Secret::new(text.to_owned()))
    }

    #[test]
    fn a_key_file_opens_with_its_password_only() {
        let master = MasterKey::random().unwrap();
        let file = KeyFile::create(&master, &password("right"), &Epoch).unwrap();
        let file: KeyFile = serde_json::from_slice(&serde_json::to_vec(&file).unwrap()).unwrap();
        assert_eq!(file.open(&password("right")).unwrap(), master);
        assert_eq!(file.open(&password("wrong")), Err(KeyError::WrongPassword));
        assert_eq!(file.open(&password("")), Err(KeyError::WrongPassword));
    }

    #[test]
    fn absurd_costs_are_refused_at_once() {
        let file = KeyFile::create(&MasterKey::random().unwrap(), &password("x"), &Epoch).unwrap();
        for (n, r, p) in
            [(1 << 40, 8, 1), (32768, 1 << 30, 1), (32768, 8, 1 << 20), (3, 8, 1), (0, 8, 1), (1, 8, 1)]
        {
            let file = KeyFile { n, r, p, ..file.clone() };
            assert!(matches!(file.open(&password("x")), Err(KeyError::Malformed(_))), "{n} {r} {p}");
        }
    }

    #[test]
    fn one_derivation_opens_all_key_files_of_a_password() {
        let ring = KeyRing::new();
        let label = KeyLabel::default();
        let make = |text| {
            let master = MasterKey::random().unwrap();
            let file = KeyFile::create_with(&master, &password(text), &label, &ring, &Epoch).unwrap();
            (master, file)
        };
        let (one, two, other) = (make("right"), make("right"), make("another"));
        assert_eq!(ring.derivations(), 2);
        assert!(one.1.salt == two.1.salt && one.1.salt != other.1.salt);
        let ring = KeyRing::new();
        assert_eq!(one.1.open_with(&password("right"), &ring).unwrap(), one.0);
        assert_eq!(two.1.open_with(&password("right"), &ring).unwrap(), two.0);
        assert_eq!(ring.derivations(), 1);
        assert_eq!(two.1.open_with(&password("wrong"), &ring), Err(KeyError::WrongPassword));
        assert_eq!(two.1.open_with(&password("wrong"), &ring), Err(KeyError::WrongPassword));
        assert_eq!(ring.derivations(), 2, "a password that does not fit is remembered too");
    }
}
