"""Principal components of activations that no model made: clouds with known classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.techniques.principal_components import PrincipalComponentsResult

WORDS = ("the", "old", "cat", "sat", "on", "a", "mat", "and", "saw", "dogs")
CLASSES = ("noun", "verb", "determiner", "adjective")


def result(
    n: int = 400, n_components: int = 8, classes: tuple[str, ...] = CLASSES, **about: Any
) -> PrincipalComponentsResult:
    """Texts of nine words, whose ids are those of `WORDS`; component 2 parts the classes."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, len(classes), n)
    scores = rng.normal(0, 1, (n, n_components)) * np.linspace(3, 0.4, n_components)
    scores[:, 1] += 2.4 * (label - label.mean())
    ids = rng.integers(0, len(WORDS), (n, 9))
    where = rng.integers(0, 9, n)
    words = [[WORDS[i] for i in row] for row in ids]
    variance = scores.var(axis=0)
    eta = np.linspace(0.05, 0.01, n_components)
    eta[1] = 0.87
    named = {
        "hook": "blocks.1.hook_resid_post", "column": "part_of_speech", "data_name": "made up",
        "classes": classes, "counts": np.bincount(label, minlength=len(classes)),
        "scores": scores, "explained": variance / variance.sum() * 0.8, "eta_squared": eta,
        "eta_null": np.full(n_components, 0.02), "label": label,
        "example_text": tuple(" ".join(row) for row in words),
        "example_words": tuple(row[at] for row, at in zip(words, where, strict=True)),
        "example_where": where, "example_prompt_tokens": ids,
        "directions": np.eye(n_components, 64), "center": np.zeros(64),
        "total_variance": 12.5, "warnings": (),
    }  # fmt: skip
    return PrincipalComponentsResult(**(named | about))
