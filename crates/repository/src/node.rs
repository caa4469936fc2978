//! Nodes: the entries of a directory as restic's JSON holds them.

use crate::go_text::{is_plain, quote, unquote, write_json_string};
use crate::id::Id;
use crate::time_text::{read_time, write_time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_model::{Entry, EntryKind, Metadata};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

/// Bits of Go's `os.FileMode`, the form in which modes are kept.
mod go_mode {
    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const DEVICE: u32 = 1 << 26;
    pub(super) const FIFO: u32 = 1 << 25;
    pub(super) const SOCKET: u32 = 1 << 24;
    pub(super) const SET_USER: u32 = 1 << 23;
    pub(super) const SET_GROUP: u32 = 1 << 22;
    pub(super) const CHARACTER: u32 = 1 << 21;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// One entry of a stored directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name, kind and metadata.
    pub entry: Entry,
    /// The blobs of a file, in order.
    pub content: Vec<Id>,
    /// The tree of a directory.
    pub subtree: Option<Id>,
}

const fn to_go_mode(kind: &EntryKind, mode: u32) -> u32 {
    let kind = match kind {
        EntryKind::File => 0,
        EntryKind::Directory => go_mode::DIRECTORY,
        EntryKind::Symlink { .. } => go_mode::SYMLINK,
        EntryKind::BlockDevice { .. } => go_mode::DEVICE,
        EntryKind::CharacterDevice { .. } => go_mode::DEVICE | go_mode::CHARACTER,
        EntryKind::Fifo => go_mode::FIFO,
        EntryKind::Socket => go_mode::SOCKET,
    };
    let mut bits = kind | (mode & 0o777);
    if mode & 0o4000 != 0 {
        bits |= go_mode::SET_USER;
    }
    if mode & 0o2000 != 0 {
        bits |= go_mode::SET_GROUP;
    }
    if mode & 0o1000 != 0 {
        bits |= go_mode::STICKY;
    }
    bits
}

const fn from_go_mode(mode: u32) -> u32 {
    let mut bits = mode & 0o777;
    if mode & go_mode::SET_USER != 0 {
        bits |= 0o4000;
    }
    if mode & go_mode::SET_GROUP != 0 {
        bits |= 0o2000;
    }
    if mode & go_mode::STICKY != 0 {
        bits |= 0o1000;
    }
    bits
}

const fn type_name(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "dir",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::BlockDevice { .. } => "dev",
        EntryKind::CharacterDevice { .. } => "chardev",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
    }
}

fn write_number(key: &[u8], number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        write_always(key, number, out);
    }
}

fn write_always(key: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_text(key: &[u8], text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        out.extend_from_slice(key);
        write_json_string(text, out);
    }
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

/// Appends an entry as restic 0.14 writes it: the same fields in the same order, empty ones left out.
///
/// The access time is written as the modification time, as restic does unless told otherwise: a directory that was only
/// read must not become a new tree. `size_bytes` is what was really read of a file.
pub fn write_node(entry: &Entry, size_bytes: u64, content: &[Id], subtree: Option<&Id>, out: &mut Vec<u8>) {
    let Entry { name, kind, metadata } = entry;
    out.extend_from_slice(b"{\"name\":");
    if is_plain(name) {
        write_json_string(&String::from_utf8_lossy(name), out);
    } else {
        let mut quoted = String::with_capacity(name.len() + 16);
        quote(name, &mut quoted);
        write_json_string(&quoted, out);
    }
    let _ = write!(out, ",\"type\":\"{}\"", type_name(kind));
    write_number(b",\"mode\":", u64::from(to_go_mode(kind, metadata.mode)), out);
    out.extend_from_slice(b",\"mtime\":");
    let from = out.len();
    write_time(metadata.modified, out);
    let until = out.len();
    out.extend_from_slice(b",\"atime\":");
    out.extend_from_within(from..until);
    out.extend_from_slice(b",\"ctime\":");
    write_time(metadata.changed, out);
    write_always(b",\"uid\":", u64::from(metadata.uid), out);
    write_always(b",\"gid\":", u64::from(metadata.gid), out);
    write_text(b",\"user\":", metadata.user.as_deref(), out);
    write_text(b",\"group\":", metadata.group.as_deref(), out);
    write_number(b",\"inode\":", metadata.inode, out);
    write_number(b",\"device_id\":", metadata.device_id, out);
    let mut device = 0;
    match kind {
        EntryKind::File => {
            write_number(b",\"size\":", size_bytes, out);
            write_number(b",\"links\":", metadata.links, out);
        }
        EntryKind::Symlink { target } => {
            write_number(b",\"links\":", metadata.links, out);
            write_text(b",\"linktarget\":", Some(&String::from_utf8_lossy(target)), out);
            if std::str::from_utf8(target).is_err() {
                out.extend_from_slice(b",\"linktarget_raw\":");
                write_base64(target, out);
            }
        }
        EntryKind::BlockDevice { device: number } | EntryKind::CharacterDevice { device: number } => {
            write_number(b",\"links\":", metadata.links, out);
            device = *number;
        }
        EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => {}
    }
    write_xattrs(&metadata.xattrs, out);
    write_number(b",\"device\":", device, out);
    write_content(kind, content, out);
    if let Some(subtree) = subtree {
        out.extend_from_slice(b",\"subtree\":\"");
        subtree.write_hex(out);
        out.push(b'"');
    }
    out.push(b'}');
}

fn write_xattrs(xattrs: &[(Vec<u8>, Vec<u8>)], out: &mut Vec<u8>) {
    for (position, (name, value)) in xattrs.iter().enumerate() {
        out.extend_from_slice(if position == 0 { b",\"extended_attributes\":[" } else { b"," });
        out.extend_from_slice(b"{\"name\":");
        write_json_string(&String::from_utf8_lossy(name), out);
        out.extend_from_slice(b",\"value\":");
        write_base64(value, out);
        out.push(b'}');
    }
    if !xattrs.is_empty() {
        out.push(b']');
    }
}

fn write_content(kind: &EntryKind, content: &[Id], out: &mut Vec<u8>) {
    if *kind != EntryKind::File {
        out.extend_from_slice(b",\"content\":null");
        return;
    }
    out.extend_from_slice(b",\"content\":[");
    for (position, id) in content.iter().enumerate() {
        out.extend_from_slice(if position == 0 { b"\"" } else { b",\"" });
        id.write_hex(out);
        out.push(b'"');
    }
    out.push(b']');
}

/// A node as its JSON spells it, texts still quoted and borrowed.
#[derive(Deserialize)]
pub(crate) struct RawNode<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    mode: u32,
    #[serde(default, borrow)]
    mtime: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    atime: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    ctime: Option<Cow<'a, str>>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default, borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    group: Option<Cow<'a, str>>,
    #[serde(default)]
    inode: u64,
    #[serde(default)]
    device_id: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    links: u64,
    #[serde(default, borrow)]
    linktarget: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    linktarget_raw: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    extended_attributes: Option<Vec<RawXattr<'a>>>,
    #[serde(default)]
    device: u64,
    #[serde(default)]
    content: Option<Vec<Id>>,
    #[serde(default)]
    subtree: Option<Id>,
}

