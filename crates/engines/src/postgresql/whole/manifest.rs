//! What the server says that a copy consists of: every file with its length and hash.

use super::lsn::Lsn;
use crate::words::{count, hex};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The file of the copy that says it.
pub(super) const NAME: &str = "backup_manifest";

/// The line with the hash of all before it.
const LAST: &str = "\"Manifest-Checksum\"";

/// Length and hash of a file, by its path.
pub(super) type Files = BTreeMap<String, (u64, String)>;

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "Files")]
    files: Vec<File>,
    #[serde(rename = "WAL-Ranges")]
    ranges: Vec<Range>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "Timeline")]
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start: Lsn,
    #[serde(rename = "End-LSN")]
    end: Lsn,
}

/// The log that a copy needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) timeline: u32,
    pub(super) start: Lsn,
    pub(super) end: Lsn,
}

/// Holds what came against the manifest; says what is wrong, or which log is needed.
pub(super) fn check(text: &str, found: &Files) -> Result<Needs, String> {
    let manifest: Manifest = serde_json::from_str(text)
        .map_err(|error| format!("the server's manifest cannot be read: {error}"))?;
    let before = text.find(LAST).and_then(|at| text.get(..at)).unwrap_or_default();
    if hex(&Sha256::digest(before.as_bytes())) != manifest.checksum {
        return Err("the server's manifest does not fit its own hash".to_owned());
    }
    let mut listed = 0;
    for file in &manifest.files {
        let path = match (&file.path, &file.encoded) {
            (Some(path), _) => path.clone(),
            (None, Some(encoded)) => {
                unhex(encoded).ok_or("a name in the server's manifest cannot be read")?
            }
            (None, None) => return Err("a file in the server's manifest has no name".to_owned()),
        };
        let Some((size, hash)) = found.get(&path) else { return Err(format!("{path} did not come")) };
        let is_same = file.algorithm.as_deref() == Some("SHA256") && file.checksum.as_deref() == Some(hash);
        if *size != file.size || !is_same {
            return Err(format!("{path} came otherwise than the server sent it"));
        }
        listed += 1;
    }
    if listed != found.len() {
        let more = (found.len() - listed.min(found.len())) as u64;
        return Err(format!(
            "{} came that the server's manifest does not name",
            count(more, "file", "files")
        ));
    }
    match manifest.ranges.as_slice() {
        [range] => Ok(Needs { timeline: range.timeline, start: range.start, end: range.end }),
        _ => Err("the server changed its timeline meanwhile".to_owned()),
    }
}

fn unhex(text: &str) -> Option<String> {
    let digits =
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(digits.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &str) -> String {
        let text = format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [{files}],\n\"WAL-Ranges\": [\n{{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }}\n],\n"
        );
        let hash = hex(&Sha256::digest(text.as_bytes()));
        format!("{text}{LAST}: \"{hash}\"}}\n")
    }

    #[test]
    fn what_lacks_or_differs_or_is_too_much_is_seen() {
        let hash = hex(&Sha256::digest(b"15\n"));
        let file = |path: &str| {
            format!(
                "{{ {path}, \"Size\": 3, \"Last-Modified\": \"x\", \"Checksum-Algorithm\": \"SHA256\", \"Checksum\": \"{hash}\" }}"
            )
        };
        let text =
            manifest(&[file("\"Path\": \"PG_VERSION\""), file("\"Encoded-Path\": \"6261\"")].join(",\n"));
        let mut found: Files =
            [("PG_VERSION", 3), ("ba", 3)].map(|(name, size)| (name.to_owned(), (size, hash.clone()))).into();
        assert_eq!(
            check(&text, &found).unwrap(),
            Needs { timeline: 1, start: Lsn(0x200_0028), end: Lsn(0x200_0100) }
        );
        found.insert("more".to_owned(), (0, String::new()));
        assert!(check(&text, &found).unwrap_err().contains("1 file came"));
        found.remove("more");
        found.insert("ba".to_owned(), (4, hash));
        assert!(check(&text, &found).unwrap_err().contains("ba came otherwise"));
        found.remove("ba");
        assert!(check(&text, &found).unwrap_err().contains("ba did not come"));
        assert!(
            check(&text.replace("15", "16").replace("PG_", "PH_"), &found).unwrap_err().contains("own hash")
        );
    }
}
