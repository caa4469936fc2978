//! Where a bucket is: its region, its host, and the folder in it.

use crate::http::{Address, encode, encode_path};
use larder_model::task::S3Settings;

/// The region where nothing is said; servers that are not Amazon's mostly take any.
const DEFAULT_REGION: &str = "us-east-1";

/// The address of a bucket and of the folder in it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The bucket's name.
    pub(crate) bucket: String,
    /// The region that requests are signed for.
    pub(crate) region: String,
    /// Whether it is one of Amazon's own.
    pub(crate) is_amazon: bool,
    /// The server, with the bucket in the host's name or, where that cannot be, in the path.
    address: Address,
    /// The folder, with a slash at its end; empty for none.
    prefix: String,
    name: String,
}

impl Place {
    /// Reads it from the settings.
    ///
    /// # Errors
    /// Says what of them makes no sense.
    pub(crate) fn read(settings: &S3Settings) -> Result<Self, String> {
        let bucket = said(&settings.bucket_name).ok_or("no bucket is named; set BucketName")?.to_owned();
        if bucket.ends_with("--x-s3") {
            return Err(format!(
                "'{bucket}' is a directory bucket (S3 Express One Zone), which Larder does not speak to; use a general purpose bucket"
            ));
        }
        if bucket.chars().any(|c| c == '/' || c == '?' || c == '#' || c.is_whitespace() || c.is_control()) {
            return Err(format!("'{bucket}' is no bucket's name; write a folder into RemoteFolderName"));
        }
        let region = said(&settings.aws_region_name).unwrap_or(DEFAULT_REGION).to_ascii_lowercase();
        let url = match (said(&settings.custom_server_url), settings.hosts.as_slice()) {
            (None, []) => None,
            (Some(url), []) => Some(url),
            (None, [host]) => Some(host.as_str()),
            (Some(_), [_, ..]) => {
                return Err("both CustomServerUrl and Hosts are given; keep one of them".to_owned());
            }
            (None, _) => return Err("several hosts are given; each is a destination of its own".to_owned()),
        };
        let is_amazon = url.is_none_or(|url| url.contains(".amazonaws.com"));
        let server = match url {
            Some(url) => Address::read(url)?,
            None => Address::read(&amazon_host(&region)?)?,
        };
        // A certificate for *.s3.amazonaws.com is none for a name with further dots.
        let dotted = bucket.contains('.') && server.scheme == http::uri::Scheme::HTTPS;
        let in_path = settings.force_path_style || dotted || has_no_name(server.authority.host());
        let host = server.authority.to_string();
        let address = if in_path {
            Address { path: format!("{}/{}", server.path, encode(&bucket)), ..server }
        } else {
            server.below(&bucket)?
        };
        let folder = said(&settings.remote_folder_name).unwrap_or_default().trim_matches('/');
        if let Some(objection) = (!folder.is_empty()).then(|| crate::path::objection(folder)).flatten() {
            return Err(format!("RemoteFolderName cannot be '{folder}': {objection}"));
        }
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let name = match url {
            Some(_) => format!("s3://{host}/{bucket}/{folder}"),
            None => format!("s3://{bucket}/{folder}"),
        };
        let name = name.trim_end_matches('/').to_owned();
        Ok(Self { bucket, region, is_amazon, address, prefix, name })
    }

    /// Names the place for messages.
    pub(crate) fn describe(&self) -> &str {
        &self.name
    }

    /// Says whether requests to it are encrypted on the way.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.address.scheme == http::uri::Scheme::HTTPS
    }

    /// Returns the key of an object.
    pub(crate) fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns the path of a key, or nothing where it does not lie in the folder.
    pub(crate) fn path<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)
    }

    /// Returns the address of a key, or of the bucket itself where the key is empty.
    ///
    /// # Errors
    /// No address can be made of it.
    pub(crate) fn uri(&self, key: &str, query: &[(&str, &str)]) -> Result<http::Uri, String> {
        let mut path = format!("/{}", encode_path(key));
        // Some servers take "/bucket/" for an object with an empty name.
        if key.is_empty() && !self.address.path.is_empty() {
            path.clear();
        }
        self.with_query(path, query)
    }

    /// Does the same with the slashes of the key encoded, too.
    ///
    /// # Errors
    /// No address can be made of it.
    pub(crate) fn uri_in_one_part(&self, key: &str, query: &[(&str, &str)]) -> Result<http::Uri, String> {
        self.with_query(format!("/{}", encode(key)), query)
    }

    fn with_query(&self, mut path: String, query: &[(&str, &str)]) -> Result<http::Uri, String> {
        for (number, (name, value)) in query.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            path = format!("{path}{mark}{name}={}", encode(value));
        }
        self.address.uri(&path)
    }

    /// Names the objects of the folder, or the bucket, as a policy does.
    pub(crate) fn resource(&self, whole_bucket: bool) -> String {
        let partition = partition(&self.region);
        if whole_bucket {
            format!("arn:{partition}:s3:::{}", self.bucket)
        } else {
            format!("arn:{partition}:s3:::{}/{}*", self.bucket, self.prefix)
        }
    }
}

