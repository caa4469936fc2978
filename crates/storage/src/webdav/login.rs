//! How a user shows who he is: with the password (RFC 7617), or with a digest of it (RFC 7616).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use larder_model::Secret;
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A user, and what the server wants to know of him.
#[derive(Debug)]
pub(super) struct Login {
    user: String,
    password: Secret,
    manner: Mutex<Manner>,
    /// How often the manner changed.
    lessons: AtomicU64,
}

#[derive(Clone, Debug)]
enum Manner {
    /// The server has not yet been asked; unless the connection is protected, the password is not shown before.
    Unknown,
    Password,
    Digest {
        challenge: BTreeMap<String, String>,
        used: u32,
    },
}

impl Login {
    /// Makes a login.
    pub(super) fn new(user: &str, password: &Secret, is_protected: bool) -> Self {
        let manner = if is_protected { Manner::Password } else { Manner::Unknown };
        Self {
            user: user.to_owned(),
            password: password.clone(),
            manner: Mutex::new(manner),
            lessons: AtomicU64::new(0),
        }
    }

    /// Makes the header for a request.
    pub(super) fn header(&self, method: &str, target: &str) -> Option<HeaderValue> {
        let mut manner = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match &mut *manner {
            Manner::Unknown => return None,
            Manner::Password => {
                let both = format!("{}:{}", self.user, self.password.expose());
                format!("Basic {}", base64_encode(both.as_bytes()))
            }
            Manner::Digest { challenge, used } => {
                *used += 1;
                let nonce = format!("{:016x}", RandomState::new().hash_one(*used));
                digest(challenge, &self.user, self.password.expose(), method, target, *used, &nonce)
            }
        };
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Says how much is learnt so far; a request that is about to be made knows no more.
    pub(super) fn lessons(&self) -> u64 {
        self.lessons.load(Ordering::Acquire)
    }

    /// Looks at an answer that wants to know who asks; says whether there is something new to answer. `known` is what was
    /// learnt when the request was made: what another one learnt meanwhile is new to this one.
    pub(super) fn learn(&self, headers: &HeaderMap, known: u64) -> bool {
        let mut manner = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lessons() != known {
            return true;
        }
        let next = Self::next(&manner, headers);
        let is_new = next.is_some();
        if let Some(next) = next {
            *manner = next;
            self.lessons.fetch_add(1, Ordering::AcqRel);
        }
        is_new
    }

    fn next(manner: &Manner, headers: &HeaderMap) -> Option<Manner> {
        let offers: Vec<&str> =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
        let digest = offers.iter().filter_map(|offer| challenge(offer)).find(|challenge| {
            challenge
                .get("algorithm")
                .is_none_or(|name| matches!(name.to_ascii_uppercase().as_str(), "MD5" | "SHA-256"))
        });
        let stale = |new: &BTreeMap<String, String>| {
            new.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
        };
        match (manner, digest) {
            // The password was wrong, unless the server only wants a newer nonce in the answer.
            (Manner::Digest { .. }, Some(new)) if !stale(&new) => None,
            (_, Some(challenge)) => Some(Manner::Digest { challenge, used: 0 }),
            (Manner::Unknown, None)
                if offers.iter().any(|offer| offer.to_ascii_lowercase().starts_with("basic")) =>
            {
                Some(Manner::Password)
            }
            _ => None,
        }
    }
}

/// Reads `Digest realm="…", nonce="…", qop="auth"`.
fn challenge(offer: &str) -> Option<BTreeMap<String, String>> {
    let (scheme, rest) = offer.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let mut fields = BTreeMap::new();
    let mut rest = rest.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    fields.contains_key("nonce").then_some(fields)
}

/// Makes the answer to a challenge (RFC 7616, 3.4; RFC 2069 where the server names no `qop`).
fn digest(
    challenge: &BTreeMap<String, String>,
    user: &str,
    password: &str,
    method: &str,
    target: &str,
    count: u32,
    own_nonce: &str,
) -> String {
    let field = |name: &str| challenge.get(name).map_or("", String::as_str);
    let algorithm = field("algorithm").to_ascii_uppercase();
    let hash = |text: String| {
        if algorithm == "SHA-256" { hex(&Sha256::digest(text)) } else { hex(&Md5::digest(text)) }
    };
    let (realm, nonce) = (field("realm"), field("nonce"));
    let secret = hash(format!("{user}:{realm}:{password}"));
    let request = hash(format!("{method}:{target}"));
    let mut text =
        format!("Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\"");
    let response = if field("qop").split(',').any(|offer| offer.trim() == "auth") {
        text.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{own_nonce}\""));
        hash(format!("{secret}:{nonce}:{count:08x}:{own_nonce}:auth:{request}"))
    } else {
        hash(format!("{secret}:{nonce}:{request}"))
    };
    text.push_str(&format!(", response=\"{response}\""));
    for name in ["opaque", "algorithm"] {
        if let Some(value) = challenge.get(name) {
            text.push_str(&if name == "opaque" {
                format!(", opaque=\"{value}\"")
            } else {
                format!(", algorithm={value}")
            });
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Login, challenge, digest};
    use http::header::WWW_AUTHENTICATE;
    use http::{HeaderMap, HeaderValue};
    use larder_model::Secret;

    #[test]
    fn requests_that_are_refused_together_are_all_made_again_and_a_wrong_password_only_once() {
        for offer in ["Basic realm=\"dav\"", "Digest realm=\"dav\", nonce=\"n\", qop=\"auth\""] {
            let login = Login::new("user", &Secret::new("wrong".to_owned()), false);
            let refused = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(offer))]);
            let known = login.lessons();
            assert!(login.header("GET", "/").is_none());
            assert!(login.learn(&refused, known), "the first is told how");
            assert!(login.learn(&refused, known), "the second did not know it yet");
            assert!(login.header("GET", "/").is_some());
            assert!(!login.learn(&refused, login.lessons()), "the server knows him not");
        }
    }

    /// The example of RFC 7616, 3.9.1.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let offer = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let challenge = challenge(&offer).unwrap();
            let own_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let header =
                digest(&challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, own_nonce);
            assert!(header.contains(&format!("response=\"{response}\"")), "{header}");
        }
    }
}
