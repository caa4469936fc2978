//! The catalogue: which archive is which object. And the words on an archive that say the same.

use crate::error::StorageError;
use crate::http::{Attempt, encode_path};
use percent_encoding::percent_decode_str;

/// Where the catalogue lies in the hot place; no database can have this name.
pub(super) const FOLDER: &str = ".vault";
/// How a description begins.
const MARK: &str = "larder/1";
/// The protocol allows no longer description.
const DESCRIPTION_AT_MOST: usize = 1024;

/// Where an object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warmth {
    /// In the hot place; the archive is for the day when that is lost.
    Hot,
    /// In the vault alone.
    Cold,
}

impl Warmth {
    const fn word(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cold => "cold",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Hot, Self::Cold].into_iter().find(|one| one.word() == word)
    }
}

/// One archive of the catalogue. It is the name of an empty object below the folder that is called as the object is, so
/// that a listing of the hot place is the whole catalogue, and an entry is written and removed at once or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The object's path in the vault, with the destination's folder.
    pub(super) path: String,
    pub(super) warmth: Warmth,
    pub(super) size_bytes: u64,
    pub(super) tree_hash: String,
    pub(super) archive: String,
}

impl Entry {
    /// Returns the path of the entry in the hot place.
    pub(super) fn place(&self) -> String {
        let Self { path, warmth, size_bytes, tree_hash, archive } = self;
        format!("{}/{}.{size_bytes}.{tree_hash}.{archive}", folder(path), warmth.word())
    }

    /// Reads an entry off its path in the hot place; nothing where it is none.
    pub(super) fn read(place: &str) -> Option<Self> {
        let (folder, name) = place.rsplit_once('/')?;
        let path = folder.strip_prefix(FOLDER)?.strip_prefix("/archives/")?;
        let mut parts = name.splitn(4, '.');
        let warmth = Warmth::read(parts.next()?)?;
        let size_bytes = parts.next()?.parse().ok()?;
        let (tree_hash, archive) = (parts.next()?, parts.next()?);
        let is_hash = tree_hash.len() == 64 && tree_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hash && is_archive_id(archive)).then(|| Self {
            path: path.to_owned(),
            warmth,
            size_bytes,
            tree_hash: tree_hash.to_owned(),
            archive: archive.to_owned(),
        })
    }
}

/// Returns the folder of the entries of an object, or of all below a folder.
pub(super) fn folder(path: &str) -> String {
    if path.is_empty() { format!("{FOLDER}/archives") } else { format!("{FOLDER}/archives/{path}") }
}

/// Says whether a text can be what the service calls an archive, a job or an upload: it stands in addresses and names.
pub(super) fn is_archive_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= 160 && text.bytes().all(allowed)
}

/// Returns the description of an object's archive.
///
/// # Errors
/// The path is too long for it.
pub(super) fn description(attempt: &Attempt<'_>, warmth: Warmth, path: &str) -> Result<String, StorageError> {
    let text = format!("{MARK} {} {}", warmth.word(), encode_path(path));
    if text.len() <= DESCRIPTION_AT_MOST {
        return Ok(text);
    }
    Err(attempt.invalid(format!("a vault keeps names of at most {DESCRIPTION_AT_MOST} characters")))
}

/// Reads a description; nothing where another program wrote the archive.
pub(super) fn described(description: &str) -> Option<(Warmth, String)> {
    let mut words = description.strip_prefix(MARK)?.strip_prefix(' ')?.split(' ');
    let warmth = Warmth::read(words.next()?)?;
    let path = percent_decode_str(words.next()?).decode_utf8().ok()?.into_owned();
    (words.next().is_none() && crate::path::objection(&path).is_none()).then_some((warmth, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_off_the_name_it_has() {
        let entry = Entry {
            path: "larder/web/data/ab/abcdef".to_owned(),
            warmth: Warmth::Cold,
            size_bytes: 16_777_216,
            tree_hash: "0f".repeat(32),
            archive: "NkbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87-TjhqG6eGoOY9Z8i1_AUyUsuhPAdTqLHy8pTl5nfCFJmDl2yEZONi5L26Omw12vcs01MNGntHEQL8MBfGlqrEXAMPLEArchiveId".to_owned(),
        };
        let place = entry.place();
        assert!(crate::path::objection(&place).is_none(), "{place}");
        assert_eq!(Entry::read(&place), Some(entry));
        for odd in ["x", ".vault/archives/a/hot.1.zz.id", ".vault/archives/a/warm.1.00.id", "a/hot.1.0.b"] {
            assert_eq!(Entry::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_description_names_the_object_whatever_its_name() {
        let attempt = Attempt::new("write", "", "v");
        for path in ["config", "larder/web/data/ab/x", "a b/ü/50%25+x"] {
            let text = description(&attempt, Warmth::Hot, path).unwrap();
            assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
            assert_eq!(described(&text), Some((Warmth::Hot, path.to_owned())));
        }
        assert!(description(&attempt, Warmth::Cold, &"ü/".repeat(300)).is_err());
        for foreign in
            ["", "my photos", "larder/1 hot", "larder/1 hot ../x", "larder/1 hot a b", "larder/10 hot x"]
        {
            assert_eq!(described(foreign), None, "{foreign}");
        }
    }
}
