//! What is kept of an object beside its bytes.

use larder_model::{Entry, EntryKind, Metadata, Timestamp};
use larder_storage::ObjectHead;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What stands before the names of the attributes.
const ATTRIBUTE: &str = "user.bucket.";
/// The attribute that keeps the server's name of the bytes.
const TAG: &str = "user.bucket.etag";

/// Makes the file that stands for an object. Only its owner may read what is restored of it: who may read the object is not
/// known here.
pub(super) fn file(name: Vec<u8>, head: &ObjectHead) -> Entry {
    let modified = Timestamp {
        seconds: head.modified.as_second(),
        nanoseconds: u32::try_from(head.modified.subsec_nanosecond()).unwrap_or(0),
    };
    let mut xattrs: Vec<(Vec<u8>, Vec<u8>)> = head
        .properties
        .iter()
        .map(|(name, value)| (format!("{ATTRIBUTE}{name}").into_bytes(), value.clone().into_bytes()))
        .chain([(TAG.as_bytes().to_vec(), head.tag.clone().into_bytes())])
        .collect();
    xattrs.sort();
    let metadata = Metadata {
        mode: 0o600,
        inode: number(&head.tag),
        modified,
        accessed: modified,
        changed: modified,
        size: head.size_bytes,
        xattrs,
        ..owned()
    };
    Entry { name, kind: EntryKind::File, metadata }
}

/// Makes a directory on the way to objects; it is the same at every backup.
pub(super) fn directory(name: Vec<u8>) -> Entry {
    Entry { name, kind: EntryKind::Directory, metadata: Metadata { mode: 0o700, ..owned() } }
}

fn owned() -> Metadata {
    Metadata {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        links: 1,
        ..Metadata::default()
    }
}

/// Makes a number of a tag, which stands where a file has its inode's: another tag is another number.
fn number(tag: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(tag.as_bytes()).into();
    hash.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}

/// Reads what a file of a backup says of its object.
pub(super) fn head(key: String, entry: &Entry) -> ObjectHead {
    let metadata = &entry.metadata;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut properties = BTreeMap::new();
    let mut tag = String::new();
    for (name, value) in &metadata.xattrs {
        let name = text(name);
        if name == TAG {
            tag = text(value);
        } else if let Some(name) = name.strip_prefix(ATTRIBUTE) {
            properties.insert(name.to_owned(), text(value));
        }
    }
    let nanoseconds = i32::try_from(metadata.modified.nanoseconds).unwrap_or(0);
    let modified = jiff::Timestamp::new(metadata.modified.seconds, nanoseconds).unwrap_or_default();
    ObjectHead { key, size_bytes: metadata.size, modified, tag, properties }
}

#[cfg(test)]
mod tests {
    use super::{file, head};
    use larder_storage::ObjectHead;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_known_of_an_object_survives_as_a_file() {
        let object = ObjectHead {
            key: "a".to_owned(),
            size_bytes: 5,
            modified: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            tag: "0123-4".to_owned(),
            properties: BTreeMap::from([
                ("content-type".to_owned(), "image/png".to_owned()),
                ("meta.owner".to_owned(), "ü".to_owned()),
            ]),
        };
        let entry = file(b"a".to_vec(), &object);
        assert_eq!(head("a".to_owned(), &entry), object);
        let other = file(b"a".to_vec(), &ObjectHead { tag: "0123-5".to_owned(), ..object });
        assert_ne!(entry.metadata.inode, other.metadata.inode);
    }
}
