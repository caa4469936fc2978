// Beyond the article: a database is made, gets its task, is backed up and restored; and it has tasks of its own.

import assert from "node:assert/strict";
import {
    backups, completed, derivedTask, end, inDatabase, raven, refused, server, start, status, step,
} from "./site.mjs";

const made = "NodeMade";
let taskId;

await step("what a client asks of a server first", async () => {
    const build = await server.send(new raven.GetBuildNumberOperation());
    assert.ok(build.fullVersion.length > 0);
    const names = await server.send(new raven.GetDatabaseNamesOperation(0, 25));
    assert.ok(names.includes("Products"));
});

await step("a database that is made gets its derived task at once", async () => {
    await server.send(new raven.PutServerWideBackupConfigurationOperation({
        name: "All", fullBackupFrequency: "0 3 * * *", localSettings: { folderPath: `${backups}/all` },
    }));
    const result = await server.send(new raven.CreateDatabaseOperation({ databaseName: made }));
    assert.equal(result.name, made);
    taskId = (await derivedTask("All", made)).taskId;
    await refused(server.send(new raven.CreateDatabaseOperation({ databaseName: made })), /Concurrency/);
});

await step("it is backed up", async () => {
    await completed((await start(true, taskId, made)).operationId, made);
    assert.equal((await status(taskId, made)).error, null);
});

await step("its record shows the task", async () => {
    const record = await server.send(new raven.GetDatabaseRecordOperation(made));
    assert.equal(record.databaseName, made);
    assert.equal(record.periodicBackups[0].name, "Server Wide Backup, All");
});

await step("it is restored under another name", async () => {
    const location = (await status(taskId, made)).localBackup.backupDirectory;
    const operation = await server.send(new raven.RestoreBackupOperation({
        type: "Local", databaseName: "NodeRestored", backupLocation: location,
    }));
    await operation.waitForCompletion();
    const names = await server.send(new raven.GetDatabaseNamesOperation(0, 25));
    assert.ok(names.includes("NodeRestored"));
    assert.ok(await derivedTask("All", "NodeRestored"));
});

await step("a restore over an existing database is refused, and the database stays", async () => {
    const location = (await status(taskId, made)).localBackup.backupDirectory;
    const restore = new raven.RestoreBackupOperation({
        type: "Local", databaseName: made, backupLocation: location,
    });
    await refused(server.send(restore).then((operation) => operation.waitForCompletion()), /already/);
    const names = await server.send(new raven.GetDatabaseNamesOperation(0, 25));
    assert.ok(names.includes(made));
});

let own;

await step("a database has tasks of its own: new and changed", async () => {
    const result = await inDatabase(made).send(new raven.UpdatePeriodicBackupOperation({
        name: "own", fullBackupFrequency: "0 2 * * *", backupType: "Backup",
        localSettings: { folderPath: `${backups}/own` },
    }));
    own = result.taskId;
    assert.equal(result.raftCommandIndex, own);
    const changed = await inDatabase(made).send(new raven.UpdatePeriodicBackupOperation({
        taskId: own, name: "own", fullBackupFrequency: "0 5 * * *", backupType: "Backup",
        localSettings: { folderPath: `${backups}/own` },
    }));
    assert.equal(changed.taskId, own);
});

await step("its own task runs, full and incremental", async () => {
    await completed((await start(true, own, made)).operationId, made);
    await completed((await start(false, own, made)).operationId, made);
    const found = await status(own, made);
    assert.equal(found.isFull, false);
    assert.equal(found.version, 2);
});

await step("its own task is disabled, enabled and deleted", async () => {
    await inDatabase(made).send(new raven.ToggleOngoingTaskStateOperation(own, "Backup", true));
    const task = await inDatabase(made).send(new raven.GetOngoingTaskInfoOperation(own, "Backup"));
    assert.equal(task.taskState, "Disabled");
    await refused(start(true, own, made), /rests/);
    await inDatabase(made).send(new raven.ToggleOngoingTaskStateOperation(own, "Backup", false));
    await inDatabase(made).send(new raven.DeleteOngoingTaskOperation(own, "Backup"));
    await refused(
        inDatabase(made).send(new raven.GetOngoingTaskInfoOperation(own, "Backup")), /Body stream cannot be null/);
});

await step("a wrong schedule is refused with the class of error that the client knows", async () => {
    const wrong = { name: "wrong", fullBackupFrequency: "garbage", localSettings: { folderPath: `${backups}/w` } };
    await refused(server.send(new raven.PutServerWideBackupConfigurationOperation(wrong)), /cron/i);
    const half = { ...wrong, fullBackupFrequency: "0 2 * * *", incrementalBackupFrequency: "* * *" };
    await refused(server.send(new raven.PutServerWideBackupConfigurationOperation(half)), /cron/i);
});

await step("a database that is not there is told as the client expects", async () => {
    await refused(derivedTask("All", "nosuch"), /DatabaseDoesNotExist/);
});

await step("databases are deleted with their files", async () => {
    const names = [made, "NodeRestored"];
    await server.send(new raven.DeleteDatabasesOperation({ databaseNames: names, hardDelete: true }));
    const left = await server.send(new raven.GetDatabaseNamesOperation(0, 25));
    assert.ok(!names.some((name) => left.includes(name)), left.join());
    await server.send(new raven.DeleteServerWideTaskOperation("All", "Backup"));
});

end();
