//! moto, which imitates Amazon: archive classes of S3, and Glacier vaults. It keeps everything in memory.

use crate::boto::Boto;
use crate::pypi::from_pypi;
use crate::server::Server;
use std::process::Command;

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    server: Server,
}

impl Moto {
    /// Starts one that believes every key.
    #[must_use]
    pub fn start() -> Self {
        Self { server: Server::start_command(Self::command()) }
    }

    /// Starts one that refuses keys it does not know, and returns the key of a user who may do everything.
    #[must_use]
    pub fn start_strict() -> (Self, String, String) {
        let mut command = Self::command();
        // The three calls that make the user are believed.
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", "3");
        let moto = Self { server: Server::start_command(command) };
        let key = moto.boto("any", "any").run(
            "iam = client('iam')\n\
             iam.create_user(UserName='larder')\n\
             everything = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}]}\n\
             iam.put_user_policy(UserName='larder', PolicyName='all', PolicyDocument=json.dumps(everything))\n\
             key = iam.create_access_key(UserName='larder')['AccessKey']\n\
             print(key['AccessKeyId'], key['SecretAccessKey'])",
        );
        let (access, secret) = key.split_once(' ').expect("a key of two halves");
        (moto, access.to_owned(), secret.to_owned())
    }

    fn command() -> Command {
        let mut command = Command::new(from_pypi("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        command
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns Amazon's own client for it.
    #[must_use]
    pub fn boto(&self, access_key: &str, secret_key: &str) -> Boto {
        Boto::new(&self.url(), access_key, secret_key)
    }

    /// Returns the requests that it answered so far, as `PUT /bucket/key HTTP/1.1`, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let said = self.server.said();
        said.lines().filter_map(|line| line.split('"').nth(1)).map(without_colours).collect()
    }
}

/// Refusals are printed in colour: an escape, a bracket, numbers, an `m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or(part, |(_, rest)| rest))
}
