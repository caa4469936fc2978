//! What `ssh` says when it fails, in words that tell what to do.

use super::failure::Failure;
use crate::error::StorageErrorKind;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// Whether the server's key is not the one that is known, or none is.
pub(super) fn is_about_host_key(words: &str) -> bool {
    words.contains("Host key verification failed") || words.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
}

/// Explains a host key that is not known, or another one than is; the line is what `known_hosts` would need.
pub(super) fn explain_host_key(words: &str, line: Option<&str>) -> Failure {
    let shown = line.map_or_else(String::new, |line| match fingerprint(line) {
        Some(fingerprint) => format!(
            "; the server shows {fingerprint}: if `ssh-keygen -lf` on the server says the same of its key, put this line into KnownHosts: {line}"
        ),
        None => format!("; the line for KnownHosts would be: {line}"),
    });
    let changed = words.contains("REMOTE HOST IDENTIFICATION HAS CHANGED");
    let cause = if changed {
        "the server's key is another than the known one; the server was set up anew, or somebody stands between"
    } else {
        "the server's key is not known, and nothing is written to a server that is not known"
    };
    Failure { lost: true, ..Failure::new(StorageErrorKind::Invalid, format!("{cause}{shown}")) }
}

/// Returns the fingerprint of the key in a line of `known_hosts`, as `ssh-keygen -l` prints it.
fn fingerprint(line: &str) -> Option<String> {
    let key = STANDARD.decode(line.split_whitespace().nth(2)?).ok()?;
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key))))
}

/// Explains any other failure.
pub(super) fn explain(words: &str, failure: Failure) -> Failure {
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    // Banners and warnings come first, the reason last.
    let last: Vec<&str> = lines.rev().take(2).collect();
    let said: String = last.into_iter().rev().collect::<Vec<_>>().join("; ");
    let said: String = said.chars().filter(|c| !c.is_control()).take(400).collect();
    let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
    let (kind, cause) =
        if says(&["Permission denied", "Too many authentication failures", "No supported authentication"]) {
            let bad_key = if says(&["invalid format", "error in libcrypto", "incorrect passphrase"]) {
                "PrivateKey holds no key that can be read (or its passphrase is another than Password); "
            } else {
                ""
            };
            (
                StorageErrorKind::Denied,
                format!("{bad_key}the server let nobody in with this user, key or password: {said}"),
            )
        } else if says(&["subsystem request failed"]) {
            (StorageErrorKind::Invalid, "the server offers no SFTP".to_owned())
        } else if said.is_empty() {
            (failure.kind, failure.cause)
        } else {
            // No such host, no way there, nobody listens, the line broke: all of that may be better later.
            (StorageErrorKind::Unavailable, format!("ssh said '{said}'"))
        };
    Failure { lost: true, ..Failure::new(kind, cause) }
}

#[cfg(test)]
mod tests {
    use super::{explain, explain_host_key, fingerprint, is_about_host_key};
    use crate::error::StorageErrorKind as Kind;
    use crate::sftp::failure::Failure;

    const LINE: &str = "nas ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn the_reason_is_told_apart() {
        let kind = |words| explain(words, Failure::cut("gone")).kind;
        assert_eq!(kind("Welcome\r\nme@nas: Permission denied (publickey)."), Kind::Denied);
        assert_eq!(kind("ssh: connect to host nas port 22: Connection refused"), Kind::Unavailable);
        assert_eq!(kind("subsystem request failed on channel 0"), Kind::Invalid);
        assert_eq!(explain("", Failure::cut("gone")).cause, "gone");
    }

    #[test]
    fn an_unknown_key_is_named_with_the_line_to_add() {
        // GitHub publishes this key and its fingerprint.
        assert_eq!(fingerprint(LINE).unwrap(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
        let words = "No ED25519 host key is known for nas\r\nHost key verification failed.";
        assert!(is_about_host_key(words));
        let cause = explain_host_key(words, Some(LINE)).cause;
        assert!(cause.contains("is not known") && cause.ends_with(LINE), "{cause}");
        let changed = explain_host_key("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", None).cause;
        assert!(changed.contains("another than the known one"), "{changed}");
    }
}
