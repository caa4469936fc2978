// What every script for RavenDB's Node client begins with.
//
//     node SCRIPT URL BACKUPS SLOW_SCRIPT
//
// CLIENT_MODULES names the directory that holds node_modules. The client itself is used as it was published.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

export const raven = createRequire(`${process.env.CLIENT_MODULES}/`)("ravendb");
export const [url, backups, slowScript] = process.argv.slice(2);
export const databaseName = "Products";

export const store = new raven.DocumentStore(url, databaseName);
store.initialize();

export const server = { send: (operation) => store.maintenance.server.send(operation) };
export const inDatabase = (name = databaseName) => store.maintenance.forDatabase(name);

// As the clients' PutServerWideBackupConfigurationCommand.GetTaskName names a derived task.
export const derivedTaskName = (name) => `Server Wide Backup, ${name}`;

export function derivedTask(name, database = databaseName) {
    return inDatabase(database).send(new raven.GetOngoingTaskInfoOperation(derivedTaskName(name), "Backup"));
}

export async function status(taskId, database = databaseName) {
    const result = await inDatabase(database).send(new raven.GetPeriodicBackupStatusOperation(taskId));
    return result.status;
}

export function start(isFull, taskId, database = databaseName) {
    return inDatabase(database).send(new raven.StartBackupOperation(isFull, taskId));
}

// Waits as the client waits: it asks for the operation's state every half second.
export async function completed(operationId, database = databaseName) {
    const executor = store.getRequestExecutor(database);
    await new raven.OperationCompletionAwaiter(executor, store.conventions, operationId).waitForCompletion();
}

export function kill(operationId, nodeTag, database = databaseName) {
    return store.getRequestExecutor(database).execute(new raven.KillOperationCommand(operationId, nodeTag));
}

// The error that a call must end with.
export async function refused(call, says) {
    const error = await call.then(() => null, (error) => error);
    assert.ok(error, "it was not refused");
    assert.match(`${error.name}: ${error.message}`, says);
    return error;
}

let steps = 0;

// Runs one named step; the first that fails ends the script with the client's own error.
export async function step(name, body) {
    try {
        await body();
    } catch (error) {
        console.error(`FAILED: ${name}\n${error.stack}`);
        process.exit(1);
    }
    steps += 1;
    console.log(`ok ${name}`);
}

export function end() {
    store.dispose();
    console.log(`${steps} steps`);
}
