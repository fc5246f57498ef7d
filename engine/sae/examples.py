"""Slots: the examples of every latent in the same places, from what was kept of a text."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from engine.sae.keeping import Kept

__all__ = ["Slots", "band_names", "fill_slots"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

_TOGETHER = 1 << 22  # comparisons of two sampled tokens at a time


class Keeping(Protocol):
    """What was kept of a text: the highest, a sample, the lowest."""

    spec: Any
    n_pos: int
    names: tuple[str, ...]
    top: Kept
    sample: Kept
    lowest: Kept


@dataclass(frozen=True, eq=False)
class Slots:
    """Examples [latent, slot], their windows [latent, slot, track, offset]; band [slot]; edges.

    edges [latent, cut]: activations at the quantiles.
    """

    band: Ints
    sequence: Ints
    position: Ints
    value: Floats
    window: Floats
    edges: Floats

    @classmethod
    def empty(cls, n: int, names: tuple[str, ...], spec: Any, around: tuple[int, ...]) -> Self:
        """No example yet. around: (tracks, offsets) of a window."""
        sizes = [spec.top] + [spec.examples_per_quantile] * (len(names) - 1)
        band = np.repeat(np.arange(len(names)), sizes)  # [slot]
        shape = (n, len(band))
        return cls(
            band, np.full(shape, -1, np.int32), np.full(shape, -1, np.int32),
            np.full(shape, np.nan, np.float32), np.full((*shape, *around), np.nan, np.float32),
            np.full((n, len(set(spec.quantiles))), np.nan, np.float32),
        )  # fmt: skip


def band_names(quantiles: tuple[float, ...], per: int, signed: bool) -> tuple[str, ...]:
    """How examples are chosen, in the order of their slots."""
    edges = [0.0, *sorted(set(quantiles)), 1.0]
    pairs = list(itertools.pairwise(edges))[::-1]
    names = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairs] if per else []
    return ("highest", *names, *(["lowest"] if signed and per else []))


def fill_slots(kept: Keeping, listen: Callable[[], object]) -> Slots:
    """Fresh examples of all latents from what is kept now."""
    listen()
    spec = kept.spec
    n = len(kept.top.key)
    slots = Slots.empty(n, kept.names, spec, kept.top.window.shape[2:])
    per = spec.examples_per_quantile
    listen()
    _put(slots, slice(0, spec.top), kept.top, kept.top.order(), kept.n_pos)
    listen()
    if not per:
        return slots
    cuts = np.array(sorted(set(spec.quantiles)))  # [cut]
    step = max(1, _TOGETHER // max(1, kept.sample.k**2))
    n_bands = len(cuts) + 1
    places = np.full((n, n_bands * per), -1)  # [latent, slot of the bands]
    for first in range(0, n, step):
        listen()
        part = slice(first, first + step)
        slots.edges[part] = _edges(kept.sample.value[part], cuts)
        places[part] = _drawn(kept.sample, part, cuts, per, kept.n_pos)
    _put(slots, slice(spec.top, spec.top + n_bands * per), kept.sample, places, kept.n_pos)
    if kept.lowest.k:
        _put(slots, slice(spec.top + n_bands * per, None), kept.lowest, kept.lowest.order(),
             kept.n_pos)  # fmt: skip
    return slots


def _put(slots: Slots, where: slice, kept: Kept, places: Ints, n_pos: int) -> None:
    """Entries at `places` [latent, slot] of what is kept into slots; -1 = none."""
    row = np.arange(len(places))[:, None]  # [latent, 1]
    ref = np.where(places >= 0, kept.ref[row, places], -1)  # [latent, slot]
    there = ref >= 0
    slots.sequence[:, where] = np.where(there, ref // n_pos, -1)
    slots.position[:, where] = np.where(there, ref % n_pos, -1)
    slots.value[:, where] = np.where(there, kept.value[row, places], np.nan)
    slots.window[:, where] = np.where(there[..., None, None], kept.window[row, places], np.nan)


def _edges(values: Floats, cuts: Floats) -> Floats:
    """Quantiles of sampled values [latent, k], NaN = none: [latent, cut]."""
    ordered = np.sort(values, axis=1)  # NaN last
    many = np.isfinite(values).sum(axis=1, keepdims=True)  # [latent, 1]
    at = cuts * np.maximum(many - 1, 0)  # [latent, cut]
    low = at.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(many - 1, 0))
    below, above = (np.take_along_axis(ordered, one, axis=1) for one in (low, high))
    return below + (at - low) * (above - below)  # NaN where there is none


def _drawn(sample: Kept, part: slice, cuts: Floats, per: int, n_pos: int) -> Ints:
    """Places [latent, band * per] of examples from each band, the highest band first.

    A band holds the sampled tokens between two quantiles; other prompts come before a second token
    of the same one. Within a band from the highest down.
    """
    value, key, ref = sample.value[part], sample.key[part], sample.ref[part]  # [latent, k]
    n, k = value.shape
    there = ref >= 0
    rank = np.empty((n, k), np.int64)  # [latent, k], by value, NaN last
    np.put_along_axis(rank, np.lexsort((ref, value), axis=-1), np.arange(k)[None], axis=1)
    many = np.maximum(there.sum(axis=1, keepdims=True), 1)
    band = len(cuts) - np.searchsorted(cuts, (rank + 0.5) / many, side="right")  # 0 = highest
    band = np.where(there, band, len(cuts) + 1)
    order = np.lexsort((-key, band), axis=-1)  # [latent, k]
    band, prompt = (np.take_along_axis(one, order, axis=1) for one in (band, ref // n_pos))
    same = (prompt[:, :, None] == prompt[:, None]) & (band[:, :, None] == band[:, None])
    again = np.tril(same, -1).any(axis=2)  # [latent, k], a prompt that this band has already
    second = np.lexsort((again, band), axis=-1)  # [latent, k], stable
    order, band = (np.take_along_axis(one, second, axis=1) for one in (order, band))
    places = np.full((n, len(cuts) + 1, per), -1)  # [latent, band, example]
    for which in range(len(cuts) + 1):
        begin = (band < which).sum(axis=1)  # [latent]
        at = begin[:, None] + np.arange(per)  # [latent, example]
        inside = at < (band <= which).sum(axis=1)[:, None]
        found = np.take_along_axis(order, np.minimum(at, k - 1), axis=1)
        height = np.where(inside, np.take_along_axis(value, found, axis=1), -np.inf)
        down = np.argsort(-height, axis=1, kind="stable")
        places[:, which] = np.take_along_axis(np.where(inside, found, -1), down, axis=1)
    return places.reshape(n, -1)
