"""Sessions of every released format open for ever, whole, and a kill on the way loses nothing."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine.errors import FileError
from engine.model import open_model
from engine.session import Session, pack
from engine.session import file as session_file
from engine.session.formats import FORMAT, TABLES

SESSIONS = Path(__file__).parents[1] / "data" / "sessions"
RELEASED = sorted(SESSIONS.glob("format-*.mscope"))
RUNS = [
    ("LogitLens", "finished"), ("AttentionPatterns", "finished"),
    ("ActivationPatching", "finished"), ("ActivationPatching", "cancelled"),
    ("LogitLens", "failed"), ("AttentionPatterns", "finished"),
]  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A session of format 1, with a note, which no release ever wrote but its table allowed."""
    path = Path(shutil.copyfile(SESSIONS / "format-1.mscope", tmp_path / "old.mscope"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO notes VALUES (2, CAST(x'c3a9ff' AS TEXT), 'yesterday')")
        db.execute("INSERT INTO data VALUES ('12', 'corpus', 'a book', 3, x'010203')")
        db.execute("PRAGMA journal_mode = DELETE")
    return path


def _format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def test_there_is_a_file_of_every_format() -> None:
    assert [path.name for path in RELEASED] == [f"format-{n}.mscope" for n in range(1, FORMAT + 1)]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_released_file_opens_with_all_it_holds(
    released: Path, read_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copyfile(released, tmp_path / "copy.mscope"))
    if read_only:
        monkeypatch.setattr("os.access", lambda *_: False)
    with Session.open(path) as session:
        rows = session.runs()
        assert [(row.kind, row.run and row.run.status) for row in rows] == RUNS
        assert not [row for row in rows if row.unreadable or row.about_note or row.deleted]
        for row in rows:
            run = session.load(row.id)
            assert run.model is not None
            assert run.model.folder == "models/induction-2l"
            assert (run.result is None) == (run.status == "failed")
        assert session.load(1).provenance()["tokens"]["tokens"]["ids"][:2] == [12, 59]
        if _format_of(released) > 1:
            first = session.load(1)
            assert (first.title, first.note) == ("First look", "induction at the second cat")
            assert first.provenance()["tokens"]["tokens"]["texts"][1] == "sun"
            assert [row.kind for row in session.runs(deleted=True)] == ["AttentionPatterns"]
            (words,), (direction,) = session.data(), session.artifacts()
            assert session.content(words.ref) == b"cat sun tree\n"
            assert (direction.run, session.content(direction.ref)) == (2, b"\0" * 64)
    assert _format_of(path) == (int(released.stem[-1]) if read_only else FORMAT)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
def test_a_stored_run_still_gives_its_numbers(
    released: Path, tmp_path: Path, project: Path
) -> None:
    model = open_model(project / "resources" / "models" / "induction-2l")
    path = shutil.copyfile(released, tmp_path / "copy.mscope")
    with Session.open(path) as session:
        for number, (_, status) in enumerate(RUNS, 1):
            run = session.load(number)
            if status != "finished":
                continue
            stored, _ = pack(run.result)
            again, _ = pack(run.spec.run(model.under(run.interventions)))
            for name, array in stored.items():  # other machines round the last bit otherwise
                if array.dtype.kind == "f" and np.isnan(array).all():
                    continue  # what the version of then did not keep
                np.testing.assert_allclose(array, again[name], rtol=1e-4, atol=1e-5)


def test_an_upgraded_file_is_like_a_new_one_and_has_the_notes(old: Path) -> None:
    with Session.open(old) as session:
        notes = [row.run.note for row in session.runs() if row.run]
        assert notes == ["", "é\ufffd", "", "", "", ""]
        (row,) = session.data()
        assert row.unreadable == "it has no digest"
        session.describe(1, note="first")
        session.delete([6])
    with closing(sqlite3.connect(old)) as db:
        tables = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        assert tables == TABLES[FORMAT]
        assert db.execute("SELECT rows, size, content FROM data").fetchall() == [
            (3, 3, b"\x01\x02\x03")
        ]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Session.open(old) as session:
        assert [row.run.note for row in session.runs() if row.run][:2] == ["first", "é\ufffd"]


def test_a_read_only_file_of_format_1_is_read_as_it_is(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.read_bytes()
    monkeypatch.setattr("os.access", lambda *_: False)
    with Session.open(old) as session:
        second = session.runs()[1]
        assert second.run is not None
        assert "Could not decode" in second.about_note
        assert session.load(2).note == ""
        assert session.data() == []
        with pytest.raises(FileError, match="read-only"):
            session.describe(1, title="new")
    assert _format_of(old) == 1
    assert old.read_bytes() == before


def test_a_kill_in_the_middle_of_the_upgrade_leaves_the_old_file(old: Path) -> None:
    script = (
        "import os, sys\n"
        "from engine.session import Session, file\n"
        "real = file.upgrade\n"
        "file.upgrade = lambda db: (real(db), os._exit(9))\n"
        "Session.open(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(old)], timeout=60, check=False)
    assert done.returncode == 9
    assert _format_of(old) == 1
    with Session.open(old) as session:
        assert len([row for row in session.runs() if row.run]) == len(RUNS)
    assert _format_of(old) == FORMAT


def test_two_windows_upgrade_one_file(old: Path) -> None:
    with Session.open(old) as one, Session.open(old) as other:
        one.describe(1, title="one")
        assert [row.run.title for row in other.runs() if row.run][:2] == ["one", ""]


def test_a_full_disk_does_not_keep_an_old_file_from_being_read(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = session_file.upgrade

    def upgrade(db: sqlite3.Connection) -> None:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        real(db)
        db.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")

    monkeypatch.setattr(session_file, "upgrade", upgrade)
    with Session.open(old) as session:
        assert session.read_only
        assert session.load(1).result is not None
    assert _format_of(old) == 1


def test_an_old_file_too_damaged_to_upgrade_is_read_as_it_is(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM runs")
        db.execute("SELECT * FROM a_page_that_is_gone")

    monkeypatch.setattr(session_file, "upgrade", upgrade)
    with Session.open(old) as session:
        assert session.read_only
        assert len([row for row in session.runs() if row.run]) == len(RUNS)


def test_an_old_file_that_another_window_writes_is_said_to_be_busy(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(old, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FileError, match="another window is writing to it"):
            Session.open(old)


def test_a_file_that_is_only_read_keeps_its_bytes_and_refuses_changes(old: Path) -> None:
    before = old.read_bytes()
    with Session.open(old, read_only=True) as session:
        assert session.read_only
        assert session.runs()
        with pytest.raises(FileError, match="read-only"):
            session.delete([1])
    assert old.read_bytes() == before
