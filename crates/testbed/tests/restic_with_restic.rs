//! The runner of restic does what the tests of repositories rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use larder_testbed::{Restic, TempDir, TreeShape, compare_trees_restored_by_restic};
use std::fs;

#[test]
fn restic_keeps_what_the_shapes_are_made_of() {
    let directory = TempDir::new();
    let restic = Restic::new(directory.join("repository"), "a password");
    restic.init();
    let shapes = [
        "names-not-utf8",
        "symlinks",
        "hard-links",
        "extended-attributes",
        "modes",
        "owners",
        "sockets",
        "sparse-file",
    ];
    for shape in shapes.map(TreeShape::named) {
        let (source, target) =
            (directory.join(shape.name), directory.join(format!("{}-restored", shape.name)));
        fs::create_dir(&source).unwrap();
        shape.build(&source);
        restic.backup(&source);
        restic.restore("latest", &target);
        let differences = compare_trees_restored_by_restic(&source, &target);
        assert_eq!(differences, [""; 0], "{}", shape.name);
    }
    restic.check_read_data();
    assert_eq!(restic.snapshots().len(), restic.list("snapshots").len());
}
