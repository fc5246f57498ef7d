"""The arrays of a result in chunks, each array checked against its claims before it is read."""

from __future__ import annotations

import math
import re

import numpy as np

from engine.session.file import Connection
from engine.session.json_text import from_text, to_text
from engine.session.run import KINDS_STORED, Array, slabs

CHUNK = 1 << 20  # bytes of an array in one row: Python copies one while it holds the window up
_DTYPE = re.compile(rf"[<>|=][{KINDS_STORED}]\d{{1,6}}")


def write(db: Connection, run: int, name: str, array: Array) -> None:
    """Store an array inside a transaction of the caller."""
    shape = to_text(array.shape)
    for part, piece in enumerate(slabs(array, CHUNK)):
        row = (run, name, part, array.dtype.str, shape, piece)
        db.execute("INSERT INTO arrays VALUES (?, ?, ?, ?, ?, ?)", row)


def names(db: Connection, run: int) -> list[str]:
    """The arrays that a run has, in the order they were stored."""
    sql = "SELECT name FROM arrays WHERE run = ? AND part = 0 ORDER BY rowid LIMIT 1000"
    return [str(name) for (name,) in db.execute(sql, (run,))]


def read(db: Connection, run: int, name: str, most: int) -> Array:
    """One array; ValueError if it is not what it says, or has more than `most` bytes."""
    where = (run, name)
    about = "SELECT dtype, shape FROM arrays WHERE run = ? AND name = ? AND part = 0"
    dtype, shape = db.execute(about, where).fetchone()
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"{name} has an unknown type of number")
    lengths = from_text(shape)
    if not isinstance(lengths, list) or not all(
        type(length) is int and length >= 0 for length in lengths
    ):
        raise ValueError(f"{name} has no shape")
    size = math.prod(lengths) * np.dtype(dtype).itemsize
    there = "SELECT sum(length(data)), count(*) FROM arrays WHERE run = ? AND name = ?"
    stored, parts = db.execute(there, where).fetchone()
    if stored != size:
        raise ValueError(f"{name} should have {size} bytes and has {stored}")
    if size > most:  # pages may be claimed twice: a small file that wants all memory
        raise ValueError(f"{name} claims {size} bytes, more than the file has")
    data = np.empty(size, np.uint8)
    filled = 0
    for part in range(parts):
        sql = "SELECT data FROM arrays WHERE run = ? AND name = ? AND part = ?"
        piece = np.frombuffer(db.execute(sql, (*where, part)).fetchone()[0], np.uint8)
        data[filled : filled + len(piece)] = piece
        filled += len(piece)
    return data.view(dtype).reshape(lengths)
