//! How long a server asks to be left alone.

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::fmt::rfc2822;
use std::time::Duration;

/// Nobody is waited for longer at its own word.
const AT_MOST: Duration = Duration::from_secs(3600);

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a moment, which counts from the server's own `Date`.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(AT_MOST));
    }
    let until = rfc2822::parse(said).ok()?.timestamp();
    let now = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?.timestamp();
    let wait = u64::try_from(until.as_second() - now.as_second()).unwrap_or(0);
    Some(Duration::from_secs(wait).min(AT_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        headers
    }

    #[test]
    fn seconds_and_moments_are_understood() {
        assert_eq!(read(&headers("17")), Some(Duration::from_secs(17)));
        assert_eq!(read(&headers("Sun, 06 Nov 1994 08:51:07 GMT")), Some(Duration::from_secs(90)));
        assert_eq!(read(&headers("Sun, 06 Nov 1994 08:00:00 GMT")), Some(Duration::ZERO));
        assert_eq!(read(&headers("999999999")), Some(AT_MOST));
        assert_eq!(read(&headers("soon")), None);
        assert_eq!(read(&HeaderMap::new()), None);
    }
}
