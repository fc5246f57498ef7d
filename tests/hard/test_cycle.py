"""Six layers and eight words: the lens on the trained network sharpens from layer to layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine import technique
from engine.model.transformer import Transformer
from engine.techniques.logit_lens import LogitLens
from engine.techniques.train_transformer import TrainTransformer
from engine.train.checkpoint import config_for
from engine.train.cycle import WORDS
from engine.train.parameters import weights_of
from engine.train.presets import PRESETS

PRESET = next(preset for preset in PRESETS if ("task", "cycle") in preset.chosen)
RIGHT, FLAT = 0.99, 0.25  # probability of the next word at the end, and before training
SHARE = 0.95  # of the seeds: 19 of 20


def by_layer(spec: TrainTransformer, weights: np.ndarray) -> np.ndarray:
    """Probability of the right next word [layer, word and position], by the logit lens."""
    size = len(WORDS)
    cfg = config_for(spec, (size, size, size))
    model = Transformer("cycle", cfg, weights_of(cfg, weights.copy()))
    found = []
    for first in range(size):
        prompt = tuple((first + at) % size for at in range(size))
        seen = LogitLens(prompt=prompt, top_k=size).run(model)
        right = (np.array(prompt) + 1) % size  # [pos]
        there = seen.top_ids == right[None, :, None]  # [layer, pos, word]
        found.append(np.where(there, seen.top_probabilities, 0).sum(axis=-1))
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("seeds", [1, pytest.param(20, marks=pytest.mark.hard)])
def test_the_prediction_sharpens_layer_by_layer(
    seeds: int, seed: int, say: Callable[[str], None]
) -> None:
    rises, least = [], []
    for number in range(seed, seed + seeds):
        spec = technique.of("TrainTransformer")(**PRESET.values | {"seed": number})
        *_, last = updates = list(spec.steps(None))
        result = last.snapshot()
        mean = by_layer(spec, result.weights).mean(axis=1)  # [layer]
        assert by_layer(spec, updates[0].snapshot().weights).mean() < FLAT
        assert PRESET.done(result)
        assert PRESET.check(result)
        rises.append(bool((np.diff(mean) > 0).all()))
        least.append(float(mean[-1]))
        say(f"seed {number}: {' '.join(f'{value:.3f}' for value in mean)}")
    say(f"{sum(rises)} of {seeds} rise at every layer; least final P {min(least):.4f}")
    assert np.mean(rises) >= SHARE
    assert min(least) >= RIGHT
