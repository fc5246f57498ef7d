"""What a result of TrainSAE says to the plots: curves, densities, losses, the sentence.

Only picks and arranges: every number is the result's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gui.plots import Level, StepLine, figure
from gui.plots.arrows import thinned
from gui.plots.loss_bars import Bar

Array = np.ndarray
MOST = 600  # records of a curve: a plot that thinned them itself could lose the held-out readings
STEEP = 20.0  # between the largest and the last value, from which an axis is logarithmic
COPY = 0.9  # cosine from which two latents are near copies
TOPK = ("topk", "batchtopk")


@dataclass(frozen=True)
class Curve:
    """One plot over the steps: its lines, baselines, and its axis of values."""

    lines: list[StepLine]
    levels: list[Level]
    limits: tuple[float, float] | None = None
    log: bool = False


def short(name: str) -> str:
    """ "k = 32" as "k 32", for the end of a line."""
    return name.replace(" = ", " ")


def percent(share: float) -> str:
    """With two decimals near the whole, where one would say that nothing is lost."""
    return f"{figure(100 * float(share), 2 if 0.99 < share < 1 else 1)} %"


# curves over the steps


def records(result: Any) -> Array:
    """The records that are drawn, evenly, with the last one."""
    return thinned(len(result.history_step), MOST)


def metric(result: Any, name: str) -> Array:
    """A curve [record, variant] of the records that are drawn; NaN where there is none."""
    some = records(result)
    if name not in result.metric_names:
        return np.full((len(some), result.n_variants), np.nan)
    at = list(result.metric_names).index(name)
    return np.asarray(result.history, float)[at][some]


def at_records(result: Any, checks: Array) -> Array:
    """Readings of held-out text [check] at the records nearest to their steps [record]."""
    steps = np.asarray(result.history_step)[records(result)]
    found = np.full(len(steps), np.nan)
    for step, value in zip(np.asarray(result.check_step).tolist(), checks.tolist(), strict=True):
        if len(steps):
            found[int(np.abs(steps - step).argmin())] = value
    return found


def lines_of(
    result: Any, values: Array, variant: int, what: str, places: int = 2
) -> list[StepLine]:
    """One line for each SAE [record, variant], the one that is looked at in front."""
    several, found = result.n_variants > 1, []
    for at in range(result.n_variants):
        mine, name = at == variant, result.variant_names[at]
        said = f"{what}, {short(name)}" if several else what
        colour = "accent" if mine else "muted"
        label = short(name) if several else _newest(values[:, at], places)
        found.append(StepLine(said, values[:, at], colour, mine, label))
    return sorted(found, key=lambda line: line.strong)


def _newest(values: Array, places: int) -> str:
    """The last number that is known, for the end of its line."""
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    value = float(known[-1])
    return figure(value, 0 if abs(value) >= 1000 else min(places, 1 if abs(value) >= 100 else 2))


def _steep(values: Array) -> bool:
    known = values[np.isfinite(values)]
    return bool(len(known)) and float(known.min()) > 0 and float(known.max() / known[-1]) > STEEP


def loss(result: Any, variant: int) -> Curve:
    values = metric(result, "loss")  # [record, variant]
    return Curve(lines_of(result, values, variant, "loss"), [], log=_steep(values[:, variant]))


def shares(result: Any, variant: int) -> Curve:
    """Explained variance in training, and of held-out text that and the recovered loss."""
    values = metric(result, "explained_variance")  # [record, variant]
    lines = lines_of(result, values, variant, "explained in training")
    lines = [StepLine(line.name, line.values, line.colour, False) for line in lines]
    if len(result.check_step):
        for name, checks, colour, word in (
            ("explained, held out", result.check_explained, "accent", "variance"),
            ("recovered, held out", result.check_recovered, "okabe:5", "loss"),
        ):
            own = at_records(result, np.asarray(checks, float)[:, variant])  # [record]
            lines.append(StepLine(name, own, colour, True, word))
    else:
        lines = lines_of(result, values, variant, "explained in training")
    known = np.concatenate([line.values[np.isfinite(line.values)] for line in lines] or [[0.0]])
    low = float(known.min()) if len(known) else 0.0
    return Curve(lines, [], (0.0 if low >= 0 else max(1.2 * low, -0.5), 1.0))


def l0(result: Any, variant: int) -> Curve:
    values = metric(result, "l0")  # [record, variant]
    k = float(result.variant_value[variant])
    alone = result.architecture in TOPK and result.n_variants == 1
    levels = [Level(f"k = {k:g}", k)] if alone else []
    lines = lines_of(result, values, variant, "L0", 1)
    return Curve(lines, levels, log=_steep(values[:, variant]))


def dead(result: Any, variant: int) -> Curve:
    values = metric(result, "dead")  # [record, variant]
    known = values[np.isfinite(values)]
    top = float(known.max()) if len(known) else 0.0
    size = result.W_dec.shape[1]
    lines = lines_of(result, values, variant, "dead latents", 0)
    return Curve(lines, [], (0.0, max(1.1 * top, 0.02 * size, 1.0)))


# what it does to the model


def losses(result: Any, variant: int) -> list[Bar]:
    """Loss on held-out text as it is, with the reconstruction in place, and with zeros."""
    if not np.isfinite(result.ce_clean):
        return []
    name = short(result.variant_names[variant]) if result.n_variants > 1 else "SAE"
    return [
        Bar("the model itself", float(result.ce_clean), quiet=True),
        Bar(f"{name} in place", float(result.ce_spliced[variant]), strong=True),
        Bar("zeros in place", float(result.ce_zero), quiet=True),
    ]


def words(result: Any, variant: int) -> tuple[str, str]:
    """The sentence, and the line under it."""
    return _sentence(result, variant), _detail(result, variant)


def _sentence(result: Any, variant: int) -> str:
    known = np.flatnonzero(np.isfinite(result.recovered) & np.isfinite(result.l0))
    size = result.W_dec.shape[1]
    if not len(known):
        return _beginning(result, variant, size)
    after = f"After {int(result.check_step[-1]):,} steps" if len(result.check_step) else "Now"
    if len(known) == 1:
        at = int(known[0])
        share, active = float(result.recovered[at]), figure(float(result.l0[at]), 1)
        if share < 0:
            return (f"{after}, the model is worse off with the SAE in place than with zeros: "
                    f"{active} of {size:,} latents are active.")  # fmt: skip
        return (
            f"{after}, {active} of {size:,} latents at a time recover {percent(share)} of the loss."
        )
    best = int(known[np.argmax(result.recovered[known])])
    least = int(known[np.argmin(result.l0[known])])

    def told(at: int) -> str:
        share, active = percent(result.recovered[at]), figure(float(result.l0[at]), 1)
        name = result.variant_names[at].replace(" ", "\N{NO-BREAK SPACE}")
        return f"{name} recovers {share} of the loss at L0 {active}"

    if best == least:
        return f"{after}, {told(best)}: the most and the sparsest of {len(known)} SAEs."
    return f"{after}, {told(best)}, {told(least).replace(' of the loss', '')}."


def _beginning(result: Any, variant: int, size: int) -> str:
    explained = metric(result, "explained_variance")  # [record, variant]
    if len(explained) and np.isfinite(explained[-1, variant]):
        return (f"At step {int(result.step):,}, {size:,} latents explain "
                f"{percent(explained[-1, variant])} of the variance at {result.hook}.")  # fmt: skip
    return f"{size:,} latents begin to learn {result.hook}."


def _detail(result: Any, variant: int) -> str:
    """Held-out numbers of the SAE that is looked at."""
    if not np.isfinite(result.explained_variance[variant]):
        return ""
    size = result.W_dec.shape[1]
    which = f", {result.variant_names[variant]}" if result.n_variants > 1 else ""
    explained = figure(float(result.explained_variance[variant]), 3)
    said = [f"{result.hook}{which}: held-out explained variance {explained}"]
    if np.isfinite(result.ce_clean) and np.isfinite(result.ce_spliced[variant]):
        nats = (result.ce_clean, result.ce_spliced[variant], result.ce_zero)
        clean, own, zero = (figure(float(each), 2) for each in nats)
        said.append(f"loss {clean} nats, {own} with the SAE in place, {zero} with zeros")
    alive = int(result.alive[variant])
    if alive >= 0:
        count = f"{size - alive:,} of {size:,} latents" if alive < size else "no latent"
        was = "were" if alive < size else "was"
        said.append(f"{count} {was} silent on {int(result.n_held_out):,} held-out activations")
    near = np.asarray(result.nearest_cosine[variant])
    near = near[np.isfinite(near)]
    if len(near) and (copies := int((near > COPY).sum())):
        have = "has" if copies == 1 else "have"
        said.append(f"{copies:,} {have} a near copy (cosine above {COPY})")
    return f"{'; '.join(said)}."


def compared(one: Any, other: Any) -> str:
    """What two runs differ in: the most that each recovers, and at which L0."""

    def best(result: Any) -> tuple[str, str] | None:
        known = np.flatnonzero(np.isfinite(result.recovered))
        if not len(known):
            return None
        at = known[np.argmax(result.recovered[known])]
        return percent(result.recovered[at]), figure(float(result.l0[at]), 1)

    a, b = best(one), best(other)
    if a is None or b is None:
        return ""
    return f"A recovers up to {a[0]} at L0 {a[1]}, B up to {b[0]} at L0 {b[1]}."


def density_words(result: Any, variant: int) -> str:
    """How many latents the histogram is of."""
    size, n = result.W_dec.shape[1], int(result.n_density)
    return f"{size:,} latents over {n:,} activations" if n else ""
