"""The lens, its training and direct attribution as panels: made-up results, real clicks."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication

from engine.refs import Ref
from engine.techniques.direct_logit_attribution import DirectLogitAttribution
from engine.techniques.logit_lens import LogitLens
from engine.techniques.tuned_lens import TunedLens
from gui.focus import Focus
from gui.lens import parts_said, rows, said, tuned_said
from gui.panels.direct_logit_attribution import DirectLogitAttributionPanel
from gui.panels.logit_lens import LogitLensPanel
from gui.panels.tuned_lens import TunedLensPanel
from tests.gui import causal_kit
from tests.gui.causal_kit import SIZES, overlaps
from tests.gui.lens_fake import TOKENS, attribution, lens, training

shown = causal_kit.shown
LENS = Ref("tuned lens", "a" * 64, "/nowhere/my lens")


def asked(panel):
    """What the panel asks of the window from now on."""
    heard = []
    panel.desk.asked.connect(lambda what, about: heard.append((what, about)))
    return heard


# the lens


def test_a_row_of_attention_turns_the_focus_to_the_attention_and_back(shown):
    panel = shown(LogitLensPanel, lens("sublayers"))
    at = panel.result.row_names.index("5.attn")
    panel.map.choose(at, 3)
    focus = panel.desk.focus
    assert (focus.layer, focus.position, focus.component) == (5, 3, "blocks.5.attn")
    assert focus.hook == "blocks.5.hook_resid_mid"
    assert panel.map._focus == (at, 3)
    names, hooks = panel.result.row_names, panel.result.row_hooks
    assert names[rows.row_of(Focus(layer=5), names, hooks)] == "5.mlp"
    assert rows.row_of(Focus(layer=40), names, hooks) is None
    panel.map.choose(0, 1)
    assert (panel.desk.focus.component, panel.desk.focus.layer) == ("embed", None)
    assert panel.map._focus[0] == 0


def test_the_sentence_says_where_the_answer_settles_and_by_which_lens(shown):
    panel = shown(LogitLensPanel, lens("sublayers"))
    panel.desk.turn(position=3)
    said_ = panel.line.text()
    row = next(at for at, name in enumerate(panel.result.row_names) if at / 24 > 2 / 3)
    assert rows.in_words(panel.result.row_names[row]) in said_
    assert "first lead at" in said_
    panel.desk.turn(position=TOKENS - 1)
    assert "settles only in" in panel.line.text()
    panel.show_result(lens("sublayers", tuned=True), LogitLens(prompt="a", lens=LENS))
    assert "through the tuned lens" in panel.line.text()
    button = panel.page.lens_button
    assert button.text().strip() == "Tuned lens"
    assert "the tuned lens my lens" in button.toolTip()
    assert "12 rows have no translator" in button.toolTip()


def test_the_pointer_resting_on_a_cell_shows_its_ten_likeliest_tokens(qtbot, shown):
    panel = shown(LogitLensPanel, lens(done=False))
    page, cell = panel.page, panel.map.cells.cell_rect(9, 4).center()
    event = QHelpEvent(QEvent.Type.ToolTip, cell, panel.map.mapToGlobal(cell))
    QApplication.sendEvent(panel.map, event)
    assert page.card.isVisible()
    assert len(page.card.rows) == 10
    words = panel.pieces(panel.result.top_ids[9, 4])
    assert [row[0] for row in page.card.rows] == words
    assert page.rect().contains(page.card.geometry())
    assert not page.card.grab().isNull()
    below = panel.map.cells.cell_rect(10, 4).center()
    qtbot.mouseMove(panel.map, below)
    panel.map._hover((10, 4))
    assert page.card.heading.startswith("Layer 9 after")
    panel.map._hover((1, 4))  # not computed yet
    assert not page.card.isVisible()
    assert "not computed yet" in panel.map.describe(1, 4)
    assert "entropy" in panel.map.describe(10, 4)


def test_a_cell_shows_what_the_switch_says(shown):
    panel = shown(LogitLensPanel, lens(done=False))
    result, map_ = panel.result, panel.map
    numbers = {"token": result.top_probabilities[..., 0], "entropy": result.entropy,
               "probability": result.target_probability, "kl": result.kl}  # fmt: skip
    shows = panel.page.shows
    for at in range(shows.count()):
        shows.setCurrentIndex(at)
        shows.activated.emit(at)
        show = panel.view()["cells"]
        if show == "rank":
            assert map_.text[-1][0] == f"{result.target_rank[-1, 0] + 1:,}"
            np.testing.assert_allclose(map_.values[-1], 1.0)  # rank 1 is the full colour
            assert np.nanmin(map_.values) >= 0
        else:
            np.testing.assert_allclose(map_.values, numbers[show].astype(np.float32))
        assert np.isnan(map_.values[0]).all()


def test_watched_tokens_are_followed_at_the_position_that_is_looked_at(shown):
    panel = shown(LogitLensPanel, lens(watch=(12, 20)), size=(1400, 700))
    plot = panel.page.watch
    assert plot.isVisible()
    assert not panel.curve.isVisible()
    panel.desk.turn(position=4)
    lines = {line.name: line for line in plot.lines}
    assert len(lines) == 3  # the tracked one too
    word = panel.pieces([20])[0]
    np.testing.assert_allclose(lines[word].values, panel.result.watched_probability[1, :, 4])
    panel.page.quantities.buttons["rank"].click()
    ranks = {line.name: line for line in plot.lines}[word].values
    np.testing.assert_allclose(ranks, panel.result.watched_rank[1, :, 4] + 1)
    assert plot.at(0, 1).y() < plot.at(0, 900).y()  # 1 on top
    plot.choose(0, 6)
    assert panel.desk.focus.layer == 5
    assert panel.view()["quantity"] == "rank"


def test_watching_the_chosen_token_runs_again_with_it(qtbot, open_panel):
    panel = open_panel(LogitLensPanel)
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    panel.desk.turn(layer=0, position=2, hook="blocks.0.hook_resid_post")
    token = int(panel.result.top_ids[1, 2, 0])
    panel.watch_chosen()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    assert panel.drawn[0].watch == (token,)
    assert panel.result.watched_ids.tolist() == [token]
    assert panel.spec() == panel.drawn[0]
    panel.watch_chosen()  # it is watched already
    assert not panel.running


def test_nothing_of_the_lens_stands_on_anything_else(shown):
    panel = shown(LogitLensPanel, lens(watch=(12, 20, 31)))
    page = panel.page
    for view, size in product(("Table", "Text", "Watch"), SIZES):
        panel.resize(*size)
        panel.set_view({"view": view})
        panel.show_result(panel.result, *panel.drawn)
        panel.grab()
        assert not overlaps(page), (view, size)
        seen = {"Table": page.map, "Text": page.text, "Watch": page.watch}[view]
        assert seen.isVisible()
        assert seen.height() > 60, (view, size)


def test_the_other_lens_and_the_way_to_train_one_are_in_one_menu(qtbot, shown):
    panel = shown(LogitLensPanel, lens(tuned=True), LogitLens(prompt="a", lens=LENS))
    heard = asked(panel)
    panel._fill_lenses()
    actions = {action.text(): action for action in panel.page.lens_menu.actions()}
    assert "my lens" in actions
    actions["Train a tuned lens"].trigger()
    assert heard == [("reveal", "TunedLens")]


def test_what_is_doubtful_about_a_lens_is_said_once(shown):
    doubtful = lens(tuned=True, warnings=("its hash of the unembedding differs",))
    panel = shown(LogitLensPanel, doubtful)
    assert "differs" in panel.message.text.text()
    panel.message.hide()
    panel.set_view({"cells": "kl"})
    panel.show_result(doubtful, *panel.drawn)
    assert not panel.message.isVisible()


def test_two_lenses_are_compared_by_their_distance_to_the_end():
    one, other = lens(), lens(tuned=True)
    names = [said.lens_name(one), said.lens_name(other, "X")]
    text = said.compared(one, other, names, [np.zeros(3, int)] * 2)
    assert "B by the tuned lens X" in text
    assert "closer in 12 of 12 rows" in text
    stays = [np.full(5, 4), np.full(5, 9)]
    moved = replace(one, tokens=one.tokens + 1)
    assert "layer 3" in said.compared(one, moved, names, stays)
    assert "layer 8 in B" in said.compared(one, moved, names, stays)
    assert "13 rows, B has 25" in said.compared(one, lens("sublayers"), names, stays)


# the text


def test_a_long_text_wraps_scrolls_and_keeps_every_token_whole(qtbot, shown):
    panel = shown(LogitLensPanel, lens(tokens=256), size=(900, 600))
    panel.set_view({"view": "Text"})
    panel.show_result(panel.result, *panel.drawn)
    text = panel.page.text
    text.grab()
    assert text.bar.isVisible()
    first, last = text.box_of(12, 0), text.box_of(12, 255)
    assert last.top() > first.top() + 5 * text._high
    for at in (0, 17, 100, 255):
        assert text.box_of(3, at).width() >= 10
    panel.desk.turn(position=250, layer=4)
    assert text.bar.value() > 0
    box = text.box_of(5, 250)
    assert text.rect().contains(box)
    qtbot.mouseClick(text, Qt.MouseButton.LeftButton, pos=text.box_of(7, 249).center())
    assert (panel.desk.focus.layer, panel.desk.focus.position) == (6, 249)
    before = text.bar.value()
    qtbot.keyClick(text, Qt.Key.Key_PageUp)
    assert text.bar.value() < before
    assert text.cell_at(QPoint(2, 2)) == (-1, -1)  # the names of the layers


# direct attribution


def test_the_bars_sum_to_the_logit_and_the_deviation_is_printed(shown):
    result = attribution(off=2e-7)
    panel = shown(DirectLogitAttributionPanel, result)
    plot = panel.page.parts_plot
    assert plot.sum == pytest.approx(3.2)
    assert sum(part.value for part in plot.shown) == pytest.approx(plot.sum)
    assert "deviation 2e−7" in panel.page.identity.text()
    assert "raw weights" in panel.page.title.text()
    assert "minus" in panel.page.title.text()
    assert "attention of layer 9" in panel.line.text()
    panel.desk.turn(position=3)
    assert plot.sum == pytest.approx(result.total[3])
    assert "(3)" in panel.page.title.text()
    assert panel.page.strip._focus == (None, 3)


def test_a_click_on_a_bar_turns_the_focus_to_what_wrote_it(shown):
    panel = shown(DirectLogitAttributionPanel, attribution("head"), size=(900, 700))
    plot = panel.page.parts_plot
    row = next(at for at, part in enumerate(plot.shown) if part.name == "9.6")
    plot.choose(row, 0)
    focus = panel.desk.focus
    assert (focus.layer, focus.head, focus.component) == (9, 6, "blocks.9.attn")
    assert panel.page.heads._focus == (9, 6)
    assert plot._focus == panel.result.names.index("9.6")
    assert panel.page.strip.row_labels == ["all", "9.6"]
    plot.choose(len(plot.shown) - 1, 0)  # the others together
    assert panel.desk.focus == focus
    panel.page.heads.choose(10, 7)
    assert plot._focus == panel.result.names.index("10.7")
    panel.page.stream.choose(0, 0)
    assert panel.desk.focus.component == "embed"


def test_neurons_and_layers_have_words_of_their_own(shown):
    panel = shown(DirectLogitAttributionPanel, attribution("neuron", weights="folded", wrong=-1))
    assert "folded weights" in panel.page.title.text()
    assert "minus" not in panel.page.title.text()
    panel.page.show_view("Neurons")
    panel.page.neurons.choose(2, 0)
    layer, index = int(panel.result.neuron_layer[2]), int(panel.result.neuron_index[2])
    assert (panel.desk.focus.layer, panel.desk.focus.feature) == (layer, index)
    assert parts_said.in_words("3.n5", "neuron") == "neuron 5 of layer 3"
    assert parts_said.in_words("3", "layer") == "layer 3"
    assert parts_said.in_words("b_U", "bias") == "b_U"


def test_nothing_of_an_attribution_stands_on_anything_else(shown):
    panel = shown(DirectLogitAttributionPanel, attribution())
    for view, size in product(("Parts", "So far", "Heads", "Neurons"), SIZES):
        panel.resize(*size)
        panel.set_view({"view": view, "order": "size"})
        panel.show_result(panel.result, *panel.drawn)
        panel.grab()
        assert not overlaps(panel.page), (view, size)
        assert panel.page.title.isVisible()


def test_half_an_attribution_is_drawn_without_a_sentence_about_the_rest(shown):
    whole = attribution()
    value = whole.value.copy()
    value[5:] = np.nan
    nothing = np.full(TOKENS, np.nan)
    half = replace(whole, value=value, logit=nothing, total=nothing, deviation=nothing,
                   heads=np.full(whole.heads.shape, np.nan))  # fmt: skip
    panel = shown(DirectLogitAttributionPanel, half)
    assert not panel.grab().isNull()
    assert panel.line.text() == ""
    assert "not all there yet" in panel.page.identity.text()


def test_two_attributions_say_what_is_largest_in_each():
    one = attribution("head")
    text = parts_said.compared(one, replace(one, value=-one.value), [TOKENS - 1] * 2)
    assert text == "Largest: head 9.6 (+3.40) in A, head 9.6 (−3.40) in B."
    assert "raw weights, B" in parts_said.compared(one, attribution(weights="folded"), [0, 0])


# the tuned lens


def test_a_trained_lens_is_compared_with_the_logit_lens_by_layer(shown):
    result = training()
    panel = shown(TunedLensPanel, result, TunedLens())
    assert "at every layer" in panel.line.text()
    assert "block 0" in panel.line.text()
    names = [line.name for line in panel.page.by_layer.lines]
    assert names == ["tuned lens", "logit lens"]
    panel.page.by_layer.choose(0, 7)
    assert panel.desk.focus.layer == 7
    strong = [line.name for line in panel.page.over_steps.lines if line.strong]
    assert strong == ["mean", "block 7"]
    assert "20,000 held out" in panel.page.detail.text()
    worse = replace(result, held_out_kl=result.lens_kl * np.where(np.arange(12) < 3, 2, 0.5))
    assert "at 9 of 12 layers" in tuned_said.sentence(worse)
    start = replace(result, held_out_step=0, held_out_kl=result.lens_kl)
    assert tuned_said.sentence(start).startswith("Untrained, it is the logit lens")


def test_before_the_held_out_text_is_read_the_sentence_is_of_the_steps(shown):
    nothing = np.full(12, np.nan)
    panel = shown(TunedLensPanel, replace(training(40), held_out_kl=nothing, lens_kl=nothing))
    assert panel.line.text().startswith("Step 40")
    empty = replace(training(0), history_kl=np.zeros((0, 12)), history_step=np.zeros(0, int),
                    held_out_kl=nothing, lens_kl=nothing)  # fmt: skip
    panel.show_result(empty, *panel.drawn)
    assert not panel.grab().isNull()
    assert tuned_said.compared(empty, empty) == ""


def test_a_lens_in_a_file_is_used_by_the_panel_of_the_lens(qtbot, shown, monkeypatch):
    panel = shown(TunedLensPanel, training(), TunedLens())
    heard = asked(panel)
    qtbot.mouseClick(panel.page.use, Qt.MouseButton.LeftButton)
    assert not heard
    assert "in no file" in panel.message.text.text()
    monkeypatch.setattr(panel, "ref", lambda: LENS)
    qtbot.mouseClick(panel.page.use, Qt.MouseButton.LeftButton)
    assert heard == [("run", ("LogitLens", {"lens": LENS}))]


def test_a_lens_is_saved_into_a_folder_of_its_own_and_never_over_another(
    qtbot, shown, bundled, tmp_path
):
    from engine.lens.tuned import load

    cfg, result = bundled.config, training()
    n = cfg.n_layers
    own = replace(
        result, layers=np.arange(n), W=np.zeros((n, cfg.d_model, cfg.d_model), np.float32),
        b=np.zeros((n, cfg.d_model), np.float32), held_out_kl=result.held_out_kl[:n],
        lens_kl=result.lens_kl[:n], history_kl=result.history_kl[:, :n],
        model_name=bundled.name, model_digest=bundled.digest,
    )  # fmt: skip
    panel = shown(TunedLensPanel, own, TunedLens())
    heard = asked(panel)
    panel.save(tmp_path)
    qtbot.waitUntil(lambda: "The lens is in" in panel.message.text.text(), timeout=3000)
    place = next(tmp_path.iterdir())
    assert load(place, bundled).W.shape == own.W.shape
    panel.message.action.click()
    ((what, (kind, values)),) = heard
    assert (what, kind, values["lens"].where) == ("run", "LogitLens", str(place))
    panel.save(tmp_path)
    assert "is there already" in panel.message.text.text()


def test_nothing_of_a_training_stands_on_anything_else(shown):
    panel = shown(TunedLensPanel, training(), TunedLens())
    for size in SIZES:
        panel.resize(*size)
        panel.grab()
        assert not overlaps(panel.page), size
        assert panel.page.by_layer.height() > 60, size
        assert panel.side.isVisible() == (size[0] >= 760)


def test_a_click_on_folded_asks_for_another_run(qtbot, open_panel):
    panel = open_panel(DirectLogitAttributionPanel)
    panel.page.units.setCurrentIndex(2)
    panel.page.units.activated.emit(2)
    qtbot.mouseClick(panel.page.weights.buttons["folded"], Qt.MouseButton.LeftButton)
    spec = panel.spec()
    assert isinstance(spec, DirectLogitAttribution)
    assert (spec.unit, spec.weights) == ("head", "folded")


def test_the_window_goes_to_the_panel_that_trains_a_lens_and_runs_nothing(reading):
    reading.desk.ask("reveal", "TunedLens")
    panel = reading.panel("TunedLens")
    assert reading.host.in_sight(panel)
    assert not panel.running
