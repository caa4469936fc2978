//! The key of a service account, made and judged by OpenSSL.

use crate::program::installed;
use crate::temporary::TempDir;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// A key that nobody else has.
#[derive(Debug)]
pub(crate) struct GcsKey {
    directory: TempDir,
}

impl GcsKey {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let key = Self { directory: TempDir::new() };
        assert!(key.openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-out", "private.pem"]));
        assert!(key.openssl(&["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"]));
        key
    }

    /// Writes the key file as Google hands it out.
    pub(crate) fn file(&self, token_uri: &str) -> String {
        let private = fs::read_to_string(self.directory.join("private.pem")).unwrap();
        let file = json!({
            "type": "service_account", "project_id": "larder", "private_key_id": "1", "private_key": private,
            "client_email": "backup@larder.example", "client_id": "1", "token_uri": token_uri,
        });
        file.to_string()
    }

    /// Says whether a JSON web token (RFC 7519) is signed by this key and names the account.
    pub(crate) fn signed(&self, token: &str) -> bool {
        let Some((text, signature)) = token.rsplit_once('.') else { return false };
        let Some((_, claims)) = text.split_once('.') else { return false };
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        fs::write(self.directory.join("text"), text).unwrap();
        fs::write(self.directory.join("signature"), BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        claims["iss"] == "backup@larder.example"
            && claims["scope"].as_str().is_some_and(|scope| scope.contains("devstorage"))
            && self.openssl(&["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "text"])
    }

    fn openssl(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new(installed("openssl", "openssl"));
        command.args(arguments).current_dir(self.directory.path());
        command.output().expect("openssl starts").status.success()
    }
}
