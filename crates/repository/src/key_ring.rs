//! What was derived from passwords, remembered, so that a repository is opened without deriving it again.

use crate::crypto::MasterKey;
use crate::id::Id;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// So many derivations are remembered; the oldest go first.
const MOST: usize = 4096;

/// Remembers what scrypt made of passwords; clones share it.
///
/// scrypt is meant to be slow: about 0.1 s for each key file. A program that opens many repositories, or the same ones
/// again and again, hands the same ring to [`Repository::open_with`](crate::Repository::open_with) and waits once for
/// each key file it meets; after that, opening costs reading the configuration and the key file. Key files made with a
/// ring share their salt where they have the same password, so that one derivation opens all of them: whoever
/// guesses the password of one has that of all in any case.
///
/// Nothing here opens anything by itself: it holds keys to key files, and only for the password that is given anew. The
/// memory is overwritten when the ring is dropped.
#[derive(Clone, Default)]
pub struct KeyRing {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    memory: Mutex<Memory>,
    derivations: AtomicU64,
}

#[derive(Default)]
struct Memory {
    derived: HashMap<Id, MasterKey>,
    order: VecDeque<Id>,
    /// The salt of a key file of the full cost that a password opened.
    salts: HashMap<Id, Vec<u8>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("derivations", &self.derivations()).finish_non_exhaustive()
    }
}

/// A password under a salt and a cost, named so that the name gives nothing away but equality.
pub(crate) fn name_of(password: &[u8], salt: &[u8], cost: (u64, u32, u32)) -> Id {
    let mut text = Vec::with_capacity(password.len() + salt.len() + 40);
    text.extend_from_slice(&cost.0.to_le_bytes());
    text.extend_from_slice(&cost.1.to_le_bytes());
    text.extend_from_slice(&cost.2.to_le_bytes());
    text.extend_from_slice(&(salt.len() as u64).to_le_bytes());
    text.extend_from_slice(salt);
    text.extend_from_slice(password);
    let name = Id::of(&text);
    text.zeroize();
    name
}

impl KeyRing {
    /// Makes an empty ring.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how often scrypt had to be run.
    #[must_use]
    pub fn derivations(&self) -> u64 {
        self.inner.derivations.load(Ordering::Relaxed)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was derived under this name, or derives it.
    pub(crate) fn derive<E>(
        &self,
        name: Id,
        derive: impl FnOnce() -> Result<MasterKey, E>,
    ) -> Result<MasterKey, E> {
        if let Some(key) = self.memory().derived.get(&name) {
            return Ok(key.clone());
        }
        self.inner.derivations.fetch_add(1, Ordering::Relaxed);
        // Nobody waits for another one's scrypt: at worst it is run twice.
        let key = derive()?;
        let mut memory = self.memory();
        if memory.derived.insert(name, key.clone()).is_none() {
            memory.order.push_back(name);
        }
        if memory.order.len() > MOST
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.derived.remove(&oldest);
        }
        Ok(key)
    }

    /// Returns the salt that key files of this password have here.
    pub(crate) fn salt(&self, password: &[u8]) -> Option<Vec<u8>> {
        self.memory().salts.get(&name_of(password, &[], (0, 0, 0))).cloned()
    }

    /// Notes the salt of a key file that a password opened.
    pub(crate) fn note_salt(&self, password: &[u8], salt: &[u8]) {
        let mut memory = self.memory();
        if memory.salts.len() < MOST {
            memory.salts.entry(name_of(password, &[], (0, 0, 0))).or_insert_with(|| salt.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(ring: &KeyRing, password: &[u8], salt: &[u8]) -> MasterKey {
        let made = || Ok::<_, ()>(MasterKey::from_bytes(&[u8::try_from(password.len()).unwrap(); 64]));
        ring.derive(name_of(password, salt, (2, 8, 1)), made).unwrap()
    }

    #[test]
    fn what_was_derived_once_is_not_derived_again() {
        let ring = KeyRing::new();
        let key = derive(&ring, b"one", b"salt");
        assert_eq!(derive(&ring.clone(), b"one", b"salt"), key);
        assert_eq!(ring.derivations(), 1);
        derive(&ring, b"one", b"other salt");
        assert_ne!(derive(&ring, b"another", b"salt"), key);
        assert_eq!(ring.derivations(), 3);
    }

    #[test]
    fn memory_is_bounded_and_shows_nothing() {
        let ring = KeyRing::new();
        for number in 0..MOST + 10 {
            derive(&ring, b"x", &number.to_le_bytes());
        }
        assert_eq!(ring.memory().derived.len(), MOST);
        assert_eq!(format!("{ring:?}"), format!("KeyRing {{ derivations: {}, .. }}", MOST + 10));
    }
}
