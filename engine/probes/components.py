"""Principal components of activations: X - mean = U S V^T, the first few of them.

Through the eigenvectors of the smaller Gram matrix while that is small, beyond by subspace
iteration (Halko, Martinsson and Tropp 2011, arXiv:0909.4061) in products that Stop can part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

EXACT = 768  # side of a Gram matrix whose eigenvectors take 0.1 s
SLAB = 2e8  # multiplications between two looks at Stop
MORE, ROUNDS, SETTLED = 12, 60, 1e-9  # further vectors, iterations, relative change of the values


@dataclass(frozen=True)
class Components:
    """scores [example, component], explained [component] (0 to 1), axes [component, width]."""

    scores: Floats
    explained: Floats
    axes: Floats
    center: Floats
    total: float


def components(X: Floats, count: int, seed: int, listen: Callable[[], None]) -> Components:
    """The first `count` principal components of X [example, width], in float64.

    An axis points to where its largest entry is positive. total: the sum of all variances.
    """
    center = X.mean(axis=0, dtype=np.float64)  # [width]
    n, width = X.shape
    step = max(1, int(SLAB / width / max(1, min(width, EXACT))))
    slabs = [slice(first, min(first + step, n)) for first in range(0, n, step)]

    def centred(rows: slice) -> Floats:
        listen()
        return X[rows] - center  # [row, width]

    total = sum(float((centred(rows) ** 2).sum()) for rows in slabs)
    if width <= EXACT:
        gram = np.zeros((width, width))  # [width, width]
        for rows in slabs:
            part = centred(rows)
            gram += part.T @ part
        vectors = np.linalg.eigh(gram)[1]  # by ascending value
        axes = vectors[:, ::-1][:, :count].T  # [component, width]
    else:
        axes = _iterated(centred, slabs, width, count, seed)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])  # [component]
    axes = axes * np.where(signs == 0, 1.0, signs)[:, None]
    scores = np.concatenate([centred(rows) @ axes.T for rows in slabs])  # [example, component]
    explained = (scores**2).sum(axis=0) / total if total else np.zeros(len(axes))
    return Components(scores, explained, axes, center, total / max(1, n - 1))


def eta_squared(scores: Floats, label: Ints, n_classes: int) -> Floats:
    """Share of each component's variance that lies between classes: [component], 0 to 1."""
    counts = np.bincount(label, minlength=n_classes)  # [class]
    whole = scores - scores.mean(axis=0)  # [example, component]
    sums = np.stack([np.bincount(label, column, n_classes) for column in whole.T])
    between = (sums**2 / np.maximum(counts, 1)).sum(axis=1)  # [component]
    total = (whole**2).sum(axis=0)  # [component]
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0)


def _iterated(
    centred: Callable[[slice], Floats], slabs: list[slice], width: int, count: int, seed: int
) -> Floats:
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((width, count + MORE)))[0]  # [width, vector]
    before = np.zeros(count)
    for _ in range(ROUNDS):
        Y = np.zeros_like(Q)  # [width, vector]
        for rows in slabs:
            part = centred(rows)
            Y += part.T @ (part @ Q)
        values, turn = np.linalg.eigh(Q.T @ Y)  # of the Gram matrix within the subspace
        now = values[::-1][:count]
        Q = np.linalg.qr(Y @ turn[:, ::-1])[0]
        if np.abs(now - before).max() <= SETTLED * abs(now[0]):
            break
        before = now
    return Q[:, :count].T
