//! Which password opens a task's repositories.

use larder_model::Secret;
use larder_model::task::{BackupConfiguration, EncryptionMode};
use larder_repository::{Credentials, OPEN_PASSWORD};

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

/// Returns what opens a repository whose password is `password`.
pub(crate) fn of(password: &Secret) -> Credentials {
    if password.expose() == OPEN_PASSWORD { Credentials::Open } else { Credentials::from_text(password) }
}

/// Returns the password that everybody knows (`EncryptionMode: None`): restic's format knows no repository without one.
pub(crate) fn open_password() -> Secret {
    Secret::new(OPEN_PASSWORD.to_owned())
}
