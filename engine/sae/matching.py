"""Matching: which latent is which concept, and how well, where the truth is known.

MMCS (mean of the maximum cosine similarity) over concepts, after Sharkey et al. 2022; F1 of a
latent as a detector of its concept; the one-to-one assignment of largest total cosine (Kuhn 1955,
"Hungarian").

What would fool you: K directions by chance already reach an MMCS of (K - 1) / (K + 1) in three
dimensions, 0.85 for twelve, so 0.92 is little; a cosine says nothing about when a latent fires, so
dead latents are left out and F1 stands beside it; and F1 with the best threshold is chosen on the
samples it is measured on, which F1 at h > 0 is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "DEAD", "DUPLICATE", "FOUND", "LIVE", "MATCHED", "MIXED", "NEAR", "ROLES", "Scores", "assigned",
    "best_f1", "by_chance", "cosines", "score",
]  # fmt: skip

Array = npt.NDArray[Any]
FOUND = 0.95  # cosine from which a concept counts as found
LIVE = 0.01  # share of samples from which a latent is alive; a concept is there in 0.15
NEAR = 0.9  # cosine from which a live latent points to a concept at all
DEAD, MATCHED, DUPLICATE, MIXED = range(4)
ROLES = ("dead", "matched", "duplicate", "mixed")


@dataclass(frozen=True)
class Scores:
    """Of one SAE: what each latent is, and how well each concept is found."""

    cosine: Array  # [latent, concept], of decoder rows with true directions
    matched: Array  # [concept] latent, -1 = none is left alive
    role: Array  # [latent] index into ROLES
    density: Array  # [latent] share of samples on which it fires
    f1: Array  # [concept] at the best threshold
    f1_zero: Array  # [concept] at h > 0
    threshold: Array  # [concept] the best threshold
    mmcs: float
    found: int
    l0: float
    explained: float

    @property
    def matched_cosine(self) -> Array:
        """[concept]: cosine of each concept with its latent, 0 where there is none."""
        own = self.cosine[self.matched, np.arange(len(self.matched))]  # [concept]
        return np.where(self.matched >= 0, own, 0)


def cosines(W_dec: Array, true: Array) -> Array:
    """W_dec [..., latent, d], true [..., concept, d] of length 1 -> [..., latent, concept]."""
    length = np.linalg.norm(W_dec.astype(np.float64), axis=-1, keepdims=True)  # [..., latent, 1]
    return W_dec @ np.swapaxes(true, -1, -2) / np.maximum(length, 1e-8)


def by_chance(latents: int) -> float:
    """MMCS of so many directions by chance in three dimensions: the cosine is uniform there."""
    return (latents - 1) / (latents + 1)


def best_f1(h: Array, label: Array) -> tuple[float, float, float]:
    """F1 at the best threshold, that threshold, and F1 at 0, of `h > threshold` [sample].

    label [sample] bool. Only what fires counts as an answer; (0, 0, 0) where nothing does.
    """
    on = np.flatnonzero(h > 0)  # [active]
    positives = int(label.sum())
    if not len(on) or not positives:
        return 0.0, 0.0, 0.0
    order = on[np.argsort(-h[on], kind="stable")]  # [active], falling
    right = np.cumsum(label[order])  # [active], of the first n
    f1 = 2 * right / (np.arange(1, len(order) + 1) + positives)  # [active]
    value = h[order]
    last = np.append(value[1:] != value[:-1], True)  # equal values fall together
    best = int(np.where(last, f1, -1.0).argmax())
    below = float(value[best + 1]) if best + 1 < len(value) else 0.0
    return float(f1[best]), below, float(f1[-1])


def score(W_dec: Array, true: Array, f: Array, amounts: Array, x: Array, x_hat: Array) -> Scores:
    """W_dec [latent, d], true [concept, d]; on samples f [latent, sample], amounts [concept,
    sample], x and x_hat [d, sample].
    """
    cosine = cosines(W_dec, true)  # [latent, concept]
    density = (f > 0).mean(axis=1)  # [latent]
    live = np.flatnonzero(density >= LIVE)
    n_latents, n_concepts = cosine.shape
    matched = np.full(n_concepts, -1)
    rows, cols = assigned(cosine[live])
    matched[cols] = live[rows]
    role = np.full(n_latents, MIXED)
    role[cosine.max(axis=1) >= NEAR] = DUPLICATE
    role[density < LIVE] = DEAD
    near = matched[(matched >= 0) & (cosine[matched, np.arange(n_concepts)] >= NEAR)]
    role[near] = MATCHED
    found = [
        best_f1(f[latent], amounts[concept] > 0) if latent >= 0 else (0.0, 0.0, 0.0)
        for concept, latent in enumerate(matched)
    ]
    best, threshold, at_zero = np.array(found).T  # [concept] each
    own = np.where(matched >= 0, cosine[matched, np.arange(n_concepts)], 0)  # [concept]
    off = np.square((x - x_hat).astype(np.float64)).sum()
    spread = np.square((x - x.mean(axis=1, keepdims=True)).astype(np.float64)).sum()
    return Scores(
        cosine=cosine, matched=matched, role=role, density=density, f1=best, f1_zero=at_zero,
        threshold=threshold, mmcs=float(cosine[live].max(axis=0).mean()) if len(live) else 0.0,
        found=int((own >= FOUND).sum()), l0=float((f > 0).sum(axis=0).mean()),
        explained=float(1 - off / spread) if spread else 0.0,
    )  # fmt: skip


def assigned(cosine: Array) -> tuple[Array, Array]:
    """The one-to-one pairs of largest total cosine: their rows and their columns, alike long.

    Shortest augmenting paths (Jonker and Volgenant 1987). SciPy has it too, behind 45 MB of linear
    algebra that the packaged program would carry for this alone; tests hold one against the other.
    """
    if cosine.shape[0] > cosine.shape[1]:
        columns, rows = assigned(cosine.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    n_rows, n_columns = cosine.shape
    cost = -cosine.astype(np.float64)
    if not np.isfinite(cost).all():
        raise ValueError("a cosine is not finite")
    of_row, of_column = np.zeros(n_rows), np.zeros(n_columns)  # prices: cost - both >= 0
    row_of = np.full(n_columns, -1)
    for free in range(n_rows):
        length = np.full(n_columns, np.inf)  # [column] of the shortest path there
        before = np.full(n_columns, -1)  # [column] the column by which that path comes
        done = np.zeros(n_columns, bool)
        column, row, so_far = -1, free, 0.0
        while row >= 0:
            via = so_far + cost[row] - of_row[row] - of_column  # [column]
            nearer = ~done & (via < length)
            length[nearer], before[nearer] = via[nearer], column
            column = int(np.argmin(np.where(done, np.inf, length)))
            so_far, row = float(length[column]), int(row_of[column])
            done[column] = True
        inner = np.flatnonzero(done & (row_of >= 0))
        of_row[free] += so_far
        of_row[row_of[inner]] += so_far - length[inner]
        of_column[inner] -= so_far - length[inner]
        while column >= 0:  # each row on the path moves one column on; the free one takes the first
            came = int(before[column])
            row_of[column] = row_of[came] if came >= 0 else free
            column = came
    taken = np.flatnonzero(row_of >= 0)
    order = np.argsort(row_of[taken])
    return row_of[taken][order], taken[order]
