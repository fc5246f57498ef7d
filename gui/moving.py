"""Reading and moving whole sessions: work for another thread, without any widget."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.session import Run, RunRow, Session


@dataclass(frozen=True)
class Found:
    """What opening a session lists: rows, the deleted ones too, by id; data; if only to read."""

    rows: tuple[RunRow, ...]
    data: tuple[Any, ...]  # DataRow
    read_only: bool

    @property
    def headers(self) -> set[str]:
        """Digests of models that stand for their weights' own."""
        models = [row.run.model for row in self.rows if row.run is not None and row.run.model]
        return {model.digest for model in models if model.digest.startswith("header:")}


@dataclass(frozen=True)
class Extra:
    """A run that the file being copied does not have: in memory, or in another file."""

    key: int
    run: Run
    kept: bool = True
    deleted: bool = False
    path: Path | None = None
    id: int = 0


def read(path: Path) -> Found:
    """The lists of a session, without any array."""
    with Session.open(path) as session:
        rows = sorted([*session.runs(), *session.runs(deleted=True)], key=lambda row: row.id)
        return Found(tuple(rows), tuple(session.data()), session.read_only)


def move(
    source: Path | None, target: Path, extras: Sequence[Extra], data: Sequence[tuple[Any, ...]] = ()
) -> dict[int, int]:
    """Write the whole session to `target` at once or not at all; ids of the extras by key.

    data: (kind, content, origin) that is not in `source`. FileError leaves `target` as it was.
    Every result was read again from the copy, so that what it was copied from may go.
    """
    with suppress(OSError):
        if os.stat(f"{target}-wal").st_size:
            raise FileError(target, "it is open in another window: choose another name")
    fresh = target.with_name(target.name + ".new")
    try:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)  # of a program that was ended while it saved
        ids = _write(source, fresh, extras, data)
        _replace(fresh, target)
    except FileError as error:
        raise FileError(target if error.path == fresh else error.path, error.why) from error
    finally:
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                fresh.with_name(fresh.name + end).unlink(missing_ok=True)
    return ids


def _write(
    source: Path | None, fresh: Path, extras: Sequence[Extra], data: Sequence[tuple[Any, ...]]
) -> dict[int, int]:
    if source is not None and source.exists():
        with Session.open(source) as session:
            session.save_as(fresh)
            _compare(session, fresh)
    else:
        Session.create(fresh).close()
    ids: dict[int, int] = {}
    with Session.open(fresh) as session:
        for extra in extras:
            ids[extra.key] = session.add(_whole(extra), keep_large=extra.kept)
            session.load(ids[extra.key])
        session.delete([ids[extra.key] for extra in extras if extra.deleted])
        for kind, content, origin in data:
            session.put(kind, content, origin=origin)
    return ids


def _compare(session: Session, path: Path) -> None:
    """FileError if anything is readable in a session and is not in its copy."""
    with Session.open(path) as copy:
        for deleted in (False, True):
            ours, theirs = session.runs(deleted), copy.runs(deleted)
            same = [row.id for row in ours] == [row.id for row in theirs]
            if not same or not all(_kept(session, copy, row) for row in ours):
                raise FileError(path, "the copy is not what was copied: save again")


def _kept(session: Session, copy: Session, row: RunRow) -> bool:
    """Whether a run is in the copy as it is, its numbers compared with their digest."""
    try:
        return row.run is None or copy.load(row.id).digest == row.run.digest
    except FileError:
        try:
            session.load(row.id)
        except FileError:
            return True  # it was damaged before
        return False


def _whole(extra: Extra) -> Run:
    if extra.path is None or extra.run.result is not None:
        return extra.run
    with Session.open(extra.path) as session:
        stored = session.load(extra.id)
    return replace(extra.run, result=stored.result, words=stored.words)


def _replace(fresh: Path, target: Path) -> None:
    try:
        os.replace(fresh, target)
    except OSError as error:
        raise FileError(target, error.strerror or str(error)) from error


def missing(rows: Sequence[Any], watch: Any, places: Mapping[str, str]) -> list[Any]:
    """A MissingInput for each of the data outside the session that is gone or has changed."""
    from engine.refs import MissingInput, locate, placed

    found = []
    for row in rows:
        if not row.inside and not row.unreadable:
            try:
                locate(placed(row.ref, places), watch)
            except MissingInput as error:
                found.append(error)
    return found
