//! A server on this host: its directory, its key, its configuration, and how the rooms are put together.

mod config;
mod data;
pub(crate) mod key;
mod start;
pub(crate) mod tools;

pub(crate) use start::Host;

/// Reads a file that holds one secret on its first line.
pub(crate) fn read_secret(
    path: &std::path::Path,
    what: &str,
) -> Result<larder_model::Secret, crate::exit::Failure> {
    use crate::exit::Failure;
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::new(format!(
            "could not read the {what} '{path}': {error}; check its name and your permissions"
        ))
    })?;
    let secret = text.trim();
    if secret.is_empty() || secret.lines().count() != 1 {
        let path = path.display();
        return Err(Failure::new(format!(
            "'{path}' is no {what}: it must hold one line; name the right file"
        )));
    }
    Ok(larder_model::Secret::new(secret.to_owned()))
}
