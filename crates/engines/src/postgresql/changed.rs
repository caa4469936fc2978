//! Whether a database is known to be unchanged.
//!
//! Whoever changes anything that a dump shows, in whichever database, gets a transaction number, and numbers are given to the
//! whole server in order. So where at the backup's own moment no transaction was open, and now the next number is still the
//! same, nothing can have been committed since. Two things are not covered by numbers and are looked at themselves: the values
//! of sequences, which go on without them, and a server that was stopped (and perhaps put back to an older state). A busy
//! server is never proved unchanged, not even for its quiet databases; its counters of rows written would say so, but they come
//! late and can be switched off.

use super::discover::name_of;
use super::login::Login;
use super::session::Session;
use crate::engine::ChangeCheck;
use crate::error::EngineError;
use crate::tool::Tools;
use larder_model::{Cancel, Database, Source};
use serde_json::Value;

/// What must stay the same. Asked in the backup's own transaction.
///
/// A transaction that was begun before and is still open shows as a lower `xmin`, and then nothing is proved.
const POSITION: &str = "SELECT jsonb_build_object(
    'Server', pg_postmaster_start_time()::text,
    'Database', (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()),
    'Oldest', txid_snapshot_xmin(s)::text,
    'Next', txid_snapshot_xmax(s)::text,
    'Prepared', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts),
    'Sequences', (SELECT md5(coalesce(string_agg(seqrelid::text || ':' ||
        coalesce(CASE WHEN has_sequence_privilege(seqrelid, 'SELECT') THEN pg_sequence_last_value(seqrelid) END::text, ''),
        ',' ORDER BY seqrelid), ''))
        FROM pg_catalog.pg_sequence))
    FROM txid_current_snapshot() AS s";

/// Returns the position of a session's snapshot.
pub(super) fn position(session: &mut Session) -> Result<String, EngineError> {
    Ok(session.ask(POSITION)?.to_string())
}

/// Says whether nothing changed since a position.
pub(super) fn check(
    tools: &Tools,
    source: &Source,
    database: &Database,
    position: &str,
) -> Result<ChangeCheck, EngineError> {
    let login = Login::of(source)?;
    let mut session = Session::open(tools, &login, name_of(&database.locator), &Cancel::new())?;
    let now = session.ask(POSITION)?;
    session.close()?;
    let before = serde_json::from_str::<Value>(position).unwrap_or(Value::Null);
    Ok(match proves_unchanged(&before, &now) {
        true => ChangeCheck::Unchanged,
        false => ChangeCheck::MaybeChanged,
    })
}

fn proves_unchanged(before: &Value, now: &Value) -> bool {
    let quiet = |position: &Value| {
        position["Oldest"].is_string()
            && position["Oldest"] == position["Next"]
            && position["Prepared"].as_u64() == Some(0)
    };
    before == now && quiet(before)
}

#[cfg(test)]
mod tests {
    use super::proves_unchanged;
    use serde_json::{Value, json};

    #[test]
    fn only_a_quiet_server_with_the_same_next_number_is_unchanged() {
        let at = |oldest: &str, next: &str, sequences: &str| json!({ "Server": "a", "Oldest": oldest, "Next": next, "Prepared": 0, "Sequences": sequences });
        assert!(proves_unchanged(&at("7", "7", "x"), &at("7", "7", "x")));
        for now in [at("8", "8", "x"), at("7", "8", "x"), at("7", "7", "y"), Value::Null] {
            assert!(!proves_unchanged(&at("7", "7", "x"), &now), "{now}");
        }
        assert!(
            !proves_unchanged(&at("6", "7", "x"), &at("6", "7", "x")),
            "an open transaction may end either way"
        );
        assert!(!proves_unchanged(&Value::Null, &Value::Null));
    }
}
