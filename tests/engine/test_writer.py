"""Writer: runs are stored off the window's thread, and what cannot be stored is not lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import technique
from engine.errors import FileError
from engine.session import Done, Run, Saved, Session, Writer
from engine.session import file as session_file
from engine.technique import Technique, Update, array, param
from engine.worker import Worker


@dataclass(frozen=True)
class _FillResult:
    grid: npt.NDArray[Any] = array("row column", "numbers")


@dataclass(frozen=True, kw_only=True)
class _Fill(Technique):
    Result: ClassVar[type] = _FillResult
    rows: int = param(3, "rows", low=0)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        yield Update(1, 1, lambda: _FillResult(np.ones((self.rows, 4), np.float32)))


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(technique._KINDS, "_Fill", _Fill)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty session."""
    path = tmp_path / "a session.mscope"
    Session.create(path).close()
    return path


def _run(rows: int = 3) -> Run:
    spec = _Fill(rows=rows)
    return Run(spec=spec, result=spec.run(None))


def _full(path: Path) -> Session:
    """The session on a disk that is as good as full."""
    session = Session.open(path)
    pages = session._db.execute("PRAGMA page_count").fetchone()[0]
    session._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    return session


def test_a_run_made_by_a_worker_knows_how_it_went(path: Path) -> None:
    worker = Worker(_Fill())
    worker.start()
    assert worker.join(10)
    poll = worker.poll()
    run = Run.of(worker, poll.result, poll.error, {"loss": 1.0})
    assert (run.kind, run.version, run.status) == ("_Fill", 1, "finished")
    assert run.blas_threads >= 1
    assert run.started.endswith("+00:00")
    assert {"mechanoscope", "numpy", "python"} == run.versions.keys()
    with Session.open(path) as session:
        assert session.load(session.add(run)).started == run.started


def _saved(told: list[Saved | Done]) -> list[Saved]:
    return [end for end in told if isinstance(end, Saved)]


def test_the_writer_stores_runs_in_order(path: Path) -> None:
    runs = [_run(rows) for rows in range(1, 6)]
    writer = Writer(path)
    for run in runs:
        writer.add(run)
    assert writer.pending == 5
    told = writer.close()
    assert writer.pending == 0
    assert [(saved.run, saved.id, saved.error) for saved in _saved(told)] == [
        (run, number, None) for number, run in enumerate(runs, 1)
    ]
    with Session.open(path) as session:
        assert [row.id for row in session.runs()] == [1, 2, 3, 4, 5]


def test_a_run_added_while_the_thread_ends_is_written_too(path: Path) -> None:
    writer, told = Writer(path), []
    for rows in range(1, 30):
        writer.add(_run(rows))
        told.extend(writer.poll())
    told.extend(writer.close())
    assert [saved.id for saved in _saved(told)] == list(range(1, 30))


def test_a_window_reads_while_the_writer_writes(path: Path) -> None:
    with Session.open(path) as session:
        with Writer(path) as writer:
            writer.add(_run(2000))
            session.runs()
        assert len(session.runs()) == 1


def test_what_a_full_disk_refused_stays_in_memory_and_is_tried_again(path: Path) -> None:
    disks = [_full, Session.open]
    writer = Writer(path, lambda place: disks.pop(0)(place))
    big, small = _run(10_000), _run(1)
    writer.add(big)
    (refused,) = writer.close()
    assert isinstance(refused.error, FileError)
    assert "the disk is full" in str(refused.error)
    assert writer.unsaved == [big]
    writer.retry()
    assert writer.unsaved == []
    assert writer.pending == 1
    writer.add(small)
    assert [saved.id for saved in _saved(writer.close())] == [1, 2]


def test_a_session_that_cannot_be_opened_loses_no_run(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "absent.mscope")
    runs = [_run(1), _run(2)]
    for run in runs:
        writer.add(run)
    told = writer.close()
    assert [type(saved.error) for saved in told] == [FileError, FileError]
    assert writer.unsaved == runs


def test_a_result_that_cannot_be_stored_does_not_stop_the_others(path: Path) -> None:
    odd = Run(spec=_Fill(), result=_FillResult(np.array([object()])))
    writer = Writer(path)
    writer.add(odd)
    writer.add(_run(2))
    first, second = _saved(writer.close())
    assert str(first.error) == "grid: an array of object cannot be stored"
    assert second.id == 1


def test_a_bug_in_the_writing_is_told_with_its_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def broken(*_: Any) -> int:
        raise KeyError("a bug")

    monkeypatch.setattr(Session, "add", broken)
    writer = Writer(path)
    run = _run()
    writer.add(run)
    (saved,) = _saved(writer.close())
    assert saved.run is run
    assert isinstance(saved.error, KeyError)
    assert writer.unsaved == [run]


# --- edits ---------------------------------------------------------------------------------------


def _titles(path: Path) -> list[str]:
    with Session.open(path) as session:
        return [row.run.title for row in session.runs() if row.run]


def _name(title: str) -> Any:
    return lambda session: session.describe(1, title=title)


def _closed_disk(path: Path) -> Session:
    """A session on a disk without room for another page."""
    session = Session.open(path)
    pages = session._db.execute("PRAGMA page_count").fetchone()[0]
    session._db.execute(f"PRAGMA max_page_count = {pages}")
    return session


