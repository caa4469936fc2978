//! Files that a caller keeps: streamed as they are read, and named so that no name can do harm.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use larder_service::Download;
use std::fmt::Write;

/// Answers with what is read out of a backup. Where that breaks off, so does the answer: nobody takes half of it for whole.
pub(crate) fn answer(download: Download, media: &'static str) -> Response {
    let (name, bytes) = (disposition(&download.name), download.bytes);
    let pieces = stream::unfold(download, |mut download| async move {
        let piece = download.next().await?;
        Some((piece, download))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CONTENT_DISPOSITION, name);
    if let Some(bytes) = bytes {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    response
}

/// Says that the answer is to be kept under a name (RFC 6266): in plain characters for old programs, and whole as RFC 8187
/// writes it.
fn disposition(name: &str) -> HeaderValue {
    // Strokes would lead to another directory, and a first dot would hide the file.
    let mut safe: String = name
        .chars()
        .map(|c| if c.is_control() || matches!(c, '/' | '\\' | '\u{fffd}') { '_' } else { c })
        .collect();
    if safe.is_empty() || safe.starts_with('.') {
        safe.insert(0, '_');
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let plain: String = safe.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in safe.bytes() {
        // The characters that RFC 8187 calls attr-char.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn odd_names_are_kept_whole_and_can_do_no_harm() {
        for (name, plain, whole) in [
            ("report.pdf", "report.pdf", "report.pdf"),
            ("größe 1.txt", "gr__e 1.txt", "gr%C3%B6%C3%9Fe%201.txt"),
            ("a\"; filename=\"b.exe", "a__ filename__b.exe", "a%22%3B%20filename%3D%22b.exe"),
            ("../../etc/passwd", "_.._.._etc_passwd", "_.._.._etc_passwd"),
            (".bashrc", "_.bashrc", "_.bashrc"),
            ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x", "a__Set-Cookie%3A%20x"),
            ("", "_", "_"),
        ] {
            let value = disposition(name);
            let expected = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}");
            assert_eq!(value.to_str().unwrap(), expected, "{name}");
        }
    }
}
