//! Every kind of damage to every kind of object, and what the next operation then says and does.
//!
//! The table below is the promise: each line names an object and what happened to it, and gives the outcome of each
//! operation that comes next. Whatever the table says of an operation, what is undamaged restores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bytes::Bytes;
use jiff::SignedDuration;
use larder_repository::{Id, ObjectKind, Repository, RepositoryError};
use larder_testbed::MemoryStorage;
use std::sync::Arc;
use std::time::Duration;
use support::specimen::{Part, Specimen, cheap_key, check, prune};

const OPERATIONS: [&str; 6] = ["open", "list", "backup", "restore", "check", "prune"];

/// One outcome for each operation, in the order of [`OPERATIONS`].
///
/// - `well`: it succeeds, and what it made or gave back is right in every byte.
/// - `fails <text>`: its error names the damaged object and holds the text.
/// - `rest <text>`: the first backup, whose object it is, fails with an error that names the object (or what it held) and
///   has the text; the second comes back whole.
/// - `none <text>`: as `rest`, but both backups are hit.
/// - `finds <text>`: the report names the object, with a remedy that has the text.
/// - `waits`: it goes on by itself after thirty minutes.
const TABLE: &str = "
config    truncated   | fails repair the repository | fails repair the repository | fails repair the repository | fails repair the repository | fails repair the repository | fails repair the repository
config    deleted     | fails repair the repository | fails repair the repository | fails repair the repository | fails repair the repository | fails repair the repository | fails repair the repository
config    duplicated  | well | well | well | well | well | well
config    swapped     | fails another destination | fails another destination | fails another destination | fails another destination | fails another destination | fails another destination
key       truncated   | fails another destination | fails another destination | fails another destination | fails another destination | fails another destination | fails another destination
key       deleted     | fails another destination | fails another destination | fails another destination | fails another destination | fails another destination | fails another destination
key       duplicated  | well | well | well | well | finds add this one again | well
key       swapped     | well | well | well | well | finds add this one again | well
index     truncated   | well | well | fails no data is lost | well | finds not lost | fails no data is lost
index     deleted     | well | well | well | well | finds rebuild the index | fails nothing was removed
index     duplicated  | well | well | fails no data is lost | well | finds not lost | fails no data is lost
index     swapped     | well | well | fails no data is lost | well | finds not lost | fails no data is lost
snapshot  truncated   | well | rest other backups | well | rest other backups | finds remove it | fails other backups
snapshot  deleted     | well | well | well | well | well | well
snapshot  duplicated  | well | rest other backups | well | well | finds remove it | fails other backups
snapshot  swapped     | well | none other backups | well | none other backups | finds remove it | fails other backups
data-pack truncated   | well | well | well | rest run a check | finds from another destination | fails nothing was removed
data-pack deleted     | well | well | well | rest all others are complete | finds from another destination | fails nothing was removed
data-pack duplicated  | well | well | well | well | well | well
data-pack swapped     | well | well | well | none run a check | finds from another destination | fails nothing was removed
tree-pack truncated   | well | well | well | rest run a check | finds from another destination | fails run a check
tree-pack deleted     | well | well | well | rest it does not exist | finds from another destination | fails it does not exist
tree-pack duplicated  | well | well | well | well | well | well
tree-pack swapped     | well | well | well | none run a check | finds from another destination | fails run a check
lock      truncated   | well | well | waits | waits | waits | fails 30 minutes
lock      deleted     | well | well | well | well | well | well
lock      duplicated  | well | well | waits | waits | waits | fails wait until
lock      swapped     | well | well | waits | waits | waits | fails 30 minutes
";

struct Case {
    specimen: Specimen,
    storage: Arc<MemoryStorage>,
    /// The paths one of which an error has to name.
    names: Vec<String>,
    /// The backups of which something is damaged.
    hit: Vec<usize>,
}

