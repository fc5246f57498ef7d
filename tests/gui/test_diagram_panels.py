"""Phase diagram and dimensionality: two maps of one diagram, dots over lines, a cell opened."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from engine.techniques.feature_dimensionality import FeatureDimensionality, small_figure
from engine.techniques.phase_diagram import PhaseDiagram
from gui import theme
from gui.figures import DOUBLE, SINGLE, Layout, figure_of
from gui.panels.feature_dimensionality import FeatureDimensionalityPanel
from gui.panels.phase_diagram import PhaseDiagramPanel
from gui.plots.verdict_maps import log_ticks

PHASE = PhaseDiagram(rows=5, columns=4, best_of=3, n_steps=500)
CURVE = FeatureDimensionality(n_features=20, d_hidden=4, count=4, n_steps=300)


@pytest.fixture(scope="module")
def diagram():
    """The updates of a run: the first one that has a cell, and the last."""
    states = [update.snapshot() for update in PHASE.steps(None)]
    return next(state for state in states if (state.trained >= 0).any()), states[-1]


@pytest.fixture(scope="module")
def curve():
    return CURVE.run(None)


@pytest.fixture
def phase(qtbot, desk, jobs, diagram):
    panel = PhaseDiagramPanel(desk, jobs)
    qtbot.addWidget(panel)
    panel.resize(900, 640)
    panel.show()
    panel.show_result(diagram[1], PHASE)
    return panel


@pytest.fixture
def dots(qtbot, desk, jobs, curve):
    panel = FeatureDimensionalityPanel(desk, jobs)
    qtbot.addWidget(panel)
    panel.resize(900, 640)
    panel.show()
    panel.show_result(curve, CURVE)
    return panel


def test_both_maps_have_the_same_cells_side_by_side(phase):
    maps = phase.maps
    maps.grab()
    assert maps.grid.ys == maps.other.ys
    assert np.ptp(np.array(maps.other.xs) - np.array(maps.grid.xs)) == 0
    assert maps.grid.rect.right() < maps.other.rect.left()
    assert maps.other.rect.right() < maps.width()
    for grid in (maps.grid, maps.other):
        assert maps.cell_at(grid.cell_rect(3, 2).center()) == (3, 2)
    assert maps.cell_at(QPoint(2, 2)) == (-1, -1)


def test_the_large_number_is_the_share_of_cells_that_agree(phase, diagram):
    result = diagram[1]
    large, said, single = phase.maps.head
    assert large == f"{result.agreement:.1%}"
    assert f"best of {PHASE.best_of}" in said
    assert f"{result.run_agreement:.1%}" in single
    assert "local optima" in single
    assert f"({result.agreement:.1%})" in phase.line.text()


def test_cells_that_differ_are_marked_and_explained(phase, diagram):
    result = diagram[1]
    differs = phase.maps.differs
    assert differs.sum() == round((1 - result.agreement) * result.trained.size)
    words = [key.text for key in phase.legend.keys]
    assert words[:3] == ["not represented", "superposition", "dedicated"]
    assert ("the two differ" in words) == bool(differs.any())


def test_a_half_filled_diagram_says_how_far_it_is(phase, diagram):
    phase.show_result(diagram[0], PHASE)
    known = int((diagram[0].trained >= 0).sum())
    if known < diagram[0].trained.size:
        assert f"first {known} of" in phase.maps.head[1]
        assert "not trained yet" in [key.text for key in phase.legend.keys]
    assert not phase.grab().isNull()


def test_hovering_gives_losses_and_verdicts(phase):
    said = phase.maps.describe(2, 1)
    assert "Loss" in said
    assert "by the closed form" in said


def test_a_click_on_a_cell_opens_its_model_in_the_wheel(qtbot, window, diagram):
    phase, toy = window.panel("PhaseDiagram"), window.panel("ToyModel")
    window.reveal(phase)
    phase.show_result(diagram[1], PHASE)
    phase.maps.grab()
    where = phase.maps.grid.cell_rect(4, 1).center()
    qtbot.mouseClick(phase.maps, Qt.MouseButton.LeftButton, pos=where)
    assert toy.isVisible()
    np.testing.assert_array_equal(toy.result.W[0], diagram[1].W[4, 1])
    spec = toy.spec()
    assert spec.density == pytest.approx(diagram[1].density[4])
    assert spec.importances[-1] == pytest.approx(diagram[1].importance[1])
    assert "afresh" in toy.message.text.text()
    assert toy.provenance() == {}  # it is no run of the explorer


def test_a_cell_that_is_not_trained_yet_says_so(phase, diagram):
    asked = []
    phase.desk.asked.connect(lambda *what: asked.append(what))
    phase.show_result(diagram[0], PHASE)
    unknown = np.argwhere(diagram[0].trained < 0)
    if len(unknown):
        phase.maps.choose(*map(int, unknown[0]))
        assert "has not been trained yet" in phase.message.text.text()
        assert not asked


def test_a_cell_that_was_chosen_comes_back_and_rubbish_is_survived(phase):
    phase.maps.chosen = (2, 1)
    view = phase.view()
    for rubbish in ({"cell": "a"}, {"cell": [True, 1]}, {"cell": [10**9, 0]}, {}):
        phase.set_view(rubbish)
        assert not phase.grab().isNull()
    phase.set_view(view)
    assert phase.maps.chosen == (2, 1)


@pytest.mark.parametrize(
    ("ends", "most", "wanted"),
    [
        ((0.1, 10.0), 9, [0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10]),
        ((0.1, 10.0), 5, [0.1, 0.3, 1, 3, 10]),
        ((1.0, 0.01), 3, [0.01, 0.1, 1]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_human_numbers(ends, most, wanted):
    assert log_ticks(np.array(ends), most) == pytest.approx(wanted)


def test_every_feature_is_a_dot_that_can_be_pointed_at(dots, curve):
    plot = dots.plot
    plot.grab()
    x, y = plot._where(2)
    feature = int(np.argmax(curve.D[2]))
    row, col = plot.cell_at(QPoint(round(float(x[feature])), round(float(y[feature]))))
    assert row == 2
    assert curve.D[2, col] == pytest.approx(curve.D[2, feature], abs=0.05)
    assert f"{curve.D_star[2]:.3f}" in plot.describe(2, feature)
    assert f"{curve.D[2, feature]:.3f}" in plot.describe(2, feature)


def test_the_reference_lines_are_named_apart(dots, curve):
    assert [name for _, name in dots.plot.references] == list(curve.line_name)
    with figure_of(dots, Layout(width_mm=DOUBLE)) as figure:
        drawn = figure.content("svg", 300).decode()
    for name in ("antipodal pair", "pentagon", "square antiprism", "D*"):
        assert name in drawn


def test_the_figures_are_buttons_that_run(qtbot, dots):
    button, spec = dots.presets["n 120, m 12"]
    assert spec == small_figure()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert dots.running
    assert dots.job.spec == small_figure()
    other, large = dots.presets["n 400, m 30"]
    qtbot.mouseClick(other, Qt.MouseButton.LeftButton)  # instead of the one that runs
    qtbot.waitUntil(lambda: dots.running and dots.job.spec == large, timeout=5000)
    dots.stop()
    qtbot.waitUntil(lambda: not dots.running, timeout=5000)


@pytest.mark.parametrize("width", [SINGLE, DOUBLE])
def test_figures_keep_their_letters_at_a_columns_width(phase, dots, width):
    for panel in (phase, dots):
        with figure_of(panel, Layout(width_mm=width)) as figure:
            assert not figure.cramped
            assert "…" not in figure.content("svg", 300).decode()
            assert figure.size_mm[1] <= 240


@pytest.mark.parametrize("size", [(1600, 1000), (640, 420), (260, 220)])
def test_they_are_painted_at_every_size_in_both_themes(qapp, phase, dots, size):
    for panel in (phase, dots):
        panel.resize(*size)
        for tokens in (theme.DARK, theme.LIGHT):
            theme.apply(qapp, tokens)
            assert not panel.grab().isNull()
