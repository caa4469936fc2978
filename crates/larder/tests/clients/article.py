"""The article's examples, as far as RavenDB's Python client has the operations, and its known traps.

    python article.py URL BACKUPS

Where the client has no operation (start, status), the request is made by a command of this script over the client's own
executor, as its users do.
"""

import json
import sys
from datetime import timedelta

import requests
from ravendb import DocumentStore
from ravendb.documents.commands.bulkinsert import GetNextOperationIdCommand, KillOperationCommand
from ravendb.documents.operations.backups.settings import (
    BackupEncryptionSettings, BackupType, EncryptionMode, LocalSettings, RetentionPolicy, SnapshotSettings,
    CompressionLevel,
)
from ravendb.documents.operations.ongoing_tasks import (
    DeleteOngoingTaskOperation, GetOngoingTaskInfoOperation, OngoingTaskState, OngoingTaskType,
    ToggleOngoingTaskStateOperation,
)
from ravendb.documents.operations.operation import Operation
from ravendb.http.raven_command import RavenCommand
from ravendb.serverwide.database_record import DatabaseRecord
from ravendb.serverwide.operations.common import (
    CreateDatabaseOperation, DeleteDatabaseOperation, GetBuildNumberOperation, GetDatabaseNamesOperation,
)
from ravendb.serverwide.operations.configuration import (
    DeleteServerWideTaskOperation, GetServerWideBackupConfigurationOperation,
    GetServerWideBackupConfigurationsOperation, PutServerWideBackupConfigurationOperation,
    ServerWideBackupConfiguration,
)

URL, BACKUPS = sys.argv[1:3]
DATABASE = "Products"
NAME = "FullAndIncrementalBackup"
DERIVED = f"Server Wide Backup, {NAME}"

store = DocumentStore(URL, DATABASE)
store.initialize()
server = store.maintenance.server
steps = 0


class Raw(RavenCommand):
    """A request that this client has no class for."""

    def __init__(self, method, path):
        super().__init__(dict)
        self.method, self.path = method, path

    def is_read_request(self):
        return False

    def create_request(self, node):
        return requests.Request(self.method, node.url + self.path.replace("{database}", node.database))

    def set_response(self, response, from_cache):
        self.result = json.loads(response) if response else None


def raw(method, path):
    command = Raw(method, path)
    store.get_request_executor(DATABASE).execute_command(command)
    return command.result


def start(full, task_id):
    path = f"/databases/{{database}}/admin/backup/database?isFullBackup={str(full).lower()}&taskId={task_id}"
    return raw("POST", path)["OperationId"]


def complete(operation_id):
    executor = store.get_request_executor(DATABASE)
    Operation(executor, None, store.conventions, operation_id).wait_for_completion()


def status(task_id):
    return raw("GET", f"/periodic-backup/status?name={{database}}&taskId={task_id}")["Status"]


def derived():
    return store.maintenance.send(GetOngoingTaskInfoOperation(DERIVED, OngoingTaskType.BACKUP))


def step(body):
    """Runs one step; its docstring is its name."""
    global steps
    try:
        body()
    except BaseException:
        print(f"FAILED: {body.__doc__}", file=sys.stderr)
        raise
    steps += 1
    print(f"ok {body.__doc__}")


def creating():
    """creating a server-wide backup task"""
    configuration = ServerWideBackupConfiguration()
    configuration.disabled = False
    configuration.name = NAME
    configuration.backup_type = BackupType.BACKUP
    configuration.full_backup_frequency = "0 */6 * * *"
    configuration.incremental_backup_frequency = "*/20 * * * *"
    configuration.local_settings = LocalSettings(folder_path=f"{BACKUPS}/python")
    configuration.retention_policy = RetentionPolicy(False, timedelta(days=7))
    configuration.snapshot_settings = SnapshotSettings(CompressionLevel.OPTIMAL)
    configuration.backup_encryption_settings = BackupEncryptionSettings(
        "OI7Vll7DroXdUORtc6Uo64wdAk1W0Db9ExXXgcg5IUs=", EncryptionMode.USE_PROVIDED_KEY)
    result = server.send(PutServerWideBackupConfigurationOperation(configuration))
    assert result.name == NAME, result.name
    assert result.raft_command_index > 0


def backing_up():
    """a full and an incremental backup of the derived task"""
    task = derived()
    assert task.task_state == OngoingTaskState.ENABLED, task.task_state
    assert task.task_name == DERIVED
    assert status(task.task_id) is None
    complete(start(True, task.task_id))
    complete(start(False, task.task_id))
    found = status(task.task_id)
    assert found["Error"] is None and found["IsFull"] is False and found["Version"] == 2, found


