"""Linear probes of a small network's sites, all problems of one site at once.

A probe says class 1 where w . x + b > 0. "ridge": w, b minimise the mean of (w . z + b - t)^2 +
lambda |w|^2 over the training rows, z the standardised activations and t = +-1. It has a closed
form, and with Z Z^T / n = V diag(e) V^T the weights of every lambda are V (V^T Z t / n) / (e +
lambda): one decomposition serves all, in well under a millisecond. "logistic" goes to
`engine.probes.fitting`. lambda is chosen on validation rows, and only the chosen probe sees the
test rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.probes import fitting

Array = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Parts = tuple[Array, Array, Array]
Labels = tuple[Bools, Bools, Bools]
"""Train, validation and test; a label says whether a row is of class 1."""

PROBES = ("ridge", "logistic")
LAMBDAS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)  # of equally good ones the largest is taken
DEAD = 1e-6  # a unit that varies by less, as a share of the largest, says nothing


@dataclass(frozen=True)
class Probed:
    """Probes of one site: of each problem its accuracy on test rows, its lambda, what it is.

    accuracy and penalty [problem]; weights [problem, unit], bias [problem] read raw activations.
    """

    accuracy: Array
    penalty: Array
    weights: Array
    bias: Array


def probe(kind: str, rows: Parts, labels: Labels, listen: Callable[[], None]) -> Probed:
    """Probes of one site: rows [unit, row] and labels [problem, row] of each part."""
    find = _ridge if kind == "ridge" else _logistic
    weights, bias = find(rows[0], labels[0], listen)  # [problem, lambda, unit], [problem, lambda]
    best = _right(weights, bias, rows[1], labels[1]).argmax(axis=1)  # [problem]
    every = np.arange(len(best))
    weights, bias = weights[every, best], bias[every, best]  # [problem, unit], [problem]
    accuracy = _right(weights[:, None], bias[:, None], rows[2], labels[2])[:, 0]  # [problem]
    return Probed(accuracy, np.array(LAMBDAS)[best], weights, bias)


def _ridge(x: Array, labels: Bools, _listen: Callable[[], None]) -> tuple[Array, Array]:
    """x [unit, row], labels [problem, row] -> (weights [problem, lambda, unit], bias likewise)."""
    targets, n = 2 * labels.astype(x.dtype) - 1, x.shape[1]  # [problem, row]
    mean = x.mean(axis=1, dtype=np.float64)  # [unit]
    centred = x - mean[:, None].astype(x.dtype)  # [unit, row]
    gram = (centred @ centred.T).astype(np.float64) / n  # [unit, unit]
    moment = (centred @ targets.T).astype(np.float64) / n  # [unit, problem]
    scale = np.sqrt(np.diag(gram))  # [unit]
    alive = scale > DEAD * max(float(scale.max()), float(np.finfo(np.float32).tiny))
    inverse = np.where(alive, 1 / np.where(alive, scale, 1.0), 0.0)  # [unit]
    values, vectors = np.linalg.eigh(gram * inverse * inverse[:, None])
    along = vectors.T @ (moment * inverse[:, None])  # [direction, problem]
    shrunk = 1 / (np.maximum(values, 0) + np.array(LAMBDAS)[:, None])  # [lambda, direction]
    weights = (shrunk[None] * along.T[:, None]) @ vectors.T * inverse  # [problem, lambda, unit]
    return weights, targets.mean(axis=1, dtype=np.float64)[:, None] - weights @ mean


def _logistic(x: Array, labels: Bools, listen: Callable[[], None]) -> tuple[Array, Array]:
    """As `_ridge`, through the door of the solvers."""
    rows = np.ascontiguousarray(x.T, np.float32)  # [row, unit]
    classes = labels.astype(np.int64)  # [problem, row]
    asked = fitting.Problems.crossed(classes, np.ones(classes.shape, bool), 2, LAMBDAS)
    found = fitting.finish(fitting.fit("logistic", rows, asked, listen=listen))
    shape = (len(classes), len(LAMBDAS))
    weights = found.weights[:, 0].astype(np.float64).reshape(*shape, -1)
    return weights, found.bias[:, 0].reshape(shape)


def _right(weights: Array, bias: Array, rows: Array, labels: Bools) -> Array:
    """Share of rows [unit, row] that probes [problem, lambda, unit] get right.

    -> [problem, lambda].
    """
    n_problems, n_lambdas, n_units = weights.shape
    score = weights.reshape(-1, n_units).astype(rows.dtype) @ rows  # [problem * lambda, row]
    score += bias.reshape(-1, 1).astype(rows.dtype)
    says = score.reshape(n_problems, n_lambdas, -1) > 0
    return (says == labels[:, None]).mean(axis=2)
