//! Every parser of bytes that come from a destination, as one call each: for the fuzz targets under `fuzz/`, and for the
//! tests below, which feed them damaged versions of real objects.
//!
//! What a destination holds is sealed, but keys get lost and other programs write into repositories, so none of these may
//! panic or take memory out of proportion whatever they are given.

use crate::config::Config;
use crate::credentials::Credentials;
use crate::crypto::MasterKey;
use crate::id::Id;
use crate::index::IndexBuilder;
use crate::index_file::IndexFile;
use crate::keys::KeyFile;
use crate::pack::{read_header, read_pack};
use crate::prune::pack_bytes;
use crate::snapshot::Snapshot;
use crate::tree::Tree;
use larder_model::Secret;

/// The most that a key file may ask of scrypt here; a fuzz run is to try many.
const MOST_COST: u64 = 1 << 14;

fn key() -> MasterKey {
    MasterKey::from_bytes(&[7; 64])
}

/// Reads a pack; the bytes end with a header's length.
pub fn pack(bytes: &[u8]) {
    let _ = read_pack(&key(), bytes);
}

/// Reads the entries of a pack's header, which are sealed here as the parser expects them.
pub fn pack_header(entries: &[u8]) {
    let Ok(sealed) = key().seal_copy(entries) else { return };
    for blob_bytes in [0, 100, u64::MAX] {
        let _ = read_header(&key(), &sealed, blob_bytes);
    }
}

/// Reads the JSON of an index object, builds the index, and looks for everything in it.
pub fn index(json: &[u8]) {
    let Ok(file) = serde_json::from_slice::<IndexFile>(json) else { return };
    let mut builder = IndexBuilder::default();
    for pack in &file.packs {
        let _ = pack_bytes(&pack.blobs);
        builder.add(pack.id, pack.blobs.iter().map(Into::into));
    }
    let index = builder.build();
    for pack in &file.packs {
        for blob in &pack.blobs {
            assert!(index.contains(blob.kind, &blob.id), "an indexed blob is not found");
        }
    }
}

/// Reads the JSON of a tree; what could be read is written and read again.
pub fn tree(json: &[u8]) {
    if let Ok(tree) = Tree::from_json(json) {
        // Not the tree itself is compared: times of access are not kept, as restic does by default.
        let written = tree.to_json();
        let again = Tree::from_json(&written).map(|again| again.to_json());
        assert!(again.as_ref() == Ok(&written), "a tree changes when it is written and read");
    }
}

/// Reads the JSON of a snapshot.
pub fn snapshot(json: &[u8]) {
    let _ = Snapshot::from_json(&Id::of(json), json);
}

/// Reads the JSON of a configuration.
pub fn config(json: &[u8]) {
    let _ = serde_json::from_slice::<Config>(json);
}

/// Reads a key file and tries a password on it.
pub fn key_file(json: &[u8]) {
    let Ok(file) = serde_json::from_slice::<KeyFile>(json) else { return };
    let cost = file.n.saturating_mul(u64::from(file.r)).saturating_mul(u64::from(file.p));
    if cost <= MOST_COST || !file.n.is_power_of_two() {
        let _ = file.open(&Credentials::Password(Secret::new("x".to_owned())));
    }
}

/// Reads the JSON of a lock and judges whether it counts.
pub fn lock(json: &[u8]) {
    crate::lock::read_foreign(json);
}

