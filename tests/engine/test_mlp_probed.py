"""TrainMLP: number 7 of what was measured, its controls, live changes, snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import Cancelled, SpecError
from engine.mlp.running import Running
from engine.technique import RunError, from_json, result_fields, to_json
from engine.techniques.train_mlp import TrainMLP, TrainMLPResult

SMALL: dict[str, Any] = {"n_steps": 40, "n_train": 100, "n_test": 80, "width": 6, "depth": 2,
                         "batch": 20, "record": 5}  # fmt: skip


@pytest.fixture(scope="module")
def small() -> TrainMLPResult:
    return TrainMLP(**SMALL, instances=3, seed=5).run(None)


def same(one: TrainMLPResult, other: TrainMLPResult) -> None:
    for name in result_fields(TrainMLP):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_rings_come_apart_layer_by_layer_and_the_controls_do_not() -> None:
    """Three networks of the twenty that the hard trial takes; bounds are wider for so few."""
    result = TrainMLP(instances=3, n_steps=2000, record=2, seed=11).run(None)
    probes, control, untrained, shuffled = 100 * result.accuracies.mean(axis=1)  # [site] each
    assert (np.diff(probes) > 3).all()
    assert 50 < probes[0] < 65
    assert probes[3] >= 94
    assert result.accuracy.min() > 0.95
    assert max(untrained[1:].max(), shuffled.max()) < 65
    assert control.max() < 70
    assert (result.accuracies[0, :, 3] - result.accuracies[0, :, 1] > 0.05).all()


def test_what_is_shown_is_what_the_model_of_the_result_does(small: TrainMLPResult) -> None:
    model = small.model()
    run = model.forward(small.points, names="all")
    np.testing.assert_allclose(1 / (1 + np.exp(-run.logits[:, 0])), small.decision, atol=1e-6)
    for layer in range(2):
        np.testing.assert_allclose(run.cache[f"layers.{layer}.hook_post"], small.hidden[layer],
                                   atol=1e-6)  # fmt: skip
        scores = small.hidden[layer] @ small.probe_weights[layer + 1] + small.probe_bias[layer + 1]
        np.testing.assert_allclose(scores, small.probe_score[layer + 1], atol=1e-5)
    right = (small.probe_score > 0) == (small.labels > 0)  # every held-out point is shown
    np.testing.assert_allclose(right.mean(axis=1), small.accuracies[0, 0], atol=1e-12)
    assert ((small.decision > 0.5) == small.labels).mean() == pytest.approx(small.accuracy[0])
    corner = 1 - 1 / 96
    logit = model.forward([corner, -corner]).logits.item()
    assert small.boundary[0, -1] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    corner = 1 - 1 / 32
    unit = model.forward([-corner, corner], names="layers.1.hook_post")
    np.testing.assert_allclose(unit.cache["layers.1.hook_post"][0], small.unit_map[1, :, -1, 0],
                               atol=1e-6)  # fmt: skip
    assert model.config.seed == 5
    assert small.model(2).config.seed == 7


def test_instance_i_is_the_run_of_seed_plus_i(small: TrainMLPResult) -> None:
    alone = TrainMLP(**SMALL, seed=7).run(None)
    np.testing.assert_array_equal(alone.weights[0], small.weights[2])
    np.testing.assert_array_equal(alone.accuracies[:, 0], small.accuracies[:, 2])
    assert alone.majority[0] == small.majority[2]


def test_a_live_change_takes_effect_and_replays_to_the_same_bits() -> None:
    spec, changes = TrainMLP(**SMALL, pace=10), ((10, {"lr": 0.05}), (20, {"n_steps": 60}))
    one = spec.run(None, changes)
    same(one, spec.run(None, changes))
    assert one.step == 60
    assert one.history_step[-1] == 60
    plain = spec.run(None)
    same(plain, TrainMLP(**SMALL, pace=7).run(None))  # where updates come changes nothing
    assert not np.array_equal(one.weights, plain.weights)


def test_a_snapshot_does_not_change_while_the_run_goes_on() -> None:
    updates = list(TrainMLP(**SMALL, pace=10).steps(None))
    assert [update.step for update in updates] == [0, 10, 20, 30, 40]
    generator = TrainMLP(**SMALL, pace=10).steps(None)
    first = next(generator)
    early = first.snapshot()
    kept = early.weights.copy(), early.probe_history.copy()
    list(generator)
    np.testing.assert_array_equal(kept[0], early.weights)
    np.testing.assert_array_equal(kept[1], early.probe_history)
    same(early, first.snapshot())  # taken after the end, it is the same
    assert early.step == 0
    np.testing.assert_array_equal(early.accuracies[0], early.accuracies[2])  # untrained


def test_random_weights_are_the_network_before_its_training(small: TrainMLPResult) -> None:
    np.testing.assert_array_equal(small.probe_history[2], small.probe_history[2][:1].repeat(
        len(small.history_step), axis=0))  # fmt: skip
    np.testing.assert_array_equal(small.probe_history[0, 0], small.probe_history[2, 0])
    np.testing.assert_array_equal(small.probe_history[:, -1], small.accuracies[:, 0])
    np.testing.assert_array_equal(np.isnan(small.probe_weights).sum(axis=1), [4, 0, 0])


def test_logistic_probes_of_other_networks_come_at_the_end() -> None:
    spec = TrainMLP(**SMALL, instances=2, probe="logistic", pace=20)
    first, *_, last = [update.snapshot() for update in spec.steps(None)]
    assert np.isnan(first.accuracies[:, 1]).all()
    assert np.isfinite(first.accuracies[:, 0]).all()
    assert np.isfinite(last.accuracies).all()
    ridge = TrainMLP(**SMALL, instances=2, pace=20).run(None)
    np.testing.assert_array_equal(ridge.weights, last.weights)
    assert np.abs(ridge.accuracies - last.accuracies).mean() < 0.06


def test_stop_is_heard_and_a_loss_that_is_no_number_is_an_error() -> None:
    class Stopped:
        def listen(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(TrainMLP(**SMALL).steps(Stopped()))
    spec = TrainMLP(**SMALL)
    running = Running(spec, TrainMLPResult, None, slow=False)
    running.trainer.theta[:] = np.nan
    with pytest.raises(RunError, match=r"loss is NaN at step \d+; lower lr, now 0\.01"):
        running.advance(spec)


def test_a_batch_that_nobody_would_wait_for_is_refused() -> None:
    with pytest.raises(SpecError, match="batch: 20000 is above 128 for 64 networks of 8 x 128"):
        TrainMLP(instances=64, width=128, depth=8, batch=20_000, n_train=20_000)
    TrainMLP(instances=64, width=128, depth=8, batch=20_000, n_train=100)  # takes all points
    assert from_json(to_json(TrainMLP(task="xor"))) == TrainMLP(task="xor")


@pytest.mark.parametrize("task", ["checkerboard", "spiral", "xor", "sine"])
def test_every_task_trains_with_every_activation(task: str) -> None:
    for act_fn in ("tanh", "gelu"):
        about: dict[str, Any] = SMALL | {"n_steps": 400, "n_train": 1000, "width": 16, "batch": 64}
        result = TrainMLP(**about, task=task, act_fn=act_fn).run(None)
        assert np.isfinite(result.accuracies).all()
        assert result.history_loss.min() < result.history_loss[0]
