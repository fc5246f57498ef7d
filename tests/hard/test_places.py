"""Full disks, folders of others, two programs on one file: said in words, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import FileError
from engine.session import Done, Run, Saved, Session, Writer
from engine.session import file as session_file
from engine.techniques.logit_lens import LogitLens
from tests.hard import work
from tests.hard.child import Child

resource = pytest.importorskip("resource", reason="this system has no limits for a process")
NOBODY = 65534


@pytest.fixture
def runs(model: Any) -> list[Run]:
    """Runs of 300 KB."""
    rng = np.random.default_rng(0)
    return [work.random_run(model, rng, 300_000, 300_000) for _ in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session with one small run."""
    path = tmp_path / "a session.mscope"
    with Session.create(path) as session:
        session.add(Run(spec=LogitLens(prompt=(1, 2)), title="the first"))
    return path


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may become longer than this: for SQLite, a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def as_a_guest() -> Iterator[None]:
    """As a user who may not write here; root becomes nobody for a moment."""
    if not hasattr(os, "setresuid") or os.getuid():
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that everybody may read and only its owner may write."""
    with tempfile.TemporaryDirectory(prefix="mechanoscope-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def titles(path: Path) -> list[str]:
    with Session.open(path) as session:
        assert not any(row.unreadable for row in session.runs())
        return [row.run.title for row in session.runs() if row.run is not None]


def why(news: Any) -> str:
    assert isinstance(news.error, FileError), news
    return news.error.why


def test_a_full_disk_keeps_the_runs_in_memory_until_there_is_room(
    path: Path, runs: list[Run]
) -> None:
    writer = Writer(path)
    with disk_of(path.stat().st_size + 100_000):
        for run in runs:
            writer.add(run)
        edit = writer.do(lambda session: session.describe(1, title="renamed"), "rename")
        told = writer.close()
        assert {why(news) for news in told if isinstance(news, Saved)} <= {
            "the disk is full: free some space, then save again",
            "the disk reports an error while it is read or written",
        }
        assert all(news.error is not None for news in told if isinstance(news, Saved))
        assert [run for run in writer.unsaved if isinstance(run, Run)] == runs
        assert titles(path) in (["the first"], ["renamed"])
    assert isinstance(told[-1], Done)
    assert told[-1].edit is edit
    writer.retry()
    assert not [news for news in writer.close() if news.error is not None]
    assert writer.unsaved == []
    with Session.open(path) as session:
        stored = [session.load(row.id) for row in session.runs()]
    assert [work.mark(run.result) for run in stored[1:]] == [work.mark(run.result) for run in runs]
    assert stored[0].title == "renamed"


def test_a_full_disk_leaves_file_and_copy_as_they_were(path: Path, runs: list[Run]) -> None:
    copy = path.with_name("copy.mscope")
    with Session.open(path) as session:
        session.add(runs[0])
        session.save_as(copy)
        session.add(runs[1])
        session.delete([2])
        with disk_of(copy.stat().st_size - 50_000):
            with pytest.raises(FileError):
                session.save_as(copy)
            with pytest.raises(FileError):
                session.compact()
    before = titles(copy)
    assert len(before) == 2
    assert len(titles(path)) == 2
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, copy.name]
    with Session.open(path) as session:
        session.save_as(copy)
        assert session.compact() > 250_000
    assert len(titles(copy)) == 2


def test_no_room_for_a_new_session_leaves_nothing_behind(tmp_path: Path) -> None:
    with disk_of(8192), pytest.raises(FileError):
        Session.create(tmp_path / "a.mscope")
    with disk_of(0), pytest.raises(FileError):
        Session.untitled(tmp_path / "sessions")
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    Session.create(tmp_path / "a.mscope").close()


def test_a_session_in_a_folder_of_somebody_else_is_read_and_saved_elsewhere(
    shelf: Path, path: Path, runs: list[Run], bases: list[Path]
) -> None:
    for base in (path, *bases):
        for file in base.parent.glob(f"{base.name}*"):
            shutil.copyfile(file, shelf / file.name)
            (shelf / file.name).chmod(0o444)
    before = {file.name: file.read_bytes() for file in shelf.iterdir()}
    shelf.chmod(0o555)
    with as_a_guest():
        for name in before:
            if f"{name}-wal" in before:  # SQLite cannot read what was left without writing
                with pytest.raises(FileError, match="is its folder there and writable"):
                    Session.open(shelf / name)
            elif name.endswith(".mscope"):
                reads_only(shelf / name, runs[0])
        with pytest.raises(FileError, match="Permission denied"):
            Session.create(shelf / "new.mscope")
    assert {file.name: file.read_bytes() for file in shelf.iterdir()} == before


def reads_only(path: Path, run: Run) -> None:
    """Everything is shown; every change is refused in the same words, and waits in memory."""
    with Session.open(path) as session:
        assert session.read_only
        rows = session.runs()
        assert rows
        assert not any(row.unreadable for row in rows)
        assert [session.load(row.id).spec for row in rows] == [
            row.run.spec for row in rows if row.run
        ]
        for edit in (
            lambda: session.add(run),
            lambda: session.describe(1, title="mine"),
            lambda: session.delete([1]),
            session.compact,
        ):
            with pytest.raises(FileError, match="read-only"):
                edit()
        with pytest.raises(FileError, match=r"Permission denied|folder there and writable"):
            session.save_as(path.with_name("copy.mscope"))
    writer = Writer(path)
    writer.add(run)
    (told,) = writer.close()
    assert "read-only" in why(told)
    assert writer.unsaved == [run]


def test_two_programs_write_to_one_session(path: Path) -> None:
    children = [Child("neighbour", "add", path, 12, seed) for seed in (1, 2)]
    with children[0], children[1]:
        for child in children:
            child.expect("ready")
        for child in children:
            child.tell(go=True)
        answers = [child.expect("marks") for child in children]
    assert [answer["errors"] for answer in answers] == [[], []]
    with Session.open(path) as session:
        stored = [work.mark(session.load(row.id).result) for row in session.runs()[1:]]
    assert sorted(stored) == sorted(answers[0]["marks"] + answers[1]["marks"])
    for answer in answers:  # each in its own order
        assert [mark for mark in stored if mark in answer["marks"]] == answer["marks"]
    assert list(path.parent.iterdir()) == [path]


def test_a_program_that_holds_the_file_is_said_and_the_run_waits(
    path: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "BUSY_SECONDS", 0.2)
    monkeypatch.setattr(session_file, "_FOLDING_SECONDS", 0.05)
    writer = Writer(path)
    with Child("neighbour", "hold", path) as child:
        child.expect("ready")
        writer.add(runs[0])
        (told,) = writer.close()
        assert "another window is writing to it" in why(told)
        assert titles(path) == ["the first"]  # reading goes on
        child.tell(free=True)
        child.expect("free")
    writer.retry()
    (told,) = writer.close()
    assert told.error is None
    assert len(titles(path)) == 2


def test_a_session_that_is_deleted_under_the_window_loses_no_run(
    path: Path, runs: list[Run]
) -> None:
    writer = Writer(path)
    writer.add(runs[0])
    assert writer.close()[0].error is None
    path.unlink()
    writer.add(runs[1])
    assert "there is no such file" in why(writer.close()[0])
    assert writer.unsaved == [runs[1]]
