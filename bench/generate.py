#!/usr/bin/env python3
"""Generates the data of ./bench/files: always the same bytes for the same size factor.

A third incompressible large files, a third text like SQL dumps, a third small files like source code.
"""

import itertools
import os
import random
import shutil
import sys

RANDOM_FILES, SQL_FILES, SOURCE_FILES = 10, 10, 60_000
LARGE_BYTES = 100_000_000
SOURCE_SMALLEST, SOURCE_LARGEST = 4_096, 65_536


def words(rng, count):
    """Makes a vocabulary of pronounceable words."""
    consonants, vowels = "bcdfghklmnprstvwz", "aeiou"
    made = set()
    while len(made) < count:
        made.add("".join(rng.choice(consonants) + rng.choice(vowels) for _ in range(rng.randint(1, 4))))
    return sorted(made)


def zipf(count):
    """Weights a vocabulary as natural text does: the k-th word is 1/k as frequent as the first."""
    return list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))


def write_random(path, rng, size):
    with open(path, "wb") as out:
        for start in range(0, size, 1 << 20):
            out.write(rng.randbytes(min(1 << 20, size - start)))


def write_sql(path, rng, names, size):
    """Writes INSERT statements whose columns repeat as real ones do: keys, names, amounts, dates, hashes."""
    written, key = 0, rng.randrange(1 << 20)
    with open(path, "w", encoding="ascii") as out:
        while written < size:
            rows = []
            for _ in range(1000):
                key += 1
                bits = rng.getrandbits(128)
                rows.append(
                    f"({key},'{names[bits & 1023]} {names[(bits >> 10) & 1023]}',"
                    f"'{names[(bits >> 20) & 1023]}@{names[(bits >> 30) & 255]}.example',"
                    f"{(bits >> 40) % 1000000 / 100},'20{(bits >> 60) % 24:02}-{(bits >> 65) % 12 + 1:02}-"
                    f"{(bits >> 69) % 28 + 1:02} {(bits >> 74) % 24:02}:{(bits >> 79) % 60:02}:00',"
                    f"'{bits >> 96:08x}',{(bits >> 90) & 1},NULL)"
                )
            text = "INSERT INTO `orders` VALUES " + ",".join(rows) + ";\n"
            text = text[: size - written]
            out.write(text)
            written += len(text)


def write_sources(folder, rng, lines, count):
    sizes = random.Random(rng.random())
    for number in range(count):
        if number % 300 == 0:
            part = os.path.join(folder, f"module{number // 300:03}")
            os.makedirs(part, exist_ok=True)
        # Sizes spread like those of real trees: many small files, few large ones; about 19.5 KB on average.
        size = int(SOURCE_SMALLEST * (SOURCE_LARGEST / SOURCE_SMALLEST) ** (sizes.random() ** 1.25))
        text = "\n".join(rng.choices(lines, k=size // 30 + 8)).encode("ascii")[:size]
        with open(os.path.join(part, f"file{number:05}.src"), "wb") as out:
            out.write(text)


def generate(folder, factor):
    rng = random.Random(20_261_121)
    vocabulary = words(rng, 6_000)
    weights = zipf(len(vocabulary))
    signs = ["", " = ", "(", ") {", ";", " -> ", ", ", ":", " + ", "[i]"]
    lines = [
        " " * 4 * rng.randrange(5)
        + "".join(word + rng.choice(signs) for word in rng.choices(vocabulary, cum_weights=weights, k=rng.randint(2, 8)))
        for _ in range(200_000)
    ]
    names = [rng.choice(vocabulary).capitalize() for _ in range(1024)]
    for name in ("random", "sql", "source"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    large = max(1, int(LARGE_BYTES * factor))
    for number in range(RANDOM_FILES):
        write_random(os.path.join(folder, "random", f"blob{number}.bin"), random.Random(number), large)
    for number in range(SQL_FILES):
        write_sql(os.path.join(folder, "sql", f"dump{number}.sql"), random.Random(100 + number), names, large)
    write_sources(os.path.join(folder, "source"), rng, lines, max(1, int(SOURCE_FILES * factor)))


def change_one_percent(folder):
    """Changes one percent of the small files and one percent of each large text, in place."""
    rng = random.Random(1)
    sources = sorted(
        os.path.join(parent, name) for parent, _, names in os.walk(os.path.join(folder, "source")) for name in names
    )
    for path in rng.sample(sources, max(1, len(sources) // 100)):
        with open(path, "r+b") as out:
            out.seek(os.path.getsize(path) // 2)
            out.write(b"changed " + rng.randbytes(8).hex().encode())
    for name in sorted(os.listdir(os.path.join(folder, "sql"))):
        path = os.path.join(folder, "sql", name)
        size = os.path.getsize(path)
        with open(path, "r+b") as out:
            out.seek(rng.randrange(max(1, size - size // 100)))
            out.write(rng.randbytes(size // 200).hex().encode())


def ensure(factor):
    """Returns the directory of the data of this size in its first state; generates it where it is not there."""
    work = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", f"{factor:g}")
    data = os.path.join(work, "files")
    complete, changed = os.path.join(work, "complete"), os.path.join(work, "changed")
    # An earlier run may have changed one percent.
    if not os.path.exists(complete) or os.path.exists(changed):
        print("generating the data", file=sys.stderr, flush=True)
        shutil.rmtree(data, ignore_errors=True)
        os.makedirs(data)
        generate(data, factor)
        open(complete, "w").close()
        if os.path.exists(changed):
            os.remove(changed)
    return data


if __name__ == "__main__":
    if sys.argv[1] == "--ensure":
        print(ensure(float(sys.argv[2])))
    else:
        generate(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
