//! Whether encryption settings make sense: RavenDB finds out at the first run, which is too late.

use crate::error::ServiceError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use larder_model::task::{BackupConfiguration, EncryptionMode};

/// How many bytes a key has.
const KEY_BYTES: usize = 32;

pub(crate) fn check(backup: &BackupConfiguration) -> Result<(), ServiceError> {
    const KEY: &str = "BackupEncryptionSettings.Key";
    let Some(settings) = &backup.backup_encryption_settings else { return Ok(()) };
    match (settings.encryption_mode, &settings.key) {
        (Some(EncryptionMode::UseProvidedKey), None) => Err(ServiceError::invalid(
            KEY,
            "the mode is UseProvidedKey and no key is given; give 32 bytes in Base64, for example the output of: openssl rand -base64 32",
        )),
        (Some(EncryptionMode::UseProvidedKey), Some(key)) => {
            let bytes = BASE64_STANDARD.decode(key.expose()).map(|bytes| bytes.len());
            match bytes {
                Ok(KEY_BYTES) => Ok(()),
                Ok(length) => Err(ServiceError::invalid(
                    KEY,
                    format!(
                        "the key has {length} bytes and needs {KEY_BYTES}; make one with: openssl rand -base64 32"
                    ),
                )),
                Err(_) => Err(ServiceError::invalid(
                    KEY,
                    "the key is not Base64; make one with: openssl rand -base64 32",
                )),
            }
        }
        (None | Some(EncryptionMode::None), Some(_)) => Err(ServiceError::invalid(
            "BackupEncryptionSettings.EncryptionMode",
            "a key is given and the mode does not use it, so backups would not be protected by it; set UseProvidedKey, or take the key out",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::read;
    use serde_json::{Value, json};

    fn checked(settings: Value) -> Result<(), String> {
        let value = json!({ "BackupEncryptionSettings": settings });
        let backup: BackupConfiguration = read(value.as_object().unwrap()).unwrap();
        check(&backup).map_err(|error| error.to_string())
    }

    #[test]
    fn a_provided_key_has_32_bytes_and_the_mode_that_uses_it() {
        let key = BASE64_STANDARD.encode([7; 32]);
        assert_eq!(checked(json!({ "EncryptionMode": "UseProvidedKey", "Key": key })), Ok(()));
        assert_eq!(checked(json!({ "EncryptionMode": "UseDatabaseKey" })), Ok(()));
        assert_eq!(checked(json!({ "EncryptionMode": "None" })), Ok(()));
        assert_eq!(checked(json!({})), Ok(()));
        for wrong in [
            json!({ "EncryptionMode": "UseProvidedKey" }),
            json!({ "EncryptionMode": "UseProvidedKey", "Key": "abc" }),
            json!({ "EncryptionMode": "UseProvidedKey", "Key": "YWJj" }),
            json!({ "Key": key }),
            json!({ "EncryptionMode": "None", "Key": key }),
        ] {
            let message = checked(wrong).unwrap_err();
            assert!(!message.contains(&key), "{message}");
        }
    }
}
