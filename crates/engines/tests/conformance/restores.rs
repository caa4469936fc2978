//! How backups come back.

use super::interference::Broken;
use super::{Bench, NAMES, assert_same};
use larder_engines::EngineError;

pub(crate) fn a_full_backup_comes_back_in_the_same_server_under_a_new_name(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let before = bench.content(&bench.source(), "shop");
    let taken = bench.full("shop");
    bench.restore(&taken, &bench.source(), "copy");
    assert_same(bench.content(&bench.source(), "copy"), &before);
    assert_same(bench.content(&bench.source(), "shop"), &before);
    let comparison = bench.compare(&taken, &bench.source(), "copy");
    assert_eq!(comparison.differences, [""; 0]);
    assert!(!comparison.compared.is_empty());
}

pub(crate) fn a_full_backup_comes_back_in_another_server(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let taken = bench.full("shop");
    let second = bench.second();
    bench.restore(&taken, &second, "shop");
    assert_same(bench.content(&second, "shop"), bench.content(&bench.source(), "shop"));
    let comparison = bench.compare(&taken, &second, "shop");
    assert_eq!(comparison.differences, [""; 0]);
}

pub(crate) fn names_of_every_kind_come_back(bench: &dyn Bench) {
    for name in NAMES {
        bench.make(name);
        bench.fill(name);
    }
    let found = bench.discovered();
    for name in NAMES {
        assert!(found.iter().any(|found| found == name), "{name}: {found:?}");
        let taken = bench.full(name);
        let copy = format!("{name}, again");
        bench.restore(&taken, &bench.source(), &copy);
        assert_same(bench.content(&bench.source(), &copy), bench.content(&bench.source(), name));
    }
}

pub(crate) fn an_empty_database_comes_back_empty(bench: &dyn Bench) {
    bench.make("empty");
    let before = bench.content(&bench.source(), "empty");
    let (mut backup, source) = (crate::memory::MemoryBackup::default(), bench.source());
    let cancel = larder_model::Cancel::new();
    let report = super::try_take(bench, &source, "empty", None, &mut backup, &cancel).unwrap();
    let database = crate::memory::database(&source, "empty");
    let taken = super::Taken { backup, report, database };
    bench.restore(&taken, &source, "copy");
    assert_same(bench.content(&source, "copy"), before);
    assert_eq!(bench.compare(&taken, &source, "copy").differences, [""; 0]);
}

pub(crate) fn one_large_table_comes_back(bench: &dyn Bench) {
    bench.make("large");
    bench.fill_large("large");
    let taken = bench.full("large");
    let bytes: usize = taken.backup.entries.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes > 20 << 20, "{bytes}");
    bench.restore(&taken, &bench.source(), "copy");
    assert_eq!(bench.compare(&taken, &bench.source(), "copy").differences, [""; 0]);
}

pub(crate) fn a_database_that_is_there_is_never_overwritten_unless_told_so(bench: &dyn Bench) {
    for name in ["shop", "other"] {
        bench.make(name);
        bench.fill(name);
    }
    let taken = bench.full("shop");
    bench.change("other");
    let (source, before) = (bench.source(), bench.content(&bench.source(), "other"));
    let refused = bench.try_restore(&taken, &source, "other", false);
    assert!(matches!(refused, Err(EngineError::TargetNotEmpty { .. })), "{refused:?}");
    assert_same(bench.content(&source, "other"), before);
    let databases = bench.discovered();
    bench.try_restore(&taken, &source, "other", true).unwrap();
    assert_same(bench.content(&source, "other"), bench.content(&source, "shop"));
    assert_eq!(bench.discovered(), databases, "nothing temporary is left");
}

pub(crate) fn a_restore_that_breaks_leaves_nothing_behind(bench: &dyn Bench) {
    for name in ["shop", "other"] {
        bench.make(name);
        bench.fill(name);
    }
    let taken = bench.full("shop");
    bench.change("other");
    let (source, before) = (bench.source(), bench.content(&bench.source(), "other"));
    let databases = bench.discovered();
    let broken = Broken(&taken.backup);
    for (name, overwrite) in [("copy", false), ("other", true)] {
        let error = bench.try_restore_from(&broken, &taken.report, &source, name, overwrite).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        assert_eq!(bench.discovered(), databases, "{name}");
    }
    assert_same(bench.content(&source, "other"), before);
}

pub(crate) fn a_comparison_sees_what_differs(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let taken = bench.full("shop");
    bench.restore(&taken, &bench.source(), "copy");
    bench.change("copy");
    assert_ne!(bench.compare(&taken, &bench.source(), "copy").differences, [""; 0]);
}

pub(crate) fn a_backup_is_proved_in_a_private_server(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let mut taken = bench.full("shop");
    let databases = bench.discovered();
    let comparison = bench.prove(&taken);
    assert_eq!(comparison.differences, [""; 0]);
    assert!(!comparison.compared.is_empty());
    assert_eq!(bench.discovered(), databases, "the proof touches no other server");
    // What the engine said of another state is not what is found.
    bench.change("shop");
    taken.report = bench.full("shop").report;
    assert_ne!(bench.prove(&taken).differences, [""; 0]);
}
