"""The session of a window: saved from the first run, changed, refused by a disk, read again."""

import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from engine.errors import FileError
from engine.session import Session
from gui import entries as entries_of
from gui import session_file
from gui.records import Records
from gui.session_file import sessions_folder
from tests.gui.made_runs import add, full_disk, header, made, opened, settle, stored, titles


@pytest.fixture
def records(jobs):
    made = Records(jobs)
    yield made
    made.close(5.0)


def test_the_first_run_makes_an_untitled_session_in_the_data_folder(qtbot, records, counting):
    said = []
    records.saved.connect(lambda text, bad: said.append(text))
    (entry,) = add(qtbot, records, made(counting))
    assert entry.state == "saved"
    assert entry.id
    assert records.path.parent == sessions_folder()
    assert not records.titled
    assert said[0].endswith("saving")
    assert said[-1] == "Untitled session  ·  saved"
    with Session.open(records.path) as session:
        assert session.load(entry.id).result.count == 1


def test_a_run_is_saving_until_it_is_durable(qtbot, records, counting):
    entry = records.add(made(counting))
    assert records.now(entry).state == "saving"
    settle(qtbot, records)
    assert records.now(entry).state == "saved"


def test_names_and_notes_are_in_the_file(qtbot, records, counting):
    (entry,) = add(qtbot, records, made(counting))
    records.rename(entry, "  induction  ")
    records.annotate(entry, "figure 2")
    assert records.entries[0].title == "induction"
    settle(qtbot, records)
    (run,) = stored(records.path)
    assert (run.title, run.note) == ("induction", "figure 2")


def test_a_name_given_while_a_run_is_being_written_arrives(qtbot, records, counting):
    entry = records.add(made(counting))
    records.rename(entry, "early")
    records.delete([records.add(made(counting))])
    settle(qtbot, records)
    assert titles(records.path) == ["early"]


def test_what_is_deleted_comes_back_in_its_place(qtbot, records, counting):
    one, two, three = add(qtbot, records, *(made(counting, n) for n in (1, 2, 3)))
    told = []
    records.deleted_some.connect(told.append)
    records.delete([one, two])
    assert [entry.key for entry in records.entries] == [three.key]
    assert len(records.deleted) == 2
    records.undo()
    assert [entry.key for entry in records.entries] == [one.key, two.key, three.key]
    records.delete([two])
    settle(qtbot, records)
    with Session.open(records.path) as session:
        assert [row.id for row in session.runs(deleted=True)] == [two.id]
    records.restore(records.deleted)
    settle(qtbot, records)
    assert len(titles(records.path)) == 3
    assert told == [2, 0, 1, 0]


def test_compacting_says_what_it_freed(qtbot, records, counting):
    made_, kept = add(qtbot, records, made(counting), made(counting))
    records.delete([made_])
    with qtbot.waitSignal(records.compacted, timeout=5000) as told:
        records.compact()
    assert told.args[0] >= 0
    assert not records.deleted
    assert [entry.key for entry in records.entries] == [kept.key]


def test_a_full_disk_is_said_and_the_next_run_tries_again(qtbot, records, counting, monkeypatch):
    room = full_disk(monkeypatch)
    said = []
    records.saved.connect(lambda text, bad: said.append((text, bad)))
    (entry,) = add(qtbot, records, made(counting, title="kept"))
    assert entry.state == "memory"
    assert "disk is full" in entry.note
    assert said[-1] == ("1 run not saved: the disk is full", True)
    assert records.unsaved == [entry]
    records.rename(entry, "named meanwhile")
    room()
    add(qtbot, records, made(counting, title="next"))
    assert titles(records.path) == ["named meanwhile", "next"]
    assert not records.unsaved
    assert said[-1] == ("Untitled session  ·  saved", False)


def test_a_change_that_a_full_disk_refused_is_tried_again(qtbot, records, counting, monkeypatch):
    (entry,) = add(qtbot, records, made(counting))
    whole = Session.describe

    def refuse(session, *_, **__):
        raise FileError(session.path, "the disk is full: free some space")

    monkeypatch.setattr(Session, "describe", refuse)
    records.rename(entry, "later")
    settle(qtbot, records)
    assert records.state_words() == ("Changes not saved: the disk is full", True)
    monkeypatch.setattr(Session, "describe", whole)
    records.retry()
    settle(qtbot, records)
    assert titles(records.path) == ["later"]


