//! The secrets of a configuration: found, kept back, put in again.

use crate::secret::Secret;
use crate::task::backup::BackupConfiguration;
use crate::task::block::NamedDestination;
use crate::task::destination::{
    AzureSettings, FtpSettings, GlacierSettings, GoogleCloudSettings, S3Settings, SftpSettings,
    WebDavSettings,
};
use std::collections::BTreeMap;

/// What stands for a secret in every answer; sent back, it keeps the stored one.
pub const SECRET_MASK: &str = crate::secret::MASK;

type Slot<'a> = (String, &'a mut Option<Secret>);

fn s3<'a>(at: &str, block: &'a mut S3Settings, slots: &mut Vec<Slot<'a>>) {
    slots.push((format!("{at}S3Settings.AwsSecretKey"), &mut block.aws_secret_key));
    slots.push((format!("{at}S3Settings.AwsSessionToken"), &mut block.aws_session_token));
}

fn glacier<'a>(at: &str, block: &'a mut GlacierSettings, slots: &mut Vec<Slot<'a>>) {
    slots.push((format!("{at}GlacierSettings.AwsSecretKey"), &mut block.aws_secret_key));
    slots.push((format!("{at}GlacierSettings.AwsSessionToken"), &mut block.aws_session_token));
}

fn azure<'a>(at: &str, block: &'a mut AzureSettings, slots: &mut Vec<Slot<'a>>) {
    slots.push((format!("{at}AzureSettings.AccountKey"), &mut block.account_key));
    slots.push((format!("{at}AzureSettings.SasToken"), &mut block.sas_token));
}

fn google<'a>(at: &str, block: &'a mut GoogleCloudSettings, slots: &mut Vec<Slot<'a>>) {
    let path = format!("{at}GoogleCloudSettings.GoogleCredentialsJson");
    slots.push((path, &mut block.google_credentials_json));
}

fn ftp<'a>(at: &str, block: &'a mut FtpSettings, slots: &mut Vec<Slot<'a>>) {
    slots.push((format!("{at}FtpSettings.Password"), &mut block.password));
    slots.push((format!("{at}FtpSettings.CertificateAsBase64"), &mut block.certificate_as_base64));
}

fn sftp<'a>(at: &str, block: &'a mut SftpSettings, slots: &mut Vec<Slot<'a>>) {
    slots.push((format!("{at}SftpSettings.Password"), &mut block.password));
    slots.push((format!("{at}SftpSettings.PrivateKey"), &mut block.private_key));
}

fn web_dav<'a>(at: &str, block: &'a mut WebDavSettings, slots: &mut Vec<Slot<'a>>) {
    slots.push((format!("{at}WebDavSettings.Password"), &mut block.password));
    slots.push((format!("{at}WebDavSettings.CertificateAsBase64"), &mut block.certificate_as_base64));
}

fn named<'a>(one: &'a mut NamedDestination, slots: &mut Vec<Slot<'a>>) {
    // By name and not by place in the list, so that a list in another order keeps its secrets.
    let at = format!("Destinations.{}.", one.name);
    let NamedDestination {
        name: _,
        local_settings: _,
        s3_settings,
        glacier_settings,
        azure_settings,
        google_cloud_settings,
        ftp_settings,
        sftp_settings,
        web_dav_settings,
    } = one;
    s3_settings.iter_mut().for_each(|block| s3(&at, block, slots));
    glacier_settings.iter_mut().for_each(|block| glacier(&at, block, slots));
    azure_settings.iter_mut().for_each(|block| azure(&at, block, slots));
    google_cloud_settings.iter_mut().for_each(|block| google(&at, block, slots));
    ftp_settings.iter_mut().for_each(|block| ftp(&at, block, slots));
    sftp_settings.iter_mut().for_each(|block| sftp(&at, block, slots));
    web_dav_settings.iter_mut().for_each(|block| web_dav(&at, block, slots));
}

