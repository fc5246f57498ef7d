"""The first page: what is ready to read, a question that answers itself, a place to drop."""

import pytest
from PySide6.QtCore import Qt

from gui import library
from gui.kinds import reads_model
from gui.library import Found, short_count
from gui.memory import size
from gui.tiles import Row
from gui.welcome import machine


@pytest.fixture
def plain_tiles():
    """With their pictures."""


def rows(window):
    return window.welcome.findChildren(Row)


def test_the_bundled_model_is_listed_and_a_click_opens_it(qtbot, window):
    qtbot.waitUntil(lambda: bool(rows(window)), timeout=5000)
    qtbot.mouseClick(rows(window)[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)
    assert window.pages.currentWidget() is window.host


def test_a_question_opens_the_bundled_model_and_runs_its_panel(qtbot, window):
    kind, tile = next(iter(window.welcome.tiles.items()))
    qtbot.mouseClick(tile, Qt.MouseButton.LeftButton)
    panel = window.panel(kind)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert panel.isVisible()
    everyone = [panel for panel in window.panels if reads_model(panel)]
    qtbot.waitUntil(lambda: all(panel.result is not None for panel in everyone), timeout=5000)
    assert window.current is panel


def test_a_question_while_another_model_is_open_turns_to_its_own_and_runs(qtbot, reading):
    before = reading.desk.model
    reading.show_welcome()
    kind, tile = next(iter(reading.welcome.tiles.items()))
    qtbot.mouseClick(tile, Qt.MouseButton.LeftButton)
    panel = reading.panel(kind)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert reading.desk.model is not before
    assert reading.desk.model.folder == library.bundled()[0]


def test_a_question_about_the_model_that_is_open_runs_at_once(qtbot, window):
    reading, folder = window, library.bundled()[0]
    reading.open_path(folder)
    qtbot.waitUntil(lambda: reading.desk.model is not None, timeout=5000)
    reading.show_welcome()
    kind, tile = list(reading.welcome.tiles.items())[1]
    qtbot.mouseClick(tile, Qt.MouseButton.LeftButton)
    panel = reading.panel(kind)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert reading.pages.currentWidget() is reading.host


def test_a_question_that_needs_no_model_trains_one_at_once(qtbot, window):
    kind, tile = next(iter(window.welcome.live.items()))
    qtbot.waitUntil(lambda: not tile.picture.pixmap.isNull(), timeout=10_000)
    qtbot.mouseClick(tile, Qt.MouseButton.LeftButton)
    panel = window.panel(kind)
    assert panel.running
    assert panel.isVisible()
    assert window.pages.currentWidget() is window.host
    assert window.desk.model is None
    qtbot.waitUntil(lambda: panel.result is not None, timeout=5000)
    window.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    window.desk.models_changed.emit()
    assert window.pages.currentWidget() is window.host  # it needs no model to stay


def test_a_question_can_be_asked_by_keyboard(qtbot, window):
    tile = list(window.welcome.tiles.values())[-1]
    tile.setFocus()
    qtbot.keyClick(tile, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)


def test_every_tile_shows_the_real_panel(qtbot, window):
    tiles = window.welcome.tiles.values()
    assert len(tiles) == 3
    drawn = lambda: all(not tile.picture.pixmap.isNull() for tile in tiles)  # noqa: E731
    qtbot.waitUntil(drawn, timeout=10_000)
    assert window.desk.model is None


def test_models_are_found_once_bundled_first(tmp_path, bundled):
    from gui.settings import remember

    remember("recent/models", str(bundled.folder))
    remember("recent/models", str(tmp_path))
    found = library.scan(lambda: None, lambda done, total: None)
    assert [entry.folder for entry in found].count(bundled.folder) == 1
    assert found[0].origin == "bundled"
    assert isinstance(found[0], Found)


def test_a_drag_lights_the_place_to_drop(window):
    window.welcome.show_drop(True)
    assert window.welcome.drop.property("drop") == "over"
    window.welcome.show_drop(False)


@pytest.mark.parametrize(
    ("number", "text"), [(124e6, "124 M"), (7.1e6, "7.1 M"), (768, "768"), (1.5e9, "1.5 B")]
)
def test_counts_have_two_or_three_figures(number, text):
    assert short_count(number) == text


@pytest.mark.parametrize(
    ("nbytes", "text"), [(548e6, "548 MB"), (6.9e6, "6.9 MB"), (4e5, "0.4 MB"), (7.7e9, "7.7 GB")]
)
def test_sizes_are_short(nbytes, text):
    assert size(nbytes) == text


def test_this_machine_is_described():
    assert "cores" in machine()
