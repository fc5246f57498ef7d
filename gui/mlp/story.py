"""What a result of TrainMLP says to the plots and in words. It picks and asks the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.mlp import reading
from engine.mlp.reading import Spread
from gui.plots.probe_marks import SiteCurve
from gui.plots.shades import figure
from gui.plots.step_parts import Level, StepLine

Array = np.ndarray
PROBE, CONTROL, RANDOM, SHUFFLED = range(4)  # rows of the curves
CLEAR = 0.05  # an advantage that is called one: 5 points, as in "L3 - L1 > 5 pt"
FLAT = 0.01  # a step between layers below it is none
LAYER_COLOURS = ("okabe:1", "okabe:0", "okabe:6", "okabe:4", "okabe:5", "okabe:3")


def percent(value: float, places: int = 0) -> str:
    return figure(100 * float(value), places)


def done(result: Any) -> bool:
    """Whether the controls are known: the training has ended."""
    return bool(np.isfinite(result.accuracies[RANDOM]).any())


def spread(result: Any, curve: int) -> Spread:
    """A curve over the networks; while it trains, a control of the first one as it stands now."""
    found = reading.over_networks(result.accuracies[curve])  # [site] each
    if np.isfinite(found.mean).any() or not len(result.history_step):
        return found
    nothing = np.full(len(result.site_labels), np.nan)  # [site]
    return Spread(np.asarray(result.probe_history[curve, -1], np.float64), nothing, nothing)


def curves(result: Any) -> list[SiteCurve]:
    """The probe and its controls by site, with their intervals over the networks."""
    found = []
    for at, name in enumerate(result.curve_names):
        mean, low, high = spread(result, at)
        band = bool(np.isfinite(low).any())
        found.append(SiteCurve(name, mean, low if band else None, high if band else None,
                               strong=at == PROBE))  # fmt: skip
    return found


def levels(result: Any) -> list[Level]:
    """What no site changes: the network's own accuracy and that of the larger class."""
    own = Level("network", float(np.mean(result.accuracy)))
    return [own, Level("majority", float(np.mean(result.majority)))]


def selectivity(result: Any) -> Spread:
    """Probe less control task, by site."""
    found = reading.over_networks(result.accuracies[PROBE] - result.accuracies[CONTROL])
    if np.isfinite(found.mean).any() or not len(result.history_step):
        return found
    nothing = np.full(len(result.site_labels), np.nan)  # [site]
    gap = result.probe_history[PROBE, -1] - result.probe_history[CONTROL, -1]  # [site]
    return Spread(np.asarray(gap, np.float64), nothing, nothing)


def accuracy_lines(result: Any, site: int) -> list[StepLine]:
    """Held-out accuracy of network 0 and of the probes on it over the steps, in per cent."""
    lines = []
    for at, name in enumerate(result.site_labels):
        colour = "faint" if at == 0 else LAYER_COLOURS[(at - 1) % len(LAYER_COLOURS)]
        values = 100 * result.probe_history[PROBE, :, at]  # [record]
        lines.append(StepLine(f"probe, {name}", values, colour, at == site, name))
    own = StepLine("network", 100 * result.history_accuracy, "okabe:2", True, "network")
    return [*lines, own]


def loss_lines(result: Any) -> list[StepLine]:
    return [StepLine("held-out loss", result.history_loss, "accent", True, "held-out")]


def floor(result: Any) -> float:
    """The lowest per cent that a plot over the steps has to show, a round ten."""
    known = [result.probe_history[PROBE], result.history_accuracy, result.majority]
    least = min(float(np.nanmin(each)) for each in known if np.isfinite(each).any())
    return float(np.floor(10 * min(least, 0.5)) * 10)


def band_words(result: Any) -> str:
    n = len(result.network)
    if n > 1:
        return f"band: 95 % interval over {n} networks"
    return "one network: no interval"


