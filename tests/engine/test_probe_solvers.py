"""Probes of one matrix: scikit-learn's minima, closed forms, bounded memory, awkward classes."""

import functools
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError
from engine.probes import logistic_loss, ridge, standardising, symmetric
from engine.probes.fitting import (
    KINDS,
    Fitted,
    Kind,
    Problems,
    choose,
    classes_of,
    finish,
    fit,
    margins,
    predict,
)  # fmt: skip
from engine.probes.logistic import LogisticLoss
from engine.probes.logistic_loss import Meter
from engine.probes.mass_mean import inverted
from engine.probes.problems import nobody
from engine.probes.standardising import Rows, own

CASES = (
    *("two classes", "four classes", "separable", "wide"),
    *("near-collinear", "dead unit", "two examples", "far from 0"),
)


@pytest.fixture(scope="module")
def peer(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "probes.npz") as file:
        return dict(file)


def drawn(n: int, d: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X [row, d] and labels [row] that depend on it linearly, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)).astype(np.float32)
    z = X @ rng.standard_normal((d, classes)) + rng.gumbel(size=(n, classes))
    return X, z.argmax(axis=1)


def one(y: np.ndarray, lambdas: tuple[float, ...] = (1e-2,), classes: int = 0) -> Problems:
    """One task that learns from all rows."""
    return Problems.crossed(y[None], np.ones((1, len(y)), bool), classes or y.max() + 1, lambdas)


def fitted(kind: Kind, X: np.ndarray, problems: Problems, **more: Any) -> Fitted:
    return finish(fit(kind, X, problems, **more))


@pytest.mark.parametrize("case", CASES)
def test_logistic_probes_are_those_of_scikit_learn(case: str, peer: dict[str, np.ndarray]) -> None:
    X, y = peer[f"{case}/X"], peer[f"{case}/y"].astype(int)
    found = fitted("logistic", X, one(y, tuple(peer["lambdas"])))
    assert (found.gradient_norm <= 1e-6).all()
    exact, alike = (f"{case}/{tolerance}" for tolerance in ("1e-10", "1e-06"))
    np.testing.assert_allclose(found.standardised(), peer[f"{exact}/coef"], atol=1e-3)
    np.testing.assert_allclose(found.loss, peer[f"{exact}/loss"], atol=1e-6)
    np.testing.assert_allclose(found.loss, peer[f"{alike}/loss"], atol=1e-6)
    if case != "wide":  # there scikit-learn itself is 2e-3 away from its own minimum at 1e-6
        np.testing.assert_allclose(found.standardised(), peer[f"{alike}/coef"], atol=1e-3)
    centre = np.einsum("pod,pd->po", found.weights, found.mean)  # [lambda, output]
    np.testing.assert_allclose(found.bias + centre, peer[f"{exact}/bias"], atol=1e-3)


def test_a_unit_that_never_moves_has_no_weight(peer: dict[str, np.ndarray]) -> None:
    X, y = peer["dead unit/X"].copy(), peer["dead unit/y"].astype(int)
    X[-1, 2] = 50  # it moves, but in a row that the task does not learn from
    problems = one(y, (1e-2,))
    train = problems.train.copy()
    train[0, -1] = False
    problems = Problems.crossed(y[None], train, 3, [1e-2])
    kinds: tuple[Kind, ...] = ("logistic", "ridge", "hidden")
    for kind in kinds:
        found = fitted(kind, X, problems)
        weights = found.inner.weights if found.inner else found.weights
        assert not weights[..., 2].any(), kind
        assert np.isfinite(predict(found, X)).all(), kind


