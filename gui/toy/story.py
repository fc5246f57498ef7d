"""What a result of ToyModel says to the plots: its trail, losses, stretches, and who stands beside.

Only picks and asks: every number comes from the result or from a function of `engine.toy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.toy import reading
from engine.toy.reading import Frame
from gui.plots.shades import figure
from gui.plots.step_curve import Baseline, Mark
from gui.plots.timeline import Stretch

Array = np.ndarray
DRAWN = 3  # dimensions that can be drawn as arrows


def record_of(result: Any, step: int | None) -> int | None:
    """The record nearest to a step; None for the newest state."""
    steps = np.asarray(result.history_step)
    if step is None or not len(steps) or step >= steps[-1]:
        return None
    return int(np.abs(steps - step).argmin())


def words(state: Frame, record: int | None, beside: Frame | None = None) -> tuple[str, str]:
    """The sentence of a state, and the line under it; beside: the other one of two pictures."""
    said = reading.describe(state)
    if record is not None:
        said = f"At step {state.step:,}: {said[:1].lower()}{said[1:]}"
    more = reading.describe_more(state)
    m = len(state.W)
    if m > DRAWN:
        flat = f"With m = {m} there is no wheel to draw"
        more = f"{flat}: the map shows which features share directions. {more}".strip()
    if beside is not None:
        other = reading.describe(beside)
        more = f"{more} At p {beside.density:.3g}: {other[:1].lower()}{other[1:]}".strip()
    return said, more


def trail(result: Any, record: int | None, shape: tuple[int, ...]) -> Array | None:
    """Where the arrows of instance 0 were up to a record: [record, feature, d_hidden]."""
    m, n = shape
    last = len(result.history_step) if record is None else record + 1
    same = np.asarray(result.history_m[:last]) == m  # [record]
    past = np.asarray(result.history_W[:last])[same]  # [record, d_hidden, feature]
    if len(past) < 2 or past.shape[1] < m or past.shape[2] < n:
        return None
    return past[:, :m, :n].transpose(0, 2, 1)


def stretches(result: Any) -> tuple[list[Stretch], list[Stretch]]:
    """What was asked for, and which figure came of it, over the recorded steps."""
    density, shapes = reading.spans(result)
    most = max(int(np.max(result.history_n, initial=1)), 1)
    above = [Stretch(span.first, span.last, span.text) for span in density]
    return above, [Stretch(s.first, s.last, s.text, s.represented / most) for s in shapes]


@dataclass(frozen=True)
class Losses:
    """Loss of instance 0 over the recorded steps, divided by that of a model that answers 0."""

    steps: Array
    values: Array
    baselines: tuple[Baseline, ...]


def losses(result: Any) -> Losses:
    """The curve, and the best loss in closed form for what was asked for at each step."""
    zero, best = reading.baselines(result)  # [record] each
    known = np.where(zero > 0, zero, np.nan)  # [record]
    lines = (
        Baseline("output zero", known / known),
        Baseline("PCA" if result.activation == "linear" else "closed form", best / known),
    )
    return Losses(np.asarray(result.history_step), result.history_loss / known, lines)


def marks(result: Any) -> list[Mark]:
    """Changes of the settings as lines, changes of the figure as dots."""
    return [Mark(event.step, event.text, event.kind == "shape") for event in reading.events(result)]


def title(result: Any, instance: int) -> str:
    """What one of two wheels is of."""
    p = float(result.density[instance])
    return f"p {p:.3g}, sparsity S = {figure(1 - p, 3)}"


def partner(result: Any, instance: int) -> int | None:
    """The instance to set beside this one: of the other end of the densities, else None.

    Of two instances it is the other one; of many at one density there is none.
    """
    density = np.asarray(result.density)
    if np.ptp(density) == 0:
        return 1 - instance if len(density) == 2 else None
    own = density[instance]
    end = density.min() if own > density.min() else density.max()
    alike, others = np.flatnonzero(density == own), np.flatnonzero(density == end)
    rank = int(np.flatnonzero(alike == instance)[0])
    return int(others[min(rank, len(others) - 1)])


def labels(result: Any) -> list[str]:
    """Below each small wheel: its density where they differ, else its number."""
    density = np.asarray(result.density)
    if np.ptp(density) > 0:
        return [f"p {p:.3g}" for p in density]
    return [str(at + 1) for at in range(len(density))]
