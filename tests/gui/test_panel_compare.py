"""Two runs side by side: numbers, curves, grids and token ids, and where they are looked at."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel

from engine import technique
from engine.technique import Technique, Update, array, param
from gui.focus import Focus, Opened
from gui.panel import Panel
from tests.gui.panel_kit import finish, press


def test_only_runs_that_can_be_compared_are(qtbot, panel):
    stored = finish(qtbot, panel)
    panel.compare(replace(stored, result=None))
    assert "not kept" in panel.message.text.text()
    assert panel.comparison is None
    panel.clear()
    panel.compare(stored)
    assert "press Run" in panel.message.text.text()


def test_a_new_run_ends_a_comparison(qtbot, panel):
    stored = finish(qtbot, panel)
    panel.compare(stored)
    assert panel.comparison is not None
    press(qtbot, panel)
    assert panel.comparison is None
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


def test_the_form_makes_room_for_a_comparison(qtbot, panel):
    stored = finish(qtbot, panel)
    panel.header.form_button.setChecked(True)
    panel.compare(stored)
    assert not panel.form.isVisible()
    panel.compare(None)
    assert panel.form.isVisible()


def test_numbers_of_two_runs_are_compared_in_words(qtbot, panel):
    stored = finish(qtbot, panel)
    panel.form.entries["steps_wanted"].control.setValue(7)
    other = finish(qtbot, panel)
    panel.show_run(stored)
    panel.compare(other)
    assert panel.comparison.settings.heading.text() == "One setting differs."
    row = panel.comparison.settings.rows[0]
    assert (row.name, row.a, row.b) == ("steps_wanted", "5", "7")
    assert "B − A: +2" in panel.comparison.difference.words.text()
    panel.compare(None)


@pytest.fixture
def arrays(qtbot, desk, jobs, fake_model):
    """A panel of a technique with one array of each sort, of a length that can be set."""

    @dataclass(frozen=True)
    class ArraysResult:
        tokens: np.ndarray = array("pos", "what was read")
        curve: np.ndarray = array("pos", "surprise, in nats")
        stream: np.ndarray = array("layer head query key", "four axes")
        top_ids: np.ndarray = array("layer pos k", "likeliest")
        name: str = array("", "a text")

    @dataclass(frozen=True, kw_only=True)
    class Arrays(Technique):
        Result = ArraysResult
        title = "Arrays"
        n: int = param(3, "how long", low=1, high=6)
        lift: float = param(0.0, "added to all", low=-9.0, high=9.0)

        def steps(self, model):
            n, rng = self.n, np.random.default_rng(1)
            stream = rng.random((3, 2, n, n)) + self.lift * np.eye(n)  # [layer, head, query, key]
            ids = np.arange(3 * n * 2).reshape(3, n, 2) % (7 if self.lift else 8)  # [layer, pos, k]
            curve = np.where(np.arange(n) == n - 1, np.nan, np.arange(n) + self.lift)  # [pos]
            result = ArraysResult(np.arange(n), curve, stream, ids, f"lift {self.lift}")
            yield Update(1, 1, lambda: result)

    class ArraysPanel(Panel):
        kind = "Arrays"
        title = "Arrays"
        empty = "Here arrays will be."

        def build(self):
            return QLabel()

    desk.put_model(Opened(fake_model.folder, None, fake_model))
    made = ArraysPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(640, 420)
    made.show()
    yield made
    technique._KINDS.pop("Arrays")


def compared(qtbot, panel, **changes):
    """The panel's run against one with other settings."""
    stored = finish(qtbot, panel)
    for name, value in changes.items():
        panel.form.entries[name].value = value
    other = finish(qtbot, panel)
    panel.show_run(stored)
    panel.compare(other)
    return panel.comparison


def choose(shown, name):
    index = [pair.name for pair in shown.found.arrays].index(name)
    shown.array.setCurrentIndex(index)
    shown.array.activated.emit(index)


def test_every_sort_of_array_has_its_own_difference(qtbot, arrays):
    shown = compared(qtbot, arrays, lift=2.0)
    view = shown.difference
    assert shown.pair.name == "stream"  # the first with places along two axes
    assert [combo.isVisible() for combo in shown.indices] == [True, True, False]
    assert view.map.scale == "diverging"
    assert view.map.limits == pytest.approx((-2.0, 2.0))
    assert view.map.col_labels == ["<bos>", " the", " cat"]
    assert [shown.indices[0].itemText(i) for i in range(3)] == ["embed", "layer 0", "layer 1"]
    assert "largest difference +2.000 at embed, head 0, query 0 <bos>" in shown.said.text()
    choose(shown, "curve")
    assert view.curves.isVisible()
    assert view.curves.names[0].startswith("A: Arrays")
    assert "+2.000 nats" in shown.said.text()
    choose(shown, "top_ids")
    assert view.map.text[1][2] == "·cat / ·dog"
    assert "differ" in shown.said.text()
    choose(shown, "name")
    assert view.words.text() == "A: lift 0.0\nB: lift 2.0"
    choose(shown, "tokens")
    assert "the same bits" in shown.said.text()
    arrays.compare(None)


def test_where_nothing_can_be_subtracted_both_pictures_are_shown(qtbot, arrays):
    shown = compared(qtbot, arrays, n=4)
    shown.show_mode("difference")
    for pair in shown.found.arrays:
        object.__setattr__(pair, "difference", None)
    found = shown.found
    shown.array.clear()
    shown._take(found)
    assert shown.mode == "side"
    arrays.compare(None)


def test_arrays_of_other_shapes_are_told_apart_in_words(qtbot, arrays):
    shown = compared(qtbot, arrays, n=4)
    choose(shown, "stream")
    assert "3 x 2 x 3 x 3 against 3 x 2 x 4 x 4" in shown.difference.words.text()
    arrays.desk.turn(layer=0, head=1, query=3)
    shown.go_to_largest()
    arrays.compare(None)


def test_a_slice_follows_the_focus_and_a_cell_turns_it(qtbot, arrays):
    shown = compared(qtbot, arrays, lift=1.0)
    arrays.desk.turn(layer=1, head=1)
    assert (shown.indices[0].currentIndex(), shown.indices[1].currentIndex()) == (2, 1)
    shown.difference.map.choose(1, 2)
    assert arrays.desk.focus == Focus(layer=1, head=1, query=1, key=2, position=1)
    shown.indices[0].setCurrentIndex(0)
    shown.indices[0].activated.emit(0)
    shown.difference.map.choose(0, 0)
    assert arrays.desk.focus.layer is None  # the embedding is no layer
    arrays.compare(None)


def test_large_runs_are_compared_off_the_window(qtbot, arrays, monkeypatch):
    from gui import comparison

    monkeypatch.setattr(comparison, "AT_ONCE", 0)
    shown = compared(qtbot, arrays, lift=1.0)
    assert shown.found is None
    assert "Comparing" in shown.difference.words.text()
    assert not arrays.grab().isNull()
    qtbot.waitUntil(lambda: shown.found is not None, timeout=3000)
    assert "largest difference" in shown.said.text()
    arrays.compare(None)


def test_a_comparison_may_end_before_it_is_known(qtbot, arrays, monkeypatch):
    from gui import comparison

    monkeypatch.setattr(comparison, "AT_ONCE", 0)
    compared(qtbot, arrays, lift=1.0)
    arrays.compare(None)
    qtbot.waitUntil(lambda: not arrays.jobs.running, timeout=3000)
