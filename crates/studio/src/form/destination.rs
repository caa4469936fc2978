//! What can be said of each kind of destination.

use super::field::{Field, Filled, Input};
use larder_model::ServerWideBackupConfiguration;
use larder_model::task::DestinationKind;
use serde_json::Value;

const RESTS: Field = Field::new("Disabled", "rests: nothing is written there for now", Input::Check).rare();

const FOLDER: Field = Field::new("RemoteFolderName", "Folder", Input::Text)
    .hint("Each database gets a folder of its own in it.")
    .example("backups");

const AWS_ACCESS: Field =
    Field::new("AwsAccessKey", "Access key", Input::Text).example("AKIAIOSFODNN7EXAMPLE");
const AWS_SECRET: Field = Field::new("AwsSecretKey", "Secret key", Input::Secret);
const AWS_SESSION: Field =
    Field::new("AwsSessionToken", "Session token", Input::Secret).hint("Only for keys that are lent.").rare();
const AWS_REGION: Field = Field::new("AwsRegionName", "Region", Input::Text).example("eu-central-1");

const CERTIFICATE: Field = Field::new("CertificateAsBase64", "Server's certificate", Input::Secret)
    .hint("PEM or Base64; only where the host's own list does not have it.")
    .rare();

const SERVER: Field = Field::new("CustomServerUrl", "Another server", Input::Text)
    .hint("Its address, where it is not the vendor's own.")
    .example("https://s3.example.net");

const USER: Field = Field::new("UserName", "User", Input::Text);
const PASSWORD: Field = Field::new("Password", "Password", Input::Secret);

const LOCAL: &[Field] = &[
    Field::new("FolderPath", "Directory on this host, or mounted here", Input::Text)
        .hint("Each database gets a folder of its own in it: a restic repository.")
        .example("/srv/backups"),
    RESTS,
];

const S3: &[Field] = &[
    Field::new("BucketName", "Bucket", Input::Text).example("my-backups"),
    AWS_REGION,
    FOLDER,
    AWS_ACCESS,
    AWS_SECRET,
    SERVER,
    Field::new("Hosts", "Several regions", Input::Lines)
        .hint("A host a line. Each gets a copy in one pass; its region is read from its name.")
        .example("s3.eu-central-1.example.net"),
    AWS_SESSION,
    Field::new(
        "StorageClass",
        "Storage class",
        Input::Choice(&[
            ("", "as the bucket says"),
            ("Standard", "Standard"),
            ("StandardInfrequentAccess", "Standard, infrequent access"),
            ("OneZoneInfrequentAccess", "One zone, infrequent access"),
            ("IntelligentTiering", "Intelligent tiering"),
            ("GlacierInstantRetrieval", "Glacier, instant retrieval"),
            ("Glacier", "Glacier"),
            ("DeepArchive", "Deep archive"),
            ("ReducedRedundancy", "Reduced redundancy"),
            ("ExpressOneZone", "Express, one zone"),
        ]),
    )
    .rare(),
    Field::new("ObjectLockDays", "Locked for so many days", Input::Number)
        .hint("Nobody, not even the account's owner, can remove what was written; the bucket must allow it.")
        .rare(),
    Field::new(
        "ObjectLockMode",
        "Who may lift the lock",
        Input::Choice(&[
            ("", "as the server says"),
            ("Governance", "those with a special right"),
            ("Compliance", "nobody"),
        ]),
    )
    .rare(),
    Field::new(
        "ServerSideEncryption",
        "Encryption by the server",
        Input::Choice(&[("", "as the bucket says"), ("AES256", "AES256"), ("aws:kms", "aws:kms")]),
    )
    .hint("Besides Larder's own, which the server cannot open.")
    .rare(),
    Field::new("ServerSideEncryptionKeyId", "The server's key for that", Input::Text).rare(),
    Field::new("ForcePathStyle", "the bucket stands in the path, not in the host's name", Input::Check)
        .rare(),
    Field::new("DisableChecksumValidation", "the server's checksums are not asked for", Input::Check).rare(),
    RESTS,
];

const GLACIER: &[Field] = &[
    Field::new("VaultName", "Vault", Input::Text).example("my-vault"),
    AWS_REGION,
    FOLDER,
    AWS_ACCESS,
    AWS_SECRET,
    AWS_SESSION,
    RESTS,
];

