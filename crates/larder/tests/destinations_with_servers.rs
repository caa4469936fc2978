//! One task and every kind of destination at once, each served by a real server of its protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{
    ApacheDav, Azurite, Moto, ProFtpd, ProFtpdMode, RadosGw, RcloneS3, Server, Sshd, TempDir, compare_trees,
    installed,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Ended, Site, ask, run};

/// The names of the destinations that the task has besides its own folder.
const FURTHER: [&str; 6] = ["eu-central", "us-east", "ap-south", "blobs", "files", "shell"];

/// A server of each protocol.
struct Servers {
    ceph: RadosGw,
    rclone: RcloneS3,
    azurite: Azurite,
    ftp: ProFtpd,
    ssh: Sshd,
}

impl Servers {
    fn start() -> Self {
        let ceph = RadosGw::start();
        for bucket in ["eu-central", "us-east"] {
            ceph.boto().make_bucket(bucket);
        }
        let azurite = Azurite::start();
        azurite.make_container("backups");
        let this = Self {
            ceph,
            rclone: RcloneS3::start("ap-south"),
            azurite,
            ftp: ProFtpd::start(ProFtpdMode::Plain),
            ssh: Sshd::start(),
        };
        let _ = installed("ssh", "openssh-client");
        this
    }

    fn s3(&self, bucket: &str) -> Value {
        let (url, key) = match bucket {
            "ap-south" => (self.rclone.url(), self.rclone.key()),
            _ => (self.ceph.url(), self.ceph.key()),
        };
        json!({
            "BucketName": bucket, "CustomServerUrl": url, "AwsRegionName": "us-east-1", "ForcePathStyle": true,
            "RemoteFolderName": "larder", "AwsAccessKey": key.0, "AwsSecretKey": key.1,
        })
    }

    /// Returns the block of a destination, by its name in the task.
    fn block(&self, name: &str) -> (&'static str, Value) {
        match name {
            "blobs" => (
                "AzureSettings",
                json!({
                    "StorageContainer": "backups", "RemoteFolderName": "larder", "AccountName": Azurite::ACCOUNT,
                    "AccountKey": Azurite::KEY, "CustomServerUrl": self.azurite.url(),
                }),
            ),
            "files" => (
                "FtpSettings",
                json!({
                    "Url": format!("ftp://127.0.0.1:{}/larder", self.ftp.port()),
                    "UserName": ProFtpd::USER, "Password": ProFtpd::PASSWORD,
                }),
            ),
            "shell" => (
                "SftpSettings",
                json!({
                    "Url": format!(
                        "sftp://{}@127.0.0.1:{}{}",
                        self.ssh.user(), self.ssh.port(), self.ssh.directory("larder").display()
                    ),
                    "PrivateKey": self.ssh.private_key(), "KnownHosts": self.ssh.known_host(self.ssh.port()),
                }),
            ),
            bucket => ("S3Settings", self.s3(bucket)),
        }
    }

    fn task(&self, local: &Path) -> Value {
        let further = |name: &&str| {
            let (key, block) = self.block(name);
            let mut one = json!({ "Name": name });
            one[key] = block;
            one
        };
        json!({
            "Name": "Everywhere", "FullBackupFrequency": "0 2 1 1 *",
            "LocalSettings": { "FolderPath": local },
            "Destinations": FURTHER.iter().map(further).collect::<Vec<_>>(),
        })
    }

