"""The probed network: what it shows by layer and over the steps, its square, its units."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt

from engine.mlp import tasks
from engine.mlp.reading import over_networks
from engine.techniques.train_mlp import TrainMLP
from gui import theme
from gui.figures import DOUBLE, SINGLE, Layout, figure_of
from gui.mlp import story
from gui.mlp.board import DECISION, LAYERS, STEPS, UNITS
from gui.panels.train_mlp import TrainMLPPanel
from gui.plots.contour import contour
from gui.plots.grid import NOWHERE
from tests.gui.mlp_fake import result as fake

SHORT: dict[str, Any] = {
    "n_steps": 40, "n_train": 200, "n_test": 200, "width": 4, "depth": 2, "record": 4,
}  # fmt: skip


@pytest.fixture
def panel(qtbot, desk, jobs):
    made = TrainMLPPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(1400, 900)
    made.show()
    return made


@pytest.fixture
def shown(panel):
    """The panel with a result that was made up."""

    def build(**about):
        made = fake(**about)
        spec = TrainMLP(task=made.task, instances=len(made.network), n_steps=3000)
        panel.form.show_spec(spec)
        panel.show_result(made, spec)
        return panel

    return build


def parts(board):
    """The large parts that are to be seen."""
    names = ("curves", "bars", "steps", "loss", "map", "units")
    return {name for name in names if getattr(board, name).isVisible()}


def test_everything_stands_beside_the_curves_where_there_is_room(shown):
    board = shown().board
    assert parts(board) == {"curves", "bars", "steps", "map", "units"}
    assert not board.tabs.isTabVisible(3)
    assert board.map.x() > board.curves.geometry().right()
    assert board.bars.columns.xs.tolist() == board.curves.columns.xs.tolist()


@pytest.mark.parametrize(
    ("tab", "seen"),
    [(LAYERS, {"curves"}), (STEPS, {"steps", "loss"}), (UNITS, {"units"}), (DECISION, {"map"})],
)
def test_a_small_panel_has_a_tab_for_each_picture(shown, tab, seen):
    panel = shown()
    panel.resize(420, 300)
    panel._turn(tab)
    assert parts(panel.board) == seen
    assert panel.board.tabs.isTabVisible(3)
    for part in (getattr(panel.board, name) for name in seen):
        assert panel.board.rect().contains(part.geometry())


def test_the_sentence_says_what_the_numbers_are(shown):
    panel = shown()
    means = panel.result.accuracies[0].mean(axis=0)
    said = ", ".join(f"{100 * mean:.0f}" for mean in means[1:])
    assert panel.line.text() == f"A linear probe reads the rings ever better: {said} %."
    assert "layer 1 is no more than 5 points above the control task" in panel.board.detail.text()
    flat = panel.result.accuracies.copy()
    flat[0] = 0.9
    panel.show_result(replace(panel.result, accuracies=flat), panel.drawn[0])
    assert "about equally well from every layer: 90, 90, 90 %" in panel.line.text()


def test_layers_that_random_weights_reach_too_are_not_called_learned(shown):
    panel = shown()
    same = panel.result.accuracies.copy()
    same[2] = same[0]
    panel.show_result(replace(panel.result, accuracies=same), panel.drawn[0])
    assert "no layer is 5 points above the same network with random weights" in (
        panel.board.detail.text()
    )


def test_an_interval_is_drawn_for_several_networks_and_none_for_one(shown):
    curve = shown().board.curves.curves[0]
    own = over_networks(fake().accuracies[0])
    np.testing.assert_allclose(curve.low, own.low)
    curve = shown(instances=1).board.curves.curves[0]
    assert curve.low is None
    assert "no interval" in shown(instances=1).board.notes["curves"].text()


def test_an_interval_over_networks_is_students():
    four = np.array([0.5, 0.6, 0.7, 0.8])
    mean, low, high = over_networks(four)
    half = 3.182 * four.std(ddof=1) / 2  # the quantile of three degrees of freedom
    np.testing.assert_allclose([mean, low, high], [0.65, 0.65 - half, 0.65 + half])
    assert np.isnan(over_networks(four[:1]).low)


def test_while_it_trains_the_controls_are_those_of_the_first_network(shown):
    panel = shown(ended=False)
    control = panel.board.curves.curves[story.CONTROL]
    np.testing.assert_allclose(control.values, panel.result.probe_history[story.CONTROL, -1])
    assert panel.line.text().startswith("At step 3,000 a linear probe reads the rings")


def test_a_click_on_a_layer_turns_every_panel_and_circles_its_errors(qtbot, shown):
    panel = shown()
    board = panel.board
    assert board.curves.focus == 3
    board.curves.settle()
    x = round(float(board.curves.columns.xs[1]))
    qtbot.mouseClick(board.curves, Qt.MouseButton.LeftButton, pos=QPoint(x, 60))
    assert panel.desk.focus.layer == 0
    assert board.curves.focus == board.bars._focus == 1
    np.testing.assert_array_equal(board.map.wrong, story.wrong(panel.result, 1))
    board.map.settle()
    n = int(board.map.wrong.sum())
    assert f"probe, layer 1: {n} of 400 wrong" in [w for row in board.map.keys for _k, w, _x in row]
    panel.desk.turn(layer=1)
    assert board.curves.focus == 2
    board.curves.choose(0, 0)
    assert (panel.desk.focus.layer, board.curves.focus) == (None, 0)


def test_a_wrong_point_is_one_whose_score_has_the_other_sign(shown):
    result = shown().result
    for site in range(4):
        right = (result.probe_score[site] > 0) == (result.labels == 1)
        np.testing.assert_array_equal(story.wrong(result, site), ~right)


def test_the_line_of_a_half_lies_where_the_network_changes_its_mind():
    n = 96
    x, y = (tasks.grid(n)).T.reshape(2, n, n)
    ends = contour(np.hypot(x, y), 0.5).reshape(-1, 2)
    places = (ends + 0.5) / n * 2 - 1
    assert len(ends) > 100
    np.testing.assert_allclose(np.hypot(*places.T), 0.5, atol=1e-3)
    assert not len(contour(np.ones((8, 8)), 0.5))
    assert len(contour(np.array([[1.0, 0.0], [0.0, 1.0]]), 0.5)) == 2  # a saddle


def test_a_point_stands_where_its_coordinates_say(shown):
    square = shown().board.map
    corners = np.array([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    x, y = square.where(corners)
    assert (x[0], y[0]) == (square.box.left(), square.box.bottom())
    assert (x[1], y[1]) == (square.box.right(), square.box.top())
    at, _ = square.cell_at(QPointF(*(float(v[0]) for v in square.where(square.points[:1])))
                           .toPoint())  # fmt: skip
    assert "network P = " in square.describe(at, 0)
    assert "probe, layer 3" in square.describe(at, 0)


def test_a_unit_is_shown_large_and_left_again(qtbot, shown):
    panel = shown()
    board = panel.board
    where = board.units.tile(1, 4).center()
    qtbot.mouseClick(board.units, Qt.MouseButton.LeftButton, pos=where)
    assert board.captions["map"].text() == "Layer 2, unit 4"
    np.testing.assert_array_equal(board.map.values, panel.result.unit_map[1, 4])
    assert "activation" in board.map.describe(0, 0)
    qtbot.keyClick(board.units, Qt.Key.Key_Right)
    assert board.captions["map"].text() == "Layer 2, unit 5"
    qtbot.keyClick(board.units, Qt.Key.Key_Escape)
    assert board.captions["map"].text() == "What the network decides"
    assert board.units.current == NOWHERE


def test_a_dead_unit_is_said_to_be_dead(shown):
    units = shown().board.units
    assert "dead" in units.describe(2, 3)
    assert "dead" not in units.describe(2, 4)
    assert units.dead.sum() == 1


def test_a_figure_is_chosen_by_its_picture(qtbot, panel):
    tiles = panel.side.fields.tiles
    qtbot.mouseClick(tiles, Qt.MouseButton.LeftButton, pos=tiles.tile(0, 2).center())
    assert panel.form.entries["task"].value == "spiral" == tiles.current
    assert panel.spec().task == "spiral"
    assert "two arms" in panel.side.follows.text()


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("act_fn", ["relu", "tanh"])
def test_every_depth_has_room_and_signed_units_are_drawn_around_0(shown, depth, act_fn):
    panel = shown(depth=depth, act_fn=act_fn, width=128 if depth == 8 else 2, instances=1)
    panel.resize(560, 420)
    panel._turn(UNITS)
    assert not panel.grab().isNull()
    units = panel.board.units
    assert units.signed == (act_fn == "tanh")
    assert units.places.side >= 4
    assert panel.line.text()


def test_its_switches_come_back_and_damaged_ones_do_no_harm(shown):
    panel = shown()
    panel.choose(1)
    panel.show_unit(2, 3)
    panel._turn(STEPS)
    kept = json.loads(json.dumps(panel.view()))
    panel.set_view({"site": -1, "tab": "no", "unit": ["a", 1]})
    assert panel.view() == {"site": None, "tab": LAYERS, "unit": None}
    panel.set_view(kept)
    assert panel.view() == {"site": 1, "tab": STEPS, "unit": [2, 3]}
    panel.set_view({"unit": [99, 99], "site": 99})
    assert panel.board.captions["map"].text() == "What the network decides"


@pytest.mark.parametrize("width", [SINGLE, DOUBLE])
def test_a_page_has_every_picture(shown, width):
    with figure_of(shown(), Layout(width_mm=width)) as figure:
        board: Any = figure.page.findChild(type(shown().board))
        assert parts(board) == {"curves", "bars", "steps", "map", "units"}
        assert not board.tabs.isVisible()


def test_both_themes_are_drawn_with_the_same_items(qapp, shown):
    panel = shown()
    for tokens in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, tokens)
        assert not panel.grab().isNull()


def test_it_trains_in_sight_and_ends_with_controls(qtbot, panel):
    panel.form.show_spec(TrainMLP(**SHORT))
    assert panel.run() is not None, panel.message.text.text()
    qtbot.waitUntil(lambda: not panel.running, timeout=15000)
    assert panel.result is not None, panel.message.text.text()
    assert story.done(panel.result)
    assert "step 40" in panel.board.rate.text()
    assert parts(panel.board) >= {"curves", "steps", "map", "units"}


def test_the_network_is_saved_as_a_model_that_opens(qtbot, shown, tmp_path):
    from engine.model import open_model

    panel = shown()
    panel.save(tmp_path)
    qtbot.waitUntil(panel.message.isVisible, timeout=5000)
    assert "rings-step-3000" in panel.message.text.text()
    opened: Any = open_model(tmp_path / "rings-step-3000")
    assert opened.digest == panel.result.model(0).digest
