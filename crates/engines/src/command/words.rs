//! A line of words, as a shell would take it apart; but nothing is expanded, and no shell is asked.

/// Splits at white space. Quotes of both kinds hold a word together; a backslash keeps the character after it, outside
/// single quotes. `None` where a quote does not end.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_taken_apart_as_a_shell_does() {
        for (line, words) in [
            ("/bin/dump  --all", &["/bin/dump", "--all"][..]),
            (r#"a "b c" 'd "e\' f\ g """#, &["a", "b c", "d \"e\\", "f g", ""]),
            (r"$HOME *", &["$HOME", "*"]),
            ("  ", &[]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert!(split("a 'b").is_none() && split("a \\").is_none());
    }
}
