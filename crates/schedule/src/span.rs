//! Lengths of time as people write them in a schedule: `4h`, `90s`, `1d12h`.

use jiff::SignedDuration;

/// The longest length that a schedule may name.
const LONGEST_SECONDS: i64 = 366 * 86_400;

/// Reads a length such as `2m` or `1h30m`; `None` where it is none, is nothing, or is longer than a year.
pub(crate) fn parse(text: &str) -> Option<SignedDuration> {
    let mut seconds: i64 = 0;
    let mut digits = String::new();
    for character in text.trim().chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit = match character {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let number: i64 = digits.parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        digits.clear();
    }
    let whole = digits.is_empty() && (1..=LONGEST_SECONDS).contains(&seconds);
    whole.then(|| SignedDuration::from_secs(seconds))
}

/// Writes a length so that [`parse`] reads it: `1h30m`.
pub(crate) fn text(length: SignedDuration) -> String {
    let mut rest = length.as_secs().max(0);
    let mut text = String::new();
    for (unit, seconds) in [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
        if rest >= seconds {
            text.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_written_alike() {
        for (given, written) in
            [("4h", "4h"), ("90s", "1m30s"), ("1d12h", "1d12h"), ("2w", "14d"), (" 60m ", "1h")]
        {
            assert_eq!(parse(given).map(text).as_deref(), Some(written));
        }
    }

    #[test]
    fn nonsense_is_no_length() {
        for given in ["", "4", "h", "0m", "-1h", "4 h", "1y", "99999d", "9999999999999999999999h", "1h5"] {
            assert_eq!(parse(given), None, "{given}");
        }
    }
}
