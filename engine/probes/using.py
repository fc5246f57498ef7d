"""Effects: what changes of a model do to its output on texts, each beside the plain run.

KL(plain || changed) of the next-token distribution and the probability of chosen tokens where a
label stands, and the loss on the whole text; of a network that reads points, of its two classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.probes.collecting import MOST_ROWS
from engine.probes.examples import MEAN, Examples

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

NUMBERS = 4e6  # of log-probabilities held at a time


@dataclass(frozen=True)
class Measured:
    """Means so far; the changed runs are [view]. NaN where nothing was measured."""

    n_texts: int
    n_predicted: int
    n_read: int
    kl: Floats
    loss_base: float
    loss: Floats
    watched_base: Floats
    watched: Floats

    @classmethod
    def unknown(cls, n_views: int, n_watched: int) -> Measured:
        nan = np.full(n_views, np.nan)
        return cls(0, 0, 0, nan, float("nan"), nan.copy(), np.full(n_watched, np.nan),
                   np.full((n_views, n_watched), np.nan))  # fmt: skip


@dataclass(frozen=True)
class Change:
    """Unit vectors [view, width] at a hook: taken out, or `length` times each added to all rows."""

    hook: str
    directions: Floats
    length: float = 0.0

    def tap(self, chosen: slice) -> Callable[[str, Floats], Floats | None]:
        """For a pass of the same inputs once for each of these views, one after the other."""
        U = self.directions[chosen]  # [view, width]

        def change(name: str, value: Floats) -> Floats | None:
            if name != self.hook:
                return None
            x = value.reshape(len(U), -1, value.shape[-1])  # [view, row, width]
            u = U.astype(x.dtype)[:, None]  # [view, 1, width]
            if self.length:
                return (x + x.dtype.type(self.length) * u).reshape(value.shape)
            along = x @ u.swapaxes(1, 2)  # [view, row, 1]
            return (x - along * u).reshape(value.shape)

        return change


class Effects:
    """Sums over texts: a plain run, a changed one (`view`), and many rivals of it, many at once."""

    def __init__(
        self, model: Any, view: Any, rivals: Change, examples: Examples, rows: Ints, watched: Ints
    ) -> None:  # fmt: skip
        self.model, self.view, self.rivals, self.examples = model, view, rivals, examples
        self.rows, self.watched = rows, watched
        self.n_texts = self.n_predicted = self.n_read = 0
        n_views = 1 + len(rivals.directions)
        self.loss_base, self.watched_base = 0.0, np.zeros(len(watched))  # sums, as all here
        self.loss, self.kl = np.zeros(n_views), np.zeros(n_views)  # [view]
        self.probability = np.zeros((n_views, len(watched)))  # [view, watch]

    def steps(self) -> Iterator[float]:
        """Read all texts; yields the share that is done after each run of the model."""
        batches = list(self._batches())
        for number, (inputs, read, after, following) in enumerate(batches):
            plain = self._logp(self.model, inputs)  # [row, output]
            p = np.exp(plain[read])  # [place, output]
            kl, loss = np.zeros(len(self.kl)), np.zeros(len(self.kl))  # [view]
            watched = np.zeros_like(self.probability)  # [view, watch]
            most = max(1, int(min(MOST_ROWS, NUMBERS / plain.shape[1]) // len(plain)))
            rivals = len(self.kl) - 1
            for first in (-1, *range(0, rivals, most)):
                if first < 0:
                    chosen, logp = slice(0, 1), self._logp(self.view, inputs)[None]
                else:
                    here = slice(first, min(first + most, rivals))
                    chosen = slice(here.start + 1, here.stop + 1)
                    tiled = np.concatenate([inputs] * (here.stop - here.start))
                    logp = self._logp(self.model, tiled, self.rivals.tap(here))
                    logp = logp.reshape(here.stop - here.start, *plain.shape)
                loss[chosen] = -logp[:, after, following].sum(axis=1, dtype=np.float64)
                moved = plain[read] - logp[:, read]  # [view, place, output]
                kl[chosen] = np.einsum("pv,kpv->k", p, moved, dtype=np.float64)
                now = np.exp(logp[:, read][..., self.watched])  # [view, place, watch]
                watched[chosen] = now.sum(axis=1, dtype=np.float64)
                yield (number + chosen.stop / (rivals + 1)) / len(batches)
            self.loss_base -= float(plain[after, following].sum(dtype=np.float64))
            self.watched_base += p[:, self.watched].sum(axis=0, dtype=np.float64)
            self.loss += loss  # whole batches only: all means are over the same places
            self.kl += kl
            self.probability += watched
            self.n_texts += len(inputs)
            self.n_predicted += len(after)
            self.n_read += len(read)

    def measured(self) -> Measured:
        """Means so far, as fresh arrays."""
        if not self.n_read:
            return Measured.unknown(len(self.kl), len(self.watched))
        tokens = self.n_predicted or float("nan")
        return Measured(
            self.n_texts, self.n_predicted, self.n_read, self.kl / self.n_read,
            self.loss_base / tokens, self.loss / tokens,
            self.watched_base / self.n_read, self.probability / self.n_read,
        )  # fmt: skip

    def _batches(self) -> Iterator[tuple[Any, Ints, Ints, Ints]]:
        """(inputs, rows of logits with a label, rows with a known outcome, that outcome)."""
        examples = self.examples
        if examples.points is not None:
            for first in range(0, len(self.rows), MOST_ROWS):
                rows = self.rows[first : first + MOST_ROWS]
                each = np.arange(len(rows))
                yield examples.points[rows], each, each, examples.label[rows]
            return
        cfg, rows = self.model.config, self.rows
        lengths = np.array([len(text.ids) for text in examples.texts])  # [text]
        texts = np.unique(examples.text[rows])
        for length in np.unique(lengths[texts]):
            same = texts[lengths[texts] == length]
            most = max(1, int(min(MOST_ROWS, NUMBERS / cfg.d_vocab_out) // length))
            for first in range(0, len(same), most):
                here = same[first : first + most]
                ids = np.stack([examples.texts[at].ids for at in here])  # [batch, pos]
                inside = rows[np.isin(examples.text[rows], here)]
                line, where = np.searchsorted(here, examples.text[inside]), examples.where[inside]
                read = line * length + where  # [place]
                if (where == MEAN).any():  # a mean stands for all positions
                    read = np.arange(ids.size)
                follows = np.arange(ids.size).reshape(ids.shape)[:, :-1]  # [batch, pos - 1]
                start = np.array([examples.texts[at].start for at in here])[:, None]
                counted = np.arange(length - 1) >= np.maximum(start - 1, 0)  # [batch, pos - 1]
                if cfg.d_vocab_out != cfg.d_vocab:
                    counted = np.zeros_like(counted)  # its outputs are no tokens
                yield ids, np.unique(read), follows[counted], ids[:, 1:][counted]

    def _logp(self, model: Any, inputs: Any, tap: Any = None) -> Floats:
        """Log-probabilities [row, output], rows in the order of the inputs."""
        logits = model.forward(inputs, tap=tap).logits
        logits = logits.reshape(-1, logits.shape[-1])  # [row, output]
        if logits.shape[1] == 1:  # of a network with one output: class 0, class 1
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        logits = logits - logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits
