//! What backups of a server are.

use super::{Bench, Interfering, assert_same, try_take};
use larder_engines::{ChangeCheck, EngineError};
use larder_model::Cancel;
use std::time::{Duration, Instant};

/// Names that servers have to put up with.
pub(crate) const NAMES: [&str; 6] =
    ["with space", "quo\"te", "apo'strophe", "ünï-çødé-数据", "UPPER.case", "$(id);--"];

pub(crate) fn databases_are_found_as_they_come_and_go(bench: &dyn Bench) {
    let has = |name: &str| bench.discovered().iter().any(|found| found == name);
    assert!(!has("shop"));
    bench.make("shop");
    bench.make("stock");
    assert!(has("shop") && has("stock"));
    assert_eq!(bench.discovered(), bench.discovered(), "the same question has the same answer");
    bench.rename("shop", "market");
    assert!(!has("shop") && has("market"));
    bench.drop("market");
    assert!(!has("market") && has("stock"));
}

pub(crate) fn an_incremental_holds_what_changed(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let full = bench.full("shop");
    bench.change("shop");
    let after = bench.content(&bench.source(), "shop");
    let incremental = bench.incremental("shop", full);
    bench.restore(&incremental, &bench.source(), "copy");
    assert_same(bench.content(&bench.source(), "copy"), after);
}

pub(crate) fn what_did_not_change_is_known_to_be_unchanged(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let taken = bench.full("shop");
    let engines = bench.engines();
    let detects = engines.get(bench.kind()).capabilities().detects_unchanged;
    if detects && bench.proves_unchanged() {
        assert_eq!(bench.changed(&taken), ChangeCheck::Unchanged);
        assert_eq!(bench.changed(&taken), ChangeCheck::Unchanged, "asking changes nothing");
    }
    bench.change("shop");
    assert_eq!(bench.changed(&taken), ChangeCheck::MaybeChanged);
    let position = Some("nonsense".to_owned());
    let report = larder_engines::BackupReport { position, ..taken.report.clone() };
    let nonsense = super::Taken { report, ..taken };
    assert_eq!(bench.changed(&nonsense), ChangeCheck::MaybeChanged);
}

pub(crate) fn a_backup_under_load_is_of_one_moment(bench: &dyn Bench) {
    bench.make("bank");
    let load = bench.load("bank");
    load.await_progress();
    let mut sink = Interfering::after(1, || load.await_progress());
    let report = try_take(bench, &bench.source(), "bank", None, &mut sink, &Cancel::new()).unwrap();
    let backup = std::mem::take(&mut sink.inner);
    drop(sink);
    load.await_progress();
    drop(load);
    let database = crate::memory::database(&bench.source(), "bank");
    let taken = super::Taken { backup, report, database };
    bench.restore(&taken, &bench.source(), "copy");
    assert_eq!(bench.broken_by_load(&bench.source(), "copy"), None);
    let comparison = bench.compare(&taken, &bench.source(), "copy");
    assert_eq!(comparison.differences, [""; 0]);
}

pub(crate) fn an_aborted_backup_ends_soon_and_is_none(bench: &dyn Bench) {
    bench.make("large");
    bench.fill_large("large");
    let cancel = Cancel::new();
    let mut sink = Interfering::after(1 << 20, || cancel.cancel());
    let begun = Instant::now();
    let aborted = try_take(bench, &bench.source(), "large", None, &mut sink, &cancel);
    assert!(matches!(aborted, Err(EngineError::Canceled(_))), "{aborted:?}");
    assert!(sink.acted());
    assert!(begun.elapsed() < Duration::from_secs(60));
    // What was aborted stands in nobody's way.
    bench.full("large");
}

pub(crate) fn each_missing_right_is_named_with_what_grants_it(bench: &dyn Bench) {
    bench.make("shop");
    bench.fill("shop");
    let engines = bench.engines();
    let engine = engines.get(bench.kind());
    assert_eq!(engine.missing_rights(&bench.source()).unwrap(), [], "an administrator lacks nothing");
    let poor = bench.poor_source();
    let refused = bench.try_full(&poor, "shop");
    assert!(refused.is_err(), "{refused:?}");
    assert!(!engine.missing_rights(&poor).unwrap().is_empty());
    // What lies behind a door can be asked for only once the door is open.
    for _ in 0..3 {
        for right in engine.missing_rights(&poor).unwrap() {
            assert!(!right.what.is_empty() && !right.grant.is_empty(), "{right:?}");
            bench.grant(&right.grant);
        }
    }
    assert_eq!(engine.missing_rights(&poor).unwrap(), [], "the statements grant what they say");
    let backup = bench.try_full(&poor, "shop").unwrap();
    assert!(!backup.entries.is_empty());
}
