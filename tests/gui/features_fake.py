"""Results of the feature browser, made up: large enough to look at, and with known answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.errors import RunError
from engine.refs import Ref
from engine.sae.pages import FeaturesResult
from engine.techniques.features_on_prompt import FeaturesOnPromptResult

LATENTS, SLOTS, WINDOW, BINS, RANKS, WORDS = 64, 12, 8, 32, 6, 40
DEAD, STRONG, CITY = 5, 3, 7  # never active; the largest activation; its token
HOOK = "blocks.1.hook_resid_post"
BANDS = ("highest", "75 % to 100 %", "50 % to 75 %")


def browsed(done: bool = True, basis: str = "SAE", **changes: Any) -> FeaturesResult:
    """Latent 3 is the strongest, at token 7; latent 5 is dead. not done: half of the text."""
    rng = np.random.default_rng(0)
    n = LATENTS
    density = 10 ** rng.uniform(-4, -0.5, n)  # [latent]
    highest = rng.uniform(1, 8, n)  # [latent]
    highest[STRONG], density[DEAD], highest[DEAD] = 9.5, 0.0, 0.0
    count = np.rint(density * 100_000).astype(int)  # [latent]
    top = rng.integers(1, WORDS, n)  # [latent]
    top[STRONG], top[DEAD] = CITY, -1
    edges = 2.0 ** np.ceil(np.log2(np.maximum(highest, 0.1)))  # [latent]
    shape = np.exp(-np.arange(BINS) / 5) * (np.arange(BINS) / BINS < (highest / edges)[:, None])
    histogram = np.rint(shape * count[:, None] / 4).astype(int)  # [latent, bin]
    tokens = rng.integers(1, WORDS, (30, 24))  # [sequence, pos]
    tokens[:, 0], tokens[:10, 12] = 0, CITY
    sequence = np.tile(np.arange(SLOTS), (n, 1))  # [latent, slot]
    sequence[DEAD] = -1
    position = np.full((n, SLOTS), 12)  # [latent, slot]
    value = highest[:, None] * np.linspace(1, 0.2, SLOTS)  # [latent, slot]
    window = np.zeros((n, SLOTS, 2 * WINDOW + 1), np.float32)
    window[:, :, WINDOW] = value
    window[:, :, WINDOW + 3] = value * 0.3
    window[..., 0] = np.nan
    unit = rng.normal(0, 0.5, window.shape)  # [latent, slot, offset]
    unit[:, :, WINDOW] += 1.0
    ranks = rng.integers(1, WORDS, (2, n, RANKS))
    logits = np.linspace(2, 0.5, RANKS) * np.ones((n, 1))  # [latent, rank]
    nearest = (np.arange(n)[:, None] + np.arange(1, RANKS + 1)) % n  # [latent, rank]
    values: dict[str, Any] = {
        "basis": basis, "basis_name": "sae: topk, 64 latents of stream 1",
        "basis_digest": "ab" * 32, "hook": HOOK, "source": "the little world",
        "signed": False, "n_read": 100_000, "n_wanted": 100_000, "l0": 7.4,
        "memory": 1 << 20, "active_count": count,
        "density": density, "highest": highest, "mean_active": highest / 3, "top_ids": top,
        "histogram": histogram, "histogram_low": np.zeros(n), "histogram_high": edges,
        "sequence_tokens": tokens, "band_names": BANDS, "slot_band": np.repeat(np.arange(3), 4),
        "example_sequence": sequence, "example_position": position, "example_value": value,
        "example_window": window, "unit": np.arange(n) % 16, "unit_weight": np.full(n, 0.6),
        "unit_correlation": np.linspace(0.2, 0.7, n), "example_unit": unit.astype(np.float32),
        "band_edges": highest[:, None] * np.array([0.1, 0.3, 0.6]), "promoted_ids": ranks[0],
        "promoted_logits": logits, "suppressed_ids": ranks[1], "suppressed_logits": -logits,
        "nearest": nearest, "nearest_cosine": logits / 3, "decoder_norm": np.ones(n),
        "warnings": (),
    }  # fmt: skip
    if basis == "neurons":
        values |= {"basis_name": "units of neurons 1", "basis_digest": "", "signed": True,
                   "unit": np.full(n, -1), "example_unit": np.zeros((n, SLOTS, 0))}  # fmt: skip
    if not done:
        values |= {"n_read": 50_000, "promoted_ids": np.full((n, RANKS), -1),
                   "suppressed_ids": np.full((n, RANKS), -1), "nearest": np.full((n, RANKS), -1),
                   "warnings": ()}  # fmt: skip
    return FeaturesResult(**(values | changes))


def on_prompt(pos: int = 12, features: int = 10, **changes: Any) -> FeaturesOnPromptResult:
    """Feature 3 is the strongest, at position 5; half of position 2 is left out."""
    rng = np.random.default_rng(1)
    f = np.maximum(rng.normal(-1, 1.5, (pos, features)), 0).astype(np.float32)  # [pos, feature]
    f[5, 0], f[0] = 9.5, 0
    norm = np.full(pos, 10.0)  # [pos]
    error = np.full(pos, 1.5)  # [pos]
    error[2] = 5.0
    values: dict[str, Any] = {
        "tokens": np.arange(pos) % WORDS, "basis": "SAE", "basis_name": "sae: topk, 64 latents",
        "basis_digest": "ab" * 32, "hook": HOOK, "signed": False, "n_latents": LATENTS,
        "latents": np.array([STRONG, *range(10, 10 + features - 1)]), "activations": f,
        "n_active": (f > 0).sum(axis=1), "norm": norm, "error": error, "explained": 0.93,
        "warnings": (),
    }  # fmt: skip
    return FeaturesOnPromptResult(**(values | changes))


NAMES = ["<bos>", *(f" word{at}" for at in range(1, WORDS))]
NAMES[CITY] = " Paris"
SAE_REF = Ref("sae", "ab" * 32, "/somewhere/sae")


@dataclass
class Reader:
    """A model that can say what its tokens are called and where its hooks are."""

    folder: Path
    name: str = "reader"
    digest: str = "cd" * 32
    config = SimpleNamespace(d_head=8)

    def pieces(self, ids):
        return [NAMES[int(i)] for i in ids]

    def hooks(self):
        return {HOOK: "batch pos d_model", "blocks.1.attn.hook_z": "batch pos head d_head"}

    def tokens(self, text, bos="auto"):
        if isinstance(text, tuple):
            return np.array(text)
        words = [f" {word}" for word in text.split()]
        if any(word not in NAMES for word in words):
            raise RunError("no such word")
        return np.array([0] * (bos != "no") + [NAMES.index(word) for word in words])  # [pos]
