"""A probing run of made-up numbers, for tests of what is drawn of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.probes.layer_result import BASELINE_NAMES, CURVE_NAMES, LayerProbesResult
from engine.techniques.direction_use import DirectionUseResult

SEEDS, EXAMPLES, WIDTH, POS = 3, 12, 6, 4
LABELS = ("embed", "0", "1", "2")
TASK = (0.58, 0.69, 0.85, 0.96)
CONTROL = (0.60, 0.69, 0.69, 0.67)
TOKENS = np.array([[0, 1, 2, 3, 4], [0, 5, 2, 6, -1], [0, 4, 3, 2, 1]])


def probing(classes: tuple[str, ...] = ("singular", "plural"), **changes: Any) -> LayerProbesResult:
    """Four sites read ever better; up to layer 0 no better than the control task."""
    rng = np.random.default_rng(0)
    n, k = len(LABELS), len(classes)
    rows = 1 if k == 2 else k
    mean = np.array([TASK, CONTROL, (0.58, 0.57, 0.59, 0.58), (0.5, 0.5, 0.51, 0.49)])
    accuracy = np.repeat(mean[:, None], SEEDS, axis=1)  # [curve, seed, site]
    accuracy = np.clip(accuracy + rng.normal(0, 0.01, accuracy.shape), 0, 1)
    selectivity = mean[0] - mean[1]  # [site]
    true = np.arange(EXAMPLES) % k  # [example]
    margin = rng.normal(1.5, 0.6, (n, EXAMPLES))  # [site, example]
    margin[:, 3], margin[:, 6] = -2.0, -0.5
    predicted = np.repeat(true[None], n, axis=0)  # [site, example]
    predicted[:, [3, 6]] = (true[[3, 6]] + 1) % k
    confusion = np.zeros((n, k, k), int)
    for site in range(n):
        np.add.at(confusion[site], (true, predicted[site]), 1)
    scores = rng.normal(size=(n, EXAMPLES, k)).astype(np.float32)
    top = np.tile(np.arange(1, 5), (n, k, 1))  # [site, class, rank]
    values: dict[str, Any] = {
        "site_names": ("hook_embed", *(f"blocks.{at}.hook_resid_post" for at in range(n - 1))),
        "site_labels": LABELS, "layer": np.arange(n) - 1, "widths": np.full(n, WIDTH),
        "column": "number", "data_name": "the little world", "classes": classes,
        "n_examples": 60, "n_groups": 20, "counts": np.arange(30, 30 + k),
        "n_parts": np.array([36, 12, 12]), "curve_names": CURVE_NAMES, "accuracy": accuracy,
        "mean": mean, "low": mean - 0.02, "high": np.minimum(mean + 0.02, 1),
        "selectivity": selectivity, "selectivity_low": selectivity - 0.03,
        "selectivity_high": selectivity + 0.03, "baseline_names": BASELINE_NAMES,
        "baselines": np.array([[0.58] * 3, [0.64] * 3, [np.nan] * 3]),
        "lambdas": np.array([1e-3, 1e-1]), "validation": mean[:2] - 0.01,
        "chosen": np.zeros((4, SEEDS, n), int), "best_site": n - 1, "confusion": confusion,
        "example_text": tuple(f"the cat sat {at}" for at in range(EXAMPLES)),
        "example_words": tuple(f" word{at}" for at in range(EXAMPLES)),
        "example_where": np.arange(EXAMPLES) % 3 + 1,
        "example_prompt_tokens": TOKENS[np.arange(EXAMPLES) % 3], "true": true,
        "predicted": predicted, "margin": margin,
        "projection": margin * np.where(true, 1.0, -1.0), "scores": scores,
        "weights": rng.normal(size=(n, rows, WIDTH)).astype(np.float32),
        "bias": np.zeros((n, rows)), "top_tokens": top, "top_values": 4.0 - top,
        "bottom_tokens": top + 1, "bottom_values": top - 5.0,
        "positions": np.arange(POS), "map": rng.uniform(0.5, 1, (n, POS)),
        "map_majority": np.full(POS, 0.58), "map_counts": np.array([60, 60, 50, 40]),
        "codelength": np.full((4, n), np.nan), "uniform_bits": float("nan"),
        "compression": np.full((4, n), np.nan), "warnings": (), "leakage": "", "spill_bytes": 0,
    }  # fmt: skip
    return LayerProbesResult(**(values | changes))


def half_way() -> LayerProbesResult:
    """Two of the four sites are read, and of the second not everything."""
    full = probing()
    gone = np.zeros((4, len(LABELS)), bool)  # [curve, site]
    gone[:, 2:], gone[1:, 1] = True, True
    hidden: dict[str, Any] = {
        name: np.where(gone, np.nan, getattr(full, name)) for name in ("mean", "low", "high")
    }
    accuracy = np.where(gone[:, None], np.nan, full.accuracy)
    nothing = np.where(gone[1], np.nan, full.selectivity)  # [site]
    weights, margin = full.weights.copy(), full.margin.copy()
    weights[2:], margin[2:] = np.nan, np.nan
    predicted, confusion = full.predicted.copy(), full.confusion.copy()
    predicted[2:], confusion[2:] = -1, 0
    return probing(
        accuracy=accuracy, selectivity=nothing, selectivity_low=nothing, selectivity_high=nothing,
        weights=weights, margin=margin, projection=margin, predicted=predicted,
        confusion=confusion, best_site=-1, map=np.full((4, POS), np.nan), **hidden,
    )  # fmt: skip


def used(**changes: Any) -> DirectionUseResult:
    """A direction that is read and used: more than 20 random ones of either kind."""
    rng = np.random.default_rng(0)
    null_kl = np.abs(rng.normal((0.05, 0.01), (0.01, 0.002), (20, 2))).T  # [null, draw]
    null_loss = 2.1 + null_kl
    values: dict[str, Any] = {
        "hook": "blocks.1.hook_resid_post", "how": "ablate", "length": 0.0,
        "direction": np.eye(WIDTH)[0], "label": "plural", "column": "number",
        "data_name": "the little world", "classes": ("singular", "plural"), "n_texts": 40,
        "n_predicted": 600, "n_read": 80, "kl": 0.31, "loss_base": 2.1, "loss": 2.42,
        "null_names": ("like the activations", "isotropic"), "null_kl": null_kl,
        "null_loss": null_loss, "kl_band": np.quantile(null_kl, [0.025, 0.975], axis=1).T,
        "loss_band": np.quantile(null_loss, [0.025, 0.975], axis=1).T,
        "kl_rank": np.array([1.0, 1.0]), "watched": np.array([3]),
        "watched_base": np.array([0.4]), "watched_changed": np.array([0.1]),
        "watched_band": np.tile([[0.35], [0.42]], (2, 1, 1)), "variance": 0.08,
        "null_variance": np.full((2, 20), 0.06), "accuracy_places": ("here", "last layer"),
        "accuracy_conditions": ("before", "after", "after a random one"),
        "accuracy": np.array([[0.97, 0.61, 0.97], [0.95, 0.72, 0.95]]), "majority": 0.58,
        "own_accuracy": np.array([0.96, 0.58]), "warnings": (),
    }  # fmt: skip
    return DirectionUseResult(**(values | changes))
