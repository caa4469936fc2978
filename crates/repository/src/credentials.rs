//! What opens a repository: a password, a key of 32 bytes, or nothing that is secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_model::Secret;
use std::collections::BTreeSet;
use zeroize::Zeroize;

/// The password of repositories that shall be open to everybody. Stock restic needs one, so it is this.
pub const OPEN_PASSWORD: &str = "larder";

/// Bytes of a raw key.
const KEY_BYTES: usize = 32;
/// So many different bytes a random key has at the least: fewer come once in more than 10^20 keys.
const DISTINCT_BYTES: usize = 16;

/// What opens a repository.
///
/// Stock restic opens each of them too: its password is [`Credentials::restic_password`].
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A password, as stock restic takes it.
    Password(Secret),
    /// A key of 32 bytes, such as `BackupEncryptionSettings.Key` of RavenDB.
    Key(RawKey),
    /// Nothing: everybody may read the repository, whose password is [`OPEN_PASSWORD`].
    Open,
}

/// A key of 32 bytes. Its Base64 text, 44 characters, is the password of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawKey {
    text: Secret,
    is_random: bool,
}

/// A text that is no key of 32 bytes in Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must be 32 bytes in Base64, which is 44 characters; `openssl rand -base64 32` makes one")]
pub struct InvalidKey;

/// How much work goes between what a person gives and what encrypts the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// Enough to make guessing expensive.
    Full,
    /// Little: 32 random bytes cannot be guessed anyway, and what everybody knows need not be.
    Light,
}

impl RawKey {
    /// Reads a key from Base64, with padding; white space around it does not count.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_base64(text: &Secret) -> Result<Self, InvalidKey> {
        let text = text.expose().trim();
        let mut bytes = STANDARD.decode(text).map_err(|_| InvalidKey)?;
        let outcome = if bytes.len() == KEY_BYTES { Ok(looks_random(&bytes)) } else { Err(InvalidKey) };
        bytes.zeroize();
        outcome.map(|is_random| Self { text: Secret::new(text.to_owned()), is_random })
    }
}

/// Says whether bytes may well be random: a text, or few bytes again and again, could be guessed.
fn looks_random(bytes: &[u8]) -> bool {
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    !is_text && bytes.iter().collect::<BTreeSet<_>>().len() >= DISTINCT_BYTES
}

impl Credentials {
    /// Takes the text of a key file or setting: a key where it is one, otherwise a password. Both open the same
    /// repositories; a key opens those it made much faster.
    #[must_use]
    pub fn from_text(text: &Secret) -> Self {
        match RawKey::from_base64(text) {
            // A text with something around it is another password.
            Ok(key) if key.text == *text => Self::Key(key),
            _ => Self::Password(text.clone()),
        }
    }

    /// Returns the password that stock restic takes for these credentials.
    #[must_use]
    pub fn restic_password(&self) -> &str {
        match self {
            Self::Password(secret) => secret.expose(),
            Self::Key(key) => key.text.expose(),
            Self::Open => OPEN_PASSWORD,
        }
    }

    pub(crate) const fn stretch(&self) -> Stretch {
        match self {
            Self::Password(_) | Self::Key(RawKey { is_random: false, .. }) => Stretch::Full,
            Self::Key(_) | Self::Open => Stretch::Light,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn thirty_two_bytes_in_base64_are_a_key_and_nothing_else_is() {
        let text = STANDARD.encode((0u8..32).map(|byte| byte.wrapping_mul(37)).collect::<Vec<_>>());
        let key = RawKey::from_base64(&secret(&format!(" {text}\n"))).unwrap();
        assert_eq!(Credentials::Key(key).restic_password(), text);
        for text in ["", "hunter2", &text[..43], &format!("{text}AAAA"), &text.replace('=', "")] {
            assert_eq!(RawKey::from_base64(&secret(text)), Err(InvalidKey), "{text:?}");
            assert!(matches!(Credentials::from_text(&secret(text)), Credentials::Password(_)));
        }
    }

    #[test]
    fn only_what_cannot_be_guessed_or_is_known_to_all_is_stretched_little() {
        let key = |bytes: &[u8]| Credentials::from_text(&secret(&STANDARD.encode(bytes)));
        let random: Vec<u8> = (0u8..32).map(|byte| byte.wrapping_mul(37)).collect();
        assert_eq!(key(&random).stretch(), Stretch::Light);
        assert_eq!(Credentials::Open.stretch(), Stretch::Light);
        assert_eq!(key(&[0; 32]).stretch(), Stretch::Full);
        assert_eq!(key(b"correct horse battery staple 123").stretch(), Stretch::Full);
        assert_eq!(Credentials::Password(secret("x")).stretch(), Stretch::Full);
    }

    #[test]
    fn a_text_with_white_space_stays_the_password_it_is() {
        let text =
            format!("{}\n", STANDARD.encode((1u8..33).map(|b| b.wrapping_mul(91)).collect::<Vec<_>>()));
        assert!(matches!(Credentials::from_text(&secret(&text)), Credentials::Password(_)));
    }

    #[test]
    fn credentials_are_never_shown() {
        let text = STANDARD.encode([7; 32]);
        assert!(!format!("{:?}", Credentials::from_text(&secret(&text))).contains(&text));
        assert!(!format!("{:?}", Credentials::Password(secret("hunter2"))).contains("hunter2"));
    }
}
