//! The key file: one line of Base64, which is also the password of every repository.

use crate::exit::Failure;
use crate::host::data::DataDirectory;
use crate::host::read_secret;
use larder_model::Secret;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// How much randomness a new key holds, in bytes: as much as the AES-256 key it leads to.
const KEY_BYTES: usize = 32;

/// Reads the key, or makes one where no server ran before.
///
/// `was_used` says whether one did: then a new key would open none of the backups, so a missing one is an error.
pub(crate) fn open(data: &DataDirectory, was_used: bool) -> Result<Secret, Failure> {
    let path = data.key();
    match fs::symlink_metadata(&path) {
        Ok(_) => {
            tighten(&path)?;
            read_secret(&path, "key file")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && was_used => Err(Failure::new(format!(
            "the key '{}' is missing, and without it no backup here can be read; put your copy of it back there (no new key was made)",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path),
        Err(error) => Err(Failure::new(format!(
            "could not look at the key '{}': {error}; check its permissions",
            path.display()
        ))),
    }
}

fn tighten(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let path = path.display();
        Failure::new(format!(
            "others may read the key '{path}', and that could not be changed: {error}; chmod 600 it"
        ))
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        tracing::warn!(path = %path.display(), "others could read the key; now only its owner can");
    }
    Ok(())
}

fn create(path: &Path) -> Result<Secret, Failure> {
    let failed = |error: io::Error| {
        let path = path.display();
        Failure::new(format!(
            "could not write the new key '{path}': {error}; check the disk and the permissions"
        ))
    };
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let text = base64(&bytes);
    // Under another name first: a key cut short by a full disk must not be taken for one.
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(failed)?;
    file.write_all(format!("{text}\n").as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    if let Some(directory) = path.parent() {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    }
    Ok(Secret::new(text))
}

/// Writes bytes as RFC 4648 section 4 has it, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value =
            (0..3).fold(0_u32, |value, at| value << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(value >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_new_key_is_one_line_for_its_owner_alone_and_stays() {
        let directory = TempDir::new();
        let data = DataDirectory::open(&directory.join("data")).unwrap();
        let key = open(&data, false).unwrap();
        assert_eq!(key.expose().len(), 44);
        assert_eq!(fs::read_to_string(data.key()).unwrap(), format!("{}\n", key.expose()));
        assert_eq!(fs::metadata(data.key()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open(&data, true).unwrap(), key);
    }

    #[test]
    fn a_key_that_others_may_read_is_tightened() {
        let directory = TempDir::new();
        let data = DataDirectory::open(&directory.join("data")).unwrap();
        open(&data, false).unwrap();
        fs::set_permissions(data.key(), Permissions::from_mode(0o644)).unwrap();
        open(&data, true).unwrap();
        assert_eq!(fs::metadata(data.key()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_lost_key_is_never_replaced_by_a_new_one() {
        let directory = TempDir::new();
        let data = DataDirectory::open(&directory.join("data")).unwrap();
        let lost = open(&data, true).unwrap_err();
        assert!(lost.message.contains("is missing"), "{}", lost.message);
        assert!(!data.key().exists());
    }
}
