"""Sets of pairs as an editable table, made by a task, run over in the window."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from engine.data.tasks import TASKS, pair_set, row_of
from gui.focus import Opened
from gui.kinds import panels
from gui.making_sets import OWN, MakingDialog
from gui.pair_table import made_table
from gui.pair_table_cells import TOKENS
from gui.pair_table_paint import differing
from gui.pair_table_rows import readable
from gui.pair_table_store import KeptSets, keep_file
from gui.panels.prompts import PromptsPanel
from gui.run_line import RunLine
from tests.gui import pair_kit
from tests.gui.pair_kit import CELL

records = pair_kit.records
panel = pair_kit.panel
opened = pair_kit.opened
file = pair_kit.file
sets = pair_kit.sets
dialog = pair_kit.dialog


def test_a_cell_is_edited_where_it_is(qtbot, dialog, sets):
    view, cells = dialog.view, dialog.cells
    view.setCurrentIndex(cells.index(0, 2))
    view.edit(view.currentIndex())
    field = view.viewport().focusWidget()
    field.selectAll()
    qtbot.keyClicks(field, "·sat")
    qtbot.keyClick(field, Qt.Key.Key_Tab)
    assert sets.open.rows[0].answer == " sat"
    assert cells.index(0, 2).data() == "·sat"


def test_a_prompt_is_edited_in_lines_and_enter_takes_it(qtbot, dialog, sets):
    view, cells = dialog.view, dialog.cells
    view.setCurrentIndex(cells.index(1, 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)
    editor = view.viewport().focusWidget()
    editor.selectAll()
    qtbot.keyClicks(editor, "the mat sat")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert sets.open.rows[1].clean == "the mat sat"


def test_marks_have_their_reason_in_the_tooltip_and_in_a_line(qtbot, dialog, sets):
    sets.open.change(1, corrupted="the cat sat mat", wrong="cow")
    qtbot.waitUntil(lambda: sets.open.found.usable == 1, timeout=2000)
    cells = dialog.cells
    assert cells.index(1, 1).data(CELL.ToolTipRole) == "5 tokens, the clean prompt has 4"
    assert "cow" in cells.index(1, 3).data(CELL.ToolTipRole)
    assert cells.index(1, TOKENS).data() == "4 / 5"
    dialog.view.setCurrentIndex(cells.index(1, 3))
    assert dialog.reason.text() == "Row 2: 'cow' is not one token."
    assert dialog.summary.text() == "1 pair of 4 tokens for fake; 1 marked and left out."
    assert dialog.clean_button.isVisible()
    qtbot.mouseClick(dialog.clean_button, Qt.MouseButton.LeftButton)
    assert len(sets.open.rows) == 1


def test_roles_that_cannot_be_read_are_refused_with_the_reason(dialog, sets):
    assert not dialog.cells.setData(dialog.cells.index(0, 4), "S at 2")
    assert "Roles of row 1: write them as" in dialog.message.text.text()
    assert dialog.cells.setData(dialog.cells.index(0, 4), "S:1 END:3")
    assert sets.open.rows[0].roles == ((1, "S"), (3, "END"))
    assert "END  ·sat, position 3" in dialog.cells.index(0, 4).data(CELL.ToolTipRole)


def test_rows_are_added_duplicated_deleted_and_all_of_it_undone(qtbot, dialog, sets):
    dialog.view.selectRow(0)
    qtbot.mouseClick(dialog.copy_button, Qt.MouseButton.LeftButton)
    assert [row.clean for row in sets.open.rows] == ["the cat sat", "the cat sat", "the dog sat"]
    dialog.view.selectRow(2)
    qtbot.keyClick(dialog.view, Qt.Key.Key_Delete)
    assert len(sets.open.rows) == 2
    qtbot.mouseClick(dialog.add_button, Qt.MouseButton.LeftButton)
    assert dialog.cells.rowCount() == 3
    assert "row deleted" not in dialog.undo_button.toolTip()
    for _ in range(3):
        qtbot.mouseClick(dialog.undo_button, Qt.MouseButton.LeftButton)
    assert not dialog.undo_button.isEnabled()
    assert [row.clean for row in sets.open.rows] == ["the cat sat", "the dog sat"]


def test_the_current_row_lies_on_the_desk_and_the_other_way_round(dialog, panel, desk):
    dialog.view.setCurrentIndex(dialog.cells.index(1, 1))
    assert desk.prompts.clean == "the dog sat"
    panel.choose_row(0)
    assert dialog.view.currentIndex().row() == 0


def test_save_asks_for_a_name_in_either_format(qtbot, dialog, sets, tmp_path):
    csv, jsonl = dialog.save_button.menu().actions()
    for action, suffix in ((csv, "csv"), (jsonl, "jsonl")):
        action.trigger()
        asked = dialog.findChildren(QFileDialog)[-1]
        asked.fileSelected.emit(str(tmp_path / f"mine.{suffix}"))
        asked.close()
        name = f"mine.{suffix}"
        qtbot.waitUntil(lambda name=name: sets.table.name == name, timeout=2000)
    assert "Saved as mine.jsonl" in dialog.message.text.text()


def test_a_table_that_is_closed_takes_its_dialog_along(dialog, sets):
    assert dialog.isVisible()
    sets.close()
    assert not dialog.isVisible()


# making one


@pytest.fixture
def making(qtbot, panel, sets, desk, bundled):
    desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
    sets.close()
    sets.make()
    made = panel.findChild(MakingDialog)
    qtbot.waitUntil(lambda: made.job is None, timeout=5000)
    return made


def test_a_task_that_cannot_be_made_says_why(making):
    making.choose("greater-than")
    assert "needs two-digit numbers that are single tokens" in making.summary.text()
    assert not making.make_button.isEnabled()
    lines = making.tasks.lines
    first_not = next(at for at, line in enumerate(lines) if line.why_not)
    assert all(line.why_not for line in lines[first_not:]), "they stand under the others"
    making.choose("induction")
    assert making.make_button.isEnabled()
    assert making.strip.chips.roles[23] == "END"


def test_a_set_is_made_with_its_number_and_seed_and_is_in_force(
    qtbot, making, sets, desk, records, bundled
):
    making.choose("induction")
    making.number.setValue(4)
    making.seed.setValue(7)
    qtbot.mouseClick(making.make_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: sets.table is not None, timeout=5000)
    assert sets.table.name == "Induction, first B replaced, 4 pairs, seed 7.csv"
    assert desk.pair_set == sets.table.ref
    made, asked = pair_set(sets.table, bundled), TASKS["induction"].make(bundled, 4, 7)
    assert made.pairs == asked.pairs
    assert [row.ref for row in records.rows] == [sets.table.ref]
    assert desk.prompts.inputs == {"prompts, row 1": sets.table.ref}


def test_a_set_may_be_made_without_being_run_over(qtbot, making, sets, desk):
    making.use.setChecked(False)
    making.number.setValue(2)
    making.make()
    qtbot.waitUntil(lambda: sets.table is not None, timeout=5000)
    assert desk.pair_set is None


def test_more_pairs_than_there_are_is_said_in_the_dialog(qtbot, making, tmp_path):
    table = tmp_path / "facts.csv"
    table.write_text("subject,object\nant,apple\n", encoding="utf-8")
    making.choose(OWN)
    assert making.choose_facts.isVisible()
    assert not making.make_button.isEnabled()
    making._take_facts(table)
    making.make()
    qtbot.waitUntil(lambda: bool(making.said.text()) and making.job is None, timeout=5000)
    assert making.said.property("tone") == "bad"
    assert making.isVisible()


def test_another_model_closes_the_question(qtbot, making, desk, fake_model):
    desk.activate(fake_model.folder)
    assert not making.isVisible()


# the whole window


def test_a_run_over_a_set_comes_back_with_it_and_its_script_gives_the_same(
    qtbot, reading, tmp_path
):
    window, desk = reading, reading.desk
    prompts = window.panel(PromptsPanel)
    patching = window.panel("ActivationPatching")
    model = desk.model
    rows = [readable(row_of(pair), model) for pair in TASKS["induction"].make(model, 2, 0)]
    prompts.sets.show(made_table(rows, "Two pairs"), use=True)
    prompts.sets._keep()
    patching.run()
    qtbot.waitUntil(lambda: not patching.running, timeout=10_000)
    assert patching.result.n_pairs == 2
    assert patching.drawn[0].pairs == desk.pair_set
    assert patching.inputs() == {}
    assert not patching.header.note.text()
    script = tmp_path / "script.py"
    script.write_text(patching.script(), encoding="utf-8")
    found = runpy.run_path(str(script))
    assert np.array_equal(found["result"].value, patching.result.value, equal_nan=True)
    entry = window.records.entries[-1]
    assert RunLine(entry).prompt == "Set: Two pairs"
    prompts.sets.close()
    assert patching.header.note.text() == "for an earlier prompt"
    Path(patching.drawn[0].pairs.where).unlink()
    qtbot.waitUntil(lambda: not window.records.busy, timeout=5000)
    before = desk.prompts
    window.show_run(patching.run_shown)
    qtbot.waitUntil(lambda: prompts.sets.in_force, timeout=5000)
    assert patching.spec() == patching.drawn[0]
    assert not patching.header.note.text()
    assert Path(desk.pair_set.where).is_file(), "the session gave it back"
    assert before.clean


def test_a_set_that_has_moved_is_located_and_run(qtbot, open_panel, desk, tmp_path, bundled):
    make = next(each for each in panels() if each.kind == "ActivationPatching")
    patching = open_panel(make)
    rows = [row_of(pair) for pair in TASKS["induction"].make(bundled, 2, 0)]
    table = made_table(rows, "Moved")
    here = Path(table.ref.where).rename(tmp_path / "moved.csv")
    desk.set_pair_set(table.ref)
    patching.run()
    qtbot.waitUntil(lambda: not patching.running, timeout=5000)
    assert "say where it is now" in patching.message.text.text()
    qtbot.mouseClick(patching.message.action, Qt.MouseButton.LeftButton)
    asked = patching.findChild(QFileDialog)
    asked.fileSelected.emit(str(here))
    asked.close()
    qtbot.waitUntil(lambda: patching.result is not None, timeout=5000)
    qtbot.waitUntil(lambda: not patching.running, timeout=5000)
    assert desk.pair_set.where == str(here)
    assert patching.result.n_pairs == 2


def test_sets_are_kept_in_folders_of_their_digests(jobs):
    one, two = keep_file(b"clean\na\n", "set.csv"), keep_file(b"clean\nb\n", "set.csv")
    assert one.where != two.where
    assert keep_file(b"clean\na\n", "set.csv") == one
    kept = KeptSets(jobs)
    assert kept.listed() == []


def test_the_words_that_a_pair_differs_in_are_known_by_their_letters():
    text, other = "the cat sat on the mat", "the dog sat on a mat"
    assert [text[at : at + n] for at, n in differing(text, other)] == [" cat", " the"]
    assert differing(text, text) == ()
    assert [text[at : at + n] for at, n in differing(text, "")] == [text]


def test_what_differs_is_in_sight_in_a_narrow_cell(dialog, sets):
    """A long prompt is shown from shortly before the first word that differs."""
    long = "the cat sat " * 30
    sets.open.change(0, clean=f"{long}mat", corrupted=f"{long}dog")
    dialog.resize(480, 300)
    index = dialog.cells.index(0, 0)
    before = dialog.view.viewport().grab(dialog.view.visualRect(index)).toImage()
    sets.open.change(0, clean=f"{long}sat")
    assert dialog.view.viewport().grab(dialog.view.visualRect(index)).toImage() != before
