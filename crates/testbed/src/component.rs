//! Components that are no Debian packages: programs of other registries, installed below `target/`.

use std::path::{Path, PathBuf};

/// Finds a file of a component that `./test` installs below `target/clients`; fails the test where it is missing.
#[must_use]
pub(crate) fn component(file: &str, install: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients").join(file);
    assert!(path.exists(), "this test needs {}; run ./test once, or: {install}", path.display());
    path
}
