"""Collecting: activations of all examples at all sites, each text read once for all of them.

Texts of equal length are one batch. float32 [example, width] per site, in memory up to LIMIT bytes
and beyond that in one memory-mapped temporary file, which is gone when the store is closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.probes.examples import MEAN, Examples
from engine.probes.sites import Site, after_last_block

Ints = npt.NDArray[np.integer]
Singles = npt.NDArray[np.float32]

LIMIT = 512 << 20  # bytes of activations that stay in memory
BATCH_WORK = 2e9  # multiplications of one forward pass: some 30 ms on two slow cores
MOST_ROWS = 1024  # tokens or points of one forward pass


class Store:
    """Activations [example, width] of each site, in memory or in a temporary file.

    Used in a `with`: what was spilled is removed at its end, however it ends.
    """

    def __init__(
        self, n: int, widths: Sequence[int], limit: int | None = None,
        way_out: str = "read fewer examples or layers",
    ) -> None:  # fmt: skip
        """limit: bytes that stay in memory; way_out: what to do where the disk has no room."""
        size = 4 * n * sum(widths)
        self.widths, self.n = tuple(widths), n
        self.spill_bytes = size if size > (LIMIT if limit is None else limit) else 0
        self._stack = contextlib.ExitStack()
        if not self.spill_bytes:
            self._flat: Any = np.empty(n * sum(widths), np.float32)
            return
        try:
            if shutil.disk_usage(tempfile.gettempdir()).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a map would die of it
            # No view may outlive what we remove on Windows, and a Stop's traceback holds some;
            # there such a file goes by itself, when the last view does.
            file = tempfile.NamedTemporaryFile(prefix="mechanoscope-activations-")  # noqa: SIM115
            self._stack.enter_context(file)
            self._flat = np.memmap(file, np.float32, "w+", shape=(n * sum(widths),))
        except OSError as error:
            self._stack.close()
            raise RunError(
                f"{size / 2**30:.1f} GB of activations do not fit in {tempfile.gettempdir()} "
                f"({(error.strerror or 'no room').lower()}): {way_out}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the memory and remove the file."""
        self._flat = np.empty(0, np.float32)
        self._stack.close()

    def __getitem__(self, site: int) -> Singles:
        """Activations [example, width] of one site: a view."""
        first = self.n * sum(self.widths[:site])
        width = self.widths[site]
        return np.asarray(self._flat[first : first + self.n * width]).reshape(self.n, width)

    @property
    def note(self) -> str:
        """Where the activations are, if not in memory."""
        if not self.spill_bytes:
            return ""
        return f"{self.spill_bytes / 2**20:,.0f} MB of activations in a temporary file"


def collect(
    model: Any, examples: Examples, sites: Sequence[Site], store: Store, first: int = 0
) -> Iterator[float]:
    """Fill `store` from site `first` on; yields the share that is done, after each batch.

    The rows of the store are the examples in their order. RunError where one is not finite.
    """
    into = {site.hook: store[first + at] for at, site in enumerate(sites)}
    fill = _of_texts if examples.points is None else _of_points
    done = 0
    for rows in fill(model, examples, into):
        for name, array in into.items():
            if not np.isfinite(array[rows]).all():
                raise RunError(f"{name} is not finite for some examples: nothing can be read there")
        done += len(rows)
        yield done / len(examples)


def _of_points(model: Any, examples: Examples, into: dict[str, Singles]) -> Iterator[Ints]:
    """Fill in slabs of points; yields the examples of each."""
    points = examples.points
    assert points is not None
    for first in range(0, len(points), MOST_ROWS):
        rows = np.arange(first, min(first + MOST_ROWS, len(points)))  # [row]

        def keep(name: str, value: Singles, rows: Ints = rows) -> None:
            if name in into:
                into[name][rows] = value

        model.forward(points[rows], tap=keep)
        yield rows


def _of_texts(model: Any, examples: Examples, into: dict[str, Singles]) -> Iterator[Ints]:
    """Fill in batches of texts of equal length; yields the examples of each."""
    logits = "all" if any(after_last_block(name) for name in into) else "none"
    for rows in _batches(model, examples):
        texts, line = np.unique(examples.text[rows], return_inverse=True)  # [batch], [row]
        ids = np.stack([examples.texts[at].ids for at in texts])  # [batch, pos]
        where = examples.where[rows]  # [row]

        def keep(
            name: str, value: Singles, rows: Ints = rows, texts: Ints = texts, line: Ints = line,
            where: Ints = where,
        ) -> None:  # fmt: skip
            if name not in into:
                return
            flat = value.reshape(*value.shape[:2], -1)  # [batch, pos, width]
            if where[0] == MEAN:  # then all are
                means = [flat[at, examples.texts[text].start :].mean(axis=0)
                         for at, text in enumerate(texts)]  # fmt: skip
                into[name][rows] = np.stack(means)[line]  # [row, width]
            else:
                into[name][rows] = flat[line, where]

        if logits == "all" or model.interventions:  # these must all be met
            model.forward(ids, tap=keep, logits=logits)
        else:
            as_far_as(model, ids, keep, set(into))
        yield rows


def as_far_as(model: Any, ids: Ints, keep: Callable[[str, Singles], None], last: set[str]) -> None:
    """A pass that ends with the block in which the last of these activations is."""
    left = set(last)

    def tap(name: str, value: Singles) -> None:
        keep(name, value)
        left.discard(name)

    for _ in model.walk(ids, tap=tap):
        if not left:
            return


def _batches(model: Any, examples: Examples) -> Iterator[Ints]:
    """Examples [row] of texts of equal length, as many texts as one pass may read."""
    lengths = np.array([len(text.ids) for text in examples.texts])[examples.text]  # [example]
    order = np.lexsort((examples.text, lengths))  # [example]
    ends = np.flatnonzero(np.diff(lengths[order], append=-1)) + 1
    first = 0
    for end in ends:
        rows = order[first:end]  # one length, by text
        most = max(1, int(min(MOST_ROWS, BATCH_WORK / model.n_params) // lengths[rows[0]]))
        number = np.unique(examples.text[rows], return_inverse=True)[1]  # [row]
        cuts = np.searchsorted(number, np.arange(most, number[-1] + 1, most))
        yield from np.split(rows, cuts)
        first = end
