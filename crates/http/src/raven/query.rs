//! What stands behind the question mark, read as RavenDB reads it: names in any case, unknown ones ignored.

use super::failure::Failure;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use larder_model::TimeSpan;
use std::convert::Infallible;
use std::str::FromStr;

/// The names and values behind the question mark, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        // What is no query at all counts as none: what a route needs it then misses by name.
        Ok(Self(axum::extract::Query::try_from_uri(&parts.uri).map(|query| query.0).unwrap_or_default()))
    }
}

impl Query {
    /// Returns a value; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns a value that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| {
            Failure::argument(format!("Query string {name} is mandatory, but wasn't specified."))
        })
    }

    fn parsed<T: FromStr>(&self, name: &str, kind: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| {
            let value: String = super::failure::shown(value);
            Failure::argument(format!("Could not parse query string '{name}' as {kind} val {value}"))
        })
    }

    /// Returns a number, where there is one.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.parsed(name, "long")
    }

    /// Returns a number that must be there.
    pub(crate) fn required_number(&self, name: &str) -> Result<u64, Failure> {
        self.required(name)?;
        Ok(self.number(name)?.unwrap_or_default())
    }

    /// Returns yes or no; no where nothing is said.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let Some(value) = self.get(name) else { return Ok(false) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Failure::argument(format!(
                "Could not parse query string '{name}' as bool val {}",
                super::failure::shown(value)
            ))),
        }
    }

    /// Returns yes or no that must be there.
    pub(crate) fn required_flag(&self, name: &str) -> Result<bool, Failure> {
        self.required(name)?;
        self.flag(name)
    }

    /// Returns a duration that must be there.
    pub(crate) fn required_span(&self, name: &str) -> Result<TimeSpan, Failure> {
        self.required(name)?;
        Ok(self.parsed(name, "timespan")?.unwrap_or_default())
    }

    /// Returns which part of a list is meant: where it starts and how many it has at most.
    pub(crate) fn page(&self, most: usize) -> Result<(usize, usize), Failure> {
        let whole = |number: Option<u64>| number.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let start = whole(self.number("start")?).unwrap_or(0);
        let size = whole(self.number("pageSize")?).unwrap_or(most).min(most);
        Ok((start, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/x?{text}").parse().unwrap();
        Query(axum::extract::Query::try_from_uri(&uri).map(|query| query.0).unwrap_or_default())
    }

    #[test]
    fn what_clients_really_send_is_understood() {
        let sent = query("first-topology-update&name=alpha&?raft-request-id=1&Type=Backup&disable=True");
        assert_eq!(sent.get("NAME"), Some("alpha"));
        assert_eq!(sent.get("first-topology-update"), None);
        assert_eq!(sent.required("type").unwrap(), "Backup");
        assert!(sent.required_flag("disable").unwrap());
        assert_eq!(query("name=Backup%20to%20Local%20%232").get("name"), Some("Backup to Local #2"));
        assert_eq!(query("%ff=%fe&a=1").get("a"), Some("1"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let failure = query("").required_number("taskId").unwrap_err();
        assert_eq!(failure.parts().0, 500);
        assert!(failure.parts().2.contains("taskId is mandatory"));
        assert!(query("taskId=seven").required_number("taskId").unwrap_err().parts().2.contains("seven"));
        assert!(query("duration=bogus").required_span("duration").unwrap_err().parts().2.contains("bogus"));
        assert!(query("disable=maybe").flag("disable").is_err());
        assert_eq!(query("start=2&pageSize=9999999999999").page(100).unwrap(), (2, 100));
    }
}