def test_runs_and_edits_are_written_in_one_order(path: Path) -> None:
    writer = Writer(path)
    run = _run()
    writer.add(run)
    edit = writer.do(_name("first"), "naming run 1")
    counted = writer.do(lambda session: len(session.runs()), "counting")
    writer.add(_run(2))
    assert writer.pending == 4
    saved, named, count, second = writer.close()
    assert (saved.error, named.error, count.error, second.error) == (None, None, None, None)
    assert isinstance(saved, Saved)
    assert isinstance(named, Done)
    assert isinstance(count, Done)
    assert (named.edit, count.edit, count.value) == (edit, counted, 1)
    assert edit.about == "naming run 1"
    with Session.open(path) as session:
        assert session.load(1).digest == saved.digest
    assert _titles(path) == ["first", ""]


def test_an_edit_never_overtakes_one_that_was_refused(path: Path) -> None:
    with Session.open(path) as session:
        session.add(_run())
    disks = [_closed_disk, _closed_disk, Session.open, Session.open]
    writer = Writer(path, lambda place: disks.pop(0)(place))
    first = writer.do(_name("a" * 100_000), "a long name")
    writer.close()
    second = writer.do(_name("b"), "a short name")
    run = _run(10_000)
    writer.add(run)
    told = writer.close()
    assert ["the disk is full" in str(end.error) for end in told] == [True, True]
    assert writer.unsaved == [first, second, run]
    assert _titles(path) == [""]
    third = writer.do(_name("c"), "the last name")
    writer.retry()
    assert writer.unsaved == []
    told = writer.close()
    assert {getattr(end, "edit", None) for end in told} == {first, second, third, None}
    writer.retry()
    writer.close()
    assert writer.unsaved == []
    assert _titles(path) == ["c", ""]


def test_what_can_never_be_made_is_told_and_holds_up_nothing(path: Path) -> None:
    writer = Writer(path)
    writer.do(_name("nobody"), "naming run 1")
    writer.do(lambda session: session.put("corpus", b"x" * 2_000_000), "adding data")
    writer.add(_run())
    writer.do(_name("somebody"), "naming run 1")
    absent, large, saved, named = writer.close()
    assert str(absent.error) == "there is no run 1 in this session"
    assert "write them to a file" in str(large.error)
    assert (saved.error, named.error, writer.unsaved) == (None, None, [])
    assert _titles(path) == ["somebody"]


def test_an_edit_that_is_not_to_be_kept_is_only_told(path: Path) -> None:
    def busy(session: Session) -> None:
        raise FileError(session.path, "another window is using it")

    writer = Writer(path)
    writer.add(_run())
    writer.do(busy, "compacting", keep=False)
    writer.do(_name("named"), "naming run 1")
    _, compacted, named = writer.close()
    assert isinstance(compacted.error, FileError)
    assert (named.error, writer.unsaved) == (None, [])


def test_a_bug_in_an_edit_is_told_and_the_next_is_made(path: Path) -> None:
    writer = Writer(path)
    writer.do(lambda session: getattr(session, "nonsense"), "a bug")  # noqa: B009
    writer.add(_run())
    broken, saved = writer.close()
    assert isinstance(broken.error, AttributeError)
    assert (saved.error, writer.unsaved) == (None, [])


# --- places that do not let us -------------------------------------------------------------------


def test_a_file_that_another_window_keeps_locked_is_said_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "BUSY_SECONDS", 0.1)
    run = _run()
    with Session.open(path) as other, Writer(path) as writer:
        other._db.execute("BEGIN IMMEDIATE")
        writer.add(run)
        (refused,) = writer.close()
        assert "another window is writing to it" in str(refused.error)
        other._db.execute("ROLLBACK")
        writer.retry()
        (saved,) = _saved(writer.close())
        assert (saved.run, saved.error) == (run, None)


def test_a_read_only_file_is_said_and_the_run_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, run = Writer(path), _run()
    with monkeypatch.context() as patched:
        patched.setattr("os.access", lambda *_: False)
        writer.add(run)
        (refused,) = writer.close()
    assert "it is read-only: save the session under another name" in str(refused.error)
    assert writer.unsaved == [run]
    writer.retry()
    assert [saved.error for saved in writer.close()] == [None]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_file_that_may_not_grow_is_said_and_the_run_kept(path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer, run = Writer(path), _run(100_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        writer.add(run)
        (refused,) = writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(refused.error, FileError)
    assert "the disk" in str(refused.error)
    writer.retry()
    assert [saved.error for saved in writer.close()] == [None]


def test_two_processes_write_to_one_file(path: Path) -> None:
    script = (
        "import sys\n"
        "from engine.session import Run, Writer\n"
        "from engine.techniques.logit_lens import LogitLens\n"
        "with Writer(sys.argv[1]) as writer:\n"
        "    sys.stdin.readline()\n"
        "    for number in range(20):\n"
        "        writer.add(Run(spec=LogitLens(prompt=(number,)), title=sys.argv[2]))\n"
        "    told = writer.close()\n"
        "print(*[saved.id for saved in told if saved.error is None])\n"
    )
    windows = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), title],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for title in ("one", "other")
    ]  # fmt: skip
    for window in windows:
        assert window.stdin is not None
        window.stdin.write("go\n")
        window.stdin.flush()
    written = [window.communicate(timeout=60)[0].split() for window in windows]
    assert [len(numbers) for numbers in written] == [20, 20]
    with Session.open(path) as session:
        rows = session.runs()
        assert sorted(int(n) for numbers in written for n in numbers) == [row.id for row in rows]
        titles = [row.run.title for row in rows if row.run]
        assert (titles.count("one"), titles.count("other")) == (20, 20)
