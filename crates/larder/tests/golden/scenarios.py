"""The order in which captured exchanges are replayed.

An exchange means something only in the state that the ones before it made, so they are played in the order in which
they happened. That order follows from the ids and dates in the captured answers. Where a step between two
captures is not among them, it is arranged: a request of our own, or an act outside the API.

A step is one of
    "label"                 the next exchange of that capture that was not played yet
    ("label", n)            its n-th exchange, counted from 1
    do(method, path, body, binds)   a request of ours that must succeed; binds names values of its answer
    act(what, name)         something done to the files: see replay.rs
"""


def do(method, path, body=None, **binds):
    return {"do": {"method": method, "path": path, "body": body, "binds": binds}}


def act(what, name):
    return {"act": what, "name": name}


def create(name):
    return do("PUT", f"/admin/databases?name={name}&replicationFactor=1", {"DatabaseName": name})


def start(database, task, full, operation):
    path = f"/databases/{database}/admin/backup/database?isFullBackup={str(full).lower()}&taskId={{id:{task}}}"
    return do("POST", path, None, **{f"op:{database}:{operation}": "$.OperationId"})


def ended(database, operation):
    """Waits until an operation has ended."""
    return do("GET", f"/databases/{database}/operations/state?id={{op:{database}:{operation}}}")


def chain(database, task, operation, full=False):
    """One backup that was not captured, from its start to its end."""
    return [start(database, task, full, operation), ended(database, operation)]


V7, V5 = "7.2.7", "5.4.207"


MISSING = "pbv-*"

