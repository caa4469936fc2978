//! Encryption as restic does it: AES-256 in counter mode, authenticated by Poly1305-AES.
//!
//! A sealed message is a random 16-byte nonce, the ciphertext, and a 16-byte tag over the ciphertext. The counter
//! is the whole nonce as one 128-bit big-endian number. Rules: restic's design document, "Keys, Encryption and MAC".

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;
use poly1305::universal_hash::UniversalHash;
use poly1305::{Block, Poly1305};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of the nonce in front of each sealed message.
pub(crate) const NONCE_BYTES: usize = 16;
/// Bytes of the tag behind each sealed message.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes by which a sealed message is longer than what is in it.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The three keys with which everything of a repository is encrypted and authenticated.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

/// A message that was changed since it was sealed, or sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authentication tag does not fit: the bytes are damaged or were encrypted with another key")]
pub struct NotAuthentic;

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoRandomness;

/// Fills a buffer with random bytes of the system.
///
/// # Errors
/// [`NoRandomness`] where the system has none.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

impl MasterKey {
    /// Makes new random keys.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 64];
        fill_random(&mut bytes)?;
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        Ok(key)
    }

    /// Makes keys of 64 bytes: 32 for the cipher, then 16 + 16 for the tag, as restic cuts the output of scrypt.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut key = Self { encrypt: [0; 32], mac_k: [0; 16], mac_r: [0; 16] };
        key.encrypt.copy_from_slice(&bytes[..32]);
        key.mac_k.copy_from_slice(&bytes[32..48]);
        key.mac_r.copy_from_slice(&bytes[48..]);
        key.clamp();
        key
    }

    /// Makes keys of the parts that a key file holds.
    #[must_use]
    pub fn from_parts(encrypt: [u8; 32], mac_k: [u8; 16], mac_r: [u8; 16]) -> Self {
        let mut key = Self { encrypt, mac_k, mac_r };
        key.clamp();
        key
    }

    /// Returns the parts a key file holds: the cipher's key, and the two of the tag.
    #[must_use]
    pub const fn parts(&self) -> (&[u8; 32], &[u8; 16], &[u8; 16]) {
        (&self.encrypt, &self.mac_k, &self.mac_r)
    }

    /// Clears the bits of `r` that Poly1305 requires to be zero (Bernstein, "The Poly1305-AES message-authentication
    /// code", section 2); restic stores the key with them cleared.
    fn clamp(&mut self) {
        for index in [3, 7, 11, 15] {
            self.mac_r[index] &= 15;
        }
        for index in [4, 8, 12] {
            self.mac_r[index] &= 252;
        }
    }

    fn tag(&self, nonce: &[u8; NONCE_BYTES], ciphertext: &[u8]) -> [u8; TAG_BYTES] {
        let mut masked = Array::from(*nonce);
        Aes128::new(&Array::from(self.mac_k)).encrypt_block(&mut masked);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.mac_r);
        key[16..].copy_from_slice(&masked);
        let mut mac = Poly1305::new(&Array::from(key));
        let (blocks, rest) = Block::slice_as_chunks(ciphertext);
        mac.update(blocks);
        let tag = mac.compute_unpadded(rest);
        key.zeroize();
        tag.into()
    }

    fn apply_cipher(&self, nonce: &[u8; NONCE_BYTES], bytes: &mut [u8]) {
        Ctr128BE::<Aes256>::new(&Array::from(self.encrypt), &Array::from(*nonce)).apply_keystream(bytes);
    }

    /// Seals a message in place: `buffer` begins with `NONCE_BYTES` bytes that are overwritten by the nonce, then comes
    /// the message; the tag is appended.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none for the nonce.
    pub fn seal(&self, buffer: &mut Vec<u8>) -> Result<(), NoRandomness> {
        let end = buffer.len();
        buffer.resize(end + TAG_BYTES, 0);
        self.seal_slice(buffer)
    }

    /// Seals a message in place in a slice that has room for the nonce in front of it and the tag behind it.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none for the nonce.
    pub fn seal_slice(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        self.seal_with(nonce, buffer);
        Ok(())
    }

    fn seal_with(&self, nonce: [u8; NONCE_BYTES], buffer: &mut [u8]) {
        let end = buffer.len() - TAG_BYTES;
        buffer[..NONCE_BYTES].copy_from_slice(&nonce);
        self.apply_cipher(&nonce, &mut buffer[NONCE_BYTES..end]);
        let tag = self.tag(&nonce, &buffer[NONCE_BYTES..end]);
        buffer[end..].copy_from_slice(&tag);
    }

    /// Seals a message into a buffer of its own.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none for the nonce.
    pub fn seal_copy(&self, message: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let mut buffer = Vec::with_capacity(message.len() + OVERHEAD_BYTES);
        buffer.resize(NONCE_BYTES, 0);
        buffer.extend_from_slice(message);
        self.seal(&mut buffer)?;
        Ok(buffer)
    }

    /// Opens a sealed message in place and returns the part of the buffer that holds it.
    ///
    /// # Errors
    /// [`NotAuthentic`] when the tag does not fit; the buffer is then unchanged.
    pub fn open_in_place<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], NotAuthentic> {
        let Some((nonce, rest)) = sealed.split_first_chunk_mut::<NONCE_BYTES>() else {
            return Err(NotAuthentic);
        };
        let Some((ciphertext, tag)) = rest.split_last_chunk_mut::<TAG_BYTES>() else {
            return Err(NotAuthentic);
        };
        let expected = self.tag(nonce, ciphertext);
        // Every byte is looked at whatever the outcome, so that the time taken tells nothing about the tag.
        let difference = expected.iter().zip(tag.iter()).fold(0, |sum, (a, b)| sum | (a ^ b));
        if difference != 0 {
            return Err(NotAuthentic);
        }
        self.apply_cipher(nonce, ciphertext);
        Ok(ciphertext)
    }

    /// Decrypts a sealed message in place without looking at its tag, and returns the part of the buffer that holds it: only
    /// for whoever compares the SHA-256 of all that is in it with one that was authenticated, which proves more.
    ///
    /// # Errors
    /// [`NotAuthentic`] when it is too short to be a message.
    pub(crate) fn decrypt_in_place<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], NotAuthentic> {
        let Some((nonce, rest)) = sealed.split_first_chunk_mut::<NONCE_BYTES>() else {
            return Err(NotAuthentic);
        };
        let Some((ciphertext, _)) = rest.split_last_chunk_mut::<TAG_BYTES>() else {
            return Err(NotAuthentic);
        };
        self.apply_cipher(nonce, ciphertext);
        Ok(ciphertext)
    }

    /// Opens a sealed message into a buffer of its own.
    ///
    /// # Errors
    /// [`NotAuthentic`] when the tag does not fit.
    pub fn open_copy(&self, sealed: &[u8]) -> Result<Vec<u8>, NotAuthentic> {
        let mut buffer = sealed.to_vec();
        let bytes = self.open_in_place(&mut buffer)?.len();
        buffer.copy_within(NONCE_BYTES..NONCE_BYTES + bytes, 0);
        buffer.truncate(bytes);
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let mut bytes = [0; N];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap();
        }
        bytes
    }

    #[test]
    fn tags_equal_the_vectors_of_the_poly1305_aes_paper() {
        // Appendix B of "The Poly1305-AES message-authentication code": r, k, nonce, message, tag.
        let key = MasterKey::from_parts(
            [0; 32],
            hex("ec074c835580741701425b623235add6"),
            hex("851fc40c3467ac0be05cc20404f3f700"),
        );
        let tag = key.tag(&hex("fb447350c4e868c52ac3275cf9d4327e"), &hex::<2>("f3f6"));
        assert_eq!(tag, hex("f4c633c3044fc145f84f335cb81953de"));
        let key = MasterKey::from_parts(
            [0; 32],
            hex("75deaa25c09f208e1dc4ce6b5cad3fbf"),
            hex("a0f3080000f46400d0c7e9076c834403"),
        );
        let tag = key.tag(&hex("61ee09218d29b0aaed7e154a2c5509cc"), &[]);
        assert_eq!(tag, hex("dd3fab2251f11ac759f0887129cc2ee7"));
    }

    #[test]
    fn the_counter_carries_over_all_128_bits() {
        let key = MasterKey::from_bytes(&[7; 64]);
        let mut stream = [0; 48];
        key.apply_cipher(&[0xff; 16], &mut stream);
        let mut second = [0; 32];
        key.apply_cipher(&[0; 16], &mut second);
        assert_eq!(stream[16..], second);
        let mut half = [0xff; 16];
        half[..8].fill(0);
        key.apply_cipher(&half, &mut stream[..]);
        let mut carried = [0; 16];
        carried[7] = 1;
        let mut plain = [0; 48];
        key.apply_cipher(&half, &mut plain);
        let mut next = [0; 32];
        key.apply_cipher(&carried, &mut next);
        assert_eq!(plain[16..], next);
    }

    #[test]
    fn what_was_sealed_opens_and_each_flipped_bit_is_noticed() {
        let key = MasterKey::random().unwrap();
        for bytes in [0, 1, 15, 16, 17, 300] {
            let message = vec![9; bytes];
            let sealed = key.seal_copy(&message).unwrap();
            assert_eq!(sealed.len(), bytes + OVERHEAD_BYTES);
            assert_eq!(key.open_copy(&sealed).unwrap(), message);
            for bit in 0..sealed.len() * 8 {
                let mut damaged = sealed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open_copy(&damaged), Err(NotAuthentic), "bit {bit} of {bytes} bytes");
            }
        }
        assert_eq!(key.open_copy(&[0; 31]), Err(NotAuthentic));
    }

    #[test]
    fn a_key_never_shows_itself() {
        assert_eq!(format!("{:?}", MasterKey::from_bytes(&[1; 64])), "MasterKey(hidden)");
    }
}
