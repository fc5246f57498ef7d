"""The list of runs on a real session: what is done in it is in the file."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QLineEdit

from engine.session import Session
from gui.focus import PromptPair
from gui.panels.runs import RunsPanel
from gui.window import Window

LEFT = Qt.MouseButton.LeftButton
FIRST, SECOND = "cat sun tree cat sun", "dog moon ring dog moon"


def panel_of(window, kind):
    return window.panel(kind)


def runs_of(window):
    return window.panel(RunsPanel)


@pytest.fixture
def ran(qtbot, reading):
    """Two runs of the lens, each with its own prompt and Focus, both in the file."""
    lens = panel_of(reading, "LogitLens")
    for prompt, layer in ((FIRST, 0), (SECOND, 1)):
        reading.desk.set_prompts(PromptPair(prompt))
        reading.desk.turn(layer=layer, position=layer + 1)
        lens.run()
        qtbot.waitUntil(lambda: lens.result is not None and not lens.running, timeout=5000)
    saved(qtbot, reading)
    runs_of(reading).unfold()
    return reading


def saved(qtbot, window):
    def still():
        return not window.records.busy and all(entry.id for entry in window.records.entries)

    qtbot.waitUntil(still, timeout=5000)


def test_a_click_brings_back_form_focus_and_picture(qtbot, ran):
    runs, lens = runs_of(ran), panel_of(ran, "LogitLens")
    first = ran.records.entries[0]
    drawn = first.run.result.top_probabilities
    where = runs.table.visualRect(runs.runs.index(1, 0)).center()
    qtbot.mouseClick(runs.table.viewport(), LEFT, pos=where)
    qtbot.waitUntil(lambda: lens.run_shown is not None and lens.run_shown.id == first.id,
                    timeout=5000)  # fmt: skip
    assert ran.desk.prompts.clean == FIRST
    assert (ran.desk.focus.layer, ran.desk.focus.position) == (0, 1)
    assert np.array_equal(lens.result.top_probabilities, drawn)


def test_names_notes_and_the_trash_are_there_when_the_session_is_opened_again(qtbot, ran, tmp_path):
    runs, records = runs_of(ran), ran.records
    runs.table.choose(1)
    runs.rename()
    editor = runs.table.findChild(QLineEdit)
    assert editor is not None
    editor.setText("Cats come back")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: records.entries[0].title == "Cats come back", timeout=2000)
    records.annotate(records.entries[0], "layer 1\nonly")
    runs.table.choose(0)
    qtbot.keyClick(runs.table, Qt.Key.Key_Delete)
    assert len(runs.runs.lines) == 1
    target = tmp_path / "mine.mscope"
    saved(qtbot, ran)
    records.save_as(target)
    qtbot.waitUntil(lambda: records.path == target and not records.busy, timeout=5000)
    records.close()

    other = Window()
    qtbot.addWidget(other)
    other.show()
    other.open_path(target)
    qtbot.waitUntil(lambda: bool(other.records.entries), timeout=5000)
    again = runs_of(other)
    again.unfold()
    assert [line.title for line in again.runs.lines] == ["Cats come back"]
    assert again.runs.lines[0].note == "layer 1\nonly"
    assert again.trash.text().endswith("Deleted 1")
    again.trash.click()
    again.table.choose(0)
    again.restore_button.click()
    assert len(other.records.entries) == 2
    qtbot.waitUntil(lambda: not other.records.busy and not other.jobs.running, timeout=5000)
    other.close()


def test_two_chosen_runs_are_compared_in_their_panel(qtbot, ran):
    runs, lens = runs_of(ran), panel_of(ran, "LogitLens")
    runs.table.choose(0)
    both = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    runs.table.selectionModel().select(runs.runs.index(1, 0), both)
    qtbot.mouseClick(runs.compare_button, LEFT)
    qtbot.waitUntil(lambda: lens.comparison is not None, timeout=5000)
    qtbot.waitUntil(lambda: lens.comparison.found is not None, timeout=5000)
    assert "prompt" in " ".join(pair.name for pair in lens.comparison.found.settings)


def test_compacting_removes_for_good_and_control_z_brings_nothing_back(qtbot, ran):
    runs, records = runs_of(ran), ran.records
    runs.table.choose(0)
    runs.delete()
    saved(qtbot, ran)
    runs.ask_compact()
    runs.message.action.click()
    qtbot.waitUntil(lambda: not records.busy and not records.deleted, timeout=5000)
    runs.undo()
    assert len(records.entries) == 1
    with Session.open(records.path) as session:
        assert len(session.runs()) == 1
        assert session.runs(deleted=True) == []