/// Puts a copy in place and damages it.
fn damage(specimen: Specimen, object: &str, how: &str) -> Case {
    let storage = specimen.copy();
    if object == "lock" {
        add_lock(&specimen, &storage, 5);
        if how == "swapped" {
            add_lock(&specimen, &storage, 6);
        }
    }
    if object == "key" && how == "swapped" {
        let other = cheap_key(&specimen.key, "another password", &specimen.bench);
        put(&storage, &ObjectKind::Key.path(&Id::of(&other)), other);
    }
    let mut paths: Vec<String> = match object {
        "index" => (0..2).map(|backup| specimen.path(backup, Part::Index)).collect(),
        "snapshot" => (0..2).map(|backup| specimen.path(backup, Part::Snapshot)).collect(),
        "data-pack" => (0..2).map(|backup| specimen.path(backup, Part::DataPack)).collect(),
        "tree-pack" => (0..2).map(|backup| specimen.path(backup, Part::TreePack)).collect(),
        "config" => vec!["config".to_owned(), under(&storage, "keys/").remove(0)],
        folder => under(&storage, &format!("{folder}s/")),
    };
    let first = paths[0].clone();
    let mut hit = vec![0];
    storage.with_objects(|objects| match how {
        "truncated" => {
            let bytes = objects[&first].clone();
            objects.insert(first.clone(), bytes.slice(..bytes.len() / 2));
        }
        "deleted" => {
            objects.remove(&first);
        }
        "duplicated" => {
            // Under a name that an object of this kind could have.
            let bytes = objects[&first].clone();
            let name = Id::of(b"a copy").to_hex();
            let folder = first.split('/').next().unwrap();
            let copy = match object {
                "config" => "config (copy)".to_owned(),
                "data-pack" | "tree-pack" => format!("data/{}/{name}", &name[..2]),
                _ => format!("{folder}/{name}"),
            };
            paths.push(copy.clone());
            objects.insert(copy, bytes);
        }
        _ => {
            let (one, two) = (objects[&first].clone(), objects[&paths[1]].clone());
            assert!(one != two, "two of a kind");
            objects.insert(first.clone(), two);
            objects.insert(paths[1].clone(), one);
            hit.push(1);
        }
    });
    if how == "truncated" || how == "deleted" {
        paths.truncate(1);
    }
    match (object, how) {
        ("key", "deleted") => paths[0] = "keys".to_owned(),
        // Nobody can know the name of an index object that is gone; what it named is known.
        ("index", "deleted") => paths = vec!["the tree".to_owned(), "the data blob".to_owned()],
        // The original of the copy is a lock as well.
        ("lock", "duplicated") => paths.push("process 5 on elsewhere".to_owned()),
        _ => {}
    }
    Case { specimen, storage, names: paths, hit }
}

fn put(storage: &MemoryStorage, path: &str, bytes: Bytes) {
    storage.with_objects(|objects| objects.insert(path.to_owned(), bytes));
}

fn under(storage: &MemoryStorage, folder: &str) -> Vec<String> {
    storage.with_objects(|objects| objects.keys().filter(|path| path.starts_with(folder)).cloned().collect())
}