#[derive(Deserialize)]
struct RawXattr<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    value: Option<Cow<'a, str>>,
}

/// The owners' names met so far in a tree, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Arc<str>>);

impl Names {
    fn share(&mut self, name: Option<Cow<'_, str>>) -> Option<Arc<str>> {
        let name = name.filter(|name| !name.is_empty())?;
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Some(known.clone());
        }
        let new: Arc<str> = Arc::from(name.as_ref());
        if self.0.len() < 64 {
            self.0.push(new.clone());
        }
        Some(new)
    }
}

impl RawNode<'_> {
    pub(crate) fn into_node(self, names: &mut Names) -> Result<Node, String> {
        let name = unquote(&self.name).ok_or_else(|| format!("the name {:?} is malformed", self.name))?;
        if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
            return Err(format!("the name {:?} is not permitted", self.name));
        }
        let kind = match &*self.kind {
            "file" => EntryKind::File,
            "dir" => EntryKind::Directory,
            "symlink" => EntryKind::Symlink { target: link_target(self.linktarget, self.linktarget_raw)? },
            "dev" => EntryKind::BlockDevice { device: self.device },
            "chardev" => EntryKind::CharacterDevice { device: self.device },
            "fifo" => EntryKind::Fifo,
            "socket" => EntryKind::Socket,
            other => return Err(format!("{:?} has the unknown type {other:?}", self.name)),
        };
        let time = |text: Option<Cow<'_, str>>| match text {
            None => Ok(larder_model::Timestamp::default()),
            Some(text) => read_time(&text).ok_or_else(|| format!("the time {text:?} is malformed")),
        };
        let mut xattrs = Vec::new();
        for attribute in self.extended_attributes.unwrap_or_default() {
            let value = STANDARD
                .decode(attribute.value.as_deref().unwrap_or(""))
                .map_err(|_| format!("the attribute {:?} is no Base64", attribute.name))?;
            xattrs.push((attribute.name.as_bytes().to_vec(), value));
        }
        let metadata = Metadata {
            mode: from_go_mode(self.mode),
            uid: self.uid,
            gid: self.gid,
            user: names.share(self.user),
            group: names.share(self.group),
            modified: time(self.mtime)?,
            accessed: time(self.atime)?,
            changed: time(self.ctime)?,
            inode: self.inode,
            device_id: self.device_id,
            links: self.links,
            size: self.size,
            xattrs,
        };
        if kind == EntryKind::Directory && self.subtree.is_none() {
            return Err(format!("the directory {:?} has no tree", self.name));
        }
        let content = self.content.unwrap_or_default();
        Ok(Node { entry: Entry { name, kind, metadata }, content, subtree: self.subtree })
    }
}

fn link_target(text: Option<Cow<'_, str>>, raw: Option<Cow<'_, str>>) -> Result<Vec<u8>, String> {
    match raw.filter(|raw| !raw.is_empty()) {
        Some(raw) => STANDARD.decode(raw.as_bytes()).map_err(|_| "a link's target is no Base64".to_owned()),
        None => Ok(text.unwrap_or_default().into_owned().into_bytes()),
    }
}
