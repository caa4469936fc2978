//! Names and texts inside statements.

/// Quotes the name of a database, table or the like.
pub(super) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes a text, whatever the server's mode says of backslashes: as hexadecimal digits.
pub(super) fn text(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    format!("_utf8mb4 0x{}", crate::words::hex(text.as_bytes()))
}

/// Reads a name quoted with backticks at the beginning of a text; returns it with what follows.
pub(super) fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.strip_prefix('`')?;
    loop {
        let (part, after) = rest.split_once('`')?;
        name.push_str(part);
        match after.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_quoted_name_is_read_back() {
        for name in ["t", "we ird", "a`b", "``", "ü\"'"] {
            let text = format!("{} (", super::name(name));
            assert_eq!(super::unquoted(&text), Some((name.to_owned(), " (")));
        }
        assert_eq!(super::unquoted("`a"), None);
        assert_eq!(super::unquoted("a`"), None);
    }
}
