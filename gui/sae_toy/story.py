"""What a result of ToySAE says to the plots. Every number comes from the result or the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.sae import toy_reading as reading
from engine.sae.toy_reading import Moment
from gui.plots.step_parts import Level, StepLine

Array = np.ndarray
SUFFIX = (" dead", "", " dup.", " mixed")  # by role
SPREAD = ("MMCS", "F1")  # rows of the strip of seeds
MOST = 12  # faint curves


def record(result: Any, name: str, instance: int = 0) -> Array:
    """[record]: the history of a score."""
    return np.asarray(result.history[reading.metric(result, name), :, instance], float)


def score_lines(result: Any, instance: int) -> list[StepLine]:
    """Mean best cosine and F1 over the steps; of the other instances as faint curves."""
    others = [at for at in range(result.history.shape[2]) if at != instance][:MOST]
    lines = [StepLine(f"cosine, seed {result.sae_seed[at]}", record(result, "MMCS", at), "accent",
                      False) for at in others]  # fmt: skip
    return [
        *lines,
        StepLine("F1 at h > 0", record(result, "F1 at h > 0", instance), "muted", False, "h > 0"),
        StepLine("best F1", record(result, "F1", instance), "okabe:5", True, "F1"),
        StepLine("mean best cosine", record(result, "MMCS", instance), "accent", True, "cosine"),
    ]


def score_limits(result: Any) -> tuple[float, float]:
    """From a round number below everything drawn, but chance at most, to 1."""
    rows = [reading.metric(result, name) for name in ("MMCS", "F1", "F1 at h > 0")]
    least = min(float(np.nanmin(result.history[rows])), float(result.chance) - 0.05, 0.8)
    return max(float(np.floor(least * 10) / 10), 0.0), 1.0


def score_levels(result: Any) -> list[Level]:
    return [Level("cosine by chance", float(result.chance))]


def count_lines(result: Any, instance: int) -> list[StepLine]:
    """How many latents fire per sample, and how many are of no use."""
    shown = (
        ("duplicates", "dup.", "okabe:5"), ("mixed", "mixed", "muted"),
        ("dead", "dead", "faint"), ("L0", "L0", "accent"),
    )  # fmt: skip
    return [StepLine(name, record(result, name, instance), colour, True, label)
            for name, label, colour in shown]  # fmt: skip


def count_levels(result: Any, instance: int) -> list[Level]:
    return [Level("concepts per sample", float(result.true_l0[instance]))]


def matrix(result: Any, seen: Moment) -> tuple[Array, list[str], list[str], Array]:
    """Cosines in the order of a table, its labels, and which cells are matches."""
    order = seen.latent_order
    rows = [f"{latent}{SUFFIX[seen.role[latent]]}" for latent in order]
    gold = np.zeros(seen.cosine.shape, bool)  # [latent, concept]
    for concept, latent in enumerate(seen.matched):
        if latent >= 0:
            gold[latent, concept] = True
    return seen.cosine[order], rows, list(result.names), gold[order]


def detectors(result: Any, seen: Moment, instance: int, then: int | None) -> dict[str, Any]:
    """What the small plots take: each concept with the latent that is matched with it."""
    f = np.where(seen.matched[:, None] >= 0, seen.f[seen.matched], 0)  # [concept, sample]
    unknown = np.full(len(seen.true), np.nan)  # [concept], at a record before the last
    return {
        "names": result.names, "amount": seen.amount, "f": f, "latents": seen.matched.tolist(),
        "f1": result.f1[instance] if then is None else unknown,
        "threshold": result.f1_threshold[instance] if then is None else unknown,
    }  # fmt: skip


def trail(result: Any, instance: int, then: int | None) -> Array | None:
    """Where the decoder rows of instance 0 were, up to a record: [record, latent, 3]."""
    if instance:
        return None
    last = len(result.history_step) if then is None else then + 1
    return np.asarray(result.history_W_dec[:last])


def seeds(result: Any) -> tuple[Array, list[str], list[str], tuple[float, float]]:
    """Scores of all instances [row, instance], their labels, and limits that tell them apart."""
    rows = [reading.metric(result, name) for name in SPREAD]
    values = np.clip(result.metrics[rows], 0, 1)  # [row, instance]
    low = max(float(np.floor(min(values.min(), 0.85) * 10) / 10), 0.0)
    return values, ["cosine", "F1"], [str(seed) for seed in result.sae_seed], (low, 1.0)
