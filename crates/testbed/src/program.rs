//! Programs that must be installed for a test to mean anything.

use std::path::PathBuf;

/// Finds an installed program; where it is missing the test fails with the name of the package to install.
#[must_use]
pub fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("this test needs the program {program}; install the Debian package {package}")
        })
}
