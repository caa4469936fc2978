#!/usr/bin/env python3
"""Derives the golden fixture from captured exchanges with a RavenDB server.

    python3 crates/larder/tests/golden/derive.py CAPTURES

CAPTURES holds one directory a server version, and in it one JSON file a label with requests and responses. What comes
out (fixture-<version>.json beside this script) says of each response: status, the headers that matter, every key with
the type of its value, and the values that are fixed. Sentences are reduced to "<string>"; what varies from server to
server is bound to variables, so that ids can be followed through a scenario. Labels that scenarios.py does not know are
each put into a scenario of their own.
"""

import fnmatch
import json
import pathlib
import re
import sys

from scenarios import OMITTED, SCENARIOS, create

HERE = pathlib.Path(__file__).parent

# Keys whose text is part of the contract. Everything else is a sentence, a name of that server, or varies.
FIXED_TEXT = set("""
    $type Type TaskType TaskState TaskConnectionStatus TaskName Name NamePrefix BackupType BackupUploadMode Status
    State EncryptionMode CompressionLevel CompressionAlgorithm NodeTag OperationNodeTag LastExecutingNodeTag
    ResponsibleNode ClusterTag ServerRole BackupTaskType CurrentState Leader LastNodeId FullBackupFrequency
    IncrementalBackupFrequency MinimumBackupAgeToKeep ExcludedDatabases BackupDestinations Destinations Databases
    DatabaseName Database UploadType UploadState Severity TaskState Members FolderPath FullPath LimitType MentorNode
    BucketName RemoteFolderName DatabaseState LastStatus Environment LockMode
""".split())
FIXED_NUMBER = {"StatusCode", "SubscriptionsCount", "TimeoutInMs", "MaxReadOpsPerSecond", "ReplicationFactor"}
ID_KEYS = {"TaskId", "RaftCommandIndex"}
OPERATION_KEYS = {"OperationId", "RunningBackupTaskId", "LastOperationId"}
# Numbers from here on are made up by the caller and name nothing.
MADE_UP = 1000

DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$")
LOCAL_DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}$")
SPAN = re.compile(r"^-?(\d+\.)?\d\d:\d\d:\d\d(\.\d{7})?$")
LOCATION = re.compile(r"^/backups/.*\.ravendb-")
HEADERS = {  # name -> how its value is kept
    "Raven-Server-Version": "<there>", "Database-Cluster-Tx-Id": "<there>", "Server-Startup-Time": "<date>",
    "Database-Missing": None, "Content-Length": None, "Content-Type": None,
}


def scope(path):
    """The database whose operation numbers a request speaks of."""
    found = re.match(r"/databases/([^/?]+)", path) or re.search(r"[?&](?:name|database)=([^&]+)", path)
    return found.group(1) if found and not path.startswith("/admin/restore") else "server"


