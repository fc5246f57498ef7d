"""Tasks in the plane, the trainer of many small networks, and their probes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import RunError
from engine.mlp import tasks
from engine.mlp.config import ACTIVATIONS, MLPConfig
from engine.mlp.model import MLP
from engine.mlp.probing import LAMBDAS, probe
from engine.mlp.training import Trainer
from engine.model.ops import Array


def trainer(seeds: Any = (1, 2), act_fn: str = "relu", **fields: Any) -> Trainer:
    given = {"n_train": 60, "n_test": 30, "batch": 16, "lr": 0.01, "n_steps": 50}
    return Trainer(MLPConfig((2, 5, 5, 1), act_fn, "rings"), seeds, **(given | fields))


def unheard() -> None:
    """Stop is not pressed."""


# --- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", tasks.NAMES)
def test_a_task_draws_points_of_the_square_with_the_labels_of_its_rule(task: str) -> None:
    points, labels = tasks.draw(task, 500, 3)
    assert points.shape == (500, 2)
    assert np.abs(points).max() <= 1
    assert 0.3 < labels.mean() < 0.7
    np.testing.assert_array_equal(labels, tasks.label(task, points))
    again, _ = tasks.draw(task, 500, 3)
    np.testing.assert_array_equal(points, again)
    assert not np.array_equal(points, tasks.draw(task, 500, 4)[0])


def test_what_a_straight_line_says_of_each_task_is_as_measured() -> None:
    """Held-out ridge on the raw point, in per cent, beside what was measured before."""
    measured = {"rings": 57.8, "checkerboard": 49.5, "spiral": 55.1, "xor": 52.6, "sine": 89.1}
    for task, wanted in measured.items():
        right = []
        for seed in range(8):
            x, y = tasks.draw(task, 6000, (7, seed))
            (a, b, c), (k, m, n) = np.split(x, 3), np.split((y > 0)[None], 3, axis=1)
            right.append(probe("ridge", (a.T, b.T, c.T), (k, m, n), unheard).accuracy[0])
        assert 100 * np.mean(right) == pytest.approx(wanted, abs=3.5), task


def test_an_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(RunError, match="no task is called 'moons'; there are rings"):
        tasks.label("moons", np.zeros((1, 2)))


def test_cells_and_the_grid_cover_the_square_row_by_row() -> None:
    np.testing.assert_array_equal(tasks.cells(tasks.grid(tasks.CELLS)), np.arange(256))
    assert tasks.cells(np.array([[1.0, 1.0]])) == 255
    assert tasks.grid(2).tolist() == [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]


# --- training -------------------------------------------------------------------------------------


def loss_of(own: Trainer, theta: Array) -> Array:
    """The loss [network] on the batch in hand, by the model's own forward pass."""
    losses = []
    for network, flat in enumerate(theta):
        points = own._h[0][network, :2].T
        z = MLP.from_flat(own.config, flat).forward(points).logits[:, 0]
        losses.append(np.logaddexp(0, np.where(own._labels[network] > 0.5, -z, z)).mean())
    return np.array(losses)


@pytest.mark.parametrize("act_fn", ACTIVATIONS)
@pytest.mark.parametrize("batch", [16, 60], ids=["batch", "all points"])
def test_the_gradient_agrees_with_central_differences(act_fn: str, batch: int) -> None:
    own = trainer(act_fn=act_fn, batch=batch, dtype=np.float64)
    own.theta += 0.1 * np.random.default_rng(0).standard_normal(own.theta.shape)
    own._take()
    own._gradient()
    small = 1e-6
    for seed in range(4):
        way = np.random.default_rng(seed).standard_normal(own.theta.shape)
        sides = loss_of(own, own.theta + small * way), loss_of(own, own.theta - small * way)
        difference = (sides[0] - sides[1]) / (2 * small)
        np.testing.assert_allclose((own._grad * way).sum(axis=1), difference, rtol=1e-5, atol=1e-9)


def test_a_step_is_adams() -> None:
    own = trainer(dtype=np.float64, batch=60)
    before = own.theta.copy()
    own._take()
    own._gradient()
    grad = own._grad.copy()
    own.advance(1)
    moved = own.theta - before
    np.testing.assert_allclose(moved, -0.01 * grad / (np.abs(grad) + 1e-8), atol=1e-12)


@pytest.mark.parametrize("act_fn", ACTIVATIONS)
def test_a_network_learns_the_same_alone_and_beside_others_however_steps_are_divided(
    act_fn: str,
) -> None:
    many, alone = trainer(range(4, 9), act_fn), trainer([6], act_fn)
    many.advance(50)
    for steps in (1, 33, 16):
        alone.advance(steps)
    np.testing.assert_array_equal(many.theta[2], alone.theta[0])
    assert np.abs(many.theta[2] - many.start[2]).max() > 0.05


def test_the_rate_falls_to_nothing_and_begins_anew_at_a_change() -> None:
    own = trainer(lr=0.1, n_steps=100)
    own.step = 50
    assert own.rate() == pytest.approx(0.05)
    own.change(0.2, 100)
    assert own.rate() == pytest.approx(0.2)
    own.step = 75
    assert own.rate() == pytest.approx(0.1)


# --- probes ---------------------------------------------------------------------------------------


def cloud(n: int, seed: int) -> tuple[Array, Any]:
    """Rows [unit, row] of which unit 0 holds the class, noisily; unit 3 is constant (dead)."""
    rng = np.random.default_rng(seed)
    labels = rng.random((1, n)) < 0.4  # [problem, row]
    rows = rng.standard_normal((4, n)) * np.array([[1.0], [50.0], [0.01], [0.0]])
    rows[0] += 3 * labels[0]
    rows[3] = 7.0
    return rows, labels


def test_a_ridge_probe_minimises_its_loss_and_leaves_dead_units_out() -> None:
    (a, k), (b, m), (c, n) = (cloud(400, seed) for seed in range(3))
    found = probe("ridge", (a, b, c), (k, m, n), unheard)
    assert found.accuracy[0] > 0.9
    assert found.penalty[0] in LAMBDAS
    assert found.weights[0, 3] == 0
    x, target = a[:3], 2.0 * k[0] - 1
    scale = x.std(axis=1)

    def loss(weights: Array, bias: float) -> float:
        ridge = found.penalty[0] * np.square(weights * scale).sum()
        return float(np.square(weights @ x + bias - target).mean() + ridge)

    best = loss(found.weights[0, :3], found.bias[0])
    for seed in range(20):
        way = np.random.default_rng(seed).standard_normal(4) * 1e-3
        assert loss(found.weights[0, :3] + way[:3] / scale, found.bias[0] + way[3]) > best


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_a_probe_of_labels_that_mean_nothing_stays_at_chance(kind: str) -> None:
    (a, k), (b, m), (c, n) = (cloud(1000, seed) for seed in range(3))
    rng = np.random.default_rng(9)
    k, m, n = (np.concatenate([y, rng.permutation(y.T).T]) > 0 for y in (k, m, n))
    found = probe(kind, (a, b, c), (k, m, n), unheard)
    assert found.accuracy[0] > 0.9
    assert 0.5 < found.accuracy[1] < 0.65  # the larger class is 60 %
