//! Named file trees, each with something that backup programs have got wrong.

use crate::random::Random;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

/// A file tree that can be built again and again, the same each time.
#[derive(Clone, Copy, Debug)]
pub struct TreeShape {
    /// What it is called, fit for the name of a directory.
    pub name: &'static str,
    build: fn(&Path),
}

impl TreeShape {
    /// Every shape. Those that need the rights of root leave that part out for other users.
    pub const ALL: &[Self] = &[
        Self { name: "empty-directory", build: |_| {} },
        Self { name: "one-file", build: |root| write(root, "file", b"one line\n") },
        Self { name: "empty-file", build: |root| write(root, "empty", b"") },
        Self { name: "only-empty-directories", build: only_empty_directories },
        Self { name: "deep-nesting", build: deep_nesting },
        Self { name: "wide-directory", build: wide_directory },
        Self { name: "unicode-names", build: unicode_names },
        Self { name: "names-not-utf8", build: names_not_utf8 },
        Self { name: "quoted-names", build: quoted_names },
        Self { name: "blank-names", build: blank_names },
        Self { name: "long-names", build: long_names },
        Self { name: "long-paths", build: long_paths },
        Self { name: "symlinks", build: symlinks },
        Self { name: "hard-links", build: hard_links },
        Self { name: "sparse-file", build: sparse_file },
        Self { name: "zeros", build: zeros },
        Self { name: "large-random", build: large_random },
        Self { name: "large-compressible", build: large_compressible },
        Self { name: "duplicates", build: duplicates },
        Self { name: "chunk-boundaries", build: chunk_boundaries },
        Self { name: "source-tree", build: source_tree },
        Self { name: "extended-attributes", build: crate::tree_metadata::extended_attributes },
        Self { name: "modes", build: crate::tree_metadata::modes },
        Self { name: "owners", build: crate::tree_metadata::owners },
        Self { name: "odd-times", build: crate::tree_metadata::odd_times },
        Self { name: "read-only-directories", build: crate::tree_metadata::read_only_directories },
        Self { name: "pipes", build: crate::tree_metadata::pipes },
        Self { name: "sockets", build: crate::tree_metadata::sockets },
        Self { name: "devices", build: crate::tree_metadata::devices },
    ];

    /// Finds a shape by its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        *Self::ALL
            .iter()
            .find(|shape| shape.name == name)
            .unwrap_or_else(|| panic!("there is no shape '{name}'"))
    }

    /// Builds the tree in an empty directory that exists.
    pub fn build(&self, root: &Path) {
        (self.build)(root);
    }
}

pub(crate) fn write(root: &Path, name: impl AsRef<Path>, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap_or_else(|error| panic!("could not write {}: {error}", path.display()));
}

