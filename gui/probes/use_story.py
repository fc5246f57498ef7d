"""What a result of DirectionUse says: whether what is read along a direction is also used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gui.plots import figure
from gui.plots.probe_strips import Mark, Strip
from gui.probes.words import class_text, listed, per_cent

Array = np.ndarray
Names = Callable[[Any], list[str]]
CONDITIONS = (("faint", "disc"), ("accent", "diamond"), ("okabe:5", "square"))
"""Colour and marker of: before, after, after a random direction."""
MANY = 0.95  # of the random directions: a change larger than theirs is one


def direction(result: Any) -> str:
    """ "“plural”", or what stands for a direction that came as numbers."""
    return f"“{class_text(result.label)}”" if str(result.label).strip() else "the direction"


def place(result: Any) -> str:
    """ "blocks.3.hook_resid_post" -> "layer 3", as far as that is clear."""
    parts = str(result.hook).split(".")
    if len(parts) > 1 and parts[1].isdigit():
        return f"layer {parts[1]}"
    return "the embedding" if parts[0] == "hook_embed" else str(result.hook)


def headline(result: Any) -> tuple[str, str]:
    """The sentence (use), and the line under it (existence)."""
    kl, ranks = float(result.kl), np.asarray(result.kl_rank, np.float64)  # [null]
    acts = "Taking" if result.how == "ablate" else "Adding to"
    ends = f" out of {place(result)}" if result.how == "ablate" else f" in {place(result)}"
    begins = f"{acts} {direction(result)}{ends}"
    if not np.isfinite(kl):
        return "", existence(result)
    known = np.isfinite(ranks)
    if not known.any():
        return f"{begins} moves the prediction by {small(kl)} nats.", existence(result)
    names = [str(name) for name in result.null_names]
    above = [at for at in np.flatnonzero(known).tolist() if ranks[at] >= MANY]
    below = [at for at in np.flatnonzero(known).tolist() if ranks[at] < MANY]
    draws = int(np.isfinite(np.asarray(result.null_kl)).sum(axis=1).max())
    numbers = _against(result, (below or above)[0])
    if not below:
        said = f"{begins} moves the prediction more than {draws} random directions do, {numbers}"
        return f"{said}: it is used.", existence(result)
    if above:
        one = listed([names[at] for at in above])
        rest = listed([names[at] for at in below])
        said = f"{begins} moves the prediction more than random directions do that are {one}"
        return f"{said}, but not more than those {rest}: {numbers}.", existence(result)
    said = f"{begins} moves the prediction no more than random directions do, {numbers}"
    return f"{said}: read, but not used along this direction alone.", existence(result)


def _against(result: Any, null: int) -> str:
    """ "0.310 nats against 0.032 to 0.061"."""
    low, high = np.asarray(result.kl_band, np.float64)[null]
    return f"{small(result.kl)} nats against {small(low)} to {small(high)}"


def small(value: float, sign: bool = False) -> str:
    """A number of nats, with as many decimals as it needs to be told from 0."""
    size = abs(float(value))
    places = 2 if size >= 1 else 3 if size >= 0.01 or size == 0 else 4 if size >= 0.001 else 6
    return figure(float(value), places, sign=sign)


def existence(result: Any) -> str:
    """What a probe still reads: before and after, here and in the last layer."""
    table = np.asarray(result.accuracy, np.float64)  # [place, condition]
    said = []
    for name, row in zip(result.accuracy_places, table, strict=True):
        if np.isfinite(row[:2]).all():
            said.append(
                f"{per_cent(row[0], 1)} % before and {per_cent(row[1], 1)} % after {_at(name)}"
            )
    if not said:
        return ""
    what = str(result.column).replace("_", " ")
    floor = f"; the majority is {per_cent(result.majority, 1)} %"
    return f"A probe trained anew reads {what} at {listed(said)}{floor}."


def _at(place_: str) -> str:
    return "here" if place_ == "here" else f"in the {place_}"


def accuracies(result: Any) -> list[Strip]:
    """A row per place: the three conditions on one track, in per cent."""
    rows = []
    for name, row in zip(result.accuracy_places, np.asarray(result.accuracy), strict=True):
        marks = [
            Mark(str(condition), 100 * float(value), colour, marker, strong=at == 1)
            for at, (condition, value, (colour, marker)) in enumerate(
                zip(result.accuracy_conditions, row, CONDITIONS, strict=False)
            )
        ]
        after = float(row[1]) if len(row) > 1 else float("nan")
        rows.append(Strip(str(name), marks, per_cent(after, 1), strong=True,
                          help="held-out accuracy of a probe trained there anew"))  # fmt: skip
    own = np.asarray(result.own_accuracy)
    if len(own) == 2 and np.isfinite(own).any():
        marks = [Mark("before", 100 * float(own[0]), *CONDITIONS[0]),
                 Mark("after", 100 * float(own[1]), *CONDITIONS[1], strong=True)]  # fmt: skip
        told = "the given direction's own threshold, before and after"
        rows.append(Strip("this direction", marks, per_cent(own[1], 1), help=told))
    return rows


def divergences(result: Any) -> list[Strip]:
    """KL of the prediction, a row per kind of random directions."""
    return _beside(result, float(result.kl), result.null_kl, result.kl_band)


def losses(result: Any) -> list[Strip]:
    """Change of the loss, likewise."""
    base = float(result.loss_base)
    return _beside(
        result, float(result.loss) - base, np.asarray(result.null_loss) - base,
        np.asarray(result.loss_band) - base, sign=True,
    )  # fmt: skip


def _beside(result: Any, value: float, draws: Any, bands: Any, sign: bool = False) -> list[Strip]:
    rows = []
    for at, name in enumerate(result.null_names):
        band = np.asarray(bands, np.float64)[at]
        beats = np.isfinite(band).all() and value > band[1]
        mark = Mark(direction(result), value, *CONDITIONS[1], strong=True)
        number = "–" if np.isnan(value) else small(value, sign)
        rows.append(Strip(str(name), [mark], number, (float(band[0]), float(band[1])),
                          np.asarray(draws, np.float64)[at], strong=bool(beats),
                          help=f"random directions, {name}"))  # fmt: skip
    return rows


def watched(result: Any, pieces: Names) -> list[Strip]:
    """Probabilities of chosen tokens, before and after, beside the first kind of random ones."""
    rows = []
    for at, name in enumerate(pieces(result.watched) if len(result.watched) else []):
        before, after = float(result.watched_base[at]), float(result.watched_changed[at])
        band = np.asarray(result.watched_band, np.float64)[0, :, at]
        marks = [Mark("before", 100 * before, *CONDITIONS[0]),
                 Mark("after", 100 * after, *CONDITIONS[1], strong=True)]  # fmt: skip
        beats = np.isfinite(band).all() and not band[0] <= after <= band[1]
        rows.append(Strip(name, marks, per_cent(after, 2), (100 * band[0], 100 * band[1]),
                          strong=bool(beats), token=True))  # fmt: skip
    return rows
