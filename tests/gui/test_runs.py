"""The history of a session: what it lists, how it is searched, what one does to its runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QLineEdit

from engine import technique
from gui import provenance
from gui.note_pad import NotePad
from gui.panels.runs import RunsPanel
from gui.run_actions import arrays, notebook, pair_of
from gui.runs_table import MODEL, NOTE, PROMPT, SETTINGS, TITLE, TOOK
from gui.settings import read
from tests.gui.fake_session import FakeRecords, made, unreadable

LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def some():
    return FakeRecords(
        [
            made(1),
            made(2, "ActivationPatching"),
            unreadable(3),
            made(4, model="gpt2", note="the third head\nis odd", title="Where it turns"),
            made(5, status="failed", error="the prompt is empty"),
        ]
    )


@pytest.fixture
def open_runs(qtbot, desk, jobs):
    def build(records, width=1300):
        panel = RunsPanel(desk, jobs)
        qtbot.addWidget(panel)
        panel.resize(width, panel.height())
        panel.watch_records(records)
        panel.show()
        panel.unfold()
        QAbstractItemModelTester(
            panel.runs, QAbstractItemModelTester.FailureReportingMode.Fatal, panel
        )
        return panel

    return build


def titles(panel):
    return [line.title for line in panel.runs.lines]


def cell(panel, row, column):
    return panel.runs.index(row, column).data()


def click(qtbot, panel, row, held=Qt.KeyboardModifier.NoModifier):
    where = panel.table.visualRect(panel.runs.index(row, 0)).center()
    qtbot.mouseClick(panel.table.viewport(), LEFT, held, where)


def test_folded_it_is_one_bar_with_the_newest_runs_by_title(qtbot, desk, jobs, some):
    panel = RunsPanel(desk, jobs)
    qtbot.addWidget(panel)
    panel.resize(1300, panel.height())
    panel.watch_records(some)
    panel.show()
    assert panel.height() <= 39
    assert "failed after 50 ms" in panel.buttons[0].text()
    assert "Where it turns" in panel.buttons[1].text()
    assert "unreadable" in panel.buttons[2].text()
    assert panel.count.text() == "5"
    assert panel.size_.text() == "1.2 MB"
    asked = []
    desk.asked.connect(lambda what, about: asked.append((what, about)))
    qtbot.mouseClick(panel.buttons[1], LEFT)
    assert asked == [("show run", some.entries[3])]


def test_a_narrow_bar_shows_as_many_buttons_as_fit_and_cuts_none(qtbot, desk, jobs, some):
    panel = RunsPanel(desk, jobs)
    qtbot.addWidget(panel)
    panel.watch_records(some)
    panel.resize(700, panel.height())
    panel.show()
    shown = [button for button in panel.buttons if button.isVisible()]
    assert 0 < len(shown) < 5
    assert all(button.geometry().right() < panel.recent.width() for button in shown)


def test_an_empty_history_says_what_will_be_there(open_runs):
    panel = open_runs(FakeRecords())
    assert panel.nothing.isVisible()
    assert "kept here" in panel.nothing.text()


def test_every_run_says_what_it_was(open_runs, some):
    panel = open_runs(some)
    assert titles(panel)[1:4] == ["Where it turns", "LogitLens", "Activation patching"]
    assert cell(panel, 1, MODEL) == "gpt2"
    assert cell(panel, 1, PROMPT) == "cat sun tree"
    assert cell(panel, 1, NOTE) == "the third head"
    assert cell(panel, 1, TOOK) == "40 ms"
    assert cell(panel, 3, PROMPT) == "dog moon ring"
    assert cell(panel, 3, SETTINGS) == "component z"
    assert cell(panel, 0, NOTE) == "the prompt is empty"
    assert cell(panel, 2, MODEL) == "its arrays do not have the digest that was stored"


def test_the_search_looks_in_titles_notes_prompts_models_and_errors(qtbot, open_runs, some):
    panel = open_runs(some)
    for words, found in (
        ("TURNS", ["Where it turns"]), ("odd head", ["Where it turns"]),
        ("coat", ["Activation patching"]), ("gpt2", ["Where it turns"]),
        ("empty", ["Logit lens"]), ("digest", ["LogitLens"]), ("nobody", []),
    ):  # fmt: skip
        panel.search.setText(words)
        assert titles(panel) == found
        assert panel.found.text() == f"{len(found)} of 5 runs"
    assert panel.nothing.isVisible()
    qtbot.keyClick(panel.search, Qt.Key.Key_Escape)
    assert len(panel.runs.lines) == 5
    assert panel.found.text() == ""


def test_boxes_narrow_by_kind_and_by_model(open_runs, some):
    panel = open_runs(some)
    panel.kind_box.setCurrentIndex(panel.kind_box.findData("Activation patching"))
    assert titles(panel) == ["Activation patching"]
    panel.kind_box.setCurrentIndex(0)
    panel.model_box.setCurrentIndex(panel.model_box.findData("gpt2"))
    assert titles(panel) == ["Where it turns"]


def test_columns_sort_numbers_as_numbers_and_nothing_comes_last(open_runs):
    records = FakeRecords([made(1, seconds=9.0), made(2, seconds=80.0), made(3, seconds=0.01)])
    panel = open_runs(records)
    panel.table.sortByColumn(TOOK, Qt.SortOrder.AscendingOrder)
    assert [cell(panel, row, TOOK) for row in range(3)] == ["10 ms", "9.00 s", "1 min 20 s"]
    records.annotate(records.all[1], "a note")
    panel.table.sortByColumn(NOTE, Qt.SortOrder.AscendingOrder)
    assert [cell(panel, row, NOTE) for row in range(3)] == ["a note", "", ""]
    panel.table.sortByColumn(NOTE, Qt.SortOrder.DescendingOrder)
    assert cell(panel, 0, NOTE) == "a note"


def test_a_click_or_enter_shows_a_run_and_the_list_keeps_the_keyboard(qtbot, open_runs, some):
    panel = open_runs(some)
    panel.activateWindow()
    qtbot.waitUntil(panel.isActiveWindow, timeout=2000)
    asked = []
    panel.desk.asked.connect(lambda what, about: asked.append((what, about.id)))
    click(qtbot, panel, 1)
    assert asked == [("show run", 4)]
    panel.search.setFocus()  # as the window does when it turns to the panel that shows the run
    some.loaded.emit(some.all[3].run)
    assert panel.table.hasFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_Up)
    qtbot.keyClick(panel.table, Qt.Key.Key_Return)
    assert asked[-1] == ("show run", 5)


def test_an_unreadable_run_says_why_and_keeps_nobody_from_the_others(qtbot, open_runs, some):
    panel = open_runs(some)
    asked = []
    panel.desk.asked.connect(lambda what, about: asked.append(what))
    click(qtbot, panel, 2)
    assert asked == []
    assert "digest" in panel.message.text.text()
    click(qtbot, panel, 1)
    assert asked == ["show run"]


def test_two_runs_of_one_kind_can_be_compared_the_older_first(qtbot, open_runs, some):
    panel = open_runs(some)
    asked = []
    panel.desk.asked.connect(lambda what, about: asked.append((what, about)))
    panel.table.choose(0)
    assert not panel.compare_button.isEnabled()
    click(qtbot, panel, 1, CTRL)
    qtbot.mouseClick(panel.compare_button, LEFT)
    assert asked == [("compare", (some.all[3], some.all[4]))]
    click(qtbot, panel, 3, CTRL)
    assert not panel.compare_button.isEnabled()
    assert pair_of([some.all[0], some.all[1]]) is None
    assert pair_of([some.all[0], some.all[2]]) is None


def test_f2_renames_in_place_and_a_run_that_ends_meanwhile_takes_nothing_away(
    qtbot, open_runs, some
):
    panel = open_runs(some)
    panel.table.choose(1)
    qtbot.keyClick(panel.table, Qt.Key.Key_F2)
    editor = panel.table.findChild(QLineEdit)
    editor.setText("The turn")
    some.add(made(6))
    assert editor.text() == "The turn"
    assert editor.isVisible()
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "The turn" in titles(panel), timeout=2000)
    assert len(panel.runs.lines) == 6
    assert panel.table.entries()[0].title == "The turn"


def test_a_note_is_saved_with_control_enter_and_left_with_escape(qtbot, open_runs, some):
    panel = open_runs(some)
    panel.table.choose(1)
    panel.write_note()
    pad = panel.findChild(NotePad)
    assert pad.text.toPlainText() == "the third head\nis odd"
    pad.text.setPlainText("two\nlines")
    qtbot.keyClick(pad.text, Qt.Key.Key_Return, CTRL)
    assert some.all[3].run.note == "two\nlines"
    assert cell(panel, 1, NOTE) == "two"
    panel.write_note()
    pad = next(pad for pad in panel.findChildren(NotePad) if pad.isVisible())
    pad.text.setPlainText("never mind")
    qtbot.keyClick(pad.text, Qt.Key.Key_Escape)
    assert some.all[3].run.note == "two\nlines"


def test_the_note_of_a_run_with_a_long_title_stays_in_the_window(qtbot, open_runs, some):
    panel = open_runs(some, 700)
    some.rename(some.all[3], "a title " * 20)
    panel.table.choose(1)
    panel.write_note()
    pad = panel.findChild(NotePad)
    right = panel.mapToGlobal(panel.rect().topRight()).x()
    assert pad.geometry().right() < right
    qtbot.keyClick(pad.text, Qt.Key.Key_Escape)


def test_deleted_runs_come_back_with_undo_and_from_the_trash(qtbot, open_runs, some):
    panel = open_runs(some)
    panel.table.choose(0)
    click(qtbot, panel, 1, CTRL)
    qtbot.keyClick(panel.table, Qt.Key.Key_Delete)
    assert len(panel.runs.lines) == 3
    panel.undo()
    assert len(panel.runs.lines) == 5

    qtbot.keyClick(panel.table, Qt.Key.Key_Delete)
    panel.table.choose(0)
    qtbot.mouseClick(panel.trash, LEFT)
    assert len(panel.runs.lines) == len(some.deleted) > 0
    panel.table.choose(0)
    assert not panel.compare_button.isVisible()
    for _ in range(len(some.deleted)):
        panel.table.choose(0)
        qtbot.mouseClick(panel.restore_button, LEFT)
    assert not panel.trash.isChecked()
    assert len(panel.runs.lines) == 5


def test_the_trash_is_emptied_only_after_a_second_press(open_runs, some):
    panel = open_runs(some)
    some.delete([some.all[0]])
    panel.trash.click()
    panel.compact_button.click()
    assert len(some.deleted) == 1
    assert "for good" in panel.message.text.text()
    panel.message.action.click()
    assert not some.deleted
    assert not panel.trash.isChecked()
    assert len(panel.runs.lines) == 4


def test_control_h_unfolds_control_f_searches_and_control_z_undoes(qtbot, open_runs, some):
    panel = open_runs(some)
    panel.activateWindow()
    qtbot.waitUntil(panel.isActiveWindow, timeout=2000)
    qtbot.keyClick(panel.table, Qt.Key.Key_F, CTRL)
    assert panel.search.hasFocus()
    panel.table.setFocus()
    some.delete([some.all[0]])
    qtbot.keyClick(panel.table, Qt.Key.Key_Z, CTRL)
    assert not some.deleted
    qtbot.keyClick(panel.table, Qt.Key.Key_H, CTRL)
    assert not panel.unfolded
    assert panel.height() <= 39


def test_the_edge_changes_the_height_by_mouse_and_keys_and_it_is_remembered(qtbot, open_runs, some):
    panel = open_runs(some)
    panel.window().resize(1300, 900)
    before = panel.height()
    qtbot.keyClick(panel.edge, Qt.Key.Key_Up)
    assert read("runs/height", 0) > 0
    higher = panel.height()
    qtbot.mousePress(panel.edge, LEFT, pos=QPoint(50, 3))
    qtbot.mouseMove(panel.edge, QPoint(50, -20))
    qtbot.mouseRelease(panel.edge, LEFT)
    assert panel.height() >= higher >= before


def test_selection_and_place_survive_a_run_that_ends(open_runs):
    records = FakeRecords([made(n) for n in range(1, 200)])
    panel = open_runs(records)
    panel.table.choose(120)
    panel.table.verticalScrollBar().setValue(2000)
    chosen = panel.table.entries()[0]
    records.add(made(200))
    assert [entry.key for entry in panel.table.entries()] == [chosen.key]
    assert panel.table.verticalScrollBar().value() == 2000


def test_the_menu_offers_what_the_choice_allows(open_runs, some):
    panel = open_runs(some)

    def offered(entries, deleted=False):
        menu = panel.actions_.menu(entries, deleted)
        return {a.text().split("\t")[0] for a in menu.actions() if a.isEnabled() and a.text()}

    assert {"Show again", "Rename", "Note…", "Copy as Python"} <= offered([some.all[0]])
    assert offered([some.all[2]]) == {"Delete"}
    assert offered([some.all[0], some.all[3]]) == {"Compare", "Delete"}
    some.delete([some.all[0]])
    assert {"Restore", "Compact session…"} <= offered([some.all[0]], deleted=True)


def test_a_result_that_was_too_large_can_be_kept_while_it_is_in_memory(open_runs, some):
    panel = open_runs(some)
    large = replace(made(8, result=object()), kept=False)
    asked = []
    some.keep_large = asked.append
    menu = panel.actions_.menu([large], False)
    next(action for action in menu.actions() if action.text() == "Keep result").trigger()
    assert asked == [large]
    gone = replace(made(9), kept=False)
    offered = {a.text() for a in panel.actions_.menu([gone], False).actions() if a.isEnabled()}
    assert not {"Keep result", "Export arrays…"} & offered


def test_the_script_of_a_run_is_copied_without_reading_its_result(qtbot, open_runs, some):
    panel = open_runs(some)
    panel.table.choose(1)
    panel.actions_.copy(some.all[3], "script")
    assert "LogitLens(" in QGuiApplication.clipboard().text()
    panel.actions_.copy(some.all[3], "command")
    assert QGuiApplication.clipboard().text().startswith("mechanoscope run LogitLens")
    assert "clipboard" in panel.message.text.text()


def test_where_a_run_comes_from_is_told_on_a_card(open_runs, some):
    panel = open_runs(some)
    panel.resize(1300, 600)
    for entry in (some.all[3], some.all[1]):
        panel.actions_.details(entry)
    card = provenance.card_of(panel)
    assert card is not None
    told = " ".join(f"{name} {value}" for name, value in card.rows)
    assert "Activation patching" in told
    assert "induction-2l" in told


def test_a_run_is_written_as_notebook_and_as_arrays(qtbot, open_runs, some, tmp_path, bundled):
    spec = technique.of("LogitLens")(prompt="cat sun tree")
    result = spec.run(bundled)
    whole = made(7, spec={"prompt": "cat sun tree"}, result=result)
    some.add(whole)
    panel = open_runs(some)
    for name, write in (("a.ipynb", notebook), ("a.npz", arrays), ("a.csv", arrays)):
        path = tmp_path / name
        panel.actions_.write(whole, path, write)
        qtbot.waitUntil(lambda name=name: name in panel.message.text.text(), timeout=5000)
        assert panel.message.text.text() == f"Written to {path}."
        assert path.stat().st_size > 100
    assert json.loads((tmp_path / "a.ipynb").read_text())["nbformat"] == 4
    with np.load(tmp_path / "a.npz") as held:
        assert np.array_equal(held["top_ids"], result.top_ids)
    panel.actions_.write(whole, tmp_path / "nowhere" / "a.npz", arrays)
    qtbot.waitUntil(lambda: "could not be written" in panel.message.text.text(), timeout=5000)


def test_it_paints_in_both_themes_and_every_cell_has_words(qtbot, qapp, open_runs, some):
    from gui import theme

    panel = open_runs(some)
    for tokens in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, tokens)
        assert not panel.grab().isNull()
    for column in range(panel.runs.columnCount()):
        assert panel.runs.headerData(column, Qt.Orientation.Horizontal)
    label = panel.runs.index(0, TITLE).data(Qt.ItemDataRole.AccessibleTextRole)
    assert label == "Logit lens, failed"
    QApplication.processEvents()
