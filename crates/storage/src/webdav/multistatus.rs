//! What a server answers when it is asked for the properties of a folder (RFC 4918, 13).

use percent_encoding::percent_decode_str;
use quick_xml::NsReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

/// One resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resource {
    /// The path of its address, decoded, without slashes at its end.
    pub(super) path: String,
    /// Whether it is a folder.
    pub(super) is_folder: bool,
    /// Its size in bytes, where the server says it.
    pub(super) size_bytes: Option<u64>,
    /// When it was changed, as the server writes it.
    pub(super) modified: Option<String>,
    /// How many bytes can still be written to it; below zero where the server does not know.
    pub(super) free_bytes: Option<i64>,
}

/// What is read of one resource so far.
#[derive(Debug, Default)]
struct Response {
    found: Resource,
    pending: Resource,
    pending_status: u16,
    status: u16,
}

/// Reads all resources of an answer.
///
/// # Errors
/// It is none, only a part of one, or the server says that something of it failed.
pub(super) fn read(body: &[u8]) -> Result<Vec<Resource>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the server's answer is not text")?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut response = Response::default();
    let mut resources = Vec::new();
    let mut whole = false;
    loop {
        let (namespace, event) = reader
            .read_resolved_event()
            .map_err(|error| format!("the server's answer is no XML: {error}"))?;
        match event {
            Event::Start(start) => {
                let ours = matches!(namespace, ResolveResult::Bound(Namespace("DAV:")));
                // Names of others mean nothing here, whatever they are.
                open.push(if ours { start.local_name().as_ref().to_owned() } else { String::new() });
                content.clear();
                match path(&open).as_slice() {
                    ["multistatus", "response"] => response = Response::default(),
                    ["multistatus", "response", "propstat"] => {
                        (response.pending, response.pending_status) = (Resource::default(), 0);
                    }
                    _ => {}
                }
            }
            Event::Text(part) => content.push_str(&part.xml10_content()),
            Event::CData(part) => content.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => {
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    content.push(character);
                } else if let Some(text) = resolve_predefined_entity(&reference) {
                    content.push_str(text);
                }
            }
            Event::End(_) => {
                let said = content.trim();
                match path(&open).as_slice() {
                    ["multistatus"] => whole = true,
                    ["multistatus", "response"] => resources.push(finish(std::mem::take(&mut response))?),
                    ["multistatus", "response", rest @ ..] => take(&mut response, rest, said)?,
                    _ => {}
                }
                content.clear();
                open.pop();
            }
            Event::Eof if whole && open.is_empty() => return Ok(resources),
            Event::Eof => return Err("the server's answer is cut".to_owned()),
            _ => {}
        }
    }
}

fn path(open: &[String]) -> Vec<&str> {
    open.iter().map(String::as_str).collect()
}

/// Takes what stands in an element into keeping.
fn take(response: &mut Response, element: &[&str], said: &str) -> Result<(), String> {
    match element {
        ["href"] => response.found.path = path_of(said)?,
        ["status"] => response.status = status_of(said)?,
        ["propstat", "status"] => response.pending_status = status_of(said)?,
        ["propstat", "prop", "resourcetype", "collection"] => response.pending.is_folder = true,
        ["propstat", "prop", "getcontentlength"] => response.pending.size_bytes = said.parse().ok(),
        ["propstat", "prop", "getlastmodified"] => response.pending.modified = Some(said.to_owned()),
        ["propstat", "prop", "quota-available-bytes"] => response.pending.free_bytes = said.parse().ok(),
        // A property counts where the server says that it has it.
        ["propstat"] if response.pending_status == 200 => {
            let (found, pending) = (&mut response.found, std::mem::take(&mut response.pending));
            found.is_folder |= pending.is_folder;
            found.size_bytes = pending.size_bytes.or(found.size_bytes);
            found.modified = pending.modified.or(found.modified.take());
            found.free_bytes = pending.free_bytes.or(found.free_bytes);
        }
        _ => {}
    }
    Ok(())
}

fn finish(response: Response) -> Result<Resource, String> {
    if response.status != 0 && !(200..300).contains(&response.status) {
        return Err(format!(
            "the server could not read '{}' itself (status {})",
            response.found.path, response.status
        ));
    }
    if response.found.path.is_empty() {
        return Err("the server's answer has a resource without an address".to_owned());
    }
    Ok(response.found)
}

/// Takes the path out of an address, whole or not.
fn path_of(href: &str) -> Result<String, String> {
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => href,
    };
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded =
        decoded.map_err(|_| format!("the name '{path}' at the server is not text; move it away"))?;
    let trimmed = decoded.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

/// Reads `HTTP/1.1 200 OK`.
fn status_of(line: &str) -> Result<u16, String> {
    let code = line.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| format!("the server's answer has a status that is none: '{line}'"))
}

#[cfg(test)]
mod tests {
    use super::{Resource, read};

    const NEXTCLOUD: &str = r#"<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:oc="http://owncloud.org/ns">
 <d:response><d:href>/remote.php/dav/files/me/b%20%c3%bc/</d:href>
  <d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>
   <d:quota-available-bytes>-3</d:quota-available-bytes></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
  <d:propstat><d:prop><d:getcontentlength/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>
 <d:response><d:href>/remote.php/dav/files/me/b%20%c3%bc/a&amp;b</d:href>
  <d:propstat><d:prop><d:resourcetype/><d:getcontentlength>12</d:getcontentlength><oc:size>99</oc:size>
   <d:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</d:getlastmodified></d:prop>
   <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
</d:multistatus>"#;

    #[test]
    fn folders_and_files_are_told_apart_whatever_the_prefix() {
        let folder = Resource {
            path: "/remote.php/dav/files/me/b ü".to_owned(),
            is_folder: true,
            free_bytes: Some(-3),
            ..Resource::default()
        };
        let file = Resource {
            path: "/remote.php/dav/files/me/b ü/a&b".to_owned(),
            size_bytes: Some(12),
            modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            ..Resource::default()
        };
        let expected = [folder, file];
        assert_eq!(read(NEXTCLOUD.as_bytes()).unwrap(), expected);
        let unprefixed = NEXTCLOUD.replace("<d:", "<").replace("</d:", "</").replace("xmlns:d=", "xmlns=");
        assert_eq!(read(unprefixed.as_bytes()).unwrap(), expected);
        let whole = NEXTCLOUD.replace("<d:href>", "<d:href>https://cloud.example.org");
        assert_eq!(read(whole.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn an_answer_that_is_cut_or_tells_of_a_failure_is_an_error() {
        let failed = NEXTCLOUD.replacen(
            "<d:propstat>",
            "<d:status>HTTP/1.1 507 Insufficient Storage</d:status><d:propstat>",
            1,
        );
        assert!(read(failed.as_bytes()).unwrap_err().contains("status 507"));
        for length in [0, 10, NEXTCLOUD.len() / 2, NEXTCLOUD.len() - 3] {
            let cut = NEXTCLOUD.get(..length).unwrap_or_default();
            assert!(read(cut.as_bytes()).is_err(), "{cut}");
        }
        assert!(read(b"<html><body>Sign in</body></html>").is_err());
        assert!(read(NEXTCLOUD.replace("DAV:", "other").as_bytes()).is_err());
    }
}