def test_no_folder_to_write_to_means_in_memory_only(qtbot, records, counting, home):
    sessions_folder().parent.mkdir(parents=True)
    sessions_folder().write_text("in the way")
    (entry,) = add(qtbot, records, made(counting))
    assert entry.state == "memory"
    assert records.state_words()[0].startswith("In memory only")
    sessions_folder().unlink()
    records.retry()
    settle(qtbot, records)
    assert records.now(entry).state == "saved"


def test_runs_that_were_only_in_memory_are_in_the_saved_session(
    qtbot, records, counting, monkeypatch, tmp_path
):
    room = full_disk(monkeypatch)
    add(qtbot, records, made(counting, title="one"), made(counting, title="two"))
    room()
    records.save_as(tmp_path / "mine.mscope")
    settle(qtbot, records)
    assert titles(tmp_path / "mine.mscope") == ["one", "two"]
    assert {entry.state for entry in records.entries} == {"saved"}
    assert not records.out.refused


def test_the_digest_of_the_weights_reaches_earlier_runs(qtbot, records, counting):
    add(qtbot, records, made(counting, model=header()))
    records.learn(header().digest, "b" * 64, "2026")
    settle(qtbot, records)
    assert records.entries[0].run.model.digest == "b" * 64
    assert stored(records.path)[0].model.digest == "b" * 64


def test_a_run_from_before_these_weights_were_opened_keeps_the_digest_it_has(
    qtbot, records, counting
):
    add(qtbot, records, made(counting, model=header()))
    records.learn(header().digest, "b" * 64, "2026-11-23")
    settle(qtbot, records)
    assert records.entries[0].run.model.digest == header().digest
    assert stored(records.path)[0].model.digest == header().digest


def test_a_digest_learnt_while_a_run_was_written_is_in_the_file(qtbot, records, counting):
    records.add(made(counting, model=header()))
    records.learn(header().digest, "b" * 64, "2026")
    settle(qtbot, records)
    assert stored(records.path)[0].model.digest == "b" * 64


def test_listing_reads_no_result_and_loading_brings_one(qtbot, records, counting):
    add(qtbot, records, *(made(counting, n) for n in range(1, 6)))
    path = records.path
    records.new()
    settle(qtbot, records)
    opened(qtbot, records, path)
    assert all(entry.run.result is None for entry in records.entries)
    with qtbot.waitSignal(records.loaded, timeout=5000) as loaded:
        records.show(records.entries[3])
    assert loaded.args[0].result.count == 4


def test_one_unreadable_run_leaves_the_others(qtbot, records, counting):
    add(qtbot, records, *(made(counting, n) for n in (1, 2, 3)))
    path = records.path
    records.new()
    settle(qtbot, records)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE runs SET spec = '{' WHERE id = 2")
    opened(qtbot, records, path)
    assert [entry.state for entry in records.entries] == ["saved", "unreadable", "saved"]
    assert records.entries[1].note


def test_results_in_memory_are_bounded_by_bytes(qtbot, records, counting, monkeypatch):
    monkeypatch.setattr(entries_of, "BYTES_HELD", 20)
    add(qtbot, records, *(made(counting, n) for n in range(1, 5)))  # 8 bytes each
    held = [entry.run.result is not None for entry in records.entries]
    assert held == [False, False, True, True]
    with qtbot.waitSignal(records.loaded, timeout=5000):
        records.show(records.entries[0])
    held = [entry.run.result is not None for entry in records.entries]
    assert held == [True, False, False, True]


def test_a_large_result_is_kept_on_request(qtbot, records, counting, monkeypatch):
    monkeypatch.setattr("gui.run_log.LARGE", 4)
    monkeypatch.setattr("engine.session.store.LARGE", 4)
    (entry,) = add(qtbot, records, made(counting, 7))
    assert "settings kept, result not" in entry.note
    assert not entry.kept
    with Session.open(records.path) as session:
        assert session.load(entry.id).result is None
    records.keep_large(entry)
    settle(qtbot, records)
    entry = records.now(entry)
    assert entry.kept
    assert not entry.note
    with Session.open(records.path) as session:
        assert session.load(entry.id).result.count == 7
        assert len(session.runs()) == 1