const AZURE: &[Field] = &[
    Field::new("StorageContainer", "Container", Input::Text).example("backups"),
    FOLDER,
    Field::new("AccountName", "Account", Input::Text),
    Field::new("AccountKey", "Account key", Input::Secret),
    Field::new("SasToken", "Shared access signature", Input::Secret).hint("Stands for the key."),
    SERVER.rare(),
    Field::new(
        "AccessTier",
        "Access tier",
        Input::Choice(&[
            ("", "as the account says"),
            ("Hot", "Hot"),
            ("Cool", "Cool"),
            ("Cold", "Cold"),
            ("Archive", "Archive"),
        ]),
    )
    .rare(),
    RESTS,
];

const GOOGLE: &[Field] = &[
    Field::new("BucketName", "Bucket", Input::Text).example("my-backups"),
    FOLDER,
    Field::new("GoogleCredentialsJson", "Service account's key file", Input::Area)
        .hint("The JSON that Google gives; **** keeps the one that is stored."),
    SERVER.rare(),
    Field::new(
        "StorageClass",
        "Storage class",
        Input::Choice(&[
            ("", "as the bucket says"),
            ("Standard", "Standard"),
            ("Nearline", "Nearline"),
            ("Coldline", "Coldline"),
            ("Archive", "Archive"),
        ]),
    )
    .rare(),
    RESTS,
];

const FTP: &[Field] = &[
    Field::new("Url", "Address", Input::Text)
        .hint("ftps:// encrypts what is sent, the password as well; ftp:// does not.")
        .example("ftps://backup.example.net/larder"),
    USER,
    PASSWORD,
    Field::new("Port", "Port", Input::Number).hint("Where the address names none.").rare(),
    CERTIFICATE,
    RESTS,
];

const SFTP: &[Field] = &[
    Field::new("Url", "Address", Input::Text)
        .hint("The folder is absolute, or begins with ~/.")
        .example("sftp://backup@nas.example.net:22/srv/larder"),
    PASSWORD.hint("Where no key opens the door."),
    Field::new("PrivateKey", "Private key", Input::Area)
        .hint("As text; the server user's own keys and agent are tried where nothing is said. **** keeps the stored one."),
    Field::new("KnownHosts", "The server's keys", Input::Area)
        .hint("Lines of a known_hosts file, as ssh-keyscan prints them. A server whose key is not known is never written to."),
    RESTS,
];

const WEB_DAV: &[Field] = &[
    Field::new("Url", "Address", Input::Text)
        .example("https://cloud.example.org/remote.php/dav/files/me/backups"),
    USER,
    PASSWORD,
    CERTIFICATE,
    RESTS,
];

/// Returns what can be said of a kind, what matters first.
pub(crate) const fn fields(kind: DestinationKind) -> &'static [Field] {
    match kind {
        DestinationKind::Local => LOCAL,
        DestinationKind::S3 => S3,
        DestinationKind::Glacier => GLACIER,
        DestinationKind::Azure => AZURE,
        DestinationKind::GoogleCloud => GOOGLE,
        DestinationKind::Ftp => FTP,
        DestinationKind::Sftp => SFTP,
        DestinationKind::WebDav => WEB_DAV,
    }
}

const fn title(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Local => "Directory",
        DestinationKind::S3 => "S3: Amazon, or what speaks its protocol",
        DestinationKind::Glacier => "Amazon Glacier vault",
        DestinationKind::Azure => "Azure Blob Storage",
        DestinationKind::GoogleCloud => "Google Cloud Storage",
        DestinationKind::Ftp => "FTP or FTPS",
        DestinationKind::Sftp => "SFTP",
        DestinationKind::WebDav => "WebDAV",
    }
}

/// What the names of fields begin with that are there to be copied.
const BLANK: &str = "blank";

/// One destination of a task, as the editor shows it.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    /// The key of its block: `S3Settings`.
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// Its name, where it is one of several of its kind.
    pub(crate) name: String,
    /// Unique on the page.
    pub(crate) id: String,
    pub(crate) common: Vec<Filled>,
    pub(crate) rare: Vec<Filled>,
    /// The program that says where it is.
    pub(crate) script: Option<String>,
}

