//! The ids by which RavenDB's clients tell databases and clusters apart.
//!
//! Clients only compare them, so each is made from a name: the same after every restart, without being stored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

fn digest(what: &str, name: &str) -> [u8; 16] {
    let whole = Sha256::digest(format!("larder {what}\n{name}"));
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Returns the id of a database's cluster-wide transactions.
pub(crate) fn cluster_transactions(database: &str) -> String {
    STANDARD_NO_PAD.encode(digest("cluster transactions", database))
}

/// Returns the id of a database's topology.
pub(crate) fn database_topology(database: &str) -> String {
    STANDARD_NO_PAD.encode(digest("database topology", database))
}

/// Returns the id of the cluster of one that this installation is, as a GUID.
pub(crate) fn cluster(installation: &str) -> String {
    let hex: String = digest("cluster", installation).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut guid = String::with_capacity(36);
    for (place, digit) in hex.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            guid.push('-');
        }
        guid.push(digit);
    }
    guid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_that_clients_expect_and_stay_the_same() {
        assert_eq!(cluster_transactions("alpha").len(), 22);
        assert_eq!(cluster_transactions("alpha"), cluster_transactions("alpha"));
        assert_ne!(cluster_transactions("alpha"), cluster_transactions("beta"));
        assert_ne!(cluster_transactions("alpha"), database_topology("alpha"));
        let guid = cluster("here");
        assert_eq!(guid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
