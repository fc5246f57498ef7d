"""A run that goes on can be held, stepped, begun anew and acted on, from its panel."""

import pytest
from PySide6.QtCore import Qt

from tests.gui.panel_kit import long, press


@pytest.fixture
def going(qtbot, panel):
    """A long run that has drawn something."""
    long(panel)
    press(qtbot, panel)
    qtbot.waitUntil(lambda: panel.result is not None, timeout=3000)
    yield panel
    panel.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


def speed(panel):
    return panel.job.tick.metrics["speed"]


def test_a_live_run_has_pause_step_and_restart_beside_stop(qtbot, panel, going):
    header = going.header
    going.resize(900, 320)
    least = going.minimumSizeHint()
    assert all(button.isVisible() for button in header.live)
    qtbot.mouseClick(header.pause_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: going.job.worker.state == "paused", timeout=3000)
    assert header.note.text() == "paused"
    assert "Continue" in header.pause_button.text()
    qtbot.wait(80)
    stood = going.result.count
    qtbot.mouseClick(header.step_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: going.result.count == stood + 1, timeout=3000)
    qtbot.mouseClick(header.pause_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: going.result.count > stood + 1, timeout=3000)
    assert header.note.text() == ""
    first = going.job
    qtbot.mouseClick(header.restart_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: going.job is not first and going.running, timeout=3000)
    assert first.state == "cancelled"
    going.stop()
    qtbot.waitUntil(lambda: not going.running, timeout=3000)
    assert not any(button.isVisible() for button in header.live)
    assert going.minimumSizeHint() == least  # a run pushes nobody aside


def test_a_narrow_header_keeps_pause_and_step_as_signs(going):
    going.resize(440, 320)
    going.grab()
    header = going.header
    assert header.pause_button.isVisible()
    assert header.pause_button.text() == ""
    assert header.pause_button.accessibleName() == "Pause"
    assert not header.restart_button.isVisible()


def test_space_pauses_and_goes_on_and_leaves_buttons_and_fields_alone(qtbot, going):
    going.setFocus()
    qtbot.keyClick(going, Qt.Key.Key_Space)
    assert going.job.state == "paused"
    qtbot.keyClick(going.form.entries["speed"].control.track, Qt.Key.Key_Space)
    assert going.job.state == "running"
    qtbot.keyClick(going.form.entries["note"].control, Qt.Key.Key_Space)
    assert going.job.state == "running"


def test_a_slider_acts_at_once_and_back_to_the_first_value_too(qtbot, going):
    control = going.form.entries["speed"].control
    first = control.value()
    for value in (0.5, first, 0.5):
        control.setValue(value)
        qtbot.waitUntil(lambda value=value: speed(going) == value, timeout=3000)
    assert [change["speed"] for _, change in going.job.worker.changes] == [0.5, first, 0.5]
    assert going.header.note.text() == ""


def test_live_changes_alone_do_not_make_a_picture_stale(qtbot, going):
    going.form.entries["speed"].control.setValue(0.5)
    qtbot.waitUntil(lambda: speed(going) == 0.5, timeout=3000)
    going.stop()
    qtbot.waitUntil(lambda: not going.running, timeout=3000)
    assert going.header.note.text() == ""
    going.form.entries["speed"].control.setValue(0.75)
    assert going.header.note.text() == "for earlier settings"
    from engine.session import Run

    made = Run.of(going.job.worker, going.result)
    going.clear()
    going.show_run(made)
    assert going.form.entries["speed"].value == 0.5
    assert going.header.note.text() == ""
