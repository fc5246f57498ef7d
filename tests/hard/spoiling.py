"""What the mutations of session files are made with.

`MARK` is written nowhere in a file, only ever put together by SQL that a file might get us to run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

MARK = b"EXECUTED-BY-A-STRANGER"
MARK_SQL = "'EXECUTED-' || 'BY-A-STRANGER'"
Rng = np.random.Generator


def log_of(path: Path, suffix: str = "-wal") -> Path:
    return path.with_name(path.name + suffix)


def one(rng: Rng, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


@contextmanager
def sql(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, open to every change that SQLite knows, folded into one file afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("PRAGMA writable_schema = ON")
        yield db


@contextmanager
def content(path: Path) -> Iterator[np.ndarray]:
    """The bytes of a file, written back when the block ends."""
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    yield data
    path.write_bytes(data.tobytes())


def tables(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
