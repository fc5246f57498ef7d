"""What a result of PrincipalComponents says to the plots and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gui.plots.in_context import InText
from gui.plots.shades import figure
from gui.plots.tokens import token_text

Array = np.ndarray
COLOURS = 7  # classes with a colour of their own; the rest share the eighth
LISTED = 200  # examples in a list
ENDS = 8  # examples at each end of a component
OTHER = "other"
Pieces = Callable[[Any], list[str]]


def known(result: Any) -> bool:
    """Whether the components are computed."""
    return bool(np.size(result.scores) and np.isfinite(result.scores).any())


def shown(result: Any, axes: tuple[int, int]) -> tuple[int, int]:
    """The two components to draw, of those there are."""
    last = np.shape(result.scores)[1] - 1
    across, up = (min(max(at, 0), max(last, 0)) for at in axes)
    return (across, up) if across != up else (across, 0 if across else min(1, last))


def kinds(result: Any) -> tuple[Array, list[str]]:
    """[example] -> colour, and the names of the colours: the most frequent classes, and the rest.

    Classes keep their order; with more than there are colours, the rare ones are "other".
    """
    names, label = list(result.classes), np.asarray(result.label)
    if len(names) <= COLOURS + 1:
        return label, names
    most = np.sort(np.argsort(-np.asarray(result.counts), kind="stable")[:COLOURS])  # [colour]
    table = np.full(len(names), COLOURS)  # [class]
    table[most] = np.arange(COLOURS)
    rest = len(names) - COLOURS
    return table[label], [*(names[at] for at in most), f"{OTHER}, {rest} classes"]


def axis_words(result: Any, component: int) -> str:
    share = float(result.explained[component])
    if not np.isfinite(share):
        return f"PC {component + 1}"
    return f"PC {component + 1}, {figure(100 * share, 1)} % of variance"


def words(result: Any) -> tuple[str, str]:
    """The sentence, and the line under it."""
    if not known(result):
        return "Activations are being read.", ""
    explained, eta = np.asarray(result.explained), np.asarray(result.eta_squared)
    n, two = len(result.label), min(2, len(explained))
    where = f"{n:,} examples at {result.hook}" if result.hook else f"{n:,} examples"
    with_two = figure(100 * float(explained[:two].sum()), 0)
    said = f"The first two of {len(explained)} components hold {with_two} % of the variance"
    if not np.isfinite(eta).any():
        return f"{said} of {where}.", _warnings(result)
    chance = np.asarray(result.eta_null)  # [component]
    above = np.where((eta > chance) | np.isnan(chance), eta, np.nan)  # [component]
    parts = bool(np.isfinite(above).any())
    best = int(np.nanargmax(above if parts else eta))
    share, null = float(eta[best]), float(chance[best])
    label = f"“{result.column}”" if result.column else "the label"
    end = f"component {best + 1} parts {label} best"
    if not parts:
        end = f"none of them parts {label} more than shuffled labels do"
    beside = f", with shuffled labels {figure(null, 2)}" if np.isfinite(null) else ""
    more = f"{where}; η² of component {best + 1} is {figure(share, 2)}{beside}."
    return f"{said}; {end}.", f"{more} {_warnings(result)}".strip()


def _warnings(result: Any) -> str:
    return " ".join(
        f"{said[:1].upper()}{said[1:].rstrip('.')}." for said in result.warnings if said
    )


def about(result: Any, at: int) -> str:
    """One example in words."""
    word, name = token_text(result.example_words[at]), result.classes[int(result.label[at])]
    text = result.example_text[at]
    return f"{word}: {name}" + (f"\n{text}" if text.strip() != word.strip() else "")


def in_text(result: Any, at: int, kind: Array, pieces: Pieces) -> InText:
    """One example as a row: the token that is read within its prompt."""
    where, row = int(result.example_where[at]), np.asarray(result.example_prompt_tokens)[at]
    ids = row[row >= 0]  # [pos]
    tone, text = int(kind[at]), result.example_text[at]
    if not 0 <= where < len(ids):
        return InText(text, kind=tone, about=about(result, at))
    tokens = pieces(ids)
    first = 1 if where and tokens[0].strip() not in text else 0  # BOS is nobody's word
    own = any(token[:1].isspace() for token in tokens[1:])
    blank = "" if own else " "  # words that bring no blanks of their own
    before = blank.join(tokens[first:where]).strip()
    after = blank.join(tokens[where + 1 :]).strip()
    return InText(tokens[where].strip() or tokens[where], before, after, tone, about(result, at))


def ends(result: Any, component: int) -> list[int]:
    """The examples highest on a component, then the lowest, as far as they are different."""
    score = np.asarray(result.scores)[:, component]  # [example]
    order = np.argsort(-score, kind="stable")
    order = order[np.isfinite(score[order])]
    some = min(ENDS, len(order) // 2)
    return [*order[:some].tolist(), *order[len(order) - some :].tolist()]


def listed(result: Any, picked: Array, component: int) -> tuple[str, str, list[int]]:
    """Caption, note and examples of the list: those drawn around, else the ends of a component."""
    if not len(picked):
        return f"Highest and lowest on PC {component + 1}", "", ends(result, component)
    count = np.bincount(np.asarray(result.label)[picked], minlength=len(result.classes))
    most = np.argsort(-count, kind="stable")[:3]
    parts = [f"{count[at]:,} {result.classes[at]}" for at in most.tolist() if count[at]]
    left_out = len(picked) - LISTED
    note = f"the first {LISTED} are listed" if left_out > 0 else ""
    said = f"{len(picked):,} of {len(result.label):,}: {', '.join(parts)}"
    return said, note, picked[:LISTED].tolist()


def prompt_of(result: Any, at: int) -> str:
    """The text that an example stands in; "" where it is none, such as a point."""
    return str(result.example_text[at]) if np.shape(result.example_prompt_tokens)[1] else ""


def rows(result: Any, some: Sequence[int], pieces: Pieces) -> list[InText]:
    kind, _ = kinds(result)
    return [in_text(result, at, kind, pieces) for at in some]
