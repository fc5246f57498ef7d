"""Words of the probe lab: fields, kinds of probe, sites, and numbers in per cent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gui.plots import figure

Array = np.ndarray

WORDS = {
    "data": "Labelled texts (none: the little world)", "column": "Label",
    "read": "Tokens read", "position": "Position",
    "site": "Activation", "hook": "Hook by name", "layers": "Layers",
    "by_position": "Also by layer × position", "probe": "Kind", "k": "Units k",
    "lambdas": "λ, tried on validation", "seeds": "Seeds", "n_examples": "Examples",
    "control_task": "Control task", "random_weights": "Random weights",
    "shuffled": "Shuffled labels", "codelength": "Online code (MDL)", "seed": "Seed", "bos": "BOS",
    "auto": "as the labels say", "every": "every labelled one", "last": "the last one",
    "mean": "the mean of all",
    "resid_pre": "stream before the block", "resid_mid": "stream after attention",
    "resid_post": "stream after the block", "attn_out": "attention's output",
    "mlp_out": "MLP's output", "z": "heads' values z", "q": "queries", "k_": "keys",
    "v": "values", "mlp_pre": "MLP before its nonlinearity", "mlp_post": "MLP's neurons",
    "logistic": "Logistic regression, L2", "ridge": "Ridge, on standardised activations",
    "mass_mean": "Mass-mean", "mass_mean_corrected": "Mass-mean, covariance-corrected",
    "direction": "Direction (none: a probe's)", "label": "Class", "layer": "Layer",
    "how": "How", "ablate": "take it out", "steer": "add to it", "factor": "Factor",
    "watch": "Tokens to follow", "random_directions": "Random directions",
    "hidden": "One hidden layer, for contrast", "sparse": "Sparse: k units",
}  # fmt: skip
"""Names of fields and choices as the form shows them."""

KIND = {
    "logistic": "linear probe", "ridge": "ridge probe", "mass_mean": "mass-mean probe",
    "mass_mean_corrected": "mass-mean probe, corrected", "hidden": "MLP probe",
    "sparse": "sparse probe",
}  # fmt: skip


def kind_of(spec: Any) -> str:
    """ "linear probe", "4-sparse probe": what the task's curve is called."""
    probe = getattr(spec, "probe", "logistic")
    name = KIND.get(probe, "probe")
    return f"{spec.k}-{name}" if probe == "sparse" else name


def site_name(label: str) -> str:
    """A site in a sentence: "3" -> "layer 3", "embed" -> "the embedding"."""
    if label.lstrip("−-").isdigit():
        return f"layer {label}"
    return "the embedding" if label == "embed" else label


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def per_cent(share: float, places: int = 0) -> str:
    """Never rounded up to 100 or down to 0."""
    value = 100 * float(share)
    if not np.isfinite(value):
        return "–"
    while places < 4 and round(value, places) in (0, 100) and 0 < value < 100:
        places += 1
    return figure(value, places)


def points(difference: float) -> str:
    """A difference of shares, "+28.6 points"."""
    return f"{figure(100 * float(difference), 1, sign=True)} points"


def listed(names: Sequence[str], most: int = 4) -> str:
    """ "a, b and c"; of many "a, b, c and 5 more"."""
    names = list(names)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sites_listed(labels: Sequence[str]) -> str:
    """ "layers 2 to 5", "the embedding and layer 0", "layers 1, 3 and 4"."""
    numbers = [int(label) for label in labels if label.isdigit()]
    others = [site_name(label) for label in labels if not label.isdigit()]
    said = others
    if len(numbers) == 1:
        said = [*others, f"layer {numbers[0]}"]
    elif numbers:
        runs = np.split(np.array(numbers), np.flatnonzero(np.diff(numbers) > 1) + 1)
        parts = [
            f"{run[0]} to {run[-1]}" if len(run) > 2 else " and ".join(map(str, run.tolist()))
            for run in runs
        ]
        said = [*others, f"layers {listed(parts, 6)}"]
    return listed(said, 8) if said else ""


def class_text(name: str) -> str:
    """A class as a label shows it; an empty one can be seen."""
    return str(name) if str(name).strip() else f"“{name}”"
