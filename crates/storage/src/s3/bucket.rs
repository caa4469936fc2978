//! A bucket as requests see it: where it is, who asks, and how what is written is to be kept.

use crate::error::StorageError;
use crate::http::{Attempt, Client};
use crate::s3::class;
use crate::s3::place::{Place, said};
use larder_model::Secret;
use larder_model::task::{S3ObjectLockMode, S3Settings, S3StorageClass};
use reqsign_aws_v4::{Credential, RequestSigner};
use std::sync::atomic::{AtomicBool, AtomicU8};

/// Whether the server keeps the promise of `If-None-Match: *`.
pub(crate) mod precondition {
    /// Nobody has seen it yet.
    pub(crate) const UNKNOWN: u8 = 0;
    /// It refused to replace an object.
    pub(crate) const KEPT: u8 = 1;
    /// It replaced one.
    pub(crate) const IGNORED: u8 = 2;
}

/// How long what is written may not be removed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock {
    /// The protocol's word for who may lift it.
    pub(crate) mode: &'static str,
    /// For how many days from the moment of writing.
    pub(crate) days: u32,
}

/// All that a request to the bucket depends on.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) place: Place,
    pub(crate) client: Client,
    pub(crate) signer: RequestSigner,
    pub(crate) credential: Credential,
    pub(crate) class: S3StorageClass,
    pub(crate) lock: Option<Lock>,
    /// Whether neither checksums nor the hash of a body are sent; see [`S3Settings::disable_checksum_validation`].
    pub(crate) without_checksums: bool,
    pub(crate) encryption: Vec<(&'static str, String)>,
    /// One of [`precondition`].
    pub(crate) precondition: AtomicU8,
    /// Whether an answer has shown that the bucket exists.
    pub(crate) seen: AtomicBool,
    /// Whether the server knows archive classes but not how to ask for their objects: then they need not be asked for.
    pub(crate) never_cold: AtomicBool,
}

impl Bucket {
    /// Reads it from the settings; nothing is asked of the server yet.
    ///
    /// # Errors
    /// The settings make no sense.
    pub(crate) fn open(settings: &S3Settings, client: Client) -> Result<Self, StorageError> {
        let name = said(&settings.bucket_name).unwrap_or_default();
        let invalid = |cause: String| Attempt::new("open", "", &format!("s3://{name}")).invalid(cause);
        let place = Place::read(settings).map_err(invalid)?;
        let credential = credential(settings).map_err(|cause| invalid(cause.to_owned()))?;
        let lock = lock(settings).map_err(|cause| invalid(cause.to_owned()))?;
        // All of Amazon's regions do, since 2024.
        let kept = if place.is_amazon { precondition::KEPT } else { precondition::UNKNOWN };
        Ok(Self {
            signer: RequestSigner::new("s3", &place.region),
            place,
            client,
            credential,
            class: settings.storage_class.unwrap_or(S3StorageClass::Standard),
            lock,
            without_checksums: settings.disable_checksum_validation,
            encryption: encryption(settings),
            precondition: AtomicU8::new(kept),
            seen: AtomicBool::new(false),
            never_cold: AtomicBool::new(false),
        })
    }

    /// Begins the words of an error.
    pub(crate) fn attempt<'a>(&'a self, action: &'static str, path: &'a str) -> Attempt<'a> {
        Attempt::new(action, path, self.place.describe())
    }

    /// Returns the class that an object goes to, as the protocol writes it.
    ///
    /// One rule for every class: packs alone lie in it. Index, snapshots and marks are small, are read by every backup and
    /// live shortly, all of which costs more in every class but the standard one.
    pub(crate) fn class_of(&self, cold: bool) -> Option<&'static str> {
        cold.then(|| class::header(self.class)).flatten()
    }
}

/// Reads the key.
///
/// # Errors
/// Says which half of it is missing.
pub(crate) fn credential(settings: &S3Settings) -> Result<Credential, &'static str> {
    let secret = |secret: &Option<Secret>| {
        secret.as_ref().map(|secret| secret.expose().trim().to_owned()).filter(|text| !text.is_empty())
    };
    Ok(Credential {
        access_key_id: said(&settings.aws_access_key)
            .ok_or("no access key is given; set AwsAccessKey")?
            .to_owned(),
        secret_access_key: secret(&settings.aws_secret_key)
            .ok_or("no secret key is given; set AwsSecretKey")?,
        session_token: secret(&settings.aws_session_token),
        expires_in: None,
    })
}

fn lock(settings: &S3Settings) -> Result<Option<Lock>, &'static str> {
    let mode = match settings.object_lock_mode {
        Some(S3ObjectLockMode::Compliance) => "COMPLIANCE",
        Some(S3ObjectLockMode::Governance) | None => "GOVERNANCE",
    };
    match settings.object_lock_days {
        None if settings.object_lock_mode.is_some() => {
            Err("a mode of object lock is given without ObjectLockDays")
        }
        None => Ok(None),
        Some(0) => Err("ObjectLockDays is 0; leave it out where nothing is to be locked"),
        Some(days) => Ok(Some(Lock { mode, days })),
    }
}

fn encryption(settings: &S3Settings) -> Vec<(&'static str, String)> {
    let pairs = [
        ("x-amz-server-side-encryption", &settings.server_side_encryption),
        ("x-amz-server-side-encryption-aws-kms-key-id", &settings.server_side_encryption_key_id),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name, said(value)?.to_owned()))).collect()
}
