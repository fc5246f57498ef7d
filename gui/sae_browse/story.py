"""What the feature browser says and gives to its plots, computed from a result's numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.sae.pages import Example, Page
from gui.plots.feature_columns import per_cent
from gui.plots.feature_text import Stretch
from gui.plots.probe_list import Signed
from gui.plots.shades import decimals, figure
from gui.plots.tokens import token_text
from gui.sae_browse.words import capital, many, one

Array = np.ndarray
Pieces = Callable[[Any], list[str]]
ALL, ACTIVE, DEAD, LABELLED = KINDS = ("all", "active", "dead", "labelled")
MOST_TOKENS = 4  # promoted, and suppressed


def strongest(result: Any) -> int:
    """The latent that is looked at when nobody chose one: the most active of the known; -1 none."""
    highest = np.asarray(result.highest, np.float64)  # [latent]
    if not len(highest):
        return -1
    return int(np.nanargmax(highest)) if np.isfinite(highest).any() else 0


def listed(
    result: Any, kind: str, text: str, labels: Mapping[int, str], pieces: Pieces
) -> Array | None:
    """The latents that a filter leaves, [line]; None = all of them.

    text: a latent's number, or part of its label or of its top token.
    """
    count, wanted = len(result.density), text.strip().lower()
    keep = np.ones(count, bool)  # [latent]
    if kind == LABELLED:
        keep[:] = False
        keep[[at for at in labels if at < count]] = True
    elif kind in (ACTIVE, DEAD):
        active = np.asarray(result.active_count) > 0
        keep = active if kind == ACTIVE else ~active
    if wanted.isdecimal() and int(wanted) < count:
        keep &= np.arange(count) == int(wanted)
    elif wanted:
        named = np.zeros(count, bool)  # [latent]
        named[[at for at, name in labels.items() if wanted in name.lower() and at < count]] = True
        top = np.asarray(result.top_ids, int)  # [latent]
        ids = np.unique(top[top >= 0])
        like = [i for i, word in zip(ids, pieces(ids), strict=True) if wanted in word.lower()]
        keep &= named | np.isin(top, like)
    return None if keep.all() else np.flatnonzero(keep)


def sentence(result: Any, pieces: Pieces) -> str:
    """What was read, how many are silent, how many speak at once, and which is strongest."""
    count, read = len(result.density), int(result.n_read)
    if not count or not read:
        return "The text is being read."
    dead = int((np.asarray(result.active_count) == 0).sum())
    if count == 1:
        where = f"{per_cent(float(result.density[0]))} % of {read:,} tokens"
        return f"{capital(str(result.basis_name))} is active at {where}{_peak(result, 0, pieces)}."
    silent = f"{dead:,} never active" if dead else "none of them silent"
    said = f"{many(result, count)} on {read:,} tokens: {silent}"
    if np.isfinite(float(result.l0)):
        said += f", {figure(float(result.l0), 1)} active at a token"
    at = strongest(result)
    return f"{said}. Strongest is {one(result)} {at}{_peak(result, at, pieces)}."


def _peak(result: Any, at: int, pieces: Pieces) -> str:
    high, top = float(result.highest[at]), int(result.top_ids[at])
    if top < 0 or not np.isfinite(high):
        return ""
    word = token_text(pieces([top])[0])
    return f", {figure(high, decimals(high))} at {word}"


def detail(result: Any) -> str:
    """The second line: where, what text, and what one should know."""
    read, wanted = int(result.n_read), int(result.n_wanted)
    where = _where(result)
    text = f"text: {result.source}" if result.source else ""
    part = f"{read:,} of {wanted:,} tokens read" if 0 < read < wanted else ""
    said = [", ".join(each for each in (where, text, part) if each)]
    said += [capital(str(each)).rstrip(".") for each in result.warnings]
    return ". ".join(each for each in said if each) + ("." if any(said) else "")


def _where(result: Any) -> str:
    """Which basis, of which activation."""
    name, hook = str(result.basis_name), str(result.hook)
    name = name if str(result.basis) == "SAE" else capital(name)  # an SAE is called by its file
    return name if not hook or hook in name else f"{name} at {hook}" if name else hook


def facts(result: Any, page: Page) -> str:
    """One line on a latent, from its numbers."""
    if not int(result.n_read):
        return "Not read yet."
    if page.dead:
        return f"Never active at any of {int(result.n_read):,} tokens of this text."
    share = per_cent(page.density)
    high, mean = (figure(each, decimals(page.highest)) for each in (page.highest, page.mean_active))
    tokens = f"{page.count:,} token{'' if page.count == 1 else 's'}"
    return f"Active at {share} % of the text ({tokens}); at most {high}, {mean} on average."


def verdict(page: Page, pieces: Pieces) -> str:
    """What its examples have in common, as far as counting tells: the share of one token."""
    told = []
    for name, examples in page.bands:
        ids = [int(each.ids[each.at]) for each in examples]
        if len(ids) < 3:
            continue
        values, counts = np.unique(ids, return_counts=True)
        best = int(counts.argmax())
        if counts[best] * 2 >= len(ids):
            word = token_text(pieces([int(values[best])])[0])
            told.append(f"“{word}” in {int(counts[best])} of {len(ids)} ({name})")
        else:
            told.append(f"{len(values)} different tokens in {len(ids)} ({name})")
    return f"It fires on {', '.join(told[:2])}." if told else ""


def stretches(page: Page, pieces: Pieces, both: bool) -> tuple[list[Stretch], list[Example]]:
    """The examples as the plot draws them, and the engine's own in the same order.

    both: with what the neuron beside it does at the same tokens.
    """
    rows: list[Stretch] = []
    examples: list[Example] = []
    for name, found in page.bands:
        for at, each in enumerate(found):
            rows.append(Stretch(
                tuple(pieces(each.ids)), np.asarray(each.values), each.at,
                capital(name) if at == 0 else "", np.asarray(each.beside) if both else None,
            ))  # fmt: skip
            examples.append(each)
    return rows, examples


def most(page: Page) -> float:
    """What has the full colour in a latent's examples."""
    return reach([each.values for _, found in page.bands for each in found])


