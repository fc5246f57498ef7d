"""The door of the solvers: many probes of one matrix of activations, fitted and read together.

problems = Problems.crossed(labels, train, n_classes, lambdas)
fitted = finish(fit("logistic", X, problems))          # or: yield from, for its progress
scores = predict(fitted, X, rows)                      # [problem, row, output]
chosen, accuracy = choose(fitted, X, problems, validation)
best = fitted.take(chosen)                             # one probe per task
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from engine.probes.hidden import fit_hidden
from engine.probes.logistic import TOLERANCE, fit_logistic
from engine.probes.logistic_loss import Meter
from engine.probes.mass_mean import fit_mass_mean
from engine.probes.problems import (
    KINDS,
    Booleans,
    Fitted,
    Floats,
    Inner,
    Integers,
    Kind,
    Listen,
    Problems,
    Progress,
    Singles,
    nobody,
)
from engine.probes.ridge import fit_ridge
from engine.probes.sparse import fit_sparse

__all__ = [
    "KINDS",
    "Fitted",
    "Inner",
    "Kind",
    "Problems",
    "Progress",
    "choose",
    "classes_of",
    "finish",
    "fit",
    "margins",
    "nobody",
    "predict",
]

ENTRIES = 1 << 20  # of X and of a product with it in one slab
SCORES = 1 << 24  # scores held at once when lambdas are compared
Fitting = Generator[Progress, None, Fitted]


def fit(
    kind: Kind, X: Singles, problems: Problems, *,
    k: int = 10, hidden_units: int = 64, seed: int = 0, tolerance: float = TOLERANCE,
    listen: Listen = nobody,
) -> Fitting:  # fmt: skip
    """Fits all problems on X [row, d] float32 (may be a memory map); yields about every 30 ms.

    "logistic": mean loss + lambda/2 |w|^2 of standardised activations, bias free, to a gradient
    whose largest entry is below `tolerance`. "ridge": half the mean squared error on -1/+1 (or
    one-hot) targets + lambda/2 |w|^2. "mass_mean", "mass_mean_corrected": differences of class
    means (lambda plays no part). "hidden": one hidden layer of `hidden_units` ReLUs, Adam, `seed`.
    "sparse": the `k` units whose class means differ most on the training rows, then logistic.
    The generator *returns* the Fitted (`finish` or `yield from`). Raises RunError where X is not
    finite. `listen` is called between products of at most about 100 ms, so that Stop is prompt.
    """
    if X.ndim != 2 or len(X) != problems.labels.shape[1]:
        raise ValueError(f"X {X.shape} does not hold the {problems.labels.shape[1]} rows labelled")
    meter = Meter(len(problems), f"{len(problems):,} probes of {len(X):,} rows")
    if kind == "logistic":
        return fit_logistic(X, problems, meter, listen, tolerance)
    if kind == "ridge":
        return fit_ridge(X, problems, listen)
    if kind in ("mass_mean", "mass_mean_corrected"):
        return fit_mass_mean(X, problems, kind == "mass_mean_corrected", listen)
    if kind == "hidden":
        return fit_hidden(X, problems, hidden_units, seed, listen)
    if kind == "sparse":
        return fit_sparse(X, problems, k, meter, listen, tolerance)
    raise ValueError(f"{kind!r} is none of the probes {', '.join(KINDS)}")


def finish(fitting: Fitting) -> Fitted:
    """Runs a fit to its end without looking at its progress."""
    while True:
        try:
            next(fitting)
        except StopIteration as end:
            return end.value


def predict(
    fitted: Fitted, X: Singles, rows: npt.ArrayLike | None = None, *, listen: Listen = nobody
) -> Singles:
    """Scores [problem, row, output] of the rows (indices [row], None = all) of X.

    One output for two classes: the score of class 1, 0 at the border.
    """
    index = None if rows is None else np.asarray(rows)  # [row]
    n = len(X) if index is None else len(index)
    outer, outputs = fitted.bias.shape
    first = fitted.inner.weights if fitted.inner else fitted.weights  # [problem, unit, d]
    level = fitted.inner.bias if fitted.inner else fitted.bias  # [problem, unit]
    # Near the mean of the training rows: far from it float32 would lose what tells rows apart.
    centre = fitted.mean.mean(axis=0).astype(np.float32)  # [d]
    matrix = first.reshape(-1, first.shape[-1])  # [problem * unit, d]
    offset = level.reshape(-1) + matrix @ centre.astype(np.float64)  # [problem * unit]
    out = np.empty((outer, n, outputs), np.float32)  # [problem, row, output]
    step = max(16, min(ENTRIES // max(len(matrix), 1), ENTRIES // max(X.shape[1], 1)))
    for start in range(0, n, step):
        listen()
        at = slice(start, min(start + step, n))
        x = np.asarray(X[at] if index is None else X[index[at]], np.float32) - centre  # [row, d]
        z = (matrix @ x.T).astype(np.float64) + offset[:, None]  # [problem * unit, row]
        z = z.reshape(outer, -1, len(x))  # [problem, unit, row]
        if fitted.inner:
            z = fitted.weights @ np.maximum(z, 0) + fitted.bias[..., None]  # [problem, output, row]
        out[:, at] = z.transpose(0, 2, 1)
    return out


def classes_of(scores: Singles) -> Integers:
    """Predicted classes [problem, row] of scores [problem, row, output]."""
    if scores.shape[-1] == 1:
        return (scores[..., 0] > 0).astype(np.int64)
    return scores.argmax(axis=-1)


def margins(scores: Singles, labels: Integers) -> Singles:
    """Score of the true class minus the best other one; below 0 where the probe is wrong.

    scores [problem, row, output], labels [problem, row] or [row] (-1 = NaN) -> [problem, row]. For
    two classes it is the score on the side of the true class.
    """
    labels = np.broadcast_to(labels, scores.shape[:2])  # [problem, row]
    if scores.shape[-1] == 1:
        out = np.where(labels == 1, scores[..., 0], -scores[..., 0])  # [problem, row]
    else:
        true = np.maximum(labels, 0)[..., None]  # [problem, row, 1]
        own = np.take_along_axis(scores, true, -1)[..., 0]  # [problem, row]
        others = scores.copy()  # [problem, row, output]
        np.put_along_axis(others, true, -np.inf, -1)
        best = others.max(axis=-1)  # [problem, row]
        unseen = np.isneginf(own)  # a class that was not in the training rows
        out = np.where(unseen, -np.inf, np.where(unseen, 0, own) - best)
    return np.where(labels >= 0, out, np.nan).astype(np.float32)


def choose(
    fitted: Fitted, X: Singles, problems: Problems, validation: Booleans, *,
    listen: Listen = nobody,
) -> tuple[Integers, Floats]:  # fmt: skip
    """The problem of each task that reads most validation rows right; ties go to the larger lambda.

    validation [task, row] (labels of -1 are left out) -> (problem indices [task], accuracy
    [problem], NaN where a task has no validation rows: then its largest lambda is taken).
    """
    asked = validation & (problems.labels >= 0)  # [task, row]
    accuracy = np.full(len(problems), np.nan)  # [problem]
    known: dict[bytes, list[int]] = {}  # tasks of one split are read together
    for task, own in enumerate(asked):
        known.setdefault(np.packbits(own).tobytes(), []).append(task)
    for tasks in known.values():
        rows = np.flatnonzero(asked[tasks[0]])  # [row]
        at = np.flatnonzero(np.isin(problems.task, tasks))  # [problem]
        step = max(1, SCORES // max(len(rows) * problems.outputs, 1))
        for begin in range(0, len(at) if len(rows) else 0, step):
            part = at[begin : begin + step]  # [problem]
            said = classes_of(predict(fitted.take(part), X, rows, listen=listen))
            true = problems.labels[problems.task[part]][:, rows]  # [problem, row]
            accuracy[part] = (said == true).mean(axis=1)
    chosen = np.empty(len(asked), np.int64)  # [task]
    for task in range(len(asked)):
        own = np.flatnonzero(problems.task == task)  # [lambda]
        own = own[np.argsort(-problems.penalty[own], kind="stable")]
        chosen[task] = own[np.argmax(np.nan_to_num(accuracy[own], nan=-1.0))]
    return chosen, accuracy
