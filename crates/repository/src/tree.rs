//! Trees: the nodes of one directory, as one JSON blob.

use crate::id::Id;
use crate::node::{Names, Node, RawNode, write_node};
use serde::Deserialize;

/// The entries of one stored directory, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The entries.
    pub nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct RawTree<'a> {
    #[serde(borrow, default)]
    nodes: Option<Vec<RawNode<'a>>>,
}

impl Tree {
    /// Reads a tree blob.
    ///
    /// # Errors
    /// What is malformed: names that would lead out of the directory, unknown types, directories without a tree.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let raw: RawTree<'_> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let mut names = Names::default();
        let nodes = raw.nodes.unwrap_or_default().into_iter().map(|node| node.into_node(&mut names));
        Ok(Self { nodes: nodes.collect::<Result<_, _>>()? })
    }

    /// Returns the blob of this tree; the same entries always give the same bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut writer = TreeWriter::default();
        for node in &self.nodes {
            let size = node.entry.metadata.size;
            writer.add(|out| write_node(&node.entry, size, &node.content, node.subtree.as_ref(), out));
        }
        writer.finish()
    }

    /// Returns the entry of a name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Node> {
        let at = self.nodes.binary_search_by(|node| node.entry.name.as_slice().cmp(name));
        at.map_or_else(|_| self.nodes.iter().find(|node| node.entry.name == name), |at| self.nodes.get(at))
    }

    /// Returns every blob that the files in this directory need.
    pub fn content(&self) -> impl Iterator<Item = &Id> {
        self.nodes.iter().flat_map(|node| &node.content)
    }
}

/// Writes the blob of a tree node by node.
#[derive(Debug)]
pub struct TreeWriter {
    json: Vec<u8>,
    empty: bool,
}

impl Default for TreeWriter {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl TreeWriter {
    /// Begins a tree of about so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut json = Vec::with_capacity(bytes + 16);
        json.extend_from_slice(b"{\"nodes\":[");
        Self { json, empty: true }
    }

    /// Adds one node, which `write` appends to the buffer; nodes come sorted by name.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.empty {
            self.json.push(b',');
        }
        self.empty = false;
        write(&mut self.json);
    }

    /// Returns the blob; restic ends it with a line feed.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.json.extend_from_slice(b"]}\n");
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::{Entry, EntryKind, Metadata, Timestamp};

    fn node(name: &[u8], kind: EntryKind, size: u64) -> Node {
        let modified = Timestamp { seconds: 1_700_000_000, nanoseconds: 120 };
        let metadata = Metadata {
            mode: 0o4755,
            uid: 1000,
            user: Some("user".into()),
            modified,
            accessed: modified,
            changed: modified,
            inode: 77,
            device_id: 9,
            links: u64::from(!matches!(kind, EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket)),
            size,
            xattrs: vec![(b"user.x".to_vec(), vec![0, 255])],
            ..Metadata::default()
        };
        let subtree = (kind == EntryKind::Directory).then(|| Id::of(b"tree"));
        Node { entry: Entry { name: name.to_vec(), kind, metadata }, content: Vec::new(), subtree }
    }

    #[test]
    fn json_is_as_restic_writes_it() {
        let mut file = node(b"a<b\"\xff", EntryKind::File, 3);
        file.content = vec![Id::of(b"abc")];
        let tree = Tree { nodes: vec![file] };
        let expected = format!(
            "{{\"nodes\":[{{\"name\":\"a\\u003cb\\\\\\\"\\\\xff\",\"type\":\"file\",\"mode\":8389101,\
             \"mtime\":\"2023-11-14T22:13:20.00000012Z\",\"atime\":\"2023-11-14T22:13:20.00000012Z\",\
             \"ctime\":\"2023-11-14T22:13:20.00000012Z\",\"uid\":1000,\"gid\":0,\"user\":\"user\",\"inode\":77,\
             \"device_id\":9,\"size\":3,\"links\":1,\"extended_attributes\":[{{\"name\":\"user.x\",\"value\":\"AP8=\"}}],\
             \"content\":[\"{}\"]}}]}}\n",
            Id::of(b"abc")
        );
        assert_eq!(String::from_utf8(tree.to_json()).unwrap(), expected);
        assert_eq!(Tree::from_json(expected.as_bytes()).unwrap(), tree);
    }

    #[test]
    fn every_kind_comes_back_and_stays_byte_for_byte_the_same() {
        let kinds = [
            EntryKind::File,
            EntryKind::Directory,
            EntryKind::Symlink { target: b"../x y".to_vec() },
            EntryKind::Symlink { target: b"caf\xe9".to_vec() },
            EntryKind::BlockDevice { device: 0x801 },
            EntryKind::CharacterDevice { device: 5 },
            EntryKind::Fifo,
            EntryKind::Socket,
        ];
        let nodes =
            kinds.into_iter().enumerate().map(|(at, kind)| node(format!("n{at}").as_bytes(), kind, 0));
        let tree = Tree { nodes: nodes.collect() };
        let json = tree.to_json();
        let again = Tree::from_json(&json).unwrap();
        assert_eq!(again, tree);
        assert_eq!(again.to_json(), json);
        assert_eq!(again.find(b"n3").unwrap().entry.kind, EntryKind::Symlink { target: b"caf\xe9".to_vec() });
    }

    #[test]
    fn an_empty_directory_is_as_restic_writes_it() {
        assert_eq!(Tree::default().to_json(), b"{\"nodes\":[]}\n");
        assert_eq!(Tree::from_json(b"{\"nodes\":null}").unwrap(), Tree::default());
    }

    #[test]
    fn names_that_lead_elsewhere_and_unknown_types_are_refused() {
        for name in ["", ".", "..", "a/b", "/etc", "a\\\\x00b", "\\\\q"] {
            let json = format!("{{\"nodes\":[{{\"name\":\"{name}\",\"type\":\"file\"}}]}}");
            assert!(Tree::from_json(json.as_bytes()).is_err(), "{name}");
        }
        assert!(Tree::from_json(b"{\"nodes\":[{\"name\":\"x\",\"type\":\"door\"}]}").is_err());
        assert!(Tree::from_json(b"{\"nodes\":[{\"name\":\"x\",\"type\":\"dir\"}]}").is_err());
        assert!(Tree::from_json(b"not json").is_err());
    }
}
