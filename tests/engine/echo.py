"""A technique without a network, its runs, and a stranger's hand: what tests of sessions share."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import technique
from engine.session import Run, Session, about, pack, rows
from engine.technique import Technique, Update, array, param


@dataclass(frozen=True)
class _EchoResult:
    grid: npt.NDArray[Any] = array("row column", "numbers")
    empty: npt.NDArray[Any] = array("row column", "no numbers")
    words: npt.NDArray[Any] = array("word", "texts in an array")
    mean: np.float32 = array("", "a NumPy scalar")
    loss: float = array("", "a number")
    label: str = array("", "a text")
    tokens: tuple[str, ...] = array("pos", "texts")
    missing: float | None = array("", "nothing")


@dataclass(frozen=True, kw_only=True)
class _Echo(Technique):
    Result: ClassVar[type] = _EchoResult
    title: ClassVar[str] = "Echo"
    needs: ClassVar[tuple[str, ...]] = ()
    rows: int = param(3, "rows", low=0)
    speed: float = param(1.0, "may change", live=True)
    pair: tuple[int, ...] = param((), "may change too", live=True)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        yield Update(1, 1, lambda: make_result(self.rows))


def make_result(rows: int = 3) -> _EchoResult:
    rng = np.random.default_rng(rows)
    grid = rng.standard_normal((rows, 4)).astype(np.float32)
    grid[:1, :1] = np.nan
    return _EchoResult(
        grid=grid[:, ::-1],
        empty=np.zeros((0, 3), np.int64),
        words=np.array([" the", "é"]),
        mean=np.float32(0.1),
        loss=float("nan"),
        label="a\u2028b",
        tokens=("<s>", " Once", "\x00"),
        missing=None,
    )


def make_run(rows: int = 3, **fields: Any) -> Run:
    return Run(spec=_Echo(rows=rows), **{"result": make_result(rows), "seconds": 0.5, **fields})


@pytest.fixture(autouse=True)
def echo_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(technique._KINDS, "_Echo", _Echo)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test may put its session."""
    return tmp_path / "a session.mscope"


def stored(path: Path, *runs: Run) -> list[int]:
    with Session.create(path) as session:
        return [session.add(run) for run in runs]


def change_file(path: Path, sql: str, *values: Any) -> None:
    """Change a file behind our back, as a stranger would."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute(sql, values)
    db.commit()
    db.close()


def seal_anew(path: Path, number: int) -> None:
    """What a stranger does who knows how a row is sealed."""
    with closing(sqlite3.connect(path)) as db, db:
        _seal(db, number)


def change_types(path: Path, table: str, change: str, sealed: int = 0) -> None:
    """Change rows while their table is not STRICT, so that any type fits anywhere."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        sql = "SELECT sql FROM sqlite_master WHERE name = ?"
        (ours,) = db.execute(sql, (table,)).fetchone()
        loose = re.sub(r" (TEXT|INTEGER|REAL)(?! PRIMARY)( NOT NULL)?", "", ours)
        loose = loose.removesuffix(" STRICT")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (loose, table))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
        if sealed:
            _seal(db, sealed)
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (ours, table))


def _seal(db: sqlite3.Connection, number: int) -> None:
    row = db.execute(about.SELECT, (number,)).fetchone()
    seal = about.seal(number, row[:-1])
    db.execute("UPDATE about SET seal = ? WHERE run = ?", (seal, number))
    row = db.execute(rows.SELECT, (number,)).fetchone()
    seal = rows.seal(row[: rows.SEALED])
    db.execute("UPDATE runs SET seal = ? WHERE id = ?", (seal, number))


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    arrays, values = pack(one)
    other_arrays, other_values = pack(other)
    assert repr(values) == repr(other_values)
    assert arrays.keys() == other_arrays.keys()
    for name, value in arrays.items():
        assert value.dtype == other_arrays[name].dtype
        np.testing.assert_array_equal(value, other_arrays[name])
