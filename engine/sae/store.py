"""ActivationStore: rows of one hook in shuffled batches, read from a text as training goes.

The contexts of a text come in an order drawn anew for each epoch. So many of them as the buffer
holds are a generation; its rows are dealt out in a random order while the next generation is read,
piece by piece, into the places that have become free, so that no step waits for a full buffer.
The first generation is small and each next one twice as large, until the buffer is full. A text
that fits is read once and stays.

Everything is a function of the seed and the number of the batch: `seek` finds the very rows that
a run which never stopped would have had.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.errors import RunError, SpecError
from engine.model.interventions import width_of
from engine.probes.collecting import BATCH_WORK, MOST_ROWS, Store, as_far_as
from engine.probes.sites import after_last_block

__all__ = ["ActivationStore", "Site", "read", "site_of"]

Ints = npt.NDArray[np.integer]
Singles = npt.NDArray[np.float32]

FIRST_BATCHES = 2  # of the first generation
CONTEXTS, ROWS = 0, 1  # streams of random numbers


@dataclass(frozen=True)
class Site:
    """One activation: its hook, the head of it (-1 = all of it), its width, positions left out."""

    hook: str
    head: int
    width: int
    skip: int = 0

    @property
    def label(self) -> str:
        return self.hook if self.head < 0 else f"{self.hook}, head {self.head}"

    def part(self, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """[batch, pos, width] of an activation [batch, pos, ...]: a view where it can be."""
        value = value[:, self.skip :]
        value = value if self.head < 0 else value[:, :, self.head]
        return value.reshape(*value.shape[:2], -1)

    def replaced(self, value: npt.NDArray[Any], part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of the activation with [batch, pos, width] in the place of `part(value)`."""
        changed = value.copy()  # [batch, pos, ...]
        if self.head < 0:
            changed[:, self.skip :] = part.reshape(changed[:, self.skip :].shape)
        else:
            changed[:, self.skip :, self.head] = part
        return changed


def site_of(model: Any, hook: str, head: int = -1, skip: int = 0) -> Site:
    """The activation that an SAE reads; SpecError names what this model has not."""
    if getattr(model, "inputs", "tokens") != "tokens":
        raise RunError(
            f"{model.name} reads points and not text: open a language model to train an SAE on"
        )
    known = model.hooks()
    if hook not in known:
        close = difflib.get_close_matches(hook, known, 3, 0.4)
        hint = f"; close ones: {', '.join(close)}" if close else ""
        raise SpecError("hook", f"{model.name} has no activation {hook!r}{hint}")
    axes = known[hook].split()
    if "key" in axes or axes[-1] == "1":
        reason = "as wide as a text is long" if "key" in axes else "one number"
        raise SpecError("hook", f"{hook} is {reason}: choose one of a fixed width, such as "
                                f"blocks.{model.config.n_layers // 2}.hook_resid_post")  # fmt: skip
    width = width_of(axes, model.config)
    heads = {"head": model.config.n_heads, "kv_head": model.config.n_key_value_heads}
    n_heads = heads.get(axes[2], 0)
    if head >= max(n_heads, 0) and head >= 0:
        have = f"heads 0 to {n_heads - 1}" if n_heads else "no heads"
        raise SpecError("head", f"{head}: {hook} of {model.name} has {have}; -1 takes all of it")
    return Site(hook, head, width * (n_heads if n_heads and head < 0 else 1), skip)


def read(model: Any, ids: Ints, site: Site) -> Singles:
    """ids [batch, pos] -> activations [batch, pos - skip, width]; the model as far as is needed."""
    found: list[Singles] = []

    def keep(name: str, value: Singles) -> None:
        if name == site.hook:
            found.append(np.ascontiguousarray(site.part(value), np.float32))

    if after_last_block(site.hook) or model.interventions:  # these must all be met
        model.forward(ids, tap=keep, logits="all" if after_last_block(site.hook) else "none")
    else:
        as_far_as(model, ids, keep, {site.hook})
    rows = found[0]  # [batch, pos, width]
    if not np.isfinite(rows).all():
        raise RunError(f"{site.label} of {model.name} is not finite on this text: no SAE of it")
    return rows


