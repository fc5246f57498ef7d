"""The window as a user meets it: opening, running, stopping, looking, closing."""

import time

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QFileDialog

from gui import theme
from gui.dialogs import Notice
from gui.kinds import reads_model
from gui.settings import settings
from gui.window import Window


def panel_of(window, kind):
    return window.panel(kind)


def drop(window, path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    event = QDropEvent(QPointF(20, 80), action, data, button, Qt.KeyboardModifier.NoModifier)
    window.dropEvent(event)


def test_it_begins_with_the_welcome_page(window):
    assert window.pages.currentWidget() is window.welcome


def test_a_folder_dropped_on_it_is_opened_checked_and_digested(qtbot, window, bundled):
    drop(window, bundled.folder)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)
    assert window.pages.currentWidget() is window.host
    assert bundled.folder.name in window.windowTitle()
    qtbot.waitUntil(lambda: window.desk.active.check is not None, timeout=10_000)
    assert window.desk.active.check.passed
    qtbot.waitUntil(lambda: not window.desk.model.digest.startswith("header:"), timeout=5000)


def test_a_weight_file_dropped_on_it_opens_its_folder(qtbot, window, bundled):
    drop(window, bundled.folder / "model.safetensors")
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)


def test_a_table_of_prompts_is_read_wherever_it_is_dropped(qtbot, reading, tmp_path):
    file = tmp_path / "pairs.CSV"
    file.write_text("clean,corrupted\ncat sun,cat dog\n", encoding="utf-8")
    drop(reading, file)
    qtbot.waitUntil(lambda: reading.desk.prompts.corrupted == "cat dog", timeout=5000)


def test_what_cannot_be_opened_is_named_with_a_next_step(qtbot, window, tmp_path):
    drop(window, tmp_path)
    qtbot.waitUntil(lambda: bool(window.findChildren(Notice)), timeout=5000)
    notice = window.findChildren(Notice)[0]
    assert not notice.isModal()
    notice.close()


def test_a_panel_is_made_when_it_is_first_looked_at(qtbot, reading):
    made = {type(panel) for panel in reading.panels}
    behind = [kind for kind in reading.kinds if kind not in made]
    assert behind
    assert all(reading.host.in_sight(panel) or panel is reading.current for panel in reading.panels)
    dock = reading.host.dock_of(next(kind for kind in behind if reading.host.belongs(kind)))
    dock.raise_()
    qtbot.waitUntil(lambda: dock.made is not None, timeout=1000)
    assert dock.made.isVisible()
    assert dock.made in reading.panels
    assert len(reading.panels) == len(made) + 1


def test_a_panel_that_is_made_late_knows_what_lies_on_the_desk(reading):
    reading.desk.turn(layer=1, head=2)
    entries = reading.panel("HeadCircuits").form.entries
    assert (entries["layer"].value, entries["head"].value) == (1, 2)


def test_run_all_fills_every_reading_and_the_session_and_trains_nothing(qtbot, reading):
    reading.run_all()
    panels = [panel for panel in reading.panels if reads_model(panel)]
    own = [kind for kind in reading.kinds if reads_model(kind) and reading.host.belongs(kind)]
    assert [type(panel) for panel in panels] == own
    qtbot.waitUntil(lambda: not any(panel.running for panel in panels), timeout=10_000)
    assert all(panel.result is not None for panel in panels)
    assert len(reading.records.entries) == len(panels)
    qtbot.waitUntil(lambda: all(entry.id for entry in reading.records.entries), timeout=5000)
    assert "saved" in reading.status.session.text()
    assert reading.records.path.is_file()


