"""What a probe's accuracy is worth: control tasks, shuffled labels, baselines, leakage.

Hewitt & Liang 2019 (arXiv:1909.03368): a control task gives every word *type* a random label, drawn
once with the task's distribution of labels; selectivity = accuracy of the task - of its control.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MOSTLY, BEYOND = 0.5, 0.1  # a leak: more than half of the examples, and this above shuffled labels
Integers = npt.NDArray[np.integer]


def control_labels(types: npt.ArrayLike, labels: npt.ArrayLike, seed: int) -> Integers:
    """One random label per type, of the distribution of the labels: [row].

    types [row] int (any ids), labels [row] (-1 = none, stays -1). A type's label is decided by its
    id, the seed and the labels' distribution, whatever other types there are. Where all types would
    get one label, the draw is taken again.
    """
    types, labels = np.asarray(types), np.asarray(labels)  # [row] each
    out = np.full(labels.shape, -1, np.int64)  # [row]
    has = labels >= 0  # [row]
    if not has.any():
        return out
    names, place = np.unique(types[has], return_inverse=True)  # [type], [labelled row]
    count = np.bincount(labels[has])  # [class]
    border = np.cumsum(count) / count.sum()  # [class]
    for again in range(100):
        # A class without examples has an empty interval, which side="right" steps over.
        drawn = np.searchsorted(border, uniform(names, seed, again), side="right")  # [type]
        drawn = np.minimum(drawn, len(count) - 1)
        if len(names) < 2 or np.count_nonzero(count) < 2 or (drawn != drawn[0]).any():
            break
    out[has] = drawn[place]
    return out


def uniform(ids: npt.NDArray[Any], seed: int, stream: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each id, the same wherever it is asked: SplitMix64 of id and seed.

    Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    start = np.random.default_rng([seed, stream]).integers(0, 1 << 63, dtype=np.uint64)
    z = ids.astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start  # [id]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / (1 << 53)


def shuffled_labels(labels: npt.ArrayLike, parts: npt.ArrayLike, seed: int) -> Integers:
    """The labels [row] in random order within each part [row] (0 train, 1 validation, ...).

    Rows with label -1 keep it.
    """
    labels, parts = np.asarray(labels), np.asarray(parts)  # [row] each
    rng, out = np.random.default_rng(seed), labels.astype(np.int64)  # [row]
    for part in np.unique(parts):
        at = np.flatnonzero((parts == part) & (labels >= 0))  # [row of the part]
        out[at] = labels[rng.permutation(at)]
    return out


def majority_accuracy(labels: npt.ArrayLike, train: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """Share of the test rows (indices) that have the most frequent class of the training rows.

    NaN where there is no labelled row in one of them.
    """
    labels = np.asarray(labels)  # [row]
    seen, asked = labels[np.asarray(train)], labels[np.asarray(test)]
    seen, asked = seen[seen >= 0], asked[asked >= 0]
    if not len(seen) or not len(asked):
        return float("nan")
    return float((asked == np.bincount(seen).argmax()).mean())


def identity_accuracy(
    types: npt.ArrayLike, labels: npt.ArrayLike, train: npt.ArrayLike, test: npt.ArrayLike
) -> float:
    """Word identity: the most frequent training label of a type; the majority for new ones.

    types, labels [row], train and test row indices; ties go to the lower class.
    """
    types, labels = np.asarray(types), np.asarray(labels)  # [row] each
    train, test = np.asarray(train), np.asarray(test)
    train, test = train[labels[train] >= 0], test[labels[test] >= 0]
    if not len(train) or not len(test):
        return float("nan")
    names, place = np.unique(types[train], return_inverse=True)  # [type], [train row]
    pairs, count = np.unique(np.stack([place, labels[train]]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -count, pairs[0]))  # [pair] by type, then most frequent first
    first = np.searchsorted(pairs[0][order], np.arange(len(names)))  # [type]
    usual = pairs[1][order][first]  # [type]
    at = np.minimum(np.searchsorted(names, types[test]), len(names) - 1)  # [test row]
    known = names[at] == types[test]  # [test row]
    said = np.where(known, usual[at], np.bincount(labels[train]).argmax())  # [test row]
    return float((said == labels[test]).mean())


def leakage(types: npt.ArrayLike, labels: npt.ArrayLike) -> list[str]:
    """Sentences that warn where the token read decides the label by itself; empty where not.

    "Of 1,204 examples, 96 % have a token that decides the label alone: ..." A type that occurs once
    decides nothing; what shuffled labels would decide is taken for chance.
    """
    types, labels = np.asarray(types), np.asarray(labels)  # [row] each
    types, labels = types[labels >= 0], labels[labels >= 0]
    if len(np.unique(labels)) < 2:
        return []
    share = _decided(types, labels)
    chance = _decided(types, np.random.default_rng(0).permutation(labels))
    if share <= MOSTLY or share - chance <= BEYOND:
        return []
    return [
        f"Of {len(labels):,} examples, {100 * share:.0f} % have a token that decides the label "
        f"alone ({100 * chance:.0f} % with shuffled labels): a probe may know the token, not the "
        "label."
    ]


def _decided(types: Integers, labels: Integers) -> float:
    """Share of rows whose type occurs at least twice and always with one label."""
    _, place, count = np.unique(types, return_inverse=True, return_counts=True)
    low = np.full(len(count), np.iinfo(np.int64).max)  # [type]
    high = np.full(len(count), -1)  # [type]
    np.minimum.at(low, place, labels)
    np.maximum.at(high, place, labels)
    return float(((low == high) & (count > 1))[place].mean())
