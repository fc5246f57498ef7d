"""k-sparse probes: logistic regression on the k units whose class means differ most.

Gurnee et al. 2023 (arXiv:2305.01610). Units are ranked on the training rows by the largest
difference between the mean of a class and the mean of the rest, in standard deviations of the unit.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from engine.errors import RunError
from engine.probes.logistic import fit_logistic
from engine.probes.logistic_loss import Meter
from engine.probes.problems import Fitted, Floats, Integers, Listen, Problems, Progress, Singles
from engine.probes.standardising import Rows


def fit_sparse(
    X: Singles, problems: Problems, k: int, meter: Meter, listen: Listen, tolerance: float
) -> Generator[Progress, None, Fitted]:
    """All problems; each task has units of its own, the same for all its lambdas."""
    d = X.shape[1]
    if not 1 <= k <= d:
        raise RunError(f"k: {k} is not between 1 and the {d} units that are read")
    parts: list[tuple[Integers, Fitted]] = []
    units = np.zeros((len(problems.labels), k), np.int64)  # [task, k]
    for task in np.unique(problems.task):
        part = problems.of_tasks(np.array([task]))
        difference = yield from differences(X, part, listen)  # [d]
        units[task] = np.argsort(-difference, kind="stable")[:k]
        narrow = np.ascontiguousarray(X[:, units[task]])  # [row, k]
        fitted = yield from fit_logistic(narrow, part, meter, listen, tolerance)
        parts.append((np.flatnonzero(problems.task == task), fitted))
    n = len(problems)
    empty = Fitted(
        "sparse", np.zeros((n, problems.outputs, d), np.float32), np.zeros((n, problems.outputs)),
        np.zeros((n, d)), np.ones((n, d)), np.zeros(n), np.zeros(n), np.zeros(n, np.int64),
        units=units[problems.task],
    )  # fmt: skip
    for at, fitted in parts:
        own = units[problems.task[at[0]]]  # [k]
        for name in ("bias", "loss", "gradient_norm", "iterations"):
            getattr(empty, name)[at] = getattr(fitted, name)
        empty.weights[at[:, None], :, own] = fitted.weights.transpose(0, 2, 1)
        empty.mean[at[:, None], own] = fitted.mean
        empty.scale[at[:, None], own] = fitted.scale
    return replace(empty)


def differences(X: Singles, problem: Problems, listen: Listen) -> Generator[Progress, None, Floats]:
    """[d]: how far the mean of some class is from the mean of the rest, in deviations; one task."""
    rows = Rows(X, np.flatnonzero(problem.train[0]), listen)
    labels, counts = rows.of(problem.labels[0]), problem.counts[0]  # [row], [class]
    total = np.zeros((problem.n_classes, rows.d))  # [class, d]
    for at in rows.slabs(problem.n_classes):
        chosen = labels[at][:, None] == np.arange(problem.n_classes)  # [row, class]
        total += chosen.T.astype(np.float32) @ rows[at]
        yield Progress(0.0, "class means")
    own = total / np.maximum(counts, 1)[:, None]  # [class, d]
    rest = (total.sum(axis=0) - total) / np.maximum(rows.n - counts, 1)[:, None]  # [class, d]
    return np.abs(own - rest)[counts > 0].max(axis=0)
