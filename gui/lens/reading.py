"""What a cell of the lens shows: the top token, or a number about the prediction; and its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gui.plots import Key, figure, token_text
from gui.plots.shades import Scale

Array = np.ndarray
SHOWS = {
    "token": "top token",
    "probability": "probability",
    "rank": "rank",
    "entropy": "entropy",
    "kl": "KL to the end",
}
HELP = {
    "token": "The likeliest token, shaded by its probability",
    "probability": "Probability of the tracked token: the answer, or else the final prediction",
    "rank": "Rank of the tracked token, 1 = likeliest; the colours are logarithmic",
    "entropy": "Entropy of the prediction, in nats",
    "kl": "KL(final prediction || this layer's), in nats",
}


@dataclass(frozen=True, eq=False)
class Reading:
    """values [layer, pos] shade the cells; text stands in them, None = the values themselves."""

    values: Array
    scale: Scale = "probability"
    text: list[list[str | None]] | None = None
    limits: tuple[float, float] | None = None
    unit: str = ""
    key: Key | None = None


def read(result: Any, show: str, top: list[list[str | None]]) -> Reading:
    """top [layer][pos]: the likeliest token of each cell."""
    if show == "probability":
        return Reading(result.target_probability, key=Key("ramp", "P of the tracked token"))
    if show == "rank":
        return _ranks(result.target_rank)
    if show in ("entropy", "kl"):
        values = np.asarray(result.entropy if show == "entropy" else result.kl)
        high = float(np.nanmax(values, initial=0.0))
        return Reading(values, "magnitude", None, (0.0, max(high, 0.1)), "nats")
    return Reading(result.top_probabilities[..., 0], text=top, key=Key("ramp", "probability"))


def _ranks(rank: Array) -> Reading:
    """Rank 1 is the map's full colour, the largest power of ten that is reached its palest."""
    known = rank >= 0  # [layer, pos]
    most = int(np.max(rank, initial=0)) + 1
    decades = max(float(np.ceil(np.log10(most))), 1.0)
    shade = 1 - np.log10(np.where(known, rank, 0) + 1.0) / decades  # [layer, pos]
    text = [[f"{each + 1:,}" if each >= 0 else None for each in row] for row in rank.tolist()]
    key = Key("ramp", "rank", low=f"{10 ** int(decades):,}", high="1")
    return Reading(np.where(known, shade, np.nan), text=text, key=key)


def top_words(ids: Array, words: Mapping[int, str]) -> list[list[str | None]]:
    """ids [layer, pos] -> [layer][pos] texts, None where not computed yet."""
    return [[words.get(each) for each in row] for row in ids.tolist()]


def cell_words(
    result: Any, row: int, col: int, words: Mapping[int, str], labels: tuple[str, str]
) -> str:
    """One cell in words, for a screen reader and a tooltip: everything that is known of it.

    labels: the row's and the position's.
    """
    where = f"{labels[0]}, {token_text(labels[1])} ({col})"
    best = int(result.top_ids[row, col, 0])
    if best < 0:
        return f"{where}: not computed yet"
    chance = figure(float(result.top_probabilities[row, col, 0]), 3)
    said = f"{where}: {token_text(words.get(best, str(best)))} {chance}"
    tracked, rank = int(result.target_ids[col]), int(result.target_rank[row, col])
    if tracked >= 0 and tracked != best:
        p = figure(float(result.target_probability[row, col]), 3)
        name = token_text(words.get(tracked, str(tracked)))
        said += f"; {name} is at rank {rank + 1:,} with {p}"
    entropy, kl = (figure(float(each[row, col]), 2) for each in (result.entropy, result.kl))
    return f"{said}; entropy {entropy}, KL to the end {kl} nats"
