//! Azurite, Microsoft's own emulator of Azure Blob Storage.

use crate::component::component;
use crate::program::installed;
use crate::server::Server;
use crate::temporary::TempDir;
use std::process::Command;

/// How the component is installed.
const INSTALL: &str = "npm install --no-save --prefix target/clients/azurite azurite@3.35.0";

/// A running emulator with one account.
///
/// Containers and signatures are made by a script that shares no code with Larder.
#[derive(Debug)]
pub struct Azurite {
    server: Server,
    _directory: TempDir,
}

impl Azurite {
    /// The account's name.
    pub const ACCOUNT: &'static str = "larder";
    /// The account's key.
    pub const KEY: &'static str = "YSBrZXkgdGhhdCBvbmx5IHRlc3RzIGtub3c=";

    /// Starts it, on a port that the system picks.
    #[must_use]
    pub fn start() -> Self {
        let directory = TempDir::new();
        let program = component("azurite/node_modules/azurite/dist/src/blob/main.js", INSTALL);
        let mut command = Command::new(installed("node", "nodejs"));
        command.arg(program).args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--location"]);
        command.arg(directory.path());
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.env("AZURITE_ACCOUNTS", format!("{}:{}", Self::ACCOUNT, Self::KEY));
        Self { server: Server::start_command(command), _directory: directory }
    }

    /// Returns the address of the account, as `CustomServerUrl` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/{}", self.server.url(), Self::ACCOUNT)
    }

    /// Makes a container.
    pub fn make_container(&self, name: &str) {
        self.script(&["make", name]);
    }

    /// Signs a token for one container with some rights, as `racwdl` for all that backups need.
    #[must_use]
    pub fn sas_token(&self, container: &str, rights: &str) -> String {
        self.script(&["sas", container, rights])
    }

    fn script(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(installed("node", "nodejs"));
        command.args(["--input-type=module", "-e", include_str!("azurite.mjs"), "--"]);
        command.args([&self.url(), Self::ACCOUNT, Self::KEY]).args(arguments);
        let output = command.output().expect("node starts");
        let (said, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}{error}");
        said.trim().to_owned()
    }
}
