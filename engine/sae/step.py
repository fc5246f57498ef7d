"""Trainer: one step of training an SAE by Adam, for all five architectures.

The loss is SAELens' (architectures.py, dead.py). What costs here: the encoder's product, 2 B d_in
d_sae operations, is the only dense one of a TopK step; the rest touches k of d_sae columns or the
parameters once. Hence the encoder is kept as [d_sae, d_in + 1], a row per latent with its bias, so
that its gradient is one sparse product, and the decoder norms are multiplied into that copy of the
encoder which the product reads instead of into [row, d_sae]. Wherever few entries matter the other
architectures go the same way (active.py). Everything in blocks: [row, d_sae] never exceeds 64 MB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.errors import RunError
from engine.sae.adam import Adam
from engine.sae.dead import ENCODER_SHARE, chosen_rows
from engine.sae.gradient import Gradient
from engine.sae.init import decoder_start
from engine.sae.inside import Inside
from engine.sae.sae import SAE
from engine.sae.settings import STRUCTURE, Settings
from engine.sae.topk import Array

__all__ = ["METRICS", "Settings", "Trainer"]

METRICS = (
    "loss", "mse", "sparsity", "auxiliary", "pre_act", "explained_variance", "l0", "dead",
    "gradient_norm", "threshold", "lr", "l1",
)  # fmt: skip
"""Of a step: the whole loss, its terms with their weights, 1 - sum|x-x_hat|^2 / sum|x-mean|^2 of
the batch, active latents per row, latents that are dead, the gradient's norm before clipping, the
threshold (batchtopk's; jumprelu's mean; else 0), and the two rates in force."""

_TINY = 1e-6  # torch's, in the quotient of clipping


def _nothing() -> None:
    """Where nobody wants to stop."""


class Trainer:
    """An SAE in training. A step that fails leaves everything as it was before.

    `start` gives the weights to begin with, else Kaiming-uniform rows from `seed`. `dtype` float64
    is for checks of the gradient. `settings` may be replaced between two steps, not in STRUCTURE.
    """

    def __init__(
        self,
        settings: Settings,
        d_in: int,
        d_sae: int,
        seed: int = 0,
        start: SAE | None = None,
        dtype: Any = np.float32,
    ) -> None:
        if settings.k > d_sae and settings.architecture == "topk":
            raise RunError(f"k: {settings.k} is above the {d_sae} latents; lower k")
        self._settings, self.d_in, self.d_sae, self.seed = settings, d_in, d_sae, seed
        self._dtype = np.dtype(dtype)
        self.n_steps = 0
        self.since_fired = np.zeros(d_sae, np.int64)  # [d_sae] steps
        self.fired = np.zeros(d_sae, np.int64)  # [d_sae] rows since `reset_density`
        self.rows = 0
        self.threshold = 0.0  # batchtopk's
        self.parameters = self._begin(start)
        self._adam = Adam(
            {name: array for name, array in self.parameters.items()
             if settings.b_dec or name != "b_dec"}
        )  # fmt: skip
        self._buffer = np.zeros((0, d_sae), self._dtype)  # [row, d_sae] pre-activations

    # --- what a caller sees ---------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        for name in STRUCTURE:
            if getattr(settings, name) != getattr(self._settings, name):
                raise RunError(f"{name}: cannot change while an SAE trains; start a new one")
        self._settings = settings

    def step(self, x: Array, listen: Callable[[], None] = _nothing) -> dict[str, float]:
        """Learn from x [row, d_in] once -> METRICS of the parameters as they were before.

        `listen` is called between products and may raise. A RunError if the loss is not a number.
        """
        settings = self._settings
        found, metrics = self._gradient(x, listen)
        gradients, fired = found.sums, found.fired
        norm = math.sqrt(sum(float(np.vdot(part, part)) for part in gradients.values()))
        if not math.isfinite(metrics["loss"]) or not math.isfinite(norm):
            raise RunError(
                f"the loss is {metrics['loss']:g} and its gradient {norm:g} at step {self.n_steps}"
                "; lower lr or scale the activations"
            )
        clipped = min(1.0, settings.clip / (norm + _TINY)) if settings.clip else 1.0
        lr = settings.lr_at(self.n_steps)
        with np.errstate(under="ignore"):
            self._adam.step(gradients, lr, clipped, (settings.beta1, settings.beta2), settings.eps)
        self._constrain()
        self.threshold = found.threshold
        self.since_fired += 1
        self.since_fired[fired > 0] = 0
        self.fired += fired
        self.rows += len(x)
        self.n_steps += 1
        every, last = settings.resample_every, settings.resample_last or self.n_steps
        if every and self.n_steps % every == 0 and self.n_steps <= last:
            self.resample(x)
        learnt = self.parameters.get("threshold")  # [d_sae] or None
        shown = self.threshold if learnt is None else float(learnt.mean())
        metrics |= {"gradient_norm": norm, "lr": lr, "threshold": shown}
        return {name: metrics[name] for name in METRICS}

    def loss_and_gradients(self, x: Array) -> tuple[dict[str, float], dict[str, Array]]:
        """What `step` would see, without learning: metrics of the loss, and dL/dparameter."""
        found, metrics = self._gradient(x, _nothing)
        return metrics, found.sums

    @property
    def dead(self) -> Array:
        """[d_sae] bool: has not fired for more than `dead_window` steps."""
        return self.since_fired > self._settings.dead_window

    def density(self) -> Array:
        """[d_sae]: share of the rows since `reset_density` in which each latent fired."""
        return self.fired / max(1, self.rows)

    def reset_density(self) -> None:
        """Count firing anew."""
        self.fired[...] = 0
        self.rows = 0

    def sae(self, **about: Any) -> SAE:
        """The SAE as it stands, in fresh arrays; `about` are fields of SAE, such as hook_name.

        Its scale of the inputs is not folded: `with_scaling_folded` does that.
        """
        settings, own = self._settings, self.parameters
        gated = settings.architecture == "gated"
        bias = own["encoder"][:, -1].copy()  # [d_sae]
        threshold = own["threshold"].copy() if "threshold" in own else None
        if settings.architecture == "batchtopk":
            threshold = np.full(self.d_sae, self.threshold, self._dtype)  # [d_sae]
        return SAE(
            settings.architecture,
            own["encoder"][:, :-1].copy().T,
            own["W_dec"].copy(),
            own["b_dec"].copy(),
            b_enc=None if gated else bias,
            threshold=threshold,
            b_gate=bias if gated else None,
            b_mag=own["b_mag"].copy() if gated else None,
            r_mag=own["r_mag"].copy() if gated else None,
            k=settings.k if "topk" in settings.architecture else None,
            apply_b_dec_to_input=settings.apply_b_dec_to_input,
            rescale_acts_by_decoder_norm=settings.rescales,
            normalize_activations=settings.normalize_activations,
            scaling=settings.scaling,
            **about,
        )

    def state(self) -> dict[str, Array]:
        """Everything that the next step depends on, beside settings and seed, in fresh arrays."""
        state = {name: array.copy() for name, array in self.parameters.items()}
        for name in self._adam.parameters:
            state[f"adam.m.{name}"] = self._adam.m[name].copy()
            state[f"adam.v.{name}"] = self._adam.v[name].copy()
        counts = [self.n_steps, self._adam.t, self.rows]
        return state | {
            "since_fired": self.since_fired.copy(), "fired": self.fired.copy(),
            "counts": np.array(counts, np.int64), "batch_threshold": np.array(self.threshold),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a `state()`, to the bit. A RunError if it belongs to another SAE."""
        wanted = self.state()
        for name, array in wanted.items():
            found = state.get(name)
            if found is None or found.shape != array.shape:
                have = "missing" if found is None else f"of shape {found.shape}"
                raise RunError(
                    f"{name}: {have}, but this training needs {array.shape}: the checkpoint "
                    "belongs to another architecture or size"
                )
        for name, array in self.parameters.items():
            array[...] = state[name]
        for name in self._adam.parameters:
            self._adam.m[name][...] = state[f"adam.m.{name}"]
            self._adam.v[name][...] = state[f"adam.v.{name}"]
        self.since_fired[...], self.fired[...] = state["since_fired"], state["fired"]
        self.n_steps, self._adam.t, self.rows = (int(count) for count in state["counts"])
        self.threshold = float(state["batch_threshold"])

    def resample(self, x: Array) -> int:
        """Latents that did not fire lately start anew at rows of x [row, d_in] -> how many.

        "Lately" is half of `resample_every`, or `dead_window` without it. Rows are drawn with
        probability proportional to the square of their loss. The decoder row is the row's unit
        vector (times the living rows' mean norm where norms are free), the encoder row that vector
        at 0.2 of the living ones' mean length, its bias 0, and Adam's moments begin anew.
        """
        settings, own = self._settings, self.parameters
        window = settings.resample_every // 2 or settings.dead_window
        dead = np.flatnonzero(self.since_fired >= window)  # [dead]
        if not len(dead):
            return 0
        inside = Inside.of(settings, x, own["b_dec"])
        error = x - self.sae().reconstruct(x)  # [row, d_in]
        rows = chosen_rows(np.square(error).sum(axis=1), len(dead), self.seed, self.n_steps)
        dead = dead[: len(rows)]
        vectors = inside.x[rows, :-1]  # [dead, d_in]
        length = np.linalg.norm(vectors, axis=1, keepdims=True)  # [dead, 1]
        vectors = vectors / np.maximum(length, 1e-30)
        living = np.ones(self.d_sae, bool)  # [d_sae]
        living[dead] = len(dead) == self.d_sae
        rows_enc = own["encoder"][living, :-1]  # [living, d_in]
        mean_enc = np.linalg.norm(rows_enc, axis=1).mean()
        mean_dec = np.linalg.norm(own["W_dec"][living], axis=1).mean()
        own["W_dec"][dead] = vectors * (1 if settings.norm == "unit" else mean_dec)
        own["encoder"][dead, :-1] = vectors * (ENCODER_SHARE * mean_enc)
        own["encoder"][dead, -1] = 0
        for name in ("b_mag", "r_mag", "threshold"):
            if name in own:
                own[name][dead] = settings.init_threshold if name == "threshold" else 0
        self._adam.forget({name: dead for name in own if name != "b_dec"})
        self.since_fired[dead] = 0
        return len(dead)

    # --- inside ---------------------------------------------------------------------------------

    def _begin(self, start: SAE | None) -> dict[str, Array]:
        settings, dtype = self._settings, self._dtype
        gated = settings.architecture == "gated"
        own = {
            "encoder": np.zeros((self.d_sae, self.d_in + 1), dtype),  # [d_sae, d_in + 1]
            "W_dec": np.zeros((self.d_sae, self.d_in), dtype),  # [d_sae, d_in]
            "b_dec": np.zeros(self.d_in, dtype),  # [d_in]
        }
        vectors = {"jumprelu": ("threshold",), "gated": ("b_mag", "r_mag")}
        own |= {
            name: np.full(
                self.d_sae, settings.init_threshold if name == "threshold" else 0.0, dtype
            )
            for name in vectors.get(settings.architecture, ())
        }  # each [d_sae]
        if start is None:
            length = 1.0 if settings.norm == "unit" else settings.decoder_init_norm
            own["W_dec"][...] = decoder_start(self.d_in, self.d_sae, length, self.seed, dtype)
            own["encoder"][:, :-1] = own["W_dec"]
            return own
        if (start.architecture, start.d_in, start.d_sae) != (
            settings.architecture, self.d_in, self.d_sae
        ):  # fmt: skip
            raise RunError(
                f"a {start.architecture} SAE of {start.d_in} x {start.d_sae} cannot begin the "
                f"training of a {settings.architecture} one of {self.d_in} x {self.d_sae}"
            )
        for name in ("normalize_activations", "scaling", "apply_b_dec_to_input"):
            if getattr(start, name) != getattr(settings, name):
                raise RunError(
                    f"{name}: the SAE to begin with has {getattr(start, name)!r}, this training "
                    f"{getattr(settings, name)!r}; choose the same"
                )
        own["encoder"][:, :-1] = start.W_enc.T
        own["encoder"][:, -1] = start.b_gate if gated else start.b_enc
        for name in ("W_dec", "b_dec", *vectors.get(settings.architecture, ())):
            own[name][...] = getattr(start, name)
        if settings.architecture == "batchtopk" and start.threshold is not None:
            self.threshold = float(start.threshold[0])
        if settings.norm == "unit":
            own["W_dec"] /= np.maximum(np.linalg.norm(own["W_dec"], axis=1, keepdims=True), 1e-30)
        if not settings.b_dec:
            own["b_dec"][...] = 0
        return own

    def _gradient(self, x: Array, listen: Callable[[], None]) -> tuple[Gradient, dict[str, float]]:
        settings = self._settings
        found = Gradient(
            settings, self.parameters, self.dead, settings.l1_at(self.n_steps), self.threshold,
            self._buffer,
        )  # fmt: skip
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # told by the loss
            metrics = found.of(Inside.of(settings, x, self.parameters["b_dec"]), listen)
        self._buffer = found.buffer
        return found, metrics

    def _constrain(self) -> None:
        """Decoder rows of length 1 where that is asked for; thresholds not below 0."""
        own = self.parameters
        if self._settings.norm == "unit":
            length = np.sqrt(np.einsum("ld,ld->l", own["W_dec"], own["W_dec"]))  # [d_sae]
            own["W_dec"] /= np.maximum(length, 1e-30)[:, None]
        if "threshold" in own:
            np.maximum(own["threshold"], 0, out=own["threshold"])
