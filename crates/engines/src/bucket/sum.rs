//! One number for many objects, in any order.

use crate::words::hex;
use larder_storage::ObjectHead;
use sha2::{Digest, Sha256};

/// Adds up objects: how many, how large, and a sum over the hashes of what is known of each. The sum is the same in whichever
/// order they come, for a server lists them otherwise than a backup does.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    lanes: [u64; 4],
}

impl Sum {
    /// Adds an object under its key, or the path of that.
    pub(super) fn add(&mut self, key: &str, head: &ObjectHead) {
        self.objects += 1;
        self.bytes += head.size_bytes;
        let mut hash = Sha256::new();
        for text in [key, &head.tag, &head.size_bytes.to_string(), &head.modified.to_string()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        let hash: [u8; 32] = hash.finalize().into();
        for (lane, part) in self.lanes.iter_mut().zip(hash.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*part));
        }
    }

    /// Returns the sum in hexadecimal digits.
    pub(super) fn digits(&self) -> String {
        hex(&self.lanes.map(u64::to_be_bytes).concat())
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;
    use jiff::Timestamp;
    use larder_storage::ObjectHead;
    use std::collections::BTreeMap;

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let head = |tag: &str| ObjectHead {
            key: String::new(),
            size_bytes: 7,
            modified: Timestamp::UNIX_EPOCH,
            tag: tag.to_owned(),
            properties: BTreeMap::new(),
        };
        let sum = |objects: &[(&str, &str)]| {
            let mut sum = Sum::default();
            objects.iter().for_each(|(key, tag)| sum.add(key, &head(tag)));
            sum.digits()
        };
        assert_eq!(sum(&[("a", "1"), ("b", "2")]), sum(&[("b", "2"), ("a", "1")]));
        assert_ne!(sum(&[("a", "1"), ("b", "2")]), sum(&[("a", "2"), ("b", "1")]));
        assert_ne!(sum(&[("a", "1")]), sum(&[("a", "1"), ("a", "1")]));
        assert_ne!(sum(&[("ab", "1")]), sum(&[("a", "b1")]));
    }
}
