"""A probed network's result that nobody trained: curves and squares shaped like real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.mlp import tasks
from engine.mlp.model import start
from engine.techniques.train_mlp import TrainMLPResult

NAMES = ("linear probe", "control task", "random weights", "shuffled labels")


def _field(task: str, n: int) -> np.ndarray:
    """P(class 1) [row, col], a little off the true figure."""
    x, y = (tasks.grid(n) * 0.96).T.astype(np.float64)
    return (1 / (1 + np.exp(-9 * (tasks.FIGURES[task][0](x, y) - 0.05)))).reshape(n, n)


def result(
    task: str = "rings", step: int = 3000, instances: int = 12, depth: int = 3, width: int = 16,
    ended: bool = True, act_fn: str = "relu", **about: Any,
) -> TrainMLPResult:  # fmt: skip
    rng = np.random.default_rng(0)
    sites, records = depth + 1, 40
    points = rng.uniform(-1, 1, (400, 2))
    labels = tasks.label(task, points)
    steps = np.linspace(0, step, records).astype(int)
    rise = 1 - np.exp(-np.linspace(0, 4, records))  # [record]
    reach = 0.58 + 0.39 * (np.arange(sites) / depth) ** 1.1  # [site]
    probes = 0.58 + rise[:, None] * (reach - 0.58)  # [record, site]
    control = 0.6 + 0.08 * np.minimum(np.arange(sites), 1)  # [site]
    rows = [reach, control, np.full(sites, 0.585), np.full(sites, 0.578)]
    accuracies = np.stack(rows)[:, None] + rng.normal(0, 0.012, (4, instances, sites))
    history = np.stack([probes, *(np.broadcast_to(row, probes.shape) for row in rows[1:])])
    if not ended:
        accuracies[1:] = np.nan
    from engine.mlp.config import MLPConfig

    widths = (2, *[width] * depth, 1)
    config = MLPConfig(widths, act_fn)
    weights = np.stack([start(config, seed) for seed in range(instances)])
    x, y = tasks.grid(32).T.reshape(2, 32, 32)
    turn = rng.uniform(0, 2 * np.pi, (depth, width, 1, 1))
    maps = np.cos(turn) * x + np.sin(turn) * y + rng.uniform(-0.5, 0.5, turn.shape)
    maps += 0.3 * np.arange(depth)[:, None, None, None] * np.sin(6 * np.hypot(x, y))
    maps = np.maximum(maps, 0) if act_fn == "relu" else np.tanh(3 * maps)
    if width > 3:
        maps[-1, 3] = 0  # a dead unit
    score = np.where(labels == 1, 1.0, -1.0)[None] * rng.uniform(0.1, 1.2, (sites, 400))
    score *= np.where(rng.random((sites, 400)) < reach[:, None], 1, -1)
    named = {
        "step": step, "task": task, "act_fn": act_fn, "probe": "ridge",
        "widths": np.array(widths), "weights": weights, "network": np.arange(instances),
        "loss": np.full(instances, 0.06), "accuracy": np.full(instances, 0.985),
        "majority": np.full(instances, 0.584), "boundary": _field(task, 96),
        "points": points, "labels": labels, "decision": np.where(labels == 1, 0.97, 0.02),
        "hidden": rng.random((depth, 400, width)), "unit_map": maps,
        "history_step": steps, "history_loss": 0.69 - 0.63 * rise,
        "history_accuracy": 0.58 + 0.4 * rise, "history_lr": np.linspace(0.01, 0, records),
        "curve_names": NAMES,
        "site_labels": ("input", *(f"layer {at + 1}" for at in range(depth))),
        "probe_history": history, "accuracies": accuracies,
        "probe_lambda": np.full(sites, 0.01), "probe_weights": np.ones((sites, width)),
        "probe_bias": np.zeros(sites), "probe_score": score,
    }  # fmt: skip
    return TrainMLPResult(**(named | about))
