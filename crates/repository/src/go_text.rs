//! Text as Go writes it: quoted names and JSON strings, byte for byte, so that our trees equal stock restic's.

/// Appends a name as Go's `strconv.Quote` writes it, without the quotes around it.
///
/// restic keeps names this way within its JSON; bytes that are not UTF-8 become `\x..`.
pub(crate) fn quote(name: &[u8], out: &mut String) {
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_character(character, out);
        }
        for byte in chunk.invalid() {
            push_hex(out, "\\x", u32::from(*byte), 2);
        }
    }
}

/// Says whether quoting leaves a name as it is; true for nearly every name, and cheap.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

fn quote_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        ' '..='~' => out.push(character),
        '\0'..='\x7f' => push_hex(out, "\\x", u32::from(character), 2),
        _ if is_printable(character) => out.push(character),
        '\u{80}'..='\u{ffff}' => push_hex(out, "\\u", u32::from(character), 4),
        _ => push_hex(out, "\\U", u32::from(character), 8),
    }
}

/// Says whether Go's `unicode.IsPrint` holds, by asking the standard library, whose rule for debug output is the same:
/// letters, marks, numbers, punctuation, symbols. Marks are escaped only at the beginning of a text, hence the `a`.
fn is_printable(character: char) -> bool {
    let mut bytes = [b'a'; 5];
    let length = 1 + character.encode_utf8(&mut bytes[1..]).len();
    std::str::from_utf8(&bytes[..length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(character))
}

fn push_hex(out: &mut String, prefix: &str, number: u32, digits: u32) {
    out.push_str(prefix);
    for place in (0..digits).rev() {
        out.push(char::from_digit((number >> (4 * place)) & 15, 16).unwrap_or('0'));
    }
}

/// Reads what Go's `strconv.Quote` wrote, without the quotes around it; `None` where it is malformed.
pub(crate) fn unquote(text: &str) -> Option<Vec<u8>> {
    if !text.contains('\\') {
        return Some(text.as_bytes().to_vec());
    }
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        name.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        let simple = match escape {
            b'a' => Some(7),
            b'b' => Some(8),
            b'f' => Some(12),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'v' => Some(11),
            b'\\' | b'"' | b'\'' => Some(escape),
            _ => None,
        };
        if let Some(byte) = simple {
            name.push(byte);
            continue;
        }
        let digits = match escape {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            b'0'..=b'7' => {
                let octal = text.get(text.len() - rest.len() - 1..)?.get(..3)?;
                name.push(u8::from_str_radix(octal, 8).ok()?);
                rest = rest.get(2..)?;
                continue;
            }
            _ => return None,
        };
        let number = rest.get(..digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let number = u32::from_str_radix(number, 16).ok()?;
        rest = rest.get(digits..)?;
        if escape == b'x' {
            name.push(u8::try_from(number).ok()?);
        } else {
            name.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    name.extend_from_slice(rest.as_bytes());
    Some(name)
}

/// Appends a JSON string as Go's `encoding/json` writes it, with its quotes: `<`, `>`, `&` and the two line separators
/// are escaped besides what JSON demands.
pub(crate) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= b' ' && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2) {
            continue;
        }
        if *byte == 0xe2 && !matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0xe2 => {
                out.extend_from_slice(if bytes.get(at + 2) == Some(&0xa8) { b"\\u2028" } else { b"\\u2029" });
                done = at + 3;
            }
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(name: &[u8]) -> String {
        let mut text = String::new();
        quote(name, &mut text);
        text
    }

    #[test]
    fn names_are_quoted_as_go_does() {
        let cases: [(&[u8], &str); 11] = [
            (b"plain name.txt", "plain name.txt"),
            (b"a\"b\\c'd", r#"a\"b\\c'd"#),
            (b"\x00\x01\x07\x08\x0c\n\r\t\x0b\x1f\x7f", r"\x00\x01\a\b\f\n\r\t\v\x1f\x7f"),
            (b"\xff\xfe", r"\xff\xfe"),
            ("ä€😀".as_bytes(), "ä€😀"),
            (b"caf\xe9", r"caf\xe9"),
            ("e\u{301}".as_bytes(), "e\u{301}"),
            ("\u{301}".as_bytes(), "\u{301}"),
            ("a\u{a0}b\u{200b}c\u{2028}".as_bytes(), r"a\u00a0b\u200bc\u2028"),
            ("\u{feff}\u{e000}".as_bytes(), r"\ufeff\ue000"),
            ("\u{e0001}".as_bytes(), r"\U000e0001"),
        ];
        for (name, text) in cases {
            assert_eq!(quoted(name), text);
            assert_eq!(unquote(text).as_deref(), Some(name));
        }
    }

    #[test]
    fn every_byte_and_many_characters_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unquote(&quoted(&bytes)), Some(bytes));
        for character in ('\0'..=char::MAX).step_by(7) {
            let name = format!("x{character}y");
            assert_eq!(unquote(&quoted(name.as_bytes())), Some(name.into_bytes()));
        }
    }

    #[test]
    fn malformed_quotes_are_refused() {
        for text in
            [r"\", r"\q", r"\x", r"\x1", r"\xg0", r"\u12", r"\ud800", r"\U00110000", r"\x+1", r"\8", r"\12"]
        {
            assert_eq!(unquote(text), None, "{text}");
        }
        assert_eq!(unquote(r"\101\'"), Some(b"A'".to_vec()));
    }

    #[test]
    fn json_strings_are_escaped_as_go_does() {
        let mut out = Vec::new();
        write_json_string("a<b>&\"\\\n\r\t\u{1}\u{7f}\u{2028}\u{2029}â\u{20ac}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\r\\t\\u0001\u{7f}\\u2028\\u2029â\u{20ac}\""
        );
    }
}
