"""Presets of TrainSAE: the field's recipes as settings of the form, shortened for two cores.

Each keeps what is not named: text, hook, seed and size stay as they stand in the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """values: the fields that it sets."""

    name: str
    facts: str
    help: str
    values: Mapping[str, Any]


_PLAIN: Mapping[str, Any] = {
    "norm": "weighted", "normalize": "none", "warm_up": 0, "sparsity_warm_up": 0, "decay": 0,
    "n_steps": 2000, "lr": 3e-4, "aux_k": 1.0, "l0_loss": "step", "resample_every": 0,
    "resample_last": 0, "beta1": 0.9, "start": None,
}  # fmt: skip
"""What a preset does not name of a recipe."""


def _with(**values: Any) -> Mapping[str, Any]:
    return {**_PLAIN, **values}


PRESETS = (
    Preset(
        "TopK", "the k largest latents, k 32",
        "Gao et al. 2024 (arXiv:2406.04093): k latents are kept for each activation, so L0 is "
        "chosen and nothing shrinks; dead latents are revived by a loss of their own.",
        _with(architecture="topk", k=(32,), lr=1e-3, decay=400),
    ),
    Preset(
        "One curve of five", "topk, k 4 to 64 at once",
        "Five values of k on the very same batches: one curve of L0 against what is recovered.",
        _with(architecture="topk", k=(4, 8, 16, 32, 64), lr=1e-3, decay=400),
    ),
    Preset(
        "L1, April 2024", "standard, l1 5, warm-up",
        "Anthropic's recipe of April 2024: the penalty weighted by decoder norms, inputs scaled, "
        "the penalty grown over the first 5 % of steps, lr to 0 over the last 20 %.",
        _with(architecture="standard", l1=(5.0,), normalize="expected_average_only_in", lr=1e-3,
              sparsity_warm_up=100, decay=400),
    ),
    Preset(
        "L1, revived", "unit decoder, dead resampled",
        "Bricken et al. 2023: decoder rows of length 1, and dead latents begun anew from inputs "
        "that are reconstructed badly, here every 500 steps.",
        _with(architecture="standard", norm="unit", l1=(1.0,), lr=1e-3,
              normalize="expected_average_only_in", resample_every=500, resample_last=1500),
    ),
    Preset(
        "BatchTopK", "k 32 on average",
        "Bussmann et al. 2024 (arXiv:2412.06410): k on average over a batch, so that a rich "
        "activation may have more; read afterwards by a threshold.",
        _with(architecture="batchtopk", k=(32,), lr=1e-3, decay=400),
    ),
    Preset(
        "JumpReLU", "a threshold per latent",
        "Rajamanoharan et al. 2024 (arXiv:2407.14435): each latent learns its own threshold, by "
        "an estimate of the gradient of L0.",
        _with(architecture="jumprelu", l1=(1.0,), lr=1e-3, sparsity_warm_up=200,
              normalize="expected_average_only_in"),
    ),
    Preset(
        "Gated", "which and how much, apart",
        "Rajamanoharan et al. 2024 (arXiv:2404.16014): a gate says which latents are active, "
        "another set of weights how strongly, so that the penalty shrinks nothing.",
        _with(architecture="gated", l1=(1.0,), lr=1e-3, sparsity_warm_up=100,
              normalize="expected_average_only_in"),
    ),
)  # fmt: skip


def preset_of(spec: Any) -> int:
    """Which of them a spec is, whatever it reads; -1 = none."""
    for at, preset in enumerate(PRESETS):
        if all(getattr(spec, name) == value for name, value in preset.values.items()):
            return at
    return -1
