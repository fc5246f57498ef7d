"""Pointing: a probe's direction as the window's own: an intervention, a file, cosines, tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.model.interventions import Intervention
from engine.probes import directions
from gui.plots.probe_list import Signed
from gui.probes.words import capital, class_text, site_name

Array = np.ndarray
Names = Callable[[Any], list[str]]
MOST_TOKENS = 8  # at either end


def direction(result: Any, site: int, which: int) -> Array | None:
    """[width] in raw activation space; None where the probe has none yet (or is no plane)."""
    if not 0 <= site < len(result.site_names) or np.shape(result.weights)[0] <= site:
        return None
    found = np.asarray(result.direction(site, which), np.float64)  # [width]
    return found if found.size and np.isfinite(found).all() and found.any() else None


def about(result: Any, site: int, which: int) -> str:
    """ "“plural” in layer 3": what a direction is, for a chip in the bar."""
    return f"“{class_text(result.classes[which])}” in {site_name(str(result.site_labels[site]))}"


def ablating(result: Any, site: int, which: int) -> Intervention | None:
    found = direction(result, site, which)
    if found is None:
        return None
    return Intervention(str(result.site_names[site]), "zero", direction=tuple(found.tolist()))


def steering(result: Any, site: int, which: int) -> Intervention | None:
    """By as much as lies between the class and the rest, so that one would turn into the other."""
    found = direction(result, site, which)
    if found is None:
        return None
    length = round(_gap(result, site, which) / float(np.linalg.norm(found)), 3) or 1.0
    name = str(result.site_names[site])
    return Intervention(name, "steer", length, direction=tuple(found.tolist()))


def _gap(result: Any, site: int, which: int) -> float:
    """Mean score of the class less that of the rest; the score grows by |w| per unit of length."""
    true = np.asarray(result.true)
    along = np.asarray(result.projection[site], np.float64)  # [example]
    scores = np.asarray(result.scores)
    if len(result.classes) == 2:
        along = along if which else -along
    elif scores.ndim == 3 and scores.shape[2] == len(result.classes):
        every = scores[site].astype(np.float64)  # [example, class]
        along = every[:, which] - every.mean(axis=1)
    here, rest = along[true == which], along[true != which]
    found = here.mean() - rest.mean() if len(here) and len(rest) else np.nan
    return float(found) if np.isfinite(found) and found > 0 else 0.0


def cosines(
    result: Any, site: int, which: int, kept: Sequence[tuple[str, Array]], most: int = 14
) -> list[Signed]:
    """With the same class at the other sites, the other classes here, and what was kept."""
    own = direction(result, site, which)
    if own is None:
        return []
    others: list[tuple[str, Array, str]] = []
    for at, label in enumerate(result.site_labels):
        found = direction(result, at, which) if at != site else None
        if found is not None:
            others.append((capital(site_name(str(label))), found, "the same class there"))
    if len(result.classes) > 2:
        for at, name in enumerate(result.classes):
            found = direction(result, site, at) if at != which and len(others) < most else None
            if found is not None:
                others.append((class_text(name), found, "another class at the same site"))
    others = others[:most] + [(name, vector, "a kept direction") for name, vector in kept]
    table = directions.cosines([own], [vector for _, vector, _ in others])[0]  # [other]
    return [
        Signed(name, float(value), help=told)
        for (name, _, told), value in zip(others, table, strict=True)
        if np.isfinite(value)
    ]


def tokens(result: Any, site: int, which: int, pieces: Names) -> list[Signed]:
    """What the direction writes most and least through the final norm's gain and W_U."""
    made = []
    ends = ((result.top_tokens, result.top_values), (result.bottom_tokens, result.bottom_values))
    for at, (ids, values) in enumerate(ends):
        if np.ndim(ids) != 3 or not 0 <= which < np.shape(ids)[1] or site >= np.shape(ids)[0]:
            return []
        rows = [(int(i), float(v)) for i, v in zip(ids[site, which], values[site, which],
                strict=True) if i >= 0][:MOST_TOKENS]  # fmt: skip
        names = pieces([number for number, _ in rows])
        listed = [Signed(name, value, token=True)
                  for name, (_, value) in zip(names, rows, strict=True)]  # fmt: skip
        made += listed if at == 0 else listed[::-1]
    return made
