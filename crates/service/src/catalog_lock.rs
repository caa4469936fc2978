//! The lock around the catalog.
//!
//! A thread that reads while it reads already waits for a writer who came between, and he waits for it. Debug builds find
//! that out at the first time, writer or not.

use crate::catalog::Catalog;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

thread_local! {
    /// How many times this thread reads the catalog now.
    static READING: Cell<u32> = const { Cell::new(0) };
}

/// The catalog, for many who read or one who writes.
#[derive(Debug)]
pub(crate) struct CatalogLock(RwLock<Catalog>);

impl CatalogLock {
    pub(crate) const fn new(catalog: Catalog) -> Self {
        Self(RwLock::new(catalog))
    }

    /// Reads. Nothing that is called meanwhile may read or write by itself.
    #[track_caller]
    pub(crate) fn read(&self) -> Reading<'_> {
        let before = READING.get();
        debug_assert!(before == 0, "this thread reads the catalog already");
        READING.set(before + 1);
        Reading(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes, once nobody reads any more.
    #[track_caller]
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Catalog> {
        debug_assert!(READING.get() == 0, "this thread reads the catalog, and would wait for itself");
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The catalog, while it is read.
#[derive(Debug)]
pub(crate) struct Reading<'a>(RwLockReadGuard<'a, Catalog>);

impl Deref for Reading<'_> {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        &self.0
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        READING.set(READING.get().saturating_sub(1));
    }
}
