//! Moments as restic's JSON holds them: RFC 3339 with up to nine digits of a second.

use larder_model::Timestamp;

/// 0000-01-01T00:00:00Z: Go's JSON refuses earlier years.
const FIRST_SECOND: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z: Go's JSON refuses later years.
const LAST_SECOND: i64 = 253_402_300_799;

/// Appends a moment with its quotes, in UTC; what lies outside the years 0 to 9999 is moved to their edge.
pub(crate) fn write_time(time: Timestamp, out: &mut Vec<u8>) {
    let seconds = time.seconds.clamp(FIRST_SECOND, LAST_SECOND);
    let nanoseconds = if seconds == time.seconds { time.nanoseconds.min(999_999_999) } else { 0 };
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let digits = |number: i64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let [c, y] = [digits(year / 100), digits(year)];
    let [m, d] = [digits(month), digits(day)];
    let [h, i, s] = [digits(second / 3600), digits(second / 60 % 60), digits(second % 60)];
    out.extend_from_slice(&[
        b'"', c[0], c[1], y[0], y[1], b'-', m[0], m[1], b'-', d[0], d[1], b'T', h[0], h[1], b':', i[0], i[1],
        b':', s[0], s[1],
    ]);
    if nanoseconds != 0 {
        let mut fraction = [0; 10];
        let mut rest = nanoseconds;
        for place in (1..10).rev() {
            fraction[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        fraction[0] = b'.';
        let kept = fraction.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
        out.extend_from_slice(&fraction[..=kept]);
    }
    out.extend_from_slice(b"Z\"");
}

/// Returns year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counts from 1 March of year 0, so that the leap day is the last of its year.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - (month <= 2) as i64;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads an RFC 3339 moment, with any offset; `None` where it is malformed.
pub(crate) fn read_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = bytes.get(range)?;
        digits.iter().try_fold(0, |sum, d| d.is_ascii_digit().then(|| sum * 10 + i64::from(d - b'0')))
    };
    let mark = |at: usize, expected: u8| bytes.get(at).filter(|byte| **byte == expected);
    mark(4, b'-').and(mark(7, b'-')).and(mark(10, b'T')).and(mark(13, b':')).and(mark(16, b':'))?;
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanoseconds = 0;
    if mark(at, b'.').is_some() {
        at += 1;
        let mut weight = 100_000_000;
        let first = at;
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            nanoseconds += u32::from(digit - b'0') * weight;
            weight /= 10;
            at += 1;
        }
        if at == first {
            return None;
        }
    }
    let offset = match bytes.get(at)? {
        b'Z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 => {
            mark(at + 3, b':')?;
            let seconds = number(at + 1..at + 3)? * 3600 + number(at + 4..at + 6)? * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let seconds = days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(Timestamp { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seconds: i64, nanoseconds: u32) -> String {
        let mut out = Vec::new();
        write_time(Timestamp { seconds, nanoseconds }, &mut out);
        String::from_utf8(out).unwrap().trim_matches('"').to_owned()
    }

    #[test]
    fn known_moments_are_written_as_go_writes_them() {
        assert_eq!(written(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(written(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(written(951_782_400, 120_000_000), "2000-02-29T00:00:00.12Z");
        assert_eq!(written(1_700_000_000, 5), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(written(i64::MIN, 7), "0000-01-01T00:00:00Z");
        assert_eq!(written(i64::MAX, 7), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for step in 0..20_000 {
            let seconds = FIRST_SECOND + step * 15_778_476_137 / 1000;
            let time = Timestamp { seconds, nanoseconds: (step as u32 * 49_999) % 1_000_000_000 };
            assert_eq!(read_time(&written(time.seconds, time.nanoseconds)), Some(time));
        }
    }

    #[test]
    fn the_calendar_agrees_with_jiff() {
        for seconds in (-62_000_000_000..253_000_000_000).step_by(1_234_567_891) {
            let expected = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            assert_eq!(written(seconds, 0), expected);
        }
    }

    #[test]
    fn offsets_are_taken_into_account() {
        let expected = Some(Timestamp { seconds: 1_700_000_000, nanoseconds: 250_000_000 });
        assert_eq!(read_time("2023-11-14T23:13:20.25+01:00"), expected);
        assert_eq!(read_time("2023-11-14T16:43:20.25-05:30"), expected);
    }

    #[test]
    fn malformed_moments_are_refused() {
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.Z",
            "2023-13-14T22:13:20Z",
            "2023-11-14T24:13:20Z",
            "2023-11-14T22:13:20Zx",
            "2023-11-14T22:13:20+0100",
            "x023-11-14T22:13:20Z",
        ] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}
