"""Writer: runs are stored off the window's thread, and what cannot be stored is not lost."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import technique
from engine.errors import FileError
from engine.session import Run, Session, Writer
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


def test_the_writer_stores_runs_in_order(path: Path) -> None:
    runs = [_run(rows) for rows in range(1, 6)]
    writer = Writer(path)
    for run in runs:
        writer.add(run)
    assert writer.pending == 5
    told = writer.close()
    assert writer.pending == 0
    assert [(saved.run, saved.id, saved.error) for saved in told] == [
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
    assert [saved.id for saved in told] == list(range(1, 30))


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
    assert [saved.id for saved in writer.close()] == [1, 2]


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
    first, second = writer.close()
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
    (saved,) = writer.close()
    assert saved.run is run
    assert isinstance(saved.error, KeyError)
    assert writer.unsaved == [run]