fn amazon_host(region: &str) -> Result<String, String> {
    if region.is_empty() || !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("'{region}' is no region; one looks like eu-central-1"));
    }
    let top = if partition(region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Ok(format!("https://s3.{region}.{top}"))
}

fn partition(region: &str) -> &'static str {
    match region.split('-').take(2).collect::<Vec<_>>().as_slice() {
        ["cn", ..] => "aws-cn",
        ["us", "gov"] => "aws-us-gov",
        _ => "aws",
    }
}

/// A number, or this very machine: no name can be put before it.
fn has_no_name(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

/// Returns a text that says something.
pub(crate) fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(change: impl FnOnce(&mut S3Settings)) -> Result<Place, String> {
        let mut settings = S3Settings { bucket_name: Some("backups".to_owned()), ..S3Settings::default() };
        change(&mut settings);
        Place::read(&settings)
    }

    fn uri(change: impl FnOnce(&mut S3Settings)) -> String {
        let place = place(change).unwrap();
        place.uri(&place.key("data/a b"), &[]).unwrap().to_string()
    }

    #[test]
    fn a_bucket_of_amazon_has_a_host_of_its_own() {
        assert_eq!(
            uri(|settings| settings.aws_region_name = Some("eu-central-1".to_owned())),
            "https://backups.s3.eu-central-1.amazonaws.com/data/a%20b"
        );
        assert_eq!(
            uri(|settings| settings.aws_region_name = Some("cn-north-1".to_owned())),
            "https://backups.s3.cn-north-1.amazonaws.com.cn/data/a%20b"
        );
    }

    #[test]
    fn a_bucket_stands_in_the_path_where_told_so_or_where_no_certificate_would_fit_or_the_host_has_no_name() {
        assert_eq!(
            uri(|settings| settings.force_path_style = true),
            "https://s3.us-east-1.amazonaws.com/backups/data/a%20b"
        );
        assert_eq!(
            uri(|settings| settings.bucket_name = Some("my.backups".to_owned())),
            "https://s3.us-east-1.amazonaws.com/my.backups/data/a%20b"
        );
        assert_eq!(
            uri(|settings| settings.custom_server_url = Some("http://127.0.0.1:9000/".to_owned())),
            "http://127.0.0.1:9000/backups/data/a%20b"
        );
    }

    #[test]
    fn the_folder_and_another_server_are_heeded() {
        let change = |settings: &mut S3Settings| {
            settings.custom_server_url = Some("s3.example.net:9000".to_owned());
            settings.remote_folder_name = Some("/some/where/".to_owned());
        };
        assert_eq!(uri(change), "https://backups.s3.example.net:9000/some/where/data/a%20b");
        let place = place(change).unwrap();
        assert_eq!(place.describe(), "s3://s3.example.net:9000/backups/some/where");
        assert_eq!(place.path("some/where/x"), Some("x"));
        assert_eq!(place.path("elsewhere/x"), None);
        assert_eq!(place.resource(false), "arn:aws:s3:::backups/some/where/*");
        assert_eq!(
            place.uri("", &[("list-type", "2"), ("prefix", "a/b")]).unwrap().to_string(),
            "https://backups.s3.example.net:9000/?list-type=2&prefix=a%2Fb"
        );
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_with_what_to_do() {
        let refused = |change: fn(&mut S3Settings)| place(change).unwrap_err();
        assert!(refused(|settings| settings.bucket_name = Some(" ".to_owned())).contains("BucketName"));
        assert!(
            refused(|settings| settings.bucket_name = Some("a/b".to_owned())).contains("RemoteFolderName")
        );
        assert!(
            refused(|settings| settings.bucket_name = Some("fast--use1-az4--x-s3".to_owned()))
                .contains("directory bucket")
        );
        assert!(
            refused(|settings| settings.aws_region_name = Some("eu central".to_owned()))
                .contains("no region")
        );
        assert!(
            refused(|settings| settings.remote_folder_name = Some("a/../b".to_owned()))
                .contains("RemoteFolderName")
        );
        assert!(
            refused(|settings| settings.hosts = vec!["a".to_owned(), "b".to_owned()])
                .contains("several hosts")
        );
    }
}
