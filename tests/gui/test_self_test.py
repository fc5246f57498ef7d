"""The self-test says what is wrong: each of its parts with a fault in what it looks at."""

import json
import os
import subprocess
import sys
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import platformdirs
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from engine.sweep.cell import run as run_cell
from gui import library, settings
from gui.app import Hooks, log_file
from gui.focus import Opened
from gui.form import Form
from gui.self_test import apart, kept, outside, panels, trial, walk
from gui.self_test.trial import Trial, Watchdog
from tests.gui.every_panel import OF_A_MODEL, READINGS
from tests.gui.panel_kit import CountingPanel, long


class DrawsNothing(CountingPanel):
    """It runs, and its picture stays as it was."""

    empty = ""

    def build(self):
        return QWidget()

    def draw(self, result):
        pass


@pytest.fixture
def attempt(desk, jobs, tmp_path):
    """A trial of a window with one panel, or with none."""

    def make(panel=None, seconds=2.0):
        host = SimpleNamespace(in_sight=lambda one: one.isVisible())
        shown = [] if panel is None else [type(panel)]
        window = SimpleNamespace(
            kinds=shown, panel=lambda kind: panel, reveal=lambda one: one.show(), host=host,
            desk=desk, jobs=jobs,
        )  # fmt: skip
        return Trial(window, tmp_path, seconds)

    return make


def of(panel_of, qtbot, desk, jobs, fake_model):
    desk.put_model(Opened(fake_model.folder, None, fake_model))
    made = type("Shown", (panel_of,), {"kind": "Counting"})(desk, jobs)
    qtbot.addWidget(made)
    made.resize(480, 320)
    return made


@pytest.fixture
def empty_handed(qtbot, desk, jobs, counting, fake_model):
    return of(DrawsNothing, qtbot, desk, jobs, fake_model)


# panels and techniques


def test_a_panel_that_draws_is_in_order(attempt, panel):
    one = attempt(panel)
    panel.number.setMinimumHeight(150)
    panel.number.setStyleSheet("font-size: 120px")  # enough ink for a picture
    panels.open_panel(one, type(panel))
    panels.run_technique(one, panel.form.kind)
    assert one.problems == []
    assert panel.result.count == 5


def test_a_panel_that_draws_nothing_is_named(attempt, empty_handed):
    one = attempt(empty_handed)
    empty_handed.header.hide()
    empty_handed.form.hide()
    panels.open_panel(one, type(empty_handed))
    panels.run_technique(one, empty_handed.form.kind)
    assert one.problems == [
        "start: Counting draws nothing",
        "start: Counting has a result and draws nothing of it",
    ]


def test_a_run_that_fails_is_told_with_the_words_of_its_panel(attempt, panel):
    one = attempt(panel)
    panel.form.entries["mode"].value = "fail"
    panels.run_technique(one, panel.form.kind)
    assert "has no result: it failed. Loss is NaN at step 2" in one.problems[0]


def test_a_run_that_cannot_start_is_told(attempt, panel):
    one = attempt(panel)
    panel.desk.drop_model(panel.desk.active.folder)
    panels.run_panel(one, panel)
    assert one.problems == ["start: Counting did not start: Open a model first."]


def test_a_run_without_an_end_is_named_when_the_time_is_over(qtbot, attempt, panel):
    one = attempt(panel, seconds=0.05)
    long(panel)
    one.attempt("Counting", lambda: panels.run_technique(one, panel.form.kind))
    assert one.problems == ["start: Counting: waited 0 s for its run to end"]
    panel.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


@pytest.mark.parametrize(("mode", "said"), [("plain", ""), ("fail", "lower lr"), ("bug", "a bug")])
def test_a_technique_without_a_panel_is_run_too(attempt, desk, fake_model, counting, mode, said):
    desk.put_model(Opened(fake_model.folder, None, fake_model))
    one = attempt()
    counting.quick = {"mode": mode}
    panels.run_technique(one, counting)
    assert bool(one.problems) == bool(said)
    assert said in " ".join(one.problems)


def test_an_input_that_lies_beside_the_model_goes_into_the_field_that_wants_one(attempt):
    from engine import technique

    one, folder = attempt(), library.bundled_model("world-4l")
    desk = one.window.desk
    desk.put_model(Opened(folder, None, SimpleNamespace(folder=folder)), activate=True)
    wanting = [
        make for make in READINGS
        if any(getattr(entry.control, "kind", "") in panels.INPUTS
               for entry in Form(technique.of(make.kind)).entries.values())
    ]  # fmt: skip
    assert wanting
    form = Form(technique.of(wanting[0].kind), jobs=one.window.jobs)
    panels.give_inputs(one, SimpleNamespace(form=form, kind=wanting[0].kind))  # pyright: ignore[reportArgumentType]
    assert [ref.where for ref in form.spec(desk.prompts).refs()] == [
        str(library.saes_beside(folder)[0])
    ]
    form.close()


