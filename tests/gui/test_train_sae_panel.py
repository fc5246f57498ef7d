"""Training SAEs: what the panel shows of them, the runs beside each other, what can be done."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt

from engine.sae import files
from engine.session import Session
from engine.techniques.train_sae import TrainSAE
from gui import theme
from gui.entries import Entry
from gui.focus import Opened
from gui.panels.train_sae import TrainSAEPanel
from gui.sae_train import others, story
from gui.sae_train.board import LATENTS, RUNS, TRAINING
from gui.sae_train.presets import PRESETS, preset_of
from tests.gui.every_panel import kept
from tests.gui.panel_kit import FakeRecords, make_quick
from tests.gui.sae_train_fake import SITE
from tests.gui.sae_train_fake import result as fake

FIVE = (4, 8, 16, 32, 64)
PLOTS = ("shares", "loss", "l0", "dead", "pareto", "losses", "density", "cosine")


@pytest.fixture
def panel(qtbot, desk, jobs):
    made = TrainSAEPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(1400, 900)
    made.show()
    return made


@pytest.fixture
def shown(panel):
    """The panel with a result that was made up."""

    def build(k=(32,), **about):
        made = fake(k, **about)
        spec = TrainSAE(k=tuple(int(each) for each in k), hook=SITE)
        panel.form.show_spec(spec)
        panel.show_result(made, spec)
        return panel

    return build


@pytest.fixture
def trained(qtbot, panel, bundled):
    """The panel after a short run on the bundled model."""
    panel.desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
    make_quick(panel)
    panel.form.entries["k"].value = (2, 4)
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=8000)
    assert panel.result is not None, panel.message.text.text()
    return panel


def parts(board):
    return {name for name in PLOTS if board.plot(name).isVisible()}


# the picture


def test_a_large_panel_shows_beside_the_tab_what_the_tab_does_not(shown):
    panel = shown(FIVE)
    for tab, seen in (
        (TRAINING, {"shares", "loss", "l0", "dead", "pareto", "density", "losses"}),
        (LATENTS, {"density", "cosine", "pareto", "losses"}),
        (RUNS, {"pareto", "density", "cosine", "losses"}),
    ):
        panel._turn(tab)
        assert parts(panel.board) == seen


def test_a_small_panel_has_one_plot_for_each_tab_and_every_part_inside(shown):
    panel = shown(FIVE)
    panel.resize(420, 300)
    for tab, seen in ((TRAINING, {"shares"}), (LATENTS, {"density"}), (RUNS, {"pareto"})):
        panel._turn(tab)
        assert parts(panel.board) == seen
        for part in panel.board.parts():
            assert not part.isVisible() or panel.board.rect().contains(part.geometry()), part


def test_nothing_of_the_form_is_wider_than_its_column(shown):
    side = shown().side
    assert side.widget().minimumSizeHint().width() <= side.viewport().width()


def test_the_sentence_says_what_the_numbers_are(shown):
    panel = shown()
    text = panel.line.text()
    assert "32.0 of 512 latents" in text
    assert story.percent(panel.result.recovered[0]) in text
    assert "21 of 512 latents were silent" in panel.board.detail.text()
    assert "1.62 nats" in panel.board.detail.text()
    worse = replace(panel.result, recovered=np.array([-0.2]))
    assert "worse off" in story.words(worse, 0)[0]


def test_of_several_the_sentence_names_the_best_and_the_sparsest(shown):
    text = shown(FIVE).line.text().replace("\N{NO-BREAK SPACE}", " ")
    assert "k = 64 recovers" in text
    assert "k = 4 recovers" in text


def test_before_held_out_text_was_read_it_says_what_is_explained_in_training(shown):
    panel = shown(read=False, step=60)
    assert "At step 60, 512 latents explain" in panel.line.text()
    assert panel.board.detail.text() == ""
    assert "losses" not in parts(panel.board)
    assert panel.board.pareto.is_empty()


def test_held_out_readings_stand_at_their_steps_however_long_the_curve_is(shown):
    made = fake(step=5000)
    n = 3000
    long = replace(
        made, history_step=np.arange(n), history=np.ones((len(made.metric_names), n, 1)),
        check_step=np.array([1200]), check_recovered=np.array([[0.5]]),
        check_explained=np.array([[0.25]]),
    )  # fmt: skip
    lines = {line.name: line for line in story.shares(long, 0).lines}
    values = lines["recovered, held out"].values
    assert len(values) == story.MOST
    assert values[np.isfinite(values)].tolist() == [0.5]
    at = int(np.flatnonzero(np.isfinite(values))[0])
    assert abs(long.history_step[story.records(long)][at] - 1200) < n / story.MOST


def test_another_sae_of_the_run_is_chosen_by_list_dot_or_key(qtbot, shown):
    panel = shown(FIVE)
    board = panel.board
    ways = (
        lambda: board.variants.setCurrentIndex(1),
        lambda: board.pareto.choose(0, 2),
        lambda: qtbot.keyClick(board, Qt.Key.Key_Right),
    )
    for at, way in enumerate(ways, start=1):
        before = board.density.counts.tolist()
        way()
        name = panel.result.variant_names[at]
        assert (panel.variant, board.variants.currentIndex()) == (at, at)
        assert board.density.counts.tolist() != before
        strong = [bar.name for bar in board.losses.bars if bar.strong]
        assert strong == [f"{story.short(name)} in place"]
        assert [point.name for point in board.pareto.points if point.strong] == [name]
        assert f"{name}:" in board.detail.text()


def test_one_sae_has_no_list_to_choose_from(shown):
    assert not shown().board.variants.isVisible()
    assert shown(FIVE).board.variants.isVisible()


def test_it_paints_in_both_themes(qapp, shown):
    panel = shown(FIVE)
    pictures = []
    for tokens in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, tokens)
        pictures.append(panel.board.grab().toImage())
    assert pictures[0] != pictures[1]


# the form


def test_only_what_the_architecture_uses_is_asked(panel):
    entries = panel.form.entries
    seen = {}
    for name in ("topk", "standard", "jumprelu"):
        entries["architecture"].value = name
        panel.side.fields.unfold(True)
        seen[name] = {field for field, entry in entries.items() if entry.isVisibleTo(panel.side)}
    assert {"k", "aux_k"} <= seen["topk"]
    assert not {"l1", "bandwidth"} & seen["topk"]
    assert "l1" in seen["standard"]
    assert not {"k", "aux_k", "bandwidth"} & seen["standard"]
    assert {"l1", "bandwidth", "l0_loss"} <= seen["jumprelu"]
    assert "target_l0" not in seen["jumprelu"]


def test_every_recipe_is_accepted_and_known_again(panel):
    for row, preset in enumerate(PRESETS):
        panel.side.take(row)
        assert preset_of(panel.spec()) == row, preset.name
        assert panel.side.presets.current == row
    assert preset_of(replace(panel.spec(), lr=0.0123)) == -1


def test_a_recipe_leaves_text_site_and_size(panel):
    panel.form.entries["hook"].value = "blocks.1.hook_mlp_out"
    panel.form.entries["expansion"].value = 3
    panel.side.take(2)
    assert panel.spec().hook == "blocks.1.hook_mlp_out"
    assert panel.spec().expansion == 3


def test_the_form_says_what_it_amounts_to(panel, bundled):
    panel.desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
    panel.form.show_spec(TrainSAE(k=(4, 8), expansion=2, batch=10, n_steps=30))
    text = panel.side.follows.text()
    assert f"{2 * bundled.config.d_model} latents" in text
    assert "2 SAEs" in text
    assert "300 activations in 30 steps" in text
    completer = panel.form.entries["hook"].control.completer()
    assert completer.completionModel().sourceModel().stringList() == list(bundled.hooks())


# the runs beside each other


def a_run(result, started="2024-05-01T12:00:00", **about):
    return SimpleNamespace(
        kind="TrainSAE",
        result=result,
        started=started,
        title="",
        spec=TrainSAE(),
        artifacts=(),
        **about,
    )


def line(key, run, **about) -> Any:
    return Entry("", run, key=key, **about)


@pytest.fixture
def records(panel):
    made: Any = FakeRecords()
    made.entries = []
    panel.watch_records(made)
    return made


def test_runs_of_the_session_at_the_same_site_are_dots_and_others_are_not(shown, records):
    panel = shown(FIVE)
    records.entries = [
        line(1, a_run(fake((10,)))),
        line(2, a_run(fake((12,), hook="blocks.0.hook_resid_post"))),
        line(3, a_run(fake((14,), model_digest="ff" * 32))),
        line(4, a_run(fake((3, 5)), started="2024-05-01T12:00:09")),
        line(5, SimpleNamespace(kind="LogitLens", result=None)),
    ]
    records.changed.emit()
    found = [point.name for point in panel.board.pareto.points if not point.own]
    assert found == ["k = 10", "k = 3", "k = 5"]
    assert panel.board.notes["pareto"].text() == "2 other runs at this site"
    asked = []
    panel.desk.asked.connect(lambda *what: asked.append(what))
    panel.board.pareto.choose(0, len(FIVE) + 1)
    assert asked == [("show run", records.entries[3])]
    records.entries = records.entries[1:]  # deleted from the list
    panel.show_result(panel.result, *panel.drawn)
    assert [p.name for p in panel.board.pareto.points if not p.own] == ["k = 3", "k = 5"]


def test_the_run_in_the_picture_is_not_its_own_neighbour(shown, records):
    panel = shown(FIVE)
    run = a_run(panel.result)
    records.entries = [line(1, run)]
    records.changed.emit()
    panel.run_shown = run
    panel._draw_again()
    assert all(point.own for point in panel.board.pareto.points)
    panel.run_shown = None


def test_the_dots_of_other_runs_come_with_a_stored_picture(qtbot, shown, records, desk, jobs):
    panel = shown(FIVE)
    records.entries = [line(1, a_run(fake((10,))))]
    records.changed.emit()
    view = json.loads(json.dumps(panel.view()))
    twin = TrainSAEPanel(desk, jobs)
    qtbot.addWidget(twin)
    twin.set_view(view)
    twin.show_result(panel.result, *panel.drawn)
    assert twin.board.pareto.points == panel.board.pareto.points


def test_dots_from_a_damaged_file_are_left_out(shown):
    panel = shown()
    dot = {"run": "", "site": "", "name": "", "l0": 1.0, "recovered": 1.0, "about": "", "key": 0}
    assert len(others.from_json([dot])) == 1
    for value in (
        None, 3, [None], [{"run": 1}], [{"l0": "x"}], [dot | {"l0": float("nan")}],
        [dot | {"name": 5}], [dot | {"key": True}], [dot | {"more": 1}],
    ):  # fmt: skip
        assert others.from_json(value) == []
        panel.set_view({"variant": "no", "tab": [], "others": value})
        assert (panel.variant, panel.view()["tab"]) == (0, TRAINING)


def test_what_lies_only_in_the_file_is_read_and_a_wrong_hook_keeps_the_picture(
    qtbot, trained, records, tmp_path
):
    stored = replace(kept(trained), started="2024-05-01T12:00:00")
    with Session.create(tmp_path / "a.mscope") as session:
        number = session.add(stored)
    bare = replace(stored, result=None)
    records.entries = [
        line(1, bare, id=999, path=tmp_path / "a.mscope"),  # not there
        line(2, bare, id=number, path=tmp_path / "a.mscope"),
    ]
    records.changed.emit()
    qtbot.waitUntil(lambda: len(trained.board.pareto.points) == 4, timeout=5000)
    own, other = trained.board.pareto.points[:2], trained.board.pareto.points[2:]
    assert [(p.name, p.l0, p.recovered) for p in own] == [
        (p.name, p.l0, p.recovered) for p in other
    ]
    before = trained.result
    trained.form.entries["hook"].value = "blocks.9.hook_resid_post"
    trained.run()
    qtbot.waitUntil(lambda: not trained.running, timeout=5000)
    said = trained.message.text.text() + trained.form.entries["hook"].reason.text()
    assert "blocks.9.hook_resid_post" in said
    assert trained.result is before


# what can be done


def test_the_sae_that_is_looked_at_is_saved_loads_again_and_is_browsed(
    qtbot, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr("gui.sae_train.deeds.own_folder", lambda: tmp_path / "own")
    trained.choose(1)
    sae, out = trained.result.sae(1), tmp_path / "out"
    trained.deeds.save(out)
    qtbot.waitUntil(lambda: trained.message.isVisible(), timeout=5000)
    (folder,) = out.iterdir()
    assert "k4" in folder.name
    x = np.random.default_rng(0).normal(size=(7, sae.d_in)).astype(np.float32)
    np.testing.assert_allclose(files.load(folder).reconstruct(x), sae.reconstruct(x), atol=1e-5)
    trained.deeds.save(out)
    assert "already" in trained.message.text.text()
    asked: list[Any] = []
    trained.desk.asked.connect(lambda *what: asked.append(what))
    trained.deeds.browse()  # from what the run wrote at its end
    assert not (tmp_path / "own").exists()
    trained.job.kept = [(step, ref) for step, ref in trained.job.kept if ref.kind != "SAE"]
    trained.deeds.browse()  # as training that was stopped leaves it
    qtbot.waitUntil(lambda: len(asked) == 2, timeout=5000)
    for what, (kind, values) in asked:
        assert (what, kind, values["data"]) == ("run", "Features", None)
        found = files.load(values["sae"].where)
        np.testing.assert_allclose(found.reconstruct(x), sae.reconstruct(x), atol=1e-5)


def test_going_on_from_a_checkpoint_gives_what_never_stopping_gives(qtbot, trained):
    first = trained.result
    assert sorted(trained.deeds.refs())[0] == 4
    trained.deeds.fill(trained.board.checkpoints)
    assert [act.text() for act in trained.board.checkpoints.actions()][-1] == "Step 4"
    assert trained.deeds.go_on(4) is not None
    qtbot.waitUntil(lambda: not trained.running, timeout=8000)
    assert trained.result is not first
    assert trained.form.entries["start"].value == trained.drawn[0].start
    np.testing.assert_array_equal(trained.result.W_dec, first.W_dec)
    np.testing.assert_array_equal(trained.result.history, first.history)
    job = trained.deeds.go_on()  # from the last step: twice as many
    assert job.spec.n_steps == 2 * first.step
    qtbot.waitUntil(lambda: not trained.running, timeout=8000)
    assert trained.result.step == 2 * first.step


def test_where_no_checkpoint_was_kept_it_says_so(shown):
    panel = shown()
    assert panel.deeds.go_on() is None
    assert "checkpoint" in panel.message.text.text()
    assert not panel.board.go_on.isEnabled()
