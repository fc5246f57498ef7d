"""Wheel, polyhedron, norm bars, timeline, step curve and strip, on made-up arrows."""

import numpy as np
import pytest
from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtTest import QTest

from engine.toy.projection import edges, gaps, hull, outline, project
from gui import theme
from gui.plots.arrows import Label, colours_of, listed, not_drawn, place, thinned
from gui.plots.export import svg_bytes
from gui.plots.norm_bars import NormBars
from gui.plots.polyhedron import Polyhedron
from gui.plots.step_curve import Baseline, Mark, StepCurve
from gui.plots.timeline import Stretch, Timeline
from gui.plots.wheel import Wheel
from gui.plots.wheel_strip import WheelStrip

TURN = 2 * np.pi * np.arange(5) / 5 + 0.3
PENTAGON = 1.1 * np.stack([np.cos(TURN), np.sin(TURN)], axis=1)  # [feature, 2]
ARROWS = np.concatenate([PENTAGON, [[0.01, 0.0], [0.0, 0.3]]])  # [feature, 2]
ABOUT = {
    "importance": 0.9 ** np.arange(7),
    "interference": np.full(7, 2.0),
    "represented": np.arange(7) < 5,
}
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


@pytest.fixture
def show(qtbot):
    def build(plot, width=500, height=400):
        qtbot.addWidget(plot)
        plot.resize(width, height)
        plot.show()
        plot.grab()
        return plot

    return build


def wheel(show, **more):
    made = show(Wheel())
    made.set_data(ARROWS, **ABOUT, **more)
    made.grab()
    return made


def tip(plot, feature):
    return QPoint(*np.rint(plot.tips[feature]).astype(int).tolist())


def test_a_click_on_an_arrow_gives_its_feature(qtbot, show):
    plot, heard = wheel(show), []
    plot.clicked.connect(lambda feature, _: heard.append(feature))
    for feature in (0, 3, 6):
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=tip(plot, feature))
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    assert heard == [0, 3, 6]


def test_a_feature_is_told_with_norm_angle_and_interference(show):
    said = wheel(show).describe(0, 0)
    assert "feature 0" in said
    assert "norm 1.100" in said
    assert "17.2°" in said
    assert "interference 2.000" in said


def test_arrow_keys_go_around_the_features(qtbot, show):
    plot, heard = wheel(show), []
    plot.clicked.connect(lambda feature, _: heard.append(feature))
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Left):
        QTest.keyClick(plot, key)
    assert heard == [0, 1, 0, 6]


def test_short_arrows_are_named_in_the_foot_instead(show):
    plot = wheel(show)
    assert plot.drawn.tolist() == [0, 1, 2, 3, 4, 6]
    assert not_drawn(plot.norms)[0] == "not drawn: 5, norm 0.01"
    assert not_drawn(np.ones(3)) == ()
    assert b"not drawn: 5" in svg_bytes(plot)


def test_the_angle_to_both_neighbours_of_the_chosen_one_is_written(show):
    plot = wheel(show)
    assert "72°" not in svg_bytes(plot).decode()
    plot.set_chosen(2)
    assert svg_bytes(plot).decode().count(">72°<") == 2


def test_painting_a_moving_wheel_makes_nothing_new(show):
    plot = wheel(show, trail=np.random.default_rng(0).normal(size=(64, 7, 2)))
    before = len(plot.findChildren(QObject))
    for turn in range(5):
        plot.set_data(ARROWS * (1 + 0.01 * turn), **ABOUT)
        plot.grab()
    assert len(plot.findChildren(QObject)) == before


def test_a_trail_with_gaps_and_of_other_features_is_survived(show):
    path = np.full((9, 7, 2), np.nan)
    path[4:] = 0.2
    for trail in (path, path[:1], path[:, :3]):
        wheel(show, trail=trail).grab()


def test_one_dimension_is_drawn_on_a_line_with_a_lane_for_each(qtbot, show):
    plot, heard = show(Wheel()), []
    plot.clicked.connect(lambda feature, _: heard.append(feature))
    one = np.array([[1.0], [-1.0], [0.01]])
    plot.set_data(
        one, importance=np.ones(3), interference=np.ones(3), represented=np.array([1, 1, 0], bool)
    )
    plot.grab()
    assert plot.tips[0][1] != plot.tips[1][1]
    assert plot.tips[0][0] > plot.tips[1][0]
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=tip(plot, 1))
    assert heard == [1]


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_every_importance_is_seen_on_the_panel_and_the_first_one_best(qapp, tokens):
    theme.apply(qapp, tokens)
    shades = [colour.name() for colour in colours_of(0.9 ** np.arange(8))]
    ratios = [theme.contrast(shade, tokens.panel) for shade in shades]
    assert min(ratios) >= 1.8
    assert ratios[0] == max(ratios)


