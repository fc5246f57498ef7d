"""Session files between windows: moved, shared, read-only, left behind by a program that died."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import FileError
from engine.session import Session
from gui import moving, recovery
from gui.records import Records
from gui.session_file import SessionFile, sessions_folder
from tests.gui.made_runs import (
    add,
    full_disk,
    made,
    opened,
    settle,
    stale_lock,
    titles,
)


@pytest.fixture
def records(jobs):
    made = Records(jobs)
    yield made
    made.close(5.0)


@pytest.fixture
def another(jobs):
    """A second window's records."""
    made = Records(jobs)
    yield made
    made.close(5.0)


def test_save_as_moves_an_untitled_session(qtbot, records, counting, tmp_path):
    add(qtbot, records, made(counting, 1), made(counting, 2))
    untitled, target = records.path, tmp_path / "mine.mscope"
    records.save_as(target)
    settle(qtbot, records)
    assert records.path == target
    assert records.titled
    assert records.name == "mine"
    assert not untitled.exists()
    assert not Path(f"{untitled}.lock").exists()
    add(qtbot, records, made(counting, 3))
    assert len(titles(target)) == 3
    assert {entry.path for entry in records.entries} == {target}


def test_save_as_of_a_titled_session_leaves_the_first_file(qtbot, records, counting, tmp_path):
    add(qtbot, records, made(counting))
    for name in ("one", "two"):
        records.save_as(tmp_path / f"{name}.mscope")
        settle(qtbot, records)
    assert len(titles(tmp_path / "one.mscope")) == len(titles(tmp_path / "two.mscope")) == 1


def test_a_run_and_a_name_given_while_it_moves_are_in_the_new_file(
    qtbot, records, counting, tmp_path
):
    first = records.add(made(counting))
    records.save_as(tmp_path / "mine.mscope")
    records.add(made(counting, title="late"))
    records.rename(first, "named")
    settle(qtbot, records)
    assert titles(tmp_path / "mine.mscope") == ["named", "late"]


def test_a_copy_that_cannot_be_written_leaves_everything_as_it_was(
    qtbot, records, counting, tmp_path, monkeypatch
):
    (entry,) = add(qtbot, records, made(counting))
    untitled = records.path

    def refuse(session, path):
        raise FileError(path, "the disk is full: free some space")

    monkeypatch.setattr(Session, "save_as", refuse)
    with qtbot.waitSignal(records.refused, timeout=5000):
        records.save_as(tmp_path / "mine.mscope")
    settle(qtbot, records)
    assert records.path == untitled
    assert untitled.exists()
    assert list(tmp_path.glob("mine*")) == []
    records.rename(entry, "still here")
    settle(qtbot, records)
    assert titles(untitled) == ["still here"]


def test_a_second_window_reads_and_keeps_its_runs_apart(
    qtbot, records, another, counting, tmp_path
):
    add(qtbot, records, made(counting, title="first"))
    shared = tmp_path / "shared.mscope"
    records.save_as(shared)
    settle(qtbot, records)
    opened(qtbot, another, shared)
    assert another.read_only
    assert another.blocked == "window"
    assert "open in another window" in another.state_words()[0]
    add(qtbot, another, made(counting, title="second"))
    assert titles(shared) == ["first"]
    assert titles(another.out.aside.path) == ["second"]
    assert [entry.title for entry in another.entries] == ["first", "second"]
    with qtbot.waitSignal(another.refused):
        another.rename(another.entries[0], "not here")
    aside = another.out.aside.path
    another.save_as(tmp_path / "both.mscope")
    settle(qtbot, another)
    assert titles(tmp_path / "both.mscope") == ["first", "second"]
    assert not aside.exists()
    assert titles(shared) == ["first"]
    assert not another.read_only


def test_the_file_is_free_again_after_the_first_window(qtbot, records, another, counting):
    add(qtbot, records, made(counting))
    path = records.path
    records.new()
    settle(qtbot, records)
    opened(qtbot, another, path)
    assert not another.read_only


def test_a_lock_of_another_machine_is_respected(qtbot, records, counting, tmp_path):
    path = tmp_path / "far.mscope"
    Session.create(path).close()
    lock = stale_lock(path)
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([lines[0], lines[1], "elsewhere", "0" * 32, "0" * 36]) + "\n")
    opened(qtbot, records, path)
    assert records.blocked == "window"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_only_read(qtbot, records, counting, tmp_path):
    folder = tmp_path / "library"
    folder.mkdir()
    Session.create(folder / "old.mscope").close()
    folder.chmod(0o500)
    try:
        opened(qtbot, records, folder / "old.mscope")
        assert records.blocked == "file"
        assert not list(folder.glob("*.lock"))
    finally:
        folder.chmod(0o700)


