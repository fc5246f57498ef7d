"""Panels under interventions: what fired is said, pictures go stale, runs bring them back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from engine.model import Intervention
from engine.refs import of_file
from gui.column import Column
from gui.figures import Layout, figure_of
from gui.focus import Edit
from gui.interventions import in_force
from gui.interventions.ledger import Ledger
from tests.gui.every_panel import READINGS, kept, through_a_file

HEAD = Intervention("blocks.1.attn.hook_z", head=1)
MLP = Intervention("blocks.0.hook_attn_out", "scale", 0.5)


@pytest.fixture
def panel(open_panel):
    """A panel of a technique with the bundled model and the ledger of its desk."""

    def build(kind="LogitLens"):
        made = open_panel(next(make for make in READINGS if make.kind == kind))
        return made, Ledger(made.desk, made)

    return build


def finish(qtbot, panel):
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    assert panel.result is not None, panel.message.text.text()
    return panel


def test_a_run_is_made_under_what_is_on_and_says_what_fired(qtbot, panel, bundled):
    panel, ledger = panel()
    plain = finish(qtbot, panel).result
    assert not panel.message.isVisible()
    ledger.add(HEAD)
    ledger.add(MLP)
    ledger.switch(1, False)
    finish(qtbot, panel)
    assert panel.job.worker.interventions == (HEAD,)
    wanted = panel.drawn[0].run(bundled.under([HEAD]))
    np.testing.assert_array_equal(panel.result.kl, wanted.kl)
    assert not np.array_equal(panel.result.kl, plain.kl)
    said = panel.message.text.text()
    assert said.startswith("Under “ablate head 1.1 (zero)”: 1 hook fired, largest change ")
    about = panel.provenance()
    assert about["fired"][0][:2] == ["ablate head 1.1 (zero)", 1]
    assert about["interventions"][0]["name"] == HEAD.name


def test_a_picture_is_stale_under_other_interventions_until_they_are_back(qtbot, panel):
    panel, ledger = panel()
    note = panel.header.note
    finish(qtbot, panel)
    ledger.add(HEAD)
    assert note.text() == "without the interventions now on"
    finish(qtbot, panel)
    assert note.text() == ""
    ledger.add(MLP)
    assert note.text() == "under other interventions"
    ledger.switch_all(False)
    assert note.text() == "under interventions now off"
    ledger.switch(0, True)
    assert note.text() == ""


def test_what_reads_the_weights_alone_runs_without_them_and_says_so(qtbot, panel):
    panel, ledger = panel("HeadCircuits")
    ledger.add(HEAD)
    finish(qtbot, panel)
    assert panel.job.worker.interventions == ()
    said = "Made without the intervention that is on: it reads the weights alone."
    assert panel.message.text.text() == said
    assert panel.header.note.text() == ""


def test_an_intervention_that_changes_nothing_is_said_to():
    text, tone = in_force.report((HEAD, MLP), ((1, 0.5), (3, 0.0)))
    assert tone == "warn"
    assert text.startswith("Under 2 interventions: 4 hooks fired, largest change 0.5. ")
    assert text.endswith(" by 0.5 changed nothing.")
    assert in_force.report((), ())[0] == ""


def test_one_that_this_prompt_does_not_meet_ends_the_run_with_its_name(qtbot, panel, bundled):
    panel, ledger = panel()
    far = bundled.config.n_ctx - 1
    ledger.add(replace(HEAD, positions=(far,)))
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    assert "meets none of the" in panel.message.text.text()


def test_its_script_and_command_bring_them(qtbot, panel):
    panel, ledger = panel()
    ledger.add(HEAD)
    assert "model.under(interventions)" in panel.script()
    assert "head=1" in panel.script()
    finish(qtbot, panel)
    ledger.switch_all(False)
    assert "model.under(interventions)" in panel.script()


# stored runs


def test_a_stored_run_brings_its_interventions_back(qtbot, reading, tmp_path):
    ledger = reading.middle.ledger
    panel = reading.panel("LogitLens")
    ledger.add(HEAD)
    finish(qtbot, panel)
    stored = through_a_file(kept(panel), tmp_path)
    assert stored.interventions == (HEAD,)
    ledger.remove(0)
    ledger.add(MLP)
    reading.show_run(stored)
    assert reading.desk.edits == (Edit(MLP, False), Edit(HEAD, True))
    assert panel.header.note.text() == ""
    assert "1 hook fired" in panel.message.text.text()
    plain = replace(stored, interventions=(), fired=())
    reading.show_run(plain)
    assert reading.desk.interventions == ()
    assert not panel.message.isVisible()


def test_a_direction_that_moved_is_located_and_the_run_goes_on(qtbot, panel, bundled, tmp_path):
    panel, ledger = panel()
    file = tmp_path / "happy.json"
    file.write_text(json.dumps([1.0] + [0.0] * (bundled.config.d_model - 1)))
    ref = of_file("direction", file)
    steer = Intervention("blocks.0.hook_resid_pre", "steer", 4.0, direction=ref)
    ledger.add(steer)
    moved, other = tmp_path / "moved.json", tmp_path / "other.json"
    file.rename(moved)
    other.write_text("[1, 2]")
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    assert panel.message.action.text() == "Locate…"
    missing = panel.job.worker.poll().error
    panel._runner._put(missing, other)
    qtbot.waitUntil(lambda: "is not what lies at" in panel.message.text.text(), timeout=3000)
    panel._runner._put(missing, moved)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert panel.desk.interventions[0].direction.where == str(moved)
    assert "hook fired" in panel.message.text.text()


# the continuation


def test_both_texts_stand_side_by_side_and_the_first_difference_is_told(qtbot, panel):
    panel, ledger = panel("Continuation")
    panel.form.entries["n_tokens"].value = 6
    finish(qtbot, panel)
    assert [text.title for text in panel.texts.texts] == ["Written on"]
    ledger.add(Intervention("blocks.1.hook_attn_out", "scale", -20.0))
    finish(qtbot, panel)
    assert [text.title for text in panel.texts.texts] == ["With the intervention", "Without"]
    at = int(panel.result.differs)
    assert at >= 0
    assert panel.line.text().startswith(f"They part at token {at + 1}: ")
    assert "the first that differs" in panel.texts.describe(0, at)
    wide = panel.texts._arranged(800)[0]
    assert wide[0].top() == wide[1].top()
    narrow = panel.texts._arranged(300)[0]
    assert narrow[0].left() == narrow[1].left()
    panel.copy_text()
    assert QApplication.clipboard().text()


def test_a_figure_holds_both_texts_whole(qtbot, panel):
    panel, ledger = panel("Continuation")
    panel.form.entries["n_tokens"].value = 30
    ledger.add(MLP)
    finish(qtbot, panel)
    for width in (89.0, 183.0):
        with figure_of(panel, Layout(width_mm=width)) as made:
            (column,) = (each for each in made.page.findChildren(Column) if each.isVisible())
            inside = column.widget()
            assert inside is not None
            assert column.height() >= inside.height()
            assert not column.verticalScrollBar().isVisible()