def test_labels_never_lie_on_each_other():
    from PySide6.QtCore import QRectF

    crowd = [Label(str(i), (200.0 + i % 3, 200.0), (1.0, 0.0)) for i in range(30)]
    boxes = [box for _, box in place(crowd, QRectF(0, 0, 400, 400))]
    assert 1 < len(boxes) < 30
    for at, box in enumerate(boxes):
        assert not any(box.intersects(other) for other in boxes[at + 1 :])


def test_lists_of_features_read_as_a_person_says_them():
    assert [listed([]), listed([3]), listed([3, 5]), listed([1, 3, 5])] == \
        ["", "3", "3 and 5", "1, 3 and 5"]  # fmt: skip
    assert listed(range(20)) == "0, 1, 2, 3, 4 and 15 more"


def test_thinning_keeps_both_ends():
    assert thinned(5, 9).tolist() == [0, 1, 2, 3, 4]
    some = thinned(1000, 10)
    assert len(some) == 10
    assert (some[0], some[-1]) == (0, 999)


# three dimensions


def solid(show):
    plot = show(Polyhedron())
    plot.set_data(
        TETRAHEDRON, importance=np.ones(4), interference=np.ones(4), represented=np.ones(4, bool)
    )
    plot.grab()
    return plot


def test_a_drag_turns_the_polyhedron_and_a_click_chooses_its_nearest_point(qtbot, show):
    plot, heard, turned = solid(show), [], []
    plot.clicked.connect(lambda feature, _: heard.append(feature))
    plot.turned.connect(lambda: turned.append(plot.yaw))
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=tip(plot, 2))
    assert heard == [2]
    before = plot.yaw, plot.pitch
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(20, 20))
    qtbot.mouseMove(plot, QPoint(60, 40))
    qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=QPoint(60, 40))
    QTest.keyClick(plot, Qt.Key.Key_Left)
    assert turned
    assert (plot.yaw, plot.pitch) != before


def test_near_points_are_larger(show):
    plot = solid(show)
    order = np.argsort(plot.toward)
    sizes = [plot._radius(int(feature)) for feature in order]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_edges_join_neighbours_and_never_opposites():
    assert len(edges(TETRAHEDRON, np.ones(4, bool))) == 6
    octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    assert len(edges(octahedron, np.ones(6, bool))) == 12
    assert len(edges(np.array([[1.0, 0, 0], [-1.0, 0, 0]]), np.ones(2, bool))) == 0
    assert len(edges(TETRAHEDRON, np.array([1, 0, 0, 0], bool))) == 0


def test_turning_keeps_lengths_and_the_sphere_holds_every_unit_vector():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    flat = project(points, 0.7, -0.4)
    assert np.hypot(flat[:, 0], flat[:, 1]).max() <= outline() + 1e-9
    far = project(points, 0.7, -0.4, distance=1e9)
    np.testing.assert_allclose(np.linalg.norm(far, axis=1), 1, atol=1e-6)


def test_the_hull_of_a_square_with_points_inside_is_the_square():
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5], [0.2, 0.7]])
    assert sorted(hull(corners).tolist()) == [0, 1, 2, 3]
    assert hull(corners[:2]).tolist() == [0, 1]


def test_gaps_to_both_neighbours_are_those_of_the_circle():
    found = gaps(PENTAGON, 0, np.ones(5, bool))
    assert [f for f, _ in found] == [1, 4]
    np.testing.assert_allclose([degrees for _, degrees in found], 72)
    assert gaps(PENTAGON, 0, np.arange(5) == 0) == ()
    assert gaps(PENTAGON, 0, np.arange(5) < 2) == ((1, pytest.approx(72)),)


# bars, timeline, curve, strip


@pytest.mark.parametrize("n", [1, 8, 80, 400])
def test_bars_of_any_number_of_features_fit_and_answer_clicks(qtbot, show, n):
    plot, heard = show(NormBars(), 320, 240), []
    plot.set_data(np.linspace(0, 1.3, n), np.linspace(3, 0, n), np.arange(n) < 5)
    plot.clicked.connect(lambda feature, _: heard.append(feature))
    plot.grab()
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(80, plot.cells.ys[-1] - 1))
    assert heard == [n - 1]
    assert plot.cells.ys[-1] <= 240
    assert plot.numbers == (n <= 8)


