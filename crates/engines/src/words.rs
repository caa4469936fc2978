//! How things are said in messages.

pub(crate) use larder_model::human::grouped;
use std::fmt::Write;
use std::io;

/// Says an error of the operating system without its number.
pub(crate) fn plain(error: impl Into<io::Error>) -> String {
    let text = error.into().to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_lowercase()
}

/// Writes a count with its noun in the right form: `1 file`, `2,000 files`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Writes bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(2_000, "file", "files"), "2,000 files");
    }
}