@pytest.mark.parametrize("classes", [2, 3])
def test_gradient_and_curvature_are_those_of_the_loss(classes: int) -> None:
    X, y = drawn(60, 5, classes)
    X = X * 3 + 10
    rng = np.random.default_rng(1)
    train = rng.random((2, 60)) < 0.7
    problems = Problems.crossed(np.stack([y, rng.permutation(y)]), train, classes, [1e-2])
    rows = Rows(X, None, nobody)
    loss = LogisticLoss(rows, problems, np.arange(2), own(rows, train), Meter(2, ""))
    loss.precise = True

    def at(point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return returned(loss.evaluate(point))

    shape = (2, problems.outputs, 6)
    point, u = rng.standard_normal(shape), rng.standard_normal(shape)
    _, gradient = at(point)
    bent = returned(loss.curvature(u.astype(np.float32)))
    h = 1e-5
    (up, g_up), (down, g_down) = at(point + h * u), at(point - h * u)
    along = np.einsum("pod,pod->p", gradient, u)
    np.testing.assert_allclose((up - down) / (2 * h), along, rtol=1e-6)
    np.testing.assert_allclose(bent, (g_up - g_down) / (2 * h), atol=2e-5)


def returned(steps: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("classes", [2, 4])
def test_many_problems_together_are_each_alone(classes: int) -> None:
    X, y = drawn(200, 20, classes)
    rng = np.random.default_rng(3)
    labels = np.stack([y, rng.permutation(y), y])
    labels[1, :30] = -1
    train = rng.random(labels.shape) < 0.6
    problems = Problems.crossed(labels, train, classes, [1.0, 1e-3])
    for kind in KINDS:
        if kind == "hidden":
            continue  # its networks share batches of rows
        together = fitted(kind, X, problems, k=3)
        for task in range(3):
            own_rows = np.flatnonzero(train[task] & (labels[task] >= 0))
            alone = fitted(
                kind, X[own_rows], one(labels[task][own_rows], (1.0, 1e-3), classes), k=3
            )
            np.testing.assert_allclose(
                together.weights[2 * task : 2 * task + 2], alone.weights, atol=1e-4, err_msg=kind
            )


def test_large_data_are_solved_in_slabs_to_the_same_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    for classes in (2, 3):
        X, y = drawn(500, 12, classes)
        whole: dict[Kind, Fitted] = {kind: fitted(kind, X, one(y)) for kind in KINDS}
        with monkeypatch.context() as small:
            small.setattr(standardising, "KEPT_BYTES", 0)
            small.setattr(standardising, "SLAB_ENTRIES", 400)
            small.setattr(logistic_loss, "KEPT_BYTES", 0)
            for kind, expected in whole.items():
                found = fitted(kind, X, one(y))
                np.testing.assert_allclose(predict(found, X), predict(expected, X), atol=1e-3)


def test_ridge_solves_its_equation() -> None:
    X, y = drawn(150, 7, 3)
    found = fitted("ridge", X * 5 + 100, one(y, (0.1,)))
    x = (X - X.mean(axis=0)) / X.std(axis=0)
    target = (y[:, None] == np.arange(3)) - np.bincount(y) / len(y)
    expected = np.linalg.solve(x.T @ x / 150 + 0.1 * np.eye(7), x.T @ target / 150).T
    np.testing.assert_allclose(found.standardised()[0], expected, atol=1e-4)


def test_stacked_ridge_is_ridge_network_by_network() -> None:
    X, y = drawn(2 * 60, 5, 2)
    X = X.reshape(2, 60, 5) * 4 + 7
    X[1, :, 3] = 2.0  # a dead unit
    y = y.reshape(2, 60)
    weights, bias = ridge.solve(X, 2.0 * y[..., None] - 1, [1.0, 1e-3])
    assert weights.shape == (2, 2, 1, 5)
    for network in range(2):
        alone = fitted("ridge", X[network], one(y[network], (1.0, 1e-3)))
        np.testing.assert_allclose(weights[network], alone.weights, atol=1e-5)
        np.testing.assert_allclose(bias[network], alone.bias, atol=1e-4)


def test_mass_mean_is_the_difference_of_means_and_corrected_by_the_covariance() -> None:
    X, y = drawn(300, 6, 2)
    X = X @ np.diag([1, 1, 3, 1, 1, 0.2]).astype(np.float32) + 5
    means = [X[y == one].mean(axis=0) for one in (0, 1)]
    theta = means[1] - means[0]
    plain = fitted("mass_mean", X, one(y))
    np.testing.assert_allclose(plain.weights[0, 0], theta, atol=1e-4)
    np.testing.assert_allclose(plain.bias[0, 0], -theta @ (means[0] + means[1]) / 2, atol=1e-3)
    within = np.concatenate([X[y == k] - means[k] for k in (0, 1)]).astype(np.float64)
    inverse = np.linalg.pinv(within.T @ within / 300)
    found = fitted("mass_mean_corrected", X, one(y))
    np.testing.assert_allclose(found.weights[0, 0], inverse @ theta, rtol=1e-3)


def test_mass_mean_of_two_classes_is_that_of_many_with_two() -> None:
    X, y = drawn(200, 6, 2)
    kinds: tuple[Kind, ...] = ("mass_mean", "mass_mean_corrected")
    for kind in kinds:
        two, many = (fitted(kind, X, one(y, classes=classes)) for classes in (2, 3))
        scores = predict(many, X)[0]
        assert np.isneginf(scores[:, 2]).all()  # nobody has seen the third class
        difference = scores[:, 1] - scores[:, 0]
        np.testing.assert_allclose(difference, predict(two, X)[0, :, 0], atol=1e-3)


def test_a_sparse_probe_reads_the_units_that_matter() -> None:
    X, y = drawn(400, 30, 2)
    X[:, 11] += 3 * y
    X[:, 4] -= 2 * y
    found = fitted("sparse", X, one(y, (1.0, 1e-3)), k=2)
    assert found.units is not None
    assert found.units.tolist() == [[11, 4]] * 2
    assert set(np.flatnonzero(found.weights[1, 0])) == {4, 11}
    accuracy = (classes_of(predict(found, X))[1] == y).mean()
    assert accuracy > 0.9
    with pytest.raises(RunError, match="k: 31 is not between 1 and the 30 units"):
        fitted("sparse", X, one(y), k=31)


def test_a_hidden_layer_reads_what_no_line_divides() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 4)).astype(np.float32) * 9 + 30
    y = ((X[:, 0] > 30) ^ (X[:, 1] > 30)).astype(int)
    accuracy: dict[Kind, float] = {}
    kinds: tuple[Kind, ...] = ("logistic", "hidden")
    for kind in kinds:
        found = fitted(kind, X[:400], one(y[:400], (1e-4,)), hidden_units=32)
        accuracy[kind] = (classes_of(predict(found, X, np.arange(400, 600)))[0] == y[400:]).mean()
    assert accuracy["logistic"] < 0.65
    assert accuracy["hidden"] > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_spec_gives_the_same_bits(kind: Kind) -> None:
    X, y = drawn(100, 8, 3)
    first, second = (fitted(kind, X, one(y, (1.0, 1e-2)), k=3) for _ in range(2))
    assert (first.weights == second.weights).all()
    assert (first.bias == second.bias).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_was_never_learnt_is_never_said(kind: Kind) -> None:
    X, y = drawn(150, 8, 4)
    problems = Problems.crossed(y[None], (y != 2)[None], 4, [1e-2])
    found = fitted(kind, X, problems, k=3)
    scores = predict(found, X)
    assert np.isneginf(scores[0, :, 2]).all()
    assert np.isfinite(found.weights).all()
    assert (classes_of(scores) != 2).all()
    assert np.isneginf(margins(scores, y)[0, y == 2]).all()


