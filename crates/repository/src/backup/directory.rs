//! Directories that are being put together: their files finish out of order, on any thread.

use crate::id::Id;
use crate::node::write_node;
use crate::tree::TreeWriter;
use larder_model::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One directory, until its tree is written.
///
/// Nodes are kept as the JSON that they will be, so that a directory takes little more memory than its tree.
#[derive(Debug)]
pub(super) struct Directory {
    entry: Option<Entry>,
    parent: Option<Arc<Self>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    json: Vec<u8>,
    names: Vec<u8>,
    spans: Vec<Span>,
    /// What the tree still waits for: the walk, and each entry that is on its way.
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    name: (usize, usize),
    json: (usize, usize),
}

/// Two entries of one directory have the same name.
#[derive(Debug)]
pub(super) struct SameName(pub(super) String);

impl Directory {
    /// Begins the root, which has no entry and no parent.
    pub(super) fn root() -> Arc<Self> {
        Self::new(None, None)
    }

    /// Begins a directory; its parent waits for it.
    pub(super) fn below(parent: &Arc<Self>, entry: Entry) -> Arc<Self> {
        parent.expect();
        Self::new(Some(entry), Some(parent.clone()))
    }

    fn new(entry: Option<Entry>, parent: Option<Arc<Self>>) -> Arc<Self> {
        let state = State { json: Vec::new(), names: Vec::new(), spans: Vec::new(), waiting: 1 };
        Arc::new(Self { entry, parent, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the tree wait for one more entry.
    pub(super) fn expect(&self) {
        self.lock().waiting += 1;
    }

    /// Adds a finished entry.
    pub(super) fn add(&self, entry: &Entry, size_bytes: u64, content: &[Id], subtree: Option<&Id>) {
        let mut state = self.lock();
        let State { json, names, spans, .. } = &mut *state;
        let (name_from, json_from) = (names.len(), json.len());
        names.extend_from_slice(&entry.name);
        write_node(entry, size_bytes, content, subtree, json);
        spans.push(Span { name: (name_from, names.len()), json: (json_from, json.len()) });
    }

    /// Ends the wait for one entry, or for the walk; says whether the tree can now be written.
    pub(super) fn release(&self) -> bool {
        let mut state = self.lock();
        state.waiting -= 1;
        state.waiting == 0
    }

    /// Takes the tree's JSON, its nodes sorted by name.
    pub(super) fn take_tree(&self) -> Result<Vec<u8>, SameName> {
        let mut state = self.lock();
        let json = std::mem::take(&mut state.json);
        let names = std::mem::take(&mut state.names);
        let mut spans = std::mem::take(&mut state.spans);
        drop(state);
        let name = |span: &Span| &names[span.name.0..span.name.1];
        spans.sort_by(|a, b| name(a).cmp(name(b)));
        let mut pairs = spans.iter().zip(spans.iter().skip(1));
        if let Some((same, _)) = pairs.find(|(a, b)| name(a) == name(b)) {
            return Err(SameName(String::from_utf8_lossy(name(same)).into_owned()));
        }
        let mut tree = TreeWriter::with_capacity(json.len() + spans.len());
        for span in &spans {
            tree.add(|out| out.extend_from_slice(&json[span.json.0..span.json.1]));
        }
        Ok(tree.finish())
    }

    /// Returns the directory's own entry and its parent; `None` for the root.
    pub(super) fn place(&self) -> Option<(&Entry, &Arc<Self>)> {
        self.entry.as_ref().zip(self.parent.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;
    use larder_model::{EntryKind, Metadata};

    fn entry(name: &str) -> Entry {
        Entry { name: name.into(), kind: EntryKind::File, metadata: Metadata::default() }
    }

    #[test]
    fn the_tree_is_sorted_and_waits_for_everything() {
        let root = Directory::root();
        for name in ["b", "a", "ab", "B"] {
            root.expect();
            root.add(&entry(name), 1, &[Id::of(name.as_bytes())], None);
        }
        for _ in 0..4 {
            assert!(!root.release());
        }
        assert!(root.release());
        let tree = Tree::from_json(&root.take_tree().unwrap()).unwrap();
        let names: Vec<_> = tree.nodes.iter().map(|node| node.entry.name.as_slice()).collect();
        assert_eq!(names, [b"B".as_slice(), b"a", b"ab", b"b"]);
        assert_eq!(tree.nodes[3].content, [Id::of(b"b")]);
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let root = Directory::root();
        root.add(&entry("a"), 0, &[], None);
        root.add(&entry("a"), 0, &[], None);
        assert!(root.take_tree().is_err());
    }
}
