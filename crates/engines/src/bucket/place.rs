//! Where the objects are, and what opens the door.

use super::store::Trouble;
use crate::error::EngineError;
use crate::remote::Options;
use larder_model::task::{AzureSettings, Block, GoogleCloudSettings, S3Settings};
use larder_model::{Secret, Source};
use larder_storage::{Connector, ObjectStore, StorageError, StorageErrorKind};
use std::sync::Arc;

/// The options, by the names on the engine's page: those of the destinations of the same kind.
const ACCESS_KEY: &str = "AwsAccessKey";
const REGION: &str = "AwsRegionName";
const PATH_STYLE: &str = "ForcePathStyle";
const ACCOUNT: &str = "AccountName";
const SERVER: &str = "CustomServerUrl";

/// The service that a bucket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    S3,
    Azure,
    Google,
}

/// A bucket, and what the keys in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    service: Service,
    pub(super) bucket: String,
    /// Ends with a slash where it is not empty.
    pub(super) prefix: String,
}

impl Place {
    /// Reads a source's address.
    pub(super) fn of(source: &Source) -> Result<Self, EngineError> {
        let refused = |cause: &str| EngineError::Failed {
            action: format!("reading the address of the source {}", source.name),
            cause: cause.to_owned(),
            remedy: "write it as s3://BUCKET/PREFIX, azure://CONTAINER/PREFIX or gcs://BUCKET/PREFIX"
                .to_owned(),
        };
        let (scheme, rest) =
            source.address.trim().split_once("://").ok_or_else(|| refused("it has no scheme"))?;
        let service = match scheme {
            "s3" => Service::S3,
            "azure" => Service::Azure,
            "gcs" | "gs" => Service::Google,
            _ => return Err(refused("it begins with a scheme that this engine does not know")),
        };
        let (bucket, prefix) = split(rest).ok_or_else(|| refused("it names no bucket"))?;
        if bucket.contains('@') {
            return Err(refused("it names a user; keys are said apart"));
        }
        Ok(Self { service, bucket, prefix })
    }

    /// Returns another place of the same service: `BUCKET/PREFIX`, with or without the scheme.
    pub(super) fn beside(&self, name: &str) -> Result<Self, EngineError> {
        let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
        let (bucket, prefix) = split(rest).ok_or_else(|| EngineError::Failed {
            action: format!("restoring to '{name}'"),
            cause: "it names no bucket".to_owned(),
            remedy: "write BUCKET/PREFIX; the bucket must be there".to_owned(),
        })?;
        Ok(Self { service: self.service, bucket, prefix })
    }