def words(result: Any) -> tuple[str, str]:
    """The sentence, and the line under it."""
    probe = spread(result, PROBE).mean  # [site]
    layers = probe[1:]
    if not np.isfinite(layers).all():
        return f"The network has begun to learn the {result.task}.", ""
    shares = ", ".join(map(percent, layers))
    begin = "A linear probe" if done(result) else f"At step {result.step:,} a linear probe"
    return f"{begin} reads the {result.task} {_shape(layers)}: {shares} %.", _more(result)


def _shape(layers: Array) -> str:
    """How accuracy goes from layer to layer."""
    steps = np.diff(layers)  # [layer - 1]
    if len(layers) == 1:
        return "from its only hidden layer"
    if (steps > FLAT).all():
        return "ever better"
    if np.ptp(layers) <= 3 * FLAT:
        return "about equally well from every layer"
    if (steps < -FLAT).all():
        return "ever worse from layer to layer"
    best = int(layers.argmax()) + 1
    return f"best from layer {best}"


def _more(result: Any) -> str:
    """What the probe's numbers are worth: the network, the input, the controls."""
    probe, control = spread(result, PROBE).mean, spread(result, CONTROL).mean  # [site] each
    untrained = spread(result, RANDOM).mean  # [site]
    said = [f"The network itself is right for {percent(np.mean(result.accuracy), 1)} %, "
            f"the larger class for {percent(np.mean(result.majority), 1)} %"]  # fmt: skip
    if np.isfinite(untrained).all():
        gains = probe - untrained  # [site]
        learned = [at for at in range(1, len(probe)) if gains[at] > CLEAR]
        if learned:
            at = learned[-1]
            said.append(f"training has added {percent(gains[at])} points at layer {at}, where "
                        f"random weights give {percent(untrained[at])} %")  # fmt: skip
        else:
            said.append("no layer is 5 points above the same network with random weights")
    if np.isfinite(control).all():
        gap = probe - control  # [site]
        low = [at for at in range(1, len(gap)) if gap[at] <= CLEAR]
        if low:
            name = "layer" if len(low) == 1 else "layers"
            said.append(f"{name} {_listed(low)} no more than 5 points above the control task")
        else:
            said.append("every layer is more than 5 points above its control task")
    return "; ".join(said) + "."


def _listed(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"{numbers[0]} is"
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are"


def wrong(result: Any, site: int) -> Array:
    """[point]: whether the probe on a site says the other class."""
    score = result.probe_score[site]  # [point]
    return np.isfinite(score) & ((score > 0) != (np.asarray(result.labels) == 1))


def point_words(result: Any, site: int, at: int) -> str:
    """What is known of one of the points shown."""
    x, y = (figure(float(value), 2, sign=True) for value in result.points[at])
    said = f"({x}, {y}), class {int(result.labels[at])}; "
    said += f"network P = {figure(float(result.decision[at]), 2)}"
    score = float(result.probe_score[site, at])
    if np.isfinite(score):
        name = result.site_labels[site]
        verdict = "wrong" if wrong(result, site)[at] else "right"
        said += f"\nprobe, {name}: {figure(score, 2, sign=True)}, {verdict}"
    return said


def unit_words(result: Any, layer: int, unit: int, at: int) -> str:
    """One of the points shown, for one hidden unit."""
    value = figure(float(result.hidden[layer, at, unit]), 2)
    x, y = (figure(float(v), 2, sign=True) for v in result.points[at])
    return f"({x}, {y}), class {int(result.labels[at])}; activation {value}"


def counts(result: Any) -> tuple[int, ...]:
    """Units of each hidden layer."""
    return tuple(int(width) for width in result.widths[1:-1])


def signed(result: Any) -> bool:
    """Whether an activation can be negative."""
    return result.act_fn != "relu"


def network_words(result: Any) -> str:
    return f"seed {int(result.network[0])}, {percent(result.accuracy[0], 1)} %"


def wrong_words(result: Any, site: int) -> str:
    n = int(wrong(result, site).sum())
    return f"probe, {result.site_labels[site]}: {n} of {len(result.labels)} wrong"
