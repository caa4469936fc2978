//! What every engine of a server promises, whichever server it is; each promise is tried on the real one.
//!
//! A test binary describes its server by a [`Bench`], starts [`conformance!`] with a way to make one, and adds what is
//! special to the engine.
#![allow(dead_code, unused_macros, unused_imports, reason = "each test binary uses another part")]

mod backups;
mod interference;
mod promises;
mod recipes;
mod restores;

pub(crate) use backups::{Taken, try_take};
pub(crate) use interference::{Interfering, wrapped};
pub(crate) use promises::*;
pub(crate) use recipes::*;
pub(crate) use restores::*;

use larder_engines::{Engine, Engines, Host};
use larder_model::{EngineKind, Source};

/// Something that writes to a database all the time; it stops when dropped.
pub(crate) trait Load {
    /// Waits until it has written so much more that a backup meanwhile must have met it.
    fn await_progress(&self);
}

/// A private server, and how a test changes what is in it. Names are the server's own: they may hold spaces, quotes, and
/// letters of any script, as far as the server takes them.
pub(crate) trait Bench {
    /// Returns the kind of engine.
    fn kind(&self) -> EngineKind;

    /// Returns the host as the engine sees it: where the vendor's programs lie.
    fn host(&self) -> Host;

    /// Returns the server as a source, with a user that may do everything.
    fn source(&self) -> Source;

    /// Returns another server of the same kind, empty, as a source.
    fn second(&self) -> Source;

    /// Makes an empty database.
    fn make(&self, name: &str);

    /// Fills a database with some of everything that the engine keeps: several tables, odd names, odd values, what is
    /// computed and what is set beside the data.
    fn fill(&self, name: &str);

    /// Fills a database with one large table, of some 40 MB that do not compress.
    fn fill_large(&self, name: &str);

    /// Changes a little of what [`Bench::fill`] made.
    fn change(&self, name: &str);

    /// Drops a database.
    fn drop(&self, name: &str);

    /// Gives a database another name.
    fn rename(&self, from: &str, to: &str);

    /// Writes down everything that is in a database of a server, in another way than the engine does it.
    fn content(&self, source: &Source, name: &str) -> String;

    /// Fills a database and begins to move things about in it all the time, so that something stays true at every moment.
    fn load(&self, name: &str) -> Box<dyn Load + '_>;

    /// Says what is no longer true of a database that [`Bench::load`] filled: of the copy of one moment nothing is.
    fn broken_by_load(&self, source: &Source, name: &str) -> Option<String>;

    /// Makes a user without any rights on what is in the server, and returns the server as it sees it.
    fn poor_source(&self) -> Source;

    /// Carries out, as an administrator, what [`larder_engines::MissingRight::grant`] says.
    fn grant(&self, statement: &str);

    /// Ends the server at once, as a crash would.
    fn stop(&self);

    /// Returns the name of one of the vendor's programs without which no backup can be made; `None` where none is used.
    fn tool(&self) -> Option<&'static str>;

    /// Says whether a database that nobody touched can be told from one that somebody did.
    fn proves_unchanged(&self) -> bool {
        true
    }

    /// Returns all engines of that host.
    fn engines(&self) -> Engines {
        Engines::new(&self.host())
    }

    /// Returns the names of the databases that discovery finds.
    fn discovered(&self) -> Vec<String> {
        let engines = self.engines();
        let found = engines.get(self.kind()).discover(&self.source(), &[]).unwrap();
        found.into_iter().map(|database| database.locator).collect()
    }
}

/// Compares what two databases hold, and shows the first line that differs.
pub(crate) fn assert_same(found: impl AsRef<str>, wanted: impl AsRef<str>) {
    let (found, wanted) = (found.as_ref(), wanted.as_ref());
    let different = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
    assert_eq!(different, None);
    assert_eq!(found.lines().count(), wanted.lines().count());
}

/// Makes a test of each promise; the argument is a function that returns a new [`Bench`].
macro_rules! conformance {
    ($make:path) => {
        conformance::conformance!($make;
            databases_are_found_as_they_come_and_go,
            a_full_backup_comes_back_in_the_same_server_under_a_new_name,
            a_full_backup_comes_back_in_another_server,
            an_incremental_holds_what_changed,
            what_did_not_change_is_known_to_be_unchanged,
            names_of_every_kind_come_back,
            an_empty_database_comes_back_empty,
            one_large_table_comes_back,
            a_database_that_is_there_is_never_overwritten_unless_told_so,
            a_restore_that_breaks_leaves_nothing_behind,
            a_comparison_sees_what_differs,
            a_backup_is_proved_in_a_private_server,
            a_backup_under_load_is_of_one_moment,
            an_aborted_backup_ends_soon_and_is_none,
            each_missing_right_is_named_with_what_grants_it,
            a_wrong_password_is_an_error,
            a_server_that_is_not_there_is_an_error,
            a_server_that_stops_midway_is_an_error,
            a_database_that_is_not_there_is_an_error,
            a_missing_program_is_named_with_its_package,
            an_unknown_option_is_refused_with_the_known_ones
        );
    };
    ($make:path; $($promise:ident),+) => {
        $(
            #[test]
            fn $promise() {
                conformance::$promise(&$make());
            }
        )+
    };
}
pub(crate) use conformance;
