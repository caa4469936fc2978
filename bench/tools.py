"""The programs that are measured side by side: how each step is said to them, and what it cost."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
LARDER = os.path.join(ROOT, "target", "release", "larder")
PASSWORD = "bench"


class Tool:
    """One backup program: how each step is said to it. restic and borg; Larder is below."""

    def __init__(self, name, work, data):
        self.name, self.work, self.data = name, work, data
        self.repository = os.path.join(work, f"{name}-repository")
        self.restored = os.path.join(work, f"{name}-restored")
        self.environment = dict(
            os.environ,
            RESTIC_PASSWORD=PASSWORD,
            RESTIC_REPOSITORY=self.repository,
            RESTIC_CACHE_DIR=os.path.join(work, "restic-cache"),
            RESTIC_PROGRESS_FPS="0.1",
            BORG_PASSPHRASE=PASSWORD,
            BORG_BASE_DIR=os.path.join(work, "borg-base"),
            BORG_RELOCATED_REPO_ACCESS_IS_OK="yes",
            BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
        )
        self.number = 0
        self.aside = []

    def init(self):
        return {
            "restic": ["restic", "init", "--repository-version", "2"],
            "borg": ["borg", "init", "--encryption", "repokey", self.repository],
        }[self.name]

    def backup(self):
        self.number += 1
        return {
            "restic": ["restic", "backup", "--quiet", self.data],
            "borg": ["borg", "create", "--compression", "zstd,3", f"{self.repository}::{self.number}", "."],
        }[self.name]

    def restore(self):
        return {
            "restic": ["restic", "restore", "--quiet", "latest", "--target", self.restored],
            "borg": ["borg", "extract", f"{self.repository}::{self.number}"],
        }[self.name]

    def check(self):
        return {
            "restic": ["restic", "check", "--read-data", "--quiet"],
            "borg": ["borg", "check", "--verify-data", self.repository],
        }[self.name]

    def folder(self, step):
        if self.name == "borg":
            return self.restored if step == "restore" else self.data
        return ROOT

    def restored_data(self):
        return self.restored + self.data if self.name == "restic" else self.restored

    def run(self, step):
        """Runs one step and returns (CPU seconds, user seconds, wall seconds, peak MiB)."""
        if step == "restore":
            self.set_aside()
            os.makedirs(self.restored)
        os.sync()
        command = getattr(self, {"first": "backup", "unchanged": "backup", "changed": "backup"}.get(step, step))()
        return self.measure(command, step)

    def set_aside(self):
        """Moves away what an earlier run restored, and empties its files.

        They are not removed yet: ext4 without a journal looks at every inode that was freed within the last minute before
        it takes one for a new file, which would cost a restore more than all the rest.
        """
        if not os.path.exists(self.restored):
            return
        os.rename(self.restored, f"{self.restored}-{len(self.aside)}")
        self.aside.append(f"{self.restored}-{len(self.aside)}")
        for parent, _, names in os.walk(self.aside[-1]):
            for name in names:
                os.truncate(os.path.join(parent, name), 0)

    def remove_restored(self):
        """Removes everything that was restored."""
        for path in (self.restored, *self.aside):
            shutil.rmtree(path, ignore_errors=True)
        self.aside = []

    def measure(self, command, step):
        """Runs one command to its end."""
        before = time.monotonic()
        process = subprocess.Popen(
            command, cwd=self.folder(step), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        return self.figures(process, command, before, process.stderr.read())

    @staticmethod
    def figures(process, command, before, errors):
        """Waits for a process and returns what it cost."""
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}: {errors.decode(errors='replace')[-2000:]}")
        return usage.ru_utime + usage.ru_stime, usage.ru_utime, wall, usage.ru_maxrss / 1024

    def fresh(self):
        """Makes an empty repository."""
        self.forget()
        subprocess.run(self.init(), env=self.environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def forget(self):
        """Removes the repository, so that the next first backup is a first one again."""
        for path in (self.repository, os.path.join(self.work, "restic-cache"), os.path.join(self.work, "borg-base")):
            if self.name in os.path.basename(path):
                shutil.rmtree(path, ignore_errors=True)

    def repository_mib(self):
        total = 0
        for parent, _, names in os.walk(self.repository):
            total += sum(os.path.getsize(os.path.join(parent, name)) for name in names)
        return total / (1 << 20)


def served(home, commands, may_fail=False):
    """Starts a server, has commands carried out, and ends it; returns what it cost from start to end, its programs included.

    A command is its words and its standard input. Its remarks go to nobody; where it fails, the benchmark ends unless told
    otherwise.
    """
    serve = [LARDER, "serve", "--data", home, "--bind", "127.0.0.1:0"]
    before = time.monotonic()
    process = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "http://" in line:
            break
    else:
        sys.exit(f"the server did not start: {''.join(lines)}")
    address = "http://" + line.split("http://")[1].split()[0].rstrip("/.,")
    for command, text in commands:
        done = subprocess.run([LARDER, *command, "--server", address], input=text, text=True, capture_output=True)
        if done.returncode != 0 and not may_fail:
            sys.exit(f"larder {' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    process.terminate()
    process.stdout.read()
    return Tool.figures(process, serve, before, b"")


class Larder(Tool):
    """The real program: a server for backups, and its commands."""

    def __init__(self, name, work, data):
        super().__init__(name, work, data)
        self.home = os.path.join(work, "larder-home")
        self.repository = os.path.join(self.home, "backups", "files")

    def offline(self):
        return ["--destination", os.path.join(self.home, "backups"), "--key-file", os.path.join(self.home, "key")]

    def restore(self):
        return [LARDER, "restore", "files", self.restored, *self.offline()]

    def check(self):
        return [LARDER, "check", "files", "--read-data", *self.offline()]

    def run(self, step):
        if step in ("restore", "check"):
            return super().run(step)
        os.sync()
        kind = ["--full"] if step == "first" else []
        return served(self.home, [(["backup", "now", "files", "--wait", *kind], None)])

    def fresh(self):
        self.forget()
        # Far from now, so that nothing but the measured command makes a backup.
        task = {"Name": "Bench", "FullBackupFrequency": "0 0 29 2 *",
                "LocalSettings": {"FolderPath": os.path.join(self.home, "backups")}}
        served(self.home, [(["source", "add", self.data, "--name", "files"], None),
                           (["task", "put", "-"], json.dumps(task))])

    def forget(self):
        shutil.rmtree(self.home, ignore_errors=True)


def print_table(title, tools, rows):
    print(f"\n{title}")
    print(f"  {'':<12}" + "".join(f"{column:>12}" for column in ("CPU s", "user s", "wall s", "peak MiB")) + "   CPU / larder's")
    larder = rows.get("larder", [None])[0]
    for tool in tools:
        figures = rows[tool.name]
        ratio = f"{figures[0] / larder:.2f}" if larder else ""
        print(f"  {tool.name:<12}" + "".join(f"{figure:>12.2f}" for figure in figures) + f"   {ratio}", flush=True)


def measure(tools, step, runs, fresh=False):
    """Runs a step of every tool in turn, `runs` times, and returns the medians."""
    figures = {tool.name: [] for tool in tools}
    for _ in range(runs):
        for tool in tools:
            if fresh:
                tool.fresh()
            figures[tool.name].append(tool.run(step))
    return {name: [statistics.median(column) for column in zip(*samples)] for name, samples in figures.items()}


def installed(names):
    """Ends the program where one of the peers is missing."""
    for name in names:
        if name != "larder" and shutil.which(name) is None:
            sys.exit(f"{name} is not installed; install Debian's package {'borgbackup' if name == 'borg' else name}")


def build(*packages):
    """Builds packages of the workspace as they are shipped."""
    chosen = [word for package in packages for word in ("-p", package)]
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", *chosen], cwd=ROOT, check=True)


def versions(tools):
    """Prints which programs these are."""
    for tool in tools:
        if tool.name in ("restic", "borg"):
            command = [tool.name, "version" if tool.name == "restic" else "--version"]
            print(" ", subprocess.run(command, capture_output=True, text=True, env=tool.environment).stdout.strip())