def together(page: Page) -> str:
    """How closely the neuron beside it follows, over all tokens read."""
    r = float(page.unit_correlation)
    return f"r {figure(r, 2, sign=True)}" if np.isfinite(r) else ""


def reach(values: Sequence[Any]) -> float:
    """The largest magnitude in some arrays; 1 where nothing is known."""
    known = np.abs(np.concatenate([*values, np.zeros(0)]))  # [token]
    known = known[np.isfinite(known)]
    return float(known.max()) if len(known) else 1.0


def tokens(page: Page, pieces: Pieces) -> list[Signed]:
    """What it promotes most, then what it suppresses, the most at the end."""
    ends = [[pair for pair in pairs if np.isfinite(pair[1])][:MOST_TOKENS]
            for pairs in (page.promoted, page.suppressed)]  # fmt: skip
    some = [*ends[0], *reversed(ends[1])]
    names = pieces([number for number, _ in some])
    return [Signed(name, value, token=True) for name, (_, value) in zip(names, some, strict=True)]


def neighbours(result: Any, page: Page, labels: Mapping[int, str]) -> list[Signed]:
    word = capital(one(result))
    return [
        Signed(f"{at}  {labels[at]}" if at in labels else f"{word} {at}", value,
               strong=at in labels, help="Click to look at it")
        for at, value in page.nearest if np.isfinite(value)
    ]  # fmt: skip


def difference(result_a: Any, result_b: Any) -> str:
    """Which latent's density differs most between two runs over the same basis."""
    one_, other = (np.asarray(each.density, np.float64) for each in (result_a, result_b))
    same = str(result_a.basis_digest) == str(result_b.basis_digest)
    if not same or one_.shape != other.shape or str(result_a.hook) != str(result_b.hook):
        return ""
    change = other - one_  # [latent]
    if not np.isfinite(change).any() or not np.nanmax(np.abs(change)):
        return ""
    at = int(np.nanargmax(np.abs(change)))
    told = f"{per_cent(float(one_[at]))} % and {per_cent(float(other[at]))} %"
    return f"Density differs most of {one(result_a)} {at}: {told} of the tokens."


# one prompt


def first_counted(result: Any, spec: Any, pieces: Pieces) -> int:
    """Where the prompt begins for a reader: after a BOS that was not asked for, which has
    activations of its own."""
    if getattr(spec, "count_bos", False) or len(result.tokens) < 2:
        return 0
    word = pieces([result.tokens[0]])[0].strip()
    return int(len(word) > 2 and word[0] + word[-1] in ("<>", "[]"))


def on_prompt(result: Any, pieces: Pieces, first: int = 0) -> str:
    """Which feature is strongest, where from position `first` on, and how many are at a token."""
    n_active = np.asarray(result.n_active)
    f = np.asarray(result.activations, np.float64)[first:]  # [pos, feature]
    if not f.size:
        if (n_active < 0).any():
            return "The prompt is being read."
        return f"None of the {many(result, int(result.n_latents))} is active on this prompt."
    row, which = np.unravel_index(int(np.nanargmax(np.abs(f))), f.shape)
    pos = int(row) + first
    latent, word = int(result.latents[which]), token_text(pieces([result.tokens[pos]])[0])
    peak = float(f[row, which])
    said = f"{capital(one(result))} {latent} is strongest, {figure(peak, decimals(abs(peak)))}"
    said += f" at {word} ({pos})"
    known = n_active[first:][n_active[first:] >= 0]
    if len(known) and not bool(result.signed):
        mean = figure(float(known.mean()), 1)
        said += f"; {mean} of {int(result.n_latents):,} are active at a token"
    return f"{said}."


def on_prompt_detail(result: Any, pieces: Pieces, first: int = 0) -> str:
    """The second line: where, how good the fit is, and the token at which it is worst."""
    explained = float(result.explained)
    known = np.isfinite(explained) and str(result.basis) != "neurons"
    fit = f"{figure(100 * explained, 1)} % of the variance explained" if known else ""
    said = [", ".join(each for each in (_where(result), fit) if each)]
    share = left_out(result)[first:]
    if np.isfinite(share).any() and np.nanmax(share) > 0:
        worst = int(np.nanargmax(share)) + first
        name = token_text(pieces([result.tokens[worst]])[0])
        told = figure(100 * float(share[worst - first]), 0)
        said.append(f"Most is left out at {name} ({worst}): {told} % of the activation's length")
    said += [capital(str(each)).rstrip(".") for each in result.warnings]
    return ". ".join(each for each in said if each) + ("." if any(said) else "")


def left_out(result: Any) -> Array:
    """[pos]: the length of x - x_hat as a share of that of x."""
    norm = np.asarray(result.norm, np.float64)  # [pos]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, np.asarray(result.error, np.float64) / norm, np.nan)
