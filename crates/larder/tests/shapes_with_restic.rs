//! Every tree shape: backed up by Larder, restored by Larder and by stock restic, checked by both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Restic, TempDir, TreeShape, compare_trees, compare_trees_restored_by_restic};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use support::run;

#[test]
fn every_tree_shape_comes_back_the_same_from_larder_and_from_restic() {
    assert!(TreeShape::ALL.len() >= 20);
    let place = TempDir::new();
    let (data, backups, key) = (place.join("data"), place.join("data/backups"), place.join("data/key"));
    let roots: Vec<_> = TreeShape::ALL.iter().map(|shape| place.join(shape.name)).collect();
    for (shape, root) in TreeShape::ALL.iter().zip(&roots) {
        fs::create_dir(root).unwrap();
        shape.build(root);
    }
    let words = ["quickstart", "--once", "--data"].map(OsStr::new);
    let ended =
        run(words.into_iter().chain([data.as_os_str()]).chain(roots.iter().map(|root| root.as_os_str())));
    let table = ended.expect(0).said;
    let password = fs::read_to_string(&key).unwrap();

    let mut failures = Vec::new();
    for (shape, original) in TreeShape::ALL.iter().zip(&roots) {
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(shape.name));
        assert!(row.is_some_and(|row| row.trim_end().ends_with("verified")), "{}: {table}", shape.name);

        let offline =
            [OsStr::new("--destination"), backups.as_os_str(), OsStr::new("--key-file"), key.as_os_str()];
        let by_larder = place.join(format!("{}-by-larder", shape.name));
        let words = [OsStr::new("restore"), OsStr::new(shape.name), by_larder.as_os_str()];
        run(words.into_iter().chain(offline)).expect(0);
        run(["check", shape.name, "--read-data"].map(OsStr::new).into_iter().chain(offline)).expect(0);
        note(&mut failures, shape, "larder", compare_trees(original, &by_larder));

        let restic = Restic::new(backups.join(shape.name), password.trim());
        restic.check_read_data();
        let by_restic = place.join(format!("{}-by-restic", shape.name));
        // restic does not make the target of an empty backup.
        fs::create_dir(&by_restic).unwrap();
        restic.restore("latest", &by_restic);
        note(&mut failures, shape, "restic", compare_trees_restored_by_restic(original, &by_restic));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn note(failures: &mut Vec<String>, shape: &TreeShape, program: &str, differences: Vec<String>) {
    failures.extend(differences.iter().take(5).map(|what| format!("{} by {program}: {what}", shape.name)));
}

#[test]
fn a_snapshot_names_the_path_that_it_is_of() {
    let site = support::Site::new();
    site.quickstart(&[]).expect(0);
    let password = fs::read_to_string(site.data().join("key")).unwrap();
    let snapshots = Restic::new(site.data().join("backups/tree"), password.trim()).snapshots();
    let paths = snapshots[0]["paths"].as_array().unwrap();
    assert_eq!(paths.len(), 1);
    assert_eq!(Path::new(paths[0].as_str().unwrap()), site.tree());
}
