"""Private database servers for ./bench/databases: made in a directory of their own, ended by their own handle."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time

PATIENCE_SECONDS = 60


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def as_user(name):
    """Returns the words before a command that has it run as another user, where this program is root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--clear-groups", "--"]


def give_to(name, *paths):
    """Makes paths another user's, where this program is root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(name)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def cpu_of(pid):
    """Returns the CPU seconds of a process, those of its children that run, and those of all that ended."""
    ticks = 0
    try:
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK") + sum(cpu_of(child) for child in children)


class Server:
    """A server that runs: how it is ended, asked, and what it used."""

    process = None

    def start(self, command, ready):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log(), stderr=subprocess.STDOUT, cwd="/")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} did not start: {open(self.log_path).read()[-2000:]}")
            time.sleep(0.02)

    def log(self):
        return open(self.log_path, "ab")

    def stop(self):
        if self.process is not None:
            self.process.send_signal(self.end_signal)
            self.process.wait()
            self.process = None

    def cpu(self):
        return cpu_of(self.process.pid)


class PostgreSQL(Server):
    """One cluster, of the newest version that Debian's packages brought."""

    end_signal = 2  # a fast shutdown

    def __init__(self, directory, settings=(), data=None):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[4]))
        if not programs:
            sys.exit("PostgreSQL is not installed; install Debian's package postgresql")
        self.programs, self.directory, self.port = programs[-1], directory, free_port()
        self.data, self.log_path = data or os.path.join(directory, "data"), os.path.join(directory, "log")
        self.settings = list(settings)
        os.makedirs(directory, exist_ok=True)
        give_to("postgres", directory)
        if data is None:
            made = [self.program("initdb"), "-D", self.data, "--username=postgres", "--auth=trust", "--encoding=UTF8",
                    "--locale=C.UTF-8", "--data-checksums"]
            subprocess.run([*as_user("postgres"), *made], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def program(self, name):
        return os.path.join(self.programs, name)

    def begin(self):
        options = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.directory}", *self.settings]
        words = [word for option in options for word in ("-c", option)]
        self.start([*as_user("postgres"), self.program("postgres"), "-D", self.data, *words],
                   lambda: self.client("SELECT 1", check=False).returncode == 0)

    def client(self, statement, database="postgres", check=True):
        command = [self.program("psql"), "-X", "-A", "-t", "-q", "-h", self.directory, "-p", str(self.port), "-U", "postgres",
                   "-v", "ON_ERROR_STOP=1", "-c", statement, database]
        return subprocess.run(command, capture_output=True, text=True, check=check, cwd="/")

    def sql(self, statement, database="postgres"):
        return self.client(statement, database).stdout.strip()

    def pgbench(self, *arguments):
        command = [self.program("pgbench"), "-h", self.directory, "-p", str(self.port), "-U", "postgres", *arguments, "bench"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.directory)

    def address(self):
        return f"postgresql://postgres@{self.directory.replace('/', '%2F')}:{self.port}"


class MariaDB(Server):
    """One server, from Debian's packages, that keeps a binary log."""

    end_signal = 15

    def __init__(self, directory, data=None):
        for program, package in (("mariadbd", "mariadb-server"), ("mariabackup", "mariadb-backup")):
            if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
                sys.exit(f"{program} is not installed; install Debian's package {package}")
        self.directory, self.port = directory, free_port()
        self.data, self.log_path = data or os.path.join(directory, "data"), os.path.join(directory, "log")
        self.socket = os.path.join(directory, "socket")
        os.makedirs(directory, exist_ok=True)
        give_to("mysql", directory)
        if data is None:
            os.makedirs(self.data)
            give_to("mysql", self.data)
            made = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db",
                    f"--datadir={self.data}", f"--tmpdir={self.data}", *self.user()]
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    @staticmethod
    def user():
        return ["--user=mysql"] if os.geteuid() == 0 else []

    def begin(self):
        self.start(["mariadbd", "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.data}", f"--socket={self.socket}",
                    f"--port={self.port}", "--bind-address=127.0.0.1", "--log-bin=bin", "--binlog-format=ROW", "--server-id=7",
                    "--innodb-buffer-pool-size=256M", *self.user()],
                   lambda: self.client("SELECT 1", check=False).returncode == 0)

    def client(self, statement, check=True):
        command = ["mariadb", "--no-defaults", "--user=root", "--batch", "--skip-column-names", "--socket", self.socket,
                   f"--execute={statement}"]
        return subprocess.run(command, capture_output=True, text=True, check=check, cwd="/")

    def sql(self, statement):
        return self.client(statement).stdout.strip()

    def address(self):
        return f"mariadb://root@127.0.0.1:{self.port}"