def test_what_is_done_to_a_run_while_its_large_result_is_stored_is_in_the_file(
    qtbot, records, counting, monkeypatch
):
    monkeypatch.setattr("gui.run_log.LARGE", 4)
    monkeypatch.setattr("engine.session.store.LARGE", 4)
    (entry,) = add(qtbot, records, made(counting, 7))
    records.keep_large(entry)
    records.rename(entry, "named meanwhile")
    settle(qtbot, records)
    assert titles(records.path) == ["named meanwhile"]
    (other,) = add(qtbot, records, made(counting, 8))
    records.keep_large(other)
    records.new()  # the line is gone before the result is stored
    settle(qtbot, records)
    assert records.entries == []


def test_how_a_run_was_seen_last_is_kept(qtbot, records, counting):
    (entry,) = add(qtbot, records, made(counting))
    records.viewed(entry.run, {"focus": {"layer": 1}, "panel": {}})
    records.viewed(entry.run, {"focus": {"layer": 2}, "panel": {}})
    records.flush_views()
    settle(qtbot, records)
    assert stored(records.path)[0].view == {"focus": {"layer": 2}, "panel": {}}


def test_data_is_kept_with_the_session(qtbot, records, counting):
    add(qtbot, records, made(counting))
    ref = records.put_data("prompt pairs", b"a\nb\n", "typed")
    assert records.put_data("prompt pairs", b"a\nb\n", "typed again") == ref
    settle(qtbot, records)
    (row,) = records.data()
    assert (row.ref, row.rows, row.inside) == (ref, 2, True)
    with Session.open(records.path) as session:
        assert session.content(ref) == b"a\nb\n"


def test_data_that_is_gone_is_asked_for_by_name_and_found_elsewhere(
    qtbot, records, counting, tmp_path
):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"the cat sat\n" * 100_000)
    add(qtbot, records, made(counting))
    kept = []
    records.kept_data.put_file("corpus", corpus, kept.append)
    qtbot.waitUntil(lambda: bool(kept), timeout=5000)
    (ref,) = kept
    settle(qtbot, records)
    path = records.path
    records.new()
    settle(qtbot, records)
    moved = corpus.rename(tmp_path / "elsewhere.txt")
    with qtbot.waitSignal(records.data_missing, timeout=5000) as told:
        records.open(path)
    (error,) = told.args[0]
    assert error.ref == ref
    assert "corpus.txt" in str(error)
    said = []
    records.kept_data.place(ref, path, said.append)
    qtbot.waitUntil(lambda: len(said) == 1, timeout=5000)
    assert "it is not the corpus that was used" in said[0].why
    records.kept_data.place(ref, moved, said.append)
    qtbot.waitUntil(lambda: said[1:] == [None], timeout=5000)
    settle(qtbot, records)
    with Session.open(path) as session:
        assert session.data()[0].ref.where == str(moved)


def test_waiting_for_the_writer_is_bounded(qtbot, records, counting, monkeypatch):
    go = threading.Event()
    whole = session_file.open_or_create

    def slow(path):
        go.wait(10)
        return whole(path)

    monkeypatch.setattr(session_file, "open_or_create", slow)
    records.add(made(counting))
    assert not records.wait(0.05)
    go.set()
    assert records.wait(5.0)
    assert records.entries[0].state == "saved"


def test_sizes_are_of_arrays(counting):
    run = made(counting)
    assert entries_of.nbytes(run.result) == np.int64(0).nbytes


def test_the_size_of_a_session_can_be_asked_while_its_log_goes(
    qtbot, records, counting, monkeypatch
):
    add(qtbot, records, made(counting))
    monkeypatch.setattr("pathlib.Path.exists", lambda path: True)  # it was there a moment ago
    records.path.with_name(records.path.name + "-wal").unlink(missing_ok=True)
    assert records.nbytes == records.path.stat().st_size
