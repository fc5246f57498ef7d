"""TrainSAE: a sparse autoencoder learns the activations of a model, read from a text as it goes.

x ~ f W_dec + b_dec with few latents f active (Bricken et al. 2023, Towards Monosemanticity;
Cunningham et al. 2023, arXiv:2309.08600). Contexts of a text go through the model, their
activations at one hook into a shuffled store, and batches of it train one SAE or several: all
values of k (or of l1) read the very same batches, so that they are one curve of sparsity against
what is lost.

What would fool you:

* Explained variance is not what the model needs. A few directions of large norm carry most of the
  variance; `recovered` asks the model itself, with the reconstruction in place of the activation.
  Its zero is a very bad model: 0.95 of the way up from there may still be a great loss.
* L0 and loss are one trade. Two SAEs can only be compared at equal L0, or as curves.
* Dead latents hide behind good averages: see the density, and `alive` on held-out text.
* The first position. BOS has an activation of its own, often of a huge norm, which an SAE would
  spend itself on. It is left out by default, and left as it is where the SAE is spliced in.
* L1 shrinks what it keeps: a low L0 with a large l1 comes with reconstructions that are too small.
* Latents that are near copies of each other (`nearest_cosine` near 1) mean too many latents or too
  much text alike: features are not "discovered" twice.
* A small text is seen many times, and an SAE remembers it as any network does. Only held-out
  numbers count.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.refs import Ref
from engine.sae.training_result import TrainSAEResult
from engine.technique import SpecError, Technique, Update, param

__all__ = ["TrainSAE", "TrainSAEResult"]

# as in engine.sae.sae, which takes scipy half a second to import
ARCHITECTURES = ("standard", "topk", "batchtopk", "jumprelu", "gated")
NORMALISATIONS = ("none", "expected_average_only_in", "constant_norm_rescale", "layer_norm")

_LARGE = 2e9  # multiplications of a product from which on two threads are faster


@dataclass(frozen=True, kw_only=True)
class TrainSAE(Technique):
    """Train SAEs on a hook of the open model; stop anywhere, go on from any checkpoint."""

    Result: ClassVar[type] = TrainSAEResult
    title: ClassVar[str] = "Train an SAE"
    summary: ClassVar[str] = "A sparse autoencoder finds directions of a layer that can be named"
    quick: ClassVar[Mapping[str, Any]] = {
        "n_steps": 6, "batch": 64, "n_tokens": 1500, "context": 12, "d_sae": 16, "k": (2,),
        "check_every": 4, "checkpoint_every": 4,
    }  # fmt: skip

    data: Ref | None = param(
        None, "a text file or a folder of .txt, UTF-8; none = the little world's text, or repeated "
        "random tokens where the model does not read its words", role="text",
    )  # fmt: skip
    n_tokens: int = param(
        200_000, "tokens of the text to use, at most", low=64, high=100_000_000, scale="log"
    )
    context: int = param(128, "tokens read together, at most the model's", low=2, high=8192)
    skip_first: bool = param(True, "leave the first position of each context, its BOS, out")
    held_out: float = param(0.1, "share of the text, at its end, to measure on", low=0.01, high=0.5)
    hook: str = param("blocks.0.hook_resid_post", "the activation to read, by its hook name")
    head: int = param(-1, "of a hook with heads, this one; -1 = all, side by side", low=-1)
    architecture: str = param("topk", "how latents are chosen", choices=ARCHITECTURES)
    d_sae: int = param(0, "latents; 0 = expansion times the hook's width", low=0, high=1 << 20)
    expansion: int = param(8, "latents for each dimension", low=1, high=256, scale="log")
    k: tuple[int, ...] = param(
        (32,), "active latents, topk and batchtopk; several = an SAE for each", low=1
    )
    l1: tuple[float, ...] = param(
        (1.0,), "weight of sparsity, the others; several = an SAE for each", low=0.0, high=1e6
    )
    norm: str = param(
        "weighted", "decoder rows: free, the penalty weighted by their length, or of length 1",
        choices=("weighted", "unit"),
    )  # fmt: skip
    normalize: str = param(
        "none", "scale activations first; expected_average_only_in: by one factor",
        choices=NORMALISATIONS, advanced=True,
    )  # fmt: skip
    lr: float = param(3e-4, "learning rate of Adam", low=1e-8, high=10.0, live=True, scale="log")
    warm_up: int = param(0, "steps until lr is reached", low=0, high=1_000_000, advanced=True)
    sparsity_warm_up: int = param(
        0, "steps until the weight of sparsity is reached", low=0, high=1_000_000, advanced=True
    )
    decay: int = param(0, "last steps, in which lr falls to 0", low=0, high=1_000_000)
    batch: int = param(2048, "activations in a step", low=1, high=1 << 18, scale="log")
    n_steps: int = param(
        2000, "training steps; more may be asked for while it runs", low=1, high=10_000_000,
        live=True, scale="log",
    )  # fmt: skip
    aux_k: float = param(
        1.0, "weight of the loss that revives dead latents, topk and batchtopk", low=0.0, high=1e3,
        advanced=True,
    )  # fmt: skip
    threshold_lr: float = param(
        0.01, "share of the newest batch in batchtopk's threshold", low=0.0, high=0.999,
        advanced=True,
    )  # fmt: skip
    l0_loss: str = param(
        "step", "sparsity of jumprelu", choices=("step", "tanh", "quadratic"), advanced=True
    )
    bandwidth: float = param(
        0.05, "width of jumprelu's kernel around its threshold", low=1e-6, high=100.0,
        advanced=True,
    )  # fmt: skip
    init_threshold: float = param(
        0.01, "jumprelu's threshold at the start", low=0.0, high=100.0, advanced=True
    )
    target_l0: float = param(
        20.0, "L0 that jumprelu's quadratic loss pulls to", low=1e-3, high=1e6, advanced=True
    )
    pre_act: float = param(
        0.0, "weight of jumprelu's loss for dead latents; 3e-6 is usual", low=0.0, high=1.0,
        advanced=True,
    )  # fmt: skip
    b_dec: bool = param(True, "a bias of the decoder", advanced=True)
    dead_window: int = param(
        1000, "steps without firing after which a latent is dead", low=1, high=1_000_000,
        advanced=True,
    )  # fmt: skip
    resample_every: int = param(
        0, "steps between two revivals of dead latents; 0 = never", low=0, high=1_000_000,
        advanced=True,
    )  # fmt: skip
    resample_last: int = param(
        0, "the last step at which that may be; 0 = none is", low=0, high=10_000_000, advanced=True
    )
    beta1: float = param(0.9, "Adam's memory of the gradient", low=0.0, high=0.9999, advanced=True)
    beta2: float = param(0.999, "and of its square", low=0.0, high=0.99999, advanced=True)
    clip: float = param(
        1.0, "largest norm of a gradient; 0 = any", low=0.0, high=1e9, advanced=True
    )
    buffer_mb: int = param(
        256, "MB of activations that are shuffled together; above 512 in a temporary file", low=1,
        high=1 << 20, scale="log", advanced=True,
    )  # fmt: skip
    check_every: int = param(
        200, "steps between two readings of the held-out text", low=1, high=1_000_000,
        advanced=True,
    )  # fmt: skip
    n_held_out: int = param(
        4096, "tokens of held-out text to read, at most", low=16, high=1_000_000, scale="log",
        advanced=True,
    )  # fmt: skip
    checkpoint_every: int = param(
        500, "steps between two checkpoints", low=1, high=10_000_000, live=True, advanced=True
    )
    start: Ref | None = param(
        None, "a checkpoint to go on from", role="SAE checkpoint", advanced=True
    )
    pace: int = param(
        0, "steps between two updates; 0 = about 30 ms of work", low=0, high=100_000, live=True,
        advanced=True,
    )  # fmt: skip
    seed: int = param(0, "of the SAEs and of the order of the text", low=0, role="seed")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("k", "l1"):
            values = getattr(self, name)
            if not values:
                raise SpecError(name, "names no value: write at least one, such as 32")
            if len(set(values)) < len(values):
                raise SpecError(name, f"{list(values)} names a value twice")

    def blas_for(self, model: Any) -> Any:
        """By the SAE's own products: they may be large where the model is small."""
        width = getattr(getattr(model, "config", None), "d_model", 0)
        work = self.batch * width * (self.d_sae or self.expansion * width)
        return "all" if work >= _LARGE else super().blas_for(model)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        from engine.sae.running import Running

        spec = self
        with Running(self, model) as running:
            while True:
                change = yield running.update(spec)
                spec = change or spec
                if running.step >= spec.n_steps:
                    return
                running.advance(spec)
