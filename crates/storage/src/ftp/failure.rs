//! What an FTP server's replies mean for a destination.

use crate::error::StorageErrorKind;
use suppaftp::FtpError;

/// Why a step failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: StorageErrorKind,
    /// The server's words, or the system's.
    pub(super) cause: String,
    /// The reply's code, where the server replied.
    pub(super) code: Option<u16>,
    /// Whether the connection cannot be used any more.
    pub(super) lost: bool,
    /// Whether the server wants a newer TLS than it was offered.
    pub(super) old_tls: bool,
}

impl Failure {
    /// Makes a failure that leaves the connection as it is.
    pub(super) fn new(kind: StorageErrorKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), code: None, lost: false, old_tls: false }
    }

    /// Makes a failure of the connection itself.
    pub(super) fn cut(cause: impl Into<String>) -> Self {
        Self {
            kind: StorageErrorKind::Unavailable,
            cause: cause.into(),
            code: None,
            lost: true,
            old_tls: false,
        }
    }

    /// Whether the server does not know the command, or not in this form: RFC 959, 4.2.1.
    pub(super) const fn is_unknown_command(&self) -> bool {
        matches!(self.code, Some(500 | 501 | 502 | 504))
    }

    /// Whether the server has too many connections already.
    pub(super) fn is_crowded(&self) -> bool {
        let text = self.cause.to_lowercase();
        let says = ["too many", "maximum", "limit"].iter().any(|word| text.contains(word));
        matches!(self.code, Some(421 | 530)) && says
    }

    /// The same failure as one of writing: a place that cannot be written to is not one that is merely absent.
    pub(super) fn of_writing(mut self) -> Self {
        if self.kind == StorageErrorKind::NotFound {
            self.kind = StorageErrorKind::Denied;
        }
        self
    }
}

impl From<FtpError> for Failure {
    fn from(error: FtpError) -> Self {
        match error {
            FtpError::ConnectionError(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                Self::new(StorageErrorKind::Invalid, error.to_string())
            }
            FtpError::ConnectionError(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                Self::cut("the server did not answer in time")
            }
            FtpError::ConnectionError(error) => Self::cut(format!("the connection broke: {error}")),
            FtpError::SecureError(cause) if cause.contains("certificate") => Self {
                kind: StorageErrorKind::Invalid,
                cause: format!(
                    "the server's certificate is not trusted ({}); if it is the right one, give it as CertificateAsBase64",
                    cause.trim_start_matches("Secure error: ")
                ),
                code: None,
                lost: true,
                old_tls: false,
            },
            FtpError::SecureError(cause) => {
                // The alert `protocol_version` of RFC 5246, 7.2.2, as rustls names it.
                let old_tls = cause.contains("ProtocolVersion");
                Self { old_tls, ..Self::cut(format!("TLS failed: {cause}")) }
            }
            FtpError::UnexpectedResponse(reply) => of_reply(&String::from_utf8_lossy(&reply.body)),
            FtpError::BadResponse => Self::cut("the server's answer makes no sense"),
            other => Self::cut(other.to_string()),
        }
    }
}

/// Reads a refusal; of one with several lines the last one counts.
fn of_reply(text: &str) -> Failure {
    let line = text.trim_end().lines().next_back().unwrap_or_default();
    let code = line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
    let words: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    let failure = Failure {
        kind: kind_of(code.unwrap_or(0), &words),
        cause: format!("the server answered '{words}'"),
        code,
        // After 421 the server closes the connection: RFC 959, 4.2.2.
        lost: code.is_none() || code == Some(421),
        old_tls: false,
    };
    // Some say so with the code of a wrong password.
    if failure.is_crowded() {
        Failure { kind: StorageErrorKind::Unavailable, lost: true, ..failure }
    } else {
        failure
    }
}

/// Tells the kinds of refusal apart by code and, since servers share 550 among many causes, by words.
fn kind_of(code: u16, words: &str) -> StorageErrorKind {
    let words = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
    match code {
        400.. if says(&["no space", "quota", "disk full", "disk is full", "not enough space"]) => {
            StorageErrorKind::Full
        }
        452 | 552 => StorageErrorKind::Full,
        430 | 530 | 532 | 533 | 534 => StorageErrorKind::Denied,
        450 | 550 | 553 if says(&["no such", "not found", "not exist", "cannot find"]) => {
            StorageErrorKind::NotFound
        }
        550 | 553
            if says(&[
                "denied",
                "not permitted",
                "not allowed",
                "not enough priv",
                "forbidden",
                "read-only",
            ]) =>
        {
            StorageErrorKind::Denied
        }
        400..=499 => StorageErrorKind::Unavailable,
        550 => StorageErrorKind::NotFound,
        553 => StorageErrorKind::Denied,
        _ => StorageErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::of_reply;
    use crate::error::StorageErrorKind as Kind;

    #[test]
    fn replies_are_told_apart() {
        let replies = [
            ("530 Login incorrect.", Kind::Denied),
            ("550 x: No such file or directory", Kind::NotFound),
            ("550 Failed to open file.", Kind::NotFound),
            ("550 x: Permission denied", Kind::Denied),
            ("553 Could not create file.", Kind::Denied),
            ("552 Requested file action aborted", Kind::Full),
            ("452 Insufficient storage", Kind::Full),
            ("550 No space left on device.", Kind::Full),
            ("451 x: Disk quota exceeded", Kind::Full),
            ("421 Too many connections", Kind::Unavailable),
            ("426 Transfer aborted", Kind::Unavailable),
            ("500 What?", Kind::Other),
        ];
        for (text, kind) in replies {
            assert_eq!(of_reply(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn a_crowded_server_is_recognised() {
        assert!(of_reply("421 Too many users").is_crowded());
        assert!(
            of_reply("530 Sorry, the maximum number of clients (2) for this user are already connected")
                .is_crowded()
        );
        assert!(!of_reply("530 Login incorrect.").is_crowded());
        assert!(of_reply("421-one\r\n421 two").lost);
    }
}