def test_margins_are_negative_exactly_where_the_probe_is_wrong() -> None:
    for classes in (2, 4):
        X, y = drawn(100, 6, classes)
        scores = predict(fitted("logistic", X, one(y)), X)
        assert ((margins(scores, y) > 0) == (classes_of(scores) == y)).all()
        y[3] = -1
        assert np.isnan(margins(scores, y)[0]).tolist() == (y < 0).tolist()


def test_lambda_is_chosen_on_validation_and_ties_go_to_the_larger() -> None:
    X, y = drawn(300, 60, 2)
    train = np.arange(300) < 80
    validation = (~train)[None]
    problems = Problems.crossed(y[None], train[None], 2, [1e-4, 1e-1, 1e-2])
    found = fitted("logistic", X, problems)
    chosen, accuracy = choose(found, X, problems, validation)
    right = (classes_of(predict(found, X)) == y)[:, ~train].mean(axis=1)
    np.testing.assert_allclose(accuracy, right)
    assert accuracy[chosen[0]] == accuracy.max()
    alike = Problems.crossed(y[None], train[None], 2, [1e-4, 1e-1])
    same = fitted("mass_mean", X, alike)
    assert choose(same, X, alike, validation)[0].tolist() == [1]
    nobody_asked, none = choose(same, X, alike, np.zeros((1, 300), bool))
    assert nobody_asked.tolist() == [1]
    assert np.isnan(none).all()


def test_what_cannot_be_learnt_is_refused_by_name() -> None:
    X, y = drawn(20, 3, 2)
    everything = np.ones((1, 20), bool)
    with pytest.raises(RunError, match="its 20 training rows hold fewer than two classes"):
        one(np.zeros(20, int), classes=2)
    with pytest.raises(RunError, match="1 class: a probe needs two"):
        Problems.crossed(np.zeros((1, 20), int), everything, 1, [1.0])
    with pytest.raises(RunError, match="lambda 0: every penalty"):
        Problems.crossed(y[None], everything, 2, [1.0, 0.0])
    X[3, 1] = np.nan
    for kind in KINDS:
        with pytest.raises(RunError, match="not finite in 1 of 3 units"):
            fitted(kind, X, one(y), k=1)


def test_a_fit_listens_and_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic_loss, "MULTIPLY_ADDS", 1e4)
    X, y = drawn(300, 20, 3)
    for kind in KINDS:
        heard: list[None] = []
        listen = functools.partial(heard.append, None)
        steps = fit(kind, X, one(y, (1.0, 1e-3)), k=3, listen=listen)
        shares = [progress.share for progress in steps]
        assert heard, kind
        assert shares == sorted(shares), kind
        assert all(0 <= share <= 1 for share in shares), kind


def test_a_thousand_classes_are_read() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 1000
    X = (rng.standard_normal((1000, 32))[y] + 0.1 * rng.standard_normal((2000, 32))).astype("f4")
    found = fitted("ridge", X, one(y))
    assert found.weights.shape == (1, 1000, 32)
    found = fitted("mass_mean_corrected", X, one(y))
    assert (classes_of(predict(found, X))[0] == y).mean() > 0.99


def test_large_systems_are_solved_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetric, "BLOCK", 4)
    rng = np.random.default_rng(0)
    half = rng.standard_normal((30, 11))
    A, B = half.T @ half, rng.standard_normal((11, 3))
    np.testing.assert_allclose(symmetric.Cholesky(A, nobody).solve(B), np.linalg.solve(A, B))
    np.testing.assert_allclose(inverted(A, B, nobody), np.linalg.pinv(A) @ B)
    A[:, 3] = A[3] = 0.0  # now it has no inverse
    with pytest.raises(np.linalg.LinAlgError):
        symmetric.Cholesky(A, nobody)
    np.testing.assert_allclose(inverted(A, B, nobody), np.linalg.pinv(A) @ B, atol=1e-12)
