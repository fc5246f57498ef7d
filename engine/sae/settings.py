"""Settings: how an SAE is trained; SAELens' losses and names where it has them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import SpecError
from engine.sae.sae import ARCHITECTURES, NORMALISATIONS

__all__ = ["STRUCTURE", "Settings"]

STRUCTURE = (
    "architecture", "norm", "b_dec", "apply_b_dec_to_input", "normalize_activations", "scaling",
    "decoder_init_norm", "init_threshold", "rescale_acts_by_decoder_norm",
)  # fmt: skip
"""What a trainer keeps from its beginning; everything else may change between two steps."""


@dataclass(frozen=True)
class Settings:
    """Defaults are SAELens' own, but lr, which is for small models. Checked: a SpecError names it.

    `norm`: "weighted" penalises f times the norm of its decoder row and leaves the norms free;
    "unit" keeps every decoder row at length 1, and the gradient's part along it is taken out.
    """

    architecture: str = "topk"
    norm: str = "weighted"
    k: int = 32  # "topk" in every row, "batchtopk" in the mean over a batch
    l1: float = 1.0  # weight of the sparsity loss: L1 ("standard", "gated"), L0 ("jumprelu")
    aux_k: float = 1.0  # weight of the auxiliary loss of dead latents ("topk", "batchtopk"); 0 off
    rescale_acts_by_decoder_norm: bool = True  # "topk", "batchtopk" with norm "weighted"
    threshold_lr: float = 0.01  # share of the newest batch in the threshold of "batchtopk"
    l0_loss: str = "step"  # "jumprelu": "step", "tanh" or "quadratic"
    bandwidth: float = 0.05  # "jumprelu": width of the kernel that estimates dL/dthreshold
    init_threshold: float = 0.01  # "jumprelu"
    tanh_scale: float = 4.0  # "jumprelu" with l0_loss "tanh"
    target_l0: float = 20.0  # "jumprelu" with l0_loss "quadratic"
    ste_to_input: bool = False  # "jumprelu": the kernel's gradient reaches the encoder too
    pre_act: float = 0.0  # "jumprelu": weight of the loss that wakes dead latents; 3e-6 is usual
    b_dec: bool = True  # False: no decoder bias, which stays 0
    apply_b_dec_to_input: bool = True
    normalize_activations: str = "none"
    scaling: float | None = None  # the factor of "expected_average_only_in": sqrt(d_in) / E|x|
    decoder_init_norm: float = 0.1  # length of the decoder rows at the start; 1 with norm "unit"
    lr: float = 3e-4
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    clip: float = 1.0  # largest norm of the whole gradient; 0 does not clip
    warm_up: int = 0  # steps in which lr rises
    sparsity_warm_up: int = 0  # steps in which l1 rises from 0
    decay: int = 0  # last steps, in which lr falls to 0
    n_steps: int = 10_000
    dead_window: int = 1000  # steps without firing after which a latent counts as dead
    resample_every: int = 0  # steps; 0 never resamples
    resample_last: int = 0  # the last step at which it may; 0 has no last

    def __post_init__(self) -> None:
        for name, choices in (
            ("architecture", ARCHITECTURES), ("norm", ("weighted", "unit")),
            ("l0_loss", ("step", "tanh", "quadratic")), ("normalize_activations", NORMALISATIONS),
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                raise SpecError(name, f"{getattr(self, name)!r} is none of {choices}")
        for name in ("k", "n_steps", "dead_window"):
            if getattr(self, name) < 1:
                raise SpecError(name, f"{getattr(self, name)} is below 1")
        for name in ("lr", "bandwidth", "eps", "decoder_init_norm", "tanh_scale", "target_l0"):
            if not getattr(self, name) > 0:
                raise SpecError(name, f"{getattr(self, name)} is not above 0")
        for name in ("beta1", "beta2", "threshold_lr"):
            if not 0 <= getattr(self, name) < 1:
                raise SpecError(name, f"{getattr(self, name)} is not in [0, 1)")
        for name in (
            "l1", "aux_k", "pre_act", "clip", "warm_up", "sparsity_warm_up", "decay",
            "resample_every", "resample_last", "init_threshold",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise SpecError(name, f"{getattr(self, name)} is below 0")
        if self.normalize_activations == "expected_average_only_in" and self.scaling is None:
            raise SpecError("scaling", "expected_average_only_in needs sqrt(d_in) / mean |x|")

    @property
    def rescales(self) -> bool:
        """Whether activations are compared in units of their decoder row."""
        free = self.norm == "weighted" and "topk" in self.architecture
        return free and self.rescale_acts_by_decoder_norm

    def lr_at(self, step: int) -> float:
        """The learning rate of step 0, 1, ...: up in `warm_up` steps, down to 0 in `decay`."""
        rate = self.lr * min(1.0, (step + 1) / self.warm_up) if self.warm_up else self.lr
        left = self.n_steps - step
        return rate * max(0.0, min(1.0, left / self.decay)) if self.decay else rate

    def l1_at(self, step: int) -> float:
        """The weight of the sparsity loss at step 0, 1, ...: from 0 up in `sparsity_warm_up`."""
        return (
            self.l1 * min(1.0, step / self.sparsity_warm_up) if self.sparsity_warm_up else self.l1
        )