fn only_empty_directories(root: &Path) {
    for path in ["a", "b/c/d", "b/e"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
}

fn deep_nesting(root: &Path) {
    let mut path = root.to_owned();
    for depth in 0..100 {
        path.push(format!("d{depth}"));
        fs::create_dir(&path).unwrap();
        if depth % 10 == 9 {
            write(&path, "file", format!("at depth {depth}").as_bytes());
        }
    }
}

fn wide_directory(root: &Path) {
    for number in 0..2_000 {
        write(root, format!("entry-{number}"), number.to_string().repeat(number % 50).as_bytes());
    }
}

fn unicode_names(root: &Path) {
    // The second and third look alike: one is composed, the other decomposed.
    for name in [
        "äöü.txt",
        "\u{e9}t\u{e9}",
        "e\u{301}te\u{301}",
        "漢字/仮名",
        "🥫🦀",
        "العربية",
        "\u{202e}right-to-left",
        "\u{feff}mark",
    ] {
        write(root, name, name.as_bytes());
    }
}

fn names_not_utf8(root: &Path) {
    for name in
        [&b"latin-\xe9"[..], b"\xff\xfe", b"half-\xe6\xbc", b"dir-\x80/inside-\x81", b"control-\x01\x7f"]
    {
        write(root, OsStr::from_bytes(name), name);
    }
    symlink(OsStr::from_bytes(b"latin-\xe9"), root.join(OsStr::from_bytes(b"link-\xe9"))).unwrap();
}

fn quoted_names(root: &Path) {
    let names = [
        "it's",
        "say \"hi\"",
        "line\nbreak",
        "tab\there",
        "back\\slash",
        "\\n",
        "\\x41",
        "$HOME",
        "`id`",
        "-rf",
        "--help",
        "*",
        "?",
        "[a-z]",
        "{a,b}",
        "!not",
        "#hash",
        "~",
        "%41",
        "a:b",
        "a;b",
        "a&b",
        "a|b",
        "<a>",
        "carriage\rreturn",
        "nul",
        "con",
    ];
    for name in names {
        write(root, name, name.as_bytes());
        write(root, format!("in a directory/{name}"), name.as_bytes());
    }
}

fn blank_names(root: &Path) {
    for name in [
        " ",
        "  ",
        "...",
        "....",
        "..a",
        "a..",
        "directory with trailing space /x",
        " leading",
        "dot.",
        ". ",
        "\u{a0}",
    ] {
        write(root, name, name.as_bytes());
    }
}

fn long_names(root: &Path) {
    write(root, "n".repeat(255), b"255 bytes of ASCII");
    write(root, "é".repeat(127), b"254 bytes of two each");
    write(root, format!("{}/{}", "d".repeat(255), "f".repeat(255)), b"both");
    symlink("t".repeat(4_000), root.join("l".repeat(255))).unwrap();
}

fn long_paths(root: &Path) {
    let mut path = root.to_owned();
    for depth in 0..12 {
        path.push(format!("{depth:02}-{}", "p".repeat(197)));
        fs::create_dir(&path).unwrap();
    }
    write(&path, "bottom", b"2,400 bytes down");
}

fn symlinks(root: &Path) {
    write(root, "target", b"the target");
    write(root, "directory/inside", b"inside");
    let links: [(&[u8], &str); 8] = [
        (b"target", "relative"),
        (b"directory", "to-a-directory"),
        (b"../target", "directory/upwards"),
        (b"/etc/hostname", "absolute"),
        (b"nowhere/at all", "dangling"),
        (b"loop", "loop"),
        (b".", "here"),
        (b"not-utf8-\xff\xc0", "to-bytes"),
    ];
    for (target, link) in links {
        symlink(OsStr::from_bytes(target), root.join(link)).unwrap();
    }
    crate::tree_metadata::set_modified(&root.join("dangling"), 1_000_000_000, 123_456_789);
}

fn hard_links(root: &Path) {
    write(root, "first", &Random::new(1).bytes(200_000));
    fs::hard_link(root.join("first"), root.join("second")).unwrap();
    write(root, "a/one", b"across directories");
    fs::create_dir_all(root.join("b/c")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("b/c/two")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("z-three")).unwrap();
    write(root, "empty-one", b"");
    fs::hard_link(root.join("empty-one"), root.join("empty-two")).unwrap();
    symlink("first", root.join("link-one")).unwrap();
    fs::hard_link(root.join("link-one"), root.join("link-two")).unwrap();
    write(root, "same-bytes-no-link", b"across directories");
}

fn sparse_file(root: &Path) {
    let file = File::create(root.join("holes")).unwrap();
    file.write_all_at(b"the beginning", 0).unwrap();
    file.write_all_at(&Random::new(2).bytes(10_000), 40_000_000).unwrap();
    file.write_all_at(b"x", 70_000_001).unwrap();
    file.set_len(100_000_000).unwrap();
    File::create(root.join("all-hole")).unwrap().set_len(5_000_000).unwrap();
    let mut file = File::create(root.join("hole-first")).unwrap();
    file.seek(SeekFrom::Start(1 << 20)).unwrap();
    file.write_all(b"end").unwrap();
}

fn zeros(root: &Path) {
    write(root, "zeros", &vec![0; 20_000_000]);
    write(root, "zeros-and-one", &[vec![0; 3_000_000], vec![1]].concat());
}

fn large_random(root: &Path) {
    write(root, "random.bin", &Random::new(3).bytes(40_000_000));
}

fn large_compressible(root: &Path) {
    let mut text = Vec::with_capacity(30_000_000);
    let mut random = Random::new(4);
    while text.len() < 30_000_000 {
        let (id, amount) = (random.below(1_000_000), random.below(10_000));
        writeln!(text, "INSERT INTO orders (id, customer, amount) VALUES ({id}, 'customer {id}', {amount});")
            .unwrap();
    }
    write(root, "dump.sql", &text);
}

fn duplicates(root: &Path) {
    let blocks: Vec<Vec<u8>> = (0..4).map(|seed| Random::new(50 + seed).bytes(300_000)).collect();
    for copy in 0..60 {
        write(root, format!("copy-{copy}"), &blocks[copy % blocks.len()]);
    }
    write(root, "all-in-one", &blocks.concat().repeat(5));
}

fn chunk_boundaries(root: &Path) {
    let data = Random::new(6).bytes((8 << 20) + 1);
    for size in [512 << 10, 1 << 20, 8 << 20] {
        for length in [size - 1, size, size + 1] {
            write(root, format!("{length}"), &data[..length]);
        }
    }
    for length in [1, 63, 64, 65, 4_095, 4_096, 4_097] {
        write(root, format!("{length}"), &data[..length]);
    }
}

fn source_tree(root: &Path) {
    let mut random = Random::new(7);
    for number in 0..600 {
        let lines = 5 + random.below(300);
        let text: String = (0..lines)
            .map(|line| format!("    let value_{line} = compute({}, {number});\n", random.below(1000)))
            .collect();
        write(root, format!("module-{}/part-{}/file-{number}.rs", number % 12, number % 5), text.as_bytes());
    }
}
