"""ToyModel: what it learns, live changes that replay to the bit, bad input, its recording."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError, SpecError
from engine.session import pack
from engine.techniques.toy_model import ToyModel
from engine.toy import reading
from engine.worker import Worker
from tests.engine.toy_claims import CLAIMS, Claim, check

SHORT = ToyModel(n_steps=400, batch=64, record=50, seed=3)
CHANGES = (
    (80, {"density": 0.3}),
    (120, {"n_features": 11}),
    (160, {"d_hidden": 3, "lr": 0.004}),
    (200, {"n_features": 4, "importance_decay": 0.7}),
    (240, {"n_steps": 480}),
    (480, {"n_steps": 520}),
)
QUICK = [claim for claim in CLAIMS if "n=20" not in claim.name]


def equal(one: Any, other: Any) -> bool:
    ours, theirs = pack(one), pack(other)
    return repr(ours[1]) == repr(theirs[1]) and all(
        np.array_equal(value, theirs[0][name], equal_nan=value.dtype.kind == "f")
        for name, value in ours[0].items()
    )


@pytest.mark.hard  # six seconds; tests/hard/test_toy.py asks twenty seeds of each
@pytest.mark.parametrize("claim", QUICK, ids=lambda claim: claim.name)
def test_a_few_seeds_learn_what_is_claimed(claim: Claim) -> None:
    held, line = check(claim, 4, seed=1)
    assert held >= 3, line


def test_live_changes_replay_to_the_same_bits_by_run_and_by_worker() -> None:
    spec = replace(SHORT, pace=40)
    result = spec.run(None, CHANGES)
    assert result.step == 520
    assert result.W.shape == (1, 3, 4)
    assert equal(result, spec.run(None, CHANGES))
    worker = Worker(spec, replay=CHANGES)
    worker.start()
    assert worker.join(60)
    assert equal(worker.poll().result, result)
    assert [step for step, _ in worker.changes] == [step for step, _ in CHANGES]
    plain = spec.run(None)
    assert not np.array_equal(plain.b[0, :4], result.b[0])


def test_a_fork_goes_the_same_way_up_to_any_recorded_state() -> None:
    """Every recorded state is an update, so that a change can be made exactly there."""
    steps = [update.step for update in SHORT.steps(None)]
    assert steps[0] == 0
    assert np.all(np.diff(steps) > 0)
    whole = SHORT.run(None)
    assert set(whole.history_step.tolist()) <= set(steps)
    at = int(whole.history_step[20])
    forked = SHORT.run(None, ((at, {"density": 0.5}),))
    same = int((forked.history_step < at).sum())
    np.testing.assert_array_equal(forked.history_W[:same], whole.history_W[:same])
    assert forked.history_density[-1] == 0.5


def test_the_recording_is_bounded_and_holds_nan_where_nothing_was() -> None:
    spec = replace(SHORT, pace=10, record=30)
    result = spec.run(None, ((100, {"n_features": 10}), (200, {"d_hidden": 3, "n_features": 5})))
    assert 10 <= len(result.history_step) <= 30
    assert result.history_W.shape[1:] == (3, 10)
    for n, m, W in zip(result.history_n, result.history_m, result.history_W, strict=True):
        there = np.isfinite(W)
        assert there[:m, :n].all()
        assert there.sum() == m * n
    assert len(result.history_shape) == len(result.history_step)


def test_a_snapshot_stays_as_it_was_while_the_run_goes_on() -> None:
    generator = SHORT.steps(None)
    next(generator)
    result = next(generator).snapshot()
    before = {name: value.copy() for name, value in pack(result)[0].items()}
    for _ in generator:
        pass
    for name, value in pack(result)[0].items():
        np.testing.assert_array_equal(value, before[name])


def test_each_axis_has_one_length_in_a_result() -> None:
    result = replace(SHORT, densities=(0.1, 0.5, 0.9), n_steps=20).run(None)
    lengths: dict[str, int] = {}
    for item in fields(result):
        value = np.asarray(getattr(result, item.name))
        axes = item.metadata["axes"].split()
        assert len(axes) == value.ndim
        for axis, length in zip(axes, value.shape, strict=True):
            assert lengths.setdefault(axis, length) == length
    np.testing.assert_allclose(result.gram[1], result.W[1].T @ result.W[1], atol=1e-5)
    np.testing.assert_array_equal(result.density, (0.1, 0.5, 0.9))


def test_a_wild_rate_fails_in_words_and_keeps_the_last_good_state() -> None:
    spec = replace(SHORT, optimizer="sgd", activation="linear", pace=5)
    worker = Worker(spec, replay=((20, {"lr": 100.0}),))
    worker.start()
    assert worker.join(60)
    poll = worker.poll()
    assert poll.state == "failed"
    assert isinstance(poll.error, RunError)
    assert "loss is NaN at step" in str(poll.error)
    assert "lower lr" in str(poll.error)
    assert np.isfinite(poll.result.W).all()
    assert poll.result.step >= 20


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"n_features": 0}, "n_features"),
        ({"d_hidden": 31}, "d_hidden"),
        ({"density": 0.0}, "density"),
        ({"density": float("nan")}, "density"),
        ({"densities": (0.1, 1.5)}, "densities"),
        ({"densities": (0.1, 0.5), "instances": 3}, "densities"),
        ({"importances": (1.0, 0.5)}, "importances"),
        ({"importances": (0.0,) * 8}, "importances"),
        ({"start": "even angles", "d_hidden": 3}, "start"),
        ({"instances": 256, "batch": 16_384, "n_features": 80}, "batch"),
        ({"lr": 0.0}, "lr"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        ToyModel(**given)
    assert caught.value.field == field


def test_a_change_that_cannot_be_is_refused_before_it_is_made() -> None:
    spec = replace(SHORT, importances=(1.0,) * 8)
    with pytest.raises(SpecError) as caught:
        spec.changed({"n_features": 9})
    assert caught.value.field == "importances"
    with pytest.raises(SpecError):
        SHORT.changed({"batch": 128})


def test_untied_weights_do_worse_and_a_linear_output_is_pca() -> None:
    """The two controls: more loss and less even without tying; two features without the ReLU."""
    spec = ToyModel(density=0.05, instances=6, n_steps=3000, batch=256, record=2)
    tied, untied = spec.run(None), replace(spec, tied=False).run(None)
    regular = [sum(reading.frame(result, None, at).shape.regular for at in range(6))
               for result in (tied, untied)]  # fmt: skip
    assert regular[0] >= 4 > regular[1]
    assert not np.array_equal(untied.W, untied.W_out)
    linear = replace(spec, activation="linear", density=0.9).run(None)
    np.testing.assert_array_equal(linear.recovered.sum(axis=1), 2)
    np.testing.assert_allclose(linear.loss, linear.closed_form_loss, rtol=0.1)
