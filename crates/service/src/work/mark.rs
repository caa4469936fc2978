//! What Larder writes on a snapshot, and reads from it.

use crate::identity::TaskUid;
use larder_engines::BackupReport;
use larder_model::task::Periodicity;
use larder_model::{BackupKind, BackupQuality, DatabaseName, EngineKind, OperationId};
use larder_repository::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The tag of every snapshot that Larder made.
const LARDER: &str = "larder";
/// The tag of a snapshot that lacks something.
const INCOMPLETE: &str = "incomplete";
/// The tag of a snapshot that is so much smaller than the one before that it is not trusted.
const SUSPICIOUS: &str = "suspicious";

/// Who made a snapshot, and how; kept as tags, which stock restic shows and filters by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) larder: bool,
    pub(crate) kind: Option<BackupKind>,
    pub(crate) task: Option<String>,
    /// The task's number for life, which stays when it is renamed.
    pub(crate) task_uid: Option<TaskUid>,
    pub(crate) operation: Option<OperationId>,
    pub(crate) identifier: Option<String>,
    pub(crate) engine: Option<EngineKind>,
    /// What the backup is kept as.
    pub(crate) periodicities: BTreeSet<Periodicity>,
    pub(crate) incomplete: bool,
    pub(crate) suspicious: bool,
}

impl Mark {
    /// Returns the tags that are known before the backup ends.
    pub(crate) fn tags(&self) -> Vec<String> {
        let mut tags = vec![LARDER.to_owned()];
        tags.extend(self.task.as_ref().map(|task| format!("task={task}")));
        tags.extend(self.task_uid.map(|uid| format!("task-uid={uid}")));
        tags.extend(self.kind.map(|kind| format!("kind={kind}")));
        tags.extend(self.operation.map(|operation| format!("operation={operation}")));
        tags.extend(self.identifier.as_ref().map(|identifier| format!("identifier={identifier}")));
        tags.extend(self.engine.map(|engine| format!("engine={engine}")));
        tags.extend(
            self.periodicities.iter().map(|periodicity| format!("periodicity={}", word(*periodicity))),
        );
        tags
    }

    /// Returns the tags that are known only at the end.
    pub(crate) fn last_tags(incomplete: bool, suspicious: bool) -> Vec<String> {
        let tags = [(incomplete, INCOMPLETE), (suspicious, SUSPICIOUS)];
        tags.into_iter().filter(|(holds, _)| *holds).map(|(_, tag)| tag.to_owned()).collect()
    }

    /// Reads a snapshot's tags; what is not understood is left out.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self::read(&snapshot.tags)
    }

    fn read(tags: &[String]) -> Self {
        let mut mark = Self::default();
        for tag in tags {
            match tag.split_once('=') {
                None if tag == LARDER => mark.larder = true,
                None if tag == INCOMPLETE => mark.incomplete = true,
                None if tag == SUSPICIOUS => mark.suspicious = true,
                Some(("kind", "full")) => mark.kind = Some(BackupKind::Full),
                Some(("kind", "incremental")) => mark.kind = Some(BackupKind::Incremental),
                Some(("task", task)) => mark.task = Some(task.to_owned()),
                Some(("task-uid", number)) => mark.task_uid = number.parse().ok(),
                Some(("operation", number)) => mark.operation = number.parse().ok(),
                Some(("identifier", identifier)) => mark.identifier = Some(identifier.to_owned()),
                Some(("engine", engine)) => mark.engine = engine.parse().ok(),
                Some(("periodicity", its)) => {
                    mark.periodicities.extend(PERIODICITIES.into_iter().filter(|one| word(*one) == its));
                }
                _ => {}
            }
        }
        mark
    }

    /// Says whether a backup was made by a task. Names change and numbers do not; what has no number was made before tasks
    /// had one.
    pub(crate) fn is_of(&self, (uid, name): (TaskUid, &str)) -> bool {
        self.task_uid.map_or_else(|| self.task.as_deref() == Some(name), |its| its == uid)
    }

    /// Says whether a backup was made by the installation of this name.
    pub(crate) fn is_by(&self, identifier: &str) -> bool {
        self.larder && self.identifier.as_deref() == Some(identifier)
    }

    /// Says how good the backup is, as far as the snapshot itself tells.
    pub(crate) const fn quality(&self) -> BackupQuality {
        match (self.incomplete, self.suspicious) {
            (true, _) => BackupQuality::Incomplete,
            (false, true) => BackupQuality::Suspicious,
            (false, false) => BackupQuality::Good,
        }
    }
}

const PERIODICITIES: [Periodicity; 7] = [
    Periodicity::Hourly,
    Periodicity::Daily,
    Periodicity::Weekly,
    Periodicity::Monthly,
    Periodicity::Bimonthly,
    Periodicity::Shutdown,
    Periodicity::Manual,
];

const fn word(periodicity: Periodicity) -> &'static str {
    match periodicity {
        Periodicity::Hourly => "hourly",
        Periodicity::Daily => "daily",
        Periodicity::Weekly => "weekly",
        Periodicity::Monthly => "monthly",
        Periodicity::Bimonthly => "bimonthly",
        Periodicity::Shutdown => "shutdown",
        Periodicity::Manual => "manual",
    }
}

/// What the engine reported, kept in the snapshot's own field `larder`, which stock restic ignores.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Note {
    /// The database the backup is of.
    pub(crate) database: Option<DatabaseName>,
    /// What the engine confirmed.
    pub(crate) report: BackupReport,
    /// What could not be read, the first of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unreadable: Vec<String>,
}

impl Note {
    /// Reads a snapshot's note; `None` where Larder left none.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        serde_json::from_value(snapshot.larder.clone()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_on_a_snapshot_is_read_from_it() {
        let mark = Mark {
            larder: true,
            kind: Some(BackupKind::Incremental),
            task: Some("Nightly, a=b".to_owned()),
            task_uid: Some(3),
            operation: Some(7),
            identifier: Some("home".to_owned()),
            engine: Some(EngineKind::Sqlite),
            periodicities: BTreeSet::from([Periodicity::Daily, Periodicity::Bimonthly]),
            incomplete: false,
            suspicious: false,
        };
        assert_eq!(Mark::read(&mark.tags()), mark);
        let tags = [mark.tags(), Mark::last_tags(true, true)].concat();
        assert_eq!(Mark::read(&tags), Mark { incomplete: true, suspicious: true, ..mark });
    }

    #[test]
    fn a_snapshot_of_somebody_else_is_known_as_such() {
        let mark = Mark::read(&["kind=odd".to_owned(), "operation=x".to_owned(), "mine".to_owned()]);
        assert_eq!(mark, Mark::default());
    }
}
