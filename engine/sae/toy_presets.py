"""Presets of toy SAEs: settings that work and settings that do not, expected beside measured.

Expected are the ranges that 20 and more seeds gave with these settings. "From Scratch" is the
article whose text promises that one latent becomes one concept; as written it finds one or two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import technique
from engine.sae.toy_reading import metric

__all__ = ["PRESETS", "Preset"]

SCRATCH = '"Mechanistic Interpretability from Scratch", sixth demo'


@dataclass(frozen=True)
class Preset:
    """Settings, what they give (words, and a check of a result), and why they are here."""

    name: str
    fields: tuple[tuple[str, Any], ...]
    facts: str
    expected: str
    why: str
    source: str
    check: Callable[[Any], bool]
    measured: Callable[[Any], str]

    @property
    def spec(self) -> Any:
        """The toy SAE that this preset trains."""
        return technique.of("ToySAE")(**dict(self.fields))


def value(result: Any, name: str) -> Any:
    """[instance]: a score of the SAEs as they are now."""
    return np.asarray(result.metrics[metric(result, name)])


def _found(result: Any) -> str:
    return f"{int(value(result, 'found')[0])} of {len(result.names)}"


def _cosine(result: Any) -> str:
    return f"cos {value(result, 'MMCS')[0]:.2f}"


def _f1(result: Any) -> str:
    return f"F1 {value(result, 'F1')[0]:.2f}"


def _share(result: Any) -> str:
    found = value(result, "found")
    return f"{int((found == len(result.names)).sum())} of {len(found)}"


def _between(name: str, low: float, high: float) -> Callable[[Any], bool]:
    return lambda result: bool(((value(result, name) >= low) & (value(result, name) <= high)).all())


def _all(*checks: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda result: all(check(result) for check in checks)


ARTICLE = (
    ("directions", "random"), ("norm", "free"), ("sparsity", 0.05), ("optimizer", "sgd"),
    ("schedule", "constant"), ("lr", 0.05), ("n_steps", 2000),
)  # fmt: skip

PRESETS = (
    Preset(
        "Five concepts found", (), "L1 0.3, unit norm", "5 of 5",
        "unit decoder rows and a penalty that is strong enough find every concept",
        "Bricken et al. 2023",
        _all(_between("MMCS", 0.98, 1), _between("found", 5, 5), _between("F1", 0.94, 1)), _found,
    ),
    Preset(
        "The article's settings", ARTICLE, "SGD, free norm", "0-4 of 5",
        "the decoder may grow while activations shrink, the penalty is weak, the directions "
        "nearly parallel: why the text's promise fails", SCRATCH,
        _all(_between("found", 0, 4), _between("MMCS", 0.75, 0.985)), _found,
    ),
    Preset(
        "The same, mended", (("directions", "random"),), "unit norm",
        "cos \N{GREATER-THAN OR EQUAL TO} 0.94",
        "random directions with settings that work: what points the same way stays merged",
        SCRATCH, _between("MMCS", 0.94, 1), _cosine,
    ),
    Preset(
        "Norm left free", (("norm", "free"), ("sparsity", 0.05)), "Adam, L1 0.05",
        "cos 0.72-0.98", "a better optimiser does not help where the penalty can be evaded",
        "Bricken et al. 2023, on constraining the norm", _between("MMCS", 0.7, 0.985), _cosine,
    ),
    Preset(
        "As many latents as concepts", (("n_latents", 5),), "5 latents",
        "5 of 5", "no duplicates and no mixtures where there is nothing to spare",
        "known here, never in a language model",
        _all(_between("found", 5, 5), _between("mixed", 0, 0)), _found,
    ),
    Preset(
        "TopK, one latent", (("architecture", "topk"), ("k", 1)), "k 1",
        "F1 0.70-0.80", "finds every direction, but of two concepts in a sample it reports one",
        "Gao et al. 2024 (arXiv:2406.04093)",
        _all(_between("MMCS", 0.98, 1), _between("F1", 0.68, 0.82)), _f1,
    ),
    Preset(
        "TopK, two latents", (("architecture", "topk"), ("k", 2)), "k 2",
        "cos 0.84-1.00", "a second latent is forced on samples that hold one concept or none",
        "Gao et al. 2024 (arXiv:2406.04093)", _between("MMCS", 0.84, 1), _cosine,
    ),
    Preset(
        "JumpReLU", (("architecture", "jumprelu"), ("sparsity", 0.1)), "bandwidth 0.5",
        "5-7 live", "prunes to about as many latents as there are concepts, given a wide bandwidth",
        "Rajamanoharan et al. 2024 (arXiv:2407.14435)",
        _all(_between("MMCS", 0.99, 1), _between("dead", 5, 7)),
        lambda result: f"{len(result.W_dec[0]) - int(value(result, 'dead')[0])} live",
    ),
    Preset(
        "Twenty seeds", (("instances", 20),), "L1 0.3, unit norm", "19-20 of 20",
        "one run is one local optimum: how many SAEs find all five", "measured",
        lambda result: bool((value(result, "found") == len(result.names)).sum() >= 19), _share,
    ),
)  # fmt: skip