def test_what_the_system_calls_read_only_is_only_read(
    qtbot, records, counting, tmp_path, monkeypatch
):
    path = tmp_path / "old.mscope"
    Session.create(path).close()
    monkeypatch.setattr("engine.session.file.os.access", lambda *_: False)
    opened(qtbot, records, path)
    monkeypatch.undo()
    assert records.blocked == "file"
    assert "read-only" in records.state_words()[0]
    assert not Path(f"{path}.lock").exists()
    add(qtbot, records, made(counting))
    assert records.entries[0].state == "saved"


def test_a_session_that_the_program_did_not_close_is_found(qtbot, records, counting):
    add(qtbot, records, made(counting))
    path = records.path
    assert recovery.unclosed() == []  # this window has it
    records.new()
    settle(qtbot, records)
    assert recovery.unclosed() == []
    lock = stale_lock(path)
    assert recovery.unclosed() == [path]
    assert recovery.unclosed() == [path], "looking must not take it away"
    place = recovery.counted([path])(None, None)[0]
    assert (place.path, place.runs) == (path, 1)
    opened(qtbot, records, path)
    assert not records.read_only
    records.new()
    settle(qtbot, records)
    assert not lock.exists()


def test_a_lock_of_an_earlier_process_with_our_number_counts_as_left_behind(
    qtbot, records, another, counting
):
    add(qtbot, records, made(counting))
    path = records.path
    opened(qtbot, another, path)
    assert another.blocked == "window"  # our number too, but held
    records.new()
    settle(qtbot, records)
    lock = stale_lock(path)
    lock.write_text("\n".join([str(os.getpid()), *lock.read_text().splitlines()[1:]]) + "\n")
    assert recovery.unclosed() == [path]


def test_a_lock_without_its_session_says_nothing_and_goes(records):
    sessions_folder().mkdir(parents=True)
    lock = stale_lock(sessions_folder() / "gone.mscope")
    assert recovery.unclosed() == []
    assert not lock.exists()


def test_untitled_sessions_stay_in_sight(qtbot, records, counting):
    paths = []
    for _ in range(3):
        add(qtbot, records, made(counting))
        paths.append(records.path)
        records.new()
        settle(qtbot, records)
    assert {place.path for place in recovery.untitled_sessions()} == set(paths)
    opened(qtbot, records, paths[0])
    assert not records.titled
    assert records.name == "Untitled session"


def test_a_run_that_is_being_written_when_the_session_is_left_gets_there(qtbot, records, counting):
    records.add(made(counting, title="leaving"))
    path = records.path
    records.new()
    assert not records.entries
    settle(qtbot, records)
    assert titles(path) == ["leaving"]
    assert not Path(f"{path}.lock").exists()


def test_a_run_that_the_session_left_behind_refuses_comes_along(
    qtbot, records, counting, monkeypatch
):
    full_disk(monkeypatch)
    records.add(made(counting, title="refused"))
    records.new()
    settle(qtbot, records)
    assert [entry.title for entry in records.unsaved] == ["refused"]


def test_a_session_is_moved_whole_or_not_at_all(counting, tmp_path, monkeypatch):
    target = tmp_path / "there.mscope"
    with Session.create(target) as session:
        session.add(made(counting, title="before"))
    broken = moving.Extra(1, made(counting), path=tmp_path / "nowhere.mscope", id=1)
    broken = moving.Extra(1, moving.replace(broken.run, result=None), path=broken.path, id=1)
    with pytest.raises(FileError):
        moving.move(None, target, [broken])
    assert titles(target) == ["before"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.mscope"]


def test_a_damaged_result_does_not_keep_the_others_from_moving(counting, tmp_path):
    source, target = tmp_path / "here.mscope", tmp_path / "there.mscope"
    with Session.create(source) as session:
        for title in ("sound", "damaged"):
            session.add(made(counting, title=title))
    with closing(sqlite3.connect(source, isolation_level=None)) as db:
        db.execute("UPDATE arrays SET data = x'0000000000000000' WHERE run = 2")
    moving.move(source, target, [])
    assert titles(target) == ["sound", "damaged"]


def test_a_name_given_by_a_person_in_the_data_folder_is_a_title(qtbot, records, counting):
    add(qtbot, records, made(counting))
    records.save_as(sessions_folder() / "mine.mscope")
    settle(qtbot, records)
    path = records.path
    records.new()
    settle(qtbot, records)
    opened(qtbot, records, path)
    assert records.titled


def test_two_untitled_sessions_of_one_minute_have_two_names(qtbot):
    one, two = SessionFile.untitled(), SessionFile.untitled()
    assert one.path != two.path
    one.release()
    two.release()
