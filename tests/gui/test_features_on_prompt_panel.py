"""Features on a prompt: what is drawn, said and handed on; the plots of features by themselves."""

import numpy as np
import pytest
from PySide6.QtCore import Qt

from engine.techniques.features_on_prompt import FeaturesOnPrompt
from gui.focus import Opened
from gui.panels.features_on_prompt import FeaturesOnPromptPanel
from gui.plots.feature_columns import per_cent
from gui.plots.feature_histogram import ActivationHistogram
from gui.plots.feature_table import FeatureRows, FeatureTable
from gui.plots.feature_text import ShadedExamples, Stretch
from tests.gui.features_fake import HOOK, SAE_REF, STRONG, Reader, on_prompt


@pytest.fixture
def reader(tmp_path, desk):
    made = Reader(tmp_path)
    desk.put_model(Opened(made.folder, None, made), activate=True)
    return made


@pytest.fixture
def prompted(qtbot, desk, jobs, reader):
    made = FeaturesOnPromptPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    made.show_result(on_prompt(), FeaturesOnPrompt(prompt="x", sae=SAE_REF), reader)
    return made


# one prompt


def test_a_cell_turns_to_its_feature_and_its_token(prompted):
    prompted.board.map.choose(0, 5)
    focus = prompted.desk.focus
    assert (focus.feature, focus.position, focus.hook) == (STRONG, 5, HOOK)
    assert prompted.board.chosen.text().startswith(f"Feature {STRONG}: most at")
    prompted.board.acts.buttons["clamp"].click()
    assert prompted.desk.edits[-1].entry.units == (STRONG,)
    assert prompted.desk.edits[-1].entry.factor == 9.5


def test_the_prompt_is_told_with_what_is_left_out(prompted):
    assert prompted.line.text().startswith("Feature 3 is strongest, 9.50 at ·word5 (5)")
    assert "left out at ·word2 (2): 50\u00a0%" in prompted.board.detail.text()
    assert "93.0\u00a0% of the variance" in prompted.board.detail.text()


def test_bars_stand_in_the_columns_of_the_map_and_neurons_leave_nothing_out(prompted, reader):
    prompted.grab()
    assert prompted.board.left_out.cells.xs == prompted.board.map.cells.xs
    none = on_prompt(basis="neurons", signed=True, error=np.zeros(12))
    prompted.show_result(none, FeaturesOnPrompt(prompt="x"), reader)
    assert prompted.board.left_out.isHidden()
    assert prompted.board.map.scale == "diverging"


def test_a_prompt_without_an_active_feature_says_so(prompted, reader):
    quiet = on_prompt(features=1, latents=np.zeros(0, int), activations=np.zeros((12, 0)))
    prompted.show_result(quiet, FeaturesOnPrompt(prompt="x", sae=SAE_REF), reader)
    assert "is active on this prompt" in prompted.line.text()
    assert not prompted.grab().isNull()


# plots


def test_the_histogram_begins_at_zero_and_ends_where_activations_do(qtbot):
    plot = ActivationHistogram()
    qtbot.addWidget(plot)
    plot.resize(300, 140)
    counts, cuts = np.array([0, 90, 9, 1, 0, 0]), np.array([1.5, np.nan, 99.0])
    plot.set_data(counts, np.arange(7.0), cuts)
    assert plot.edges.tolist() == [0, 1, 2, 3, 4]
    assert plot.cuts.tolist() == [1.5]
    assert plot.describe(0, 3) == "3.00 to 4.00: 1 token"
    assert not plot.grab().isNull()
    plot.set_data(np.zeros(3), np.arange(4.0))
    assert plot.is_empty()


def test_a_token_left_out_is_hatched_and_said(qtbot):
    plot = ShadedExamples()
    qtbot.addWidget(plot)
    plot.resize(400, 120)
    plot.set_rows([Stretch((" a", " b"), np.array([np.nan, 2.0]), 1, "Highest")], 2.0)
    assert "left out" in plot.describe(0, 0)
    assert not plot.grab().isNull()
    qtbot.keyClick(plot, Qt.Key.Key_Down)
    assert plot.chosen == (0, 1)


def test_sixty_thousand_rows_ask_for_the_words_in_sight_alone(qtbot):
    n, asked = 65_536, []

    def pieces(ids):
        asked.append(len(ids))
        return [str(i) for i in ids]

    table = FeatureTable()
    qtbot.addWidget(table)
    table.resize(500, 400)
    ones = np.ones(n)
    table.set_rows(FeatureRows(ones, ones, ones, np.arange(n)), pieces)
    assert not table.grab().isNull()
    assert sum(asked) <= 40
    table.set_focus(60_000)
    assert table.line_of(60_000) in table.lines


def test_a_share_is_told_in_figures_that_say_something():
    assert [per_cent(each) for each in (0.123, 0.0045, 0.00021, 0.000004)] == [
        "12.3", "0.45", "0.021", "0.0004"]  # fmt: skip
