//! Listing objects: completely, or not at all.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::Attempt;
use crate::path;
use crate::s3::bucket::Bucket;
use crate::s3::call::Call;
use crate::storage::ObjectInfo;
use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// A page of at most 1000 keys of 1024 bytes, each of them written as three, has no more.
const PAGE_AT_MOST: u64 = 16 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename = "ListBucketResult", rename_all = "PascalCase")]
struct Page {
    is_truncated: bool,
    next_continuation_token: Option<String>,
    encoding_type: Option<String>,
    key_count: Option<usize>,
    #[serde(default)]
    contents: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    key: String,
    pub(super) size: u64,
    pub(super) last_modified: Option<String>,
    pub(super) e_tag: Option<String>,
}

impl Bucket {
    /// Lists every object below a folder, at any depth.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let attempt = self.attempt("list", folder);
        let prefix =
            if folder.is_empty() { self.place.key("") } else { self.place.key(&format!("{folder}/")) };
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let (entries, next) = self.page(&attempt, &prefix, token.as_deref()).await?;
            for (key, entry) in entries {
                // Consoles make "folders": empty objects whose names end with a slash. No object of ours has such a name.
                if let Some(path) = self.place.path(&key).filter(|path| path::objection(path).is_none()) {
                    objects.push(ObjectInfo { path: path.to_owned(), size_bytes: entry.size });
                }
            }
            if next.is_none() {
                return Ok(objects);
            }
            token = next;
        }
    }

    /// Lists one page of the keys that begin with a text, from where the page before ended; says where the next begins.
    pub(super) async fn page(
        &self,
        attempt: &Attempt<'_>,
        prefix: &str,
        token: Option<&str>,
    ) -> Result<(Vec<(String, Entry)>, Option<String>), StorageError> {
        // The names of the queries in their order, which some servers' signatures rest on.
        let mut call = Call::new(Method::GET, "");
        if let Some(token) = token {
            call = call.query("continuation-token", token);
        }
        let call = call.query("encoding-type", "url").query("list-type", "2").query("prefix", prefix);
        let answer = self.demand(attempt, "s3:ListBucket", call).await?;
        let body = answer.bytes(attempt, PAGE_AT_MOST).await?;
        let page = read(&body).map_err(|cause| attempt.failure(StorageErrorKind::Damaged, cause))?;
        let mut entries = Vec::with_capacity(page.contents.len());
        for entry in page.contents {
            let key = decode(&entry, page.encoding_type.as_deref())
                .map_err(|cause| attempt.failure(StorageErrorKind::Damaged, cause))?;
            if !key.starts_with(prefix) {
                let cause = format!("the server listed '{key}', which does not lie below '{prefix}'");
                return Err(attempt.failure(StorageErrorKind::Damaged, cause));
            }
            entries.push((key, entry));
        }
        if !page.is_truncated {
            return Ok((entries, None));
        }
        let next =
            page.next_continuation_token.filter(|next| !next.is_empty() && token != Some(next.as_str()));
        if next.is_none() {
            let cause = "the server said that its list goes on, but not where; it does not speak version 2 of ListObjects";
            return Err(attempt.failure(StorageErrorKind::Other, cause));
        }
        Ok((entries, next))
    }
}

/// Reads a page, and makes sure that it is a whole one.
fn read(body: &[u8]) -> Result<Page, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the list is not text")?;
    let page: Page =
        quick_xml::de::from_str(text).map_err(|error| format!("the list cannot be read: {error}"))?;
    match page.key_count {
        Some(count) if count != page.contents.len() => {
            Err(format!("the server announced {count} objects, but listed {}", page.contents.len()))
        }
        _ => Ok(page),
    }
}

/// A key may hold characters that XML cannot; the server writes it as in a form, if it heard that it should.
fn decode(entry: &Entry, encoding: Option<&str>) -> Result<String, String> {
    if encoding != Some("url") {
        return Ok(entry.key.clone());
    }
    let spaced = entry.key.replace('+', "%20");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("the key '{}' is not text", entry.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_cut_or_lacks_objects_is_no_page() {
        let whole = "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>1</KeyCount><EncodingType>url</EncodingType>\
                     <Contents><Key>a+b%2Bc</Key><Size>7</Size></Contents></ListBucketResult>";
        let page = read(whole.as_bytes()).unwrap();
        assert_eq!(decode(&page.contents[0], page.encoding_type.as_deref()).unwrap(), "a b+c");
        assert!(read(&whole.as_bytes()[..whole.len() - 10]).is_err());
        assert!(read(whole.replace("<KeyCount>1", "<KeyCount>2").as_bytes()).is_err());
        assert!(read(b"<ListBucketResult></ListBucketResult>").is_err());
        assert!(read(b"").is_err());
    }
}
