//! What must never end well: each recipe ends in an error that says what happened and what to do.

use super::{Bench, Interfering, try_take};
use larder_engines::{EngineError, Engines, Host};
use larder_model::{Cancel, Secret, Source};

fn told(error: &EngineError, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().any(|word| text.contains(word)), "{text}");
    assert!(!matches!(error, EngineError::Canceled(_) | EngineError::Sink(_)), "{error:?}");
}

pub(crate) fn a_wrong_password_is_an_error(bench: &dyn Bench) {
    bench.make("shop");
    let source = Source { password: Some(Secret::new("open sesame".to_owned())), ..bench.source() };
    let error = bench.try_full(&source, "shop").unwrap_err();
    told(&error, &["password", "denied", "auth"]);
    assert!(!error.to_string().contains("open sesame"), "{error}");
    let engines = bench.engines();
    assert!(
        engines.get(bench.kind()).discover(&source, &[]).is_err(),
        "nothing is known, not that there is nothing"
    );
}

pub(crate) fn a_server_that_is_not_there_is_an_error(bench: &dyn Bench) {
    bench.make("shop");
    let taken = bench.full("shop");
    let source = bench.source();
    bench.stop();
    bench.try_full(&source, "shop").unwrap_err();
    let engines = bench.engines();
    let engine = engines.get(bench.kind());
    engine.discover(&source, &[]).unwrap_err();
    engine.missing_rights(&source).unwrap_err();
    let position = taken.report.position.unwrap_or_default();
    engine.changed(&source, &taken.database, &position).unwrap_err();
}

pub(crate) fn a_server_that_stops_midway_is_an_error(bench: &dyn Bench) {
    bench.make("large");
    bench.fill_large("large");
    let mut sink = Interfering::after(1 << 20, || bench.stop());
    let error = try_take(bench, &bench.source(), "large", None, &mut sink, &Cancel::new()).unwrap_err();
    assert!(sink.acted());
    told(&error, &[""]);
}

pub(crate) fn a_database_that_is_not_there_is_an_error(bench: &dyn Bench) {
    let error = bench.try_full(&bench.source(), "nobody's").unwrap_err();
    told(&error, &["nobody's"]);
}

pub(crate) fn a_missing_program_is_named_with_its_package(bench: &dyn Bench) {
    let Some(tool) = bench.tool() else { return };
    bench.make("shop");
    let engines = Engines::new(&Host { tool_directories: vec!["/nonexistent".into()], ..bench.host() });
    let error = engines.get(bench.kind()).discover(&bench.source(), &[]).unwrap_err();
    assert!(matches!(error, EngineError::Missing { .. }), "{error:?}");
    told(&error, &[tool]);
    told(&error, &["package"]);
}

pub(crate) fn an_unknown_option_is_refused_with_the_known_ones(bench: &dyn Bench) {
    let mut source = bench.source();
    source.options.insert("Velocity".to_owned(), "high".to_owned());
    let engines = bench.engines();
    let error = engines.get(bench.kind()).discover(&source, &[]).unwrap_err();
    told(&error, &["Velocity"]);
    told(&error, &["options are"]);
}
