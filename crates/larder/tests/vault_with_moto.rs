//! A vault out of RavenDB's old setup document: imported, written to, and restored from, as moto imitates it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Moto, TempDir, compare_trees};
use serde_json::{Value, json};
use support::{Site, ask, run};

const KEY: (&str, &str) = ("AKMOTO", "SKMOTO");

#[test]
fn an_imported_vault_wins_over_the_bucket_is_backed_up_to_and_gives_everything_back() {
    let moto = Moto::start();
    let boto = moto.boto(KEY.0, KEY.1);
    let _ = boto.run("glacier.create_vault(accountId='-', vaultName='archive')");
    boto.make_bucket("unused");
    let site = Site::new();
    let setup = json!({
        "GlacierVaultName": "archive", "S3BucketName": "unused", "AwsRegionEndpoint": "us-east-1",
        "S3RemoteFolderName": "larder", "IntervalMilliseconds": 21_600_000,
    });
    let settings = json!({
        "Settings": { "Raven/AWSAccessKey": KEY.0 }, "SecuredSettings": { "Raven/AWSSecretKey": KEY.1 },
    });
    let (document, keys) = (site.directory.join("setup.json"), site.directory.join("settings.json"));
    std::fs::write(&document, setup.to_string()).unwrap();
    std::fs::write(&keys, settings.to_string()).unwrap();
    let (document, keys) = (document.to_str().unwrap(), keys.to_str().unwrap());
    let printed =
        run(["import", "raven-setup", document, "--settings", keys, "--name", "Old", "--print", "--json"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    let mut task: Value = printed.json();
    assert_eq!(task["GlacierSettings"]["VaultName"], "archive");
    assert!(task.get("S3Settings").is_none(), "{task:#}");
    // The server is not Amazon's.
    task["GlacierSettings"]["CustomServerUrl"] = json!(moto.url());
    task["GlacierSettings"]["AwsSecretKey"] = json!(KEY.1);
    task["GlacierSettings"]["RetrievalTier"] = json!("Expedited");
    let file = site.directory.join("task.json");
    std::fs::write(&file, task.to_string()).unwrap();

    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&server, &["destination", "test", "Old"]).expect(0);
    ask(&server, &["backup", "now", "tree", "--full", "--wait"]).expect(0);
    // The second one reads the first one's index and tree, which are at hand.
    std::fs::write(site.tree().join("new.txt"), "since then\n").unwrap();
    ask(&server, &["backup", "now", "tree", "--wait"]).expect(0);
    let listed = ask(&server, &["backup", "list", "tree", "--json"]).json();
    assert_eq!(listed["Backups"].as_array().unwrap().len(), 2, "{listed:#}");
    let archives =
        boto.run("print(glacier.describe_vault(accountId='-', vaultName='archive')['NumberOfArchives'])");
    assert!(archives.parse::<u32>().unwrap() > 6, "{archives}");
    let in_bucket = boto.run("print(s3.list_objects_v2(Bucket='unused')['KeyCount'])");
    assert_eq!(in_bucket, "0");

    let target = TempDir::new();
    let into = target.join("restored");
    ask(&server, &["restore", "tree", into.to_str().unwrap()]).expect(0);
    assert_eq!(compare_trees(&site.tree(), &into), Vec::<String>::new());
    assert!(
        moto.requests().iter().any(|request| request.contains("/output")),
        "nothing came out of the vault"
    );
}
