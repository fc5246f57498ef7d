"""SAE: a sparse autoencoder x ~ f W_dec + b_dec with f = act((x - b_dec) W_enc + b_enc).

Bricken et al. 2023 (Towards Monosemanticity); "topk" Gao et al. 2024 (arXiv:2406.04093),
"batchtopk" Bussmann et al. 2024 (arXiv:2412.06410), "jumprelu" Rajamanoharan et al. 2024
(arXiv:2407.14435), "gated" Rajamanoharan et al. 2024 (arXiv:2404.16014). Names as in SAELens.

What would fool you: a TopK SAE read as ReLU reconstructs garbage; a scale of the inputs that is not
folded must be applied to what goes in and undone on what comes out; where activations are rescaled
by the decoder norm they are in units of their decoder row, which decides who is among the k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import RunError
from engine.sae.sparse import csr, diagonal
from engine.sae.topk import Array, row_top

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["ARCHITECTURES", "NORMALISATIONS", "SAE"]

ARCHITECTURES = ("standard", "topk", "batchtopk", "jumprelu", "gated")
NORMALISATIONS = ("none", "expected_average_only_in", "constant_norm_rescale", "layer_norm")
BLOCK = 64 << 20  # bytes of [row, d_sae] that are made at a time where nobody asked for all
LAYER_NORM_EPS = 1e-5  # SAELens'

Undo = Callable[[Array], Array]


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class SAE:
    """W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_dec [d_in]; the rest as the architecture needs.

    b_enc [d_sae] (not "gated"), threshold [d_sae] ("jumprelu"; "batchtopk", which is read as
    jumprelu: its k held in the mean over training batches), b_gate, b_mag, r_mag [d_sae]
    ("gated"), k ("topk", "batchtopk"). `scaling` is the factor s of "expected_average_only_in"
    where it is NOT folded into the weights; None where there is none or it is folded.
    `hook_head_index`: one head of a hook [.., head, d_head]; None reads all of the hook, heads
    flattened. `about` holds what else is known, as JSON values. A RunError names what does not fit.
    """

    architecture: str
    W_enc: Array
    W_dec: Array
    b_dec: Array
    b_enc: Array | None = None
    threshold: Array | None = None
    b_gate: Array | None = None
    b_mag: Array | None = None
    r_mag: Array | None = None
    k: int | None = None
    apply_b_dec_to_input: bool = True
    rescale_acts_by_decoder_norm: bool = False
    normalize_activations: str = "none"
    scaling: float | None = None
    hook_name: str = ""
    hook_head_index: int | None = None
    model_digest: str = ""
    model_name: str = ""
    about: Mapping[str, Any] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise RunError(f"architecture: {self.architecture!r} is none of {ARCHITECTURES}")
        if self.normalize_activations not in NORMALISATIONS:
            raise RunError(
                f"normalize_activations: {self.normalize_activations!r} is none of {NORMALISATIONS}"
            )
        if self.W_enc.ndim != 2 or self.W_dec.shape != self.W_enc.shape[::-1]:
            raise RunError(
                f"W_enc {self.W_enc.shape} and W_dec {self.W_dec.shape} are not "
                "[d_in, d_sae] and [d_sae, d_in]"
            )
        needed = {
            "standard": ("b_enc",), "topk": ("b_enc",), "batchtopk": ("b_enc", "threshold"),
            "jumprelu": ("b_enc", "threshold"), "gated": ("b_gate", "b_mag", "r_mag"),
        }[self.architecture]  # fmt: skip
        for name, length in (("b_dec", self.d_in), *((name, self.d_sae) for name in needed)):
            array = getattr(self, name)
            if array is None:
                raise RunError(f"{name}: an SAE of architecture {self.architecture!r} needs it")
            if array.shape != (length,):
                raise RunError(f"{name}: shape {array.shape} is not ({length},)")
        if self.architecture == "topk" and not (self.k and 1 <= self.k <= self.d_sae):
            raise RunError(f"k: {self.k} is not between 1 and the {self.d_sae} latents")
        if self.rescale_acts_by_decoder_norm and "topk" not in self.architecture:
            raise RunError("rescale_acts_by_decoder_norm: only topk and batchtopk know it")

    # --- sizes ----------------------------------------------------------------------------------

    @property
    def d_in(self) -> int:
        """Width of what is read."""
        return self.W_enc.shape[0]

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.W_enc.shape[1]

    @property
    def decoder_norms(self) -> Array:
        """[d_sae]: the length of each decoder row, at least 1e-8 as in SAELens."""
        return np.maximum(np.sqrt(np.einsum("ld,ld->l", self.W_dec, self.W_dec)), 1e-8)

    # --- there and back -------------------------------------------------------------------------

    def encode(self, x: Array) -> Array:
        """x [..., d_in] -> f [..., d_sae], dense."""
        rows, shape = self._rows(x)
        f = np.empty((len(rows), self.d_sae), np.float32)  # [row, d_sae]
        for at in self._blocks(len(rows)):
            f[at] = self._activate(self._pre(self._centred(rows[at])))
        return f.reshape(*shape, self.d_sae)

    def sparse(self, x: Array) -> tuple[Array, Array]:
        """x [row, d_in] -> (index [row, k], value [row, k]) of a "topk" SAE; value 0 is inactive.

        In the order of the index. A RunError for other architectures: see `csr`.
        """
        if self.architecture != "topk" or self.k is None:
            raise RunError(f"sparse: architecture {self.architecture!r} has no fixed k; use csr")
        rows, _shape = self._rows(x)
        index = np.empty((len(rows), self.k), np.int64)  # [row, k]
        value = np.empty((len(rows), self.k), np.float32)  # [row, k]
        for at in self._blocks(len(rows)):
            index[at], value[at] = row_top(self._pre(self._centred(rows[at])), self.k)
        return index, np.maximum(value, 0, out=value)

    def csr(self, x: Array) -> csr_array:
        """x [row, d_in] -> f [row, d_sae] as a sparse matrix, for every architecture."""
        rows, _shape = self._rows(x)
        values, indices, counts = [], [], [np.zeros(1, np.int64)]
        for at in self._blocks(len(rows)):
            if self.architecture == "topk":
                index, value = self.sparse(rows[at])
                at_row, slot = np.nonzero(value)
                at_latent, kept = index[at_row, slot], value[at_row, slot]  # [active]
            else:
                f = self._activate(self._pre(self._centred(rows[at])))  # [row, d_sae]
                at_row, at_latent = np.nonzero(f)
                kept = f[at_row, at_latent]  # [active]
            indices.append(at_latent)
            values.append(kept)
            counts.append(np.bincount(at_row, minlength=len(rows[at])))
        data = np.concatenate([*values, np.zeros(0, np.float32)])  # [active]
        latents = np.concatenate([*indices, np.zeros(0, np.int64)])  # [active]
        first = np.cumsum(np.concatenate(counts))  # [row + 1]
        return csr(data, latents, first, (len(rows), self.d_sae))

    def decode(self, f: Array | csr_array) -> Array:
        """f [..., d_sae] -> x_hat [..., d_in]; f may be what `csr` gave.

        Where the normalisation is per row ("constant_norm_rescale", "layer_norm") this is the
        normalised x_hat, for only `reconstruct` knows the rows; an unfolded scale is undone.
        """
        if self.rescale_acts_by_decoder_norm:
            per = 1 / self.decoder_norms  # [d_sae]
            f = f * per if isinstance(f, np.ndarray) else f @ diagonal(per)
        x_hat = f @ self.W_dec + self.b_dec  # [..., d_in]
        return x_hat / np.float32(self.scaling) if self._scales else x_hat

    def reconstruct(self, x: Array) -> Array:
        """x [..., d_in] -> x_hat [..., d_in], the normalisation undone; in blocks of rows."""
        rows, shape = self._rows(x)
        x_hat = np.empty((len(rows), self.d_in), np.float32)  # [row, d_in]
        folded = replace(self, normalize_activations="none", scaling=None)
        for at in self._blocks(len(rows)):
            inside, undo = self.normalised(rows[at])
            if self.architecture == "topk":
                x_hat[at] = undo(folded.decode(folded.csr(inside)))
            else:
                x_hat[at] = undo(folded.decode(folded.encode(inside)))
        return x_hat.reshape(*shape, self.d_in)

    def pre(self, x: Array) -> Array:
        """x [..., d_in] -> pre-activations [..., d_sae], times the decoder norm where rescaled.

        What decides who is active: above 0 ("standard", and "gated", whose gate this is), above
        the threshold ("jumprelu", "batchtopk"), among the k largest ("topk").
        """
        rows, shape = self._rows(x)
        return self._pre(self._centred(rows)).reshape(*shape, self.d_sae)

    def normalised(self, x: Array) -> tuple[Array, Undo]:
        """x [..., d_in] -> what the weights read, and the way back for x_hat [..., d_in]."""
        if self.normalize_activations == "constant_norm_rescale":
            length = np.linalg.norm(x, axis=-1, keepdims=True)  # [..., 1]
            factor = np.float32(np.sqrt(self.d_in)) / np.maximum(length, 1e-30)  # [..., 1]
            return x * factor, lambda x_hat: x_hat / factor
        if self.normalize_activations == "layer_norm":
            mean = x.mean(axis=-1, keepdims=True)  # [..., 1]
            spread = x.std(axis=-1, keepdims=True, ddof=1)  # [..., 1]
            inside = (x - mean) / (spread + np.float32(LAYER_NORM_EPS))  # [..., d_in]
            return inside, lambda x_hat: x_hat * spread + mean
        if self._scales:
            scale = np.float32(self.scaling)
            return x * scale, lambda x_hat: x_hat / scale
        return x, lambda x_hat: x_hat

    # --- other forms of the same SAE ------------------------------------------------------------

    def activations(self, x: Array, latents: Array) -> Array:
        """x [..., d_in], latents [chosen] -> f [..., chosen] exactly as `encode` gives them."""
        chosen = np.asarray(latents)
        if self.architecture != "topk":
            return self.columns(chosen).encode(x)
        rows, shape = self._rows(x)
        f = np.empty((len(rows), len(chosen)), np.float32)  # [row, chosen]
        for at in self._blocks(len(rows)):
            f[at] = self._activate(self._pre(self._centred(rows[at])))[:, chosen]
        return f.reshape(*shape, len(chosen))

    def columns(self, latents: Array) -> SAE:
        """The SAE of some latents [chosen]: their activations and decoder rows, unchanged.

        A RunError for "topk", whose latents compete: `activations` gives a part of them.
        """
        if self.architecture == "topk":
            raise RunError(
                "columns: the latents of a topk SAE compete with all the others, so a part of it "
                "is no SAE; `activations` gives the activations of some"
            )
        chosen = np.asarray(latents)
        parts = {
            name: array[chosen]
            for name in ("b_enc", "threshold", "b_gate", "b_mag", "r_mag")
            if (array := getattr(self, name)) is not None
        }  # each [chosen]
        W_enc = np.ascontiguousarray(self.W_enc[:, chosen])  # [d_in, chosen]
        return replace(self, W_enc=W_enc, W_dec=self.W_dec[chosen], **parts)

    def with_scaling_folded(self) -> SAE:
        """The same function with the scale of the inputs inside the weights (SAELens' folding)."""
        if not self._scales:
            return self
        scale, threshold = np.float32(self.scaling), self.threshold
        if threshold is not None and self.rescale_acts_by_decoder_norm:
            threshold = threshold / scale  # in units of the decoder norm, which is divided too
        return replace(
            self, W_enc=self.W_enc * scale, W_dec=self.W_dec / scale, b_dec=self.b_dec / scale,
            threshold=threshold, scaling=None, normalize_activations="none",
        )  # fmt: skip

    def with_norms_folded(self) -> SAE:
        """The same reconstruction with decoder rows of length 1; activations take up the norm.

        A "topk" SAE that does not rescale would choose others: RunError.
        """
        if self.architecture == "topk" and not self.rescale_acts_by_decoder_norm:
            raise RunError(
                "folding the decoder norms would change which k latents this topk SAE chooses: "
                "it was not trained with rescale_acts_by_decoder_norm"
            )
        norms = self.decoder_norms  # [d_sae]
        parts = {
            name: array * norms
            for name in ("b_enc", "b_gate", "b_mag")
            if (array := getattr(self, name)) is not None
        }  # each [d_sae]
        if self.threshold is not None and not self.rescale_acts_by_decoder_norm:
            parts["threshold"] = self.threshold * norms  # [d_sae]
        return replace(
            self, W_enc=self.W_enc * norms, W_dec=self.W_dec / norms[:, None],
            rescale_acts_by_decoder_norm=False, **parts,
        )  # fmt: skip

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _scales(self) -> bool:
        return self.normalize_activations == "expected_average_only_in" and bool(self.scaling)

    def _given(self, name: str) -> Array:
        array = getattr(self, name)
        assert array is not None, name
        return array

    def _rows(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """[row, d_in] float32, and the leading shape."""
        if x.shape[-1:] != (self.d_in,):
            at = f" of {self.hook_name}" if self.hook_name else ""
            raise RunError(
                f"activations of width {x.shape[-1] if x.ndim else 0} do not fit this SAE, which "
                f"reads {self.d_in} numbers{at}: choose the hook that it was trained on"
            )
        return np.asarray(x, np.float32).reshape(-1, self.d_in), x.shape[:-1]

    def _blocks(self, n_rows: int) -> Iterator[slice]:
        size = max(1, BLOCK // (4 * self.d_sae))
        for first in range(0, n_rows, size):
            yield slice(first, min(n_rows, first + size))

    def _centred(self, rows: Array) -> Array:
        inside, _undo = self.normalised(rows)
        return inside - self.b_dec if self.apply_b_dec_to_input else inside

    def _pre(self, centred: Array) -> Array:
        pre = centred @ self.W_enc  # [row, d_sae]
        pre += self._given("b_gate" if self.architecture == "gated" else "b_enc")
        if self.rescale_acts_by_decoder_norm:
            pre *= self.decoder_norms
        return pre

    def _activate(self, pre: Array) -> Array:
        """Pre-activations [row, d_sae], which are used up -> f [row, d_sae]."""
        if self.architecture == "topk":
            index, value = row_top(pre, self.k or 0)
            pre[...] = 0
            np.put_along_axis(pre, index, np.maximum(value, 0), axis=1)
            return pre
        if self.architecture == "gated":
            shut = pre <= 0  # [row, d_sae]
            pre -= self._given("b_gate")
            pre *= np.exp(self._given("r_mag"))
            pre += self._given("b_mag")
        elif self.threshold is not None:
            shut = pre <= self.threshold  # [row, d_sae]
        else:
            return np.maximum(pre, 0, out=pre)
        np.maximum(pre, 0, out=pre)
        pre[shut] = 0
        return pre