def test_a_program_without_a_model_is_not_in_order(attempt, monkeypatch):
    monkeypatch.setattr(library, "bundled", list)
    one = attempt()
    walk.take(one, "techniques", panels.run_techniques)
    assert one.problems == ["techniques: no model travels with the program"]


# a sweep


class Here(Executor):
    """An executor that computes in this thread, and may spoil what it gives."""

    ahead = 1

    def __init__(self, spoil=lambda outcome: outcome):
        self.spoil = spoil

    def submit(self, fn, /, *args, **kwargs):
        done: Future[Any] = Future()
        done.set_result(self.spoil(run_cell(*args, **kwargs)))
        return done


def nudged(outcome):
    name, value = next(iter(outcome.values.items()))
    return replace(outcome, values={**outcome.values, name: float(np.nextafter(value, 9e9))})


def failing(outcome):
    return replace(outcome, failure="the lamp is out")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda outcome: outcome, ""),
        (nudged, "is not what this process computes"),
        (failing, "0 of 4 cells finished (the lamp is out)"),
        (lambda outcome: replace(outcome, result=None), "the result of cell (0,) is not"),
    ],
)
def test_a_sweep_that_differs_in_its_last_bit_is_a_problem(attempt, spoil, said):
    one = attempt()
    outside.sweep(one, lambda: Here(spoil))
    assert bool(one.problems) == bool(said)
    assert said in " ".join(one.problems)


# a session, a script and figures


@dataclass(frozen=True)
class Numbers:
    """A result."""

    effects: np.ndarray = field(default_factory=lambda: np.arange(6.0).reshape(2, 3))
    name: str = "head 3"


def stored(result):
    return SimpleNamespace(kind="Counting", result=result)


def test_a_run_that_a_session_lost_or_changed_is_a_problem():
    whole = [stored(Numbers()), stored(Numbers(np.ones(2)))]
    seals = [trial.seal(run.result) for run in whole]
    assert kept.difference(seals, whole) is None  # pyright: ignore[reportArgumentType]
    assert "2 runs were saved and 1 came back" in str(kept.difference(seals, whole[:1]))  # pyright: ignore[reportArgumentType]
    changed = [whole[0], stored(Numbers(np.nextafter(np.ones(2), 2)))]
    assert "Counting is not the one" in str(kept.difference(seals, changed))  # pyright: ignore[reportArgumentType]


WRITES = """
import json, sys
import numpy as np
values, loaded, effects = json.loads(sys.argv[1])
about = np.array(json.dumps([values, loaded]))
np.savez(sys.argv[-1], about, **{"result.effects": np.array(effects)})
"""
SAME = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.parametrize(
    ("code", "given", "said"),
    [
        (WRITES, [{"name": "head 3"}, [], SAME], ""),
        (WRITES, [{"name": "head 3"}, [], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.1]]], "effects of"),
        (WRITES, [{"name": "head 4"}, [], SAME], "name of Counting differs"),
        (WRITES, [{"name": "head 3"}, ["PySide6"], SAME], "imported PySide6"),
        ("import sys; sys.exit('no lamp')", [], "ended with 1: no lamp"),
        ("", [], "ended with 0: it said nothing"),
    ],
)
def test_a_script_that_fails_or_differs_is_a_problem(
    attempt, monkeypatch, counting, code, given, said
):
    one = attempt(seconds=20.0)
    monkeypatch.setattr(outside, "to_script", lambda run: "")
    command = [sys.executable, "-c", code, json.dumps(given)]
    walk.take(one, "script", lambda one: outside.run_script(one, stored(Numbers()), command))  # pyright: ignore[reportArgumentType]
    assert bool(one.problems) == bool(said)
    assert said in " ".join(one.problems)


