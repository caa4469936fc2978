//! From keys, which may be any text, to the names of a tree, and back to the very same keys.
//!
//! The slashes of a key part directories. What no tree can hold is written with the sign `%`, which itself becomes `%25`:
//!
//! | of a key | in the tree |
//! |---|---|
//! | an empty part, as in `a//b` or at the end of `a/` | `%` |
//! | the parts `.` and `..` | `%2E`, `%2E%2E` |
//! | `%`, and the character NUL | `%25`, `%00` |
//! | a part of 200 bytes or more | a directory of the first 200, with `%+` behind, and in it the rest |
//! | `a/…` where there is an object `a`, too | a directory `a%-` |

use super::properties;
use crate::error::SinkError;
use crate::sink::Sink;

/// So many bytes of a part stand in one name; file systems take 255, and `%` takes three.
const PIECE: usize = 200;

/// What marks a directory whose name goes on in the name of what is in it.
const GOES_ON: &str = "%+";
/// What marks a directory beside which there is an object of the same name.
const BESIDE: &str = "%-";

/// A part of a key, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece<'a> {
    text: &'a str,
    /// Whether the part goes on in the next piece.
    goes_on: bool,
}

fn pieces(key: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    for part in key.split('/') {
        let mut rest = part;
        // Also one of exactly that length goes on, with nothing: so all that begin alike lie together.
        while rest.len() >= PIECE {
            let end = (0..=PIECE).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(0);
            let (text, after) = rest.split_at(end);
            pieces.push(Piece { text, goes_on: true });
            rest = after;
        }
        pieces.push(Piece { text: rest, goes_on: false });
    }
    pieces
}

fn encoded(text: &str) -> String {
    match text {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        text => text.replace('%', "%25").replace('\0', "%00"),
    }
}

fn decoded(name: &str) -> String {
    if name == "%" {
        return String::new();
    }
    name.replace("%2E", ".").replace("%00", "\0").replace("%25", "%")
}

/// Returns the key that a path of a backup stands for.
pub(super) fn key_of(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let mut key = String::new();
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        if let Some(piece) = name.strip_suffix(GOES_ON) {
            key.push_str(&decoded(piece));
            continue;
        }
        key.push_str(&decoded(name.strip_suffix(BESIDE).unwrap_or(name)));
        if names.peek().is_some() {
            key.push('/');
        }
    }
    key
}

/// A directory on the way from the root to where the tree is being written.
#[derive(Debug, Default)]
struct Level {
    text: String,
    goes_on: bool,
    /// The objects right in it that may yet turn out to be directories, too: those with which the current name begins. Keys
    /// come sorted, so that no others can.
    leaves: Vec<String>,
}

/// Writes keys, as a server lists them, into a sink as a tree.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root first.
    levels: Vec<Level>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { levels: vec![Level::default()] }
    }
}

impl Tree {
    /// Goes to where a key belongs, and returns the name of its object there.
    pub(super) fn go_to(&mut self, key: &str, sink: &mut dyn Sink) -> Result<Vec<u8>, SinkError> {
        let pieces = pieces(key);
        let Some((last, above)) = pieces.split_last() else { return Ok(Vec::new()) };
        let here = self.levels.iter().skip(1).zip(above);
        let common =
            here.take_while(|(level, piece)| level.text == piece.text && level.goes_on == piece.goes_on);
        let common = common.count();
        self.leave_to(common + 1, sink)?;
        for piece in above.iter().skip(common) {
            let is_beside = self.meet(piece.text) && !piece.goes_on;
            let mark = if piece.goes_on {
                GOES_ON
            } else if is_beside {
                BESIDE
            } else {
                ""
            };
            sink.enter(properties::directory(format!("{}{mark}", encoded(piece.text)).into_bytes()))?;
            let level = Level { text: piece.text.to_owned(), goes_on: piece.goes_on, leaves: Vec::new() };
            self.levels.push(level);
        }
        self.meet(last.text);
        if let Some(level) = self.levels.last_mut() {
            level.leaves.push(last.text.to_owned());
        }
        Ok(encoded(last.text).into_bytes())
    }

