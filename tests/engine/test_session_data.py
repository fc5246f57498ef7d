"""Data and artifacts: what is small lies in the session, of what is large the place and digest."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine import refs
from engine.errors import FileError
from engine.refs import Ref
from engine.session import Session
from engine.session import data as session_data
from tests.engine.echo import change_file, echo_is_known, make_run, path, stored

__all__ = ["echo_is_known", "path"]


def test_small_data_lies_inside_and_comes_back(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_bytes(b"clean,corrupted\n")
    with Session.create(path) as session:
        typed = session.put("prompt pairs", b"a,b\n", origin="typed", rows=1)
        read = session.put("prompt pairs", file, origin="pairs.csv", rows=0)
        file.unlink()
        assert typed == refs.of_bytes("prompt pairs", b"a,b\n")
        assert (typed.where, read.where) == ("", "")
        assert session.content(typed) == b"a,b\n"
        assert session.content(read) == b"clean,corrupted\n"
        rows = [(r.ref, r.origin, r.rows, r.size, r.inside) for r in session.data()]
    assert rows == [(typed, "typed", 1, 4, True), (read, "pairs.csv", 0, 16, True)]


def test_large_data_stays_where_it_is(path: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "book.txt", tmp_path / "sae"
    file.write_bytes(b"x" * session_data.INSIDE)
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"12345")
    with Session.create(path) as session:
        book, sae = session.put("corpus", file), session.keep_artifact("sae", folder)
        assert book == refs.of_file("corpus", file)
        assert (Path(book.where), Path(sae.where)) == (file, folder)
        assert [(row.size, row.inside) for row in session.data()] == [(1 << 20, False)]
        assert [(row.size, row.inside) for row in session.artifacts()] == [(5, False)]
        assert refs.locate(session.data()[0].ref) == file
        with pytest.raises(FileError, match=r"the corpus .* is not inside it: it was at .*book"):
            session.content(book)
        assert session.nbytes < 500_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_pipe_is_refused_and_not_waited_for(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused = pytest.raises(FileError, match="pipe: not an ordinary file")
    with Session.create(path) as session, refused:
        session.put("corpus", tmp_path / "pipe")


def test_bytes_too_large_for_a_session_are_refused_with_the_way_out(path: Path) -> None:
    with Session.create(path) as session:
        with pytest.raises(ValueError, match="write them to a file and add that"):
            session.put("corpus", b"x" * session_data.INSIDE)
        with pytest.raises(FileError, match="no such file"):
            session.put("corpus", path.with_name("absent"))
        assert session.data() == []


def test_the_same_data_is_held_once_and_says_where_it_came_from_last(path: Path) -> None:
    with Session.create(path) as session:
        for origin in ("first", "second"):
            session.put("corpus", b"abc", origin=origin)
        session.put("prompt pairs", b"abc", origin="as pairs")
        assert [row.origin for row in session.data()] == ["second", "as pairs"]


def test_artifacts_know_the_run_that_made_them(path: Path) -> None:
    (number,) = stored(path, make_run())
    with Session.open(path) as session:
        lens = session.keep_artifact("lens", b"123", run=number, origin="layer 1")
        other = session.keep_artifact("direction", b"456")
        with pytest.raises(LookupError, match="there is no run 9"):
            session.keep_artifact("lens", b"789", run=9)
        (own,) = session.artifacts(number)
        assert (own.ref, own.run, own.origin, own.inside) == (lens, number, "layer 1", True)
        assert [row.ref for row in session.artifacts()] == [lens, other]
        assert session.content(other) == b"456"


def test_a_list_of_data_reads_no_content(path: Path) -> None:
    with Session.create(path) as session:
        session.put("corpus", b"x" * 900_000)
        (row,) = session.data()
        assert row.inside
        sql = "SELECT content FROM data WHERE digest = ?"
        session._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        assert session.data() == [row]
        with pytest.raises(sqlite3.DataError):
            session._db.execute(sql, (row.ref.digest,)).fetchone()


@pytest.mark.parametrize("table", ["data", "artifacts"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("digest = 'x'", "it has no digest"),
        ("digest = replace(hex(zeroblob(6000000)), '0', 'a')", "too large"),
        ("kind = CAST(x'ff' AS TEXT)", "Could not decode"),
        ("origin = CAST(x'ff' AS TEXT)", "Could not decode"),
    ],
)
def test_a_damaged_row_is_listed_with_why_and_the_rest_is_read(
    path: Path, table: str, change: str, why: str
) -> None:
    with Session.create(path) as session:
        for text in (b"1", b"2", b"3"):
            session.put("corpus", text)
            session.keep_artifact("lens", text)
    change_file(path, f"UPDATE {table} SET {change} WHERE rowid = 2")
    with Session.open(path) as session:
        rows = session.data() if table == "data" else session.artifacts()
        assert [bool(row.unreadable) for row in rows] == [False, True, False]
        assert why in rows[1].unreadable
        assert session.content(rows[2].ref) == b"3"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("x'0102'", "is damaged"),
        ("zeroblob(2000000)", "is not inside it"),
        ("NULL", "is not inside it"),
    ],
)
def test_content_that_was_changed_is_not_given(path: Path, content: str, why: str) -> None:
    with Session.create(path) as session:
        ref = session.put("corpus", b"abc")
    change_file(path, f"UPDATE data SET content = {content}")
    with Session.open(path) as session:
        assert len(session.data()) == 1
        with pytest.raises(FileError, match=why):
            session.content(ref)
        with pytest.raises(FileError, match="is not inside it"):
            session.content(Ref("corpus", "0" * 64))


def test_a_digest_is_looked_up_and_never_run(path: Path) -> None:
    with Session.create(path) as session:
        session.put("corpus", b"abc")
        with pytest.raises(FileError, match="is not inside it"):
            session.content(Ref("corpus", "' OR 1 = 1; DROP TABLE data; --"))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM data").fetchone() == (1,)
