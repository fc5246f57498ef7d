"""What an attribution says, in words computed from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gui.plots import figure, token_text
from gui.plots.waterfall import Part

Array = np.ndarray
Pieces = Callable[[Any], list[str]]
CONSTANT = ("bias",)  # kinds of bars that no input changes
WORDS = {"embed": "the embedding", "pos_embed": "the positions"}


def small(value: float) -> str:
    """A deviation, with a power of ten: 1.2e-7 -> "1e−7"."""
    if np.isnan(value):
        return "not computed yet"
    return "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-").replace("-", "−")


def subject(result: Any, pieces: Pieces) -> str:
    """ "·Mary minus ·John", or "·Mary"."""
    answer = token_text(pieces([int(result.answer_id)])[0])
    if int(result.wrong_id) < 0:
        return answer
    return f"{answer} minus {token_text(pieces([int(result.wrong_id)])[0])}"


def title(result: Any, at: int, pieces: Pieces) -> str:
    """What is taken apart, where, and from which weights."""
    word = token_text(pieces([int(result.tokens[at])])[0])
    kind = "Logit" if int(result.wrong_id) < 0 else "Logits"
    return f"{kind} of {subject(result, pieces)} after {word} ({at}), {result.weights} weights"


def in_words(name: str, kind: str) -> str:
    """A bar's name as a sentence says it."""
    if kind == "head":
        return f"head {name}"
    if kind == "neuron":
        layer, _, index = name.partition(".n")
        return f"neuron {index} of layer {layer}"
    if kind in ("attn", "mlp") and name.endswith(f".{kind}"):
        what = "the attention" if kind == "attn" else "the MLP"
        return f"{what} of layer {name.partition('.')[0]}"
    if kind == "rest":
        return f"the other neurons of layer {name.partition('.')[0]}"
    if kind == "layer" and name.isdigit():
        return f"layer {name}"
    return WORDS.get(name, name)


def bars(result: Any, at: int) -> list[Part]:
    """The bars at a position, in their order."""
    return [
        Part(name, float(result.value[index, at]), index, kind in CONSTANT,
             "A constant: no token changes it" if kind in CONSTANT else "")
        for index, (name, kind) in enumerate(zip(result.names, result.kinds, strict=True))
    ]  # fmt: skip


def adds_up(result: Any, at: int) -> str:
    """The identity: the bars, the model, and how far they are from each other."""
    total, logit = (figure(float(each[at]), 3, sign=True) for each in (result.total, result.logit))
    off, size = float(result.deviation[at]), float(np.nansum(np.abs(result.value[:, at])))
    if np.isnan(off):
        return "The bars are not all there yet."
    share = f" ({small(abs(off) / size)} of Σ |bar|)" if size > 0 and off else ""
    return f"Bars {total}, model {logit}, deviation {small(off)}{share}"


def strongest(result: Any, at: int) -> list[int]:
    """The bars that no input leaves alone, the largest first; none that is not computed yet."""
    value = result.value[:, at]  # [component]
    order = np.argsort(-np.abs(np.nan_to_num(value)), kind="stable").tolist()
    return [i for i in order if result.kinds[i] not in CONSTANT and np.isfinite(value[i])]


def sentence(result: Any, at: int, pieces: Pieces) -> str:
    """What writes most towards it, and what most against it."""
    order, value = strongest(result, at), result.value[:, at]  # [component]
    if not order or np.isnan(result.logit[at]):
        return ""
    side = 1 if float(result.logit[at]) >= 0 else -1
    names, kinds = result.names, result.kinds
    pro = [i for i in order if value[i] * side > 0][:2]
    con = [i for i in order if value[i] * side < 0][:1]
    said = f"{subject(result, pieces)} is {figure(float(result.logit[at]), 2, sign=True)} logits"
    if pro:
        listed = [f"{in_words(names[i], kinds[i])} ({_figure(value[i])})" for i in pro]
        said += f": most comes from {' and '.join(listed)}"
    if con:
        one = con[0]
        said += f"; {in_words(names[one], kinds[one])} ({_figure(value[one])}) works against it"
    return said + "."


def compared(a: Any, b: Any, at: Sequence[int]) -> str:
    """Two runs: what each is of, and which bar is largest in each."""
    if (a.unit, a.weights) != (b.unit, b.weights):
        names = [f"{each.unit}s from {each.weights} weights" for each in (a, b)]
        return f"A shows {names[0]}, B {names[1]}."
    best = [strongest(each, place)[:1] for each, place in zip((a, b), at, strict=True)]
    if not all(best):
        return ""
    found = [
        f"{in_words(each.names[i[0]], each.kinds[i[0]])} ({_figure(each.value[i[0], place])})"
        for each, i, place in zip((a, b), best, at, strict=True)
    ]
    return f"Largest: {found[0]} in A, {found[1]} in B."


def _figure(value: float) -> str:
    return figure(float(value), 2, sign=True)