impl BackupConfiguration {
    /// Lists every place of a secret by the path of its key; what is not listed here would be shown and stored in
    /// clear, so each secret of the model must be.
    fn slots(&mut self) -> Vec<Slot<'_>> {
        let mut slots = Vec::new();
        if let Some(settings) = &mut self.backup_encryption_settings {
            slots.push(("BackupEncryptionSettings.Key".to_owned(), &mut settings.key));
        }
        self.s3_settings.iter_mut().for_each(|block| s3("", block, &mut slots));
        self.glacier_settings.iter_mut().for_each(|block| glacier("", block, &mut slots));
        self.azure_settings.iter_mut().for_each(|block| azure("", block, &mut slots));
        self.google_cloud_settings.iter_mut().for_each(|block| google("", block, &mut slots));
        self.ftp_settings.iter_mut().for_each(|block| ftp("", block, &mut slots));
        self.sftp_settings.iter_mut().for_each(|block| sftp("", block, &mut slots));
        self.web_dav_settings.iter_mut().for_each(|block| web_dav("", block, &mut slots));
        self.destinations.iter_mut().for_each(|one| named(one, &mut slots));
        slots
    }

    /// Takes every secret out, by the path of its key: what is left can be stored, and shows nothing.
    #[must_use]
    pub fn take_secrets(&mut self) -> BTreeMap<String, Secret> {
        self.slots().into_iter().filter_map(|(path, slot)| slot.take().map(|secret| (path, secret))).collect()
    }

    /// Puts secrets in where there is a place for them.
    pub fn put_secrets(&mut self, mut secrets: BTreeMap<String, Secret>) {
        for (path, slot) in self.slots() {
            if let Some(secret) = secrets.remove(&path) {
                *slot = Some(secret);
            }
        }
    }

    /// Takes, for each secret that is only the mask, the one of an earlier version; clears it where there is none, and
    /// clears empty ones.
    pub fn unmask(&mut self, earlier: Option<&Self>) {
        let mut known = earlier.cloned().map(|mut earlier| earlier.take_secrets()).unwrap_or_default();
        for (path, slot) in self.slots() {
            let given = slot.take();
            *slot = match given {
                Some(secret) if secret.is_mask() => known.remove(&path),
                other => other.filter(|secret| !secret.expose().is_empty()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::read;
    use serde_json::{Value, json};

    fn configuration(value: Value) -> BackupConfiguration {
        read(value.as_object().unwrap()).unwrap()
    }

    fn with_secrets() -> BackupConfiguration {
        configuration(json!({
            "BackupEncryptionSettings": { "Key": "s-key", "EncryptionMode": "UseProvidedKey" },
            "S3Settings": { "AwsSecretKey": "s-aws", "AwsSessionToken": "s-session", "BucketName": "b" },
            "GlacierSettings": { "AwsSecretKey": "s-glacier", "AwsSessionToken": "s-glacier-session" },
            "AzureSettings": { "AccountKey": "s-azure", "SasToken": "s-sas" },
            "GoogleCloudSettings": { "GoogleCredentialsJson": "s-google" },
            "FtpSettings": { "Password": "s-ftp", "CertificateAsBase64": "s-certificate" },
            "SftpSettings": { "Password": "s-sftp", "PrivateKey": "s-private" },
            "WebDavSettings": { "Password": "s-dav", "CertificateAsBase64": "s-dav-certificate" },
            "Destinations": [{ "Name": "second", "S3Settings": { "AwsSecretKey": "s-second", "BucketName": "c" } }],
        }))
    }

    #[test]
    fn no_secret_is_ever_written() {
        let written = serde_json::to_string(&with_secrets()).unwrap();
        assert!(!written.contains("\"s-"), "{written}");
        assert_eq!(written.matches("\"****\"").count(), 15, "{written}");
        assert!(!format!("{:?}", with_secrets()).contains("s-"));
    }

    #[test]
    fn secrets_can_be_taken_out_and_put_in_again() {
        let mut bare = with_secrets();
        let secrets = bare.take_secrets();
        assert_eq!(secrets.len(), 15);
        assert!(!serde_json::to_string(&bare).unwrap().contains("****"));
        bare.put_secrets(secrets);
        assert_eq!(bare, with_secrets());
    }

    #[test]
    fn the_mask_sent_back_keeps_the_secret_and_another_value_replaces_it() {
        let stored = with_secrets();
        let mut update = configuration(serde_json::to_value(&stored).unwrap());
        update.unmask(Some(&stored));
        assert_eq!(update, stored);
        let mut update = configuration(json!({
            "S3Settings": { "AwsSecretKey": "new", "AwsSessionToken": "" },
            "FtpSettings": { "Password": "****" },
        }));
        update.unmask(Some(&stored));
        let s3 = update.s3_settings.as_ref().unwrap();
        assert_eq!(s3.aws_secret_key.as_ref().unwrap().expose(), "new");
        assert_eq!(s3.aws_session_token, None);
        assert_eq!(update.ftp_settings.as_ref().unwrap().password.as_ref().unwrap().expose(), "s-ftp");
        update.unmask(None);
        let mut nothing = configuration(json!({ "FtpSettings": { "Password": "****" } }));
        nothing.unmask(None);
        assert_eq!(nothing.ftp_settings.unwrap().password, None);
    }
}
