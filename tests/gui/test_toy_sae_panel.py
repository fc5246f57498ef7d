"""The toy SAE: its sphere, its table, its detectors and curves, its presets."""

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt

from engine.sae.toy_presets import PRESETS
from engine.techniques.toy_sae import ToySAE
from gui.panels.toy_sae import ToySAEPanel
from gui.plots.grid import NOWHERE
from gui.sae_toy.board import COSINES, DETECTORS, SPHERE, STEPS

SHORT: dict[str, Any] = {"n_steps": 80, "n_samples": 400, "batch": 64, "record": 5, "lr": 0.02}


@pytest.fixture(scope="module")
def results() -> dict[int, Any]:
    return {count: ToySAE(**SHORT, instances=count).run(None) for count in (1, 3)}


@pytest.fixture
def panel(qtbot, desk, jobs):
    made = ToySAEPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(1400, 900)
    made.show()
    return made


@pytest.fixture
def shown(panel, results):
    """The panel with a short training of one or three SAEs."""

    def show(count: int = 1) -> ToySAEPanel:
        spec = ToySAE(**SHORT, instances=count)
        panel.form.show_spec(spec)
        panel.show_result(results[count], spec)
        return panel

    return show


def seen(board) -> set[str]:
    return {name for name, plot in board.plots.items() if plot.isVisible()}


def test_everything_stands_beside_the_sphere_where_there_is_room(shown):
    board = shown().board
    assert seen(board) == {"globe", "matrix", "detectors", "scores", "counts"}
    assert not board.tabs.isVisible()
    assert "seeds" in seen(shown(3).board)


@pytest.mark.parametrize(
    ("tab", "parts"),
    [(SPHERE, {"globe"}), (COSINES, {"matrix"}), (DETECTORS, {"detectors"}),
     (STEPS, {"scores", "counts"})],
)  # fmt: skip
def test_a_small_panel_has_a_tab_for_each_picture(shown, tab, parts):
    panel = shown()
    panel.resize(420, 300)
    panel.board.tabs.setCurrentIndex([SPHERE, COSINES, DETECTORS, STEPS].index(tab))
    assert seen(panel.board) == parts
    for name in parts:
        assert panel.board.rect().contains(panel.board.plots[name].geometry())


def test_a_click_on_a_ball_lights_its_latent_and_concept_everywhere(qtbot, shown):
    panel = shown()
    globe = panel.board.globe
    globe.settle()
    concept = next(at for at in range(12) if globe.concept[at] >= 0)
    tip = globe.tips[concept]
    at = globe.cell_at(QPoint(round(tip[0]), round(tip[1])))[0]  # one nearer may lie above it
    qtbot.mouseClick(globe, Qt.MouseButton.LeftButton, pos=QPointF(*tip).toPoint())
    assert globe.chosen == (at, 0)
    own = globe.concept[at]
    lit = int(own) if own >= 0 else None
    assert globe.lit == panel.board.detectors.lit == lit
    assert f"latent {at}, " in globe.describe(at, 0)
    panel.choose_latent(at)
    assert globe.chosen == NOWHERE
    assert globe.lit is None


def test_a_cell_of_the_table_is_the_latent_that_its_row_names(shown, results):
    panel = shown()
    matrix, result = panel.board.matrix, results[1]
    for row in (0, 5, 11):
        matrix.choose(row, 2)
        latent = panel.board.globe.chosen[0]
        assert matrix.row_labels[row].split()[0] == str(latent)
        assert matrix.values[row, 2] == pytest.approx(result.cosine[0, latent, 2], abs=1e-6)
    gold = matrix.borders
    assert gold.sum() == (result.matched[0] >= 0).sum()


def test_a_detector_shows_the_matched_latent_on_the_samples(shown, results):
    panel = shown()
    plot, result = panel.board.detectors, results[1]
    concept = 3
    plot.choose(concept // plot.cells.cols, concept % plot.cells.cols)
    latent = int(result.matched[0, concept])
    np.testing.assert_array_equal(plot.f[concept], result.sample_f[0, latent])
    assert plot.lit == concept
    assert f"read by latent {latent}" in plot.describe(0, concept)
    assert f"{result.f1[0, concept]:.3f}" in plot.describe(0, concept)


def test_a_click_on_a_curve_goes_back_to_that_step(shown, results):
    panel = shown()
    result, now = results[1], panel.line.text()
    panel.board.scores.choose(0, 1)
    assert panel.line.text().startswith(f"At step {result.history_step[1]}: ")
    row = panel.board.globe.rows[0] * np.linalg.norm(result.history_W_dec[1, 0])
    np.testing.assert_allclose(row, result.history_W_dec[1, 0], atol=1e-6)
    assert panel.board.scores.at == result.history_step[1]
    panel.board.scores.choose(0, len(result.history_step) - 1)
    assert panel.line.text() == now
    assert panel.board.scores.at is None


def test_another_seed_is_shown_by_a_click_and_has_no_path(shown, results):
    panel = shown(3)
    assert "of 3 SAEs find all 5" in panel.board.detail.text()
    assert len(panel.board.globe.trail)
    panel.board.seeds.choose(0, 2)
    assert "Shown: seed 2" in panel.board.detail.text()
    assert not len(panel.board.globe.trail)
    np.testing.assert_allclose(panel.board.globe.true, results[3].directions[2])
    assert sum(not line.strong for line in panel.board.scores.lines) == 3


def test_the_second_line_is_made_of_whole_sentences(shown):
    panel = shown()
    panel.resize(560, 420)
    text = panel.board.detail.text()
    assert text.endswith(".")
    assert panel.board.detail.heightForWidth(panel.board.detail.width()) <= (
        panel.board.detail.height()
    )


def test_only_what_the_architecture_has_is_asked(panel):
    entries = panel.form.entries
    asked = {
        kind: {name for name in ("k", "sparsity", "bandwidth") if not entries[name].isHidden()}
        for kind in ("standard", "topk", "jumprelu")
        if entries["architecture"].__setattr__("value", kind) is None
    }
    assert asked == {"standard": {"sparsity"}, "topk": {"k"}, "jumprelu": {"sparsity", "bandwidth"}}


def test_a_preset_runs_and_says_what_was_measured(qtbot, panel):
    panel.demonstrate()
    qtbot.waitUntil(lambda: panel.job is not None and not panel.running, timeout=15_000)
    row = panel.side.presets.rows[0]
    assert (row.measured, row.agrees) == ("5 of 5", True)
    assert panel.line.text().startswith("All 5 concepts found; mean best cosine 0.99")
    assert panel.side.presets.current == 0
    assert len(panel.side.presets.rows) == len(PRESETS)


def test_the_view_comes_back_and_nonsense_in_it_is_ignored(shown):
    panel = shown()
    panel.choose_concept(1)
    panel.board.globe.look_from(1.0, 0.2)
    view = panel.view()
    panel.choose_concept(1)
    panel.board.globe.look_from(0, 0)
    panel.set_view(view)
    assert panel.view() == view
    panel.set_view({"step": -3, "instance": 99, "concept": 88, "latent": "x", "tab": 7,
                    "turned": [float("nan"), 1]})  # fmt: skip
    assert not panel.grab().isNull()


def test_the_sphere_turns_by_drag_and_keys(qtbot, shown):
    globe = shown().board.globe
    yaw = globe.yaw
    qtbot.keyClick(globe, Qt.Key.Key_Right)
    assert globe.yaw == pytest.approx(yaw + 0.1)
    globe.look_from(0, 9)
    assert globe.pitch < np.pi / 2
