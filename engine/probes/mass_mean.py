"""Mass-mean probes: the difference of class means as a direction (Marks & Tegmark 2023).

theta = mu_1 - mu_0, score theta.(x - (mu_0 + mu_1)/2); corrected: Sigma^+ theta in its place, with
Sigma the covariance within classes and its pseudo-inverse cut at 1e-3 (arXiv:2310.06824). More
classes: score_k = mu_k' A x - mu_k' A mu_k / 2 with A = 1 or Sigma^+, whose differences are the
same formula. Raw activations, nothing standardised, no penalty.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from engine.probes.problems import Fitted, Floats, Listen, Problems, Progress, Singles
from engine.probes.standardising import Rows
from engine.probes.symmetric import Cholesky

CUT = 1e-3  # eigenvalues of the covariance below this are taken for 0


def fit_mass_mean(
    X: Singles, problems: Problems, corrected: bool, listen: Listen
) -> Generator[Progress, None, Fitted]:
    """All problems; those of one task are the same probe."""
    d, n_tasks = X.shape[1], len(problems.labels)
    weights = np.zeros((n_tasks, problems.outputs, d))  # [task, output, d]
    bias = np.zeros((n_tasks, problems.outputs))  # [task, output]
    for task in range(n_tasks):
        rows = Rows(X, np.flatnonzero(problems.train[task]), listen)
        labels, counts = rows.of(problems.labels[task]), problems.counts[task]  # [row], [class]
        total = np.zeros((problems.n_classes, d))  # [class, d] of x - the mean of all rows
        square = np.zeros((d, d) if corrected else (0, 0))  # [d, d]
        for at in rows.slabs(d if corrected else problems.n_classes):
            x = rows.raw(at).astype(np.float64) - rows.mean  # [row, d]
            chosen = labels[at][:, None] == np.arange(problems.n_classes)  # [row, class]
            total += chosen.T.astype(np.float64) @ x
            if corrected:
                square += x.T @ x
            yield Progress(task / n_tasks, f"means of {rows.n:,} rows")
        mu = total / np.maximum(counts, 1)[:, None]  # [class, d]
        turned = mu  # [class, d]: A mu
        if corrected:
            within = (square - (mu.T * counts) @ mu) / rows.n  # [d, d]
            turned = inverted(within, mu.T, listen).T
        middle = -np.einsum("kd,kd->k", turned, mu) / 2  # [class]
        if problems.outputs == 1:
            turned, middle = turned[1:] - turned[:1], middle[1:] - middle[:1]
        raw = turned.astype(np.float32)  # [output, d]
        weights[task], bias[task] = raw, middle - raw.astype(np.float64) @ rows.mean
        if problems.outputs > 1:
            bias[task, counts == 0] = -np.inf
    at, n = problems.task, len(problems)
    nothing = np.full(n, np.nan)  # [problem]
    return Fitted(
        "mass_mean_corrected" if corrected else "mass_mean",
        weights[at].astype(np.float32), bias[at], np.zeros((n, d)), np.ones((n, d)),
        nothing, nothing, np.zeros(n, np.int64),
    )  # fmt: skip


def inverted(A: Floats, B: Floats, listen: Listen) -> Floats:
    """A^+ B for a covariance A [d, d], eigenvalues up to `CUT` taken for 0.

    Where A - CUT is positive definite none is, and A has an inverse; else the eigenvectors decide.
    """
    try:
        Cholesky(A - CUT * np.eye(len(A)), listen)
    except np.linalg.LinAlgError:
        size, basis = np.linalg.eigh(A)
        kept = size > CUT  # [direction]
        return basis[:, kept] @ (basis[:, kept].T @ B / size[kept, None])
    return Cholesky(A, listen).solve(B)
