// The article "Periodic server-wide backup tasks", example by example, with RavenDB's Node client.

import assert from "node:assert/strict";
import {
    backups, completed, databaseName, derivedTask, derivedTaskName, end, inDatabase, kill, raven, refused, server,
    slowScript, start, status, step,
} from "./site.mjs";

const name = "FullAndIncrementalBackup";

await step("creating a server-wide backup task", async () => {
    const result = await server.send(new raven.PutServerWideBackupConfigurationOperation({
        disabled: false,
        name,
        backupType: "Backup",
        fullBackupFrequency: "0 */6 * * *",
        incrementalBackupFrequency: "*/20 * * * *",
        localSettings: { folderPath: `${backups}/article` },
        azureSettings: {},
        retentionPolicy: { disabled: false, minimumBackupAgeToKeep: "7.00:00:00" },
        backupEncryptionSettings: {
            encryptionMode: "UseProvidedKey",
            key: "OI7Vll7DroXdUORtc6Uo64wdAk1W0Db9ExXXgcg5IUs=",
        },
        excludedDatabases: ["Customers"],
    }));
    assert.equal(result.name, name);
    assert.ok(result.raftCommandIndex > 0);
});

let taskId;

await step("the derived task exists, and not for the excluded database", async () => {
    const task = await derivedTask(name);
    assert.equal(task.taskName, derivedTaskName(name));
    assert.equal(task.taskType, "Backup");
    assert.equal(task.taskState, "Enabled");
    assert.deepEqual(task.backupDestinations, ["Local"]);
    assert.equal(task.isEncrypted, true);
    assert.ok(task.nextBackup.dateTime instanceof Date);
    assert.equal(task.nextBackup.isFull, true);
    taskId = task.taskId;
    await refused(derivedTask(name, "Customers"), /Body stream cannot be null/);
});

await step("its status is null before the first run", async () => {
    assert.equal(await status(taskId), null);
});

await step("triggering an immediate backup operation", async () => {
    const operation = await start(true, taskId);
    assert.equal(operation.responsibleNode, "A");
    await completed(operation.operationId);
});

await step("getting a derived backup task's status", async () => {
    const found = await status(taskId);
    assert.equal(found.error, null);
    assert.equal(found.isFull, true);
    assert.equal(found.taskId, taskId);
    assert.ok(found.durationInMs >= 0);
    assert.ok(found.lastFullBackup instanceof Date && !Number.isNaN(found.lastFullBackup.getTime()));
    assert.equal(found.lastIncrementalBackup, null);
    assert.ok(found.localBackup.backupDirectory.startsWith(`${backups}/article/${databaseName}`));
    assert.equal(found.localBackup.exception, null);
    assert.equal(found.isEncrypted, true);
    assert.equal(found.version, 1);
});

await step("an incremental backup", async () => {
    await completed((await start(false, taskId)).operationId);
    const found = await status(taskId);
    assert.equal(found.isFull, false);
    assert.ok(found.lastIncrementalBackup instanceof Date);
    assert.equal(found.version, 2);
});

await step("updating: retrieve a single configuration", async () => {
    const existing = await server.send(new raven.GetServerWideBackupConfigurationOperation(name));
    assert.equal(existing.name, name);
    assert.deepEqual(existing.excludedDatabases, ["Customers"]);
    existing.fullBackupFrequency = "0 */7 * * *";
    existing.incrementalBackupFrequency = "*/20 * * * *";
    await server.send(new raven.PutServerWideBackupConfigurationOperation(existing));
});

await step("updating: retrieve all configurations and select one", async () => {
    const all = await server.send(new raven.GetServerWideBackupConfigurationsOperation());
    const existing = all.find((x) => x.fullBackupFrequency === "0 */7 * * *");
    assert.ok(existing);
    existing.fullBackupFrequency = "0 */8 * * *";
    existing.incrementalBackupFrequency = "*/30 * * * *";
    await server.send(new raven.PutServerWideBackupConfigurationOperation(existing));
    const again = await server.send(new raven.GetServerWideBackupConfigurationOperation(name));
    assert.equal(again.fullBackupFrequency, "0 */8 * * *");
});

