"""The probe lab and the panel of a direction's use: what they draw, say and hand to the window."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from engine.errors import RunError
from engine.probes import directions
from engine.techniques.direction_use import DirectionUse
from engine.techniques.layer_probes import LayerProbes
from gui import theme
from gui.focus import Focus, Opened
from gui.panels.direction_use import DirectionUsePanel
from gui.panels.layer_probes import LayerProbesPanel
from gui.plots.probe_curves import ProbeCurves
from gui.plots.probe_marks import SiteCurve
from gui.plots.probe_strips import Mark, Strip, Strips
from gui.probes import kept, pointing, story, use_story
from gui.probes.board import DIRECTIONS, LAYERS, MAP, SITE
from gui.probes.words import per_cent, sites_listed
from tests.gui.probe_fake import half_way, probing, used

WORDS = ["<bos>", " the", " cat", " dog", " sat", " mat", " Mary", " gave"]


@dataclass
class Reader:
    """A model that can say what its tokens are called and where its hooks are."""

    folder: Path
    name: str = "reader"
    digest: str = "ab" * 32

    def pieces(self, ids):
        return [WORDS[int(i)] for i in ids]

    def hooks(self):
        return {f"blocks.{at}.hook_resid_post": "batch pos d_model" for at in range(3)}

    def tokens(self, text, bos="auto"):
        raise RunError("it reads ids alone")


@pytest.fixture
def reader(tmp_path, desk):
    made = Reader(tmp_path)
    desk.put_model(Opened(made.folder, None, made), activate=True)
    return made


@pytest.fixture
def panel(qtbot, desk, jobs, reader):
    made = LayerProbesPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(1200, 800)
    made.show()
    made.show_result(probing(), LayerProbes(), reader)
    return made


def turn(panel, tab):
    at = [panel.board.tabs.tabText(each) for each in range(4)].index(tab)
    panel.board.tabs.setCurrentIndex(at)


# what is said


def test_the_sentence_names_each_accuracy_and_which_layers_beat_their_control(panel):
    assert panel.line.text() == "A linear probe reads number ever better: 58, 69, 85, 96 %."
    said = panel.board.detail.text()
    assert "The embedding and layer 0 are no better than the control task" in said
    assert "only in layers 1 and 2 does accuracy mean" in said
    assert "training adds +38.0 points over random weights in layer 2" in said.lower()


def test_a_probe_that_reads_nothing_is_told_so():
    flat = np.full((4, 4), 0.58)
    none = probing(mean=flat, low=flat - 0.02, high=flat + 0.02,
                   accuracy=np.repeat(flat[:, None], 3, axis=1))  # fmt: skip
    assert "no site beats the most frequent class" in story.headline(none, LayerProbes())[0]


def test_while_it_runs_the_sentence_counts_sites_and_the_second_line_waits_for_the_control():
    said, more = story.headline(half_way(), LayerProbes())
    assert "2 of 4 sites are read" in said
    assert "control" in more


def test_an_accuracy_is_never_rounded_up_to_all_or_down_to_nothing():
    assert per_cent(0.9996) == "99.96"
    assert per_cent(1.0) == "100"
    assert per_cent(0.0002) == "0.02"
    assert per_cent(0.5) == "50"


def test_layers_are_listed_as_a_person_would():
    assert sites_listed(["embed", "0", "1", "2", "5"]) == "the embedding and layers 0 to 2 and 5"
    assert sites_listed(["3"]) == "layer 3"


def test_precision_and_recall_are_those_of_the_confusion():
    about, precision, recall, f1 = story.scores_of(np.array([[821, 17], [48, 1114]]))
    assert about == "class"
    assert (round(precision, 3), round(recall, 3), round(f1, 3)) == (0.985, 0.959, 0.972)


# what is drawn


def test_the_curves_stand_with_controls_and_baselines_that_are_known(panel):
    names = [curve.name for curve in panel.board.curves.curves]
    assert names == ["linear probe", "control task", "random weights", "shuffled labels"]
    assert [level.name for level in panel.board.curves.levels] == ["majority", "word identity"]
    assert panel.board.curves.curves[0].strong


def test_the_probes_kind_names_its_curve(panel, reader):
    panel.show_result(probing(), LayerProbes(probe="sparse", k=3), reader)
    assert panel.board.curves.curves[0].name == "3-sparse probe"


def test_what_is_not_computed_yet_is_not_drawn(qtbot):
    plot = ProbeCurves()
    qtbot.addWidget(plot)
    plot.resize(500, 300)
    plot.set_data(["a", "b"], [SiteCurve("task", np.full(2, np.nan))])
    assert plot.is_empty()
    plot.set_data(["a", "b"], [SiteCurve("task", np.array([0.5, np.nan]))])
    assert not plot.is_empty()
    assert "task 50.0 %" in plot.describe(0, 0)
    assert plot.describe(0, 1) == "b"
    assert not plot.grab().isNull()


def test_every_tab_is_painted_in_both_themes_half_way_and_at_the_end(qapp, panel, reader):
    panel.resize(560, 420)
    for tokens in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, tokens)
        for result in (half_way(), probing(("a", "b", "c"))):
            panel.show_result(result, LayerProbes(), reader)
            for tab in (LAYERS, MAP, DIRECTIONS, SITE):
                panel._turn(tab)
                assert not panel.grab().isNull()


def test_the_chosen_site_has_a_tab_where_it_has_no_column(panel):
    assert panel.board.beside
    assert not panel.board.tabs.isTabVisible(3)
    panel.resize(520, 500)
    assert not panel.board.beside
    assert panel.board.tabs.isTabVisible(3)


def test_the_map_is_offered_only_where_there_is_one(panel, reader):
    assert panel.board.tabs.isTabVisible(1)
    none = probing(map=np.zeros((4, 0)), positions=np.zeros(0, int),
                   map_majority=np.zeros(0), map_counts=np.zeros(0, int))  # fmt: skip
    panel.show_result(none, LayerProbes(), reader)
    assert not panel.board.tabs.isTabVisible(1)


def test_the_bars_stand_in_the_columns_of_the_curves(panel):
    panel.grab()
    assert np.array_equal(panel.board.bars.columns.xs, panel.board.curves.columns.xs)


def test_a_thousand_classes_are_painted(qtbot, panel, reader):
    names = tuple(f"class {at}" for at in range(1000))
    counts = np.zeros((4, 1000, 1000), int)
    counts[:, np.arange(1000), np.arange(1000)] = 3
    many = probing(
        names, confusion=counts, scores=np.zeros((4, 0, 0), np.float32),
        weights=np.ones((4, 1000, 6), np.float32), top_tokens=np.ones((4, 32, 4), int),
        top_values=np.ones((4, 32, 4)), bottom_tokens=np.ones((4, 32, 4), int),
        bottom_values=np.ones((4, 32, 4)),
    )  # fmt: skip
    panel.show_result(many, LayerProbes(), reader)
    panel._turn(DIRECTIONS)
    panel.board.directions.choice.setCurrentIndex(999)
    assert not panel.grab().isNull()


# looking


def test_a_click_on_a_curve_turns_every_panel_to_its_layer(qtbot, panel):
    curves = panel.board.curves
    panel.grab()
    where = QPoint(int(curves.columns.xs[2]), int(curves.box.center().y()))
    qtbot.mouseClick(curves, Qt.MouseButton.LeftButton, pos=where)
    assert panel.desk.focus.hook == "blocks.1.hook_resid_post"
    assert panel.desk.focus.layer == 1
    assert panel.board.site.title.text() == "Layer 1"
    assert curves.focus == 2


def test_the_focus_of_other_panels_turns_the_site_and_its_absence_gives_the_best(panel):
    panel.desk.set_focus(Focus(layer=0))
    assert panel.board.site.title.text() == "Layer 0"
    panel.desk.set_focus(Focus(hook="hook_embed"))
    assert panel.board.site.title.text() == "The embedding"
    panel.desk.set_focus(Focus())
    assert panel.board.site.title.text() == "Layer 2"


def test_the_wrong_examples_come_first_with_most_confidence(panel):
    rows = panel.board.site.examples.examples
    assert [row.margin for row in rows] == [-2.0, -0.5]
    assert panel.board.site.notes["examples"].text() == "2 of 12"


def test_a_cell_of_the_confusion_lists_its_examples_and_again_the_wrong_ones(panel):
    site = panel.board.site
    site.confusion.choose(0, 0)
    assert {row.said for row in site.examples.examples} == {"singular"}
    assert site.captions["examples"].text() == "True singular, read as singular"
    site.confusion.choose(0, 0)
    assert site.captions["examples"].text() == "Wrong with most confidence"


def test_a_click_on_an_example_makes_its_tokens_the_prompt_and_turns_to_the_one_it_reads(panel):
    result, examples = panel.result, panel.board.site.examples
    number = examples.examples[0].number
    examples.choose(0, 0)
    ids = result.example_prompt_tokens[number]
    assert panel.desk.prompts.clean == tuple(int(i) for i in ids if i >= 0)
    assert panel.desk.focus.position == int(result.example_where[number])
    assert examples.chosen == (0, 0)


def test_the_text_itself_is_the_prompt_where_the_model_reads_the_same_tokens(panel, monkeypatch):
    number = panel.board.site.examples.examples[0].number
    ids = panel.result.example_prompt_tokens[number]
    monkeypatch.setattr(Reader, "tokens", lambda self, text, bos="auto": ids[ids >= 0])
    panel.board.site.examples.choose(0, 0)
    assert panel.desk.prompts.clean == panel.result.example_text[number]


# directions


def test_a_direction_is_handed_to_the_interventions_along_the_probe(qtbot, panel):
    turn(panel, DIRECTIONS)
    page = panel.board.directions
    for name, action in (("ablate", "zero"), ("steer", "steer")):
        qtbot.mouseClick(page.buttons[name], Qt.MouseButton.LeftButton)
        edit = panel.desk.edits[-1]
        assert edit.entry.action == action
        assert edit.entry.name == "blocks.2.hook_resid_post"
        assert np.allclose(edit.entry.direction, panel.result.direction(3, 1))
        assert "plural" in edit.words
    assert panel.desk.edits[-1].entry.factor > 0


def test_the_other_class_of_two_points_the_other_way(panel):
    turn(panel, DIRECTIONS)
    panel.board.directions.choice.setCurrentIndex(0)
    panel.board.directions.buttons["ablate"].click()
    assert np.allclose(panel.desk.edits[-1].entry.direction, -panel.result.direction(3, 1))


def test_without_the_model_of_the_run_nothing_is_intervened_on_and_it_says_why(panel):
    turn(panel, DIRECTIONS)
    page = panel.board.directions
    panel.desk.drop_model(panel.desk.active.folder)
    assert not page.buttons["ablate"].isEnabled()
    assert page.buttons["keep"].isEnabled()
    assert "Open this run's model" in page.note.text()


def test_a_kept_direction_is_a_file_and_is_compared_with(qtbot, panel, reader):
    turn(panel, DIRECTIONS)
    qtbot.mouseClick(panel.board.directions.buttons["keep"], Qt.MouseButton.LeftButton)
    (file,) = kept.folder().glob("*.npy")
    vector, about = directions.read(directions.of_file(directions.KIND, file))
    assert about is not None
    assert about.label == "plural"
    assert np.allclose(vector, panel.result.direction(3, 1))
    rows = panel.board.directions.cosines.rows
    assert rows[-1].name == about.name
    assert rows[-1].value == pytest.approx(1.0)
    assert kept.listed(Reader(reader.folder, digest="cd" * 32)) == []


def test_its_use_is_measured_with_the_run_s_own_data(panel):
    asked = []
    panel.desk.asked.connect(lambda *what: asked.append(what))
    turn(panel, DIRECTIONS)
    panel.board.directions.buttons["use"].click()
    ((what, (kind, values)),) = asked
    assert (what, kind) == ("run", "DirectionUse")
    spec = DirectionUse(**values)
    assert spec.hook == "blocks.2.hook_resid_post"
    assert spec.label == "plural"


def test_cosines_leave_out_the_site_itself_and_directions_of_another_width():
    narrow = probing(widths=np.array([4, 6, 6, 6]))
    names = [row.name for row in pointing.cosines(narrow, 3, 1, [("kept", np.ones(5))])]
    assert names == ["Layer 0", "Layer 1"]


# leakage, and what is kept of the view


def test_the_foot_of_the_form_says_whether_a_token_decides_the_label(panel, reader):
    assert panel.side.verdict.text() == "No leakage found"
    told = "Of 60 examples, 82 % have a token that decides the label alone."
    panel.show_result(probing(leakage=told), LayerProbes(), reader)
    assert panel.side.verdict.text() == told
    assert told not in panel.board.detail.text().replace("\u00a0", " ")
    panel.resize(600, 600)  # the form goes, and the picture says it
    assert told in panel.board.detail.text().replace("\u00a0", " ")


def test_the_view_comes_back_and_a_damaged_one_is_survived(panel):
    panel._turn(DIRECTIONS)
    panel._choose_class(0)
    panel._choose_cell(0, 1)
    view = panel.view()
    panel.set_view({"tab": 3, "class": -1, "cell": ["x", None], "map": []})
    assert panel.view()["tab"] == LAYERS
    panel.set_view(view)
    assert panel.view() == view


def test_fields_that_say_nothing_are_hidden(panel):
    entries = panel.form.entries
    assert not entries["k"].isVisible()
    assert not entries["position"].isVisible()
    entries["probe"].value, entries["read"].value = "sparse", "position"
    assert entries["k"].isVisible()
    assert entries["position"].isVisible()
    assert not entries["hook"].isVisible()


# existence against use


@pytest.fixture
def use_panel(qtbot, desk, jobs, reader):
    made = DirectionUsePanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(1000, 640)
    made.show()
    made.show_result(used(), DirectionUse(), reader)
    return made


def test_a_direction_that_moves_more_than_every_random_one_is_used(use_panel):
    said = use_panel.line.text()
    assert said.startswith(
        "Taking “plural” out of layer 1 moves the prediction more than 20 random"
    )
    assert said.endswith("it is used.")
    assert "61.0\u00a0% after here" in use_panel.board.detail.text()


def test_one_that_moves_no_more_than_random_ones_is_read_but_not_shown_to_be_used():
    weak = used(kl=0.03, kl_rank=np.array([0.2, 0.9]))
    assert use_story.headline(weak)[0].endswith("not used along this direction alone.")
    half = use_story.headline(used(kl=0.03, kl_rank=np.array([0.2, 1.0])))[0]
    assert "that are isotropic, but not more than those like the activations" in half


def test_a_smaller_change_than_random_ones_make_is_not_shown_as_strong():
    rows = use_story.losses(used(loss=2.0))
    assert not any(row.strong for row in rows)
    assert all(row.strong for row in use_story.losses(used()))


def test_values_over_many_powers_of_ten_are_told_apart_on_one_axis(qtbot):
    plot = Strips()
    qtbot.addWidget(plot)
    rows = [Strip("a", [Mark("x", value)], "") for value in (1e-4, 1e-2, 3.0)]
    plot.set_strips(rows, wide=True)
    plot.resize(500, plot.sizeHint().height())
    plot.grab()
    places = [plot.x(value) for value in (0.0, 1e-4, 1e-2, 3.0)]
    assert np.diff(places).min() > 20
    assert {"0", "0.01", "1"} <= {word for _, word in plot._marks()}


def test_the_use_of_a_direction_is_painted_at_every_size_in_the_dark(qapp, use_panel):
    theme.apply(qapp, theme.DARK)
    for size in ((420, 300), (560, 420), (1400, 900)):
        use_panel.resize(*size)
        assert not use_panel.grab().isNull()