def pattern(value, key, path):
    """Reduces one value of a response to what every compatible server answers."""
    if isinstance(value, dict):
        return {k: pattern(v, k, path) for k, v in value.items()}
    if isinstance(value, list):
        if key == "Messages":
            return ["<strings>"]
        return [pattern(v, key, path) for v in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        if value <= 0 and key in ID_KEYS | OPERATION_KEYS or value >= MADE_UP and key in ID_KEYS:
            return value
        if key in ID_KEYS:
            return f"<id:{value}>"
        if key in OPERATION_KEYS or key == "Id":
            return f"<op:{scope(path)}:{value}>"
        return value if key in FIXED_NUMBER else "<number>"
    return text(value, key)


def text(value, key):
    if DATE.match(value):
        return "<date>"
    if LOCAL_DATE.match(value):
        return "<local date>"
    if LOCATION.match(value):
        return f"<location:{value}>" if key == "Location" else "<path>"
    if key in FIXED_TEXT:
        return value.replace("/backups", "{backups}")
    if SPAN.match(value):
        return "<timespan>"
    if re.match(r"^(http|ftp)s?://", value):
        return "<url>"
    if key == "Id" and "/" in value:
        return "<string>"
    return "<string>"


def ask(value, key=None):
    """Rewrites a request's body: paths and ids become variables."""
    if isinstance(value, dict):
        return {k: script(v) if k == "GetBackupConfigurationScript" and v else ask(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [ask(v, key) for v in value]
    if key == "TaskId" and isinstance(value, int) and 0 < value < MADE_UP:
        return {"$number": f"id:{value}"}
    if isinstance(value, str) and LOCATION.match(value):
        return f"{{location:{value}}}"
    return value.replace("/backups", "{backups}") if isinstance(value, str) else value


def script(value):
    """Larder runs only programs in directories that the host's administrator named."""
    return {**value, "Exec": "{scripts}/slow.sh", "Arguments": ""} if value.get("Exec") else value


def ask_path(path):
    """Rewrites a request's path: numbers that the server gave become variables."""
    path = re.sub(r"&raft-request-id=[0-9a-f-]+|\?raft-request-id=[0-9a-f-]+$", "", path)
    operation = "/operations/" in path or "/backup-task/delay" in path

    def number(found):
        name, value = found.group(1), int(found.group(2))
        if value == 0 or value >= MADE_UP:
            return found.group(0)
        return f"{name}={{op:{scope(path)}:{value}}}" if operation else f"{name}={{id:{value}}}"

    path = re.sub(r"(?<=[?&])(id|key|taskId)=(\d+)", number, path)
    return path.replace("=/backups", "={backups}")


def headers(given, status):
    kept = {}
    for name, value in given.items():
        if name not in HEADERS or name == "Content-Length" and value != "0":
            continue
        kept[name] = HEADERS[name] or value.split(";")[0]
    return kept


def step(label, number, exchange):
    request, response = exchange["request"], exchange["response"]
    body = request["body"]
    return {
        "label": label if number == 1 else f"{label} {number}",
        "method": request["method"],
        "path": ask_path(request["path"]),
        # Text is sent as it is: JSON that is none.
        "body": body if isinstance(body, str) else ask(body),
        "expect": {
            "status": response["status"],
            "headers": headers(response["headers"], response["status"]),
            "body": pattern(response["body"], None, request["path"]),
        },
    }


def derive(version, directory):
    captures = {}
    for file in sorted(directory.glob("*.json")):
        captures[file.stem] = json.loads(file.read_text())["exchanges"]
    played = set()

    def play(label, number):
        if label not in captures or number > len(captures[label]) or (label, number) in played:
            return []
        played.add((label, number))
        return [step(label, number, captures[label][number - 1])]

    def steps(given):
        if isinstance(given, dict):
            return [given]
        label, number = given if isinstance(given, tuple) else (given, 1)
        if "*" in label:
            return [s for name in fnmatch.filter(captures, label) for s in play(name, number)]
        found = play(label, number)
        if not found:
            print(f"{version}: the capture {label} {number} is not there", file=sys.stderr)
        return found

    scenarios = [{"name": name, "steps": [s for given in order for s in steps(given)]}
                 for name, order in SCENARIOS.get(version, [])]
    omitted = OMITTED.get(version, {})
    for label, exchanges in captures.items():
        left = [n for n in range(1, len(exchanges) + 1)
                if (label, n) not in played and label not in omitted and f"{label} {n}" not in omitted]
        if left:
            print(f"{version}: no scenario knows {label}; it is played alone", file=sys.stderr)
            database = scope(exchanges[0]["request"]["path"])
            arrange = [] if database in ("server", "nosuch") else [create(database)]
            scenarios.append({"name": f"{label} alone", "steps": arrange + [s for n in left for s in play(label, n)]})
    out = HERE / f"fixture-{version}.json"
    # One line a step: readable in a diff, small in the tree.
    body = ",\n".join(
        '  {"name": %s, "steps": [\n%s\n  ]}' % (
            json.dumps(s["name"]), ",\n".join("    " + json.dumps(x, separators=(",", ":")) for x in s["steps"]))
        for s in scenarios)
    out.write_text('{"server": %s, "scenarios": [\n%s\n]}\n' % (json.dumps(version), body))
    count = sum("label" in s for scenario in scenarios for s in scenario["steps"])
    print(f"{out.name}: {count} exchanges in {len(scenarios)} scenarios")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for directory in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if directory.is_dir():
            derive(directory.name, directory)


main()
