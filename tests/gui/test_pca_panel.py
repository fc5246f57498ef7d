"""Principal components: points, components, the lasso, the list, the way to the prompt."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from engine.techniques.principal_components import PrincipalComponents
from gui.components import story
from gui.figures import DOUBLE, SINGLE, Layout, figure_of
from gui.panels.principal_components import PrincipalComponentsPanel
from tests.gui.components_fake import WORDS
from tests.gui.components_fake import result as fake


@pytest.fixture
def panel(qtbot, desk, jobs):
    made = PrincipalComponentsPanel(desk, jobs)
    qtbot.addWidget(made)
    made.pieces = lambda ids: [f" {WORDS[int(i)]}" for i in ids]
    made.resize(900, 600)
    made.show()
    return made


@pytest.fixture
def shown(panel):
    """The panel with a result that was made up."""

    def build(**about):
        panel.show_result(fake(**about), PrincipalComponents())
        return panel

    return build


def place(scatter, at):
    """The pixel of a point."""
    x, y = scatter.where(scatter.points[at : at + 1])
    return QPoint(round(float(x[0])), round(float(y[0])))


def lone(scatter):
    """The point that is farthest from its nearest neighbour."""
    x, y = scatter.where(scatter.points)
    far = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(far, np.inf)
    return int(far.min(axis=1).argmax())


def around(scatter, left, top, right, bottom):
    """Draw a lasso with the mouse."""
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    corners = [QPoint(x, y) for x, y in ((left, top), (right, top), (right, bottom),
                                         (left, bottom), (left, top))]  # fmt: skip
    QTest.mousePress(scatter, button, none, corners[0])
    for corner in corners:
        QTest.mouseMove(scatter, corner)
    QTest.mouseRelease(scatter, button, none, corners[-1])


def test_the_sentence_names_the_component_that_parts_the_label(shown):
    panel = shown()
    share = 100 * panel.result.explained[:2].sum()
    assert panel.line.text() == (
        f"The first two of 8 components hold {share:.0f} % of the variance; "
        "component 2 parts “part_of_speech” best."
    )
    assert "0.87, with shuffled labels 0.02" in panel.board.detail.text()
    none = replace(panel.result, eta_squared=np.full(8, 0.01))
    panel.show_result(none, PrincipalComponents())
    assert "none of them parts “part_of_speech” more than shuffled labels do" in panel.line.text()


def test_points_are_two_columns_of_the_scores(shown):
    panel = shown()
    np.testing.assert_array_equal(panel.board.scatter.points, panel.result.scores[:, :2])
    panel.board.axes_chosen.emit(3, 1)
    np.testing.assert_array_equal(panel.board.scatter.points, panel.result.scores[:, [3, 1]])
    assert panel.board.scatter.axes[0].startswith("PC 4, ")


def test_a_component_is_put_on_an_axis_by_its_bar(qtbot, shown):
    board = shown().board
    row = board.bars.cells.cell_rect(4, 0).center()
    qtbot.mouseClick(board.bars, Qt.MouseButton.LeftButton, pos=row)
    assert board.bars.shown == (4, 1)
    shift = Qt.KeyboardModifier.ShiftModifier
    qtbot.mouseClick(board.bars, Qt.MouseButton.LeftButton, shift, row)
    assert board.bars.shown == (1, 4)
    board.swap.click()
    assert board.bars.shown == (4, 1)
    assert (board.across.currentIndex(), board.up.currentIndex()) == (4, 1)


def test_the_list_begins_with_the_ends_of_the_component_across(shown):
    panel = shown()
    score = panel.result.scores[:, 0]
    assert panel._rows[0] == score.argmax()
    assert panel._rows[-1] == score.argmin()
    assert len(panel._rows) == 2 * story.ENDS == len(panel.board.list.rows)
    assert panel.board.captions["list"].text() == "Highest and lowest on PC 1"


def test_a_lasso_lists_what_it_holds(qtbot, shown):
    panel = shown()
    scatter = panel.board.scatter
    scatter.settle()
    box = scatter.box.toRect()
    around(scatter, box.left(), box.top(), box.center().x(), box.center().y())
    x, y = scatter.where(scatter.points)
    inside = np.flatnonzero((x < box.center().x()) & (y < box.center().y()))
    assert 0 < len(inside) < 400
    assert abs(len(panel._picked) - len(inside)) <= 2  # those on the line
    said = panel.board.captions["list"].text()
    assert said.startswith(f"{len(panel._picked)} of 400: ")
    qtbot.keyClick(scatter, Qt.Key.Key_Escape)
    assert panel._picked == ()
    assert len(panel._rows) == 2 * story.ENDS


def test_a_class_is_listed_by_its_name_in_the_legend(qtbot, shown):
    panel = shown()
    scatter = panel.board.scatter
    scatter.settle()
    name = scatter.keys[2][1].center().toPoint()
    qtbot.mouseClick(scatter, Qt.MouseButton.LeftButton, pos=name)
    assert panel._picked == tuple(np.flatnonzero(panel.result.label == 2).tolist())
    assert panel.board.captions["list"].text().endswith(" determiner")
    qtbot.mouseClick(scatter, Qt.MouseButton.LeftButton, pos=name)
    assert panel._picked == ()


def test_a_click_makes_the_example_the_prompt_and_its_token_the_focus(qtbot, shown):
    panel = shown()
    at = lone(panel.board.scatter)
    where = place(panel.board.scatter, at)
    qtbot.mouseClick(panel.board.scatter, Qt.MouseButton.LeftButton, pos=where)
    assert panel.desk.prompts.clean == panel.result.example_text[at]
    assert panel.desk.focus.position == panel.result.example_where[at]
    assert panel.board.scatter.chosen == (at, 0)
    row = panel.board.list.cells.cell_rect(3, 0).center()
    qtbot.mouseClick(panel.board.list, Qt.MouseButton.LeftButton, pos=row)
    assert panel.desk.prompts.clean == panel.result.example_text[panel._rows[3]]
    assert panel.board.list.chosen == (3, 0)


def test_the_arrows_go_from_example_to_example(qtbot, shown):
    panel = shown()
    panel.choose(4)
    qtbot.keyClick(panel.board.scatter, Qt.Key.Key_Right)
    assert panel._example == 5
    qtbot.keyClick(panel.board.scatter, Qt.Key.Key_Left)
    assert panel._example == 4


def test_the_word_that_is_read_stands_between_what_comes_before_and_after(shown):
    panel = shown()
    row = story.in_text(panel.result, 7, panel.result.label, panel.pieces)
    words = panel.result.example_text[7].split()
    where = int(panel.result.example_where[7])
    assert (row.word, row.before.split(), row.after.split()) == (
        words[where], words[:where], words[where + 1 :]
    )  # fmt: skip


def test_words_without_blanks_of_their_own_are_set_apart_and_bos_is_left_out(shown):
    panel = shown()
    ids = np.full((400, 4), -1)
    ids[:, :4] = [0, 1, 2, 3]
    result = replace(panel.result, example_prompt_tokens=ids, example_where=np.full(400, 3),
                     example_text=("old cat sat",) * 400)  # fmt: skip
    plain = story.in_text(result, 0, result.label, lambda _: ["<bos>", "old", "cat", "sat"])
    assert (plain.before, plain.word) == ("old cat", "sat")
    own = story.in_text(result, 0, result.label, lambda _: ["<bos>", "ol", "d", " cat"])
    assert (own.before, own.word) == ("old", "cat")


def test_a_mean_of_a_text_and_a_point_of_a_plane_are_listed_whole(shown):
    panel = shown(example_where=np.full(400, -1))
    before = panel.desk.focus
    panel.choose(3)
    assert panel.desk.focus == before
    assert panel.desk.prompts.clean == panel.result.example_text[3]
    assert panel.board.list.rows[0].word == panel.result.example_text[panel._rows[0]]
    panel = shown(example_prompt_tokens=np.zeros((400, 0), int), example_where=np.zeros(400, int))
    prompts = panel.desk.prompts
    panel.choose(5)
    assert panel.desk.prompts == prompts  # no text to read


def test_many_classes_share_the_last_colour(shown):
    panel = shown(n=300, classes=tuple(f"class {at}" for at in range(30)))
    kind, names = story.kinds(panel.result)
    assert len(names) == story.COLOURS + 1
    assert names[-1] == "other, 23 classes"
    kept = np.bincount(panel.result.label, minlength=30)
    assert (kind < story.COLOURS).sum() == np.sort(kept)[-story.COLOURS :].sum()
    assert not panel.grab().isNull()


def test_what_is_not_computed_yet_is_no_point(shown):
    nothing = np.full((400, 8), np.nan)
    panel = shown(scores=nothing, explained=nothing[0], eta_squared=nothing[0])
    assert panel.board.scatter.is_empty()
    assert panel.line.text() == "Activations are being read."


def test_thousands_of_points_are_drawn_as_dots(shown):
    assert not shown(n=4000).grab().isNull()


def test_its_switches_come_back_and_damaged_ones_do_no_harm(shown):
    panel = shown()
    panel.show_axes(2, 5)
    panel._brush(np.array([1, 2, 3]))
    panel.choose(2)
    kept = json.loads(json.dumps(panel.view()))
    panel.set_view({"axes": [1], "picked": "all", "example": -3})
    assert panel.view() == {"axes": [0, 1], "picked": [], "example": None}
    panel.set_view(kept)
    assert panel.view() == {"axes": [2, 5], "picked": [1, 2, 3], "example": 2}
    panel.set_view({"axes": [99, 99], "picked": [9999], "example": 9999})
    assert panel.view() == {"axes": [7, 0], "picked": [], "example": None}


@pytest.mark.parametrize("size", [(420, 300), (420, 560), (560, 420)])
def test_everything_lies_within_a_small_panel(shown, size):
    panel = shown()
    panel.resize(*size)
    board = panel.board
    for part in board.parts():
        if part.isVisible():
            assert board.rect().contains(part.geometry())
    assert board.scatter.height() >= 80


@pytest.mark.parametrize("width", [SINGLE, DOUBLE])
def test_a_page_has_the_points_and_the_components(shown, width):
    with figure_of(shown(), Layout(width_mm=width)) as figure:
        board: Any = figure.page.findChild(type(shown().board))
        assert board.scatter.isVisibleTo(figure.page)
        assert board.bars.isVisibleTo(figure.page)
        assert not board.across.isVisibleTo(figure.page)
        assert not figure.cramped