def together(model: Any, context: int) -> int:
    """Contexts of one forward pass: some 30 ms of work."""
    return max(1, int(min(MOST_ROWS, BATCH_WORK / model.n_params) // context))


@dataclass(frozen=True)
class _Span:
    """Which contexts of the stream are generation number `number`."""

    number: int
    first: int
    size: int

    @property
    def end(self) -> int:
        return self.first + self.size


@dataclass
class _Generation:
    """Contexts whose rows are in the buffer, or on their way there."""

    span: _Span
    place: Ints  # [row], where each row lies
    order: Ints  # [row], in which they are dealt out
    free: int  # first rows whose places wait for nothing
    filled: int = 0  # contexts


class ActivationStore:
    """Batches [row, width] of the activations of a text; used in a `with`.

    contexts [context, pos] of token ids. limit: bytes of the buffer; memory: bytes of it from which
    on it lies in a temporary file, which is gone at the end.
    """

    def __init__(
        self, model: Any, site: Site, contexts: Ints, batch: int, *, seed: int = 0,
        limit: int = 256 << 20, memory: int | None = None,
    ) -> None:  # fmt: skip
        self.model, self.site, self.contexts, self.batch_size = model, site, contexts, batch
        self.seed = seed
        self.per_context = contexts.shape[1] - site.skip  # rows
        if self.per_context < 1:
            raise RunError(
                f"contexts of {contexts.shape[1]} tokens leave nothing when the first is left out"
            )
        self.n_rows = len(contexts) * self.per_context
        if self.n_rows < batch:
            raise RunError(
                f"the text gives {self.n_rows:,} activations, fewer than a batch of {batch:,}: "
                "take a longer text or a smaller `batch`"
            )
        self.together = together(model, contexts.shape[1])
        self.capacity = self._capacity(limit)  # contexts
        self.stays = self.capacity == len(contexts)
        n = self.capacity * self.per_context
        self._store = Store(n, [site.width], memory, "make `buffer_mb` smaller")
        self._buffer = self._store[0]  # [place, width]
        self.spill_bytes, self.nbytes = self._store.spill_bytes, 4 * n * site.width
        self._order: tuple[int, Ints] = (-1, np.zeros(0, np.int64))  # epoch and its [context]
        self.n_read = 0  # contexts that went through the model
        self._now = self._generation(self._span(None), None)
        self._next: _Generation | None = None
        self._batch = 0  # of the present generation

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the buffer and remove its file."""
        self._buffer = np.zeros((0, self.site.width), np.float32)
        self._store.close()

    @property
    def note(self) -> str:
        """Where the activations are, if not in memory."""
        return self._store.note

    # --- batches ---------------------------------------------------------------------------------

    def next(self) -> Singles:
        """The next batch [row, width], a fresh array; reads what the next generation is due."""
        if self._batch == self._batches(self._now.span):
            self._turn()
        now = self._now
        self._fill(now, now.span.size)
        first = self._batch * self.batch_size
        rows = now.order[first : first + self.batch_size]  # [row]
        x = self._buffer[now.place[rows]]  # [row, width]
        self._batch += 1
        if self._next is None:
            self._next = self._generation(self._span(now.span), now)
        self._fill(self._next, self._due(self._next))
        return x

    def _due(self, coming: _Generation) -> int:
        """Contexts of the next generation that are read by now: in step, and where there is room.

        Rows of the present one lie where they are until they are dealt out.
        """
        share = self._batch / self._batches(self._now.span)
        if share == 1:
            return coming.span.size
        room = (coming.free + self._batch * self.batch_size) // self.per_context
        due = min(int(share * coming.span.size), room)
        return due // self.together * self.together

    def seek(self, batches: int) -> None:
        """Be where `batches` calls of `next` lead to; only what is still needed is read again."""
        span, spans = self._span(None), []
        while batches >= self._batches(span):
            batches -= self._batches(span)
            spans.append(span)
            span = self._span(span)
        if self.stays:  # what earlier generations have read is there to stay
            for earlier in spans:
                generation = self._generation(earlier, None)
                self._fill(generation, earlier.size)
        self._now, self._next, self._batch = self._generation(span, None), None, 0
        for _ in range(batches):
            self.next()

    def first_rows(self) -> Singles:
        """The rows [row, width] of the first generation, for scales; a copy."""
        now = self._now
        self._fill(now, now.span.size)
        return self._buffer[now.place]  # [row, width]

    # --- generations -----------------------------------------------------------------------------

    def _capacity(self, limit: int) -> int:
        """Contexts that the buffer holds: all of a short text, else some forward passes of them."""
        per = 4 * self.per_context * self.site.width
        if len(self.contexts) * per <= limit:
            return len(self.contexts)
        least = self._least()
        if least * per > limit:
            raise RunError(
                f"a buffer of {limit / 2**20:,.0f} MB holds no two batches of {self.batch_size:,} "
                f"activations of {self.site.width} numbers ({least * per / 2**20:,.0f} MB): raise "
                "`buffer_mb` or lower `batch`"
            )
        return limit // per // self.together * self.together

    def _least(self) -> int:
        """Contexts of the first generation: whole forward passes, with at least two batches."""
        least = -(-FIRST_BATCHES * self.batch_size // self.per_context)
        return -(-least // self.together) * self.together

    def _span(self, before: _Span | None) -> _Span:
        """What comes after a generation, or the first one: which contexts of the stream."""
        number, first = (before.number + 1, before.end) if before else (0, 0)
        size = 2 * before.size if before else self._least()
        if not self.stays:
            return _Span(number, first, min(size, self.capacity))
        left = len(self.contexts) - first
        if left <= 0:
            return _Span(number, first, len(self.contexts))
        # a rest that is less than twice as much would be a generation of no batch
        return _Span(number, first, left if left < 3 * size else size)

    def _generation(self, span: _Span, before: _Generation | None) -> _Generation:
        """None of it read yet, or all of it where it stays; its rows in places that become free."""
        n, per = span.size * self.per_context, self.per_context
        order = np.random.default_rng([self.seed, ROWS, span.number]).permutation(n)  # [row]
        if self.stays:
            done = span.first >= len(self.contexts)
            place = np.arange(n) + (0 if done else span.first * per)  # [row]
            return _Generation(span, place, order, free=n, filled=span.size if done else 0)
        if before is None:
            return _Generation(span, np.arange(n), order, free=n)
        dealt = before.place[before.order]  # [row], free in this order
        fresh = np.arange(len(dealt), n)  # [row]: places that were never used
        return _Generation(span, np.concatenate([fresh, dealt]), order, free=len(fresh))

    def _turn(self) -> None:
        """The next generation becomes the present one."""
        assert self._next is not None  # the last batch of the present one has made it
        self._now, self._next, self._batch = self._next, None, 0

    def _batches(self, span: _Span) -> int:
        return span.size * self.per_context // self.batch_size

    # --- reading ---------------------------------------------------------------------------------

    def _fill(self, generation: _Generation, upto: int) -> None:
        """Read a generation's contexts up to `upto`, in forward passes of the same contexts."""
        per = self.per_context
        while generation.filled < upto:
            first = generation.filled
            last = min(first + self.together, generation.span.size)
            rows = self._read(generation.span.first + first, last - first)
            self._buffer[generation.place[first * per : last * per]] = rows
            generation.filled = last

    def _read(self, first: int, count: int) -> Singles:
        """Rows [row, width] of contexts of the stream, which goes on for ever."""
        self.model.listen()
        ids = np.stack([self._context(at) for at in range(first, first + count)])  # [batch, pos]
        self.n_read += count
        return read(self.model, ids, self.site).reshape(-1, self.site.width)

    def _context(self, at: int) -> Ints:
        """Context number `at` of the stream [pos]."""
        epoch, place = divmod(at, len(self.contexts))
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, CONTEXTS, epoch])
            self._order = epoch, rng.permutation(len(self.contexts))
        return self.contexts[self._order[1][place]]
