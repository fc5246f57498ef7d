"""Browsing: one pass over a text that finds, for every latent of a basis, what to show of it.

A block of prompts is read, its activations f [token, latent] are looked at once and forgotten. What
stays is bounded, whatever the length of the text: counts and a histogram, the highest token of
`top` prompts, a uniform sample of active tokens from which the bands are filled, each with the
activations around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.lens.text import prompts
from engine.sae import bases
from engine.sae.bases import Basis
from engine.sae.beside import Beside, about_units
from engine.sae.examples import Slots, band_names, fill_slots
from engine.sae.keeping import Counts, Kept
from engine.sae.pages import FeaturesResult, empty
from engine.sae.store import together
from engine.sae.writing import Writing
from engine.technique import Update

__all__ = ["Browsing"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

BINS = 64  # of a histogram
BLOCK = 32 << 20  # bytes of f [token, latent] at a time
BLOCK_FLOPS = 2e9  # of reading it: some 30 ms
BLOCK_DENSE = 1 << 19  # numbers of f at a time where all of them are active: some 50 ms
SAMPLED = 4  # active tokens that are remembered for each one that a band shows
MOST_BYTES = 4 << 30  # held for all latents together
_TOTAL = 1000  # updates' steps
_PREPARING, _READING = 0.1, 0.9  # shares of the progress at which a basis is found, a text read


class Browsing:
    """One run: the basis, the text, and what is known of the latents so far."""

    def __init__(self, spec: Any, model: Any) -> None:
        self.spec, self.model = spec, model
        self.step = 0
        self.basis: Basis | None = None

    def steps(self) -> Iterator[Update]:
        """An Update for each block of the text, then for what the decoder rows write."""
        spec, model = self.spec, self.model
        context = min(spec.context, getattr(model.config, "n_ctx", spec.context))
        making = bases.chosen(spec, model)
        while True:
            try:
                share = next(making)
            except StopIteration as end:
                self.basis = end.value
                break
            note = f"text is read for its components: {share:.0%}"
            yield self._update(_PREPARING * share, note, empty(spec))
        yield from self._read(*prompts(model, spec.data, spec.n_tokens, context))

    def _read(self, sequences: Ints, source: str) -> Iterator[Update]:
        self._begin(sequences, source)
        several = self.several
        starts = range(0, len(sequences), several)
        begun = self.step / _TOTAL
        due = 1  # blocks after which examples are sorted out again: 1, 2, 4, ...
        for number, first in enumerate(starts, 1):
            self.model.listen()
            rng = np.random.default_rng([self.spec.seed, number])
            self._block(first, sequences[first : first + several], rng)
            if number == due or number == len(starts):
                due *= 2
                self.slots = fill_slots(self, self.model.listen)
            share = begun + (_READING - begun) * number / len(starts)
            yield self._update(share, f"{self.n_read:,} of {self.n_wanted:,} tokens")
        for share in self.writing.fill(self.model, self.basis_found):
            yield self._update(_READING + (1 - _READING) * share, "what decoder rows write")
        yield self._update(1.0, "done")

    @property
    def basis_found(self) -> Basis:
        assert self.basis is not None
        return self.basis

    def _begin(self, sequences: Ints, source: str) -> None:
        spec, basis = self.spec, self.basis_found
        n, self.n_pos = basis.n, sequences.shape[1]
        if sequences.size > np.iinfo(np.int32).max:
            raise RunError(f"n_tokens: {sequences.size:,} is more than can be told apart")
        self.sequences, self.source = sequences.astype(np.int32), source
        self.counted = bases.counted(self.model, sequences, spec.count_bos)  # [sequence, pos]
        self.n_wanted, self.n_read = int(self.counted.sum()), 0
        self.names = band_names(spec.quantiles, spec.examples_per_quantile, basis.signed)
        per = spec.examples_per_quantile
        sample = SAMPLED * per * (1 + len(set(spec.quantiles)))
        self.beside = Beside(basis) if basis.kind != "neurons" else None
        around = (1 if self.beside is None else 2, 2 * spec.window + 1)
        each = 12 + 4 * around[0] * around[1]
        kept = n * (spec.top + sample + (per if basis.signed else 0)) * each
        if kept > MOST_BYTES:
            raise RunError(
                f"the examples of {n:,} latents would take {kept / 2**30:.1f} GB, the limit is "
                f"{MOST_BYTES >> 30} GB: show fewer of each (top, examples_per_quantile), or a "
                "smaller window"
            )
        listen = self.model.listen
        self.top = Kept(n, spec.top, *around, listen)
        self.sample = Kept(n, sample, *around, listen)
        self.lowest = Kept(n, per if basis.signed else 0, *around, listen)
        self.histogram = Counts(n, BINS, basis.signed)
        self.count = np.zeros(n, np.int64)  # [latent]
        self.sum = np.zeros(n)  # [latent]
        flops = 2 * n * (basis.site.width if basis.kind != "neurons" else 1)  # of a token
        numbers = BLOCK_DENSE if basis.signed else BLOCK // 4
        most = min(numbers // n, int(BLOCK_FLOPS / flops)) // self.n_pos  # prompts
        self.several = max(1, min(most, together(self.model, self.n_pos)))
        self.slots = Slots.empty(n, self.names, spec, around)
        self.writing = Writing.unknown(n, self.model.config.d_vocab_out, spec.ranks)
        self.nbytes = sum(
            one.nbytes for one in (self.top, self.sample, self.lowest, self.histogram)
        )
        self.nbytes += self.several * self.n_pos * n * 4

    def _block(self, first: int, ids: Ints, rng: np.random.Generator) -> None:
        """Prompts ids [batch, pos], the first of them number `first` of the text."""
        basis, n, n_pos = self.basis_found, self.basis_found.n, self.n_pos
        x = bases.activations(self.model, basis, ids)  # [batch * pos, d_in]
        f = basis.read(x, self.model.listen)  # [batch * pos, latent]
        counted = self.counted[first : first + len(ids)]  # [batch, pos]
        f[~counted.reshape(-1)] = 0
        at = np.flatnonzero(f.reshape(-1) != 0)  # [entry]
        row, latent = np.divmod(at, n)  # [entry]
        value = f.reshape(-1)[at]  # [entry]
        if not np.isfinite(value).all():
            raise RunError(f"{basis.name} gives a number that is not finite on this text")
        self.model.listen()  # the last time: a block counts as a whole or not at all
        self.n_read += int(counted.sum())
        self.histogram.add(latent, value)
        if self.beside is not None:
            x = np.where(counted.reshape(-1, 1), x, 0)  # [batch * pos, d_in], a copy
            self.beside.add(x, row, latent, value)
        if basis.signed:
            above = value > 0  # [entry]
            row, latent, value = row[above], latent[above], value[above]
        self.count += np.bincount(latent, minlength=n)
        self.sum += np.bincount(latent, weights=value, minlength=n)
        base, blocks = first * n_pos, f.reshape(len(ids), n_pos, n)  # [batch, pos, latent]
        units = None if self.beside is None else self.beside.unit
        windows = _Windows(blocks, counted, self.spec.window, x.reshape(len(ids), n_pos, -1), units)
        draw = rng.random(len(value), np.float32)  # [entry]
        few = np.flatnonzero(draw > self.sample.low[latent])
        mine, rows, values = latent[few], row[few], value[few]
        self.sample.offer(
            mine, draw[few], values, base + rows, lambda chosen: windows(rows[chosen], mine[chosen])
        )
        self._extremes(blocks, base, self.top, windows, 1)
        if self.lowest.k:
            self._extremes(blocks, base, self.lowest, windows, -1)

    def _extremes(
        self, blocks: Floats, base: int, kept: Kept, windows: _Windows, sign: int
    ) -> None:
        """Offer the highest token of each prompt (sign 1), or the lowest (-1), to `kept`."""
        best = blocks.max(axis=1) if sign == 1 else -blocks.min(axis=1)  # [batch, latent]
        which, latent = np.nonzero(best > np.maximum(kept.low, 0))  # [entry]
        tracks = blocks[which, :, latent]  # [entry, pos]
        pos = tracks.argmax(axis=1) if sign == 1 else tracks.argmin(axis=1)  # [entry]
        rows = which * self.n_pos + pos
        kept.offer(
            latent, best[which, latent], sign * best[which, latent], base + rows,
            lambda chosen: windows(rows[chosen], latent[chosen]),
        )  # fmt: skip

    # --- what is known ---------------------------------------------------------------------------

    def _update(self, share: float, note: str, known: FeaturesResult | None = None) -> Update:
        """The next update, in thousandths of all work."""
        self.step = max(self.step + 1, int(share * _TOTAL))
        made = self.result if known is None else lambda: known
        return Update(self.step, max(self.step, _TOTAL), made, note=note)

    def result(self) -> FeaturesResult:
        """All that is known, as arrays that never change."""
        basis, slots, writing = self.basis_found, self.slots, self.writing
        n = basis.n
        best = self.top.order()[:, :1]  # [latent, 1]
        key = np.take_along_axis(self.top.key, best, axis=1)[:, 0]  # [latent]
        ref = np.take_along_axis(self.top.ref, best, axis=1)[:, 0]  # [latent]
        active = self.count > 0  # [latent]
        counts, low, high = self.histogram.table()
        n_read = max(1, self.n_read)
        return FeaturesResult(
            basis=basis.kind, basis_name=basis.name, basis_digest=basis.digest, hook=basis.hook,
            source=self.source, signed=basis.signed, n_read=self.n_read, n_wanted=self.n_wanted,
            l0=np.float64(self.count.sum() / n_read), memory=self.nbytes,
            active_count=self.count.copy(),
            density=(self.count / n_read).astype(np.float32),
            highest=np.where(active, key, 0).astype(np.float32),
            mean_active=np.divide(
                self.sum, self.count, out=np.full(n, np.nan), where=active
            ).astype(np.float32),
            top_ids=np.where(active, self.sequences.reshape(-1)[ref], -1),
            histogram=counts, histogram_low=low, histogram_high=high,
            sequence_tokens=self.sequences, band_names=self.names, slot_band=slots.band,
            example_sequence=slots.sequence, example_position=slots.position,
            example_value=slots.value, example_window=slots.window[:, :, 0],
            **about_units(self.beside, slots, self.n_read), band_edges=slots.edges,
            promoted_ids=writing.promoted.copy(), promoted_logits=writing.promoted_logits.copy(),
            suppressed_ids=writing.suppressed.copy(),
            suppressed_logits=writing.suppressed_logits.copy(),
            nearest=writing.nearest.copy(), nearest_cosine=writing.cosine.copy(),
            decoder_norm=np.linalg.norm(basis.rows, axis=1).astype(np.float32),
            warnings=basis.warnings,
        )  # fmt: skip


class _Windows:
    """Activations around tokens of a block: f [batch, pos, latent], counted [batch, pos].

    x [batch, pos, d_in] and units [latent]: what stands beside each latent, if anything.
    """

    def __init__(
        self, f: Floats, counted: npt.NDArray[np.bool_], side: int, x: Floats, units: Ints | None
    ) -> None:
        self.f, self.counted, self.x, self.units = f, counted, x, units
        self.offset = np.arange(-side, side + 1)  # [offset]

    def __call__(self, rows: Ints, latents: Ints) -> Floats:
        """rows [chosen] of the block, latents [chosen] -> [chosen, track, offset]; NaN = none."""
        n_pos = self.f.shape[1]
        which, pos = np.divmod(rows, n_pos)  # [chosen]
        at = pos[:, None] + self.offset  # [chosen, offset]
        there = (at >= 0) & (at < n_pos)  # [chosen, offset]
        at, which = np.clip(at, 0, n_pos - 1), which[:, None]
        there &= self.counted[which, at]
        tracks = [self.f[which, at, latents[:, None]]]  # [chosen, offset] each
        if self.units is not None:
            tracks.append(self.x[which, at, self.units[latents][:, None]])
        return np.where(there[:, None], np.stack(tracks, axis=1), np.nan)