    /// Forgets the objects that no directory of this or a later name can lie beside; says whether one has this very name.
    fn meet(&mut self, text: &str) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        level.leaves.retain(|leaf| text.starts_with(leaf.as_str()));
        level.leaves.iter().any(|leaf| leaf == text)
    }

    fn leave_to(&mut self, depth: usize, sink: &mut dyn Sink) -> Result<(), SinkError> {
        while self.levels.len() > depth {
            self.levels.pop();
            sink.leave()?;
        }
        Ok(())
    }

    /// Comes back to the root.
    pub(super) fn end(mut self, sink: &mut dyn Sink) -> Result<(), SinkError> {
        self.leave_to(1, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Content;
    use larder_model::Entry;
    use std::collections::HashSet;
    use std::io::Read;

    /// Notes which directories are entered.
    #[derive(Default)]
    struct Paths {
        current: Vec<String>,
        entered: Vec<String>,
    }

    impl Sink for Paths {
        fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
            self.current.push(String::from_utf8(directory.name).unwrap());
            self.entered.push(self.current.join("/"));
            Ok(())
        }
        fn leave(&mut self) -> Result<(), SinkError> {
            self.current.pop().unwrap();
            Ok(())
        }
        fn file(&mut self, _: Entry, _: Box<dyn Content>) -> Result<(), SinkError> {
            Ok(())
        }
        fn stream(&mut self, _: Entry, _: &mut dyn Read, _: Option<u32>) -> Result<u64, SinkError> {
            Ok(0)
        }
        fn carry(&mut self, _: &[u8]) -> Result<bool, SinkError> {
            Ok(false)
        }
        fn special(&mut self, _: Entry) -> Result<(), SinkError> {
            Ok(())
        }
        fn unreadable(&mut self, _: &str, _: &str) -> Result<(), SinkError> {
            Ok(())
        }
    }

    fn paths(keys: &[String]) -> Vec<String> {
        let (mut sink, mut tree) = (Paths::default(), Tree::default());
        let mut sorted = keys.to_vec();
        sorted.sort();
        let paths = sorted
            .iter()
            .map(|key| {
                let name = tree.go_to(key, &mut sink).unwrap();
                let mut path = sink.current.clone();
                path.push(String::from_utf8(name).unwrap());
                path.join("/")
            })
            .collect();
        tree.end(&mut sink).unwrap();
        assert!(sink.current.is_empty());
        let once: HashSet<&String> = sink.entered.iter().collect();
        assert_eq!(once.len(), sink.entered.len(), "a directory is entered once: {:?}", sink.entered);
        paths
    }

    #[test]
    fn every_key_has_a_path_of_its_own_and_comes_back() {
        let long = "ü".repeat(99);
        let mut keys: Vec<String> = [
            "a",
            "a!",
            "a/",
            "a/b",
            "a//b",
            "a/../b",
            "a/./b",
            "/",
            "//",
            "/a",
            "..",
            ".",
            "%",
            "a%2Fb",
            "%25",
            "%-",
            "a%-/x",
            "a%+/b",
            "100%",
            "ünï/数据",
            "a\nb",
            "a\\b",
            " a ",
            "b/c/d/e",
            "b/c",
            "b",
            "nul\0in",
            "...",
            "%2E",
            "a/%",
        ]
        .map(str::to_owned)
        .to_vec();
        for tail in ["", "x", "xx", "xx/y", "é", "éé/z", "数", "!", "/", "/b", "%"] {
            keys.push(format!("{long}{tail}"));
            keys.push(format!("{long}x{tail}"));
            keys.push(format!("{long}xy{tail}"));
            keys.push(format!("{}{tail}", long.repeat(5)));
        }
        keys.sort();
        keys.dedup();
        let paths = paths(&keys);
        let mut different: HashSet<&String> = HashSet::new();
        for (key, path) in keys.iter().zip(&paths) {
            assert_eq!(&key_of(path.as_bytes()), key, "{path}");
            assert!(different.insert(path), "{path} stands for two keys");
            for name in path.split('/') {
                assert!(
                    !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains('\0'),
                    "{path:?}"
                );
            }
        }
        // No file of the tree is a directory as well.
        for path in &paths {
            assert!(!paths.iter().any(|other| other.starts_with(&format!("{path}/"))), "{path}");
        }
    }

    #[test]
    fn plain_keys_stay_as_they_are() {
        let keys = ["img/2026/a b.png", "img/ü.jpg", "robots.txt"].map(str::to_owned);
        assert_eq!(paths(&keys), keys);
    }
}
