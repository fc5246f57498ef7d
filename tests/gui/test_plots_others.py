"""Token strip, curves, scores and legend."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from gui import theme
from gui.plots import (
    Curves,
    HeatMap,
    Key,
    LayerCurve,
    Legend,
    Line,
    Pyramid,
    Score,
    ScoreList,
    TokenStrip,
    token_text,
)
from gui.plots.chips import Column, aligned
from gui.plots.curve import ticks

CLEAN = ["<bos>", "When", " Mary", " and", " John", " went"]
CORRUPTED = ["<bos>", "When", " Mary", " and", " Tom", " went"]


@pytest.fixture
def strip(qtbot, qapp):
    theme.apply(qapp, theme.LIGHT)
    made = TokenStrip()
    qtbot.addWidget(made)
    made.set_tokens(CLEAN, CORRUPTED, range(6), range(6), roles={2: "IO"}, special={"<bos>"})
    made.resize(260, made.heightForWidth(260))
    made.show()
    return made


@pytest.fixture
def pair(qtbot, qapp):
    """A heat map and the curve that shares its rows."""
    theme.apply(qapp, theme.LIGHT)
    window = QWidget()
    qtbot.addWidget(window)
    row = QHBoxLayout(window)
    heat_map, curve = HeatMap(), LayerCurve()
    row.addWidget(heat_map, 1)
    row.addWidget(curve)
    curve.follow(heat_map)
    heat_map.set_data(np.ones((4, 6)) / 2, ["0", "1", "2", "3"], CLEAN)
    curve.set_lines(
        [
            Line(" Mary", [0.0, 0.1, 0.5, 0.7], token=True),
            Line(" John", [0.1, 0.1, 0.12, np.nan], "muted", dashed=True, token=True),
        ],
        title="P at END",
    )
    window.resize(600, 300)
    window.show()
    window.grab()
    return window, heat_map, curve


def test_tokens_show_their_spaces_and_control_characters():
    assert token_text(" Mary") == "·Mary"
    assert token_text("  ") == "··"
    assert token_text("\n") == "↵"
    assert token_text("\x00a") == "\\x00a"


def test_a_click_on_a_chip_gives_its_position(qtbot, strip):
    with qtbot.waitSignal(strip.clicked, timeout=1000) as signal:
        where = strip.chips.box_of(4).center()
        qtbot.mouseClick(strip.chips, Qt.MouseButton.LeftButton, pos=where)
    assert signal.args == [4]
    qtbot.keyClick(strip.chips, Qt.Key.Key_Right)
    assert strip.chips.focus == 5


def test_the_strip_wraps_at_its_width_and_loses_no_chip(strip):
    wide, narrow = strip.heightForWidth(900), strip.heightForWidth(140)
    assert narrow > wide
    places, _ = strip.chips.arrange(140)
    assert len(places) == len(CLEAN)
    assert all(box.right() < 140 for box, _ in places)


def test_the_differing_pair_is_marked_and_named(strip):
    image = strip.grab().toImage()
    box, same = strip.chips.box_of(4), strip.chips.box_of(3)
    mark = theme.current().mix("panel", "warn", 0.18)
    assert image.pixelColor(box.left() + 4, box.top() + 4) == mark
    assert image.pixelColor(same.left() + 4, same.top() + 4) != mark
    assert "at position 4" in strip.summary()
    assert "id 4" in strip.chips.describe(4)
    assert "·Tom" in strip.chips.describe(4)


def test_prompts_of_unequal_length_show_where_they_part(strip):
    longer = ["<bos>", "When", " Mary", " and", " big", " John", " went"]
    strip.set_tokens(CLEAN, longer)
    assert "part at position 4" in strip.summary()
    columns = aligned(CLEAN, longer)
    assert columns[4] == Column(None, 4)
    assert columns[-1] == Column(5, 6)
    strip.grab()


@pytest.mark.parametrize("other", [[], ["<bos>"], CLEAN[::-1], CLEAN + CLEAN])
def test_aligned_prompts_hold_every_token_once(other):
    columns = aligned(CLEAN, other)
    assert [c.clean for c in columns if c.clean is not None] == list(range(len(CLEAN)))
    assert [c.corrupted for c in columns if c.corrupted is not None] == list(range(len(other)))


def test_an_empty_strip_can_be_drawn(strip):
    strip.set_tokens([], None)
    strip.grab()
    assert strip.summary() == "0 tokens"


def test_the_curve_shares_its_rows_with_the_map(qtbot, pair):
    _, heat_map, curve = pair
    for row in range(4):
        there = heat_map.mapToGlobal(heat_map.cells.cell_rect(row, 0).center()).y()
        here = curve.mapToGlobal(curve.cells.cell_rect(row, 0).center()).y()
        assert there == here
    with qtbot.waitSignal(curve.clicked, timeout=1000) as signal:
        where = curve.cells.cell_rect(2, 0).center()
        qtbot.mouseClick(curve, Qt.MouseButton.LeftButton, pos=where)
    assert signal.args[0] == 2


def test_direct_labels_do_not_cover_each_other(pair):
    curve = pair[2]
    boxes = [box for _, box in curve._label_places()]
    assert len(boxes) == 2
    assert not boxes[0].intersects(boxes[1])
    assert all(curve.rect().contains(box) for box in boxes)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 0.75, [0, 0.2, 0.4, 0.6]), (0, 1, [0, 0.25, 0.5, 0.75, 1]), (-3, 5, [-2, 0, 2, 4])],
)
def test_ticks_stand_at_human_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_pyramid_is_bounded_and_forgets_no_extreme():
    pyramid = Pyramid(buckets=64)
    values = np.sin(np.arange(10_000) / 50)
    values[4321] = 9.0
    for step, value in enumerate(values):
        pyramid.append(step, value)
    pyramid.append(10_000, float("nan"))
    steps, shown = pyramid.points()
    assert len(steps) <= 128
    assert shown.max() == 9.0
    assert shown.min() == values.min()
    assert (np.diff(steps) >= 0).all()


def test_curves_keep_one_item_per_name(qtbot, qapp):
    curves = Curves(y="loss")
    qtbot.addWidget(curves)
    curves.resize(300, 200)
    for step in range(50):
        curves.append(step, {"loss": 1 / (step + 1), "accuracy": step / 50})
        curves.refresh()
    before = len(curves.plot.items())
    curves.refresh()
    theme.apply(qapp, theme.DARK)
    curves.grab()
    assert len(curves.plot.items()) == before
    assert len(curves._items) == 2
    theme.apply(qapp, theme.LIGHT)


def test_a_score_above_its_null_is_blue_and_one_below_is_grey(qtbot, qapp):
    theme.apply(qapp, theme.LIGHT)
    scores = ScoreList()
    qtbot.addWidget(scores)
    scores.set_scores([Score("Copying", 0.96, 0.3, "OV copies"), Score("Induction", 0.05, 0.12)])
    scores.resize(280, scores.sizeHint().height())
    image = scores.grab().toImage()
    for row, value, token in ((0, 0.96, "accent"), (1, 0.05, "muted")):
        y = scores.cells.cell_rect(row, 0).center().y()
        ink = image.pixelColor(round(scores._x(value)), y)
        assert ink == theme.current().color(token)
    assert "95 % of nulls below 0.300" in scores.describe(0, 0)
    assert "OV copies" in scores.describe(0, 0)


def test_a_legend_wraps_and_needs_no_more_width_than_its_widest_key(qtbot, qapp):
    legend = Legend([Key("ramp", "probability"), Key("border", "final answer stays")])
    qtbot.addWidget(legend)
    assert legend.heightForWidth(400) < legend.heightForWidth(150)
    for kind in ("corner", "hatch", "badge", "line", "dash"):
        legend.set_keys([Key(kind, "a", letter="N", colour=3)])
        legend.resize(200, 20)
        legend.grab()
