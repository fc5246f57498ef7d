"""What the lens shows, in words computed from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gui.lens.rows import in_words
from gui.plots import figure, token_text

Array = np.ndarray
Pieces = Callable[[Any], list[str]]


def lens_name(result: Any, name: str = "") -> str:
    """ "the logit lens", or "the tuned lens" with its name."""
    if "tuned lens" not in result.read_by:
        return "the logit lens"
    return f"the tuned lens {name}" if name else "the tuned lens"


def settles(result: Any, at: int, stays: Array, appears: Array, pieces: Pieces) -> str:
    """From where the final answer at a position stays; "" while that is not known."""
    if result.target_ids[at] < 0 or stays[at] < 0:
        return ""
    final = int(result.top_ids[-1, at, 0])
    word = token_text(pieces([final])[0])
    chance = figure(float(result.top_probabilities[-1, at, 0]), 2)
    names = result.row_names
    by = "" if "tuned lens" not in result.read_by else ", through the tuned lens,"
    said = f"At position {at}{by} the final answer {word} (P {chance})"
    if stays[at] == len(names) - 1:
        said += f" settles only in {in_words(names[stays[at]])}"
    else:
        said += f" leads from {in_words(names[stays[at]])} on"
    if 0 <= appears[at] < stays[at]:
        said += f", after a first lead at {in_words(names[appears[at]])}"
    tracked = int(result.target_ids[at])
    if tracked != final:
        rank = int(result.target_rank[-1, at]) + 1
        said += f"; {token_text(pieces([tracked])[0])} ends at rank {rank:,}"
    return said + "."


def about_lens(result: Any, name: str) -> str:
    """Which lens reads the rows; rows inside a block have no translator."""
    said = f"Read through {lens_name(result, name)}."
    out = sum(by == "logit lens" for by in result.read_by)
    if "tuned lens" not in result.read_by or not out:
        return said
    rows = "One row has" if out == 1 else f"{out} rows have"
    return f"{said} {rows} no translator and stay with the logit lens."


def compared(a: Any, b: Any, names: Sequence[str], stays: Sequence[Array]) -> str:
    """Two runs: two lenses on one prompt by their distance to the end, else where answers settle.

    names: of the lenses of A and B.
    """
    same = a.tokens.shape == b.tokens.shape and bool(np.array_equal(a.tokens, b.tokens))
    if a.row_names != b.row_names:
        return f"A has {len(a.row_names)} rows, B has {len(b.row_names)}: compare them by name."
    if same and a.read_by != b.read_by:
        return _lenses(a, b, names)
    found = [_typical(each) for each in stays]
    if None in found:
        return ""
    rows = [in_words(a.row_names[int(each or 0)]) for each in found]
    if rows[0] == rows[1]:
        return f"In both the final answer settles by {rows[0]} at half of the positions."
    return f"By {rows[0]} half of the final answers have settled in A, by {rows[1]} in B."


def _typical(stays: Array) -> int | None:
    known = stays[stays >= 0]
    return int(np.sort(known)[(len(known) - 1) // 2]) if len(known) else None


def _lenses(a: Any, b: Any, names: Sequence[str]) -> str:
    """KL to the end, mean over positions and the rows before the last."""
    rows = [np.nanmean(each.kl[:-1], axis=1) for each in (a, b)]  # [layer] each
    if not len(rows[0]):
        return ""
    means = [figure(float(each.mean()), 2) for each in rows]
    closer = int((rows[1] < rows[0]).sum())
    return (
        f"A is read by {names[0]}, B by {names[1]}: KL to the end {means[0]} nats against "
        f"{means[1]} on average, B is closer in {closer} of {len(rows[0])} rows."
    )
