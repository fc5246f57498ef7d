"""TrainSAEResult: SAEs as they are now, their curves, and what they do to the model's text.

Several variants (values of k, or of l1) are trained on the same activations: each array has a
variant axis, and `sae(variant)` is the autoencoder itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.technique import array

if TYPE_CHECKING:
    from engine.sae.sae import SAE

__all__ = ["TrainSAEResult"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class TrainSAEResult:
    """Everything a run has found so far; NaN where nothing was measured yet.

    "Held out" is text that no SAE was trained on. A site's width is d_in, its latents are d_sae.
    """

    step: int = array("", "training steps made")
    variant_names: tuple[str, ...] = array("variant", "what sets each SAE apart, such as k = 32")
    variant_value: Floats = array("variant", "the same as numbers: k, or the weight of sparsity")
    architecture: str = array("", "how latents are chosen")
    hook: str = array("", "the activation that is read")
    hook_head: int = array("", "which head of it; -1 = the whole of it, heads flattened")
    source: str = array("", "the text it was read from")
    model_name: str = array("", "the model that was read")
    model_digest: str = array("", "that model's digest")
    normalize: str = array("", "how activations are scaled before they are read")
    scaling: float = array("", "the factor on them; 0 where there is none")
    apply_b_dec_to_input: bool = array("", "whether the decoder's bias is taken from the input")
    rescale_acts_by_decoder_norm: bool = array(
        "", "whether latents compete in units of their decoder row"
    )
    context: int = array("", "length of the texts")
    W_enc: Floats = array("variant d_in latent", "encoders, now")
    W_dec: Floats = array("variant latent d_in", "decoders, now: each row a latent's direction")
    b_dec: Floats = array("variant d_in", "biases of the decoders")
    b_enc: Floats = array("variant latent", "biases of the encoders; none where gated")
    threshold: Floats = array(
        "variant latent", "activations up to here count as 0; none but jumprelu and batchtopk"
    )
    b_gate: Floats = array("variant latent", "biases of the gates; none but gated")
    b_mag: Floats = array("variant latent", "biases of the magnitudes; none but gated")
    r_mag: Floats = array("variant latent", "log scales of the magnitudes; none but gated")
    metric_names: tuple[str, ...] = array(
        "metric", "what the curves are of: loss and its terms with their weights (mse, sparsity, "
        "auxiliary, pre_act), explained_variance, l0, dead, gradient_norm, threshold, l1"
    )  # fmt: skip
    history_step: Ints = array("record", "step of each record")
    history: Floats = array(
        "metric record variant",
        "means since the record before: losses per activation, share of the batch's variance that "
        "is explained, active latents per activation; dead latents, threshold and l1 as they were",
    )
    history_lr: Floats = array("record", "learning rate, after warm-up and decay")
    density: Floats = array(
        "variant latent", "share of recent activations at which each latent is active; NaN: none"
    )
    density_edges: Floats = array("edge", "edges of the histogram: log10 of that share")
    density_counts: Ints = array("variant bin", "latents in each bin of it")
    silent: Ints = array("variant", "latents that were never active among those activations")
    n_density: int = array("", "activations that the density was counted on")
    check_step: Ints = array("check", "step of each reading of the held-out text")
    check_recovered: Floats = array("check variant", "as recovered, then")
    check_explained: Floats = array("check variant", "as explained_variance, then")
    check_l0: Floats = array("check variant", "as l0, then")
    ce_clean: float = array("", "loss of the model on held-out text, in nats per prediction")
    ce_zero: float = array("", "the same with zeros in place of the activation")
    ce_spliced: Floats = array("variant", "the same with the reconstruction in its place")
    recovered: Floats = array(
        "variant", "(ce_zero - ce_spliced) / (ce_zero - ce_clean): 1 = nothing was lost"
    )
    explained_variance: Floats = array(
        "variant", "held out: 1 - sum |x - x_hat|^2 / sum |x - mean|^2"
    )
    l0: Floats = array("variant", "held out: active latents per activation")
    alive: Ints = array("variant", "latents that were active on held-out text; -1: not read yet")
    nearest_cosine: Floats = array(
        "variant latent",
        "largest cosine of its decoder row with another one; NaN where not asked (of very many "
        "latents, an even choice is)",
    )
    cosine_edges: Floats = array("cosine_edge", "edges of the histogram of those cosines")
    cosine_counts: Ints = array("variant cosine_bin", "latents in each bin of it")
    n_activations: int = array("", "activations read in training so far, repeats included")
    n_text: int = array("", "different activations that the text gives")
    n_held_out: int = array("", "activations of held-out text that are measured on")
    store_bytes: int = array("", "bytes of the shuffled store of activations")
    spill_bytes: int = array("", "bytes of it that lie in a temporary file; 0: in memory")
    checkpoint_step: Ints = array("checkpoint", "step of each checkpoint of this run")

    @property
    def n_variants(self) -> int:
        """How many SAEs were trained on the same activations."""
        return len(self.variant_names)

    def sae(self, variant: int = 0) -> SAE:
        """One of the SAEs; RunError where there is no such variant."""
        if not 0 <= variant < self.n_variants:
            raise RunError(
                f"variant: {variant} is not one of the {self.n_variants} that were trained "
                f"({', '.join(self.variant_names)})"
            )

        from engine.sae.sae import SAE  # scipy comes with it: not where techniques are listed

        def given(name: str) -> Floats | None:
            values = getattr(self, name)[variant]  # [latent], or none
            return values if values.size else None

        scaling = float(self.scaling)
        topk = "topk" in self.architecture
        about = {
            "trained": self.variant_names[variant], "steps": int(self.step), "text": self.source,
            "context_size": int(self.context),
        }  # fmt: skip
        measured = {
            "recovered": float(self.recovered[variant]), "l0": float(self.l0[variant]),
            "explained_variance": float(self.explained_variance[variant]),
        }  # fmt: skip
        return SAE(
            architecture=self.architecture,
            W_enc=self.W_enc[variant], W_dec=self.W_dec[variant], b_dec=self.b_dec[variant],
            b_enc=given("b_enc"), threshold=given("threshold"), b_gate=given("b_gate"),
            b_mag=given("b_mag"), r_mag=given("r_mag"),
            k=int(self.variant_value[variant]) if topk else None,
            apply_b_dec_to_input=bool(self.apply_b_dec_to_input),
            rescale_acts_by_decoder_norm=bool(self.rescale_acts_by_decoder_norm),
            normalize_activations=self.normalize, scaling=scaling if scaling > 0 else None,
            hook_name=self.hook, hook_head_index=None if self.hook_head < 0 else self.hook_head,
            model_digest=self.model_digest, model_name=self.model_name,
            about=about | {name: value for name, value in measured.items() if np.isfinite(value)},
        )  # fmt: skip
