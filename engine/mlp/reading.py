"""What networks trained side by side say together: means with 95 % intervals over networks.

The networks differ in weights, points and batches, so their spread holds every source of chance
there is; the interval is Student's, mean +- t s / sqrt(n).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.probes.intervals import NORMAL_975, T_975

Floats = npt.NDArray[np.floating]


class Spread(NamedTuple):
    """A mean and the ends of its 95 % interval, each [...]; NaN ends for a single network."""

    mean: Floats
    low: Floats
    high: Floats


def over_networks(values: Floats) -> Spread:
    """values [network, ...], NaN = not measured yet -> [...] each."""
    values = np.asarray(values, np.float64)
    n = len(values)
    mean = values.mean(axis=0)  # [...]
    if n < 2:
        unknown = np.full_like(mean, np.nan)
        return Spread(mean, unknown, unknown.copy())
    t = T_975[n - 2] if n - 2 < len(T_975) else NORMAL_975
    half = t * values.std(axis=0, ddof=1) / np.sqrt(n)  # [...]
    return Spread(mean, mean - half, mean + half)
