"""Sessions: what was stored comes back to the bit, and one bad run harms no other."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import technique
from engine.errors import FileError
from engine.model.taps import Intervention
from engine.session import ModelRef, Run, Session, pack
from engine.session import store as session_store
from engine.technique import Technique, Update, array, param


@dataclass(frozen=True)
class _EchoResult:
    grid: npt.NDArray[Any] = array("row column", "numbers")
    empty: npt.NDArray[Any] = array("row column", "no numbers")
    words: npt.NDArray[Any] = array("row", "texts in an array")
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
        yield Update(1, 1, lambda: _result(self.rows))


def _result(rows: int = 3) -> _EchoResult:
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


def _run(rows: int = 3, **about: Any) -> Run:
    return Run(spec=_Echo(rows=rows), **{"result": _result(rows), "seconds": 0.5, **about})


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(technique._KINDS, "_Echo", _Echo)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a session.mscope"


def _stored(path: Path, *runs: Run) -> list[int]:
    with Session.create(path) as session:
        return [session.add(run) for run in runs]


def _sql(path: Path, sql: str, *values: Any) -> None:
    """Change a file behind our back, as a stranger would."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute(sql, values)
    db.commit()
    db.close()


def _same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    arrays, values = pack(one)
    other_arrays, other_values = pack(other)
    assert repr(values) == repr(other_values)
    assert arrays.keys() == other_arrays.keys()
    for name, value in arrays.items():
        assert value.dtype == other_arrays[name].dtype
        np.testing.assert_array_equal(value, other_arrays[name])


def test_a_run_comes_back_to_the_bit(path: Path) -> None:
    run = _run(
        status="cancelled",
        changes=((2, {"speed": 0.1}), (5, {"pair": (1, 2)})),
        interventions=(Intervention("blocks.0.hook_attn_out", "scale", 0.5, positions=(1, 2)),),
        model=ModelRef("toy", "sha256:12", "/models/toy", {"n_layers": 2, "mask": float("-inf")}),
        started="2026-01-02T03:04:05.678+00:00",
        blas_threads=2,
        metrics={"loss": 0.1, "nan": float("nan")},
        error="é",
    )
    (number,) = _stored(path, run)
    with Session.open(path) as session:
        loaded = session.load(number)
    _same(loaded.result, run.result)
    assert loaded.id == number
    assert len(loaded.digest) == 64
    same = replace(loaded, result=None, id=0, digest="", metrics={})
    assert same == replace(run, result=None, metrics={})
    assert repr(loaded.metrics) == repr(run.metrics)


def test_a_list_of_runs_reads_no_array(path: Path) -> None:
    _stored(path, _run(1), _run(2, status="failed", error="loss is NaN", result=None))
    with Session.open(path) as session:
        statements: list[str] = []
        session._db.set_trace_callback(statements.append)
        first, second = session.runs()
    assert not [sql for sql in statements if "FROM arrays" in sql]
    assert first.run is not None
    assert first.run.spec == _Echo(rows=1)
    assert (first.kept, first.size > 0) == (True, True)
    assert second.run is not None
    assert (second.run.status, second.run.error, second.kept) == ("failed", "loss is NaN", False)


def test_an_array_larger_than_a_chunk_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_store, "CHUNK", 100)
    run = _run(40)
    (number,) = _stored(path, run)
    with Session.open(path) as session:
        parts = session._db.execute("SELECT count(*) FROM arrays WHERE name = 'grid'").fetchone()
        assert parts == (7,)
        _same(session.load(number).result, run.result)


def test_a_very_large_result_keeps_spec_and_digest_unless_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_store, "LARGE", 100)
    with Session.create(path) as session:
        small, kept = session.add(_run(40)), session.add(_run(40), keep_large=True)
        assert session.load(small).result is None
        assert session.load(small).digest == session.load(kept).digest
        assert session.load(kept).result is not None
        assert [(row.kept, row.size) for row in session.runs()] == [(False, 676), (True, 676)]


def test_a_closed_session_is_one_whole_file(path: Path, tmp_path: Path) -> None:
    (number,) = _stored(path, _run())
    assert sorted(tmp_path.iterdir()) == [path]
    copy = tmp_path / "copy.mscope"
    shutil.copyfile(path, copy)
    with Session.open(copy) as session:
        _same(session.load(number).result, _result())


