"""Kept and Counts: what is remembered of each of many latents while a text goes by, bounded.

Kept holds the k entries with the largest key per latent, each with the activations around it: with
the activation as key the highest ones, with a random number as key a uniform sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["Counts", "Kept"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

Windows = Callable[[Ints], Floats]
"""Places among the entries offered [chosen] -> activations around [chosen, track, offset]."""


_TOUCHED = 512  # latents whose memory is first written between two looks at Stop


class Kept:
    """key, value, ref [latent, k], window [latent, k, track, offset]; key -inf, ref -1 = free.

    A track is what is followed around an entry: the latent itself, and perhaps something beside it.
    Of equal keys the one that came first stays. `low` [latent]: an entry whose key is not above it
    is not worth an offer.
    """

    def __init__(
        self, n: int, k: int, tracks: int, width: int, listen: Callable[[], object] | None = None
    ) -> None:
        self.k = k
        self.key = np.full((n, k), -np.inf, np.float32)  # [latent, k]
        self.value = np.full((n, k), np.nan, np.float32)  # [latent, k]
        self.ref = np.full((n, k), -1, np.int32)  # [latent, k]
        self.window = np.empty((n, k, tracks, width), np.float32)
        for first in range(0, n, _TOUCHED):  # a hundred megabytes touched at once hold up Stop
            self.window[first : first + _TOUCHED] = np.nan
            if listen is not None:
                listen()
        self.low = np.full(n, -np.inf if k else np.inf, np.float32)  # [latent]

    @property
    def nbytes(self) -> int:
        return self.key.nbytes + self.value.nbytes + self.ref.nbytes + self.window.nbytes

    def offer(self, latent: Ints, key: Floats, value: Floats, ref: Ints, windows: Windows) -> None:
        """Entries [entry] of several latents, in the order in which they came."""
        if not self.k or not len(latent):
            return
        order = np.lexsort((-key, latent))  # [entry], stable
        sorted_latent = latent[order]
        begins = np.flatnonzero(np.diff(sorted_latent, prepend=-1))  # [touched]
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
        order, rank = order[rank < self.k], rank[rank < self.k]
        by_rank = order[np.argsort(rank, kind="stable")]
        places, slots, entries = [], [], []
        for these in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):  # each latent once
            mine = latent[these]
            slot = self.key[mine].argmin(axis=1)
            better = key[these] > self.key[mine, slot]
            if not better.any():
                break  # later ones of a latent are smaller still
            mine, slot, these = mine[better], slot[better], these[better]
            self.key[mine, slot], self.value[mine, slot] = key[these], value[these]
            self.ref[mine, slot] = ref[these]
            places.append(mine)
            slots.append(slot)
            entries.append(these)
        if places:
            all_of = np.concatenate(places), np.concatenate(slots)
            self.window[all_of] = windows(np.concatenate(entries))
            touched = sorted_latent[begins]
            self.low[touched] = self.key[touched].min(axis=1)

    def order(self) -> Ints:
        """Places [latent, k] from the largest key down; of equal ones the earlier token first."""
        return np.lexsort((self.ref, -self.key), axis=-1)


class Counts:
    """Histograms of activations without 0, per latent, whose range doubles when it must.

    Bins are aligned to powers of 2, so that merging pairs of them is exact: what comes out does not
    depend on the order of the text. signed: as many bins below 0 as above.
    """

    def __init__(self, n: int, n_bins: int, signed: bool) -> None:
        self.signed = signed
        self.bits = n_bins.bit_length() - 1 - signed  # log2 of the bins of one side
        assert 1 << (self.bits + signed) == n_bins, "a power of 2"
        self.counts = np.zeros((1 + signed, n, 1 << self.bits), np.int64)  # [side, latent, bin]
        self.exponent = np.zeros(n, np.int64)  # [latent]: the range is 2^exponent
        self.seen = np.zeros(n, bool)  # [latent]

    @property
    def nbytes(self) -> int:
        return self.counts.nbytes

    def add(self, latent: Ints, value: Floats) -> None:
        """Entries [entry], none of them 0."""
        size = np.zeros(len(self.seen), np.float32)  # [latent], largest |value|
        np.maximum.at(size, latent, np.abs(value))
        self._widen(size)
        n_bins = 1 << self.bits
        scale = (self.bits - self.exponent[latent]).astype(np.int32)  # [entry]
        at = np.ldexp(np.abs(value).astype(np.float64), scale).astype(np.int64)  # [entry]
        flat = latent * n_bins + at
        for side, counts in enumerate(self.counts):
            these = flat if not self.signed else flat[(value < 0) == bool(side)]
            counts += np.bincount(these, minlength=counts.size).reshape(counts.shape)

    def _widen(self, size: Floats) -> None:
        needed = np.frexp(size)[1].astype(np.int64)  # |value| < 2^needed
        touched = size > 0
        fresh = touched & ~self.seen
        self.exponent[fresh] = needed[fresh]
        self.seen |= fresh
        steps = np.where(touched, needed - self.exponent, 0)  # [latent]
        n_bins = 1 << self.bits
        for step in np.unique(steps[steps > 0]).tolist():
            these = np.flatnonzero(steps == step)
            old = self.counts[:, these]  # [side, chosen, bin]
            new = np.zeros_like(old)
            left = max(1, n_bins >> min(step, self.bits))
            new[..., :left] = old.reshape(*old.shape[:2], left, -1).sum(axis=-1)
            self.counts[:, these] = new
            self.exponent[these] += step

    def table(self) -> tuple[Ints, Floats, Floats]:
        """(counts [latent, bin], lower edge [latent], upper edge [latent]), fresh arrays."""
        high = np.ldexp(1.0, self.exponent.astype(np.int32))  # [latent]
        if not self.signed:
            return self.counts[0].copy(), np.zeros(len(high)), high
        counts = np.concatenate([self.counts[1, :, ::-1], self.counts[0]], axis=1)
        return counts, -high, high