def reading_all():
    """getting one configuration and all of them"""
    one = server.send(GetServerWideBackupConfigurationOperation(NAME))
    assert one.full_backup_frequency == "0 */6 * * *"
    assert one.retention_policy.minimum_backup_age_to_keep == timedelta(days=7)
    assert [each.name for each in server.send(GetServerWideBackupConfigurationsOperation())] == [NAME]
    assert server.send(GetServerWideBackupConfigurationOperation("nosuch")) is None


def stored():
    path = "/admin/configuration/server-wide/tasks?type=Backup&name=" + NAME
    return raw("GET", path)["Results"][0]


def updating_keeps_what_it_does_not_know():
    """read, modify, write does not wipe the fields that this client drops"""
    request = requests.put(f"{URL}/admin/configuration/server-wide/backup", data=json.dumps(
        {**stored(), "ExcludedDatabases": ["Customers"], "BackupUploadMode": "Default",
         "MaxReadOpsPerSecond": 50, "TimeZone": "Europe/Berlin", "MinimumBackupsToKeep": 5}))
    assert request.status_code == 201, request.text
    existing = server.send(GetServerWideBackupConfigurationOperation(NAME))
    existing.full_backup_frequency = "0 */7 * * *"
    server.send(PutServerWideBackupConfigurationOperation(existing))
    after = stored()
    assert after["FullBackupFrequency"] == "0 */7 * * *"
    assert after["ExcludedDatabases"] == ["Customers"], after
    assert after["MaxReadOpsPerSecond"] == 50, after
    assert after["TimeZone"] == "Europe/Berlin" and after["MinimumBackupsToKeep"] == 5, after


def the_key_survives():
    """a key that was read masked and sent back still encrypts"""
    assert stored()["BackupEncryptionSettings"]["Key"] == "****"
    task = derived()
    complete(start(True, task.task_id))
    assert status(task.task_id)["Error"] is None


def selecting():
    """updating: retrieve all and select one"""
    existing = next(x for x in server.send(GetServerWideBackupConfigurationsOperation())
                    if x.full_backup_frequency == "0 */7 * * *")
    existing.full_backup_frequency = "0 */8 * * *"
    existing.incremental_backup_frequency = "*/30 * * * *"
    server.send(PutServerWideBackupConfigurationOperation(existing))
    assert server.send(GetServerWideBackupConfigurationOperation(NAME)).full_backup_frequency == "0 */8 * * *"


def toggling():
    """a derived task is disabled and enabled for this database"""
    task = derived()
    for disable, state in ((True, OngoingTaskState.DISABLED), (False, OngoingTaskState.ENABLED)):
        store.maintenance.send(ToggleOngoingTaskStateOperation(task.task_id, OngoingTaskType.BACKUP, disable))
        assert derived().task_state == state


def refusing():
    """a derived task is not deleted but through its parent"""
    try:
        store.maintenance.send(DeleteOngoingTaskOperation(derived().task_id, OngoingTaskType.BACKUP))
    except Exception as error:
        assert "server-wide" in str(error).lower(), error
    else:
        raise AssertionError("it was deleted")


def databases():
    """databases are made and deleted"""
    server.send(CreateDatabaseOperation(DatabaseRecord("PythonMade")))
    assert "PythonMade" in server.send(GetDatabaseNamesOperation(0, 25))
    result = server.send(DeleteDatabaseOperation("PythonMade", hard_delete=True))
    assert result.raft_command_index > 0
    assert "PythonMade" not in server.send(GetDatabaseNamesOperation(0, 25))
    assert server.send(GetBuildNumberOperation()).full_version


def operations():
    """an operation that is not there is not killed, and ids are given out"""
    command = GetNextOperationIdCommand()
    store.get_request_executor(DATABASE).execute_command(command)
    assert command.result > 0
    try:
        store.get_request_executor(DATABASE).execute_command(KillOperationCommand(987654))
    except Exception as error:
        assert "987654" in str(error), error
    else:
        raise AssertionError("it was killed")


def missing():
    """a task that is not there is None"""
    assert store.maintenance.send(GetOngoingTaskInfoOperation(987654, OngoingTaskType.BACKUP)) is None


def deleting():
    """deleting a server-wide backup task"""
    server.send(DeleteServerWideTaskOperation(NAME, OngoingTaskType.BACKUP))
    assert server.send(GetServerWideBackupConfigurationsOperation()) == []
    assert derived() is None


for each in (creating, backing_up, reading_all, updating_keeps_what_it_does_not_know, the_key_survives, selecting,
             toggling, refusing, databases, operations, missing, deleting):
    step(each)
store.close()
print(f"{steps} steps")
