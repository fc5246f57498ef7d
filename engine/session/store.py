"""Session: a user's runs in one SQLite file.

A file comes from anywhere, so it is read as hostile: nothing in it is code, every value is checked
and bounded, and one unreadable run leaves the others readable. `file` opens it with that in mind.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from engine.errors import FileError
from engine.session import file, rows
from engine.session.rows import UNREADABLE, RunRow, from_text, said, to_text
from engine.session.run import (
    KINDS_STORED,
    Array,
    ModelRef,
    Run,
    digest,
    pack,
    raw,
    unpack,
    versions,
)

CHUNK = 8 << 20  # bytes of an array in one row
LARGE = 256 << 20  # bytes; a larger result is not stored unless asked for
_LISTED = 100_000  # rows; no person makes more runs, a hostile file might
_DTYPE = re.compile(rf"[<>|=][{KINDS_STORED}]\d{{1,6}}")


@dataclass(eq=False)
class Session:
    """An open session file; used by one thread, as each thread opens its own."""

    path: Path
    read_only: bool = False
    _db: sqlite3.Connection = field(repr=False, kw_only=True)

    # --- the file ------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """A new, empty session; FileError if there is something of that name."""
        path = Path(path)
        with file.speaking(path):
            file.create(path, versions())
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing session, read-only where file or folder is; FileError says why not."""
        path = Path(path)
        with file.speaking(path):
            db, read_only = file.connect(path)
            return cls(path, read_only, _db=db)

    @classmethod
    def untitled(cls, folder: str | Path) -> Self:
        """A new session in the user's data folder, named after this minute."""
        folder = Path(folder)
        with file.speaking(folder):
            folder.mkdir(parents=True, exist_ok=True)
        stem = f"untitled {datetime.now():%Y-%m-%d %H.%M}"
        for number in range(1, 1000):
            path = folder / f"{stem}{f' ({number})' if number > 1 else ''}.mscope"
            with file.speaking(path), suppress(FileExistsError):
                file.create(path, versions())
                return cls.open(path)
        raise FileError(folder, "it is full of untitled sessions: delete some")

    @property
    def nbytes(self) -> int:
        """Size on disk, with what is still in the write-ahead log."""
        log = self.path.with_name(self.path.name + "-wal")
        return sum(path.stat().st_size for path in (self.path, log) if path.exists())

    def save_as(self, path: str | Path) -> None:
        """Write a whole copy under another name; an existing file there is replaced."""
        file.copy(self._db, Path(path))

    def close(self) -> None:
        """Fold the write-ahead log back, so that a copy of the file is whole."""
        with file.speaking(self.path), closing(self._db):
            if not self.read_only:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing -------------------------------------------------------------------------------

    def add(self, run: Run, keep_large: bool = False) -> int:
        """Store a run in one transaction and give its id; FileError leaves the file as it was."""
        if self.read_only:
            raise FileError(self.path, "it is read-only: save the session under another name")
        arrays, values = pack(run.result)
        size = sum(array.nbytes for array in arrays.values())
        kept = run.result is not None and (size <= LARGE or keep_large)
        seal = "" if run.result is None else digest(arrays, values)
        row = rows.to_row(run, seal, size) | {"fields": to_text(values) if kept else None}
        with file.speaking(self.path), self._transaction():
            row["model"] = self._model_id(run.model)
            marks = ", ".join(f":{name}" for name in row)
            cursor = self._db.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({marks})", row)
            number = cursor.lastrowid or 0
            for name, array in arrays.items() if kept else ():
                self._add_array(number, name, array)
        return number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled back already
                self._db.execute("ROLLBACK")
            raise

    def _model_id(self, model: ModelRef | None) -> int | None:
        if model is None:
            return None
        config = to_text(dict(model.config))
        self._db.execute(
            "INSERT INTO models (digest, name, folder, config) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET config = excluded.config",
            (model.digest, model.name, model.folder, config),
        )
        where = (model.digest, model.name, model.folder)
        found = "SELECT id FROM models WHERE digest = ? AND name = ? AND folder = ?"
        return int(self._db.execute(found, where).fetchone()[0])

    def _add_array(self, run: int, name: str, array: Array) -> None:
        data = raw(array)
        shape = to_text(array.shape)
        for part in range(max(1, -(-len(data) // CHUNK))):
            piece = data[part * CHUNK : (part + 1) * CHUNK]
            row = (run, name, part, array.dtype.str, shape, piece)
            self._db.execute("INSERT INTO arrays VALUES (?, ?, ?, ?, ?, ?)", row)

    # --- reading -------------------------------------------------------------------------------

    def runs(self) -> list[RunRow]:
        """Every run without its arrays, oldest first; one that is not readable says why."""
        listed: list[RunRow] = []
        numbers: list[int] = []
        try:
            ids = self._db.execute("SELECT id FROM runs ORDER BY id LIMIT ?", (_LISTED,))
            numbers.extend(int(number) for (number,) in ids)
        except UNREADABLE as error:
            listed.append(RunRow(0, unreadable=f"the list of runs is damaged: {said(error)}"))
        for number in numbers:
            kind = ""
            try:
                row = self._one(rows.SELECT, number)
                kind = str(row[0])
                listed.append(rows.from_row(number, row))
            except UNREADABLE as error:
                listed.append(RunRow(number, kind, unreadable=said(error)))
        return listed

    def load(self, number: int) -> Run:
        """A run with its result as the technique's own `Result`; FileError if not readable."""
        try:
            row = rows.from_row(number, self._one(rows.SELECT, number))
            if row.run is None or not row.kept:
                return cast(Run, row.run)
            (text,) = self._one("SELECT fields FROM runs WHERE id = ?", number)
            values = rows.from_object(text)
            arrays = {name: self._array(number, name) for name in self._names(number)}
            if digest(arrays, values) != row.run.digest:
                raise ValueError("its result is not the one that was stored")
            return replace(row.run, result=unpack(type(row.run.spec), arrays, values))
        except UNREADABLE as error:
            raise FileError(self.path, f"run {number} is not readable: {said(error)}") from error

    def _one(self, sql: str, number: int) -> tuple[Any, ...]:
        row = self._db.execute(sql, (number,)).fetchone()
        if row is None:
            raise LookupError("there is no such run")
        return row

    def _names(self, number: int) -> list[str]:
        sql = "SELECT name FROM arrays WHERE run = ? AND part = 0 ORDER BY rowid LIMIT 1000"
        return [str(name) for (name,) in self._db.execute(sql, (number,))]

    def _array(self, number: int, name: str) -> Array:
        where = (number, name)
        about = "SELECT dtype, shape FROM arrays WHERE run = ? AND name = ? AND part = 0"
        dtype, shape = self._db.execute(about, where).fetchone()
        if not _DTYPE.fullmatch(dtype):
            raise ValueError(f"{name} has an unknown type of number")
        lengths = from_text(shape)
        if not isinstance(lengths, list) or not all(
            type(length) is int and length >= 0 for length in lengths
        ):
            raise ValueError(f"{name} has no shape")
        size = math.prod(lengths) * np.dtype(dtype).itemsize
        there = "SELECT sum(length(data)), count(*) FROM arrays WHERE run = ? AND name = ?"
        stored, parts = self._db.execute(there, where).fetchone()
        if stored != size:
            raise ValueError(f"{name} should have {size} bytes and has {stored}")
        if size > self.nbytes:  # pages may be claimed twice: a small file that wants all memory
            raise ValueError(f"{name} claims {size} bytes, more than the file has")
        data = np.empty(size, np.uint8)
        filled = 0
        for part in range(parts):
            sql = "SELECT data FROM arrays WHERE run = ? AND name = ? AND part = ?"
            piece = np.frombuffer(self._db.execute(sql, (*where, part)).fetchone()[0], np.uint8)
            data[filled : filled + len(piece)] = piece
            filled += len(piece)
        return data.view(dtype).reshape(lengths)