def test_a_run_of_the_session_comes_back_with_a_click(qtbot, reading):
    panel = panel_of(reading, "LogitLens")
    panel.run()
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    result = panel.result
    panel.clear()
    runs = next(panel for panel in reading.panels if panel.place == "bottom")
    qtbot.mouseClick(runs.buttons[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.result is result, timeout=5000)


def test_a_saved_session_brings_back_model_prompts_and_pictures(qtbot, reading, tmp_path, bundled):
    reading.run_all()
    panels = [panel for panel in reading.panels if reads_model(panel)]
    qtbot.waitUntil(lambda: not any(panel.running for panel in panels), timeout=10_000)
    qtbot.waitUntil(lambda: all(entry.id for entry in reading.records.entries), timeout=5000)
    target = tmp_path / "mine.mscope"
    reading.records.save_as(target)
    qtbot.waitUntil(lambda: reading.records.path == target, timeout=5000)
    other = Window()
    qtbot.addWidget(other)
    other.show()
    other.open_path(target)
    qtbot.waitUntil(lambda: len(other.records.entries) == len(panels), timeout=5000)
    shown = [panel for panel in other.panels if reads_model(panel)]
    qtbot.waitUntil(lambda: all(panel.result is not None for panel in shown), timeout=10_000)
    assert other.desk.model.folder == bundled.folder
    assert other.desk.prompts == reading.desk.prompts
    assert not any(panel.header.note.text() for panel in shown)
    other.close()


def test_focus_turns_every_panel(qtbot, reading):
    reading.desk.turn(layer=1, head=2, position=3, query=3)
    tree = next(panel for panel in reading.panels if hasattr(panel, "tree")).tree
    assert tree.currentItem().data(0, Qt.ItemDataRole.UserRole) == "blocks.1.attn"


def test_closing_while_a_run_goes_on_is_prompt(qtbot, reading, counting):
    from gui.jobs import Job

    job = Job(counting(steps_wanted=1_000_000_000), reading.desk.model)
    reading.jobs.submit(job)
    qtbot.waitUntil(lambda: job.tick is not None, timeout=3000)
    asked = time.perf_counter()
    reading.close()
    assert time.perf_counter() - asked < 0.5
    assert not job.worker.alive


def test_escape_stops_what_runs(qtbot, reading, counting):
    from gui.jobs import Job

    job = reading.jobs.submit(Job(counting(steps_wanted=1_000_000_000), reading.desk.model))
    qtbot.waitUntil(lambda: job.tick is not None, timeout=3000)
    qtbot.waitUntil(lambda: reading.status.stop_button.isVisible(), timeout=3000)
    reading.stop()
    qtbot.waitUntil(lambda: job.done, timeout=3000)


def test_the_theme_switch_dresses_everything_and_is_remembered(qtbot, reading):
    qtbot.mouseClick(reading.top.theme_button, Qt.MouseButton.LeftButton)
    assert theme.current().dark
    reading.grab()
    from gui.looks import theme_from_settings

    assert theme_from_settings().dark
    qtbot.mouseClick(reading.top.theme_button, Qt.MouseButton.LeftButton)
    assert not theme.current().dark


def test_presentation_is_larger_and_comes_back(qtbot, reading):
    size = QApplication.font().pixelSize()
    runs = next(panel for panel in reading.panels if panel.place == "bottom")
    runs.unfold()
    reading.switch_presentation()
    assert QApplication.font().pixelSize() > size
    assert not runs.unfolded
    reading.switch_presentation()
    assert QApplication.font().pixelSize() == size
    assert runs.unfolded


def test_a_low_window_leaves_the_pictures_more_room_than_the_list(qtbot, reading):
    reading.resize(1366, 768)
    runs = next(panel for panel in reading.panels if panel.place == "bottom")
    runs.unfold()
    patching = panel_of(reading, "ActivationPatching")
    qtbot.waitUntil(lambda: patching.height() > runs.height(), timeout=2000)


def test_the_palette_finds_a_command_and_does_it(qtbot, reading):
    reading.show_palette()
    palette = reading.palette_
    palette.line.setText("switch theme")
    assert "Switch theme" in palette.list.currentItem().text()
    qtbot.keyClick(palette.line, Qt.Key.Key_Return)
    assert theme.current().dark
    reading.switch_theme()


def test_the_primary_button_is_where_the_keyboard_is(qtbot, reading):
    for kind in ("LogitLens", "ActivationPatching"):
        reading.reveal(panel_of(reading, kind))
        primary = [p.kind for p in reading.panels if p.header.run_button.property("primary")]
        assert primary == [kind]


def test_no_two_commands_share_their_keys(window):
    keys = [action.shortcut().toString() for action in window.actions()]
    keys = [key for key in keys if key]
    assert len(keys) == len(set(keys))
    assert QKeySequence("Ctrl+R").toString() in keys


def test_file_dialogs_do_not_block(qtbot, window):
    window.ask_model()
    dialogs = window.findChildren(QFileDialog)
    assert len(dialogs) == 1
    dialogs[0].reject()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1600, 1000)])