/// Decompresses what an index, snapshot or lock holds behind its first byte.
pub fn object(packed: &[u8]) {
    let _ = crate::compress::decompress_object(packed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::BlobKind;
    use crate::compress::compress_object;
    use crate::pack::PackBuilder;
    use larder_testbed::Random;

    /// Damaged versions of each object.
    const MUTATIONS: u32 = 10_000;

    /// Changes a few bytes, cuts, repeats or mixes in pieces, as chance has it.
    fn mutate(original: &[u8], random: &mut Random) -> Vec<u8> {
        let mut bytes = original.to_vec();
        let at = |bytes: &[u8], random: &mut Random| random.below(bytes.len().max(1) as u64) as usize;
        for _ in 0..=random.below(4) {
            let (from, to) = (at(&bytes, random), at(&bytes, random));
            match random.below(8) {
                0 => bytes.truncate(from),
                1 => bytes.extend_from_slice(&original[at(original, random)..]),
                2 => drop(bytes.drain(from.min(to)..from.max(to))),
                3 => {
                    let piece = original[at(original, random)..].iter().take(9).copied().collect::<Vec<_>>();
                    bytes.splice(from..from, piece).for_each(drop);
                }
                // Numbers, quotes, brackets and escapes are where parsers go astray.
                4 | 5 => {
                    let odd = b"\"\\{}[]:,-0123456789eE.\x00\xff+/ntf";
                    if let Some(byte) = bytes.get_mut(from) {
                        *byte = odd[random.below(odd.len() as u64) as usize];
                    }
                }
                6 => {
                    let (low, high) = (from.min(to), from.max(to));
                    if let Some(range) = bytes.get_mut(low..high) {
                        range.reverse();
                    }
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(from) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
        }
        bytes
    }

    fn survives(original: &[u8], parse: fn(&[u8])) {
        parse(original);
        let mut random = Random::new(original.len() as u64);
        for _ in 0..MUTATIONS {
            parse(&mutate(original, &mut random));
        }
    }

    fn header() -> Vec<u8> {
        let mut entries = Vec::new();
        for kind in 0..4u8 {
            entries.push(kind);
            entries.extend_from_slice(&100u32.to_le_bytes());
            if kind > 1 {
                entries.extend_from_slice(&300u32.to_le_bytes());
            }
            entries.extend_from_slice(&[kind; 32]);
        }
        entries
    }

    #[test]
    fn ten_thousand_damaged_packs_and_headers_are_refused_without_a_panic() {
        let mut builder = PackBuilder::new(BlobKind::Data, Vec::new());
        builder.add(Id::of(b"a"), &key().seal_copy(b"a").unwrap(), None);
        survives(&builder.finish(&key()).unwrap().bytes, pack);
        survives(&header(), pack_header);
    }

    #[test]
    fn ten_thousand_damaged_index_objects_are_refused_without_a_panic() {
        let id = Id::of(b"x");
        let json = format!(
            r#"{{"supersedes":["{id}"],"packs":[{{"id":"{id}","blobs":[{{"id":"{id}","type":"tree","offset":7,"length":40}},{{"id":"{id}","type":"data","offset":4294967295,"length":4294967295,"uncompressed_length":9}}]}}]}}"#
        );
        survives(json.as_bytes(), index);
    }

    #[test]
    fn ten_thousand_damaged_trees_are_refused_without_a_panic() {
        let id = Id::of(b"x");
        let json = format!(
            r#"{{"nodes":[{{"name":"a\\u00e4\\xff","type":"file","mode":420,"mtime":"2026-01-02T03:04:05.678901234+01:00","atime":"2026-01-02T03:04:05Z","ctime":"2026-01-02T03:04:05Z","uid":1000,"gid":1000,"user":"u","group":"g","inode":7,"device_id":8,"size":9,"links":2,"content":["{id}","{id}"],"extended_attributes":[{{"name":"user.x","value":"AAE="}}]}},{{"name":"b","type":"dir","mode":2147484141,"mtime":"2026-01-02T03:04:05Z","subtree":"{id}"}},{{"name":"c","type":"symlink","mode":134218239,"linktarget":"../x","linktarget_raw":"Li4veA=="}},{{"name":"d","type":"chardev","device":1281,"content":null}}]}}"#
        );
        survives(json.as_bytes(), tree);
    }

    #[test]
    fn ten_thousand_damaged_snapshots_and_configurations_are_refused_without_a_panic() {
        let id = Id::of(b"x");
        let json = format!(
            r#"{{"time":"2026-01-02T03:04:05.678901234+01:00","parent":"{id}","tree":"{id}","paths":["/a","/b"],"hostname":"h","username":"u","uid":1,"gid":2,"excludes":["*.tmp"],"tags":["x"],"original":"{id}","program_version":"restic 0.17","summary":{{"backup_start":"2026-01-02T03:04:05Z","backup_end":"2026-01-02T03:04:06Z","files_new":1,"total_bytes_processed":18446744073709551615}}}}"#
        );
        survives(json.as_bytes(), snapshot);
        let json = format!(r#"{{"version":2,"id":"{id}","chunker_polynomial":"25b468838dcb75"}}"#);
        survives(json.as_bytes(), config);
    }

    #[test]
    fn ten_thousand_damaged_key_files_and_locks_are_refused_without_a_panic() {
        let json = r#"{"created":"2026-01-02T03:04:05Z","username":"u","hostname":"h","kdf":"scrypt","N":2,"r":1,"p":1,"salt":"AAECAwQFBgcICQoLDA0ODw==","data":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"}"#;
        survives(json.as_bytes(), key_file);
        let json = r#"{"time":"2026-05-01T12:00:00.5+02:00","exclusive":true,"hostname":"h","username":"u","pid":77,"uid":5,"gid":6,"larder":{"machine":"m","boot":"b","pid_namespace":"pid:[1]","started":5,"token":"t"}}"#;
        survives(json.as_bytes(), lock);
    }

    #[test]
    fn ten_thousand_damaged_compressed_objects_are_refused_without_a_panic() {
        let json = r#"{"packs":[{"id":"x","blobs":[]}]}"#.repeat(50);
        survives(&compress_object(json.as_bytes()).unwrap(), object);
    }
}