    /// Returns stock restic on a repository, where it speaks the protocol, with what it is told besides the address.
    fn restic(&self, name: &str) -> Option<Command> {
        let mut command = Command::new(installed("restic", "restic"));
        command.arg("--no-cache");
        let address = match name {
            "shell" => {
                let key = self.ssh.directory("restic_key");
                write_private(&key, &self.ssh.private_key());
                let known = self.ssh.directory("restic_known");
                std::fs::write(&known, self.ssh.known_host(self.ssh.port())).unwrap();
                let ssh = format!(
                    "sftp.command=ssh -p {} -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} {}@127.0.0.1 -s sftp",
                    self.ssh.port(),
                    key.display(),
                    known.display(),
                    self.ssh.user()
                );
                command.args(["-o", &ssh]);
                format!("sftp:{}@127.0.0.1:{}/tree", self.ssh.user(), self.ssh.directory("larder").display())
            }
            "eu-central" | "us-east" | "ap-south" => {
                let s3 = self.s3(name);
                let text = |key: &str| s3[key].as_str().unwrap().to_owned();
                command.env("AWS_ACCESS_KEY_ID", text("AwsAccessKey"));
                command.env("AWS_SECRET_ACCESS_KEY", text("AwsSecretKey"));
                format!("s3:{}/{name}/larder/tree", text("CustomServerUrl"))
            }
            _ => return None,
        };
        command.env("RESTIC_REPOSITORY", address);
        Some(command)
    }
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn write(path: PathBuf, value: &Value) -> String {
    std::fs::write(&path, serde_json::to_string_pretty(value).unwrap()).unwrap();
    path.display().to_string()
}

/// Starts Larder with the tree as its source, and the task.
fn begun(site: &Site, servers: &Servers) -> (Server, PathBuf) {
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    let local = site.directory.join("local");
    let task = write(site.directory.join("everywhere.json"), &servers.task(&local));
    ask(&server, &["task", "put", &task]).expect(0);
    (server, local)
}

fn backed_up(server: &Server) -> Value {
    let ended = ask(server, &["backup", "now", "tree", "--full", "--wait", "--json"]);
    assert_eq!(ended.code, 0, "{ended:#?}");
    ended.json()[0].clone()
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    ask(server, &[arguments, &["--json"]].concat()).json()
}

#[test]
fn one_task_writes_everywhere_at_once_and_each_place_alone_gives_everything_back() {
    let servers = Servers::start();
    let site = Site::new();
    let (server, local) = begun(&site, &servers);

    let tests = json(&server, &["destination", "test", "Everywhere"]);
    for test in tests.as_array().unwrap() {
        assert_eq!(test["Works"], true, "{test:#}");
    }
    assert_eq!(tests.as_array().unwrap().len(), FURTHER.len() + 1);

    let operation = backed_up(&server);
    let outcomes = operation["Destinations"].as_array().unwrap();
    assert_eq!(outcomes.len(), FURTHER.len() + 1);
    for outcome in outcomes {
        assert!(outcome["Backup"].is_string() && outcome["BytesStored"].as_u64().unwrap() > 0, "{outcome:#}");
    }
    let again = ask(&server, &["backup", "now", "tree", "--wait"]);
    assert_eq!(again.code, 0, "{again:#?}");
    for one in json(&server, &["destination", "compare", "tree"]).as_array().unwrap() {
        assert_eq!((&one["Lacking"], &one["LostObjects"]), (&json!([]), &json!(0)), "{one:#}");
    }

    // With the server.
    for name in std::iter::once("Local").chain(FURTHER) {
        let target = TempDir::new();
        let into = target.join("restored");
        let ended = ask(&server, &["restore", "tree", into.to_str().unwrap(), "--destination", name]);
        assert_eq!(ended.code, 0, "{name}: {ended:#?}");
        assert_eq!(compare_trees(&site.tree(), &into), Vec::<String>::new(), "{name}");
    }
    drop(server);

    // With nothing but the key and where the backups are.
    let key = site.data().join("key");
    let offline = |place: &str, into: &Path| -> Ended {
        let (into, key) = (into.to_str().unwrap(), key.to_str().unwrap());
        run(["restore", "tree", into, "--destination", place, "--key-file", key])
    };
    for name in std::iter::once("Local").chain(FURTHER) {
        let place = if name == "Local" {
            local.display().to_string()
        } else {
            let (key, block) = servers.block(name);
            write(site.directory.join(format!("{name}.json")), &json!({ key: block }))
        };
        let target = TempDir::new();
        let into = target.join("restored");
        let ended = offline(&place, &into);
        assert_eq!(ended.code, 0, "{name}: {ended:#?}");
        assert_eq!(compare_trees(&site.tree(), &into), Vec::<String>::new(), "{name}");
    }

    // By stock restic.
    let password = std::fs::read_to_string(&key).unwrap();
    for name in ["eu-central", "us-east", "ap-south", "shell"] {
        let mut check = servers.restic(name).unwrap();
        let output =
            check.env("RESTIC_PASSWORD", password.trim()).args(["check", "--read-data"]).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let target = TempDir::new();
        let mut restore = servers.restic(name).unwrap();
        restore.env("RESTIC_PASSWORD", password.trim()).args(["restore", "latest", "--target"]);
        let output = restore.arg(target.path()).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let restored = target.path().join("readme.txt");
        assert!(restored.is_file() || target.path().join("tree").exists(), "{name}: {output:?}");
    }
}

#[test]
fn a_region_that_is_down_fails_alone_and_is_healed_by_copying() {
    let servers = Servers::start();
    let site = Site::new();
    let (server, _) = begun(&site, &servers);
    let _ = backed_up(&server);
    // The bucket is there, and the key is refused.
    let mut task = servers.task(&site.directory.join("local"));
    task["Destinations"][2]["S3Settings"]["AwsSecretKey"] = json!("not the key");
    let broken = write(site.directory.join("broken.json"), &task);
    ask(&server, &["task", "put", &broken]).expect(0);
    let test = ask(&server, &["destination", "test", "Everywhere", "ap-south", "--json"]);
    assert_eq!(test.code, 1, "{test:#?}");
    let test = test.json()[0].clone();
    assert_eq!(
        (test["Works"].as_bool(), &test["Missing"][0]),
        (Some(false), &json!("write objects")),
        "{test:#}"
    );
    assert!(!test.to_string().contains("not the key"), "{test:#}");
    std::fs::write(site.tree().join("new.txt"), "what the third region misses\n").unwrap();
    let ended = ask(&server, &["backup", "now", "tree", "--full", "--wait", "--json"]);
    assert_ne!(ended.code, 0, "{ended:#?}");
    let operation = ended.json()[0].clone();
    let failed: Vec<&str> = operation["Destinations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|outcome| outcome["Error"].is_string())
        .map(|outcome| outcome["Destination"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["ap-south"], "{operation:#}");

    let whole = write(site.directory.join("whole.json"), &servers.task(&site.directory.join("local")));
    ask(&server, &["task", "put", &whole]).expect(0);
    let compared = json(&server, &["destination", "compare", "tree"]);
    let third =
        compared.as_array().unwrap().iter().find(|one| one["Destination"]["Name"] == "ap-south").unwrap();
    assert_eq!(third["Lacking"].as_array().unwrap().len(), 1, "{third:#}");
    assert!(third["LackingBytes"].as_u64().unwrap() > 0, "{third:#}");
    let healed = ask(&server, &["destination", "heal", "tree", "ap-south", "--wait", "--json"]);
    assert_eq!(healed.code, 0, "{healed:#?}");
    for one in json(&server, &["destination", "compare", "tree"]).as_array().unwrap() {
        assert_eq!(one["Lacking"], json!([]), "{one:#}");
    }
    let target = TempDir::new();
    let into = target.join("restored");
    ask(&server, &["restore", "tree", into.to_str().unwrap(), "--destination", "ap-south"]).expect(0);
    assert!(into.join("new.txt").is_file());
    // The task goes, and its backups stay within reach.
    ask(&server, &["task", "delete", "Everywhere"]).expect(0);
    let listed = json(&server, &["backup", "list", "tree"]);
    assert_eq!(listed["Backups"].as_array().unwrap().len(), 2 * (FURTHER.len() + 1), "{listed:#}");
}

#[test]
fn one_block_with_three_hosts_is_three_regions_filled_in_one_pass() {
    let regions = [Moto::start(), Moto::start(), Moto::start()];
    for region in &regions {
        region.boto("AKMOTO", "SKMOTO").make_bucket("backups");
    }
    let hosts = regions.iter().map(Moto::url).collect::<Vec<_>>().join(":");
    let site = Site::new();
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    let task = json!({
        "Name": "Regions", "FullBackupFrequency": "0 2 1 1 *",
        "S3Settings": {
            "BucketName": "backups", "RemoteFolderName": "larder", "CustomServerUrl": hosts,
            "AwsAccessKey": "AKMOTO", "AwsSecretKey": "SKMOTO",
        },
    });
    let task = write(site.directory.join("regions.json"), &task);
    ask(&server, &["task", "put", &task]).expect(0);
    let operation = backed_up(&server);
    let outcomes = operation["Destinations"].as_array().unwrap();
    assert_eq!(outcomes.len(), 3, "{operation:#}");
    let names: Vec<&str> = outcomes.iter().map(|one| one["Destination"].as_str().unwrap()).collect();
    for (region, name) in regions.iter().zip(&names) {
        assert!(name.ends_with(region.url().trim_start_matches("http://")), "{names:?}");
        let keys = region
            .boto("AKMOTO", "SKMOTO")
            .run("print(*[o['Key'] for o in s3.list_objects_v2(Bucket='backups')['Contents']])");
        assert!(keys.contains("larder/tree/snapshots/") && keys.contains("larder/tree/data/"), "{keys}");
        let target = TempDir::new();
        let into = target.join("restored");
        ask(&server, &["restore", "tree", into.to_str().unwrap(), "--destination", name]).expect(0);
        assert_eq!(compare_trees(&site.tree(), &into), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_server_that_speaks_webdav_gives_everything_back() {
    let dav = ApacheDav::start();
    let block = json!({ "Url": dav.url(), "UserName": ApacheDav::USER, "Password": ApacheDav::PASSWORD });
    let site = Site::new();
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    let task = json!({ "Name": "Cloud", "FullBackupFrequency": "0 2 1 1 *", "WebDavSettings": block });
    let task = write(site.directory.join("cloud.json"), &task);
    ask(&server, &["task", "put", &task]).expect(0);
    ask(&server, &["destination", "test", "Cloud"]).expect(0);
    let _ = backed_up(&server);
    let target = TempDir::new();
    let into = target.join("restored");
    ask(&server, &["restore", "tree", into.to_str().unwrap()]).expect(0);
    assert_eq!(compare_trees(&site.tree(), &into), Vec::<String>::new());
}
