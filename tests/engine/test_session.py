"""Sessions: what was stored comes back to the bit, and one bad run harms no other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import FileError
from engine.model.taps import Intervention
from engine.session import ModelRef, Session, pack
from engine.session import arrays as session_arrays
from engine.session import file as session_file
from engine.session import store as session_store
from tests.engine.echo import (
    _Echo,
    assert_same,
    echo_is_known,
    make_result,
    make_run,
    path,
    stored,
)

__all__ = ["echo_is_known", "path"]


def test_a_run_comes_back_to_the_bit(path: Path) -> None:
    run = make_run(
        status="cancelled",
        changes=((2, {"speed": 0.1}), (5, {"pair": (1, 2)})),
        interventions=(Intervention("blocks.0.hook_attn_out", "scale", 0.5, positions=(1, 2)),),
        model=ModelRef("toy", "sha256:12", "/models/toy", {"n_layers": 2, "mask": float("-inf")}),
        started="2026-01-02T03:04:05.678+00:00",
        blas_threads=2,
        metrics={"loss": 0.1, "nan": float("nan")},
        error="é",
    )
    (number,) = stored(path, run)
    with Session.open(path) as session:
        loaded = session.load(number)
    assert_same(loaded.result, run.result)
    assert loaded.id == number
    assert len(loaded.digest) == 64
    same = replace(loaded, result=None, id=0, digest="", metrics={})
    assert same == replace(run, result=None, metrics={})
    assert repr(loaded.metrics) == repr(run.metrics)


def test_a_list_of_runs_reads_no_array(path: Path) -> None:
    stored(path, make_run(1), make_run(2, status="failed", error="loss is NaN", result=None))
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
    monkeypatch.setattr(session_arrays, "CHUNK", 100)
    run = make_run(40)
    (number,) = stored(path, run)
    with Session.open(path) as session:
        parts = session._db.execute("SELECT count(*) FROM arrays WHERE name = 'grid'").fetchone()
        assert parts == (7,)
        assert_same(session.load(number).result, run.result)


def test_a_very_large_result_keeps_spec_and_digest_unless_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_store, "LARGE", 100)
    with Session.create(path) as session:
        small, kept = session.add(make_run(40)), session.add(make_run(40), keep_large=True)
        assert session.load(small).result is None
        assert session.load(small).digest == session.load(kept).digest
        assert session.load(kept).result is not None
        assert [(row.kept, row.size) for row in session.runs()] == [(False, 676), (True, 676)]


def test_a_closed_session_is_one_whole_file(path: Path, tmp_path: Path) -> None:
    (number,) = stored(path, make_run())
    assert sorted(tmp_path.iterdir()) == [path]
    copy = tmp_path / "copy.mscope"
    shutil.copyfile(path, copy)
    with Session.open(copy) as session:
        assert_same(session.load(number).result, make_result())


def test_a_finished_run_is_in_the_file_before_it_is_closed(path: Path, tmp_path: Path) -> None:
    session = Session.create(path)
    number = session.add(make_run())
    for file in (path, path.with_name(path.name + "-wal")):  # what kill -9 leaves behind
        shutil.copyfile(file, tmp_path / file.name.replace("a session", "crashed"))
    session.close()
    with Session.open(tmp_path / "crashed.mscope") as crashed:
        assert_same(crashed.load(number).result, make_result())


def test_two_windows_write_to_one_session(path: Path) -> None:
    with Session.create(path) as one, Session.open(path) as other:
        first, second = one.add(make_run(1)), other.add(make_run(2))
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
        number = session.add(make_run())
        session.save_as(target)
    assert not list(tmp_path.glob("*.part"))
    with Session.open(target) as copy:
        assert_same(copy.load(number).result, make_result())


def test_a_model_is_stored_once_however_many_runs_it_has(path: Path) -> None:
    model = ModelRef("toy", "sha256:12", "/models/toy")
    stored(path, make_run(1, model=model), make_run(2, model=model), make_run(3))
    with Session.open(path) as session:
        assert session._db.execute("SELECT count(*) FROM models").fetchone() == (1,)
        rows = [row.run for row in session.runs() if row.run is not None]
        assert [run.model for run in rows] == [model, model, None]


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
    stored(path, make_run())
    with _full(path) as session:
        with pytest.raises(FileError, match="the disk is full"):
            session.add(make_run(10_000))
        assert len(session.runs()) == 1
    with Session.open(path) as session:
        assert len(session.runs()) == 1
        assert session._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_read_only_session_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (number,) = stored(path, make_run())
    monkeypatch.setattr("os.access", lambda *_: False)
    with Session.open(path) as session:
        assert session.read_only
        assert_same(session.load(number).result, make_result())
        with pytest.raises(FileError, match="read-only"):
            session.add(make_run())
    assert sorted(path.parent.iterdir()) == [path]


def test_objects_are_never_stored() -> None:
    with pytest.raises(TypeError, match="words: an array of object"):
        pack(replace(make_result(), words=np.array([object()])))


def test_a_session_that_another_process_makes_just_now_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = session_file.create

    def create(path: Path, about: dict[str, str]) -> None:
        real(path, about)
        real(path, about)  # the second one comes too late

    monkeypatch.setattr(session_file, "create", create)
    with Session.open_or_create(path) as session:
        assert session.runs() == []


def test_a_session_on_a_share_of_windows_has_an_address() -> None:
    assert session_file.address("file://nas/home/a%20b.mscope") == "file:////nas/home/a%20b.mscope"
    assert session_file.address("file:///C:/a.mscope") == "file:///C:/a.mscope"
