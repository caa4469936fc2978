//! How stock restic is told where a repository is.

use crate::error::ServiceError;
use crate::spot::Spot;
use larder_model::Secret;
use larder_model::task::{Block, S3Settings, SftpSettings};

/// The region where a bucket of Amazon's is where nothing is said.
const DEFAULT_REGION: &str = "us-east-1";

/// What restic is told of a place, besides the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The value of `RESTIC_REPOSITORY`.
    pub(crate) repository: String,
    /// Further variables, each with whether it is secret.
    pub(crate) environment: Vec<(&'static str, Secret, bool)>,
}

/// Writes a place in restic's words.
///
/// # Errors
/// Stock restic has no word for it.
pub(crate) fn form(spot: &Spot, database: &str) -> Result<Form, ServiceError> {
    let plain = |repository: String| Form { repository, environment: Vec::new() };
    match spot.settings.block() {
        Block::Local(_) => Ok(plain(spot.of_database(database))),
        Block::S3(s3) => Ok(Form { repository: bucket(s3, database), environment: amazon(s3) }),
        Block::Azure(azure) => {
            let container = said(&azure.storage_container);
            let folder = path(&[said(&azure.remote_folder_name), database]);
            let mut form = plain(format!("azure:{container}:/{folder}"));
            form.environment.push(shown("AZURE_ACCOUNT_NAME", said(&azure.account_name)));
            form.environment.extend(azure.account_key.clone().map(|key| ("AZURE_ACCOUNT_KEY", key, true)));
            form.environment.extend(azure.sas_token.clone().map(|token| ("AZURE_ACCOUNT_SAS", token, true)));
            Ok(form)
        }
        Block::GoogleCloud(google) => {
            let folder = path(&[said(&google.remote_folder_name), database]);
            Ok(plain(format!("gs:{}:/{folder}", said(&google.bucket_name))))
        }
        Block::Sftp(sftp) => Ok(plain(ssh(sftp, database))),
        Block::Glacier(_) | Block::Ftp(_) | Block::WebDav(_) => Err(ServiceError::conflict(format!(
            "stock restic does not speak to a destination of the kind {}; restore with larder, or copy the folder '{}' to a directory and open that",
            spot.kind(),
            spot.of_database(database)
        ))),
    }
}

fn said(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default().trim()
}

fn path(parts: &[&str]) -> String {
    let parts = parts.iter().flat_map(|part| part.split('/')).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}

fn shown(name: &'static str, value: &str) -> (&'static str, Secret, bool) {
    (name, Secret::new(value.to_owned()), false)
}

fn bucket(s3: &S3Settings, database: &str) -> String {
    let server = match said(&s3.custom_server_url).trim_end_matches('/') {
        "" => {
            let region = Some(said(&s3.aws_region_name)).filter(|region| !region.is_empty());
            format!("https://s3.{}.amazonaws.com", region.unwrap_or(DEFAULT_REGION).to_ascii_lowercase())
        }
        url if url.contains("://") => url.to_owned(),
        host => format!("https://{host}"),
    };
    format!("s3:{server}/{}", path(&[said(&s3.bucket_name), said(&s3.remote_folder_name), database]))
}

fn amazon(s3: &S3Settings) -> Vec<(&'static str, Secret, bool)> {
    let mut environment = Vec::new();
    if !said(&s3.aws_access_key).is_empty() {
        environment.push(shown("AWS_ACCESS_KEY_ID", said(&s3.aws_access_key)));
    }
    if !said(&s3.aws_region_name).is_empty() {
        environment.push(shown("AWS_DEFAULT_REGION", said(&s3.aws_region_name)));
    }
    environment.extend(s3.aws_secret_key.clone().map(|key| ("AWS_SECRET_ACCESS_KEY", key, true)));
    environment.extend(s3.aws_session_token.clone().map(|token| ("AWS_SESSION_TOKEN", token, true)));
    environment
}

/// For restic a path after one slash begins at the user's own directory, and one after two at the root.
fn ssh(sftp: &SftpSettings, database: &str) -> String {
    let url = said(&sftp.url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, folder) = rest.split_once('/').unwrap_or((rest, ""));
    match folder.strip_prefix("~/") {
        Some(home) => format!("sftp://{authority}/{}", path(&[home, database])),
        None => format!("sftp://{authority}//{}", path(&[folder, database])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::{DestinationKind, DestinationSettings};
    use serde_json::{Value, json};

    fn written(kind: DestinationKind, block: Value) -> Result<Form, ServiceError> {
        let settings = DestinationSettings::read(kind, block.as_object().unwrap()).unwrap();
        form(&Spot::of(settings).unwrap(), "shop")
    }

    #[test]
    fn each_place_is_written_as_restic_takes_it() {
        use DestinationKind::{Azure, GoogleCloud, Local, S3, Sftp};
        for (kind, block, expected) in [
            (Local, json!({ "FolderPath": "/b" }), "/b/shop"),
            (S3, json!({ "BucketName": "b" }), "s3:https://s3.us-east-1.amazonaws.com/b/shop"),
            (
                S3,
                json!({ "BucketName": "b", "RemoteFolderName": "f", "CustomServerUrl": "http://h:9/" }),
                "s3:http://h:9/b/f/shop",
            ),
            (Azure, json!({ "StorageContainer": "c", "RemoteFolderName": "f" }), "azure:c:/f/shop"),
            (GoogleCloud, json!({ "BucketName": "b" }), "gs:b:/shop"),
            (Sftp, json!({ "Url": "sftp://u@h:2222/srv/b" }), "sftp://u@h:2222//srv/b/shop"),
            (Sftp, json!({ "Url": "sftp://u@h/~/b" }), "sftp://u@h/b/shop"),
        ] {
            assert_eq!(written(kind, block).unwrap().repository, expected);
        }
        let keys = json!({ "BucketName": "b", "AwsAccessKey": "a", "AwsSecretKey": "s" });
        let environment = written(S3, keys).unwrap().environment;
        let secret: Vec<_> = environment.iter().filter(|(_, _, secret)| *secret).map(|one| one.0).collect();
        assert_eq!(secret, ["AWS_SECRET_ACCESS_KEY"]);
        let refused = written(DestinationKind::Ftp, json!({ "Url": "ftp://h/f" })).unwrap_err().to_string();
        assert!(refused.contains("ftp://h/f/shop"), "{refused}");
    }
}
