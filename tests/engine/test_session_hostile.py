"""Session files from strangers: what is damaged is said, what is sound is read, nothing hangs."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from engine.errors import FileError
from engine.session import ModelRef, Session, pack, unpack
from engine.session import file as session_file
from tests.engine.echo import (
    assert_same,
    change_file,
    change_types,
    echo_is_known,
    make_result,
    make_run,
    path,
    seal_anew,
    stored,
)

__all__ = ["echo_is_known", "path"]


_MEANINGLESS = [
    ("kind = 'Telepathy'", "no technique is called 'Telepathy'"),
    ("spec = '{\"rows\": -1}'", "rows: -1 is below 0"),
    ("spec = '{\"rows\": '", "Expecting value"),
    ("spec = '[]'", "a record is not a JSON object"),
    ("spec = '{\"colour\": 1}'", "colour: _Echo has no such"),
    ("changes = '[3]'", "unpack"),
    ("status = 'asleep'", "'asleep' is not a status"),
    ("interventions = '[{}]'", "missing required field"),
    ("started = 'yesterday'", "Invalid isoformat"),
    ("seconds = 9e999", "seconds is inf"),
    ("size = -1", "size is -1"),
    ("versions = '{\"numpy\": 2}'", "Expected `str`"),
    ("kind = hex(zeroblob(1000000))", "no technique is called"),
    ("version = 2", "2 is not a version from 1 to 1"),
    ('metrics = \'{"loss": "low"}\'', "could not convert"),
    ("spec = replace(hex(zeroblob(40000)), '0', '[')", "while decoding a JSON array"),
    ("spec = replace(hex(zeroblob(4400000)), '0', '1')", "a record has 8,800,000 characters"),
]


@pytest.mark.parametrize(("change", "why"), _MEANINGLESS)
@pytest.mark.parametrize("sealed", [False, True])
def test_one_unreadable_run_is_listed_with_why_and_the_rest_open(
    path: Path, change: str, why: str, sealed: bool
) -> None:
    stored(path, make_run(1), make_run(2), make_run(3))
    change_file(path, f"UPDATE runs SET {change} WHERE id = 2")
    if sealed:
        seal_anew(path, 2)
    _is_unreadable(path, why if sealed else "it is not what was stored")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("error = 5", "error is not str"),
        ("seconds = 'long'", "seconds is not float"),
        ("size = 'large'", "size is not int"),
        ("size = 1.5", "size is not int"),
        ("kind = 7", "kind is not str"),
        ("spec = x'7b7d'", "not JSON serializable"),
        ("started = NULL", "started is not str"),
    ],
)
def test_a_column_of_another_type_makes_one_run_unreadable(
    path: Path, change: str, why: str
) -> None:
    stored(path, make_run(1), make_run(2), make_run(3))
    sealed = 0 if "JSON" in why else 2
    change_types(path, "runs", f"UPDATE runs SET {change} WHERE id = 2", sealed)
    _is_unreadable(path, why)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("error = CAST(x'ff' AS TEXT)", "Could not decode"),
        ("spec = replace(hex(zeroblob(9000000)), '0', '1')", "too large to be ours"),
        ("seal = ''", "it is not what was stored"),
    ],
)
def test_a_row_that_cannot_be_read_at_all_is_listed_too(path: Path, change: str, why: str) -> None:
    stored(path, make_run(1), make_run(2), make_run(3))
    change_file(path, f"UPDATE runs SET {change} WHERE id = 2")
    _is_unreadable(path, why)


def _is_unreadable(path: Path, why: str) -> None:
    with Session.open(path) as session:
        rows = session.runs()
        assert [bool(row.unreadable) for row in rows] == [False, True, False]
        assert why in rows[1].unreadable
        assert len(rows[1].unreadable) < 1000
        with pytest.raises(FileError, match="run 2 is not readable"):
            session.load(2)
        assert_same(session.load(3).result, make_result(3))


@pytest.mark.parametrize("folder", ["'a' || char(0)", "hex(zeroblob(5000))"])
def test_a_model_with_an_impossible_place_makes_its_run_unreadable(path: Path, folder: str) -> None:
    stored(path, make_run(1, model=ModelRef("gpt2", "ab", "gpt2")))
    change_file(path, f"UPDATE models SET folder = {folder}")
    with Session.open(path) as session:
        assert session.runs()[0].unreadable == "its model is not named as one is"


def test_a_result_of_impossible_axes_is_refused_before_anything_draws_it() -> None:
    result = make_result(3)
    arrays, values = pack(result)
    technique = type(make_run(1).spec)
    forged = arrays | {"grid": np.zeros((1, *result.grid.shape), result.grid.dtype)}
    with pytest.raises(ValueError, match="grid has 3 axes and should have 2"):
        unpack(technique, forged, values)


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
    (number,) = stored(path, make_run())
    change_file(path, sql)
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
        "DROP TABLE artifacts",
        "DROP TABLE about",
        "CREATE INDEX i ON runs (abs(id))",
        "CREATE VIRTUAL TABLE v USING fts5(x)",
    ],
)
def test_a_file_with_tables_of_a_stranger_is_refused(path: Path, sql: str) -> None:
    stored(path)
    change_file(path, sql)
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
    stored(path)
    change_file(path, "PRAGMA user_version = 99")
    with pytest.raises(FileError, match="its format is 99"):
        Session.open(path)


def test_a_truncated_file_is_an_error_and_not_a_crash(path: Path, tmp_path: Path) -> None:
    stored(path, *(make_run(rows) for rows in range(200, 220)))
    whole = path.read_bytes()
    for size in (100, 4096, len(whole) // 2, len(whole) - 4096):
        short = tmp_path / f"{size}.mscope"
        short.write_bytes(whole[:size])
        with suppress(FileError), Session.open(short) as session:
            for row in session.runs():
                with suppress(FileError):
                    assert_same(session.load(row.id).result, make_result(200 + row.id - 1))


def test_flipped_bits_never_give_a_wrong_number(path: Path, tmp_path: Path) -> None:
    stored(path, *(make_run(rows) for rows in range(20, 26)))
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
                    assert_same(session.load(row.id).result, make_result(20 + row.id - 1))


# --- files that want all time or all memory ------------------------------------------------------


def test_a_hundred_thousand_rows_are_listed_from_the_newest_in_bounded_time(path: Path) -> None:
    stored(path, make_run(1), make_run(2))
    db = sqlite3.connect(path)
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")][1:]
    names = ", ".join(f"runs.{name}" for name in columns)
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        f" INSERT INTO runs (id, {', '.join(columns)})"
        f" SELECT n.i, {names} FROM n, runs WHERE runs.id = 2"
    )
    db.commit()
    db.close()
    with Session.open(path) as session:
        statements: list[str] = []
        session._db.set_trace_callback(statements.append)
        more, *rows = session.runs()
        assert re.fullmatch(r"(more than )?[\d,]+ older runs are not listed: .*", more.unreadable)
        assert rows[-1].id == 100_000
        assert rows[-1].about_note == "its title, note and tokens are not readable: it is not there"
        assert len(statements) < 100_000


def test_a_statement_without_end_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(path, make_run())
    monkeypatch.setattr(session_file, "READING_SECONDS", 0.05)
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    with Session.open(path) as session:
        with pytest.raises(sqlite3.OperationalError) as caught:
            session._db.execute(f"{numbers} SELECT max(i) FROM n").fetchone()
        assert session_file.why(caught.value).startswith("it takes far too long to read")
        assert len(session.runs()) == 1


def test_a_file_of_very_many_tables_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(path)
    change_file(
        path,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO sqlite_master SELECT 'table', 't' || i, 't' || i, 2,"
        " 'CREATE TABLE t' || i || ' (x)' FROM n",
    )
    with pytest.raises(FileError, match=r"another program changed it|too long to read"):
        Session.open(path)
    monkeypatch.setattr(session_file, "READING_SECONDS", 0.01)
    with pytest.raises(FileError, match="too long to read"):
        Session.open(path)


def test_what_lies_beyond_a_damaged_page_is_listed_from_the_other_end(path: Path) -> None:
    stored(path, *(make_run(1, result=None, error=f"in run {n};") for n in range(1, 61)))
    with closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    page = data.index(b"in run 30;") // size * size
    data[page : page + size] = bytes(size)
    path.write_bytes(data)
    with Session.open(path) as session:
        rows = session.runs()
        numbers = [row.id for row in rows if row.run]
        assert rows[0].unreadable.startswith("the list of runs is damaged")
        assert (numbers[0], numbers[-1]) == (1, 60)
        assert 10 < len(numbers) < 60