    /// Returns it as the service spells it: `bucket/prefix`.
    pub(super) fn named_in_service(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix).trim_end_matches('/').to_owned()
    }

    /// Returns the address, for people.
    pub(super) fn shown(&self) -> String {
        let scheme = match self.service {
            Service::S3 => "s3",
            Service::Azure => "azure",
            Service::Google => "gcs",
        };
        format!("{scheme}://{}", self.named_in_service())
    }

    /// Returns the key of an object as its path below this place, for people.
    pub(super) fn shown_key(&self, key: &str) -> String {
        format!("{}/{}", self.shown(), key.strip_prefix(&self.prefix).unwrap_or(key))
    }

    pub(super) const fn listing_right(&self) -> &'static str {
        match self.service {
            Service::S3 => "s3:ListBucket",
            Service::Azure => "list (l)",
            Service::Google => "storage.objects.list",
        }
    }

    pub(super) const fn reading_right(&self) -> &'static str {
        match self.service {
            Service::S3 => "s3:GetObject",
            Service::Azure => "read (r)",
            Service::Google => "storage.objects.get",
        }
    }

    /// Names a right together with what it is a right on, as policies do.
    pub(super) fn right(&self, right: &str) -> String {
        match self.service {
            Service::S3 if right == self.listing_right() => {
                format!("{right} on arn:aws:s3:::{}", self.bucket)
            }
            Service::S3 => format!("{right} on arn:aws:s3:::{}/{}*", self.bucket, self.prefix),
            Service::Azure => format!("{right} on the container {}", self.bucket),
            Service::Google => format!("{right} on the bucket {} (roles/storage.objectViewer)", self.bucket),
        }
    }

    /// Opens the bucket; nothing is asked of it yet.
    pub(super) fn connect(
        &self,
        source: &Source,
        connector: &Connector,
    ) -> Result<Arc<dyn ObjectStore>, EngineError> {
        let opened = match self.service {
            Service::S3 => {
                let options = Options::of(source, &[ACCESS_KEY, REGION, SERVER, PATH_STYLE])?;
                connector.objects(Block::S3(&S3Settings {
                    bucket_name: Some(self.bucket.clone()),
                    aws_access_key: said(&options, ACCESS_KEY),
                    aws_secret_key: Some(required(source, "secret key", ACCESS_KEY)?),
                    aws_region_name: said(&options, REGION),
                    custom_server_url: said(&options, SERVER),
                    force_path_style: is_yes(&options, PATH_STYLE),
                    ..S3Settings::default()
                }))
            }
            Service::Azure => {
                let options = Options::of(source, &[ACCOUNT, SERVER])?;
                let secret = required(source, "account's key or a SAS token", ACCOUNT)?;
                let is_token = secret.expose().contains("sig=");
                connector.objects(Block::Azure(&AzureSettings {
                    storage_container: Some(self.bucket.clone()),
                    account_name: said(&options, ACCOUNT),
                    account_key: (!is_token).then(|| secret.clone()),
                    sas_token: is_token.then_some(secret),
                    custom_server_url: said(&options, SERVER),
                    ..AzureSettings::default()
                }))
            }
            Service::Google => {
                let options = Options::of(source, &[SERVER])?;
                connector.objects(Block::GoogleCloud(&GoogleCloudSettings {
                    bucket_name: Some(self.bucket.clone()),
                    google_credentials_json: source.password.clone(),
                    custom_server_url: said(&options, SERVER),
                    ..GoogleCloudSettings::default()
                }))
            }
        };
        opened.map_err(|error| self.failed("opening", Trouble::Storage(error)))
    }

    /// Says what went wrong with the bucket as a whole.
    pub(super) fn failed(&self, action: &str, trouble: Trouble) -> EngineError {
        match trouble {
            Trouble::Canceled => larder_model::Canceled.into(),
            Trouble::Storage(error) => EngineError::Failed {
                action: format!("{action} {}", self.shown()),
                remedy: self.remedy(&error),
                cause: error.cause.trim_end_matches('.').to_owned(),
            },
        }
    }

    fn remedy(&self, error: &StorageError) -> String {
        match error.kind {
            StorageErrorKind::Denied => format!(
                "check the source's key, and that it may do {} and {}",
                self.right(self.listing_right()),
                self.right(self.reading_right())
            ),
            StorageErrorKind::Unavailable => "see whether the service can be reached from here".to_owned(),
            StorageErrorKind::NotFound => "see whether it is still there".to_owned(),
            _ => "correct the address or the options of the source".to_owned(),
        }
    }
}

/// Takes `bucket/prefix` apart.
fn split(text: &str) -> Option<(String, String)> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    if bucket.is_empty() {
        return None;
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Some((bucket.to_owned(), prefix))
}

fn said(options: &Options<'_>, name: &str) -> Option<String> {
    options.get(name).map(str::to_owned)
}

fn is_yes(options: &Options<'_>, name: &str) -> bool {
    options.get(name).is_some_and(|value| matches!(value, "true" | "yes" | "1"))
}

fn required(source: &Source, what: &str, beside: &str) -> Result<Secret, EngineError> {
    source.password.clone().filter(|secret| !secret.expose().trim().is_empty()).ok_or_else(|| {
        EngineError::Failed {
            action: format!("opening {}", source.address),
            cause: format!("the source has no {what}"),
            remedy: format!("give it as the password of the source, beside the option {beside}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Place;
    use larder_model::{DatabaseName, EngineKind, Source};

    fn place(address: &str) -> Result<Place, String> {
        let name = DatabaseName::from_lossy("assets");
        Place::of(&Source::new(name, EngineKind::Bucket, address.to_owned()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_a_bucket_and_a_prefix() {
        for (address, bucket, prefix, shown) in [
            ("s3://assets", "assets", "", "s3://assets"),
            ("azure://assets/", "assets", "", "azure://assets"),
            ("gs://assets/img/large/", "assets", "img/large/", "gcs://assets/img/large"),
            ("s3://assets/a//b", "assets", "a//b/", "s3://assets/a//b"),
        ] {
            let place = place(address).unwrap();
            assert_eq!((place.bucket.as_str(), place.prefix.as_str()), (bucket, prefix));
            assert_eq!(place.shown(), shown);
        }
        for (address, says) in
            [("assets", "scheme"), ("ftp://x", "scheme"), ("s3:///x", "bucket"), ("s3://u@x", "user")]
        {
            let told = place(address).unwrap_err();
            assert!(told.contains(says) && told.contains("s3://BUCKET/PREFIX"), "{told}");
        }
    }

    #[test]
    fn a_place_to_restore_to_is_named_with_or_without_the_scheme() {
        let place = place("s3://assets/img").unwrap();
        for name in ["copies/2026", "s3://copies/2026/"] {
            assert_eq!(place.beside(name).unwrap().shown(), "s3://copies/2026");
        }
        assert!(place.beside("").is_err() && place.beside("/x").is_err());
    }
}
