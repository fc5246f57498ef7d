"""What is recorded beside a run, the trash, and compaction: nothing goes before it is told to."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.errors import FileError
from engine.refs import Ref, of_bytes
from engine.session import ModelRef, Run, Session
from engine.session import upkeep as session_upkeep
from engine.technique import Technique, Update, array, param
from engine.worker import Worker
from tests.engine.echo import (
    _Echo,
    assert_same,
    change_file,
    change_types,
    echo_is_known,
    make_result,
    make_run,
    path,
    stored,
)

__all__ = ["echo_is_known", "path"]

REF = Ref("corpus", "a" * 64, "books/moby.txt")
ABOUT: dict[str, Any] = {
    "title": "The cat run",
    "note": "look at <b>é</b>\n",
    "tokens": {"tokens": (1, 0, 1)},
    "words": {0: " the", 1: "cat"},
    "inputs": {"prompts, row 3": REF},
    "view": {"focus": {"layer": 1}, "panel": {}},
}


# --- what is recorded ----------------------------------------------------------------------------


def test_title_note_tokens_words_inputs_and_view_come_back(path: Path) -> None:
    (number,) = stored(path, make_run(**ABOUT))
    with Session.open(path) as session:
        (row,) = session.runs()
        loaded = session.load(number)
    assert {name: getattr(loaded, name) for name in ABOUT} == ABOUT
    assert loaded.inputs["prompts, row 3"].where == REF.where
    assert row.run is not None
    assert row.run.title == "The cat run"
    assert row.run.words == {}
    assert row.about_note == ""


def test_provenance_says_tokens_inputs_and_digest(path: Path) -> None:
    (number,) = stored(path, make_run(**ABOUT))
    with Session.open(path) as session:
        about = session.load(number).provenance()
        listed = session.runs()[0].run
    assert about["title"] == "The cat run"
    assert about["tokens"] == {"tokens": {"ids": [1, 0, 1], "texts": ["cat", " the", "cat"]}}
    assert about["inputs"] == {
        "prompts, row 3": {"kind": "corpus", "digest": "a" * 64, "where": "books/moby.txt"}
    }
    assert len(about["digest"]) == 64
    assert about["seed"] is None
    assert listed is not None
    assert listed.provenance()["tokens"]["tokens"]["texts"] == ["", "", ""]


@dataclass(frozen=True)
class _ReadResult:
    clean_tokens: Any = array("pos", "ids")
    tokens: Any = array("pos", "texts, which are not ids")
    mean_tokens: Any = array("pos", "numbers that are not ids")


@dataclass(frozen=True, kw_only=True)
class _Read(Technique):
    Result: ClassVar[type] = _ReadResult
    needs: ClassVar[tuple[str, ...]] = ()
    lens: Ref | None = param(None, "a lens")
    seed: int = param(3, "seed")

    def steps(self, model: Any) -> Any:
        yield Update(1, 1, lambda: _ReadResult(np.arange(3), ("a", "b"), np.ones(3)))


def test_a_run_knows_its_tokens_seed_and_inputs_from_what_ran() -> None:
    worker = Worker(_Read(lens=Ref("lens", "b" * 64)))
    worker.start()
    assert worker.join(10)
    result = worker.poll().result
    run = Run.of(worker, result, words={1: "cat"}, inputs={"row": REF}, view={"panel": {}})
    assert run.tokens == {"clean_tokens": (0, 1, 2)}
    assert run.inputs == {"lens": Ref("lens", "b" * 64), "row": REF}
    assert (run.words, run.view) == ({1: "cat"}, {"panel": {}})
    assert run.provenance()["seed"] == 3


def test_describe_changes_what_it_is_given_and_nothing_else(path: Path) -> None:
    (number,) = stored(path, make_run(**ABOUT))
    with Session.open(path) as session:
        session.describe(number, title="Another")
        session.describe(number, view={"panel": {"zoom": 2}})
        session.describe(number, note="")
        run = session.load(number)
    changed = {"title": "Another", "note": "", "view": {"panel": {"zoom": 2}}}
    assert {name: getattr(run, name) for name in ABOUT} == ABOUT | changed
    assert_same(run.result, make_result())


def test_a_run_that_is_not_there_cannot_be_described_or_deleted(path: Path) -> None:
    with Session.create(path) as session:
        with pytest.raises(LookupError, match="there is no run 7"):
            session.describe(7, title="x")
        number = session.add(make_run())
        with pytest.raises(LookupError, match="there is no run 7"):
            session.delete([number, 7])
        assert session.runs(deleted=True) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("title = 'Not mine'", "it is not what was stored"),
        ("tokens = '{}'", "it is not what was stored"),
        ("note = CAST(x'ff' AS TEXT)", "Could not decode"),
        ("view = replace(hex(zeroblob(5000000)), '0', '1')", "too large"),
        ("run = 7", "it is not there"),
        ("seal = ''", "it is not what was stored"),
    ],
)
def test_a_damaged_about_row_leaves_its_run_readable_and_says_so(
    path: Path, change: str, why: str
) -> None:
    stored(path, make_run(1, **ABOUT), make_run(2, **ABOUT))
    change_file(path, f"UPDATE about SET {change} WHERE run = 2")
    with Session.open(path) as session:
        first, second = session.runs()
        assert (first.about_note, second.unreadable) == ("", "")
        assert why in second.about_note
        assert second.run is not None
        assert second.run.title == ""
        assert_same(session.load(2).result, make_result(2))
        if "run = 7" not in change:
            with pytest.raises((ValueError, FileError), match=r"is damaged: |decode|too large"):
                session.describe(2, note="sealed as if it were sound")
        session.delete([2])
        assert [row.id for row in session.runs()] == [1]


@pytest.mark.parametrize(
    "change",
    [
        "title = 5",
        "note = x'00'",
        "tokens = '{\"tokens\": [1.5]}'",
        'tokens = \'{"tokens": ["a"]}\'',
        "tokens = '[]'",
        "inputs = '{\"row\": 3}'",
        'inputs = \'{"row": {"kind": "corpus"}}\'',
        "view = '3'",
        "view = replace(hex(zeroblob(40000)), '0', '[')",
        "view = replace(hex(zeroblob(2500000)), '0', '1')",
    ],
)
def test_an_about_row_that_a_stranger_sealed_harms_nothing(path: Path, change: str) -> None:
    stored(path, make_run(1, **ABOUT), make_run(2, **ABOUT))
    sealed = 0 if "x'" in change else 2
    change_types(path, "about", f"UPDATE about SET {change} WHERE run = 2", sealed)
    with Session.open(path) as session:
        first, second = session.runs()
        assert first.about_note == ""
        assert second.about_note.startswith("its title, note and tokens are not readable: ")
        assert session.load(2).title == ""


def test_damaged_words_are_left_out_and_the_rest_is_read(path: Path) -> None:
    stored(path, make_run(**ABOUT))
    change_file(path, 'UPDATE about SET words = \'{"0": " dog"}\'')
    with Session.open(path) as session:
        assert session.runs()[0].about_note == ""
        run = session.load(1)
    assert (run.words, run.tokens) == ({}, ABOUT["tokens"])


def test_the_same_run_is_stored_as_the_same_rows(tmp_path: Path) -> None:
    def rows(name: str) -> list[str]:
        stored(tmp_path / name, make_run(**ABOUT), make_run(5))
        with closing(sqlite3.connect(tmp_path / name)) as db:
            return list(db.iterdump())

    assert rows("one.mscope") == rows("other.mscope")


def test_a_renamed_result_field_is_read_through_the_technique(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class NewResult:
        grid: Any = array("row column", "numbers")
        loss: Any = array("", "a number")

    def upgrade_result(arrays: Any, values: Any, version: int) -> Any:
        assert version == 1
        return {"grid": arrays["grid"]}, {"loss": values["loss"]}

    stored(path, make_run())
    monkeypatch.setattr(_Echo, "Result", NewResult)
    with Session.open(path) as session:
        with pytest.raises(FileError, match="no result field"):
            session.load(1)
        monkeypatch.setattr(_Echo, "version", 2)
        monkeypatch.setattr(_Echo, "upgrade_result", staticmethod(upgrade_result))
        result = session.load(1).result
    np.testing.assert_array_equal(result.grid, make_result().grid)


# --- the trash and compaction --------------------------------------------------------------------


def test_deleted_runs_are_in_the_trash_until_they_are_restored(path: Path) -> None:
    with Session.create(path) as session:
        for rows in range(1, 5):
            session.add(make_run(rows, **ABOUT))
        session.delete([2, 4])
        assert [row.id for row in session.runs()] == [1, 3]
        assert [(row.id, row.deleted) for row in session.runs(deleted=True)] == [
            (2, True),
            (4, True),
        ]
        assert_same(session.load(2).result, make_result(2))
        session.restore([2])
        assert [row.id for row in session.runs()] == [1, 2, 3]
        assert session.load(2).title == "The cat run"


def test_compacting_removes_the_trash_and_frees_its_room(path: Path) -> None:
    model, other = ModelRef("toy", "12", "/models/toy"), ModelRef("toy", "13", "/models/other")
    with Session.create(path) as session:
        session.add(make_run(3, model=model, **ABOUT))
        session.add(make_run(50_000, model=other))
        before = session.nbytes
        session.delete([2])
        assert session.nbytes >= before
        freed = session.compact()
        assert freed > 500_000
        assert session.nbytes <= before - freed + 100_000
        assert [row.id for row in session.runs()] == [1]
        assert session.runs(deleted=True) == []
        assert_same(session.load(1).result, make_result(3))
        assert session.add(make_run(4)) > 0
        assert session._db.execute("SELECT digest FROM models").fetchall() == [("12",)]
        assert session._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert session._db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_compacting_keeps_data_that_a_remaining_run_or_nobody_read(path: Path) -> None:
    both, old, unused = (of_bytes("corpus", text) for text in (b"both", b"old", b"unused"))
    with Session.create(path) as session:
        for text in (b"both", b"old", b"unused"):
            session.put("corpus", text)
        kept = session.add(make_run(1, inputs={"text": both}))
        gone = session.add(make_run(2, inputs={"text": both, "more": old}))
        session.keep_artifact("lens", b"of the kept", run=kept)
        session.keep_artifact("lens", b"of the gone", run=gone)
        session.keep_artifact("lens", b"both", run=gone)
        session.delete([gone])
        session.compact()
        assert [row.ref for row in session.data()] == [both, unused]
        assert [(row.run, row.ref.digest) for row in session.artifacts()] == [
            (kept, of_bytes("lens", b"of the kept").digest),
            (None, both.digest),
        ]


def test_a_disk_without_room_for_compacting_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(session_upkeep.shutil, "disk_usage", lambda _: usage(9, 9, 1000))
    with Session.create(path) as session:
        session.add(make_run())
        session.delete([1])
        with pytest.raises(FileError, match=r"compacting it takes .* MB .* free some space"):
            session.compact()
        assert len(session.runs(deleted=True)) == 1


def test_compacting_while_another_window_reads_is_refused_in_words(path: Path) -> None:
    stored(path, make_run(1), make_run(2))
    with Session.open(path) as session, Session.open(path) as other:
        session.delete([2])
        reading = other._db.execute("SELECT id FROM runs")
        reading.fetchone()
        session.add(make_run(3))  # what the reader must not see yet
        with pytest.raises(FileError, match="another window is using it"):
            session.compact()
        reading.close()
        assert [row.id for row in session.runs(deleted=True)] == [2]
        session.compact()
        assert session.runs(deleted=True) == []
        assert [row.id for row in other.runs()] == [1, 3]


# --- digests learned later -----------------------------------------------------------------------


def test_runs_under_a_headers_digest_learn_the_weights_own(path: Path) -> None:
    early = ModelRef("toy", "header:1", "/models/toy", {"n_layers": 2})
    elsewhere, late = replace(early, folder="/models/copy"), replace(early, digest="22")
    other = replace(early, digest="header:2")
    models = [early, elsewhere, late, other, None, early]
    with Session.create(path) as session:
        for model in models:
            session.add(make_run(model=model, **ABOUT))
        session.delete([6])
        assert session.learn("header:1", "22") == 3
        assert session.learn("header:1", "22") == 0
        rows = session.runs() + session.runs(deleted=True)
        assert [row.run and row.run.model for row in rows] == [
            late, replace(elsewhere, digest="22"), late, other, None, late,
        ]  # fmt: skip
        assert not [row for row in rows if row.unreadable or row.about_note]
        assert session._db.execute("SELECT count(*) FROM models").fetchone() == (3,)


def test_learning_a_digest_does_not_seal_damage(path: Path) -> None:
    model = ModelRef("toy", "header:1", "/models/toy")
    stored(path, make_run(1, model=model), make_run(2, model=model))
    change_file(path, "UPDATE runs SET seconds = 1000.0 WHERE id = 1")
    with Session.open(path) as session:
        assert session.learn("header:1", "22") == 1
        assert [bool(row.unreadable) for row in session.runs()] == [True, False]


# --- many runs -----------------------------------------------------------------------------------


def test_of_far_too_many_runs_the_newest_are_listed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(path, *(make_run(1, result=None) for _ in range(6)))
    monkeypatch.setattr(session_upkeep, "_AT_MOST", 0)
    with Session.open(path) as session:
        more, *rows = session.runs()
        assert more.unreadable.startswith("5 older runs are not listed")
        assert [row.id for row in rows] == [6]


def test_a_session_that_is_read_only_refuses_every_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(path, make_run())
    monkeypatch.setattr("os.access", lambda *_: False)
    with Session.open(path) as session:
        for change in (
            lambda: session.describe(1, title="x"),
            lambda: session.delete([1]),
            lambda: session.restore([1]),
            lambda: session.compact(),
            lambda: session.learn("header:1", "2"),
            lambda: session.put("corpus", b"x"),
            lambda: session.keep_artifact("lens", b"x"),
        ):
            with pytest.raises(FileError, match="it is read-only"):
                change()


def test_half_a_character_keeps_no_run_from_being_stored(path: Path) -> None:
    folder = Path("models", "caf\udce9")  # what Python makes of a name in Latin-1
    model = SimpleNamespace(name=folder.name, digest="ab", folder=folder)
    with Session.create(path) as session:
        number = session.add(make_run(model=ModelRef.of(model), title="\ud800", note="a"))
        session.describe(number, note="b\ud800")
        run = session.load(number)
    assert (run.title, run.note) == (r"\ud800", r"b\ud800")
    assert run.model is not None
    assert run.model.name == r"caf\udce9"


def test_a_note_that_would_not_be_read_again_is_not_taken(path: Path) -> None:
    with Session.create(path) as session:
        number = session.add(make_run(title="kept"))
        with pytest.raises(ValueError, match="bytes of text are more than 1,048,576: shorten it"):
            session.describe(number, note="x" * 10_000_000)
        assert session.load(number).title == "kept"
