"""Arrangements of the window: which panels stand where, and how one comes back to another."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence

from engine.techniques.toy_model import ToyModel
from gui.kinds import reads_model
from gui.settings import read
from gui.window import Window

READ, TOYS, TRAIN, PROBE, FEATURES = "Read a model", "Toy models", "Train", "Probe", "Features"


def panel_of(window, kind):
    return window.panel(kind)


def visible(window):
    """Titles of the docks that are not hidden, tabs behind others included."""
    host = window.host
    return {kind.title for kind in window.kinds if not host.dock_of(kind).isHidden()}


def boxes(window):
    """Where the panels stand; Qt keeps those behind a tab far outside."""
    docks = {kind.title: window.host.dock_of(kind) for kind in window.kinds}
    seen = {title: dock.geometry() for title, dock in docks.items() if dock.isVisible()}
    return {title: box for title, box in seen.items() if box.left() >= 0}


def settle(qtbot, window):
    """Until no dock moves any more."""
    seen = []

    def still():
        seen.append(boxes(window))
        return len(seen) > 3 and seen[-1] == seen[-3]

    qtbot.waitUntil(still, timeout=3000)


def press(qtbot, window, name):
    qtbot.mouseClick(window.top.segments.buttons[name], Qt.MouseButton.LeftButton)
    settle(qtbot, window)


def test_the_bar_offers_the_arrangements_that_have_panels_and_none_on_the_first_page(window):
    buttons = window.top.segments.buttons
    assert list(buttons) == [READ, TOYS, TRAIN, PROBE, FEATURES]
    assert not any(button.isChecked() for button in buttons.values())
    keys = {action.text(): action.shortcut() for action in window.actions()}
    assert keys[READ] == QKeySequence("Alt+1")
    assert keys[TOYS] == QKeySequence("Alt+2")
    assert keys[TRAIN] == QKeySequence("Alt+3")


def test_toy_models_hide_what_is_about_reading_and_keep_the_runs(qtbot, window):
    press(qtbot, window, TOYS)
    assert window.pages.currentWidget() is window.host
    assert visible(window) == {
        "Superposition",
        "Phase diagram",
        "Dimensionality",
        "Toy SAE",
        "Runs",
    }
    assert window.top.segments.buttons[TOYS].isChecked()
    assert window.current is panel_of(window, "ToyModel")
    assert panel_of(window, "ToyModel").width() > 0.9 * window.width()


def test_reading_without_a_model_begins_on_the_first_page(qtbot, window):
    press(qtbot, window, TOYS)
    press(qtbot, window, READ)
    assert window.pages.currentWidget() is window.welcome


def test_both_arrangements_come_back_exactly(qtbot, reading):
    settle(qtbot, reading)
    reading.host.outer.resizeDocks(
        [reading.host.dock_of(reading.panels[0])], [380], Qt.Orientation.Horizontal
    )
    reading.host.dock_of(panel_of(reading, "AttentionPatterns")).hide()
    settle(qtbot, reading)
    before = boxes(reading)
    press(qtbot, reading, TOYS)
    reading.reveal(panel_of(reading, "PhaseDiagram"))
    settle(qtbot, reading)
    toys = boxes(reading)
    press(qtbot, reading, READ)
    assert boxes(reading) == before
    press(qtbot, reading, TOYS)
    assert boxes(reading) == toys


def test_an_arrangement_that_was_changed_is_remembered(qtbot, reading):
    settle(qtbot, reading)
    reading.host.dock_of(panel_of(reading, "AttentionPatterns")).hide()
    press(qtbot, reading, TOYS)
    reading.host.dock_of(panel_of(reading, "PhaseDiagram")).hide()
    reading.close()
    assert read("window/arrangement", "") == TOYS
    other = Window()
    qtbot.addWidget(other)
    other.show()
    assert other.pages.currentWidget() is other.welcome
    other.turn_to(TOYS)
    settle(qtbot, other)
    assert "Phase diagram" not in visible(other)
    assert "Superposition" in visible(other)
    other.turn_to(READ)
    assert "Heads" not in visible(other)
    assert "Logit lens" in visible(other)
    other.close()


@pytest.mark.parametrize("kind", ["PhaseDiagram", "LogitLens"])
def test_revealing_a_panel_turns_to_its_arrangement(qtbot, reading, kind):
    press(qtbot, reading, TOYS if kind == "LogitLens" else READ)
    panel = panel_of(reading, kind)
    reading.reveal(panel)
    assert reading.host.arrangement == panel.arrangement
    assert panel.isVisible()
    assert reading.current is panel
    assert reading.top.segments.buttons[panel.arrangement].isChecked()


def test_the_list_of_runs_is_in_every_arrangement(qtbot, reading):
    press(qtbot, reading, TOYS)
    runs = next(panel for panel in reading.panels if panel.place == "bottom")
    reading.reveal(runs)
    assert reading.host.arrangement == TOYS


def test_run_all_never_starts_a_training(qtbot, reading):
    press(qtbot, reading, TOYS)
    reading.run_all()
    assert not any(panel.running for panel in reading.panels)


def test_opening_a_model_turns_to_reading_and_does_not_stop_a_training(qtbot, window, bundled):
    press(qtbot, window, TOYS)
    toy = panel_of(window, "ToyModel")
    toy.form.show_spec(ToyModel(n_steps=900_000, batch=512))
    toy.run()
    qtbot.waitUntil(lambda: toy.result is not None, timeout=5000)
    window.open_path(bundled.folder)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=20_000)
    assert window.host.arrangement == READ
    assert toy.running
    window.stop()
    qtbot.waitUntil(lambda: not toy.running, timeout=5000)


@pytest.mark.hard  # four seconds
def test_presentation_gives_both_arrangements_back(qtbot, reading):
    settle(qtbot, reading)
    before = boxes(reading)
    reading.switch_presentation()
    press(qtbot, reading, TOYS)
    assert "Model" not in visible(reading)
    reading.switch_presentation()
    settle(qtbot, reading)
    assert reading.host.arrangement == TOYS
    assert visible(reading) == {
        "Superposition",
        "Phase diagram",
        "Dimensionality",
        "Toy SAE",
        "Runs",
    }
    press(qtbot, reading, READ)
    assert boxes(reading).keys() == before.keys()


def test_a_session_of_toy_runs_alone_opens_in_their_arrangement(qtbot, window, tmp_path):
    press(qtbot, window, TOYS)
    toy = panel_of(window, "ToyModel")
    toy.form.show_spec(ToyModel(n_steps=200, batch=16))
    toy.run()
    qtbot.waitUntil(lambda: not toy.running and bool(window.records.entries), timeout=8000)
    qtbot.waitUntil(lambda: all(entry.id for entry in window.records.entries), timeout=5000)
    target = tmp_path / "toys.mscope"
    window.records.save_as(target)
    qtbot.waitUntil(lambda: window.records.path == target, timeout=5000)
    window.turn_to(READ)
    window.close()
    other = Window()
    qtbot.addWidget(other)
    other.show()
    other.open_path(target)
    shown = panel_of(other, "ToyModel")
    qtbot.waitUntil(lambda: shown.result is not None, timeout=8000)
    assert other.pages.currentWidget() is other.host
    assert other.host.arrangement == TOYS
    assert shown.isVisible()
    other.close()


def test_every_panel_that_trains_stands_apart_from_reading(window):
    alone = [kind for kind in window.kinds if kind.kind and not reads_model(kind)]
    assert {kind.arrangement for kind in alone} == {TOYS, TRAIN, PROBE}
    assert len(alone) == 6


def test_a_checkpoint_opens_beside_the_training_and_is_read_when_one_turns_to_it(
    qtbot, window, bundled
):
    press(qtbot, window, TRAIN)
    window.desk.ask("open beside", bundled.folder)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)
    assert window.host.arrangement == TRAIN
    window.desk.ask("turn to", READ)
    assert window.host.arrangement == READ
    assert window.pages.currentWidget() is window.host
