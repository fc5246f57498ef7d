"""Splits that never part a group: a sentence or an entity is in one part as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import RunError

SHOWN = 5  # classes that an error names
Integers = npt.NDArray[np.integer]
SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Split:
    """Row indices, ascending, of the three parts."""

    train: Integers
    validation: Integers
    test: Integers

    def mask(self, part: str, n: int) -> npt.NDArray[np.bool_]:
        """[row] of n rows: whether it is in the part named "train", "validation" or "test"."""
        out = np.zeros(n, bool)  # [row]
        out[getattr(self, part)] = True
        return out


def split(
    groups: npt.ArrayLike, seed: int, shares: tuple[float, float, float] = SHARES, *,
    labels: npt.ArrayLike | None = None, class_names: Sequence[str] = (),
) -> Split:  # fmt: skip
    """Shuffles whole groups [row] (any values) into train, validation and test, by rows.

    With labels [row] (-1 = no label, which puts the row in no part) every class must be in the
    training part: a group that has a missing one is moved there. RunError names a class without
    examples, and what is left empty: three groups are the least.
    """
    groups = np.asarray(groups)  # [row]
    known = np.ones(len(groups), bool) if labels is None else np.asarray(labels) >= 0  # [row]
    names, place = np.unique(groups[known], return_inverse=True)  # [group], [known row]
    if len(names) < len(shares):
        raise RunError(
            f"{int(known.sum()):,} labelled examples in {len(names)} group(s): training, "
            "validation and test need one each; read more texts, or give no group column"
        )
    order = np.random.default_rng(seed).permutation(len(names))  # [group]
    size = np.bincount(place)[order]  # [group] rows, in that order
    middle = (np.cumsum(size) - size / 2) / size.sum()  # [group]
    part_in_order = np.searchsorted(np.cumsum(shares)[:-1] / sum(shares), middle)  # [group]
    for part in range(len(shares)):  # three large groups may all lie on one side of a border
        part_in_order[part if part == 0 else part - len(shares)] = part
    part = np.empty_like(part_in_order)  # [group]
    part[order] = part_in_order
    if labels is not None:
        classes = np.asarray(labels)[known]  # [known row]
        _complete(part, place, classes, order, class_names)
    rows = np.flatnonzero(known)  # [known row]
    parts = [rows[part[place] == which] for which in range(len(shares))]
    for which, name in zip(parts, ("training", "validation", "test"), strict=True):
        if not len(which):
            raise RunError(
                f"no examples are left for {name}: {len(names)} groups hold {len(rows):,} "
                "examples of too many classes; read more texts, or merge small classes"
            )
    return Split(*parts)


def _complete(
    part: Integers, place: Integers, classes: Integers, order: Integers, names: Sequence[str]
) -> None:
    """Moves to the training part (0) a group for each class that has none there.

    part [group] is changed; place (group) and classes [row]; order [group] decides which one.
    """
    count = np.bincount(classes, minlength=len(names))  # [class]
    empty = [str(name) for name, rows in zip(names, count, strict=False) if not rows]
    if empty:
        shown = ", ".join(empty[:SHOWN]) + (" and more" if len(empty) > SHOWN else "")
        raise RunError(f"no example of class {shown}: leave it out, or read more texts")
    missing = set(np.unique(classes)) - set(classes[part[place] == 0])
    rank = np.empty_like(order)  # [group]
    rank[order] = np.arange(len(order))
    for one in sorted(missing):
        if (part[place[classes == one]] == 0).any():
            continue  # came with another class
        able = np.unique(place[classes == one])  # [group]
        # A group of a part that keeps others, if there is one.
        alone = np.bincount(part, minlength=3)[part[able]] < 2  # [group]
        part[able[np.lexsort((rank[able], alone))[0]]] = 0
