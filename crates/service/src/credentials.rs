//! Which password opens a task's repositories.

use larder_model::Secret;
use larder_model::task::{BackupConfiguration, EncryptionMode};

/// The password of repositories that are to be readable by everybody (`EncryptionMode: None`): restic's format knows
/// no repository without one.
pub const OPEN_PASSWORD: &str = "larder";

/// Returns the password that a task's repositories are made with: the server's key unless the task says otherwise.
pub(crate) fn password(backup: &BackupConfiguration, server_key: &Secret) -> Secret {
    let settings = backup.backup_encryption_settings.as_ref();
    match settings.and_then(|settings| settings.encryption_mode) {
        None | Some(EncryptionMode::UseDatabaseKey) => server_key.clone(),
        Some(EncryptionMode::None) => open_password(),
        Some(EncryptionMode::UseProvidedKey) => {
            settings.and_then(|settings| settings.key.clone()).unwrap_or_else(|| server_key.clone())
        }
    }
}

/// Returns the password that everybody knows.
pub(crate) fn open_password() -> Secret {
    Secret::new(OPEN_PASSWORD.to_owned())
}