SCENARIOS = {
    V7: [
        ("first questions", [
            create("alpha"),
            "build-version", "cluster-topology", "topology-ok", "topology-missing", "databases-names",
            "databases-info", "databases-info-missing", "database-record-missing", "db-missing", "doc-post",
            "pb-config", "db-backup-data-dir", "sw-backup-data-dir", "next-op-id", "running-none",
            "status-missing-db", "toggle-missing", "delete-task-missing", "op-state-missing",
            "server-op-state-missing", "kill-missing", "delay-bogus", "delay-negative", "delay-noid",
            "delay-missing-db", "sw-tasks", "sw-backup-get-legacy", ("swv-del-badtype", 1),
            ("swv-del-badtype", 2), ("swv-del-badtype", 3), ("swv-tasks-badtype", 1), ("swv-tasks-badtype", 2),
            "create-db-badname", "delete-db-missing", "testcred-ftp", "testcred-local", "testcred-s3",
            "onetime-nodest", "restored-tasks", "restore-noloc", "swv-bad-json", "pb-slow-create",
        ]),
        ("backups and restores", [
            create("alpha"), act("change", "alpha"),
            do("POST", "/databases/alpha/admin/periodic-backup",
               {"Name": "p1", "FullBackupFrequency": "0 2 * * *", "IncrementalBackupFrequency": "0 4 * * *",
                "LocalSettings": {"FolderPath": "{backups}/p1"}}, **{"id:7": "$.TaskId"}),
            start("alpha", 7, True, 3), ("op-full", 2),
            act("settle", "alpha"), *chain("alpha", 7, 30),
            start("alpha", 7, False, 4), "op-incr-nochange",
            act("change", "alpha"), start("alpha", 7, False, 5), "op-incr",
            "onetime-backup", "op-onetime", "databases-info-after-backup", "restore-points",
            "restore",
            do("GET", "/operations/state?id={op:server:2}"),
            do("POST", "/admin/restore/database",
               {"Type": "Local", "DatabaseName": "alpha", "DisableOngoingTasks": True,
                "BackupLocation": "{location:/backups/onetime/2026-11-21-02-18-40.ravendb-alpha-A-backup}"},
               **{"op:server:3": "$.OperationId"}),
            ("op-restore-existing", 2),
            "restore-missing-opts", ("op-restore3", 2),
            do("PUT", "/admin/databases?name=beta", {"DatabaseName": "beta"}),
            do("DELETE", "/admin/databases", {"DatabaseNames": ["alpha", "restored"], "HardDelete": True}),
            "names-pre", "restore-existing2",
            do("GET", "/operations/state?id={op:server:5}"),
            "names-post",
        ]),
        ("a backup that is killed", [
            create("alpha"), act("grow", "alpha"),
            "onetime-slow", do("POST", "/databases/alpha/operations/kill?id={op:alpha:9}"), "op-killed",
            create("gamma"), "onetime-g", ended("gamma", 1), "db-notifs",
        ]),
        ("validation where the database is missing", [(MISSING, 1), (MISSING, 2)]),
        ("validation", ["create-db2", "pb-get-missing", (MISSING, 3), "swv-*"]),
        ("databases are made", ["create-db", "create-db-mismatch"]),
    ],
    V5: [
        ("a life of tasks", [
            "build", "misc", "create-alpha", "create-beta", create("gamma"),
            "sw-put-noname", "sw-get", "rec1", "sw-put-noname-again", "sw-list", "sw-studio2", "sw-get2",
            "sw-update-exclude-beta", "sw-update-notaskid", "sw-list2", "rec3", "rec3b", "rec4",
            "create-delta", "rec-delta-new", "alpha-tasks", "derived-task-byname",
            act("change", "alpha"), start("alpha", 7, True, 1), ("derived-op", 2), "derived-status",
            "derived-task-after", "derived-delete", "derived-update", "derived-task-final",
            "own-create", "own-create-dupname", "reserved-name",
            "sw-toggle-missing", "sw-toggle-off", "sw-list-off", "rec-off",
            do("POST", "/admin/configuration/server-wide/state?type=Backup&name=Backup%20to%20Local&disable=false"),
            "sw-second", "rec-two", "sw-third-noname", "rec-three", "rec-three-beta", "sw-fourth-noname",
            "sw-list3",
            do("DELETE", "/admin/configuration/server-wide/task?type=Backup&name=Second"),
            "rec-del", "sw-delete-missing",
            # A script that takes its time keeps an operation running while it is looked at.
            ("slow-create", 1), start("alpha", 31, True, 2), "task-inprogress", "op-inprogress",
            "status-inprogress", "slow-start-again", "running", ("kill", 1), "op-killed2", ("status-after-kill", 1),
            ("slow-start2", 1), ("delay", 1), ("op-delayed", 1), ("task-after-delay", 1), "op-delayed2",
            "task-after-delay2", "status-after-delay2", "task-after-toggle", "status-after-toggle",
            "toggle-off", "toggle-on", ("delete", 1), "status-deleted", "task-deleted",
            # A destination that cannot be written.
            "fail-create", act("obstruct", "fail"), *chain("alpha", 39, 4, True)[:1], "op-fail",
            "status-after-fail", "task-after-fail", act("clear", "fail"),
            "fail-start-ok", "op-fail-ok", "task-after-fail-ok",
            act("settle", "alpha"), *chain("alpha", 39, 60),
            "start-incr-same", "op-incr-same", "status-incr-same",
            "move", ("start-incr-moved", 1), ended("alpha", 7), ("status-incr-moved", 1),
            ("slow-create", 2), start("alpha", 46, True, 8), ("kill", 2), ended("alpha", 8),
            ("status-after-kill", 2), ("slow-start2", 2), ("delay", 2), ("op-delayed", 2), ("task-after-delay", 2),
            *chain("alpha", 46, 10, True), "status-after-delay-manual", "task-after-delay-manual", ("delete", 2),
            # A chain of incrementals.
            do("POST", "/databases/alpha/admin/periodic-backup",
               {"Name": "chain", "FullBackupFrequency": "0 3 * * *", "IncrementalBackupFrequency": "*/30 * * * *",
                "LocalSettings": {"FolderPath": "{backups}/chain"}}, **{"id:51": "$.TaskId"}),
            "start-first-as-incr", ended("alpha", 11), "status-first-as-incr",
            act("settle", "alpha"), *chain("alpha", 51, 120),
            "start-incr-nochange", "op-incr-nochange", "status-incr-nochange",
            do("POST", "/databases/alpha/admin/periodic-backup",
               {"TaskId": {"$number": "id:51"}, "Name": "chain", "FullBackupFrequency": "0 3 * * *",
                "IncrementalBackupFrequency": "*/30 * * * *",
                "LocalSettings": {"FolderPath": "{backups}/chain2"}}),
            ("start-incr-moved", 2), ended("alpha", 13), ("status-incr-moved", 2),
            act("change", "alpha"), *chain("alpha", 51, 14), "status-incr-moved-doc",
            act("remove", "chain2/alpha"), "start-incr-dir-deleted", ("op-incr-dir-deleted", 2), "status-incr-dir-deleted",
            act("change", "alpha"), "start-incr-doc2", ("op-incr-doc2", 2), "status-incr-doc2",
            act("delete", "alpha"), "start-incr-del", ("op-incr-del", 2),
            act("settle", "alpha"), *chain("alpha", 51, 180),
            "start-incr-none", "op-incr-none",
            act("index", "alpha"), "start-incr-index-only", ("op-incr-index-only", 2),
            start("alpha", 51, True, 20), ("op-full-2", 2), "status-full-2",
            "status-only-full-freq",
            do("POST", "/databases/alpha/admin/periodic-backup",
               {"TaskId": {"$number": "id:51"}, "Name": "chain", "FullBackupFrequency": None,
                "IncrementalBackupFrequency": "*/30 * * * *",
                "LocalSettings": {"FolderPath": "{backups}/chain"}}),
            act("change", "alpha"), start("alpha", 51, False, 21), ("op-only-incr", 2), "status-only-incr",
            "task-only-incr-freq",
            # What the Node client asked.
            create("nodedb"),
            do("PUT", "/admin/configuration/server-wide/backup",
               {"Name": "NodeBk", "FullBackupFrequency": "0 2 * * *", "IncrementalBackupFrequency": "*/10 * * * *",
                "RetentionPolicy": {"Disabled": False, "MinimumBackupAgeToKeep": "3.00:00:00"},
                "ExcludedDatabases": ["beta"], "LocalSettings": {"FolderPath": "{backups}/nodesw"}},
               **{"id:69": "$.RaftCommandIndex"}),
            "node-get1", "node-getall", "node-info", "node-info-byname", ("node-session", 1), "node-start",
            ended("nodedb", 1), "node-status", "node-delay", "node-update", "node-toggle", "node-toggle2",
            "node-upd-own", "node-own-toggle", "node-own-toggle2", ("node-own-status", 1),
            act("grow", "nodedb"), "node-own-start", "node-kill", "node-wait", ("node-own-status", 2),
            "node-delete-derived", "node-own-delete", "node-delete", create("noderestored"), "node-deldb",
            # Late: a rename, and what one refuses.
            do("PUT", "/admin/configuration/server-wide/backup",
               {"Name": "Backup to Local #2 #3 #4 #5", "FullBackupFrequency": "0 2 * * *",
                "LocalSettings": {"FolderPath": "{backups}/py"}}, **{"id:87": "$.RaftCommandIndex"}),
            act("change", "gamma"), act("change", "beta"),
            *chain("beta", 7, 1, True), *chain("gamma", 7, 1, True),
            "tick-tasks-alpha", "tick-tasks-beta", "tick-tasks-gamma", "tick-tasks-delta",
            "sw-ghost-taskid", "sw-rename", "rec-after-rename", "sw-case-clash", "rec-after", "sw-delete-case",
            # A derived task is switched off for one database alone: here, last, since it changes what follows.
            "derived-toggle",
        ]),
        ("the Node client toggles a derived task", [
            create("nodedb"),
            do("PUT", "/admin/configuration/server-wide/backup",
               {"Name": "NodeBk", "FullBackupFrequency": "0 2 * * *", "LocalSettings": {"FolderPath": "{backups}/n"}},
               **{"id:69": "$.RaftCommandIndex"}),
            "node-toggle-derived",
        ]),
    ],
}

# Exchanges that are not replayed, with the reason. A label with a number is that exchange alone.
OMITTED = {
    V7: {
        "stats": "the document API of the database server itself; Larder holds no documents",
        "cs-get": "connection strings belong to the document database's other tasks",
        "srv-notifs": "lists what happened to happen on that server; db-notifs has the same shape",
        "op-full 1": "a race: the operation was still running",
        "op-restore-existing 1": "a race: the operation was still running",
        "op-restore3 1": "a race: the operation was still running",
    },
    V5: {
        "idx": "the document API of the database server itself; replaced by an index made in the database",
        "node-session 2": "writes a document through the document API",
        "derived-op 1": "a race: the operation was still running",
        "op-incr-dir-deleted 1": "a race: the operation was still running",
        "op-incr-doc2 1": "a race: the operation was still running",
        "op-incr-del 1": "a race: the operation was still running",
        "op-incr-index-only 1": "a race: the operation was still running",
        "op-full-2 1": "a race: the operation was still running",
        "op-only-incr 1": "a race: the operation was still running",
    },
}
