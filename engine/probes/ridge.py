"""Ridge probes in closed form: half the mean squared error + lambda/2 |w|^2, one Gram matrix each.

(X'X / n + lambda) w = X'y / n on standardised activations; the bias is the mean of the targets.
Targets are -1/+1 for two classes and 0/1 per class for more.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from engine.probes.problems import Fitted, Floats, Listen, Problems, Progress, Singles, in_raw_space
from engine.probes.standardising import CONSTANT, Rows
from engine.probes.symmetric import Cholesky


def fit_ridge(X: Singles, problems: Problems, listen: Listen) -> Generator[Progress, None, Fitted]:
    """All problems: one Gram matrix per split, one linear system per split and lambda."""
    n, outputs, d = len(problems), problems.outputs, X.shape[1]
    weights, bias = np.zeros((n, outputs, d)), np.zeros((n, outputs))
    mean, scale = np.zeros((2, len(problems.labels), d))  # [task, d] each
    done = 0
    for tasks in problems.splits():
        rows = Rows(X, np.flatnonzero(problems.train[tasks[0]]), listen)
        mean[tasks], scale[tasks] = rows.mean, rows.scale
        y = targets(problems, rows.of(problems.labels[tasks]))  # [row, task, output]
        level = y.mean(axis=0)  # [task, output]
        gram, cross = np.zeros((d, d)), np.zeros((d, len(tasks) * outputs))
        for at in rows.slabs(d):
            x = rows[at].astype(np.float64)  # [row, d]
            gram += x.T @ x
            cross += x.T @ (y[at] - level).reshape(len(x), -1)
            yield Progress(done / n, f"Gram matrix of {rows.n:,} rows")
        gram, cross = gram / rows.n, cross / rows.n
        of_split = np.isin(problems.task, tasks)  # [problem]
        for penalty in np.unique(problems.penalty[of_split]):
            at = np.flatnonzero(of_split & (problems.penalty == penalty))  # [problem]
            place = np.searchsorted(tasks, problems.task[at])  # [problem] in `tasks`
            factor = Cholesky(gram + penalty * np.eye(d), listen)
            solved = factor.solve(cross)  # [d, task * output]
            found = solved.T.reshape(len(tasks), outputs, d)  # [task, output, d]
            weights[at], bias[at] = found[place], level[place]
            done += len(at)
            yield Progress(done / n, f"lambda {penalty:g}")
    return in_raw_space("ridge", problems, weights, bias, mean, scale)


def targets(problems: Problems, labels: npt.NDArray[np.integer]) -> Floats:
    """labels [task, row] -> [row, task, output]: -1/+1 for two classes, else 0/1 per class."""
    if problems.outputs == 1:
        return np.where(labels.T == 1, 1.0, -1.0)[..., None]
    return (labels.T[..., None] == np.arange(problems.n_classes)).astype(np.float64)


def solve(
    X: npt.ArrayLike, targets: npt.ArrayLike, lambdas: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Ridge on all rows of a stack of small matrices, batched: one call for many networks.

    X [..., row, d], targets [..., row, target], lambdas [lambda] -> weights [..., lambda, target,
    d] and bias [..., lambda, target] in raw space; standardised inside, float64.
    """
    X, y = np.asarray(X, np.float64), np.asarray(targets, np.float64)
    grid = np.asarray(lambdas, np.float64)  # [lambda]
    n, d = X.shape[-2:]
    mean = X.mean(axis=-2, keepdims=True)  # [..., 1, d]
    x = X - mean  # [..., row, d]
    spread = np.sqrt(np.square(x).mean(axis=-2, keepdims=True))  # [..., 1, d]
    dead = spread <= CONSTANT * np.abs(mean)  # [..., 1, d]
    scale = np.where(dead, 1.0, spread)  # [..., 1, d]
    x = np.where(dead, 0.0, x / scale)  # [..., row, d]
    level = y.mean(axis=-2)  # [..., target]
    gram = x.mT @ x / n  # [..., d, d]
    cross = x.mT @ (y - level[..., None, :]) / n  # [..., d, target]
    system = gram[..., None, :, :] + grid[:, None, None] * np.eye(d)  # [..., lambda, d, d]
    found = np.linalg.solve(system, cross[..., None, :, :]).mT  # [..., lambda, target, d]
    weights = found / scale[..., None, :, :]  # [..., lambda, target, d]
    bias = level[..., None, :] - (weights @ mean[..., None, :, :].mT)[..., 0]  # [..., lambda, t]
    return weights, bias
