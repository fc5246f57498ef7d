"""Upkeep of a session: its list, names and notes, the trash, compaction, digests learned later."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.session import about, rows
from engine.session.file import Connection, speaking
from engine.session.json_text import plain_text, to_text
from engine.session.rows import UNREADABLE, RunRow, said

_LISTED = 100_000  # rows looked at; no person makes more runs, a hostile file might
_ROW = 500  # characters that a row counts for, beside its own
_ALWAYS = 6 << 20  # characters that are listed however long it takes: some 9,000 runs
_AT_MOST = 32 << 20
_LISTING_SECONDS = 1.0  # of computing: how much is listed must not depend on what else runs
_REMAINING, _REMOVED = "coalesce(a.deleted, '') = ''", "a.deleted <> ''"
_USED = """EXISTS (SELECT 1 FROM runs r LEFT JOIN about a ON a.run = r.id
 WHERE {which} AND (instr(r.spec, {table}.digest) OR instr(a.inputs, {table}.digest)))"""
_TRASH = "(SELECT run FROM about WHERE deleted <> '')"
_FORGET_MODELS = (
    "DELETE FROM models WHERE id NOT IN (SELECT model FROM runs WHERE model IS NOT NULL)"
)
_FORGET_MODEL = (
    "DELETE FROM models WHERE id = ? AND ? NOT IN (SELECT model FROM runs WHERE model IS NOT NULL)"
)
_REMOVE = (
    # Data that no run ever read stays: it was added to be read.
    f"DELETE FROM data WHERE {_USED.format(which=_REMOVED, table='data')}"
    f" AND NOT {_USED.format(which=_REMAINING, table='data')}",
    f"DELETE FROM artifacts WHERE run IN {_TRASH}"
    f" AND NOT {_USED.format(which=_REMAINING, table='artifacts')}",
    f"DELETE FROM runs WHERE id IN {_TRASH}",
    _FORGET_MODELS,
)


# --- the list ------------------------------------------------------------------------------------


def runs(db: Connection, deleted: bool) -> list[RunRow]:
    """The runs in, or not in, the trash, oldest first, without their arrays.

    The newest are read first: where there are too many, a row at the beginning says how many more.
    """
    numbers, trouble = _numbers(db)
    trash = _trash(db)
    until = time.thread_time() + _LISTING_SECONDS
    listed: list[RunRow] = []
    wanted = [number for number in numbers if (number in trash) == deleted]
    spent = 0
    for index, number in enumerate(wanted):
        if spent > _AT_MOST or (spent > _ALWAYS and time.thread_time() > until):
            more = f"{'more than ' * (len(numbers) >= _LISTED)}{len(wanted) - index:,} older runs"
            more += " are not listed: reading them takes too long"
            listed.append(RunRow(0, unreadable=more, deleted=deleted))
            break
        row, length = _row(db, number, deleted)
        listed.append(row)
        spent += length + _ROW
    if trouble:
        trouble = f"the list of runs is damaged: {trouble}"
        listed.append(RunRow(0, unreadable=trouble, deleted=deleted))
    return listed[::-1]


def _numbers(db: Connection) -> tuple[list[int], str]:
    """The ids of all runs, newest first, and what is wrong with the table they stand in."""
    found: dict[int, None] = {}
    trouble = ""
    for order in ("DESC", "ASC"):  # past a damaged page, what lies beyond is read from its end
        try:
            ids = db.execute(f"SELECT id FROM runs ORDER BY id {order} LIMIT {_LISTED}")
            found.update((int(number), None) for (number,) in ids)
            break
        except UNREADABLE as error:
            trouble = said(error)
    return sorted(found, reverse=True), trouble


def _trash(db: Connection) -> set[int]:
    found: set[int] = set()
    try:
        if db.format > 1:
            ids = db.execute(f"SELECT run FROM about WHERE deleted <> '' LIMIT {_LISTED}")
            found.update(int(number) for (number,) in ids)
    except UNREADABLE:
        pass  # a run that comes back from the trash is better than one that is hidden
    return found


def _row(db: Connection, number: int, deleted: bool) -> tuple[RunRow, int]:
    """A run as it is listed, and how many characters it has."""
    kind, length = "", 0
    try:
        found = db.execute(rows.SELECT, (number,)).fetchone()
        length = sum(len(value) for value in found if isinstance(value, str))
        kind = str(found[0])[:100]
        row = rows.from_row(number, found)
    except UNREADABLE as error:
        # It is not held, and reading stopped early: it counts for less.
        return RunRow(number, kind, unreadable=said(error), deleted=deleted), length // 16
    row = replace(row, deleted=deleted)
    run, trouble = described(db, row)
    extent = len(run.title) + len(run.note) + sum(map(len, run.tokens.values())) * 4 if run else 0
    return replace(row, run=run, about_note=trouble), length + extent


def described(db: Connection, row: RunRow) -> tuple[Any, str]:
    """A listed run with what is recorded beside it, or why that is not readable."""
    if row.run is None:
        return None, ""
    try:
        fields = about.read(db, row.id, db.format)
        if row.described and not fields:
            raise ValueError("it is not there")
        return replace(row.run, **fields), ""
    except UNREADABLE as error:
        return row.run, f"its title, note and tokens are not readable: {said(error)}"


# --- changes -------------------------------------------------------------------------------------


def describe(db: Connection, number: int, changes: Mapping[str, Any]) -> None:
    """Other values for title, note or view; LookupError for no run, ValueError for damage."""
    columns = {
        name: to_text(dict(value)) if name == "view" else plain_text(value)
        for name, value in changes.items()
        if value is not None
    }
    with db.transaction():
        _exists(db, number)
        try:
            about.change(db, number, columns)
        except (ValueError, TypeError) as error:
            raise ValueError(f"what is recorded of run {number} is damaged: {error}") from error


def mark_deleted(db: Connection, numbers: Iterable[int], when: str) -> None:
    with db.transaction():
        for number in numbers:
            _exists(db, number)
            about.mark_deleted(db, number, when)


def _exists(db: Connection, number: int) -> None:
    if db.execute("SELECT 1 FROM runs WHERE id = ?", (number,)).fetchone() is None:
        raise LookupError(f"there is no run {number} in this session")


def learn(db: Connection, header: str, digest: str, since: str) -> int:
    """Runs from `since` on that were recorded under one digest of a model go under another."""
    sql = (
        "SELECT r.id, m.id, m.name, m.folder, m.config FROM runs r JOIN models m ON m.id = r.model"
    )
    learned, left = 0, set()
    with db.transaction():
        for number, model, name, folder, config in db.execute(
            f"{sql} WHERE m.digest = ? AND r.started >= ?", (header, since)
        ).fetchall():
            learned += _learn(db, number, model_id(db, digest, name, folder, config), digest)
            left.add(model)
        for model in left:  # all models at once would be one search through the runs for each
            db.execute(_FORGET_MODEL, (model, model))
    return learned


def _learn(db: Connection, number: int, model: int, digest: str) -> bool:
    try:
        row = db.execute(rows.SELECT, (number,)).fetchone()
        values, sealed = row[: rows.SEALED], row[rows.SEALED]
        if rows.seal(values) != sealed.removesuffix(rows.DESCRIBED):
            return False  # a new seal would make damage look sound
    except UNREADABLE:
        return False
    mark = rows.DESCRIBED if sealed.endswith(rows.DESCRIBED) else ""
    anew = rows.seal([*values[:-1], digest]) + mark
    db.execute("UPDATE runs SET model = ?, seal = ? WHERE id = ?", (model, anew, number))
    return True


def model_id(db: Connection, digest: str, name: str, folder: str, config: str) -> int:
    """The row of a model, made where there is none."""
    db.execute(
        "INSERT INTO models (digest, name, folder, config) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET config = excluded.config",
        (digest, name, folder, config),
    )
    found = "SELECT id FROM models WHERE digest = ? AND name = ? AND folder = ?"
    return int(db.execute(found, (digest, name, folder)).fetchone()[0])


# --- compaction ----------------------------------------------------------------------------------


def compact(path: Path, db: Connection) -> None:
    """Remove the deleted runs for good and give their room back to the disk; FileError if not."""
    reading = "another window is using it: compact it again when that is done"
    with speaking(path):
        if not db.fold():
            raise FileError(path, reading)
        _check_room(path, db)
        with db.transaction():
            for sql in _REMOVE:
                db.execute(sql)
        with db.writing():
            db.execute("VACUUM")
        if not db.fold():
            raise FileError(path, f"the deleted runs are removed, but {reading}")


def _check_room(path: Path, db: Connection) -> None:
    """A rewritten file stands beside the old one, and once more in the log, until it is folded."""
    size = path.stat().st_size
    sql = f"SELECT coalesce(sum(length(data)), 0) FROM arrays WHERE run IN {_TRASH}"
    with suppress(sqlite3.Error):  # then as much room as for everything
        size -= db.execute(sql).fetchone()[0]
    free = shutil.disk_usage(path.parent).free
    if free < 2 * size:
        needs = f"compacting it takes {2 * size / 1e6:,.0f} MB for a while"
        raise FileError(path, f"{needs}, and the disk has {free / 1e6:,.0f}: free some space")
