"""Three S3 servers on this host, as three regions: one pass of Larder against restic run three times; for ./bench/destinations."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from tools import LARDER, ROOT, Tool, served

RCLONE = os.path.join(ROOT, "target", "clients", "s3", "bin", "rclone")
PROXY = os.path.join(ROOT, "target", "release", "examples", "slow_proxy")
KEY, SECRET = "AKBENCH", "SKBENCH1234"
REGIONS = 3
# Real servers have processors of their own; these share one with the programs measured, so they leave out what the protocol does
# not ask for: hashing once more what was stored.
FRUGAL = ["--ignore-checksum", "--no-checksum"]
# Each way; a request and its answer take twice that.
LATENCY_MS = 25
PATIENCE_SECONDS = 30
DOWN = "http://127.0.0.1:9"


def cpu_of(process):
    """Returns the CPU seconds that a running process has cost until now."""
    with open(f"/proc/{process.pid}/stat", encoding="utf-8", errors="replace") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Region:
    """One S3 server with one bucket, a directory."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "served", "backups"))
        command = [RCLONE, "serve", "s3", "--addr", "127.0.0.1:0", "--config", "/dev/null", "--vfs-cache-mode", "off", *FRUGAL,
                   "--auth-key", f"{KEY},{SECRET}", "--cache-dir", os.path.join(folder, "cache"), os.path.join(folder, "served")]
        # A file and no pipe: nobody would read on, and a server that has said too much would stand still.
        log = os.path.join(folder, "log")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(log, "wb"))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "http://" not in open(log, encoding="utf-8").read():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"rclone serve s3 did not start: {open(log, encoding='utf-8').read()}")
            time.sleep(0.02)
        said = open(log, encoding="utf-8").read().split("http://")[1]
        self.url = "http://" + said.split("/")[0].split()[0].rstrip("]")

    def cpu(self):
        return cpu_of(self.process)

    def mib(self):
        total = 0
        for parent, _, names in os.walk(os.path.join(self.folder, "served")):
            total += sum(os.path.getsize(os.path.join(parent, name)) for name in names)
        return total / (1 << 20)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Slow:
    """A line with latency in front of a server."""

    def __init__(self, url):
        command = [PROXY, url.removeprefix("http://"), str(LATENCY_MS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Larder:
    """A server of Larder's with one task for some regions."""

    def __init__(self, work, data):
        self.home, self.data = os.path.join(work, "larder-regions"), data

    def task(self, urls):
        return json.dumps({"Name": "Bench", "FullBackupFrequency": "0 0 29 2 *",
                           "S3Settings": {"BucketName": "backups", "CustomServerUrl": ":".join(urls), "ForcePathStyle": True,
                                          "AwsAccessKey": KEY, "AwsSecretKey": SECRET}})

    def first(self, urls, may_fail=False):
        """Backs up for the first time; returns the figures."""
        shutil.rmtree(self.home, ignore_errors=True)
        served(self.home, [(["source", "add", self.data, "--name", "files"], None), (["task", "put", "-"], self.task(urls))])
        os.sync()
        return served(self.home, [(["backup", "now", "files", "--wait", "--full"], None)], may_fail)

    def again(self, urls):
        """Says anew where the regions are, and backs up; what one lacks is brought to it from another."""
        served(self.home, [(["task", "put", "-"], self.task(urls))])
        return served(self.home, [(["backup", "now", "files", "--wait", "--full"], None)])


def restic(work, data, urls):
    """Runs restic once for each region; returns the sum of what that cost."""
    total = [0.0, 0.0, 0.0, 0.0]
    for number, url in enumerate(urls):
        environment = dict(os.environ, RESTIC_PASSWORD="bench", RESTIC_REPOSITORY=f"s3:{url}/backups", AWS_ACCESS_KEY_ID=KEY,
                           AWS_SECRET_ACCESS_KEY=SECRET, RESTIC_CACHE_DIR=os.path.join(work, f"restic-regions-{number}"))
        shutil.rmtree(environment["RESTIC_CACHE_DIR"], ignore_errors=True)
        subprocess.run(["restic", "init", "--quiet"], env=environment, check=True, stdout=subprocess.DEVNULL)
        os.sync()
        command = ["restic", "backup", "--quiet", data]
        before = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        figures = Tool.figures(process, command, before, process.stderr.read())
        total = [total[0] + figures[0], total[1] + figures[1], total[2] + figures[2], max(total[3], figures[3])]
        shutil.rmtree(environment["RESTIC_CACHE_DIR"])
    return total


def verdict(what, ratio, goal, at_least=False):
    reached = ratio >= goal if at_least else ratio <= goal
    print(f"  {what:<58}{ratio:>8.2f}   goal {goal:.2f}   {'reached' if reached else 'NOT reached'}", flush=True)


def measure(work, data, runs):
    """Prints the tables."""
    if not os.path.exists(RCLONE):
        sys.exit("the S3 servers are not installed; run ./test once")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "larder"], cwd=ROOT, check=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "larder-testbed", "--example", "slow_proxy"], cwd=ROOT, check=True)
    larder, samples, healed, line = Larder(work, data), {}, [], []

    def add(name, figures):
        samples.setdefault(name, []).append(figures)
        said = f"CPU {figures[0]:.2f} s, wall {figures[2]:.2f} s, the servers' CPU {figures[4]:.2f} s"
        print(f"  {name}: {said}", file=sys.stderr, flush=True)

    def slowly(urls):
        slow = Slow(urls[0])
        figures = larder.first([slow.url])
        # The line is no part of Larder, but takes its share of the same processor.
        line.append(cpu_of(slow.process))
        slow.stop()
        return figures

    for _ in range(runs):
        for name, work_of in (
            ("larder, one region", lambda urls: larder.first(urls[:1])),
            ("larder, three regions", larder.first),
            ("restic, three times", lambda urls: restic(work, data, urls)),
            ("larder, one region, 50 ms away", slowly),
            ("larder, three regions, one down", lambda urls: larder.first([*urls[:2], DOWN], may_fail=True)),
        ):
            regions = [Region(os.path.join(work, f"region-{number}")) for number in range(REGIONS)]
            line.clear()
            before = sum(region.cpu() for region in regions)
            figures = list(work_of([region.url for region in regions]))
            add(name, [*figures, sum(region.cpu() for region in regions) - before + sum(line)])
            if name.endswith("down"):
                # It is there again: nothing of the source is stored anew, and what it lacks is brought from another.
                larder.again([region.url for region in regions])
                healed.append(regions[2].mib() / regions[0].mib())
            for region in regions:
                region.stop()
    shutil.rmtree(larder.home, ignore_errors=True)
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in samples.items()}
    print(f"\nfirst backup to S3 servers on this host, medians of {runs}")
    columns = ("CPU s", "user s", "wall s", "peak MiB", "servers' CPU", "cores busy")
    print(f"  {'':<36}" + "".join(f"{column:>13}" for column in columns))
    cores = os.cpu_count()
    for name, row in median.items():
        busy = f"{100 * (row[0] + row[4]) / row[2] / cores:.0f} %"
        print(f"  {name:<36}" + "".join(f"{figure:>13.2f}" for figure in row) + f"{busy:>13}", flush=True)
    one, three = median["larder, one region"], median["larder, three regions"]
    verdict("three regions: CPU / one's", three[0] / one[0], 1.1)
    verdict("three regions: wall / one's", three[2] / one[2], 1.3)
    # No program is faster than its processor: what Larder and the servers need of it, over all cores, takes at least so long.
    least = [(row[0] + row[4]) / cores for row in (one, three)]
    print(f"  {'  the same if all cores were busy all the time':<58}{least[1] / least[0]:>8.2f}", flush=True)
    verdict("three regions: peak MiB", three[3], 160)
    verdict("three regions: wall / restic's three runs", three[2] / median["restic, three times"][2], 0.4)
    verdict("50 ms away: throughput / that of no latency", one[2] / median["larder, one region, 50 ms away"][2], 0.85, at_least=True)
    verdict("one of three down: wall / three regions'", median["larder, three regions, one down"][2] / three[2], 1.1)
    verdict("there again: brought / what the others hold", statistics.median(healed), 1.02)