await step("an update keeps the derived task, its status and the key", async () => {
    const task = await derivedTask(name);
    assert.equal(task.taskId, taskId);
    assert.equal((await status(taskId)).version, 2);
    await completed((await start(true, taskId)).operationId);
    assert.equal((await status(taskId)).error, null);
});

// A script that takes a while before it says where to, so that a running backup can be caught.
await step("a task whose backups take a while", async () => {
    await server.send(new raven.PutServerWideBackupConfigurationOperation({
        name: "DailyBackup",
        backupType: "Backup",
        fullBackupFrequency: "0 0 * * *",
        localSettings: { getBackupConfigurationScript: { exec: slowScript, arguments: "", timeoutInMs: 20000 } },
        excludedDatabases: ["Customers"],
    }));
});

await step("delaying a running backup operation", async () => {
    const { taskId } = await derivedTask("DailyBackup");
    await start(true, taskId);
    const running = await derivedTask("DailyBackup");
    assert.ok(running.onGoingBackup, "no running backup operation to delay");
    assert.ok(running.onGoingBackup.startTime instanceof Date);
    assert.equal(running.onGoingBackup.isFull, true);
    await inDatabase().send(new raven.DelayBackupOperation(running.onGoingBackup.runningBackupTaskId, 3600 * 1000));
    await refused(completed(running.onGoingBackup.runningBackupTaskId), /OperationCanceledException/);
    const delayed = await derivedTask("DailyBackup");
    assert.equal(delayed.onGoingBackup, null);
    const minutes = (delayed.nextBackup.dateTime.getTime() - Date.now()) / 60_000;
    // The next midnight may come earlier than the hour has passed; then it is what is shown.
    if (delayed.nextBackup.originalBackupTime) {
        assert.ok(minutes > 55 && minutes <= 60, `in ${minutes} minutes`);
    }
});

await step("aborting a running backup operation that the task started", async () => {
    const { taskId } = await derivedTask("DailyBackup");
    await start(true, taskId);
    const running = await derivedTask("DailyBackup");
    assert.ok(running.onGoingBackup, "no running backup operation to abort");
    await kill(running.onGoingBackup.runningBackupTaskId);
    await refused(completed(running.onGoingBackup.runningBackupTaskId), /OperationCanceledException/);
});

await step("aborting a backup operation that was triggered manually", async () => {
    const { taskId } = await derivedTask("DailyBackup");
    const operation = await start(true, taskId);
    await kill(operation.operationId, operation.responsibleNode);
    await refused(completed(operation.operationId), /OperationCanceledException/);
});

await step("after aborts there is nothing to clean up: the next backup works", async () => {
    const { taskId } = await derivedTask("DailyBackup");
    await completed((await start(true, taskId)).operationId);
    assert.equal((await status(taskId)).error, null);
});

await step("a derived task is edited and deleted only through its parent", async () => {
    await refused(inDatabase().send(new raven.DeleteOngoingTaskOperation(taskId, "Backup")), /server-wide/i);
});

await step("a derived task is disabled and enabled for this database", async () => {
    await inDatabase().send(new raven.ToggleOngoingTaskStateOperation(taskId, "Backup", true));
    assert.equal((await derivedTask(name)).taskState, "Disabled");
    await inDatabase().send(new raven.ToggleOngoingTaskStateOperation(taskId, "Backup", false));
    assert.equal((await derivedTask(name)).taskState, "Enabled");
});

await step("the whole task is disabled and enabled", async () => {
    await server.send(new raven.ToggleServerWideTaskStateOperation(name, "Backup", true));
    assert.equal((await derivedTask(name)).taskState, "Disabled");
    await server.send(new raven.ToggleServerWideTaskStateOperation(name, "Backup", false));
    assert.equal((await derivedTask(name)).taskState, "Enabled");
});

await step("deleting a server-wide backup task", async () => {
    for (const each of [name, "DailyBackup"]) {
        await server.send(new raven.DeleteServerWideTaskOperation(each, "Backup"));
    }
    assert.deepEqual(await server.send(new raven.GetServerWideBackupConfigurationsOperation()), []);
    await refused(derivedTask(name), /Body stream cannot be null/);
    assert.equal(await status(taskId), null);
});

end();