impl Card {
    fn new(kind: DestinationKind, id: String, name: &str, block: &Value) -> Self {
        let filled = |field: &'static Field| {
            let filled = Filled::of(field, &id, block);
            // The one that most tasks have.
            let is_folder = field.key == "FolderPath" && name.is_empty() && id != BLANK;
            if is_folder { Filled { id: "folder".to_owned(), ..filled } } else { filled }
        };
        let (rare, common) = fields(kind).iter().map(filled).partition(|one: &Filled| one.field.rare);
        let script = block.pointer("/GetBackupConfigurationScript/Exec").and_then(Value::as_str);
        Self {
            key: kind.key(),
            title: title(kind),
            name: name.to_owned(),
            common,
            rare,
            script: script.map(str::to_owned),
            id,
        }
    }

    /// Whether something is said that is folded away.
    pub(crate) fn is_unusual(&self) -> bool {
        self.rare.iter().any(Filled::is_said)
    }

    /// Makes an empty one of each kind, to be copied.
    pub(crate) fn blank() -> Vec<Self> {
        let blank = |kind: DestinationKind| Self::new(kind, BLANK.to_owned(), "", &Value::Null);
        DestinationKind::ALL.into_iter().map(blank).collect()
    }

    /// Makes those of a task: what is secret is masked.
    pub(crate) fn all(task: &ServerWideBackupConfiguration) -> Vec<Self> {
        let mut cards = Vec::new();
        let mut add = |name: &str, object: &Value| {
            for kind in DestinationKind::ALL {
                if let Some(block) = object.get(kind.key()).filter(|block| block.is_object()) {
                    cards.push(Self::new(kind, format!("d{}", cards.len()), name, block));
                }
            }
        };
        let whole = serde_json::to_value(&task.periodic.backup).unwrap_or_default();
        add("", &whole);
        for further in whole.get("Destinations").and_then(Value::as_array).into_iter().flatten() {
            add(further.get("Name").and_then(Value::as_str).unwrap_or_default(), further);
        }
        cards
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::task::{BackupConfiguration, DestinationSettings};
    use serde_json::{Map, json};

    #[test]
    fn every_key_of_every_kind_has_a_field_and_every_field_a_key() {
        for kind in DestinationKind::ALL {
            let everything: Map<String, Value> = fields(kind)
                .iter()
                .map(|field| {
                    let value = match field.input {
                        Input::Check => json!(true),
                        Input::Number => json!(7),
                        Input::Lines => json!(["a.example.net"]),
                        Input::Choice(all) => json!(all[1].0),
                        Input::Text | Input::Secret | Input::Area => json!("x"),
                    };
                    (field.key.to_owned(), value)
                })
                .collect();
            let read = DestinationSettings::read(kind, &everything).unwrap();
            let written = serde_json::to_value(BackupConfiguration::from(read)).unwrap();
            let block = written[kind.key()].as_object().unwrap();
            for (key, value) in &everything {
                assert!(block.contains_key(key), "{kind}: {key} is no key");
                assert!(block[key] == *value || block[key] == "****", "{kind}: {key}: {}", block[key]);
            }
            let unasked = ["GetBackupConfigurationScript", "ShardNumber"];
            for key in block.keys().filter(|key| !unasked.contains(&key.as_str())) {
                assert!(everything.contains_key(key), "{kind}: nobody asks for {key}");
            }
        }
    }

    #[test]
    fn a_secret_that_is_stored_is_shown_as_its_mask() {
        let mut task = ServerWideBackupConfiguration::default();
        task.periodic.backup = larder_model::task::read(
            json!({
                "S3Settings": { "BucketName": "b", "AwsSecretKey": "open sesame" },
                "Destinations": [{ "Name": "far", "FtpSettings": { "Url": "ftp://h/x", "Password": "s" } }],
            })
            .as_object()
            .unwrap(),
        )
        .unwrap();
        let cards = Card::all(&task);
        assert_eq!(cards.iter().map(|card| card.name.as_str()).collect::<Vec<_>>(), ["", "far"]);
        let value =
            |card: &Card, key| card.common.iter().find(|one| one.field.key == key).unwrap().value.clone();
        assert_eq!(value(&cards[0], "AwsSecretKey"), "****");
        assert_eq!(value(&cards[0], "BucketName"), "b");
        assert_eq!(value(&cards[1], "Password"), "****");
        assert_eq!(value(&cards[1], "UserName"), "");
    }
}