def history(show):
    plot = show(Timeline(), 600, 70)
    steps = np.arange(0, 6001, 100)
    plot.set_data(
        steps, 60, [Stretch(0, 1500, "p 0.9"), Stretch(1500, 6000, "p 0.03")],
        [Stretch(0, 2000, "2 orthogonal", 0.2), Stretch(2000, 6000, "pentagon, 5", 0.8)],
    )  # fmt: skip
    plot.grab()
    return plot


def test_a_drag_on_the_timeline_scrubs_through_the_records(qtbot, show):
    plot, heard = history(show), []
    plot.scrubbed.connect(heard.append)
    for step in (1200, 3000):
        where = QPoint(round(plot.x_of(step)), 30)
        qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=where)
        qtbot.mouseMove(plot, where + QPoint(0, 1))
        qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=where)
    assert {12, 30} <= set(heard)
    assert plot.at == 30


def test_keys_scrub_and_stop_at_the_ends(show):
    plot, heard = history(show), []
    plot.scrubbed.connect(heard.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_PageUp, Qt.Key.Key_Home,
                Qt.Key.Key_Left, Qt.Key.Key_End):  # fmt: skip
        QTest.keyClick(plot, key)
    assert heard == [60, 59, 49, 0, 0, 60]


def test_the_marker_says_now_at_the_end_and_the_step_before(show):
    plot = history(show)
    assert ">now 6,000<" in svg_bytes(plot).decode()
    plot.show_record(12)
    assert ">at 1,200<" in svg_bytes(plot).decode()
    assert plot.describe(0, 12) == "step 1,200, density p 0.9, shape 2 orthogonal"


def test_a_curve_names_its_baselines_changes_and_value(show):
    plot = show(StepCurve(), 320, 200)
    steps = np.arange(0, 4001, 10)
    plot.set_data(
        steps, 0.4 + np.exp(-steps / 200), baselines=[Baseline("output zero", np.ones(len(steps)))],
        marks=[Mark(2000, "p 0.3"), Mark(3000, "pentagon", True)],
    )  # fmt: skip
    drawn = svg_bytes(plot).decode()
    for word in (">output zero<", ">p 0.3<", ">0.40<", ">step<", ">2,000<"):
        assert word in drawn
    assert "pentagon" in plot.describe(0, 300)
    assert ">-0<" not in drawn


def test_a_peak_does_not_flatten_the_rest_of_a_curve(show):
    plot = show(StepCurve(), 320, 200)
    values = np.full(500, 0.4)
    values[3] = 90.0
    plot.set_data(np.arange(500), values)
    plot.grab()
    assert plot.high < 2


def test_the_strip_shows_the_chosen_one_and_clicks_count_all_instances(qtbot, show):
    plot, heard = show(WheelStrip(), 300, 80), []
    arrows = np.tile(PENTAGON.T, (50, 1, 1))
    plot.set_data(arrows, np.ones((50, 5)), [str(i + 1) for i in range(50)], 30)
    plot.clicked.connect(lambda _row, at: heard.append(at))
    plot.grab()
    assert plot.first <= 30 < plot.first + plot.cells.cols
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(10, 20))
    assert heard
    assert heard[0] < 31
    assert plot.describe(0, 0).startswith(f"instance {plot.first + 1} of 50")


PLOTS = [
    lambda: (Wheel(), lambda p: p.set_data(ARROWS, **ABOUT, title="p 0.9")),
    lambda: (Polyhedron(), lambda p: p.set_data(
        TETRAHEDRON, importance=np.ones(4), interference=np.ones(4), represented=np.ones(4, bool))),
    lambda: (NormBars(), lambda p: p.set_data(np.ones(8), np.ones(8), np.ones(8, bool))),
    lambda: (Timeline(), lambda p: p.set_data(np.arange(9), 3, [Stretch(0, 8, "p 1")], [])),
    lambda: (StepCurve(), lambda p: p.set_data(np.arange(9), np.ones(9))),
    lambda: (WheelStrip(), lambda p: p.set_data(
        ARROWS.T[None], np.ones((1, 7)), ["p 0.9"], 0)),
]  # fmt: skip


@pytest.mark.parametrize("make", PLOTS, ids=["wheel", "solid", "bars", "time", "curve", "strip"])
def test_every_plot_is_painted_empty_tiny_and_with_text_that_stays_text(qapp, show, make):
    plot, fill = make()
    show(plot, 20, 20)
    fill(plot)
    for tokens in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, tokens)
        for size in ((3, 3), (20, 20), (150, 60), (600, 500)):
            plot.resize(*size)
            assert not plot.grab().isNull()
    assert b"<text" in svg_bytes(plot)
    assert plot.page_height(400) > 0