def test_a_script_that_hangs_or_a_program_that_is_not_there_is_told(attempt):
    one = attempt(seconds=0.1)
    sleeps = [sys.executable, "-c", "import time; time.sleep(9)"]
    one.attempt("slow", lambda: outside.execute(sleeps, one))
    one.attempt("gone", lambda: outside.execute([str(one.home / "gone")], one))
    assert "did not end in 0 s" in one.problems[0]
    assert "could not be started: No such file" in one.problems[1]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"", "empty"),
        ("a.png", b"no picture", "no picture"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', "no text"),
        ("a.pdf", b"%PDF-1.4 and then nothing", "no whole page"),
        ("a.csv", b"effects\n", "no rows"),
        ("a.gif", b"GIF89a", "nobody knows"),
    ],
)
def test_a_figure_that_cannot_be_read_again_is_a_problem(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in outside.unreadable(tmp_path / name, Numbers())


def test_exported_arrays_must_be_those_of_the_picture(tmp_path):
    for effects, fine in ((Numbers().effects, True), (np.zeros((2, 3)), False)):
        np.savez(tmp_path / "a.npz", effects=effects)
        assert (outside.unreadable(tmp_path / "a.npz", Numbers()) == "") is fine


def test_a_run_goes_through_a_session_a_script_and_every_figure(reading, tmp_path):
    one = Trial(reading, tmp_path)
    panel = reading.panel(OF_A_MODEL[0])
    wanted = [("techniques", lambda one: panels.run_panel(one, panel) or "run")]
    assert walk.go(one, [*wanted, *walk.parts()[3:]]) == 0, one.problems
    assert sorted(file.suffix for file in tmp_path.glob("figure.*")) == sorted(
        f".{suffix}" for suffix in ("png", "svg", "pdf", "csv", "npz")
    )


# faults, time, words, and a home of its own


def test_a_fault_in_a_timer_fails_the_self_test(qtbot, attempt, capsys):
    one = attempt()
    hooks = Hooks(lambda error: None)

    def part(one):
        QTimer.singleShot(0, lambda: 1 / 0)
        turns = iter(range(5))
        one.wait(lambda: next(turns, None) is None, "the timer")
        return "all is well"

    try:
        assert walk.go(one, [("clock", part)]) == 1
    finally:
        hooks.remove()
    assert one.problems == ["clock: a fault was logged: ZeroDivisionError: division by zero"]
    said = capsys.readouterr().err
    assert "clock: not in order" in said
    assert "self-test failed: 1 problem, " in said


def test_what_qt_complains_about_is_a_fault(attempt):
    one = attempt()
    with trial.Faults(one):
        trial.logging.getLogger("mechanoscope").warning("Qt: %s", "a timer of another thread")
    trial.logging.getLogger("mechanoscope").warning("Qt: after it")
    assert one.problems == ["start: a fault was logged: Qt: a timer of another thread"]


def test_a_part_that_breaks_is_told_and_the_next_one_is_taken(attempt, capsys):
    one = attempt()
    assert walk.go(one, [("first", lambda one: {}["lamp"]), ("second", lambda one: "fine")]) == 1
    said = capsys.readouterr().err
    assert "problem in first: it ended early: KeyError: 'lamp'" in said
    assert "Traceback" in said
    assert "second: fine; 0.0 s" in said


def test_what_does_not_come_back_from_waiting_is_ended_by_force(attempt, capfd):
    one, left = attempt(), []
    one.part, one.home = "sweep", one.home / "own"
    one.home.mkdir()
    dog = Watchdog(one, seconds=0.02, leave=left.append)
    with dog:
        dog._worker.join(3.0)
    assert left == [1]
    assert "problem in sweep: after 0 s it is still not over" in capfd.readouterr().err
    assert not one.home.exists()


def test_it_speaks_to_any_terminal_or_to_none(monkeypatch, capsys):
    trial.say("Größe \u2192 7")
    assert capsys.readouterr().err == "mechanoscope: Größe \u2192 7\n"
    written: list[str] = []
    narrow = SimpleNamespace(encoding="ascii", write=written.append, flush=lambda: None)
    monkeypatch.setattr(sys, "stderr", narrow)
    trial.say("\u2192")
    assert written == ["mechanoscope: \\u2192\n"]
    monkeypatch.setattr(sys, "stderr", None)
    trial.say("nobody hears it")


def test_it_has_a_home_of_its_own_and_gives_the_users_back(home):
    def places():
        data = platformdirs.user_data_dir("mechanoscope")
        return [Path(place) for place in (settings.settings().fileName(), log_file(), data)]

    before, environment = places(), dict(os.environ)
    with apart() as own:
        assert all(place.is_relative_to(own) for place in places())
        assert not own.is_relative_to(home)
    assert places() == before
    assert dict(os.environ) == environment
    assert not own.exists()


@pytest.mark.hard
def test_the_whole_self_test_passes_and_leaves_the_users_home_as_it_was(project, home):
    command = [sys.executable, "-m", "gui", "--self-test"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert "self-test passed" in done.stderr
    left = [path for path in home.rglob("*") if path.is_file() and "fontconfig" not in path.parts]
    assert left == []
