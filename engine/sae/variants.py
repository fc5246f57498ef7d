"""Variants: the SAEs of one run, which differ in one number and read the same activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import RunError, SpecError
from engine.model.checkpoint import available_memory
from engine.sae.settings import Settings

__all__ = ["Variant", "latents", "of_spec"]

PER_PARAMETER = 24  # bytes: the number, both moments, its gradient, the encoder's copy, a result
SAME = (
    "architecture", "norm", "aux_k", "threshold_lr", "l0_loss", "bandwidth", "init_threshold",
    "target_l0", "pre_act", "b_dec", "lr", "beta1", "beta2", "clip", "warm_up", "sparsity_warm_up",
    "decay", "n_steps", "dead_window", "resample_every", "resample_last",
)  # fmt: skip
"""Fields of TrainSAE that are fields of Settings."""


@dataclass(frozen=True)
class Variant:
    """One SAE of a run: its name, and the number that sets it apart."""

    name: str
    value: float

    @property
    def stem(self) -> str:
        """The name as part of a file's."""
        return self.name.replace(" = ", "-")

    def settings(self, spec: Any, scaling: float | None) -> Settings:
        """How it is trained, as the spec stands now."""
        own: dict[str, Any] = {"k": int(self.value)} if _by_k(spec) else {"l1": self.value}
        own |= {name: getattr(spec, name) for name in SAME}
        return Settings(**own, normalize_activations=spec.normalize, scaling=scaling)


def of_spec(spec: Any) -> tuple[Variant, ...]:
    """A variant for each k of topk and batchtopk, for each l1 of the others."""
    if _by_k(spec):
        return tuple(Variant(f"k = {k}", k) for k in spec.k)
    return tuple(Variant(f"l1 = {l1:g}", l1) for l1 in spec.l1)


def latents(spec: Any, width: int) -> int:
    """d_sae of a run at a hook of this width; SpecError or RunError where that cannot be."""
    d_sae = spec.d_sae or spec.expansion * width
    field = "d_sae" if spec.d_sae else "expansion"
    if _by_k(spec) and max(spec.k) > d_sae:
        raise SpecError("k", f"{max(spec.k)} is above the {d_sae} latents: lower k or raise d_sae")
    need = PER_PARAMETER * 2 * width * d_sae * len(of_spec(spec))
    free = available_memory()
    if free is not None and need > free:
        raise RunError(
            f"{len(of_spec(spec))} SAE(s) of {width} x {d_sae:,} need {need / 1e9:.1f} GB of "
            f"memory to train and {free / 1e9:.1f} GB are free: lower `{field}`"
        )
    return d_sae


def _by_k(spec: Any) -> bool:
    return "topk" in spec.architecture
