//! The hash that the service checks archives by: the root of a binary tree over the SHA-256 of each MiB.

use crate::s3::{Hash, hex};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What one leaf is the hash of.
const LEAF: usize = 1 << 20;
/// From this size on hashing is left to a thread that may block.
const BLOCKING: usize = 512 << 10;

/// Both hashes of a body, in hexadecimal: of all its bytes in a row, and of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    pub(super) linear: String,
    pub(super) tree: String,
}

/// Hashes a body without keeping the other tasks of its thread waiting.
pub(super) async fn hashes(body: &Bytes) -> Hashes {
    if body.len() < BLOCKING {
        return both(body);
    }
    let shared = body.clone();
    match tokio::task::spawn_blocking(move || both(&shared)).await {
        Ok(hashes) => hashes,
        // The runtime is going down; the little that is left can be done here.
        Err(_) => both(body),
    }
}

fn both(body: &[u8]) -> Hashes {
    Hashes { linear: hex(&Sha256::digest(body)), tree: tree(body) }
}

/// Returns the hash of the tree.
pub(super) fn tree(body: &[u8]) -> String {
    let mut level: Vec<Hash> = body.chunks(LEAF).map(|leaf| Sha256::digest(leaf).into()).collect();
    if level.is_empty() {
        level.push(Sha256::digest(b"").into());
    }
    while level.len() > 1 {
        // One that has no neighbour goes up as it is.
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Sha256::new().chain_update(left).chain_update(right).finalize().into(),
                [alone, ..] => *alone,
                [] => [0; 32],
            })
            .collect();
    }
    level.first().map(|root| hex(root)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(parts: &[&[u8]]) -> Vec<u8> {
        Sha256::digest(parts.concat()).to_vec()
    }

    #[test]
    fn up_to_one_mib_the_tree_is_its_only_leaf() {
        for length in [0, 1, LEAF - 1, LEAF] {
            let both = both(&vec![7; length]);
            assert_eq!(both.linear, both.tree, "{length}");
        }
    }

    #[test]
    fn neighbours_are_hashed_together_and_one_without_a_neighbour_goes_up() {
        let body: Vec<u8> = (0..4 * LEAF + 5).map(|at| u8::try_from(at / LEAF).unwrap()).collect();
        let leaf = |number: usize| node(&[&body[number * LEAF..body.len().min((number + 1) * LEAF)]]);
        let four = node(&[&node(&[&leaf(0), &leaf(1)]), &node(&[&leaf(2), &leaf(3)])]);
        assert_eq!(tree(&body[..4 * LEAF]), hex(&four));
        assert_eq!(tree(&body), hex(&node(&[&four, &leaf(4)])));
        let three = node(&[&node(&[&leaf(0), &leaf(1)]), &leaf(2)]);
        assert_eq!(tree(&body[..3 * LEAF]), hex(&three));
    }
}
