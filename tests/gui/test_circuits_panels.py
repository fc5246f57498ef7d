"""QK and OV, and composition: their panels, plots, words, and the window's way to them."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from gui import theme
from gui.circuits import sentences
from gui.circuits.composition_page import FROBENIUS, WARNING, Z
from gui.figures import Layout, figure_of
from gui.focus import Focus, Opened
from gui.panels.head_circuits import HeadCircuitsPanel
from gui.panels.head_composition import HeadCompositionPanel
from gui.plots.eigenvalues import Eigenvalues
from gui.plots.layer_graph import Edge, LayerGraph, Style
from gui.plots.pair_list import PairList, PairRow
from gui.plots.pair_scatter import PairScatter, ticks
from tests.gui.heads_fake import census, circuits, composition

SIZES = [(420, 300), (560, 420), (900, 600), (1400, 900)]
STYLES = [Style("Q", 6, 1), Style("K", 5, 0), Style("V", 2, 2)]


@pytest.fixture
def shown(qtbot, desk, jobs, bundled):
    """Make a panel of the bundled model that shows a made-up result."""

    def build(make, result, size=(900, 600)):
        panel = make(desk, jobs)
        qtbot.addWidget(panel)
        panel.resize(*size)
        panel.show()
        desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
        panel.show_result(result, None, bundled)
        return panel

    return build


def overlaps(page):
    """Pairs of visible parts that stand on each other, and parts that stand out of the page."""
    seen = [part for part in page.parts() if part.isVisible()]
    found = [part for part in seen if not page.rect().contains(part.geometry())]
    for at, one in enumerate(seen):
        found += [other for other in seen[at + 1 :] if one.geometry().intersects(other.geometry())]
    return found


# QK and OV


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("part", ["QK", "OV", "Eigenvalues"])
def test_every_part_of_a_head_has_its_own_place(shown, bundled, size, part):
    panel = shown(HeadCircuitsPanel, circuits(bundled, "pig lamp gate cow"), size)
    panel.page.show_view(part)
    assert not overlaps(panel.page)
    everything = panel.page.qk.map.isVisible() and panel.page.ov.map.isVisible()
    assert everything == (size[0] >= 900)
    assert panel.page.plane.isVisible() == (everything or part == "Eigenvalues")


def test_both_maps_are_centred_on_0_with_tokens_on_both_axes(shown, bundled):
    panel = shown(HeadCircuitsPanel, circuits(bundled, "pig lamp gate cow"))
    for view in (panel.page.qk, panel.page.ov):
        low, high = view.map.limits
        assert low == -high
        assert view.map.token_axes == (True, True)
    assert panel.page.qk.map.row_labels[0].strip() == "pig"
    assert len(panel.page.qk.list.pairs) == 12
    assert panel.page.ov.list.pairs[0].left == panel.page.ov.list.pairs[0].right


def test_the_sentence_says_whether_the_head_copies(shown, bundled):
    copies = shown(HeadCircuitsPanel, circuits(bundled, "pig lamp"))
    assert "its OV says what it reads (87 % of tokens" in copies.line.text()
    assert "copying 0.83, random heads up to 0.31" in copies.line.text()
    idle = shown(HeadCircuitsPanel, circuits(bundled, "pig lamp", copies=False))
    assert "its OV does not say what it reads (2 %" in idle.line.text()


def test_rows_that_are_not_computed_yet_are_not_listed(shown, bundled):
    result = circuits(bundled, "pig lamp")
    result.qk_query_ids[3:] = result.qk_key_ids[3:] = -1
    result.qk_value[3:] = np.nan
    panel = shown(HeadCircuitsPanel, result)
    assert len(panel.page.qk.list.pairs) == 3


def test_the_fields_follow_the_focus_but_not_to_a_head_that_the_model_lacks(shown, bundled, desk):
    panel = shown(HeadCircuitsPanel, circuits(bundled, "pig lamp"))
    asked = panel.form.entries
    desk.turn(layer=1, head=3)
    assert (asked["layer"].value, asked["head"].value) == (1, 3)
    desk.turn(layer=0)
    assert (asked["layer"].value, asked["head"].value) == (0, 3)
    desk.set_focus(Focus(layer=99, head=99))
    assert (asked["layer"].value, asked["head"].value) == (0, 3)
    desk.set_focus(Focus(layer=1))
    assert (asked["layer"].value, asked["head"].value) == (0, 3)


def test_the_fields_stand_still_while_it_runs(qtbot, open_panel):
    panel = open_panel(HeadCircuitsPanel)
    panel.desk.turn(layer=1, head=2)
    panel.run()
    panel.desk.turn(layer=0, head=1)
    asked = (panel.form.entries["layer"].value, panel.form.entries["head"].value)
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    assert asked == (1, 2)
    assert (panel.drawn[0].layer, panel.drawn[0].head) == (1, 2)


def test_without_a_prompt_the_largest_entries_are_there_and_the_panel_says_so(qtbot, open_panel):
    panel = open_panel(HeadCircuitsPanel)
    panel.desk.set_prompts(type(panel.desk.prompts)())
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    assert "prompt" in panel.message.text.text()
    assert not panel.page.qk.map.isVisible()
    assert panel.page.qk.list.pairs


def test_an_eigenvalue_is_read_under_the_pointer(qtbot):
    plane = Eigenvalues()
    qtbot.addWidget(plane)
    plane.resize(260, 300)
    plane.set_values(np.array([[2.0, 0.0], [1.0, 1.0], [1.0, -1.0]]), 0.9, 0.2)
    plane.show()
    x, y = plane.where()
    at = plane.cell_at(QPoint(round(x[1]), round(y[1])))
    assert at == (1, 0)
    assert plane.describe(*at) == "λ = 1.00 + 1.00 i, |λ| 1.41"
    assert plane.cell_at(QPoint(1, 1)) == (-1, -1)
    plane.set_values(np.full((3, 2), np.nan), np.nan, np.nan)
    assert plane.is_empty()


# composition


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("heads", [(2, 4), (12, 12)], ids=str)
def test_the_graph_the_list_and_the_scatter_share_the_room(shown, size, heads):
    panel = shown(HeadCompositionPanel, composition(*heads), size)
    for measure in (Z, FROBENIUS):
        panel.page.show_view(measure)
        assert not overlaps(panel.page)
        assert panel.page.graph.isVisible()
        assert not panel.grab().isNull()
    assert panel.page.scatter.isVisible() == (size[0] >= 900)


def test_the_strongest_edges_are_those_of_the_chosen_score(shown):
    result = composition()
    panel = shown(HeadCompositionPanel, result)
    page = panel.page
    assert [edge.source for edge in page.graph.edges[:3]] == [(0, 3)] * 3
    assert {edge.target for edge in page.graph.edges[:3]} == {(1, 1), (1, 2), (1, 3)}
    assert page.graph.warning == ""
    page.switch.buttons[FROBENIUS].click()
    assert (page.graph.edges[0].source, page.graph.edges[0].target) == ((0, 0), (1, 0))
    assert page.graph.warning == WARNING
    assert page.list.pairs[0].value == pytest.approx(0.38 - 0.2)


def test_a_kind_can_be_taken_out_of_the_picture(qtbot, shown):
    panel = shown(HeadCompositionPanel, composition())
    qtbot.mouseClick(panel.page.buttons["K"], Qt.MouseButton.LeftButton)
    assert all(panel.page.graph.styles[edge.kind].letter != "K" for edge in panel.page.graph.edges)
    kept = panel.view()
    panel.set_view({"kinds": ["Q", "K", "V"], "count": 6, "measure": FROBENIUS})
    assert (len(panel.page.graph.edges), panel.page.measure) == (6, FROBENIUS)
    panel.set_view(kept)
    assert panel.view()["kinds"] == ["Q", "V"]


@pytest.mark.parametrize(
    "view", [{}, {"kinds": 3}, {"kinds": [1, {}]}, {"count": "x"}, {"count": 10**9},
             {"measure": ["a"]}, {"kinds": ["nothing"]}],
)  # fmt: skip
def test_a_damaged_view_changes_nothing(shown, view):
    panel = shown(HeadCompositionPanel, composition())
    before = panel.view()
    panel.set_view(view)
    assert panel.view() == before


def test_a_head_is_clicked_into_the_focus_and_an_edge_into_the_detail(qtbot, shown, desk):
    panel = shown(HeadCompositionPanel, composition())
    graph = panel.page.graph
    qtbot.mouseClick(graph, Qt.MouseButton.LeftButton, pos=graph.centre(1, 2).toPoint())
    assert (desk.focus.layer, desk.focus.head) == (1, 2)
    at = next(at for at, edge in enumerate(graph.edges) if edge.target == (1, 1))
    middle = graph._paths[at].pointAtPercent(0.5).toPoint()
    qtbot.mouseClick(graph, Qt.MouseButton.LeftButton, pos=middle)
    chosen = graph.chosen_edge
    words = graph.edges[chosen].words
    assert chosen == graph.edge_at(middle) >= 0
    assert panel.page.detail_line.text() == words
    assert "token-level z" in words
    assert "Frobenius" in words
    assert panel.page.list.chosen == (chosen, 0)
    assert panel.page.scatter.chosen[0] == panel.page.order[chosen]


def test_a_row_of_the_list_marks_its_edge_and_its_dot(qtbot, shown):
    panel = shown(HeadCompositionPanel, composition())
    panel.page.list.choose(2, 0)
    assert panel.page.graph.chosen_edge == 2
    assert panel.page.scatter.chosen[0] == panel.page.order[2]


def test_roles_of_a_published_census_colour_the_heads_and_enter_the_sentence(
    shown, desk, bundled
):  # fmt: skip
    panel = shown(HeadCompositionPanel, composition())
    assert not panel.page.graph.marks
    desk.publish("HeadCensus", census(bundled))
    assert panel.page.graph.marks[0, 3].letter == "P"
    assert {panel.page.graph.marks[1, head].letter for head in (1, 2, 3)} == {"I"}
    assert "0.3 (previous token)" in panel.line.text()
    other = shown(HeadCompositionPanel, composition(3, 4))
    assert not other.page.graph.marks  # of another shape: no head of this picture


def test_the_sentence_says_where_both_scores_disagree_and_calls_weak_pairs_weak():
    result = composition()
    said = sentences.composition(result)
    assert "K 0.3 → 1." in said
    assert "by Frobenius it would be V 0.0 → 1.0, whose z is" in said
    result.token_z[:] = np.minimum(result.token_z, 1.0)
    assert "weak" in sentences.composition(result)
    result.token_z[:] = np.nan
    assert sentences.composition(result) == ""


def test_the_difference_of_two_runs_names_the_strongest_pair_of_each(shown):
    one, other = composition(), composition(writer=(0, 1))
    panel = shown(HeadCompositionPanel, one)
    assert "In both" in panel.difference(one, one)
    said = panel.difference(one, other)
    assert "K 0.3 →" in said
    assert "K 0.1 →" in said


def test_an_edge_past_heads_of_its_own_column_goes_around_them(qtbot):
    graph = LayerGraph()
    qtbot.addWidget(graph)
    graph.resize(400, 300)
    graph.set_graph(3, 2, [Edge(1, (0, 0), (2, 0), 1.0)], STYLES)
    graph.show()
    graph.settle()
    middle = graph._paths[0].pointAtPercent(0.5)
    assert abs(middle.x() - graph.centre(1, 0).x()) > graph.radius
    assert graph.edge_at(middle.toPoint()) == 0
    assert graph.cell_at(graph.centre(1, 0).toPoint()) == (1, 0)


def test_a_dot_of_the_scatter_is_found_and_says_its_pair(qtbot):
    scatter = PairScatter()
    qtbot.addWidget(scatter)
    scatter.resize(300, 240)
    scatter.set_data(np.array([0.1, 0.3]), np.array([0.0, 3.0]), np.array([0, 1]), STYLES,
                     ["Q 0.0 → 1.0", "K 0.3 → 1.2"], axes=("Frobenius", "z"), nulls=[0.2],
                     null_name="95 %", named={1: "K"})  # fmt: skip
    scatter.show()
    x, y = scatter.where(scatter.first, scatter.second)
    assert scatter.describe(*scatter.cell_at(QPoint(round(x[1]), round(y[1])))) == "K 0.3 → 1.2"


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-1.7, 3.4), (0.15, 0.40), (0.0, 1e-3), (-2000.0, 5.0)],
)
def test_ticks_are_few_human_numbers_that_their_decimals_tell_apart(low, high):
    found, places = ticks(low, high, 5)
    assert 2 <= len(found) <= 6
    assert len({f"{value:.{places}f}" for value in found}) == len(found)
    assert all(abs(float(f"{value:.{places}f}") - value) < 1e-9 for value in found)


def test_a_list_of_pairs_leaves_out_what_has_no_room_and_says_so(qtbot):
    pairs = PairList()
    qtbot.addWidget(pairs)
    pairs.set_pairs([PairRow(" a", " b", 9 - at) for at in range(12)], heads=("from", "to"))
    pairs.resize(300, 100)
    pairs.show()
    assert "pairs of a list have no room" in pairs.cramped()
    pairs.resize(300, pairs.sizeHint().height())
    assert pairs.cramped() == ""
    assert pairs.describe(0, 0) == "·a → ·b: 9.000"


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_half_filled_results_are_drawn(qapp, shown, bundled, tokens):
    theme.apply(qapp, tokens)
    half = composition()
    half.token_z[1:] = np.nan
    half.frobenius[:, 0, 2:] = np.nan
    half.null_high[:] = half.null_mean[:] = np.nan
    assert not shown(HeadCompositionPanel, half).grab().isNull()
    part = circuits(bundled, "pig lamp")
    for values in (part.qk_excerpt, part.ov_excerpt, part.eigenvalues):
        values[:] = np.nan
    assert not shown(HeadCircuitsPanel, part).grab().isNull()


def test_roles_stay_with_a_kept_picture_and_go_with_another_model(shown, desk, bundled):
    panel = shown(HeadCompositionPanel, composition())
    desk.publish("HeadCensus", census(bundled))
    kept = panel.view()
    alone = shown(HeadCompositionPanel, composition())
    alone.desk.drop_model(bundled.folder)
    alone.set_view(kept)
    alone.show_result(composition(), None, bundled)
    assert alone.page.graph.marks[0, 3].letter == "P"
    alone.set_view(kept | {"roles_of": "another"})
    alone.show_result(composition(), None, bundled)
    assert not alone.page.graph.marks


@pytest.mark.parametrize(
    ("make", "result"),
    [(HeadCompositionPanel, composition), (HeadCircuitsPanel, None)],
    ids=["composition", "circuits"],
)
@pytest.mark.parametrize("width", [89.0, 183.0])
def test_a_page_of_a_paper_leaves_out_no_more_than_it_says(
    shown, bundled, make, result, width
):  # fmt: skip
    panel = shown(make, circuits(bundled, "pig lamp gate") if result is None else result())
    with figure_of(panel, Layout(width_mm=width)) as figure:
        assert figure.size_mm[1] <= 240
        assert figure.cramped in ("", "6 pairs of a list have no room")


# the window


def test_whoever_asks_for_a_run_gets_the_panel_with_those_fields(qtbot, reading):
    panel = reading.panel("HeadCircuits")
    reading.desk.ask("run", ("HeadCircuits", {"layer": 1, "head": 3}))
    assert reading.current is panel
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert (panel.drawn[0].layer, panel.drawn[0].head) == (1, 3)
    assert "Head 1.3" in panel.line.text()
