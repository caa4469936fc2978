//! A server's certificate as a task names it.

use reqsign_core::hash::{base64_decode, base64_encode};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Takes PEM, or the Base64 of PEM or DER, and returns PEM.
///
/// # Errors
/// It is none of these.
pub(super) fn read(text: &str) -> Result<Vec<u8>, String> {
    if text.contains(BEGIN) {
        return Ok(text.as_bytes().to_vec());
    }
    const NONE: &str = "CertificateAsBase64 holds no certificate; give PEM, or DER as Base64";
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = base64_decode(&compact).map_err(|_| NONE)?;
    if bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    // Every certificate is a SEQUENCE: X.690, 8.9.
    if bytes.first() != Some(&0x30) {
        return Err(NONE.to_owned());
    }
    let encoded = base64_encode(&bytes);
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, read};

    #[test]
    fn what_is_no_certificate_is_refused() {
        for text in ["x", "aGVsbG8=", ""] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("MAA=").unwrap().starts_with(BEGIN.as_bytes()));
    }
}