def test_the_arrangement_fits_and_comes_back(qtbot, reading, width, height):
    reading.resize(width, height)
    reading.host.arrange()
    assert (reading.width(), reading.height()) == (width, height)
    inner = reading.rect()
    for panel in filter(reading.host.belongs, reading.panels):
        dock = reading.host.dock_of(panel)
        reading.host.reveal(panel)  # Qt gives no place to what stands behind another tab
        qtbot.waitUntil(lambda dock=dock: not dock.visibleRegion().isEmpty(), timeout=2000)
        corner = dock.mapTo(reading, dock.rect().bottomRight())
        assert inner.contains(corner), panel.title
    assert reading.host.restore(reading.host.save())


def test_damaged_settings_do_not_stop_the_start(qtbot):
    stored = settings()
    for key in ("geometry", "Read a model/outer", "Read a model/centre", "Toy models/outer"):
        stored.setValue(f"window/{key}", b"nonsense")
    stored.setValue("window/arrangement", "[]")
    stored.setValue("recent/models", "{")
    stored.setValue("theme", "[]")
    made = Window()
    qtbot.addWidget(made)
    made.show()
    assert made.pages.currentWidget() is made.welcome
    made.close()


def test_a_small_screen_shows_both_prompts_as_tokens_without_scrolling(qtbot, reading):
    reading.resize(1366, 768)
    qtbot.wait(50)
    reading.host.share_out()
    qtbot.wait(50)
    prompts = next(panel for panel in reading.panels if panel.title == "Prompts")
    assert len(prompts.strip.chips.clean) == 15
    view = prompts.canvas.viewport()
    low = prompts.strip.mapTo(view, prompts.strip.rect().bottomLeft()).y()
    assert low < view.height()
    for widget in (prompts.example, prompts.bos, prompts.answer, prompts.wrong):
        assert widget.mapTo(view, widget.rect().topRight()).x() < view.width(), widget


def test_the_sides_get_their_room_back_after_a_narrow_window(qtbot, reading):
    from gui.docks import SIDE

    left = reading.host.dock_of(reading.panels[0])
    reading.resize(1000, 700)
    qtbot.wait(50)
    assert left.width() < SIDE
    reading.resize(1600, 1000)
    qtbot.waitUntil(lambda: left.width() == SIDE, timeout=1000)


def test_the_guide_closes_with_escape_and_uses_no_face_that_is_not_there(qtbot, window):
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QFont, QKeyEvent
    from shiboken6 import isValid

    window.show_guide()
    guide = window.guide
    block, weights = guide.document().begin(), set()
    while block.isValid():
        parts = block.begin()
        while not parts.atEnd():
            weights.add(parts.fragment().charFormat().fontWeight())
            parts += 1
        block = block.next()
    assert max(weights) <= QFont.Weight.DemiBold
    escape = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    guide.event(escape)  # sent, it would be the main window's Stop: offscreen that stays active
    assert not isValid(guide) or not guide.isVisible()
