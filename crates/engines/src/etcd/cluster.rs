//! Questions to an etcd cluster, by the JSON gateway that every member has.

use crate::error::EngineError;
use crate::remote::{Address, Http, Options, TLS_OPTIONS};
use larder_model::{Secret, Source};
use serde_json::{Value, json};

/// The key that lies before all others, and the range end that lies behind them, in base64.
const ZERO: &str = "AA==";

/// One member that was found to be in touch with the others.
#[derive(Debug)]
pub(super) struct Member {
    http: Http,
    pub(super) user: Option<String>,
}

/// What the cluster said of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) cluster_id: String,
    pub(super) revision: u64,
    /// The number of keys at that revision.
    pub(super) keys: u64,
    /// How much of its log this member has applied; it runs with leases, users and members, too. Servers before 3.4 do not
    /// say it.
    pub(super) applied: Option<u64>,
    pub(super) version: String,
}

impl Member {
    /// Finds the first member of a source that is in touch with the leader, and signs in.
    pub(super) fn of(source: &Source) -> Result<(Self, Look), EngineError> {
        let options = Options::of(source, &TLS_OPTIONS)?;
        let mut last = EngineError::Failed {
            action: "reading the address of the source".to_owned(),
            cause: "it names no member".to_owned(),
            remedy: "write the members as http://HOST:2379,http://HOST:2379".to_owned(),
        };
        let mut user = None;
        for address in source.address.split(',').filter(|address| !address.trim().is_empty()) {
            let mut address = Address::read(address, &["http", "https", "etcd", "etcds"], 2379)?;
            // A user need be named only once.
            user = address.user.take().or(user);
            let asked = Self::open(&address, &options, user.clone(), source.password.as_ref());
            match asked.and_then(|member| member.look().map(|look| (member, look))) {
                Ok(found) => return Ok(found),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn open(
        address: &Address,
        options: &Options<'_>,
        user: Option<String>,
        password: Option<&Secret>,
    ) -> Result<Self, EngineError> {
        let http = Http::new(address, options)?;
        let (Some(name), Some(password)) = (&user, password) else { return Ok(Self { http, user }) };
        let told =
            http.post("/v3/auth/authenticate", &json!({"name": name, "password": password.expose()}))?;
        let token = told.get("token").and_then(Value::as_str).unwrap_or_default();
        Ok(Self { http: http.with_authorization(Secret::new(token.to_owned())), user })
    }

    /// Returns the address, as people know it.
    pub(super) fn shown(&self) -> &str {
        self.http.base()
    }

    /// Looks at the cluster through this member.
    ///
    /// The first question is answered only when the member has caught up with the leader: one that was cut off fails here,
    /// and what it says afterwards is not older than that.
    pub(super) fn look(&self) -> Result<Look, EngineError> {
        let nothing = json!({"key": ZERO, "limit": 1, "count_only": true});
        let header = self.http.post("/v3/kv/range", &nothing)?;
        let revision = number(&header, "/header/revision").unwrap_or_default();
        let all =
            json!({"key": ZERO, "range_end": ZERO, "count_only": true, "revision": revision.to_string()});
        let counted = self.http.post("/v3/kv/range", &all)?;
        let status = self.http.post("/v3/maintenance/status", &json!({}))?;
        let text = |value: &Value, pointer| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let cluster_id = text(&header, "/header/cluster_id").filter(|_| revision > 0);
        let cluster_id = cluster_id.ok_or_else(|| EngineError::Failed {
            action: format!("asking {}", self.shown()),
            cause: "the answer is not that of an etcd server".to_owned(),
            remedy: "see whether the address is that of a member, and whether its gRPC gateway is enabled"
                .to_owned(),
        })?;
        Ok(Look {
            cluster_id,
            revision,
            // A count of nothing is left out of the answer.
            keys: number(&counted, "/count").unwrap_or_default(),
            applied: number(&status, "/raftAppliedIndex"),
            version: text(&status, "/version").unwrap_or_default(),
        })
    }

    /// Returns the cluster's own hash of all keys up to a revision, and the revision it was compacted at; `None` where the
    /// gateway does not have it (before 3.6).
    pub(super) fn hash(&self, revision: u64) -> Option<(u64, i64)> {
        let asked = json!({"revision": revision.to_string()});
        let answer = self.http.send_json("POST", "/v3/maintenance/hashkv", &asked).ok()?;
        let told = answer.good().ok()?.json().ok()?;
        let compacted = number(&told, "/compact_revision").and_then(|number| i64::try_from(number).ok());
        Some((number(&told, "/hash")?, compacted.unwrap_or_default()))
    }

    /// Asks for a snapshot; the answer is a stream of [`super::snapshot`].
    pub(super) fn snapshot(&self) -> Result<impl std::io::Read + Send + 'static, EngineError> {
        Ok(self.http.send_json("POST", "/v3/maintenance/snapshot", &json!({}))?.good()?.into_reader())
    }

    /// Says whether the user that signed in may read snapshots.
    pub(super) fn is_root(&self, user: &str) -> Result<bool, EngineError> {
        let told = self.http.post("/v3/auth/user/get", &json!({"name": user}))?;
        let roles = told.get("roles").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(roles.iter().any(|role| role == "root"))
    }
}

/// Reads a number, which the gateway writes as text where it has 64 bits.
pub(super) fn number(value: &Value, pointer: &str) -> Option<u64> {
    let found = value.pointer(pointer)?;
    found.as_u64().or_else(|| found.as_str()?.parse().ok())
}
