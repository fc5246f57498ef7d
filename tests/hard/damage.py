"""Damage: what a disk, a half-finished download or a wrong program does to a session file."""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from tests.hard.spoiling import Rng, content, one, sql


def flipped_bits(path: Path, rng: Rng) -> str:
    count = int(2 ** rng.uniform(0, 8))
    with content(path) as data:
        data[rng.integers(0, len(data), count)] ^= np.uint8(1 << rng.integers(0, 8))
    return f"{count} flipped bits"


def flipped_bits_in_the_tables(path: Path, rng: Rng) -> str:
    """Dense damage: where the trees are, not where the arrays' numbers are."""
    with content(path) as data:
        pages = [at for at in range(0, len(data), 4096) if data[at] in (2, 5, 10, 13)] or [0]
        for _ in range(int(rng.integers(1, 9))):
            data[one(rng, pages) + int(rng.integers(0, 200))] = rng.integers(0, 256)
    return "wrong bytes at the heads of pages"


def truncated(path: Path, rng: Rng) -> str:
    size = int(rng.integers(0, path.stat().st_size))
    os.truncate(path, size)
    return f"truncated to {size} bytes"


def zeroed_pages(path: Path, rng: Rng) -> str:
    with content(path) as data:
        for _ in range(int(rng.integers(1, 5))):
            at = 4096 * int(rng.integers(0, max(1, len(data) // 4096)))
            data[at : at + 4096] = 0
    return "zeroed pages"


def swapped_pages(path: Path, rng: Rng) -> str:
    with content(path) as data:
        pages = data[: len(data) // 4096 * 4096].reshape(-1, 4096)
        for _ in range(int(rng.integers(1, 4))):
            a, b = rng.integers(0, len(pages), 2)
            pages[[a, b]] = pages[[b, a]]
    return "pages in each other's place"


def chained_pages(path: Path, rng: Rng) -> str:
    """Overflow and free pages that lead to themselves, to each other or nowhere."""
    with content(path) as data:
        count = max(2, len(data) // 4096)
        for _ in range(int(rng.integers(1, 30))):
            at, to = int(rng.integers(1, count)), int(rng.integers(0, 2 * count))
            data[4096 * at : 4096 * at + 4] = np.frombuffer(struct.pack(">I", to), np.uint8)
    return "pages that lead in circles"


def wrong_header(path: Path, rng: Rng) -> str:
    at = int(one(rng, (16, 18, 19, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 92, 96)))
    value = int(one(rng, (0, 1, 2, 3, 255, 1 << 31, (1 << 32) - 1, int(rng.integers(1 << 32)))))
    wide = b"" if at in (18, 19, 20) else struct.pack(">I", value)
    with content(path) as data:
        for index, byte in enumerate(wide or bytes([value & 255])):
            data[at + index] = byte
    return f"header, byte {at}: {value}"


def of_another_program(path: Path, rng: Rng) -> str:
    value = int(one(rng, (0, 1, 0x0F055112, -1)))
    with sql(path) as db:
        db.execute(f"PRAGMA application_id = {value}")
    return f"application_id {value}"


def of_the_future(path: Path, rng: Rng) -> str:
    value = int(one(rng, (0, -1, 3, 99, 2**31 - 1, -(2**31))))
    with sql(path) as db:
        db.execute(f"PRAGMA user_version = {value}")
    return f"format {value}"


def longer_than_the_disk(path: Path, rng: Rng) -> str:
    size = int(one(rng, (1 << 33, 1 << 40)))
    with suppress(OSError):
        os.truncate(path, size)
    return f"a file with a hole of {size} bytes"


def of_another_kind(path: Path, rng: Rng) -> str:
    """Not a session at all, under the name of one."""
    kind = one(rng, ("empty", "text", "zip", "sqlite", "magic", "noise", "utf16"))
    path.unlink()
    if kind in ("sqlite", "utf16"):
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(f"PRAGMA encoding = '{'UTF-16be' if kind == 'utf16' else 'UTF-8'}'")
            db.execute(f"PRAGMA application_id = {0x4D534350}")
            db.execute(f"PRAGMA user_version = {int(rng.integers(0, 4))}")
            db.execute("CREATE TABLE runs (id)")
    else:
        path.write_bytes({
            "empty": b"", "text": b"hello " * 1000, "zip": b"PK\3\4" + bytes(3000),
            "magic": b"SQLite format 3\0" + bytes(int(rng.integers(0, 9000))),
            "noise": rng.bytes(int(rng.integers(1, 100_000))),
        }[kind])  # fmt: skip
    return kind
