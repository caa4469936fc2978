//! Which engine knows which kind of source.

use crate::engine::Engine;
use crate::files::Files;
use crate::sqlite::Sqlite;
use larder_model::EngineKind;

/// Returns the engine for a kind of source.
#[must_use]
pub fn engine(kind: EngineKind) -> &'static dyn Engine {
    match kind {
        EngineKind::Files => &Files,
        EngineKind::Sqlite => &Sqlite,
    }
}

#[cfg(test)]
mod tests {
    use super::engine;
    use larder_model::EngineKind;

    #[test]
    fn every_kind_has_its_own_engine() {
        for kind in EngineKind::ALL {
            assert_eq!(engine(kind).kind(), kind);
        }
    }
}
