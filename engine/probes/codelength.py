"""Minimum description length of labels given activations: the online code (Voita & Titov 2020).

L = t_1 log2 K - sum_i log2 p(y_(t_i+1..t_(i+1)) | x; probe trained on the first t_i rows), in bits;
compression = uniform code / online code (arXiv:2003.12298).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from engine.probes.fitting import fit, predict
from engine.probes.problems import Integers, Listen, Problems, Progress, Singles, nobody

FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Code:
    """Bits per labelling: the online code, the uniform code, their ratio; each [task]."""

    online: npt.NDArray[np.float64]
    uniform: npt.NDArray[np.float64]
    compression: npt.NDArray[np.float64]


def codelength(
    X: Singles, labels: npt.ArrayLike, groups: npt.ArrayLike, n_classes: int, penalty: float, *,
    seed: int = 0, listen: Listen = nobody,
) -> Generator[Progress, None, Code]:  # fmt: skip
    """Online codelength of labels [task, row] given X [row, d]; groups [row] are never parted.

    The generator returns a Code. All tasks are coded in one order of the rows; rows with label -1
    cost nothing. Blocks end where a group does. A probe that has seen t rows is mixed with the
    uniform code by 1/(t + 1), so that a class it has not met has a price; with fewer than two
    classes seen the uniform code is used.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)  # [task, row], [row]
    order, ends = blocks(groups, seed)
    has = labels >= 0  # [task, row]
    each = np.log2(n_classes)
    online = has[:, order[: ends[0]]].sum(axis=1) * each  # [task]
    for done, (end, after) in enumerate(pairwise(ends)):
        yield Progress(done / len(ends), f"online code from {end:,} examples")
        known, coming = order[:end], np.sort(order[end:after])
        train = np.zeros(labels.shape, bool)  # [task, row]
        train[:, known] = has[:, known]
        able = np.array(
            [len(np.unique(one[own])) > 1 for one, own in zip(labels, train, strict=True)]
        )  # [task]
        online[~able] += has[~able][:, coming].sum(axis=1) * each
        if not able.any():
            continue
        problems = Problems.crossed(labels[able], train[able], n_classes, [penalty])
        fitted = yield from fit("logistic", X, problems, listen=listen)
        scores = predict(fitted, X, coming, listen=listen).astype(np.float64)
        seen = train[able].sum(axis=1)[:, None]  # [task, 1]
        told = probability(scores, np.maximum(labels[able][:, coming], 0))  # [task, row]
        told = (told * seen + 1 / n_classes) / (seen + 1)
        online[able] -= np.where(has[able][:, coming], np.log2(told), 0.0).sum(axis=1)
    uniform = has.sum(axis=1) * each  # [task]
    return Code(online, uniform, uniform / np.maximum(online, 1e-12))


def blocks(groups: npt.NDArray[np.generic], seed: int) -> tuple[Integers, list[int]]:
    """Rows in random order, group by group, and where the blocks of the code end in it."""
    names, place = np.unique(groups, return_inverse=True)  # [group], [row]
    rank = np.random.default_rng(seed).permutation(len(names))  # [group]
    order = np.argsort(rank[place], kind="stable")  # [row]
    border = np.cumsum(np.bincount(rank[place]))  # [group] rows up to its end
    wanted = np.array(FRACTIONS) * len(groups)  # [block]
    ends = border[np.minimum(np.searchsorted(border, wanted - 1e-9), len(border) - 1)]  # [block]
    return order, [int(end) for end in np.unique(ends)]


def probability(scores: npt.NDArray[np.float64], labels: Integers) -> npt.NDArray[np.float64]:
    """What logits [task, row, output] say of the labels [task, row]: [task, row]."""
    if scores.shape[-1] == 1:
        signed = np.where(labels == 1, scores[..., 0], -scores[..., 0])  # [task, row]
        return np.exp(-np.logaddexp(0, -signed))
    scores = scores - scores.max(axis=-1, keepdims=True)  # [task, row, output]
    p = np.exp(scores)  # [task, row, output]
    return np.take_along_axis(p, labels[..., None], -1)[..., 0] / p.sum(axis=-1)
