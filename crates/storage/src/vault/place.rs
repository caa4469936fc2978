//! Where a vault is: its region, its host, and the folder that stands before every object's name.

use crate::http::{Address, encode};
use crate::prefix::Prefix;
use crate::s3::said;
use larder_model::task::{Block, GlacierSettings};

/// The region where nothing is said.
const DEFAULT_REGION: &str = "us-east-1";

/// The address of a vault and of the folder in it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The vault's name.
    pub(super) vault: String,
    /// The region that requests are signed for.
    pub(super) region: String,
    /// What stands before the path of every object.
    pub(super) prefix: Prefix,
    address: Address,
    name: String,
}

impl Place {
    /// Reads it from the settings.
    ///
    /// # Errors
    /// Says what of them makes no sense.
    pub(super) fn read(settings: &GlacierSettings) -> Result<Self, String> {
        let vault = said(&settings.vault_name).ok_or("no vault is named; set VaultName")?.to_owned();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if vault.len() > 255 || !vault.chars().all(allowed) || vault.chars().all(|c| c == '.') {
            return Err(format!("'{vault}' is no vault's name; write a folder into RemoteFolderName"));
        }
        let region = said(&settings.aws_region_name).unwrap_or(DEFAULT_REGION).to_ascii_lowercase();
        if !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("'{region}' is no region; one looks like eu-central-1"));
        }
        let address = match said(&settings.custom_server_url) {
            Some(url) => Address::read(url)?,
            None => {
                let top = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                Address::read(&format!("https://glacier.{region}.{top}"))?
            }
        };
        let prefix = Prefix::new(settings.remote_folder_name.as_deref())?;
        let name = Block::Glacier(settings).address().unwrap_or_default();
        Ok(Self { vault, region, prefix, address, name })
    }

    /// Names the place for messages.
    pub(super) fn describe(&self) -> &str {
        &self.name
    }

    /// Returns the address of something below the vault, `/archives`, which is already encoded; a query may follow.
    ///
    /// # Errors
    /// No address can be made of it.
    pub(super) fn uri(&self, below: &str) -> Result<http::Uri, String> {
        self.address.uri(&format!("/-/vaults/{}{below}", encode(&self.vault)))
    }

    /// Names the vault as a policy does.
    pub(super) fn resource(&self) -> String {
        format!("arn:aws:glacier:{}:*:vaults/{}", self.region, self.vault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(change: impl FnOnce(&mut GlacierSettings)) -> Result<Place, String> {
        let mut settings =
            GlacierSettings { vault_name: Some("examplevault".to_owned()), ..GlacierSettings::default() };
        change(&mut settings);
        Place::read(&settings)
    }

    #[test]
    fn a_vault_lies_at_the_host_of_its_region_or_at_the_one_that_is_named() {
        let uri = |place: Place| place.uri("/archives").unwrap().to_string();
        let of_region = place(|settings| settings.aws_region_name = Some("EU-west-1".to_owned())).unwrap();
        assert_eq!(of_region.describe(), "glacier://eu-west-1/examplevault");
        assert_eq!(uri(of_region), "https://glacier.eu-west-1.amazonaws.com/-/vaults/examplevault/archives");
        let named =
            place(|settings| settings.custom_server_url = Some("http://127.0.0.1:5000/".to_owned())).unwrap();
        assert_eq!(uri(named), "http://127.0.0.1:5000/-/vaults/examplevault/archives");
    }

    #[test]
    fn what_can_be_no_vault_is_refused_with_what_to_do() {
        for (name, says) in [(" ", "VaultName"), ("a/b", "RemoteFolderName"), ("..", "no vault's name")] {
            let error = place(|settings| settings.vault_name = Some(name.to_owned())).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(place(|settings| settings.remote_folder_name = Some("a/../b".to_owned())).is_err());
        assert!(place(|settings| settings.aws_region_name = Some("eu west".to_owned())).is_err());
    }
}
