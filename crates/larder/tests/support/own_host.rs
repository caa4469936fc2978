//! A host of a test's own, as far as the kernel gives it one: with its own mounts, ports, and processes.

use larder_testbed::is_root;
use std::process::Command;

/// Set in the host of the test's own.
const INSIDE: &str = "LARDER_TEST_HOST";

/// Runs this very test again in a host of its own; says whether it is there already.
pub fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        system("ip", &["link", "set", "lo", "up"]);
        return true;
    }
    assert!(is_root(), "only root can make a host of its own; run this test as root");
    let done = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(done.status.success() && said.contains("1 passed"), "in the host of its own:\n{said}");
    false
}

/// Runs one of the system's programs.
pub fn system(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}
