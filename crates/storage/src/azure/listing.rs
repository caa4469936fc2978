//! What a container answers when it is asked for its blobs.

use crate::objects::{ObjectHead, ObjectPage, moment, tag_of};
use crate::storage::ObjectInfo;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The blobs, by their full names.
    pub(super) blobs: Vec<ObjectInfo>,
    /// Where the next page begins; nothing after the last.
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EnumerationResults {
    blobs: Blobs,
    next_marker: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blobs {
    #[serde(default)]
    blob: Vec<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: Name,
    properties: Properties,
}

#[derive(Deserialize)]
struct Name {
    /// Set where the name holds what XML cannot: it is percent-encoded then.
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "Content-Length")]
    content_length: u64,
    #[serde(rename = "Etag", default)]
    etag: String,
    #[serde(rename = "Last-Modified", default)]
    last_modified: String,
    /// `directory` in accounts with a hierarchical namespace; those are listed, too.
    #[serde(rename = "ResourceType", default)]
    resource_type: String,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// It is none, or only a part of one.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let page = heads(body)?;
        let info = |head: ObjectHead| ObjectInfo { path: head.key, size_bytes: head.size_bytes };
        Ok(Self { blobs: page.objects.into_iter().map(info).collect(), next: page.next })
    }
}

/// Reads a page with all that it says of each blob.
///
/// # Errors
/// It is none, or only a part of one.
pub(super) fn heads(body: &[u8]) -> Result<ObjectPage, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the listing is not text")?;
    let text = text.trim_start_matches('\u{feff}');
    let results: EnumerationResults =
        quick_xml::de::from_str(text).map_err(|error| format!("the listing cannot be read: {error}"))?;
    let mut objects = Vec::with_capacity(results.blobs.blob.len());
    for blob in results.blobs.blob {
        if blob.properties.resource_type == "directory" {
            continue;
        }
        let key = if blob.name.encoded {
            let decoded = percent_decode_str(&blob.name.text).decode_utf8();
            decoded.map_err(|_| "the listing has a name that is not text")?.into_owned()
        } else {
            blob.name.text
        };
        objects.push(ObjectHead {
            key,
            size_bytes: blob.properties.content_length,
            modified: moment(&blob.properties.last_modified).unwrap_or(Timestamp::UNIX_EPOCH),
            tag: tag_of(&blob.properties.etag),
            properties: BTreeMap::new(),
        });
    }
    Ok(ObjectPage { objects, next: Some(results.next_marker).filter(|marker| !marker.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::Page;
    use crate::storage::ObjectInfo;

    const HEAD: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://acme/\" ContainerName=\"box\">";

    fn object(path: &str, size_bytes: u64) -> ObjectInfo {
        ObjectInfo { path: path.to_owned(), size_bytes }
    }

    #[test]
    fn blobs_are_read_with_their_sizes_and_folders_are_left_out() {
        let body = format!(
            "{HEAD}<Prefix>a/</Prefix><MaxResults>2</MaxResults><Blobs>\
             <Blob><Name>a/b &amp; c</Name><Properties><Etag>1</Etag><Content-Length>7</Content-Length>\
             <AccessTier>Hot</AccessTier></Properties><OrMetadata /></Blob>\
             <Blob><Name>a/folder</Name><Properties><ResourceType>directory</ResourceType>\
             <Content-Length>0</Content-Length></Properties></Blob>\
             <Blob><Name Encoded=\"true\">a/%EF%BF%BE%25</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>\
             </Blobs><NextMarker>2!72!x</NextMarker></EnumerationResults>"
        );
        let page = Page::read(body.as_bytes()).unwrap();
        assert_eq!(page.blobs, [object("a/b & c", 7), object("a/\u{fffe}%", 0)]);
        assert_eq!(page.next.as_deref(), Some("2!72!x"));
    }

    #[test]
    fn the_last_page_may_be_empty() {
        let body = format!("{HEAD}<Blobs /><NextMarker /></EnumerationResults>");
        assert_eq!(Page::read(body.as_bytes()).unwrap(), Page { blobs: Vec::new(), next: None });
    }

    #[test]
    fn a_page_that_is_cut_or_lacks_its_end_is_an_error() {
        for body in [
            String::new(),
            format!("{HEAD}<Blobs><Blob><Name>a</Name>"),
            format!("{HEAD}<Blobs></Blobs></EnumerationResults>"),
            format!(
                "{HEAD}<Blobs><Blob><Name>a</Name><Properties /></Blob></Blobs><NextMarker /></EnumerationResults>"
            ),
            "<html><body>Please sign in</body></html>".to_owned(),
        ] {
            assert!(Page::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