def test_a_finished_run_is_in_the_file_before_it_is_closed(path: Path, tmp_path: Path) -> None:
    session = Session.create(path)
    number = session.add(_run())
    for file in (path, path.with_name(path.name + "-wal")):  # what kill -9 leaves behind
        shutil.copyfile(file, tmp_path / file.name.replace("a session", "crashed"))
    session.close()
    with Session.open(tmp_path / "crashed.mscope") as crashed:
        _same(crashed.load(number).result, _result())


def test_two_windows_write_to_one_session(path: Path) -> None:
    with Session.create(path) as one, Session.open(path) as other:
        first, second = one.add(_run(1)), other.add(_run(2))
        assert [row.id for row in one.runs()] == [first, second]


def test_untitled_sessions_do_not_overwrite_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "sessions"
    with Session.untitled(folder) as one, Session.untitled(folder) as other:
        assert one.path != other.path
        assert {one.path.parent, other.path.parent} == {folder}


def test_save_as_writes_a_whole_copy(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "other.mscope"
    target.write_bytes(b"old")
    with Session.create(path) as session:
        number = session.add(_run())
        session.save_as(target)
    assert not list(tmp_path.glob("*.part"))
    with Session.open(target) as copy:
        _same(copy.load(number).result, _result())


def test_a_model_is_stored_once_however_many_runs_it_has(path: Path) -> None:
    model = ModelRef("toy", "sha256:12", "/models/toy")
    _stored(path, _run(1, model=model), _run(2, model=model), _run(3))
    with Session.open(path) as session:
        assert session._db.execute("SELECT count(*) FROM models").fetchone() == (1,)
        rows = [row.run for row in session.runs() if row.run is not None]
        assert [run.model for run in rows] == [model, model, None]


# --- files that are not what they should be ------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE runs SET kind = 'Telepathy' WHERE id = 2", "no technique is called 'Telepathy'"),
        ("UPDATE runs SET spec = '{\"rows\": -1}' WHERE id = 2", "rows: -1 is below 0"),
        ("UPDATE runs SET spec = '{\"rows\": ' WHERE id = 2", "Expecting value"),
        ("UPDATE runs SET spec = '[]' WHERE id = 2", "a record is not a JSON object"),
        ("UPDATE runs SET spec = '{\"colour\": 1}' WHERE id = 2", "colour: _Echo has no such"),
        ("UPDATE runs SET changes = '[3]' WHERE id = 2", "unpack"),
        ("UPDATE runs SET status = 'asleep' WHERE id = 2", "'asleep' is not a status"),
        ("UPDATE runs SET interventions = '[{}]' WHERE id = 2", "missing required field"),
        ("UPDATE runs SET error = CAST(x'ff' AS TEXT) WHERE id = 2", "Could not decode"),
        ("UPDATE runs SET spec = replace(hex(zeroblob(40000)), '0', '[') WHERE id = 2", ""),
        ("UPDATE runs SET spec = replace(hex(zeroblob(9000000)), '0', '1') WHERE id = 2", "record"),
    ],
)
def test_one_unreadable_run_is_listed_with_why_and_the_rest_open(
    path: Path, sql: str, why: str
) -> None:
    _stored(path, _run(1), _run(2), _run(3))
    _sql(path, sql)
    with Session.open(path) as session:
        rows = session.runs()
        assert [bool(row.unreadable) for row in rows] == [False, True, False]
        assert why in rows[1].unreadable
        with pytest.raises(FileError, match="run 2 is not readable"):
            session.load(2)
        _same(session.load(3).result, _result(3))


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE arrays SET dtype = '|O8' WHERE name = 'grid'", "unknown type"),
        ("UPDATE arrays SET dtype = '<U999999999' WHERE name = 'grid'", "unknown type"),
        ("UPDATE arrays SET shape = '[1000000, 1000000]' WHERE name = 'grid'", "should have"),
        ("UPDATE arrays SET shape = '[-1, -48]' WHERE name = 'grid'", "no shape"),
        ("UPDATE arrays SET shape = '3' WHERE name = 'grid'", "no shape"),
        (
            "UPDATE arrays SET data = zeroblob(48) WHERE name = 'grid'",
            "not the one that was stored",
        ),
        ("UPDATE arrays SET part = 7 WHERE name = 'grid'", "not the one that was stored"),
        ("UPDATE arrays SET name = 'other' WHERE name = 'grid'", "not the one that was stored"),
        ("DELETE FROM arrays WHERE name = 'grid'", "not the one that was stored"),
        ("UPDATE runs SET fields = '{}'", "not the one that was stored"),
    ],
)
def test_a_result_that_was_changed_is_not_shown(path: Path, sql: str, why: str) -> None:
    (number,) = _stored(path, _run())
    _sql(path, sql)
    with Session.open(path) as session:
        assert not session.runs()[0].unreadable
        with pytest.raises(FileError, match=why):
            session.load(number)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW spy AS SELECT * FROM runs",
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
        "CREATE TABLE more (x)",
        "ALTER TABLE runs ADD COLUMN extra TEXT",
        "DROP TABLE notes",
        "CREATE INDEX i ON runs (abs(id))",
        "CREATE VIRTUAL TABLE v USING fts5(x)",
    ],
)
def test_a_file_with_tables_of_a_stranger_is_refused(path: Path, sql: str) -> None:
    _stored(path)
    _sql(path, sql)
    with pytest.raises(FileError, match="another program changed it"):
        Session.open(path)