/// Adds a living lock of another host.
fn add_lock(specimen: &Specimen, storage: &Arc<MemoryStorage>, pid: u32) {
    let repository = specimen.try_open(storage.clone()).unwrap();
    let name = "elsewhere".repeat(pid as usize);
    let now = larder_model::Clock::now(&*specimen.clock);
    let json =
        format!(r#"{{"time":"{now}","exclusive":false,"hostname":"{name}","username":"u","pid":{pid}}}"#);
    let (id, sealed) = repository.seal_object(json.as_bytes()).unwrap();
    put(storage, &ObjectKind::Lock.path(&id), sealed);
}

/// How an operation ended, to be compared with the table.
#[derive(Debug)]
enum Outcome {
    Well,
    /// The errors of the backups that did not come back, by their numbers.
    Lost(Vec<(usize, String)>),
    Finds(Vec<(String, String)>),
    Fails(String),
}

impl Case {
    fn run(&self, operation: &str) -> Result<Outcome, RepositoryError> {
        let repository = self.specimen.try_open(self.storage.clone())?;
        match operation {
            "open" => Ok(Outcome::Well),
            "list" => {
                let (listed, broken) = repository.readable_snapshots(&larder_model::Cancel::new())?;
                assert!(listed.iter().all(|s| self.specimen.backups.iter().any(|b| b.id == s.id)));
                let broken: Vec<_> = broken.iter().map(ToString::to_string).collect();
                Ok(if broken.is_empty() {
                    Outcome::Well
                } else {
                    assert_eq!(listed.len(), 2 + usize::from(self.duplicated()) - broken.len());
                    Outcome::Lost(broken.into_iter().enumerate().collect())
                })
            }
            "backup" => self.back_up(&repository),
            "restore" => self.restore(&repository),
            "check" => {
                let report = check(&repository)?;
                let problems = report.problems;
                Ok(match problems.is_empty() {
                    true => Outcome::Well,
                    false => Outcome::Finds(
                        problems
                            .iter()
                            .map(|p| (p.object.clone(), format!("{}; {}", p.cause, p.remedy)))
                            .collect(),
                    ),
                })
            }
            _ => {
                let before = self.storage.with_objects(|objects| objects.clone());
                match prune(&repository) {
                    Ok(_) => Ok(self.all_well(&repository)),
                    Err(error) => {
                        let kept = |objects: &mut support::specimen::Objects| {
                            before.keys().filter(|path| !objects.contains_key(*path)).count()
                        };
                        assert_eq!(
                            self.storage.with_objects(kept),
                            0,
                            "a prune that failed removed something"
                        );
                        Err(error)
                    }
                }
            }
        }
    }

    fn duplicated(&self) -> bool {
        self.names.iter().any(|name| name.ends_with(&Id::of(b"a copy").to_hex()))
    }

    /// Backs up the first tree again; the new backup must be whole whatever was damaged before.
    fn back_up(&self, repository: &Repository) -> Result<Outcome, RepositoryError> {
        let tree = &self.specimen.backups[0].tree;
        let done = self.specimen.back_up(repository, tree)?;
        let id = done.targets.into_iter().next().unwrap().snapshot?;
        let (listed, _) = repository.readable_snapshots(&larder_model::Cancel::new())?;
        let made = listed.iter().find(|snapshot| snapshot.id == id).unwrap();
        self.specimen.restore(repository, made, tree)?;
        Ok(Outcome::Well)
    }

    /// Restores both backups.
    fn restore(&self, repository: &Repository) -> Result<Outcome, RepositoryError> {
        let (listed, broken) = repository.readable_snapshots(&larder_model::Cancel::new())?;
        let mut lost = Vec::new();
        for (number, original) in self.specimen.backups.iter().enumerate() {
            match listed.iter().find(|snapshot| snapshot.id == original.id) {
                Some(snapshot) => match self.specimen.restore(repository, snapshot, &original.tree) {
                    Ok(()) => {}
                    Err(error @ RepositoryError::Locked { .. }) => return Err(error),
                    Err(error) => lost.push((number, error.to_string())),
                },
                // A backup that is not listed has no error of its own.
                None => lost.extend(broken.get(number).map(|error| (number, error.to_string()))),
            }
        }
        Ok(if lost.is_empty() { Outcome::Well } else { Outcome::Lost(lost) })
    }

    fn all_well(&self, repository: &Repository) -> Outcome {
        match self.restore(repository) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Fails(error.to_string()),
        }
    }

    /// Runs an operation while the hands of the clock go on by thirty minutes once it waits.
    fn run_waiting(&self, operation: &str) -> Result<(bool, Outcome), RepositoryError> {
        std::thread::scope(|scope| {
            let work = scope.spawn(|| self.run(operation));
            std::thread::sleep(Duration::from_millis(400));
            let waited = !work.is_finished();
            self.specimen.clock.advance(SignedDuration::from_mins(31));
            Ok((waited, work.join().unwrap()?))
        })
    }

    /// Returns in words how an outcome differs from what is expected of it.
    fn judge(&self, operation: &str, expected: &str) -> Option<String> {
        let (kind, text) = expected.split_once(' ').unwrap_or((expected, ""));
        let outcome = if kind == "waits" {
            match self.run_waiting(operation) {
                Ok((false, _)) => return Some("did not wait".to_owned()),
                Ok((true, Outcome::Finds(found))) if found.is_empty() => return None,
                Ok((true, Outcome::Well)) => return None,
                Ok((true, outcome)) => outcome,
                Err(error) => Outcome::Fails(error.to_string()),
            }
        } else {
            self.run(operation).unwrap_or_else(|error| Outcome::Fails(error.to_string()))
        };
        let named =
            |said: &str| self.names.iter().any(|name| said.contains(name.as_str())) && said.contains(text);
        match (kind, &outcome) {
            ("well", Outcome::Well) => None,
            ("fails", Outcome::Fails(said)) if named(said) => None,
            ("rest", Outcome::Lost(lost)) if lost.len() == 1 && named(&lost[0].1) => None,
            ("none", Outcome::Lost(lost))
                if lost.len() == self.hit.len() && lost.iter().all(|(_, said)| named(said)) =>
            {
                None
            }
            ("finds", Outcome::Finds(found)) => {
                let right = found.iter().any(|(object, said)| {
                    self.names.iter().any(|name| object.contains(name.as_str())) && said.contains(text)
                });
                (!right).then(|| format!("{found:?}"))
            }
            (_, Outcome::Well) => Some("it went well".to_owned()),
            (_, Outcome::Lost(lost)) => Some(format!("lost {lost:?}")),
            (_, Outcome::Finds(found)) => Some(format!("found {found:?}")),
            (_, Outcome::Fails(said)) => Some(format!("failed: {said}")),
        }
    }
}

#[test]
fn each_damage_to_each_object_ends_each_operation_as_the_table_says() {
    let mut wrong = Vec::new();
    let mut specimen = Specimen::new();
    let mut cells = 0;
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let mut columns = line.split('|').map(str::trim);
        let (object, how) = columns.next().unwrap().split_once(' ').unwrap();
        for (operation, expected) in OPERATIONS.into_iter().zip(columns) {
            let case = damage(specimen, object, how.trim());
            if let Some(said) = case.judge(operation, expected) {
                wrong.push(format!("{object} {how}, then {operation}: not '{expected}', but {said}"));
            }
            cells += 1;
            specimen = case.specimen;
        }
    }
    assert_eq!(cells, 7 * 4 * OPERATIONS.len());
    assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_lock_that_nobody_can_read_holds_up_a_restore_for_half_a_minute_and_no_longer() {
    let case = damage(Specimen::new(), "lock", "truncated");
    // The clock stands still, as it does for a command that is started anew each time: the lock never gets old.
    let repository = case.specimen.try_open(case.storage.clone()).unwrap();
    let snapshot = repository.snapshots().unwrap().remove(0);
    case.specimen.restore(&repository, &snapshot, &case.specimen.backups[0].tree).unwrap();
    assert!(matches!(case.run("prune").unwrap_err(), RepositoryError::Locked { .. }));
}
