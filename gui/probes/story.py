"""What a result of LayerProbes says: its sentence, curves, baselines, examples, projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gui.plots.probe_examples import Example
from gui.plots.probe_histogram import Group
from gui.plots.probe_marks import SiteCurve
from gui.plots.step_parts import Level
from gui.probes.words import (
    capital,
    class_text,
    kind_of,
    per_cent,
    points,
    site_name,
    sites_listed,
)

Array = np.ndarray
Names = Callable[[Any], list[str]]
TASK, CONTROL, RANDOM = 0, 1, 2
MARKS = (("accent", "disc"), ("okabe:1", "triangle"), ("okabe:5", "square"), ("faint", "cross"))
FEW_SITES = 6  # of so many a sentence names each accuracy
MOST_LISTED = 60  # examples in a list
SAME = 0.005  # of accuracy: less is no difference to speak of
MOST_TEXT = 400  # characters around a word


def curves(result: Any, spec: Any) -> list[SiteCurve]:
    """The task and what it is compared with, as far as any of it is known or asked for."""
    made = []
    for at, name in enumerate(result.curve_names):
        values = np.asarray(result.mean[at], np.float64)  # [site]
        if at and not np.isfinite(values).any():
            continue
        colour, marker = MARKS[at % len(MARKS)]
        made.append(SiteCurve(
            kind_of(spec) if at == TASK else str(name), values, np.asarray(result.low[at]),
            np.asarray(result.high[at]), colour, marker, strong=at == TASK,
        ))  # fmt: skip
    return made


def baselines(result: Any) -> list[tuple[str, float]]:
    """What needs no layer, mean over the seeds that are done."""
    made = []
    for name, row in zip(result.baseline_names, np.asarray(result.baselines), strict=True):
        known = row[np.isfinite(row)]  # [seed]
        if len(known):
            made.append((str(name), float(known.mean())))
    return made


def levels(result: Any) -> list[Level]:
    return [Level(name, value) for name, value in baselines(result)]


def axis(result: Any) -> str:
    """What the sites are numbered by: "layer", where they are."""
    return "layer" if any(str(label).isdigit() for label in result.site_labels) else ""


def done(result: Any) -> int:
    """Sites whose task is known for every seed."""
    return int(np.isfinite(np.asarray(result.accuracy[TASK])).all(axis=0).sum())


def best(result: Any) -> int:
    """The site chosen on validation; the last one that is known while none is; −1 = none."""
    if result.best_site >= 0:
        return int(result.best_site)
    known = np.flatnonzero(np.isfinite(np.asarray(result.mean[TASK])))
    return int(known[-1]) if len(known) else -1


def subject(result: Any) -> str:
    """What is read, in words: "part of speech"."""
    name = str(result.column).replace("_", " ")
    return "the label" if name in ("", "label") else name


def headline(result: Any, spec: Any) -> tuple[str, str]:
    """The sentence, and the line under it: which layers beat their controls."""
    mean = np.asarray(result.mean[TASK], np.float64)  # [site]
    count, n = done(result), len(mean)
    at = best(result)
    if at < 0:
        return "", ""
    what, kind = subject(result), kind_of(spec)
    begins = f"A{'n' if kind[:1] in 'aeiouM' else ''} {kind}"
    floor = dict(baselines(result)).get("majority", np.nan)
    if count < n:
        place = site_name(result.site_labels[at])
        said = f"{begins} reads {what} at {per_cent(mean[at])} % in {place}"
        return f"{said}; {count} of {n} sites are read.", controls(result)
    if np.isfinite(floor) and (np.asarray(result.low[TASK]) <= floor + SAME).all():
        return (
            f"{begins} reads nothing of {what}: no site beats the most frequent class, "
            f"{per_cent(floor)} %.", controls(result),
        )  # fmt: skip
    rises = n > 1 and (np.diff(mean) > SAME).all()
    falls = n > 1 and (np.diff(mean) < -SAME).all()
    if n <= FEW_SITES and (rises or falls):
        values = ", ".join(per_cent(value) for value in mean)
        way = "ever better" if rises else "ever worse"
        return f"{begins} reads {what} {way}: {values} %.", controls(result)
    if np.ptp(mean) <= 2 * SAME and n > 1:
        said = f"{begins} reads {what} equally well everywhere: {per_cent(mean[at], 1)} %."
        return said, controls(result)
    place = site_name(result.site_labels[at])
    ends = ""
    if n > 1 and at not in (0, n - 1):
        ends = f", {per_cent(mean[0], 1)} % at first and {per_cent(mean[-1], 1)} % at last"
    elif n > 1:
        other = n - 1 if at == 0 else 0
        ends = f", {per_cent(mean[other], 1)} % in {site_name(result.site_labels[other])}"
    said = f"{begins} reads {what} best in {place}, chosen on validation"
    return f"{said}: {per_cent(mean[at], 1)} %{ends}.", controls(result)


def controls(result: Any) -> str:
    """Where accuracy means more than that a probe can memorise, or that the word is still there."""
    said = [each for each in (_against_control(result), _against_others(result)) if each]
    return " ".join(said)


def _against_control(result: Any) -> str:
    low = np.asarray(result.selectivity_low)  # [site]
    value = np.asarray(result.selectivity)  # [site]
    known = np.isfinite(low)
    if not known.any():
        return ""
    labels = list(result.site_labels)
    beats = [labels[at] for at in np.flatnonzero(known & (low > 0))]
    fails = np.flatnonzero(known & (low <= 0))
    if not beats:
        return "No site beats its control task: the probe may only have memorised."
    if not len(fails):
        least = int(np.nanargmin(value))
        return (
            f"Every site beats its control task, by {points(value[least])} at least "
            f"({site_name(labels[least])})."
        )
    worst = int(fails[np.argmin(value[fails])])
    one = len(fails) == 1
    inner = points(value[worst]) if one else f"{points(value[worst])} in {site_name(labels[worst])}"
    names = sites_listed([labels[at] for at in fails])
    return (
        f"{capital(names)} {'is' if one else 'are'} no better than the control task ({inner}); "
        f"only in {sites_listed(beats)} does accuracy mean that it is there."
    )


def _against_others(result: Any) -> str:
    """The best site against random weights and the word alone."""
    at = best(result)
    mean = np.asarray(result.mean, np.float64)  # [curve, site]
    said = []
    if len(mean) > RANDOM and np.isfinite(mean[RANDOM][at]):
        gain = mean[TASK][at] - mean[RANDOM][at]
        sure = np.asarray(result.low)[TASK][at] > np.asarray(result.high)[RANDOM][at]
        place = site_name(result.site_labels[at])
        if sure:
            said.append(f"training adds {points(gain)} over random weights in {place}")
        elif gain > SAME:
            said.append(
                f"in {place} it is {points(gain)} over random weights, within the intervals"
            )
        else:
            said.append(f"in {place} random weights do as well ({per_cent(mean[RANDOM][at], 1)} %)")
    word = dict(baselines(result)).get("word identity")
    if word is not None and np.isfinite(mean[TASK][at]):
        gain = mean[TASK][at] - word
        if gain <= SAME:
            said.append(f"the word alone says as much ({per_cent(word, 1)} %)")
    return f"{capital('; '.join(said))}." if said else ""


def facts(result: Any) -> str:
    """What was read, in figures: "4 sites, 5 curves, 12 seeds"."""
    n, seeds = len(result.site_names), np.shape(result.accuracy)[1]
    curves_ = sum(bool(np.isfinite(row).any()) for row in np.asarray(result.mean))
    said = [(n, "site"), (curves_, "curve"), (seeds, "seed"), (int(result.n_examples), "example")]
    return ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for count, name in said)


# the chosen site


def scores_of(confusion: Array) -> tuple[str, float, float, float]:
    """(of what, precision, recall, F1): of the second of two classes, else the mean over classes.

    confusion [true, predicted].
    """
    counts = np.asarray(confusion, np.float64)
    right = np.diag(counts)  # [class]
    said, there = counts.sum(axis=0), counts.sum(axis=1)  # [class], [class]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = right / said, right / there  # [class], [class]
        f1 = 2 * right / (said + there)  # [class]
    if len(counts) == 2:
        return "class", float(precision[1]), float(recall[1]), float(f1[1])
    some = there > 0
    means = [float(np.nan_to_num(each[some]).mean()) if some.any() else np.nan
             for each in (precision, recall, f1)]  # fmt: skip
    return "mean", means[0], means[1], means[2]


def order(result: Any, site: int, cell: tuple[int, int] | None) -> Array:
    """Examples to list, [n] indices: of a cell of the confusion, else the wrong ones; worst first.

    "Worst" is the smallest margin: wrong with the most confidence.
    """
    margin = np.asarray(result.margin[site], np.float64)  # [example]
    predicted, true = np.asarray(result.predicted[site]), np.asarray(result.true)
    if cell is not None:
        some = (true == cell[0]) & (predicted == cell[1])
    else:
        some = np.isfinite(margin) & (predicted >= 0) & (predicted != true)
    found = np.flatnonzero(some)
    return found[np.argsort(margin[found], kind="stable")]


def examples(result: Any, site: int, numbers: Sequence[int], pieces: Names) -> list[Example]:
    """What the list shows of them, at most as many as fit one."""
    made = []
    for number in list(numbers)[:MOST_LISTED]:
        before, word, after = around(result, int(number), pieces)
        names = [
            class_text(result.classes[int(at)]) if 0 <= int(at) < len(result.classes) else "?"
            for at in (result.true[number], result.predicted[site][number])
        ]
        made.append(Example(
            word, before, after, names[0], names[1], float(result.margin[site][number]),
            int(number),
        ))  # fmt: skip
    return made


def around(result: Any, number: int, pieces: Names) -> tuple[str, str, str]:
    """The text of an example before, at and after what is read."""
    where, text = int(result.example_where[number]), str(result.example_text[number])
    word = str(result.example_words[number])
    rows = np.asarray(result.example_prompt_tokens)
    ids = rows[number][rows[number] >= 0] if rows.ndim == 2 else np.zeros(0, int)  # [pos]
    if not 0 <= where < len(ids):
        return ("", word, "") if word == text or not text else (text[:MOST_TEXT], word, "")
    words = pieces(ids)
    gap = "" if any(each.startswith(" ") for each in words[1:]) else " "
    before, after = gap.join(words[:where]), gap.join(words[where + 1 :])
    return (f"{before}{gap}"[-MOST_TEXT:], words[where], f"{gap}{after}"[:MOST_TEXT])


# directions


def groups(result: Any, site: int, which: int) -> tuple[list[Group], str, float]:
    """Examples along a class' direction, that class against the rest; title; threshold."""
    classes, true = list(result.classes), np.asarray(result.true)
    along = np.asarray(result.projection[site], np.float64)  # [example]
    if len(classes) == 2:
        sign = 1.0 if which else -1.0
        other = 1 - which
        pair = [(which, "accent", "disc"), (other, "okabe:5", "square")]
        made = [Group(class_text(classes[at]), sign * along[true == at], colour, marker)
                for at, colour, marker in pair]  # fmt: skip
        return made, f"score for {class_text(classes[which])}", 0.0
    scores = np.asarray(result.scores)  # [site, example, class]
    if scores.ndim == 3 and scores.shape[1] == len(true) and scores.shape[2] == len(classes):
        along = scores[site, :, which].astype(np.float64)  # [example]
        here = true == which
        made = [Group(class_text(classes[which]), along[here], "accent", "disc"),
                Group("all others", along[~here], "muted", "square")]  # fmt: skip
        return made, f"score of {class_text(classes[which])}", float("nan")
    wrong = np.asarray(result.predicted[site]) != true  # [example]
    made = [Group("read right", along[~wrong], "accent", "disc"),
            Group("read wrong", along[wrong], "okabe:5", "square")]  # fmt: skip
    return made, "score of the true class against the mean of all", float("nan")