def test_what_is_no_session_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other.mscope"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    (tmp_path / "text.mscope").write_text("hello " * 100)
    (tmp_path / "empty.mscope").touch()
    for name in ("other", "text", "empty"):
        with pytest.raises(FileError, match=f"{name}.mscope: it is not a Mechanoscope session"):
            Session.open(tmp_path / f"{name}.mscope")
    with pytest.raises(FileError, match="there is no such file"):
        Session.open(tmp_path / "absent.mscope")
    with pytest.raises(FileError, match="there is no such file"):
        Session.open(tmp_path)


def test_a_file_of_a_newer_format_says_so(path: Path) -> None:
    _stored(path)
    _sql(path, "PRAGMA user_version = 99")
    with pytest.raises(FileError, match="its format is 99"):
        Session.open(path)


def test_a_truncated_file_is_an_error_and_not_a_crash(path: Path, tmp_path: Path) -> None:
    _stored(path, *(_run(rows) for rows in range(200, 220)))
    whole = path.read_bytes()
    for size in (100, 4096, len(whole) // 2, len(whole) - 4096):
        short = tmp_path / f"{size}.mscope"
        short.write_bytes(whole[:size])
        with suppress(FileError), Session.open(short) as session:
            for row in session.runs():
                with suppress(FileError):
                    _same(session.load(row.id).result, _result(200 + row.id - 1))


def test_flipped_bits_never_give_a_wrong_number(path: Path, tmp_path: Path) -> None:
    _stored(path, *(_run(rows) for rows in range(20, 26)))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for case in range(60):
        data = whole.copy()
        data[rng.integers(0, len(data), 8)] ^= np.uint8(1 << rng.integers(0, 8))
        broken = tmp_path / f"{case}.mscope"
        broken.write_bytes(data.tobytes())
        with suppress(FileError), Session.open(broken) as session:
            for row in session.runs():
                with suppress(FileError):
                    _same(session.load(row.id).result, _result(20 + row.id - 1))


# --- places that cannot be written ---------------------------------------------------------------


def test_a_session_is_not_created_over_another_file(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(FileError, match="there is a file of that name"):
        Session.create(path)
    assert path.read_text() == "precious"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file or directory"):
        Session.create(tmp_path / "nowhere" / "a.mscope")


def _full(path: Path) -> Session:
    """A session on a disk that is as good as full."""
    session = Session.open(path)
    pages = session._db.execute("PRAGMA page_count").fetchone()[0]
    session._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    return session


def test_a_full_disk_is_said_and_the_file_stays_as_it_was(path: Path) -> None:
    _stored(path, _run())
    with _full(path) as session:
        with pytest.raises(FileError, match="the disk is full"):
            session.add(_run(10_000))
        assert len(session.runs()) == 1
    with Session.open(path) as session:
        assert len(session.runs()) == 1
        assert session._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_read_only_session_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (number,) = _stored(path, _run())
    monkeypatch.setattr("os.access", lambda *_: False)
    with Session.open(path) as session:
        assert session.read_only
        _same(session.load(number).result, _result())
        with pytest.raises(FileError, match="read-only"):
            session.add(_run())
    assert sorted(path.parent.iterdir()) == [path]


def test_objects_are_never_stored() -> None:
    with pytest.raises(TypeError, match="words: an array of object"):
        pack(replace(_result(), words=np.array([object()])))
