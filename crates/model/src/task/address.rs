//! What a destination is known by: one text that says where it is, without secrets.
//!
//! Two blocks with the same address are the same place, whatever their keys; so an address holds all that tells places
//! apart, in one form.

use crate::task::block::{Block, said};

impl Block<'_> {
    /// Returns the address, where the block says one: `/srv/backups`, `s3://bucket/folder`,
    /// `s3:https://host/bucket/folder` at another server than Amazon's, `glacier://region/vault/folder`,
    /// `azure://account/container/folder`, `gs://bucket/folder`, `ftp://user@host/folder`, `sftp://user@host/folder`,
    /// `webdav:https://host/folder`.
    #[must_use]
    pub fn address(self) -> Option<String> {
        let place = self.place()?.trim();
        Some(match self {
            Self::Local(_) => format!("/{}", plain(place)),
            Self::S3(s3) => {
                let path = joined(&[place, folder(&s3.remote_folder_name)]);
                at_server("s3", &s3.custom_server_url, &path)
            }
            Self::Glacier(glacier) => {
                let region = said(&glacier.aws_region_name).map_or("us-east-1", str::trim);
                let region = region.to_ascii_lowercase();
                let path = joined(&[&region, place, folder(&glacier.remote_folder_name)]);
                at_server("glacier", &glacier.custom_server_url, &path)
            }
            Self::Azure(azure) => {
                let account = said(&azure.account_name).unwrap_or_default().trim();
                let path = joined(&[account, place, folder(&azure.remote_folder_name)]);
                at_server("azure", &azure.custom_server_url, &path)
            }
            Self::GoogleCloud(google) => {
                let path = joined(&[place, folder(&google.remote_folder_name)]);
                at_server("gs", &google.custom_server_url, &path)
            }
            Self::Ftp(ftp) => server(place, "ftp", ftp.port, said(&ftp.user_name)),
            Self::Sftp(_) => server(place, "sftp", None, None),
            Self::WebDav(_) => format!("webdav:{}", server(place, "https", None, None)),
        })
    }
}

fn folder(name: &Option<String>) -> &str {
    said(name).unwrap_or_default()
}

/// Writes a path without what changes nothing in it: slashes at its ends, and several in a row.
fn plain(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn joined(parts: &[&str]) -> String {
    parts.iter().map(|part| plain(part)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn at_server(scheme: &str, url: &Option<String>, path: &str) -> String {
    match said(url) {
        None => format!("{scheme}://{path}"),
        Some(url) => format!("{scheme}:{}/{path}", server(url, "https", None, None)),
    }
}

/// Writes an address in one form: scheme and host in small letters, a user but no password, no port that goes without
/// saying.
fn server(url: &str, scheme: &str, port: Option<u16>, user: Option<&str>) -> String {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or((scheme, url));
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (in_url, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| {
        (user.split(':').next().filter(|user| !user.is_empty()), host)
    });
    let mut host = host.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "http" => Some(":80"),
        "https" => Some(":443"),
        "ftp" | "ftps" => Some(":21"),
        "sftp" => Some(":22"),
        _ => None,
    };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if let Some(port) = port.filter(|port| *port != 0 && !has_port) {
        host = format!("{host}:{port}");
    }
    let host = usual.and_then(|usual| host.strip_suffix(usual)).unwrap_or(&host);
    let user = user.or(in_url).map(|user| format!("{user}@")).unwrap_or_default();
    let path = plain(path);
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{scheme}://{user}{host}{slash}{path}")
}

#[cfg(test)]
mod tests {
    use crate::task::{DestinationKind, DestinationSettings};
    use serde_json::{Value, json};

    fn address(kind: DestinationKind, block: Value) -> String {
        let settings = DestinationSettings::read(kind, block.as_object().unwrap()).unwrap();
        settings.block().address().unwrap()
    }

    #[test]
    fn every_kind_has_an_address_and_the_same_place_always_the_same() {
        use DestinationKind::{Azure, Ftp, Glacier, GoogleCloud, Local, S3, Sftp, WebDav};
        for (kind, block, expected) in [
            (Local, json!({ "FolderPath": "//srv/backups/" }), "/srv/backups"),
            (S3, json!({ "BucketName": "b" }), "s3://b"),
            (S3, json!({ "BucketName": "b", "RemoteFolderName": "/f//g/" }), "s3://b/f/g"),
            (
                S3,
                json!({ "BucketName": "b", "RemoteFolderName": "f", "CustomServerUrl": "HTTP://Host:80/" }),
                "s3:http://host/b/f",
            ),
            (S3, json!({ "BucketName": "b", "CustomServerUrl": "host:9000" }), "s3:https://host:9000/b"),
            (Glacier, json!({ "VaultName": "v", "AwsRegionName": "EU-west-1" }), "glacier://eu-west-1/v"),
            (
                Glacier,
                json!({ "VaultName": "v", "RemoteFolderName": "f", "CustomServerUrl": "http://h:1" }),
                "glacier:http://h:1/us-east-1/v/f",
            ),
            (
                Azure,
                json!({ "StorageContainer": "c", "AccountName": "a", "RemoteFolderName": "f" }),
                "azure://a/c/f",
            ),
            (
                Azure,
                json!({ "StorageContainer": "c", "AccountName": "a", "CustomServerUrl": "http://h:1" }),
                "azure:http://h:1/a/c",
            ),
            (GoogleCloud, json!({ "BucketName": "b", "RemoteFolderName": "f" }), "gs://b/f"),
            (Ftp, json!({ "Url": "ftp://Host:21/f/", "UserName": "u" }), "ftp://u@host/f"),
            (Ftp, json!({ "Url": "host/f", "Port": 2121 }), "ftp://host:2121/f"),
            (Sftp, json!({ "Url": "sftp://u@host:22/~/f" }), "sftp://u@host/~/f"),
            (WebDav, json!({ "Url": "https://cloud/dav/" }), "webdav:https://cloud/dav"),
        ] {
            assert_eq!(address(kind, block), expected);
        }
    }
}
