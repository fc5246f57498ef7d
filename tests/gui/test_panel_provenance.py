"""Where a picture comes from, told on a card, with a technique that only counts."""

import json
from dataclasses import replace
from types import SimpleNamespace

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from tests.gui.panel_kit import FakeRecords, card, finish, long, press


def test_a_running_picture_tells_where_it_comes_from(qtbot, panel):
    assert panel.provenance() == {}
    long(panel)
    press(qtbot, panel)
    qtbot.waitUntil(lambda: bool(panel.drawn_counts), timeout=3000)
    about = panel.provenance()
    assert about["status"] == "running"
    assert about["spec"]["steps_wanted"] == 1_000_000_000
    panel.show_provenance()
    assert dict(card(panel).rows)["Status"] == "running"
    panel.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert dict(card(panel).rows)["Status"] != "running"
    panel.show_provenance()
    assert card(panel) is None


def test_where_it_comes_from_is_copied_as_text_and_as_data(qtbot, panel):
    finish(qtbot, panel)
    panel.show_provenance()
    shown = card(panel)
    shown.copy()
    assert "Counting" in QGuiApplication.clipboard().text()
    shown.copy_json()
    assert json.loads(QGuiApplication.clipboard().text())["spec"]["kind"] == "Counting"
    shown.end()


def test_a_note_written_on_the_card_goes_to_the_session(qtbot, panel):
    records, asked = FakeRecords(), []
    panel.watch_records(records)
    panel.desk.asked.connect(lambda what, about: asked.append((what, about)))
    run = finish(qtbot, panel)
    records.line = SimpleNamespace(run=run, state="saved", note="", id=1)
    panel.show_provenance()
    shown = card(panel)
    qtbot.keyClicks(shown.note, "the clean one")
    qtbot.keyClick(shown.note, Qt.Key.Key_Return)
    assert asked == [("note", (records.line, "the clean one"))]
    shown.end()


def test_a_note_of_two_lines_is_shown_and_kept_as_two(qtbot, panel):
    records, asked = FakeRecords(), []
    panel.watch_records(records)
    panel.desk.asked.connect(lambda what, about: asked.append(about))
    run = finish(qtbot, panel)
    noted = panel.run_shown = replace(run, note="the clean one\nof two")
    records.line = SimpleNamespace(run=noted, state="saved", note="", id=1)
    panel.show_provenance()
    shown = card(panel)
    assert shown.note.toPlainText() == "the clean one\nof two"
    assert shown.note.height() > 2 * shown.note.fontMetrics().lineSpacing()
    assert "of two" not in shown.text.toPlainText()  # it is said once
    shown.note.setFocus()
    shown.text.setFocus()
    assert asked == []
    shown.end()


def test_the_rows_of_the_card_are_as_wide_as_what_is_seen(qtbot, panel):
    finish(qtbot, panel)
    panel.resize(420, 300)
    panel.show_provenance()
    shown = card(panel)
    assert shown.text.verticalScrollBar().isVisible()
    assert shown.text.document().textWidth() == shown.text.viewport().width()
    shown.end()


def test_without_a_picture_there_is_no_origin_to_tell(panel):
    panel.show_provenance()
    assert card(panel) is None
    assert "press Run" in panel.message.text.text()


def test_the_card_goes_with_its_panel_and_stays_inside_the_window(qtbot, panel):
    finish(qtbot, panel)
    panel.show_provenance()
    shown = card(panel)
    panel.resize(320, 240)
    qtbot.waitUntil(lambda: panel.rect().contains(shown.geometry()), timeout=1000)
    panel.header.hide()
    assert shown.ended
