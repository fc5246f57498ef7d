"""95 % intervals of accuracies: over seeds (Student's t) and over test examples (bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Student's t, 97.5 % quantile, for 1..30 degrees of freedom; the normal one above.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
NORMAL_975 = 1.960
DRAWN = 1 << 22  # resampled groups held at once
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval, each [...]; NaN where nothing was measured."""

    mean: Floats
    low: Floats
    high: Floats


def interval(
    correct: Sequence[npt.ArrayLike], groups: Sequence[npt.ArrayLike], *,
    against: Sequence[npt.ArrayLike] | None = None, seed: int = 0, draws: int = 400,
) -> Interval:  # fmt: skip
    """Mean accuracy over seeds with a 95 % interval that holds both sources of chance.

    correct: per seed [..., row] whether each test row was read right (0/1); groups: per seed [row],
    named alike in all seeds, for they are resampled whole and in all seeds at once. Squares of the
    two half-widths are added: t over seeds, 1.96 standard deviations of the bootstrap. against: the
    same rows of another probe: then mean and interval are those of the difference (selectivity),
    resampled in pairs. Accuracies are clipped to 0..1, differences are not.
    """
    values = [np.asarray(one, np.float64) for one in correct]  # [..., row] per seed
    if against is not None:
        values = [a - np.asarray(b, np.float64) for a, b in zip(values, against, strict=True)]
    shape = values[0].shape[:-1] if values else ()
    if not values or not all(one.shape[-1] for one in values):
        nothing = np.full(shape, np.nan)  # [...]
        return Interval(nothing, nothing.copy(), nothing.copy())
    names = np.unique(np.concatenate([np.asarray(one) for one in groups]))  # [group]
    sums, sizes = [], []  # per seed [group, cell], [group]
    for value, own in zip(values, groups, strict=True):
        place = np.searchsorted(names, np.asarray(own))  # [row]
        flat = value.reshape(-1, value.shape[-1]).T  # [row, cell]
        total = np.zeros((len(names), flat.shape[1]))  # [group, cell]
        np.add.at(total, place, flat)
        sums.append(total)
        sizes.append(np.bincount(place, minlength=len(names)).astype(np.float64))
    each = np.stack([one.mean(axis=-1) for one in values])  # [seed, ...]
    mean = each.mean(axis=0)  # [...]
    wide = np.square(NORMAL_975) * _bootstrap(sums, sizes, seed, draws).reshape(shape)  # [...]
    if (n := len(values)) > 1:
        t = T_975[n - 2] if n - 2 < len(T_975) else NORMAL_975
        wide = wide + np.square(t) * each.var(axis=0, ddof=1) / n
    half = np.sqrt(wide)  # [...]
    low, high = mean - half, mean + half
    if against is None:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return Interval(mean, low, high)


def _bootstrap(sums: list[Floats], sizes: list[Floats], seed: int, draws: int) -> Floats:
    """Variance [cell] of the mean over seeds when groups are drawn again (Poisson weights).

    sums [group, cell], sizes [group] per seed.
    """
    rng, n = np.random.default_rng(seed), len(sizes[0])
    found = []  # [draw, cell] per slab
    step = max(1, DRAWN // n)
    for start in range(0, draws, step):
        weight = rng.poisson(1.0, (min(step, draws - start), n)).astype(np.float64)  # [draw, group]
        each = [
            (weight @ total) / np.maximum(weight @ size, 1)[:, None]
            for total, size in zip(sums, sizes, strict=True)
        ]  # [draw, cell] per seed
        found.append(np.mean(each, axis=0))
    return np.concatenate(found).var(axis=0)
